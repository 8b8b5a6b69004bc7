// What the simulation is made of: seeded choice, generated rules and events, partition workers that the simulation steps by hand, and the
// naive model of what must be alerted: the reference evaluator over each accepted record, with the rules armed at its place.
import fc from "fast-check";
import { createReferencePredicate } from "#eql";
import { RecordBuilder, RecordView } from "#event";
import type { Rule } from "#rules";
import { CATEGORY_NONE, CATEGORY_SEVERAL, type SchemaRegistry } from "#schema";
import { ruleSetFactory } from "../../src/engine/evaluators.ts";
import { InlinePartition, type PreparedSet, type WorkerReply, type WorkerRequest } from "../../src/engine/partition.ts";
import { luaRule, ruleOf } from "../engine/fixture.ts";
import { seededRandom } from "../eql/backend-support.ts";
import { eventArbitrary, type GeneratedEvent, queryArbitrary } from "../eql/generate.ts";

/** Seed of this run: KESTREL_SEED, or new each time. */
export const SEED: number = Number(process.env["KESTREL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));

const commit = Bun.spawnSync(["git", "rev-parse", "--short", "HEAD"], { cwd: import.meta.dir, stderr: "ignore" })
  .stdout.toString()
  .trim();

/** Says how to repeat this run. */
export function announce(what: string): void {
  console.log(`${what}: KESTREL_SEED=${SEED} at commit ${commit || "unknown"}`);
}

/** Seeded choices. */
export class Chance {
  readonly #random: () => number;

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** A whole number in [0, end). */
  below(end: number): number {
    return Math.floor(this.#random() * end);
  }

  /** True with this probability. */
  is(probability: number): boolean {
    return this.#random() < probability;
  }

  /** One of the items. */
  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** The record of a generated event. */
export function generatedRecord(registry: SchemaRegistry, event: GeneratedEvent, timeNs: bigint): Uint8Array {
  const builder = new RecordBuilder();
  const { categories, fields } = event;
  const single = categories.length === 1 ? registry.categories.intern(categories[0] as string) : CATEGORY_SEVERAL;
  builder.begin(categories.length === 0 ? CATEGORY_NONE : single, timeNs);
  for (const [name, value] of Object.entries({ ...fields, ...(categories.length > 1 && { "event.category": categories }) })) {
    const field = registry.byName(name);
    if (field === undefined) throw new Error(`No field ${name}`);
    builder.value(field.id, field.type, value);
  }
  return builder.bytes.slice(0, builder.finish());
}

/** Events by seed. */
export function generatedEvents(seed: number, count: number): readonly GeneratedEvent[] {
  return fc.sample(eventArbitrary, { seed, numRuns: count });
}

/** EQL rules that compile, by seed. */
export function generatedRules(registry: SchemaRegistry, seed: number, count: number): readonly Rule[] {
  const queries = fc.sample(queryArbitrary("default", 2), { seed, numRuns: count * 2 });
  const rules = queries.map((query, index) => ruleOf(`eql.${index}`, query, { exceptions: index % 3 === 0 ? ["process.pid == 7"] : [] }));
  return rules.filter((rule) => predicateOf(rule, registry) !== undefined).slice(0, count);
}

/** Lua rules with the same thing said in TypeScript. */
export const LUA_RULES: readonly (readonly [rule: Rule, matches: (record: RecordView, registry: SchemaRegistry) => boolean])[] = [
  [luaRule("lua.file", 'return event:category() == "file"'), (record, registry) => record.category === registry.categories.idOf("file")],
  [
    luaRule("lua.host", 'return event["host.ip"] ~= nil', { throttle: { by: [], limit: 3, windowMs: 40 } }),
    (record, registry) => record.has(registry.idOf("host.ip")),
  ],
];

type Matches = (record: RecordView) => boolean;

function predicateOf(rule: Rule, registry: SchemaRegistry): Matches | undefined {
  const lua = LUA_RULES.find(([{ id }]) => id === rule.id);
  if (lua !== undefined) return (record) => lua[1](record, registry);
  if (rule.body.kind !== "eql") return undefined;
  const { query, dialect } = rule.body;
  const source = { id: rule.id, text: query, dialect, exceptions: rule.exceptions, lenientFields: false };
  const { predicate } = createReferencePredicate(source, registry);
  return predicate === undefined ? undefined : (record) => predicate(record) === true;
}

/** A change of rules and the number of records accepted before it. */
export interface Border {
  readonly accepted: number;
  readonly rules: readonly Rule[];
}

/** What the model expects of one alert. */
export interface Expected {
  readonly seq: bigint;
  readonly ruleId: string;
}

/** Memory of a rule that stays armed unchanged: when its throttle let alerts pass, newest window only. */
interface Window {
  startNs: bigint;
  count: number;
}

/** Every alert that must come, in order. Slow and plain on purpose. */
export function expectedAlerts(records: readonly Uint8Array[], borders: readonly Border[], registry: SchemaRegistry): readonly Expected[] {
  const expected: Expected[] = [];
  let memory = new Map<string, { readonly rule: Rule; readonly windows: Map<string, Window>; readonly matches: Matches }>();
  records.forEach((bytes, seq) => {
    for (const border of borders.filter(({ accepted }) => accepted === seq)) {
      const before = memory;
      memory = new Map();
      for (const rule of border.rules) {
        const known = before.get(rule.id);
        const matches = predicateOf(rule, registry);
        if (matches === undefined || !rule.enabled) continue;
        memory.set(rule.id, known !== undefined && Bun.deepEquals(known.rule, rule) ? known : { rule, windows: new Map(), matches });
      }
    }
    const record = new RecordView().reset(bytes, 0);
    const inOrder = [...memory.values()].sort((a, b) => Number(a.rule.body.kind !== "eql") - Number(b.rule.body.kind !== "eql"));
    for (const { rule, windows, matches } of inOrder) {
      if (matches(record) && admits(rule, windows, record, registry)) expected.push({ seq: BigInt(seq), ruleId: rule.id });
    }
  });
  return expected;
}

function admits({ throttle }: Rule, windows: Map<string, Window>, record: RecordView, registry: SchemaRegistry): boolean {
  if (throttle === null) return true;
  const key = JSON.stringify(throttle.by.map((name) => String(record.value(registry.idOf(name)))));
  const window = windows.get(key);
  const apartNs = window === undefined ? 0n : record.timeNs - window.startNs;
  const widthNs = BigInt(throttle.windowMs) * 1_000_000n;
  if (window === undefined || apartNs >= widthNs || apartNs <= -widthNs) {
    windows.set(key, { startNs: record.timeNs, count: 1 });
    return true;
  }
  return window.count++ < throttle.limit;
}

/** A partition worker in this thread that does one thing when it is told to: the messages of the real one, without its timing. */
export class SteppedWorker {
  /** Those made since the simulation began. */
  static readonly all: SteppedWorker[] = [];
  onmessage: ((event: { readonly data: WorkerReply }) => void) | undefined;
  onerror: ((event: { readonly message: string }) => void) | undefined;
  readonly #requests: WorkerRequest[] = [];
  readonly #partition = new InlinePartition(ruleSetFactory("wasm", undefined));
  readonly #prepared = new Map<number, PreparedSet>();

  constructor() {
    SteppedWorker.all.push(this);
  }

  addEventListener(): void {
    // This worker never ends by itself.
  }

  terminate(): void {
    this.#requests.length = 0;
  }

  postMessage(request: WorkerRequest): void {
    // A message is a copy; a batch's bytes are shared.
    this.#requests.push(request.kind === "evaluate" ? { ...request, batch: { ...request.batch } } : request);
  }

  /** Whether there is something to do. */
  get busy(): boolean {
    return this.#requests.length > 0;
  }

  /** Does the next thing it was asked. */
  async step(): Promise<void> {
    const request = this.#requests.shift();
    if (request !== undefined) this.onmessage?.({ data: await this.#answer(request) });
  }

  async #answer(request: WorkerRequest): Promise<WorkerReply> {
    const { id } = request;
    switch (request.kind) {
      case "prepare":
        this.#prepared.set(
          id,
          await this.#partition.prepare({
            program: request.program,
            rules: [],
            plans: [],
            slots: new Int32Array(0),
            gates: new Map(),
            policies: [],
          }),
        );
        return { kind: "done", id };
      case "commit":
      case "discard":
        this.#prepared.get(request.prepared)?.[request.kind]();
        return { kind: "done", id };
      case "evaluate": {
        const result = this.#partition.evaluate(request.batch);
        if (result.kind === "hits") return { kind: "hits", id, hits: result.hits };
        const { kind, predicate, message } = result.fault;
        return { kind: "fault", id, fault: { faultKind: kind, predicate, message } };
      }
      case "close":
        await this.#partition.close();
        return { kind: "done", id };
    }
  }
}

/** Lets everything that can go on without a step go on. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
}
