// Evaluator of one user's Lua rule: text → tree → rewritten Lua → a sandboxed state that takes whole batches. Everything wrong with the text is
// a diagnostic; everything wrong while it runs is a RuleFault. A rule keeps nothing between events, so partitions and batches do not matter.
import { type Emission, type Evaluator, type FaultPlace, KestrelError, type RecordBatch, RuleFault } from "#core";
import type { CategoryTable, Diagnostic, SchemaRegistry } from "#schema";
import { BatchMemory } from "./batch-memory.ts";
import { addExpressions, type RegexCompiler } from "./regex-table.ts";
import { rewrite } from "./rewrite.ts";
import { type LuaFailure, Sandbox } from "./sandbox.ts";
import { resolveScope, type Scope } from "./scope.ts";
import { Findings, type ParsedSource, parseSource } from "./source.ts";

/** Ticks of one event, about one an operation: a walk over the bytes of the longest argument fits several times. */
export const LUA_EVENT_TICKS = 5_000_000;
/** Ticks of loading a rule, pred_init included. */
export const LUA_LOAD_TICKS = 20_000_000;
/** KiB of memory of one rule's Lua state. */
export const LUA_MEMORY_KIB: number = 16 << 10;

/** Options of {@link createLuaRuleEvaluator}. */
export interface LuaRuleOptions {
  /** Compiles the patterns of re_match. Without it a rule that uses re_match is refused. */
  readonly compileRegex?: RegexCompiler;
  readonly eventTicks?: number;
  readonly loadTicks?: number;
  readonly memoryKib?: number;
}

