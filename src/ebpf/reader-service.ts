// The other end of the agent's pipes in its child that reads program files: requests in, answers out, until the agent closes its end.
import { type Clock, LineReader, lineOf } from "#core";
import { ProgramReader } from "./file-reader.ts";
import { type FromReader, fromWire, type ToReader } from "./reader-wire.ts";

/** The two pipes, and time. */
export interface ReaderServiceParts {
  readonly input: AsyncIterable<Uint8Array>;
  /** Writes a whole text; fails when nobody reads any more. */
  readonly output: (text: string) => void;
  readonly clock: Clock;
}

/** Serves until the input ends. Questions that are never answered may be left. */
export async function serveProgramFiles({ input, output, clock }: ReaderServiceParts): Promise<void> {
  const say = (message: FromReader): void => output(lineOf(message));
  const silent = new Set<string>();
  const reader = new ProgramReader({
    clock,
    isSilent: (place) => silent.has(place),
    onSilence: (silences) => say({ kind: "silence", silences }),
  });
  const lines = new LineReader<ToReader>();
  const decoder = new TextDecoder();
  for await (const piece of input) {
    for (const message of lines.take(decoder.decode(piece, { stream: true }))) take(message);
  }
  reader.close();

  function take(message: ToReader): void {
    switch (message.kind) {
      case "silent":
        for (const place of message.places) silent.add(place);
        return;
      case "read":
        reader.read(fromWire(message.file), (answer) => say({ kind: "answer", id: message.id, answer }));
        return;
      case "stands":
        reader.standsAt(message.path, fromWire(message.file), (answer) => say({ kind: "answer", id: message.id, answer }));
        return;
    }
  }
}
