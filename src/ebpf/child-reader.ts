// Reads the files of programs in a process of its own, which may be killed: a filesystem that never answers holds that process, and neither the agent, nor
// its end, nor the reading of other files. Started when a file is asked for, ended when there is nothing to do. Invariants: requests that wait, processes
// that cannot be ended and starts in vain are bounded; every request is answered, once, until the end; nothing here asks a filesystem.
import { type Cancel, type Clock, messageOf } from "#core";
import { type FileReader, type FileTaker, ProgramReader, type ReaderCounts, type Silence } from "./file-reader.ts";
import type { FileContent, ProgramFile, Unreadable } from "./program-file.ts";
import { type Child, ReaderProcess, type StartChild } from "./reader-process.ts";
import { type FromReader, type ToReader, toWire } from "./reader-wire.ts";

/** Settings of a {@link ChildReader}. */
export interface ChildReaderOptions {
  /** Command that starts a reader. */
  readonly command: readonly string[];
  readonly clock: Clock;
  /** Told in a line what the operator should know; each thing rarely. */
  readonly onProblem: (problem: string) => void;
  /** For tests. */
  readonly start?: StartChild;
}

/** Requests that wait. */
export const REQUESTS_MAX = 256;
/** Readers at one time that cannot be ended. */
export const STUCK_MAX = 4;
/** A reader without work ends after so long. */
export const IDLE_MS = 60_000;
/** How long who was silent is not asked, and the least time between two lines about it. */
export const SILENT_MS = 300_000;
/** Of who was silent, the last so many. */
const SILENT_MAX = 64;
/** Ends in a row before a file was read after which no reader is started for a while. */
export const VAIN_MAX = 3;
export const PAUSE_MS = 60_000;
/** A reader that does not say a word for so long while it has work is stopped or lost: the largest file takes 42 s. */
const MUTE_LOOKS_MAX = 6;
const MUTE_LOOK_MS = 10_000;
/** Readers that may end over one file. */
const TRIES_MAX = 2;
const NS_PER_MS = 1_000_000n;
/** A process that lives on for so long after it was killed is held by somebody. */
const HELD_NS = 1_000_000_000n;

interface Request {
  readonly message: ToReader;
  readonly take: (answer: FileContent | Unreadable | boolean) => void;
  tries: number;
}

/** A reader in a process of its own; without a command one in this process, which may come to be held. */
export function createReader({
  command,
  ...parts
}: Omit<ChildReaderOptions, "command"> & { readonly command: readonly string[] | undefined }): FileReader {
  return command === undefined ? new ProgramReader(parts) : new ChildReader({ command, ...parts });
}

/** See the head of this file. */
export class ChildReader implements FileReader {
  readonly #options: ChildReaderOptions;
  readonly #start: StartChild;
  readonly #requests = new Map<number, Request>();
  /** Who was silent, and until when not to ask. */
  readonly #silent = new Map<string, bigint>();
  #child: Child | undefined;
  #nextId = 0;
  #stuck = 0;
  #silences = 0;
  #vain = 0;
  #pauseUntilNs = 0n;
  #saidSilenceNs: bigint | undefined;
  #saidProblem = "";
  #muteLooks = 0;
  #cancelIdle: Cancel | undefined;
  #cancelMute: Cancel | undefined;
  #isReady = false;
  #isClosed = false;

  constructor(options: ChildReaderOptions) {
    this.#options = options;
    this.#start = options.start ?? ((command, events) => new ReaderProcess(command, events));
  }

  counts(): ReaderCounts {
    return { stuck: this.#stuck, silences: this.#silences };
  }

  read(file: ProgramFile, take: FileTaker): void {
    this.#ask(
      (id) => ({ kind: "read", id, file: toWire(file) }),
      (answer) => take(typeof answer === "boolean" ? "failed" : answer),
    );
  }

