// For tests of the engine: rules and records in few words, an engine with a recording sink, and a rule compiler whose rules fail on demand.
import { type Alert, encodeAlert, MockClock, type Sink, stringifyJson } from "#core";
import { type CompilableRule, type CompiledRules, compileHere, Engine, type EngineOptions, type RuleCompiler } from "#engine";
import { RecordBuilder } from "#event";
import type { Rule } from "#rules";
import { type FieldValue, hitWords, SchemaRegistry } from "#schema";
import { assemble } from "../runtime-wasm/wat.ts";

/** A rule with an EQL query; `more` says what is different. */
export function ruleOf(id: string, query: string, more: Partial<Rule> = {}): Rule {
  return {
    id,
    name: `Rule ${id}`,
    description: "",
    severity: "medium",
    tags: [],
    references: [],
    enabled: true,
    body: { kind: "eql", query, dialect: "default" },
    capture: [],
    exceptions: [],
    action: "alert",
    scope: "process",
    mode: "monitor",
    match: "latest",
    throttle: null,
    tests: { match: [], noMatch: [] },
    source: { file: "test", format: "yaml", line: 1, column: 1 },
    ...more,
  };
}

/** A rule written in Lua. */
export function luaRule(id: string, source: string, more: Partial<Rule> = {}): Rule {
  return ruleOf(id, "", { body: { kind: "lua", source }, ...more });
}

/** A rule that is a module: the body of its `pred_eval`, in WebAssembly text, and what else the module holds. */
export function wasmRule(id: string, body: string, extra = "", more: Partial<Rule> = {}): Rule {
  const bytes = assemble(`(module (memory (export "memory") 1) ${extra}
    (func (export "pred_eval") (param $event i32) (result i32) ${body}))`);
  return ruleOf(id, "", { body: { kind: "wasm", bytes }, ...more });
}

/** What an event holds. */
export interface EventSpec {
  readonly category?: string;
  readonly timeMs?: number;
  readonly fields?: Readonly<Record<string, FieldValue>>;
}

/** The record of an event. */
export function recordOf(registry: SchemaRegistry, { category = "process", timeMs = 1, fields = {} }: EventSpec): Uint8Array {
  const builder = new RecordBuilder();
  builder.begin(registry.categories.intern(category), BigInt(timeMs) * 1_000_000n);
  for (const [name, value] of Object.entries(fields)) {
    const field = registry.byName(name);
    if (field === undefined) throw new Error(`No field ${name}`);
    builder.value(field.id, field.type, value);
  }
  return builder.bytes.slice(0, builder.finish());
}

/** An engine with what it was told and gave. */
export interface Bench {
  readonly engine: Engine;
  readonly registry: SchemaRegistry;
  readonly clock: MockClock;
  readonly alerts: Alert[];
  readonly log: string[];
  /** Pushes events, waiting for room. */
  push(...events: readonly EventSpec[]): Promise<void>;
  /** Rule ids of the alerts, in order; quarantine alerts with a `!` before. */
  fired(): readonly string[];
}

/** Makes an engine. */
export function benchOf(options: Partial<EngineOptions> = {}): Bench {
  const registry = options.registry ?? new SchemaRegistry();
  const clock = new MockClock();
  const alerts: Alert[] = [];
  const log: string[] = [];
  const recorder: Sink = { name: "recorder", take: (raised) => void alerts.push(...raised) };
  const engine = new Engine({
    registry,
    clock,
    log: { write: (level, text) => log.push(`${level}: ${text}`) },
    partitions: 1,
    backend: "wasm",
    compile: compileHere,
    whenFull: "block",
    flushMs: 0,
    cacheDirectory: undefined,
    batchBudgetMs: undefined,
    ...options,
    sinks: [...(options.sinks ?? []), recorder],
  });
  return {
    engine,
    registry,
    clock,
    alerts,
    log,
    async push(...events) {
      for (const event of events) {
        const record = recordOf(registry, event);
        while (!engine.input.push(record, 0, record.length)) await engine.input.ready();
      }
    },
    fired: () => alerts.map(({ kind, ruleId }) => (kind === "quarantine" ? `!${ruleId}` : ruleId)),
  };
}

