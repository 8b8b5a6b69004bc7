// One LuaJIT state that holds one user's rule: the trusted chunks inside it, their functions held from here. What Lua raises comes out as a
// LuaFailure with kind, line and record; a state that failed may be in the middle of anything: it is asked what was said before, no more.
import { type FaultKind, KestrelError } from "#core";
import { NativeError } from "#ffi/handle";
import { LuaError, type LuaFunction, LuaState, type LuaValue } from "#ffi/luajit";
import bootText from "./boot.lua" with { type: "text" };
import budgetText from "./budget.lua" with { type: "text" };
import eventText from "./event.lua" with { type: "text" };
import libraryText from "./library.lua" with { type: "text" };
import patternText from "./pattern.lua" with { type: "text" };
import { LAYOUT_LINE, PRELUDE } from "./prelude.ts";

/** Budgets of one rule. */
export interface LuaLimits {
  /** Ticks, about one an operation, for one event. */
  readonly eventTicks: number;
  /** Ticks while the rule loads, pred_init included. */
  readonly loadTicks: number;
  /** KiB of memory the rule's state may use. */
  readonly memoryKib: number;
}

/** Most values one event may capture. */
export const LUA_CAPTURES_MAX = 32;
/** Most texts one event may emit. */
export const LUA_MESSAGES_MAX = 8;
/** Most bytes of one captured value or emitted text; longer ones are cut. */
export const LUA_TEXT_BYTES_MAX = 4096;

const decoder = new TextDecoder();
const HOST_FUNCTIONS = ["describe", "load", "run", "at", "said", "field", "category", "expression", "names", "jitStatus"] as const;
type HostFunction = (typeof HOST_FUNCTIONS)[number];

/** What a rule's Lua raised. */
export interface LuaFailure {
  readonly kind: FaultKind;
  /** Line of the rule's text, 0 when unknown. */
  readonly line: number;
  /** Index of the record in the batch, -1 outside. */
  readonly record: number;
  readonly text: string;
}

/** Opens a state; a library that cannot be loaded is an operating error. */
export function openState(): LuaState {
  try {
    return new LuaState();
  } catch (error) {
    if (error instanceof NativeError) throw new KestrelError(error.code, `Cannot start LuaJIT: ${error.message}`, { cause: error });
    throw error;
  }
}

/** The sandbox of one rule. */
export class Sandbox {
  readonly #state: LuaState;
  readonly #host: Readonly<Record<HostFunction, LuaFunction>>;

  constructor(limits: LuaLimits) {
    this.#state = openState();
    try {
      const boot = this.#state.load(bootText, "=kestrel-boot");
      const texts = [PRELUDE, budgetText, patternText, libraryText, LAYOUT_LINE + eventText];
      const numbers = [limits.eventTicks, limits.loadTicks, limits.memoryKib, LUA_CAPTURES_MAX, LUA_MESSAGES_MAX, LUA_TEXT_BYTES_MAX];
      const held = this.#state.callForHeld(boot, [...texts, ...numbers], HOST_FUNCTIONS.length);
      this.#host = Object.fromEntries(HOST_FUNCTIONS.map((name, i) => [name, held[i]])) as Record<HostFunction, LuaFunction>;
      this.#state.setErrorHandler(this.#host.describe);
    } catch (error) {
      this.#state.close();
      throw error;
    }
  }

  /** Names of everything a rule may use. */
  names(): ReadonlySet<string> {
    return new Set(text(this.#call("names")).split("\n"));
  }

  /** Whether the JIT compiler is on. */
  get jit(): boolean {
    return this.#call("jitStatus") === true;
  }

  /** LuaJIT's own opinion on a text, without running it. */
  check(source: Uint8Array): LuaError | undefined {
    return this.#state.check(source, "=rule");
  }

  /** Makes a field known to the rule. */
  field(name: string, id: number, list: boolean): void {
    this.#call("field", name, id, list);
  }

  /** Makes a category's name known to the rule. */
  category(id: number, name: string): void {
    this.#call("category", id, name);
  }

  /** Gives the rule a compiled expression; arguments as host.expression in event.lua lists them. */
  expression(pattern: Uint8Array, ...machine: readonly (number | Uint8Array)[]): void {
    this.#call("expression", pattern, ...machine);
  }

  /** Runs the rewritten chunk and its pred_init. The failure, or nothing. */
  load(rewritten: string, short: boolean): LuaFailure | undefined {
    try {
      const chunk = this.#state.load(rewritten, "=rule");
      this.#state.call(this.#host.load, [chunk, short]);
      return undefined;
    } catch (error) {
      if (error instanceof LuaError) return failureOf(error);
      throw error;
    }
  }

  /** Evaluates a batch; addresses as numbers. The number of hits, or the failure. */
  run(batch: number, count: number, out: number): number | LuaFailure {
    const result = this.#state.call3(this.#host.run, batch, count, out);
    if (typeof result === "number") return result;
    const failure = failureOf(result);
    return failure.record >= 0 ? failure : { ...failure, record: Number(this.#call("at")) };
  }

  /** What the rule said about a record of the last batch, as host.said in event.lua prints it. */
  said(record: number): Uint8Array | undefined {
    const value = this.#call("said", record);
    return value instanceof Uint8Array ? value : undefined;
  }

  close(): void {
    this.#state.close();
  }

  #call(name: HostFunction, ...args: readonly LuaValue[]): LuaValue {
    return this.#state.call(this.#host[name], args);
  }
}

function text(value: LuaValue): string {
  return value instanceof Uint8Array ? decoder.decode(value) : String(value);
}

/** Reads what `describe` in event.lua printed; anything else is LuaJIT's own words. */
function failureOf(error: LuaError): LuaFailure {
  const match = /^(fuel|memory|error)\n(\d+)\n(-?\d+)\n(.*)$/s.exec(error.message);
  if (match !== null) {
    const [, kind, line, record, message] = match;
    return { kind: kind as FaultKind, line: Number(line), record: Number(record), text: message ?? "" };
  }
  const located = /^rule:(\d+): (.*)$/s.exec(error.message);
  const kind = error.code === "lua-memory" ? "memory" : "error";
  return { kind, line: Number(located?.[1] ?? 0), record: -1, text: located?.[2] ?? error.message };
}
