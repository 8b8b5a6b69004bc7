// Compiled rules as the agent runs them: libwasmtime behind the real evaluator, with its copy in, fuel and checks; LuaJIT and Bun's own
// WebAssembly beside it. Also what lies under it: one FFI call, and loading a compiled module from the cache.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Evaluator, RecordBatch } from "#core";
import { compileRuleSet } from "#eql";
import { WasmEngine, WasmLinker, WasmModule, WasmStore } from "#ffi/libwasmtime";
import { createLuaRuleSetEvaluator } from "#runtime-lua";
import { createRuleSetEvaluator, WasmRuntime } from "#runtime-wasm";
import type { RuleSetProgram } from "#schema";
import { seededRandom, WasmRunner } from "../eql/backend-support.ts";
import { corpusSources } from "./corpus.ts";
import { bestNs, median, printAlone, quantile, type Row, type Section, skipped } from "./row.ts";
import { registry, sensorRecord } from "./sensor-events.ts";

const SAMPLES = 400_000;
const WARM_UP = 50_000;
const BATCH = 256;
const SINGLE_EVENTS = 64;
const ROUNDS = 200;
/** Longest time of one figure; LuaJIT is far from the others. */
const FIGURE_MS_MAX = 3000;
const QUERY = 'process where event.type == "start" and process.name == "bash"';

function batchOf(records: readonly Uint8Array[]): RecordBatch {
  const offsets = new Uint32Array(records.length);
  const length = records.reduce((sum, record) => sum + record.length, 0);
  const bytes = new Uint8Array(new SharedArrayBuffer(length));
  let at = 0;
  for (const [index, record] of records.entries()) {
    bytes.set(record, at);
    offsets[index] = at;
    at += record.length;
  }
  return { bytes, offsets, length, count: records.length };
}

/** Every call is a sample; the clock's own cost, measured the same way, is taken off. */
function singleEventRows(runtime: WasmRuntime, records: readonly Uint8Array[]): readonly Row[] {
  const { program } = compileRuleSet([{ id: "q", text: QUERY, dialect: "default", exceptions: [], lenientFields: false }], registry, [
    "wasm",
  ]);
  const evaluator = createRuleSetEvaluator(program, { runtime });
  try {
    const batches = records.slice(0, SINGLE_EVENTS).map((record) => batchOf([record]));
    for (let index = 0; index < WARM_UP; index++) evaluator.evaluate(batches[index % SINGLE_EVENTS]!);
    const timer = new Float64Array(SAMPLES);
    for (let index = 0; index < SAMPLES; index++) {
      const startNs = Bun.nanoseconds();
      timer[index] = Bun.nanoseconds() - startNs;
    }
    const timerNs = quantile(timer, 0.5);
    const samples = new Float64Array(SAMPLES);
    for (let index = 0; index < SAMPLES; index++) {
      const batch = batches[index % SINGLE_EVENTS]!;
      const startNs = Bun.nanoseconds();
      evaluator.evaluate(batch);
      samples[index] = Bun.nanoseconds() - startNs - timerNs;
    }
    const note = `batch of one, ${SAMPLES} calls over ${SINGLE_EVENTS} events; the clock's ${Math.round(timerNs)} ns taken off`;
    const whole = batchOf(records);
    const perEvent = inBatches(evaluator, whole);
    return [
      { name: "one predicate, one event, libwasmtime", value: quantile(samples, 0.5), p99: quantile(samples, 0.99), unit: "ns", note },
      { name: "the same in batches of 256", ...perEvent, unit: "ns/event", note: "copy of the events included" },
    ];
  } finally {
    evaluator.close();
  }
}

function inBatches(evaluator: Evaluator, batch: RecordBatch): { readonly value: number; readonly p99: number } {
  const samples: number[] = [];
  const untilMs = performance.now() + FIGURE_MS_MAX;
  while (samples.length < ROUNDS && (samples.length < 3 || performance.now() < untilMs)) {
    const startNs = Bun.nanoseconds();
    evaluator.evaluate(batch);
    samples.push((Bun.nanoseconds() - startNs) / batch.count);
  }
  const sorted = Float64Array.from(samples);
  return { value: quantile(sorted, 0.5), p99: quantile(sorted, 0.99) };
}

