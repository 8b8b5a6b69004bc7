// Files of small events for replay tests, in every form that replay reads, and a sink that tells the events by their ids.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RecordSink, type ReplayOptions, ReplaySource } from "#core";
import { JsonDecoder, KlogWriter, RecordView } from "#event";
import { RecordFlag, SchemaRegistry } from "#schema";

/** The forms. */
export const FORMS = ["plain", "gzip", "zstd", "klog"] as const;
/** How a file is written. */
export type Form = (typeof FORMS)[number];

/** One event; without a time it has none of its own. */
export interface SmallEvent {
  readonly id: number;
  readonly timeNs: number | undefined;
}

/** What the sink saw of a record. */
export interface Seen {
  readonly id: number;
  readonly timeNs: bigint;
  readonly timeUnknown: boolean;
}

/** Read with these options: the times are nanoseconds. */
export const DECODER: ReplayOptions["decoder"] = { timestampUnit: "ns" };

/** A folder for `run`. */
export async function inFolder<Result>(run: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-replay-"));
  try {
    return await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The event as a line. */
export function lineOf({ id, timeNs }: SmallEvent): string {
  return JSON.stringify({ ...(timeNs === undefined ? {} : { "@timestamp": timeNs }), process: { pid: id } });
}

/** Writes lines; in a `.klog` file what is no event is left out. */
export function writeLog(folder: string, name: string, form: Form, lines: readonly string[]): string {
  const path = join(folder, name);
  const text = lines.map((line) => `${line}\n`).join("");
  if (form === "klog") {
    const registry = new SchemaRegistry();
    const decoder = new JsonDecoder(registry, DECODER);
    const writer = KlogWriter.open(path, registry, { blockRecords: 3 });
    for (const line of lines) {
      const size = decoder.decode(line);
      if (typeof size === "number") writer.append(decoder.builder.bytes, 0, size);
    }
    writer.close();
  } else {
    writeFileSync(path, form === "gzip" ? Bun.gzipSync(Buffer.from(text)) : form === "zstd" ? Bun.zstdCompressSync(text) : text);
  }
  return path;
}

/** Collects records; refuses every n-th push, as a full bus does. */
export class SeenSink implements RecordSink {
  readonly seen: Seen[] = [];
  readonly #pid: number;
  readonly #view = new RecordView();
  readonly #refuseEvery: number;
  readonly #onPush: () => void;
  #pushes = 0;

  constructor(registry: SchemaRegistry, { refuseEvery = 0, onPush = () => undefined }: { refuseEvery?: number; onPush?: () => void } = {}) {
    this.#pid = registry.idOf("process.pid");
    this.#refuseEvery = refuseEvery;
    this.#onPush = onPush;
  }

  push(bytes: Uint8Array, offset: number, length: number): boolean {
    if (this.#refuseEvery > 0 && ++this.#pushes % this.#refuseEvery === 0) return false;
    const view = this.#view.reset(bytes.slice(offset, offset + length), 0);
    this.seen.push({
      id: view.number(this.#pid) as number,
      timeNs: view.timeNs,
      timeUnknown: (view.flags & RecordFlag.TimeUnknown) !== 0,
    });
    this.#onPush();
    return true;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }
}

/** What a replay gave. */
export interface Replayed {
  readonly source: ReplaySource;
  readonly seen: readonly Seen[];
  readonly ids: readonly number[];
  /** `line` or place of what was no event. */
  readonly problems: readonly string[];
}

/** Replays with `DECODER`. */
export async function replayed(options: Partial<ReplayOptions>, refuseEvery = 0): Promise<Replayed> {
  const registry = new SchemaRegistry();
  const problems: string[] = [];
  const sink = new SeenSink(registry, { refuseEvery });
  const source = new ReplaySource({
    registry,
    files: [],
    decoder: DECODER,
    onProblem: ({ line, message }) => problems.push(line === 0 ? message : String(line)),
    ...options,
  });
  await source.start(sink);
  return { source, seen: sink.seen, ids: sink.seen.map(({ id }) => id), problems };
}
