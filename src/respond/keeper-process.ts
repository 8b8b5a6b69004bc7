// The gatekeeper's process as the agent holds it: started, spoken to, asked now and then whether it still answers, ended. Invariant: one that does not
// answer is killed, which makes the kernel allow whatever waits for it. Knows no rules.
import { type Cancel, type Clock, endOf, LineReader, sendLine } from "#core";
import type { FromKeeper, KeeperConfig, ToKeeper } from "./gate-wire.ts";

/** Settings of a {@link KeeperProcess}. */
export interface KeeperProcessOptions {
  /** Command that starts a gatekeeper. */
  readonly command: readonly string[];
  readonly config: KeeperConfig;
  readonly clock: Clock;
  readonly onMessage: (message: FromKeeper) => void;
  /** It has ended, whatever the reason; told once. */
  readonly onEnd: (reason: string) => void;
}

const PING_MS = 1000;
/** Pings without an answer after which it is killed. */
const SILENT_PINGS_MAX = 3;

/** The same before its first word: a slow machine needs some seconds to start it. */
const SILENT_START_MAX = 60;

/** See the head of this file. */
export class KeeperProcess {
  readonly #options: KeeperProcessOptions;
  readonly #child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #read: Promise<void>;
  #cancelPing: Cancel | undefined;
  #silentPings = 0;
  #hasSpoken = false;
  #ended = false;

  /** Starts one. Do not call it while another gatekeeper's marks stand: this thread would wait for its own verdict. */
  constructor(options: KeeperProcessOptions) {
    this.#options = options;
    this.#child = Bun.spawn([...options.command], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    this.#read = this.#readAll();
    this.send({ kind: "config", config: options.config });
    this.#schedulePing();
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Sends a message; one that is sent to a process that has ended is lost. */
  send(message: ToKeeper): void {
    if (!this.#ended) sendLine(this.#child.stdin, message);
  }

  /** Ends it in order; whoever waits is allowed. */
  async close(): Promise<void> {
    this.#cancelPing?.();
    this.send({ kind: "end" });
    const cancel = this.#options.clock.after(PING_MS * SILENT_PINGS_MAX, () => this.#child.kill("SIGKILL"));
    await this.#child.exited;
    cancel();
    await this.#read;
  }

  #schedulePing(): void {
    this.#cancelPing = this.#options.clock.after(PING_MS, () => {
      if (this.#silentPings++ >= (this.#hasSpoken ? SILENT_PINGS_MAX : SILENT_START_MAX)) {
        this.#child.kill("SIGKILL");
        return;
      }
      this.send({ kind: "ping" });
      this.#schedulePing();
    });
  }

  async #readAll(): Promise<void> {
    const reader = new LineReader<FromKeeper>();
    const decoder = new TextDecoder();
    try {
      for await (const piece of this.#child.stdout) {
        this.#silentPings = 0;
        this.#hasSpoken = true;
        for (const message of reader.take(decoder.decode(piece, { stream: true }))) this.#options.onMessage(message);
      }
    } catch {
      // A pipe that cannot be read is as good as an end.
      this.#child.kill("SIGKILL");
    }
    await this.#child.exited;
    this.#ended = true;
    this.#cancelPing?.();
    this.#options.onEnd(endOf(this.#child));
  }
}