function corpusRows(runtime: WasmRuntime, records: readonly Uint8Array[]): readonly Row[] {
  const sources = corpusSources();
  if (sources.length === 0) return skipped("the public rules", "the corpus is not there");
  const { program } = compileRuleSet(sources, registry);
  const batch = batchOf(records);
  const bytes = Math.round(batch.length / batch.count);
  const note = `${program.predicates.length} rules, batches of ${BATCH}, events of ${bytes} bytes`;
  const rows: Row[] = [];
  const add = (where: string, nsPerEvent: number): void => {
    rows.push({ name: `public rules, ${where}`, value: 1e9 / nsPerEvent, unit: "events/s", note });
  };
  for (const [where, create] of [
    ["libwasmtime", () => createRuleSetEvaluator(program, { runtime })],
    ["LuaJIT", () => createLuaRuleSetEvaluator(program)],
  ] as const) {
    const evaluator = create();
    inBatches(evaluator, batch);
    add(where, inBatches(evaluator, batch).value);
    evaluator.close();
  }
  const runner = new WasmRunner(program.wasm, program.predicates.length);
  const { batch: at, out } = runner.place(records);
  const run = (): number => runner.run(at, records.length, out);
  bestNs(ROUNDS, run, 1);
  add("Bun's WebAssembly, events already inside", median(Array.from({ length: ROUNDS }, () => bestNs(1, run, 1) / BATCH)));
  return [...rows, ...moduleRows(program)];
}

/** Compiling and loading by libwasmtime: what a first and what every later start pays. */
function moduleRows(program: RuleSetProgram): readonly Row[] {
  const directory = mkdtempSync(join(tmpdir(), "kestrel-bench-"));
  try {
    const open = (): number => {
      const runtime = new WasmRuntime({ cacheDirectory: directory });
      const startNs = Bun.nanoseconds();
      createRuleSetEvaluator(program, { runtime }).close();
      const tookMs = (Bun.nanoseconds() - startNs) / 1e6;
      runtime.close();
      return tookMs;
    };
    const first = open();
    return [
      { name: "public rules: Wasm to machine code", value: first, unit: "ms", note: "once; kept in the cache" },
      { name: "public rules: from the cache to ready", value: median(Array.from({ length: 9 }, open)), unit: "ms" },
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

// (module (memory (export "memory") 1) (func (export "nop") (result i32) i32.const 0))
const NOP = Uint8Array.from([
  0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 5, 3, 1, 0, 1, 7, 16, 2, 6, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 2,
  0, 3, 0x6e, 0x6f, 0x70, 0, 0, 10, 6, 1, 4, 0, 0x41, 0, 0x0b,
]);

function callRows(): readonly Row[] {
  const engine = new WasmEngine({ stackBytesMax: 1 << 19, parallelCompilation: false });
  const module = WasmModule.compile(engine, NOP);
  const linker = new WasmLinker(engine);
  const store = new WasmStore(engine, { memoryBytesMax: 1 << 20, tableElementsMax: 16 });
  store.setFuel(Number.MAX_SAFE_INTEGER);
  const instance = linker.instantiate(store, module);
  const memory = instance.memory("memory");
  const nop = instance.func("nop", "() -> i32");
  const best = "best of 7 rounds of 1,000,000";
  const rows: Row[] = [
    { name: "FFI call, libwasmtime, memory size", value: bestNs(1e6, () => memory.byteLength), unit: "ns", note: best },
    { name: "call of an empty guest function", value: bestNs(1e6, () => nop.call()), unit: "ns", note: best },
  ];
  store.close();
  linker.close();
  module.close();
  engine.close();
  return rows;
}

function rows(): readonly Row[] {
  const random = seededRandom(7);
  const records = Array.from({ length: BATCH }, () => sensorRecord(random));
  const runtime = new WasmRuntime();
  try {
    return [...callRows(), ...singleEventRows(runtime, records), ...corpusRows(runtime, records)];
  } finally {
    runtime.close();
  }
}

/** What evaluating costs. */
export const evaluatorSection: Section = { name: "evaluator", rows };

if (import.meta.main) await printAlone(evaluatorSection);
