// A flood of events that each bring a join key of their own, through the whole engine: with checkpoints, as the agent has them.
import { type Checkpoint, type Sink, SystemClock } from "#core";
import { STATE_LIMITS, type StateLimits } from "#nfa";
import { Header, SchemaRegistry } from "#schema";
import { type Bench, benchOf, recordOf, ruleOf } from "./fixture.ts";

const KEY_LENGTH = 16;
const STEP_NS = 1_000_000n;
/** Events after which the figures are looked at. */
const LOOK_EVERY = 10_000;
const RULE = `sequence by user.name [process where process.name == "curl"] [process where process.name == "sh"]`;

/** What a flood did. */
export interface FloodFigures {
  readonly bench: Bench;
  /** Most that was seen at any look. */
  readonly entriesMost: number;
  readonly stateBytesMost: number;
  readonly residentBytesMost: number;
  /** When the flood is over and the collector has run. */
  readonly residentBytesSettled: number;
  readonly evictions: number;
  readonly checkpoints: number;
  readonly checkpointRowsMost: number;
  readonly tookMs: number;
  /** From a fresh pair's second event to its alert. */
  readonly answerMs: number;
}

/** One record whose time and key are written over for each event. */
class FloodRecord {
  readonly bytes: Uint8Array;
  readonly #time: DataView;
  readonly #keyAt: number;

  constructor(registry: SchemaRegistry, name: string) {
    const key = "#".repeat(KEY_LENGTH);
    this.bytes = recordOf(registry, {
      fields: { "process.name": name, "user.name": key, "process.command_line": `${name} --some --arguments` },
    });
    this.#time = new DataView(this.bytes.buffer, this.bytes.byteOffset);
    this.#keyAt = Buffer.from(this.bytes).indexOf(key);
  }

  set(number: number): void {
    this.#time.setBigUint64(Header.Time, BigInt(number) * STEP_NS, true);
    for (let digit = 0, rest = number; digit < KEY_LENGTH; digit++, rest = Math.floor(rest / 10)) {
      this.bytes[this.#keyAt + digit] = 48 + (rest % 10);
    }
  }
}

/** Keeps nothing, counts. */
class CountingKeeper implements Sink {
  readonly name = "counting";
  readonly keepsState = true;
  checkpoints = 0;
  rowsMost = 0;

  take(_: unknown, kept?: { readonly checkpoint: Checkpoint }): void {
    if (kept === undefined) return;
    this.checkpoints++;
    this.rowsMost = Math.max(this.rowsMost, kept.checkpoint.rows.length);
  }
}

/**
 * Sends so many events, each the first of a sequence under a key of its own, then a fresh pair. A checkpoint after every batch, since the
 * bench's clock stands still, or after so many real milliseconds.
 */
export async function floodKeys(keys: number, limits: Partial<StateLimits> = {}, keepEveryMs?: number): Promise<FloodFigures> {
  const registry = new SchemaRegistry();
  const keeper = new CountingKeeper();
  const bench = benchOf({
    registry,
    limits: { ...STATE_LIMITS, ...limits },
    sinks: [keeper],
    ...(keepEveryMs === undefined ? {} : { clock: new SystemClock() }),
    keep: { intervalMs: keepEveryMs ?? 0, live: true, position: String },
  });
  const { engine } = bench;
  await engine.arm([ruleOf("flood", RULE)]);
  const first = new FloodRecord(registry, "curl");
  const startMs = performance.now();
  const most = { entries: 0, stateBytes: 0, residentBytes: 0 };
  for (let number = 0; number < keys; number++) {
    first.set(number);
    while (!engine.input.push(first.bytes, 0, first.bytes.length)) await engine.input.ready();
    if (number % LOOK_EVERY !== 0) continue;
    const { entries, bytes } = engine.sequenceMetrics();
    most.entries = Math.max(most.entries, entries);
    most.stateBytes = Math.max(most.stateBytes, bytes);
    most.residentBytes = Math.max(most.residentBytes, process.memoryUsage.rss());
    // As the agent does between batches: timers and the collector get their turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
  await engine.drain();
  const tookMs = performance.now() - startMs;
  const answerStartMs = performance.now();
  first.set(keys);
  engine.input.push(first.bytes, 0, first.bytes.length);
  const second = new FloodRecord(registry, "sh");
  second.set(keys);
  engine.input.push(second.bytes, 0, second.bytes.length);
  engine.input.progress?.(BigInt(keys + 1) * STEP_NS);
  await engine.drain();
  const answerMs = performance.now() - answerStartMs;
  Bun.gc(true);
  const residentBytesSettled = process.memoryUsage.rss();
  const { entries, bytes, rules } = engine.sequenceMetrics();
  const evictions = Object.values(rules[0]!.evictions).reduce((sum, count) => sum + count, 0);
  await engine.close();
  return {
    bench,
    entriesMost: Math.max(most.entries, entries),
    stateBytesMost: Math.max(most.stateBytes, bytes),
    residentBytesMost: most.residentBytes,
    residentBytesSettled,
    evictions,
    checkpoints: keeper.checkpoints,
    checkpointRowsMost: keeper.rowsMost,
    tookMs,
    answerMs,
  };
}
