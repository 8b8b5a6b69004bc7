// Alerts on standard output as they come. Never blocks the agent: when the reader is slow, alerts beyond a limit are counted and said, not queued.
import { type Alert, encodeAlert, type Sink, stringifyJson } from "#core";
import { alertText } from "./terminal.ts";

const QUEUED_BYTES_MAX = 8 << 20;
/** Alerts that come together are written together, up to this length: one call and one waking of the reader instead of hundreds. */
const WRITTEN_LENGTH = 64 << 10;

/** Where alerts are printed. */
export type TerminalOutput = Pick<NodeJS.WriteStream, "write" | "writableLength" | "isTTY"> & {
  on(event: "error", listener: () => void): unknown;
};

/** See the head of this file. The store keeps every alert all the same. */
export class TerminalSink implements Sink {
  readonly name = "terminal";
  readonly #json: boolean;
  readonly #output: TerminalOutput;
  readonly #say: (text: string) => void;
  #skipped = 0;
  #gone = false;

  constructor(json: boolean, output: TerminalOutput = process.stdout, say = (text: string): void => void process.stderr.write(text)) {
    this.#json = json;
    this.#output = output;
    this.#say = say;
    output.on("error", () => {
      this.#gone = true;
    });
  }

  take(alerts: readonly Alert[]): void {
    let text = "";
    for (const alert of alerts) {
      if (this.#gone) return;
      if (this.#output.writableLength > QUEUED_BYTES_MAX) {
        this.#skipped++;
        continue;
      }
      if (this.#skipped > 0)
        this.#say(`kestrel: warn: ${this.#skipped} alerts were not printed, the reader is too slow; the store has them\n`);
      this.#skipped = 0;
      text += this.#json ? `${stringifyJson(encodeAlert(alert))}\n` : alertText(alert, this.#output.isTTY === true);
      if (text.length < WRITTEN_LENGTH) continue;
      this.#output.write(text);
      text = "";
    }
    if (text !== "") this.#output.write(text);
  }
}
