// A day of a busy machine in seconds, by seed: processes that come and go through the process table, every kind of rule over several events on
// top, the clock set back once. What must alert does so exactly once, across the whole day; nothing that is remembered outgrows its bounds,
// and the second half of the day needs no more memory than the first. KESTREL_SEED=… bun test test/sim repeats a day.
import { heapStats } from "bun:jsc";
import { beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import type { Alert, Sink } from "#core";
import { STATE_LIMITS } from "#nfa";
import type { Rule } from "#rules";
import { type FieldValue, SchemaRegistry } from "#schema";
import { decode } from "../../src/ebpf/decode.ts";
import type { WholeEvent } from "../../src/ebpf/exec-joiner.ts";
import { DEAD_MAX, type ProcessEntry, ProcessTable } from "../../src/ebpf/process-table.ts";
import { ProcessTracker } from "../../src/ebpf/process-tracker.ts";
import { execRecord, exitRecord, forkRecord } from "../ebpf/kernel-record.ts";
import { type Bench, benchOf, recordOf, ruleOf } from "../engine/fixture.ts";
import { announce, Chance, SEED } from "./world.ts";

// Generous, since machines are noisy: the day takes some ten seconds of processor time.
setDefaultTimeout(300_000);
const HOURS = 24;
const MINUTE_MS = 60_000;
const MINUTES_OF_HOUR = 60;
/** Processes that begin in a minute; each lives for a few. */
const STARTS = 24;
const LIFE_MINUTES_MAX = 6;
const PID_MAX = 32_768;
/** Names of programs. */
const PARENTS = 40;
/** Small, so that a day goes far beyond it. */
const LIMITS = { ...STATE_LIMITS, ruleEntriesMax: 2048, entriesMax: 6144 };
/** Hours after which everything that fills up has done so. */
const WARM_HOURS = 8;
/** Live objects that later hours may have more than early ones, of some 100,000. */
const OBJECTS_FREE = 5000;

const FEW = '[process where event.action == "exec" and process.name in ("parent-1", "parent-2", "parent-3")]';
/** Rules of every kind that remembers. What `planted` and `absent` must alert for is planned. */
const RULES: readonly Rule[] = [
  ruleOf("planted", 'sequence by user.name with maxspan=1h [any where event.action == "plant"] [any where event.action == "reap"]'),
  ruleOf(
    "absent",
    'sequence by user.name with maxspan=30m [any where event.action == "begin-watch"] ![any where event.action == "end-watch"]',
  ),
  ruleOf("for-ever", 'sequence by process.entity_id [process where event.action == "exec"] [process where event.action == "never"]'),
  ruleOf("life", `sequence by process.entity_id with maxspan=10m ${FEW} [process where event.action == "end"]`),
  ruleOf("until", `sequence by process.entity_id ${FEW} [file where true] until [process where event.action == "end"]`),
  ruleOf("sample", 'sample by process.name [process where event.action == "exec"] [file where event.action == "never"]'),
  ruleOf("lineage", 'file where descendant of [process where event.action == "exec" and process.name == "parent-7"]'),
  ruleOf("throttled", 'process where event.action == "end"', { throttle: { by: ["process.entity_id"], limit: 1, windowMs: MINUTE_MS } }),
];

/** Counts alerts, and the keys of those that were planned. */
class Counter implements Sink {
  readonly name = "counter";
  readonly keepsState = true;
  readonly byRule = new Map<string, number>();
  readonly planned: string[] = [];
  checkpoints = 0;

  take(alerts: readonly Alert[], kept?: unknown): void {
    if (kept !== undefined) this.checkpoints++;
    for (const { ruleId, kind, events } of alerts) {
      const id = kind === "rule" ? ruleId : `${kind} ${ruleId}`;
      this.byRule.set(id, (this.byRule.get(id) ?? 0) + 1);
      if (ruleId === "planted" || ruleId === "absent") this.planned.push(userOf(events[0]));
    }
  }
}

function userOf(event: Alert["events"][number] | undefined): string {
  return (event?.["user"] as { readonly name: string } | undefined)?.name ?? "nobody";
}

interface Process {
  readonly pid: number;
  readonly startNs: bigint;
  readonly endMinute: number;
  readonly name: string;
}

/** Most that was seen at any look. */
interface Most {
  entries: number;
  stateBytes: number;
  tableBeyondLiving: number;
  lineageMarks: number;
  waiting: number;
}

class Day {
  readonly #chance: Chance;
  readonly #registry = new SchemaRegistry();
  readonly #table = new ProcessTable("day");
  readonly #tracker = new ProcessTracker(this.#table, () => undefined);
  readonly counter = new Counter();
  readonly bench: Bench;
  readonly most: Most = { entries: 0, stateBytes: 0, tableBeyondLiving: 0, lineageMarks: 0, waiting: 0 };
  /** Live objects at the end of each hour. */
  readonly objects: number[] = [];
  readonly expected: string[] = [];
  /** What a later minute is to do. */
  readonly #due = new Map<number, { readonly action: string; readonly key: string }[]>();
  #living: Process[] = [];
  #pid = 100;
  #pushed = 0;

  constructor(seed: number) {
    this.#chance = new Chance(seed);
    this.bench = benchOf({
      registry: this.#registry,
      limits: LIMITS,
      sinks: [this.counter],
      keep: { intervalMs: MINUTE_MS, live: true, position: String },
    });
  }

  get pushed(): number {
    return this.#pushed;
  }

  async run(): Promise<void> {
    await this.bench.engine.arm(RULES);
    for (let minute = 0; minute < HOURS * MINUTES_OF_HOUR; minute++) {
      await this.#minute(minute);
      if ((minute + 1) % MINUTES_OF_HOUR === 0) await this.#look();
    }
    await this.bench.engine.finish();
  }

  async #minute(minute: number): Promise<void> {
    this.#plan(minute);
    for (const { action, key } of this.#due.get(minute) ?? [])
      await this.#push(minute, 0, "process", { "event.action": action, "user.name": key });
    this.#due.delete(minute);
    for (const process of this.#living.filter(({ endMinute }) => endMinute === minute)) await this.#end(process, minute);
    this.#living = this.#living.filter(({ endMinute }) => endMinute > minute);
    for (let start = 0; start < STARTS; start++) await this.#start(minute, start);
    this.#table.expire(Number(this.#bootNs(minute, MINUTE_MS - 1)));
    this.bench.engine.input.progress?.(wallNs(minute, MINUTE_MS - 1));
    this.bench.clock.advance(MINUTE_MS);
  }

  /** Half of the pairs meet within the rule's hour, half of the watches are never ended. */
  #plan(minute: number): void {
    if (minute > SET_BACK_MINUTE - 80 && minute < SET_BACK_MINUTE + 10) return;
    const isHit = this.#chance.is(0.5);
    const pair = `pair${minute}`;
    this.#at(minute, "plant", pair);
    this.#at(minute + (isHit ? 50 : 70), "reap", pair);
    if (isHit && minute + 50 < HOURS * MINUTES_OF_HOUR) this.expected.push(pair);
    const isEnded = this.#chance.is(0.5);
    const watch = `watch${minute}`;
    this.#at(minute, "begin-watch", watch);
    if (isEnded && minute + 20 < HOURS * MINUTES_OF_HOUR) this.#at(minute + 20, "end-watch", watch);
    else this.expected.push(watch);
  }

  #at(minute: number, action: string, key: string): void {
    const due = this.#due.get(minute) ?? [];
    due.push({ action, key });
    this.#due.set(minute, due);
  }

  async #start(minute: number, index: number): Promise<void> {
    const ms = 1000 + Math.floor((index * (MINUTE_MS - 2000)) / STARTS);
    const parent = this.#living.length === 0 ? undefined : this.#chance.of(this.#living);
    // Most processes are soon gone, as on a machine that compiles.
    const endMinute = minute + 1 + (this.#chance.is(0.8) ? 0 : this.#chance.below(LIFE_MINUTES_MAX));
    do this.#pid = this.#pid + 1 < PID_MAX ? this.#pid + 1 : 100;
    while (this.#living.some(({ pid }) => pid === this.#pid));
    const startNs = this.#bootNs(minute, ms);
    const process: Process = { pid: this.#pid, startNs, endMinute, name: `parent-${this.#chance.below(PARENTS)}` };
    this.#living.push(process);
    const actor = { pid: process.pid, startNs, timeNs: startNs, ppid: parent?.pid ?? 1, parentStartNs: parent?.startNs ?? 0n };
    await this.#told(minute, ms, "fork", this.#tracker.apply(eventOf(forkRecord(actor))));
    const exec = execRecord(
      { ...actor, timeNs: startNs + 1n },
      { path: `/usr/bin/${process.name}`, args: Buffer.from(`${process.name}\0`) },
    );
    await this.#told(minute, ms + 1, "exec", this.#tracker.apply(eventOf(exec)));
    await this.#told(minute, ms + 2, "creation", this.#table.current(process.pid)!, "file");
  }

  async #end({ pid, startNs }: Process, minute: number): Promise<void> {
    const entry = this.#tracker.apply(eventOf(exitRecord({ pid, startNs, timeNs: this.#bootNs(minute, 1) }, 0)));
    await this.#told(minute, 1, "end", entry);
  }

  #told(minute: number, ms: number, action: string, { info, ancestors }: ProcessEntry, category = "process"): Promise<void> {
    return this.#push(minute, ms, category, {
      "event.action": action,
      "process.pid": BigInt(info.pid),
      "process.name": info.name,
      "process.entity_id": info.entityId,
      ...(ancestors[0] && { "process.parent.entity_id": ancestors[0].entityId }),
      "process.Ext.ancestry": ancestors.map(({ entityId }) => entityId),
    });
  }

  async #push(minute: number, ms: number, category: string, fields: Readonly<Record<string, FieldValue>>): Promise<void> {
    const { engine } = this.bench;
    const record = recordOf(this.#registry, { category, timeMs: Number(wallNs(minute, ms) / 1_000_000n), fields });
    while (!engine.input.push(record, 0, record.length)) await engine.input.ready();
    this.#pushed++;
  }

  #bootNs(minute: number, ms: number): bigint {
    return BigInt(minute * MINUTE_MS + ms + 1) * 1_000_000n;
  }

  async #look(): Promise<void> {
    const { engine, alerts } = this.bench;
    await engine.drain();
    const { entries, bytes, lineageMarks } = engine.sequenceMetrics();
    const { offered, evaluated, dropped, waiting } = engine.counters();
    expect({ offered, dropped, sum: evaluated + waiting }).toEqual({ offered: this.#pushed, dropped: 0, sum: this.#pushed });
    const beyond = this.#table.size - this.#living.length;
    const now = { entries, stateBytes: bytes, tableBeyondLiving: beyond, lineageMarks, waiting };
    for (const key of Object.keys(now) as (keyof Most)[]) this.most[key] = Math.max(this.most[key], now[key]);
    alerts.length = 0;
    Bun.gc(true);
    this.objects.push(heapStats().objectCount);
  }
}