/** The bytes an alert is printed as. */
export function alertLine(alert: Alert): string {
  return stringifyJson(encodeAlert(alert));
}

/** A promise with its ends. */
export function deferred<T = void>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } {
  return Promise.withResolvers<T>();
}

// Queries of {@link faultyCompiler}: what the rule does with records of one category.
const FAULTY = /^(hit|trap|spin) (\w+)$/;
const ACTS: Readonly<Record<string, string>> = { trap: "(unreachable)", spin: "(loop $spin (br $spin))" };

/**
 * A compiler of rules that say `hit process`, `trap file` or `spin file` (an endless loop): real modules for the real runtime, which fail as
 * no compiled EQL rule should. An exception of a Lua or Wasm rule is written the same way and fails in its gate.
 */
export const faultyCompiler: RuleCompiler = async (rules, registry) => {
  const inSet = rules.map((rule, index) => ({ rule, index })).filter(({ rule }) => rule.body.kind === "eql" || rule.exceptions.length > 0);
  const predicates = rules.map(() => -1);
  const words = hitWords(inSet.length);
  const checks = inSet.map(({ rule, index }, predicate) => {
    predicates[index] = predicate;
    const [, act = "", category = ""] = FAULTY.exec(textOf(rule)) ?? [];
    const does = ACTS[act] ?? storeBit(predicate);
    const isCategory = `(i32.eq (i32.load16_u offset=4 (local.get $at)) (i32.const ${registry.categories.idOf(category)}))`;
    const otherwise = rule.body.kind === "eql" ? "" : storeBit(predicate);
    return `(global.set $current (i32.const ${predicate})) (if ${isCategory} (then ${does}) (else ${otherwise}))`;
  });
  const wasm = assemble(`(module
    (memory (export "memory") 1)
    (global $current (export "current") (mut i32) (i32.const -1))
    (global (export "heap_base") i32 (i32.const 1024))
    (func (export "eval") (param $at i32) (param $count i32) (param $out i32) (result i32)
      (memory.fill (local.get $out) (i32.const 0) (i32.mul (local.get $count) (i32.const ${words * 4})))
      (block $done (loop $next
        (br_if $done (i32.eqz (local.get $count)))
        ${checks.join("\n")}
        (local.set $at (i32.add (local.get $at) (i32.load (local.get $at))))
        (local.set $out (i32.add (local.get $out) (i32.const ${words * 4})))
        (local.set $count (i32.sub (local.get $count) (i32.const 1)))
        (br $next)))
      (global.set $current (i32.const -1))
      (i32.const 0)))`);
  const program = { wasm, lua: "", predicates: inSet.map(({ rule }) => ({ ruleId: rule.id })) };
  const compiled: CompiledRules = {
    program,
    predicates,
    plans: rules.map(() => undefined),
    diagnostics: rules.map(() => []),
    policies: [],
    reach: [],
    demands: rules.map(() => []),
    categories: registry.categories.names(),
  };
  return compiled;
};

function textOf({ body, exceptions }: CompilableRule): string {
  return body.kind === "eql" ? body.query : (exceptions[0] ?? "");
}

function storeBit(predicate: number): string {
  const at = `(i32.add (local.get $out) (i32.const ${(predicate >>> 5) * 4}))`;
  return `(i32.store ${at} (i32.or (i32.load ${at}) (i32.const ${1 << (predicate & 31)})))`;
}

const NTH = `(global $seen (mut i32) (i32.const 0))`;
const COUNT = "(global.set $seen (i32.add (global.get $seen) (i32.const 1)))";

/** A module that matches every event before the nth and then does `act`: it counts, so it also shows that modules keep state. */
export function wasmFailingAt(id: string, nth: number, act: string): Rule {
  return wasmRule(id, `${COUNT} (if (i32.ge_u (global.get $seen) (i32.const ${nth})) (then ${act})) (i32.const 1)`, NTH);
}
