// Alerts on standard output as they come. Never blocks the agent: when the reader is slow, alerts beyond a limit are counted and said, not queued.
import { type Alert, encodeAlert, type Sink, stringifyJson } from "#core";
import { alertText } from "./terminal.ts";

const QUEUED_BYTES_MAX = 8 << 20;

/** See the head of this file. The store keeps every alert all the same. */
export class TerminalSink implements Sink {
  readonly name = "terminal";
  readonly #json: boolean;
  #skipped = 0;
  #gone = false;

  constructor(json: boolean) {
    this.#json = json;
    process.stdout.on("error", () => {
      this.#gone = true;
    });
  }

  take(alerts: readonly Alert[]): void {
    for (const alert of alerts) this.#print(alert);
  }

  #print(alert: Alert): void {
    if (this.#gone) return;
    if (process.stdout.writableLength > QUEUED_BYTES_MAX) {
      this.#skipped++;
      return;
    }
    if (this.#skipped > 0)
      process.stderr.write(`kestrel: warn: ${this.#skipped} alerts were not printed, the reader is too slow; the store has them\n`);
    this.#skipped = 0;
    process.stdout.write(this.#json ? `${stringifyJson(encodeAlert(alert))}\n` : alertText(alert, process.stdout.isTTY === true));
  }
}