  standsAt(path: string, file: ProgramFile, take: (isThere: boolean) => void): void {
    this.#ask(
      (id) => ({ kind: "stands", id, path, file: toWire(file) }),
      (answer) => take(answer === true),
    );
  }

  /** Starts it at once, and keeps it although there is nothing to do. */
  keepReady(isOn: boolean): void {
    this.#isReady = isOn;
    if (isOn && !this.#isClosed) this.#ensureChild();
    this.#watch();
  }

  close(): void {
    this.#isClosed = true;
    this.#requests.clear();
    this.#letGo();
    this.#watch();
  }

  #ask(message: (id: number) => ToReader, take: Request["take"]): void {
    if (this.#isClosed) return;
    if (this.#requests.size >= REQUESTS_MAX || !this.#ensureChild()) {
      take("failed");
      return;
    }
    const id = this.#nextId++;
    const request: Request = { message: message(id), take, tries: 1 };
    this.#requests.set(id, request);
    this.#child?.send(request.message);
    this.#watch();
  }

  #ensureChild(): boolean {
    if (this.#child !== undefined) return true;
    const nowNs = this.#options.clock.nowNs();
    if (nowNs < this.#pauseUntilNs) return false;
    if (this.#stuck >= STUCK_MAX) {
      this.#say(`${STUCK_MAX} readers of program files are held by filesystems that do not answer: no file is read until one is let go`);
      return false;
    }
    try {
      const child = this.#start(this.#options.command, {
        onMessage: (message) => this.#take(message),
        onEnd: (reason) => this.#ended(reason),
      });
      this.#child = child;
      this.#muteLooks = 0;
      for (const [place, untilNs] of this.#silent) if (untilNs <= nowNs) this.#silent.delete(place);
      child.send({ kind: "silent", places: [...this.#silent.keys()] });
      return true;
    } catch (error) {
      this.#pause(messageOf(error));
      return false;
    }
  }

  #take(message: FromReader): void {
    this.#muteLooks = 0;
    if (message.kind === "silence") {
      this.#silence(message.silences);
      return;
    }
    this.#vain = 0;
    const request = this.#requests.get(message.id);
    if (request === undefined) return;
    this.#requests.delete(message.id);
    this.#watch();
    request.take(message.answer);
  }

  #silence(silences: readonly Silence[]): void {
    const nowNs = this.#options.clock.nowNs();
    this.#silences += silences.length;
    for (const { place } of silences) {
      this.#silent.delete(place);
      this.#silent.set(place, nowNs + BigInt(SILENT_MS) * NS_PER_MS);
      const [oldest] = this.#silent.keys();
      if (this.#silent.size > SILENT_MAX && oldest !== undefined) this.#silent.delete(oldest);
    }
    const [first] = silences;
    if (first !== undefined && (this.#saidSilenceNs === undefined || nowNs >= this.#saidSilenceNs + BigInt(SILENT_MS) * NS_PER_MS)) {
      this.#saidSilenceNs = nowNs;
      this.#options.onProblem(`a filesystem does not answer: what is in the program ${JSON.stringify(first.path)} stays unknown`);
    }
    this.#letGo(silences.map(({ place }) => place));
    this.#goOn();
  }

  /** Ended by itself: what it was asked is asked of another one, unless it may be the cause. */
  #ended(reason: string): void {
    this.#child = undefined;
    if (++this.#vain >= VAIN_MAX) this.#pause(reason);
    for (const [id, request] of [...this.#requests]) if (++request.tries > TRIES_MAX) this.#fail(id, request);
    this.#goOn();
  }

  /** Has another process go on with what waits. */
  #goOn(): void {
    const isNeeded = this.#requests.size > 0 || this.#isReady;
    if (isNeeded && !this.#ensureChild()) for (const [id, request] of [...this.#requests]) this.#fail(id, request);
    for (const { message } of this.#requests.values()) this.#child?.send(message);
    this.#watch();
  }

  #pause(reason: string): void {
    this.#vain = 0;
    this.#pauseUntilNs = this.#options.clock.nowNs() + BigInt(PAUSE_MS) * NS_PER_MS;
    this.#say(`the reader of program files does not run, so programs have no hash: ${reason}`);
  }

  /** What is so time and again is said once. */
  #say(problem: string): void {
    if (problem !== this.#saidProblem) this.#options.onProblem(problem);
    this.#saidProblem = problem;
  }

  /** Leaves it to its end. When that was kept off and comes all the same, whoever was silent has answered, as a disk that was busy does. */
  #letGo(silent: readonly string[] = []): void {
    const { clock } = this.#options;
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    this.#stuck++;
    const heldNs = clock.nowNs() + HELD_NS;
    const ended = (): void => {
      this.#stuck--;
      if (clock.nowNs() >= heldNs) for (const place of silent) this.#silent.delete(place);
    };
    child.kill().then(ended, ended);
  }

  #fail(id: number, { take }: Request): void {
    if (this.#requests.delete(id)) take("failed");
  }

  /** Sets the timers that are needed now. */
  #watch(): void {
    const isBusy = this.#requests.size > 0;
    if (isBusy || this.#isReady || this.#child === undefined) {
      this.#cancelIdle?.();
      this.#cancelIdle = undefined;
    } else this.#cancelIdle ??= this.#options.clock.after(IDLE_MS, () => this.#endIdle());
    if (isBusy) this.#cancelMute ??= this.#options.clock.after(MUTE_LOOK_MS, () => this.#lookWhetherMute());
    else {
      this.#cancelMute?.();
      this.#cancelMute = undefined;
    }
  }

  #endIdle(): void {
    this.#cancelIdle = undefined;
    this.#letGo();
  }

  #lookWhetherMute(): void {
    this.#cancelMute = undefined;
    if (++this.#muteLooks >= MUTE_LOOKS_MAX) {
      this.#letGo();
      this.#pause("it does not answer");
      this.#goOn();
      return;
    }
    this.#watch();
  }
}