/** In this minute the machine's clock is set back by two, and is behind from then on. */
const SET_BACK_MINUTE = 750;
const SET_BACK_MS = 2 * MINUTE_MS;
const MORNING_MS = 1_800_000_000_000;

function wallNs(minute: number, ms: number): bigint {
  return BigInt(MORNING_MS + minute * MINUTE_MS + ms - (minute >= SET_BACK_MINUTE ? SET_BACK_MS : 0)) * 1_000_000n;
}

function eventOf(record: Buffer): WholeEvent {
  const decoded = decode(new Uint8Array(record), 0, record.length);
  if (decoded === undefined || decoded.kind === "args") throw new Error("not a whole event");
  return decoded;
}

beforeAll(() => announce("a day"));

test("a day: nothing outgrows its bounds, and what must alert does once", async () => {
  const day = new Day(SEED);
  await day.run();
  const { bench, counter, most, objects } = day;
  expect(counter.planned.sort()).toEqual(day.expected.sort());
  const events = HOURS * MINUTES_OF_HOUR * STARTS;
  // Not vacuous: every rule had work, the quota was reached and told of, a pid was used again.
  expect(counter.byRule.get("throttled")).toBeGreaterThan(events * 0.9);
  expect(counter.byRule.get("life")).toBeGreaterThan((events / PARENTS) * 2);
  for (const rule of ["until", "lineage", "eviction for-ever"]) expect(counter.byRule.get(rule)).toBeGreaterThan(0);
  expect(events).toBeGreaterThan(PID_MAX);
  expect(counter.checkpoints).toBeGreaterThan(HOURS * 20);
  expect(most.entries).toBeGreaterThan(LIMITS.ruleEntriesMax);
  expect(most.entries).toBeLessThanOrEqual(LIMITS.entriesMax);
  expect(most.stateBytes).toBeLessThan(LIMITS.bytesMax);
  expect(most.tableBeyondLiving).toBeLessThanOrEqual(DEAD_MAX);
  expect(most.lineageMarks).toBeLessThanOrEqual(LIMITS.lineageMarksMax);
  const early = Math.max(...objects.slice(WARM_HOURS, HOURS / 2 + WARM_HOURS / 2));
  const late = Math.max(...objects.slice(HOURS / 2 + WARM_HOURS / 2));
  expect(late).toBeLessThan(early + OBJECTS_FREE);
  // The day is over and all time has passed: nothing is pending.
  expect(bench.engine.sequenceMetrics().entries).toBe(0);
  console.log(
    `a day: ${day.pushed} events, ${[...counter.byRule.values()].reduce((sum, count) => sum + count, 0)} alerts; at most ${most.entries} pending ` +
      `sequences in ${most.stateBytes} bytes, ${most.tableBeyondLiving} ended processes; ${early} live objects early, ${late} late`,
  );
  await bench.engine.close();
});
