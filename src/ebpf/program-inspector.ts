// What is known of the files of programs: hash and form, found out beside the events and kept by device, inode, size and time of the last
// change, which the kernel tells at the exec; so a known file costs a look into a map and no system call. Invariants: files waiting and
// files known are bounded; an event never waits here; every file that stays unknown is counted by cause.
import type { ElfFacts } from "./elf.ts";
import type { FileReader } from "./file-reader.ts";
import type { ExecEvent } from "./kernel-event.ts";
import type { FileContent, ProgramFile, Unreadable } from "./program-file.ts";

/** Facts of one file of a program. They come to be known while processes run it. */
export interface ProgramFacts {
  state: "pending" | "known" | "unknown";
  sha256: string;
  elf: ElfFacts | undefined;
  /** The file had been written just before it ran and was read after the process had ended: a change within one tick would not show. */
  isUncertain: boolean;
  /** The file as the kernel told it first. */
  readonly file: ProgramFile;
  /** A path in our own root at which it stands; empty: nobody looked, or it stood elsewhere. */
  ownPath: string;
  /** The last other path that was looked at for that. */
  askedPath: string;
}

/** Why files stay unknown, and how many; `known` beside them. */
export type InspectCounts = Readonly<Record<"known" | "skipped" | "tooLarge" | "elsewhere" | Unreadable, number>>;

/** Files that wait to be read, each open: beyond them new ones stay unknown. */
export const WAITING_MAX = 128;
/** Files known, least recently used forgotten. */
export const KNOWN_MAX = 4096;
/** Bytes of a file that is read. */
export const HASHED_BYTES_MAX: number = 256 << 20;
/** A file changed this shortly before it ran may change again without another time of change: clocks of file systems tick each 1 to 10 ms. */
const FRESH_NS = 20_000_000n;

/** File systems that another process or machine serves: it could hold us for ever. FUSE, NFS, SMB, CIFS, Ceph, AFS. */
const ELSEWHERE: ReadonlySet<number> = new Set([0x6573_5546, 0x6969, 0xfe53_4d42, 0xff53_4d42, 0x517b, 0x00c3_6400, 0x5346_414f]);

/** See the head of this file. */
export class ProgramInspector {
  readonly #known = new Map<string, ProgramFacts>();
  readonly #waiting = new Set<ProgramFacts>();
  readonly #reader: Pick<FileReader, "read" | "close">;
  readonly #onKnown: () => void;
  readonly #counts = { known: 0, skipped: 0, tooLarge: 0, elsewhere: 0, gone: 0, changed: 0, failed: 0 };
  #isClosed = false;

  /** `onKnown` is told when facts that were pending no longer are. */
  constructor(onKnown: () => void, reader: Pick<FileReader, "read" | "close">) {
    this.#onKnown = onKnown;
    this.#reader = reader;
  }

  /** How many files are known, and why the others are not. */
  counts(): InspectCounts {
    return { ...this.#counts };
  }

  /** Facts of the file of an exec, now or soon. `wallOffsetNs` makes boot time the file systems' time. */
  factsOf(event: ExecEvent, wallOffsetNs: bigint): ProgramFacts {
    const { actor, device, inode, sizeBytes, changeSeconds, changeNanoseconds } = event;
    const key = `${device}/${inode}/${sizeBytes}/${changeSeconds}.${changeNanoseconds}`;
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.#known.delete(key);
      this.#known.set(key, known);
      return known;
    }
    const changeNs = BigInt(changeSeconds) * 1_000_000_000n + BigInt(changeNanoseconds);
    const file: ProgramFile = { pid: actor.pid, ppid: actor.ppid, path: event.executable, device, inode, sizeBytes, changeNs };
    const isFresh = actor.timeNs + wallOffsetNs - changeNs < FRESH_NS;
    return this.#ask(file, { key, isFresh, fsMagic: event.fsMagic });
  }

  /** Ends it: what is pending stays unknown. Twice is fine. */
  close(): void {
    this.#isClosed = true;
    this.#reader.close();
    for (const facts of this.#waiting) {
      facts.state = "unknown";
      this.#counts.skipped++;
    }
    this.#waiting.clear();
    this.#onKnown();
  }

  #ask(
    file: ProgramFile,
    { key, isFresh, fsMagic }: { readonly key: string; readonly isFresh: boolean; readonly fsMagic: number },
  ): ProgramFacts {
    const facts: ProgramFacts = { state: "pending", sha256: "", elf: undefined, isUncertain: false, file, ownPath: "", askedPath: "" };
    const refusal = this.#refusalOf(file, fsMagic);
    if (refusal !== undefined) {
      facts.state = "unknown";
      this.#counts[refusal]++;
      return facts;
    }
    this.#waiting.add(facts);
    if (!isFresh) this.#remember(key, facts);
    this.#reader.read(file, (content) => {
      if (!this.#waiting.delete(facts)) return;
      this.#take(facts, content, isFresh);
      // The next process that runs it may last long enough.
      if (facts.state === "unknown" && this.#known.get(key) === facts) this.#known.delete(key);
      this.#onKnown();
    });
    return facts;
  }

  #refusalOf(file: ProgramFile, fsMagic: number): "elsewhere" | "tooLarge" | "skipped" | undefined {
    if (ELSEWHERE.has(fsMagic)) return "elsewhere";
    if (file.sizeBytes > HASHED_BYTES_MAX) return "tooLarge";
    return this.#isClosed || this.#waiting.size >= WAITING_MAX ? "skipped" : undefined;
  }

  #take(facts: ProgramFacts, content: FileContent | Unreadable, isFresh: boolean): void {
    if (typeof content === "string") {
      facts.state = "unknown";
      this.#counts[content]++;
      return;
    }
    facts.sha256 = content.sha256;
    facts.elf = content.elf;
    if (content.isAtPath) facts.ownPath = facts.file.path;
    facts.isUncertain = isFresh && !content.isRunning;
    facts.state = "known";
    this.#counts.known++;
  }

  #remember(key: string, facts: ProgramFacts): void {
    this.#known.set(key, facts);
    if (this.#known.size <= KNOWN_MAX) return;
    const oldest = this.#known.keys().next();
    if (oldest.done !== true) this.#known.delete(oldest.value);
  }
}
