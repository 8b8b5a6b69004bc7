// EQL rule sets in Bun's own WebAssembly: cost of one predicate on one event, and of compiling every public rule. What libwasmtime and LuaJIT
// make of them is in evaluator.bench.ts.
import { compileExpression, compileRuleSet } from "#eql";
import { SchemaRegistry } from "#schema";
import { type ConditionNode, IrBuilder } from "../../src/eql/ir.ts";
import { lowerQuery } from "../../src/eql/query.ts";
import { emitWasm } from "../../src/eql/wasm.ts";
import { seededRandom, viewOf, WasmRunner } from "../eql/backend-support.ts";
import { corpusSources } from "./corpus.ts";
import { median, printAlone, type Row, type Section, skipped } from "./row.ts";
import { registry, sensorRecord } from "./sensor-events.ts";

const BATCH = 256;
const ROUNDS = 400;
const COMPILE_ROUNDS = 3;

function lower(text: string): ConditionNode[] {
  const builder = new IrBuilder();
  const { condition } = lowerQuery({ id: "q", text, dialect: "default", exceptions: [], lenientFields: true }, registry, builder);
  return condition === undefined ? [] : [condition];
}

/** Nanoseconds an event, in batches. */
function inBatches(text: string, records: readonly Uint8Array[]): number {
  const roots = lower(text);
  const runner = new WasmRunner(emitWasm(roots), roots.length);
  const { batch, out } = runner.place(records);
  return median(
    Array.from({ length: ROUNDS }, () => {
      const startNs = Bun.nanoseconds();
      runner.run(batch, records.length, out);
      return (Bun.nanoseconds() - startNs) / records.length;
    }),
  );
}

const SINGLE: readonly (readonly [string, string])[] = [
  ["a guard rules it out", 'any where event.kind == "no such kind"'],
  ["equality", 'process where process.name == "bash"'],
  ["list of 8, any case", 'process where process.name : ("a", "b", "c", "d", "e", "f", "g", "bash")'],
  ["wildcards over arguments", 'any where process.args like ("/tmp/*", "*--verbose*")'],
  ["contains in a command line", 'any where process.command_line like~ "*--CONFIG /etc/*"'],
  ["regex over a command line", 'any where process.command_line regex ".*/etc/app/[0-9]+\\\\.conf.*"'],
  ["length and arithmetic", "any where length(process.command_line) + process.pid * 2 > 1000"],
  ["cidr", 'network where cidrMatch(destination.ip, "10.0.0.0/8", "fe80::/10")'],
];

function compileRows(): readonly Row[] {
  const sources = corpusSources();
  if (sources.length === 0) return skipped("compiling the public rules", "the corpus is not there");
  let bytes = 0;
  let planned = 0;
  const timesMs = Array.from({ length: COMPILE_ROUNDS }, () => {
    const startNs = Bun.nanoseconds();
    const { program, queries } = compileRuleSet(sources, new SchemaRegistry(), ["wasm"]);
    bytes = program.wasm.length;
    planned = queries.filter((query) => query.plan !== undefined).length;
    return (Bun.nanoseconds() - startNs) / 1e6;
  });
  const note = `${sources.length} rules, ${planned} of them with a plan`;
  return [
    { name: "public rules: text to Wasm", value: median(timesMs), unit: "ms", note },
    { name: "public rules: first time in a process", value: timesMs[0]!, unit: "ms" },
    { name: "public rules: module", value: bytes / 1024, unit: "KiB" },
  ];
}

function rows(): readonly Row[] {
  const random = seededRandom(7);
  const records = Array.from({ length: BATCH }, () => sensorRecord(random));
  const singles = SINGLE.map(([name, text]): Row => ({ name: `predicate: ${name}`, value: inBatches(text, records), unit: "ns/event" }));
  return [
    ...singles.map((row) => ({ ...row, note: "batches of 256, Bun's WebAssembly" })),
    ...RESIDUALS.map(([name, condition]) => residualRow(name, condition)),
    ...compileRows(),
  ];
}

const RESIDUALS: readonly (readonly [string, string])[] = [
  ["contains, any case, of an earlier command line", "stringcontains~(event0.process.command_line, file.name)"],
  ["equality with an earlier field", "event0.process.name == process.name"],
  ["wildcards and regex", 'event0.process.command_line like~ "*--CONFIG /etc/*" or event0.process.name regex "x[0-9]+"'],
];

/** What is left of a step that looks at an earlier one, in TypeScript. */
function residualRow(name: string, condition: string): Row {
  const text = `sequence [process where true] as event0 [any where ${condition}]`;
  const source = { id: "q", text, dialect: "default", exceptions: [], lenientFields: true } as const;
  const evaluator = compileExpression(compileRuleSet([source], registry, []).queries[0]!.plan!.steps[1]!.residual!);
  const random = seededRandom(7);
  const views = Array.from({ length: BATCH }, () => viewOf(sensorRecord(random)));
  const times = Array.from({ length: ROUNDS }, () => {
    const startNs = Bun.nanoseconds();
    for (const [index, event] of views.entries()) {
      evaluator.truth({ event, earlier: () => views[(index + 1) % BATCH], lineage: () => null });
    }
    return (Bun.nanoseconds() - startNs) / BATCH;
  });
  return { name: `residual: ${name}`, value: median(times), unit: "ns/event", note: "reading the records included" };
}

/** The compiler and its code. */
export const eqlSection: Section = { name: "eql", rows };

if (import.meta.main) await printAlone(eqlSection);
