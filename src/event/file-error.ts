// Why a file of events cannot be read or written: an operating error with the file's name in its message.

/** What went wrong, for callers that treat cases differently. */
type EventFileCode =
  | "cannot-open"
  | "cannot-read"
  | "cannot-write"
  | "corrupt-compression"
  | "not-klog"
  | "newer-version"
  | "field-conflict";

/** An error of a file; `message` names the file, the place and the way out. */
export class EventFileError extends Error {
  override readonly name = "EventFileError";
  constructor(
    readonly code: EventFileCode,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/** Message of anything thrown. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