/** The evaluator of a rule, missing when a diagnostic is an error. */
export interface LuaRuleResult {
  readonly evaluator: Evaluator | undefined;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Loads a user's Lua rule. Never throws for what the text holds, and bounded in time for any text; throws KestrelError when LuaJIT itself
 * cannot be loaded.
 */
export function createLuaRuleEvaluator(source: string, registry: SchemaRegistry, options: LuaRuleOptions = {}): LuaRuleResult {
  const findings = new Findings(source);
  const parsed = parseSource(findings);
  if (parsed === undefined) return { evaluator: undefined, diagnostics: findings.items };
  const sandbox = new Sandbox({
    eventTicks: options.eventTicks ?? LUA_EVENT_TICKS,
    loadTicks: options.loadTicks ?? LUA_LOAD_TICKS,
    memoryKib: options.memoryKib ?? LUA_MEMORY_KIB,
  });
  try {
    if (loadRule({ findings, parsed, registry, sandbox, compileRegex: options.compileRegex })) {
      return { evaluator: new LuaRuleEvaluator(sandbox, registry.categories), diagnostics: findings.items };
    }
  } catch (error) {
    sandbox.close();
    throw error;
  }
  sandbox.close();
  return { evaluator: undefined, diagnostics: findings.items };
}

interface LoadInput {
  readonly findings: Findings;
  readonly parsed: ParsedSource;
  readonly registry: SchemaRegistry;
  readonly sandbox: Sandbox;
  readonly compileRegex: RegexCompiler | undefined;
}

/** True when the rule is ready; findings say why otherwise. */
function loadRule(input: LoadInput): boolean {
  const { findings, parsed, sandbox } = input;
  const { body } = parsed.chunk;
  const short = body.at(-1)?.type === "ReturnStatement";
  const refusal = sandbox.check(Buffer.from(findings.text, "utf8"));
  if (refusal !== undefined) {
    const located = /^rule:(\d+): (.*)$/s.exec(refusal.message);
    findings.errorAtLine("syntax", capitalized(located?.[2] ?? refusal.message), Number(located?.[1] ?? 1));
    return false;
  }
  const prepared = prepare(input, short);
  if (prepared === undefined) return false;
  for (const name of prepared.scope.fields) {
    const field = input.registry.byName(readable(name));
    if (field !== undefined) sandbox.field(field.name, field.id, field.type === "keyword[]");
  }
  if (!addExpressions(prepared.scope.patterns, input)) return false;
  const failure = sandbox.load(prepared.text, short);
  if (failure === undefined) return true;
  findings.errorAtLine("load-failed", `The rule failed while it loaded: ${failure.text}`, failure.line);
  return false;
}

/** The walk and the rewritten text; `undefined` with a finding otherwise. */
function prepare({ findings, parsed, registry, sandbox }: LoadInput, short: boolean): { scope: Scope; text: string } | undefined {
  const { body } = parsed.chunk;
  try {
    const rules = {
      short,
      globals: sandbox.names(),
      isField: (name: string) => registry.byName(readable(name)) !== undefined,
      fieldNames: () => registry.fields().map((field) => field.name),
    };
    const scope = resolveScope(body, rules, findings);
    if (!short && !scope.globals.has("pred_eval")) {
      const message = "The rule neither defines function pred_eval(event) nor ends with a return of its answer";
      findings.error("no-predicate", message, [0, 0]);
    }
    if (findings.hasError) return undefined;
    return { scope, text: rewrite({ body, scope, tokens: parsed.tokens, binary: findings.binary, short }) };
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    findings.error("too-deep", "The text is nested too deeply: name the inner parts with local", [0, 0]);
    return undefined;
  }
}

function readable(binary: string): string {
  return Buffer.from(binary, "latin1").toString("utf8");
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

class LuaRuleEvaluator implements Evaluator {
  readonly predicateCount = 1;
  readonly #sandbox: Sandbox;
  readonly #categories: CategoryTable;
  readonly #memory = new BatchMemory();
  #categoryCount = 0;
  #failure: LuaFailure | undefined;
  /** What was said before the failure, by record. */
  #saidBefore: readonly (Emission | undefined)[] = [];
  #closed = false;

  constructor(sandbox: Sandbox, categories: CategoryTable) {
    this.#sandbox = sandbox;
    this.#categories = categories;
  }

  evaluate(batch: RecordBatch): Uint32Array {
    if (this.#closed) throw new KestrelError("closed", "Lua rule evaluator is closed");
    if (this.#failure !== undefined) {
      this.#saidBefore = [];
      throw faultOf(this.#failure, undefined);
    }
    const { batchAddress, outAddress, hits } = this.#memory.take(batch, 1);
    if (batch.count === 0) return hits;
    this.#learnCategories();
    const result = this.#sandbox.run(batchAddress, batch.count, outAddress);
    if (typeof result === "number") return hits;
    const record = Math.max(0, result.record);
    // A copy, without what the failing record may have left; what was said is read now, from a state that does nothing more.
    const hitsBefore = hits.slice(0, record);
    this.#saidBefore = Array.from(hitsBefore, (bit, index) => (bit === 0 ? undefined : this.#said(index)));
    this.#failure = result;
    throw faultOf(result, { record, hitsBefore });
  }

  /** Logs bring new categories while the rule is in use. */
  #learnCategories(): void {
    const names = this.#categories.names();
    for (const name of names.slice(this.#categoryCount)) this.#sandbox.category(this.#categories.idOf(name), name);
    this.#categoryCount = names.length;
  }

  emission(recordIndex: number): Emission | undefined {
    if (this.#closed) return undefined;
    return this.#failure === undefined ? this.#said(recordIndex) : this.#saidBefore[recordIndex];
  }

  #said(recordIndex: number): Emission | undefined {
    const said = this.#sandbox.said(recordIndex);
    return said === undefined ? undefined : readEmission(said);
  }

  close(): void {
    this.#closed = true;
    this.#sandbox.close();
  }
}

function faultOf(failure: LuaFailure, place: FaultPlace | undefined): RuleFault {
  const line = failure.line > 0 ? ` at line ${failure.line}` : "";
  return new RuleFault(failure.kind, 0, `Lua rule failed${line}: ${failure.text}`, { place });
}

const decoder = new TextDecoder();

/** Undoes host.said of event.lua: counts, then each text behind its length. */
function readEmission(bytes: Uint8Array): Emission {
  let at = 0;
  const line = (): string => {
    const end = bytes.indexOf(10, at);
    const text = decoder.decode(bytes.subarray(at, end));
    at = end + 1;
    return text;
  };
  const [captureTexts, messageCount] = line().split(" ").map(Number) as [number, number];
  const texts: string[] = [];
  for (let i = 0; i < captureTexts + messageCount; i++) {
    const length = Number(line());
    texts.push(decoder.decode(bytes.subarray(at, at + length)));
    at += length;
  }
  const captures: (readonly [string, string])[] = [];
  for (let i = 0; i < captureTexts; i += 2) captures.push([texts[i] ?? "", texts[i + 1] ?? ""]);
  return { captures, messages: texts.slice(captureTexts) };
}
