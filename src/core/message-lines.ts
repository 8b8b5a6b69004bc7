// What the agent and a process of its own tell each other: one JSON object a line, over the pipes of the child. Both are one program, so a line that cannot
// be read is a bug of ours or the end of the other side. Invariant: whatever comes, reading it never throws.

/** Longest line either side accepts: a path has at most 4,096 bytes, and lists are cut. */
export const LINE_LENGTH_MAX: number = 1 << 20;

/** Takes pieces of text in and gives whole messages out. */
export class LineReader<Message extends { readonly kind: string }> {
  #rest = "";

  /** Messages that this piece completes. */
  take(piece: string): readonly Message[] {
    const lines = (this.#rest + piece).split("\n");
    const rest = lines.pop() ?? "";
    this.#rest = rest.length > LINE_LENGTH_MAX ? "" : rest;
    return lines.flatMap((line) => {
      const message = parse(line);
      return message === undefined ? [] : [message as Message];
    });
  }
}

function parse(line: string): { readonly kind: string } | undefined {
  try {
    const value = JSON.parse(line) as unknown;
    const kind = typeof value === "object" && value !== null && "kind" in value ? value.kind : undefined;
    return typeof kind === "string" ? (value as { readonly kind: string }) : undefined;
  } catch {
    return undefined;
  }
}

/** The end of a child's pipe that it reads. */
interface Pipe {
  write(text: string): unknown;
  flush(): number | Promise<number>;
}

/** Sends a message to a child; one that is sent to a child that has ended is lost. */
export function sendLine(pipe: Pipe, message: { readonly kind: string }): void {
  try {
    pipe.write(lineOf(message));
    const flushed = pipe.flush();
    if (typeof flushed !== "number") flushed.catch(() => undefined);
  } catch {
    // It has just ended: that is told elsewhere.
  }
}

/** How a child that is no more came to its end. */
export function endOf({ exitCode, signalCode }: { readonly exitCode: number | null; readonly signalCode: string | number | null }): string {
  return signalCode === null ? `it ended with ${exitCode}` : `it was ended by ${signalCode}`;
}

/** A message as its line. */
export function lineOf(message: { readonly kind: string }): string {
  return `${JSON.stringify(message)}\n`;
}
