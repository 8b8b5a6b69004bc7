// The two kinds of failure that are exceptions: operating errors, made where they happened, and broken assertions, which are our bugs.

/** An operating error with a stable code; `message` names the value and the way out. */
export class KestrelError extends Error {
  override readonly name = "KestrelError";
  constructor(
    readonly code: string,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/** Throws when a condition that our own code guarantees does not hold. Stays on in release. */
export function assert(condition: boolean, text: string): asserts condition {
  if (!condition) throw new Error(`Assertion failed: ${text}`);
}

/** Message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
