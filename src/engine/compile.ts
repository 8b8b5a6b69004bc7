// Rules to a program: the conditions of EQL rules, and the exceptions of Lua and Wasm rules as predicates beside them.
// Runs in the caller's thread; compile-worker.ts runs it in another, so that a running agent neither pauses nor keeps the compiler in memory.
import { workerUrl } from "#core";
import {
  type Backend,
  type Demand,
  type Diagnostic,
  type EventWords,
  type ExtraField,
  everyEvent,
  type RulePlan,
  type RulePolicy,
  type RuleSetProgram,
  type SchemaRegistry,
} from "#schema";
import { policyOf } from "./ladder.ts";
import { type CompilableRule, querySource } from "./query-source.ts";
import { type RuleReach, reachOf } from "./reach.ts";

/** A compiled set. Lists are parallel to the rules that were given. */
export interface CompiledRules {
  readonly program: RuleSetProgram;
  /** Predicate of each rule; -1 for one with errors, one with a plan, and for a Lua or Wasm rule without exceptions. */
  readonly predicates: readonly number[];
  /** Plan of each rule that depends on several events. */
  readonly plans: readonly (RulePlan | undefined)[];
  readonly diagnostics: readonly (readonly Diagnostic[])[];
  /** What the kernel can decide of the rules with an action; not parallel. */
  readonly policies: readonly RulePolicy[];
  /** What decides how far the actions of the rules that have one reach; not parallel. */
  readonly reach: readonly RuleReach[];
  /**
   * What each rule can match of events of the words that were asked about. A Lua rule, which may look at anything, wants all that its
   * exceptions leave; a Wasm rule all, since what it sees of one event may tell in its answer about another.
   */
  readonly demands: readonly Demand[];
  /** Names of all categories in id order: the program refers to ids. */
  readonly categories: readonly string[];
}

/** Compiles rules for one registry and back end; `words` are what sources can send, for {@link CompiledRules.demands}. */
export type RuleCompiler = (
  rules: readonly CompilableRule[],
  registry: SchemaRegistry,
  backend: Backend,
  words?: readonly EventWords[],
) => Promise<CompiledRules>;

/** Compiles in this thread. The compiler is loaded at the first use. */
export const compileHere: RuleCompiler = async (rules, registry, backend, words = []) => {
  const { compileRuleSet } = await import("#eql");
  const inSet = rules.map((rule, index) => ({ rule, index })).filter(({ rule }) => rule.body.kind === "eql" || rule.exceptions.length > 0);
  const { program, queries } = compileRuleSet(
    inSet.map(({ rule }) => querySource(rule)),
    registry,
    [backend],
    words,
  );
  const demands: Demand[] = rules.map(({ body }) => (body.kind === "eql" ? [] : everyEvent(words)));
  const predicates = rules.map(() => -1);
  const plans: (RulePlan | undefined)[] = rules.map(() => undefined);
  const diagnostics: (readonly Diagnostic[])[] = rules.map(() => []);
  queries.forEach((query, position) => {
    const index = inSet[position]?.index as number;
    predicates[index] = query.predicate;
    plans[index] = query.plan;
    if (rules[index]?.body.kind !== "wasm") demands[index] = query.demand;
    const isUserRule = rules[index]?.body.kind !== "eql";
    diagnostics[index] = isUserRule && query.plan !== undefined ? [...query.diagnostics, LINEAGE_REFUSED] : query.diagnostics;
  });
  const reaches = await Promise.all(rules.map((rule) => reachOf(rule, registry)));
  const policies = rules.flatMap((rule, index) => policyOf(rule, reaches[index]?.condition) ?? []);
  const reach = reaches.flatMap((one) => one ?? []);
  return { program, predicates, plans, diagnostics, policies, reach, demands, categories: registry.categories.names() };
};

/** What a Lua or Wasm rule decides it decides at its event, alone. */
const LINEAGE_REFUSED: Diagnostic = {
  severity: "error",
  code: "unsupported",
  message: "An exception of a Lua or Wasm rule cannot ask about lineage",
  span: { from: 0, to: 0, line: 1, column: 1 },
};

/** What a compile worker is sent: rules without module bytes, and what makes its registry equal to the sender's. */
export interface CompileRequest {
  readonly rules: readonly CompilableRule[];
  readonly extraFields: readonly ExtraField[];
  readonly categories: readonly string[];
  readonly backend: Backend;
  readonly words: readonly EventWords[];
}

/** What it answers. */
export type CompileReply = { readonly compiled: CompiledRules } | { readonly error: string };

/** Compiles in a worker thread that ends with its answer. */
export const compileInWorker: RuleCompiler = async (rules, registry, backend, words) => {
  const compiled = await compileInOneWorker(rules, registry, backend, words);
  if (adopt(compiled.categories, registry)) return compiled;
  // An event brought a new category meanwhile and took a number that the worker gave to another. This time the worker knows all names.
  return compileInOneWorker(rules, registry, backend, words);
};

/** Gives the worker's categories the same numbers here. False when another name has one of them. */
function adopt(categories: readonly string[], registry: SchemaRegistry): boolean {
  for (const name of categories) registry.categories.intern(name);
  const names = registry.categories.names();
  return categories.every((name, index) => names[index] === name);
}

const compileInOneWorker: RuleCompiler = async (rules, registry, backend, words = []) => {
  const worker = new Worker(workerUrl("engine/compile-worker.ts"));
  try {
    const reply = await new Promise<CompileReply>((resolve, reject) => {
      worker.onmessage = (event: MessageEvent<CompileReply>) => resolve(event.data);
      worker.onerror = (event) => reject(new Error(event.message));
      const request: CompileRequest = {
        rules: rules.map(({ id, body, exceptions, action, mode, scope }) => ({
          id,
          body: body.kind === "wasm" ? { kind: "wasm", bytes: new Uint8Array(0) } : body,
          exceptions,
          action,
          mode,
          scope,
        })),
        extraFields: registry.extraFields(),
        categories: registry.categories.names(),
        backend,
        words,
      };
      worker.postMessage(request);
    });
    if ("error" in reply) throw new Error(reply.error);
    return reply.compiled;
  } finally {
    worker.terminate();
  }
};
