// Runs the module of a whole rule set on batches: one copy in, one call, the hit bits out. No call back into TypeScript on this path. A
// trap or an empty fuel tank blames the predicate that ran; the next batch gets a fresh instance, since the old one may be in any state.
import { type Evaluator, KestrelError, type RecordBatch, RuleFault } from "#core";
import {
  NativeError,
  WASM_PAGE_BYTES,
  type WasmFunction,
  type WasmGlobal,
  WasmLinker,
  type WasmMemory,
  WasmStore,
  WasmTrap,
} from "#ffi/libwasmtime";
import { hitWords, type RuleSetProgram } from "#schema";
import { type ModuleLease, operating, type WasmRuntime } from "./runtime.ts";

/** Options of {@link createRuleSetEvaluator}. */
export interface RuleSetOptions {
  readonly runtime: WasmRuntime;
  /** Fuel of one call; by default it follows the batch, see {@link fuelOf}. */
  readonly fuel?: number;
  /** Most guest memory: program data, one batch and its hits. */
  readonly memoryBytesMax?: number;
}

const MEMORY_BYTES_MAX: number = 64 << 20;
const TABLE_ELEMENTS_MAX = 65_536;
const COPIED_ONE_BY_ONE_MAX = 32;
const NO_HITS: Uint32Array = new Uint32Array(0);
const EVAL = "(i32, i32, i32) -> i32";

// About one unit an instruction. A predicate's honest work is linear in the record, so the budget is too; it exists to stop a compiler bug,
// not to meter rules, and is some ten times what the corpus rules use.
const FUEL_BASE = 10_000_000;
const FUEL_PER_PREDICATE_AND_RECORD = 1_000;
const FUEL_PER_PREDICATE_AND_BYTE = 8;
/** About as many nanoseconds: where even the largest batch stops. */
const FUEL_MAX = 5_000_000_000;

/** Fuel of one call. */
function fuelOf(predicateCount: number, batch: RecordBatch): number {
  const work = batch.count * FUEL_PER_PREDICATE_AND_RECORD + batch.length * FUEL_PER_PREDICATE_AND_BYTE;
  return Math.min(FUEL_MAX, FUEL_BASE + predicateCount * work);
}

/** Prepares a rule set for evaluation. Throws KestrelError when the module does not keep the ABI of {@link RuleSetProgram}. */
export function createRuleSetEvaluator(program: RuleSetProgram, options: RuleSetOptions): Evaluator {
  return new RuleSetEvaluator(program, options);
}

interface Instance {
  readonly store: WasmStore;
  readonly memory: WasmMemory;
  readonly eval: WasmFunction;
  readonly current: WasmGlobal;
  readonly heapBase: number;
}

class RuleSetEvaluator implements Evaluator {
  readonly predicateCount: number;
  readonly #program: RuleSetProgram;
  readonly #runtime: WasmRuntime;
  readonly #lease: ModuleLease;
  readonly #linker: WasmLinker;
  readonly #words: number;
  readonly #fuel: number | undefined;
  readonly #memoryBytesMax: number;
  #instance: Instance | undefined;
  #hits: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  /** The guest memory last seen, and its words. */
  #guest: Uint8Array<ArrayBuffer> | undefined;
  #guestWords: Uint32Array<ArrayBuffer> = new Uint32Array(0);
  #closed = false;

  constructor(program: RuleSetProgram, options: RuleSetOptions) {
    this.predicateCount = program.predicates.length;
    this.#program = program;
    this.#runtime = options.runtime;
    this.#words = hitWords(this.predicateCount);
    this.#fuel = options.fuel;
    this.#memoryBytesMax = options.memoryBytesMax ?? MEMORY_BYTES_MAX;
    this.#lease = options.runtime.openModule(program.wasm);
    this.#linker = operating(() => new WasmLinker(options.runtime.engine));
    try {
      this.#instance = operating(() => this.#start());
    } catch (error) {
      this.close();
      throw error;
    }
  }

  evaluate(batch: RecordBatch): Uint32Array {
    if (this.#closed) throw new KestrelError("closed", "Rule set evaluator is closed");
    const hitCount = batch.count * this.#words;
    if (hitCount === 0) return NO_HITS;
    const instance = this.#instance ?? this.#restart();
    const outAt = instance.heapBase + align8(batch.length);
    const memory = this.#room(instance, outAt + hitCount * 4);
    memory.set(batch.length === batch.bytes.byteLength ? batch.bytes : batch.bytes.subarray(0, batch.length), instance.heapBase);
    instance.store.setFuel(this.#fuel ?? fuelOf(this.predicateCount, batch));
    try {
      instance.eval.call(instance.heapBase, batch.count, outAt);
    } catch (error) {
      throw this.#fault(instance, error);
    }
    // Asked again: the call may have grown the memory.
    return this.#copyHits(instance.memory.bytes(), outAt, hitCount);
  }

  // A view costs as much as the call itself (40 ns), so views are kept while they fit, and a few words are copied without one.
  #copyHits(memory: Uint8Array<ArrayBuffer>, outAt: number, hitCount: number): Uint32Array {
    if (this.#guest !== memory) {
      this.#guest = memory;
      this.#guestWords = new Uint32Array(memory.buffer, memory.byteOffset, memory.byteLength >>> 2);
    }
    if (this.#hits.length !== hitCount) {
      if (this.#hits.buffer.byteLength < hitCount * 4) this.#hits = new Uint32Array(hitCount);
      else this.#hits = new Uint32Array(this.#hits.buffer, 0, hitCount);
    }
    const hits = this.#hits;
    const words = this.#guestWords;
    const from = outAt >>> 2;
    if (hitCount > COPIED_ONE_BY_ONE_MAX) hits.set(words.subarray(from, from + hitCount));
    else for (let index = 0; index < hitCount; index++) hits[index] = words[from + index] as number;
    return hits;
  }

  close(): void {
    this.#closed = true;
    this.#instance?.store.close();
    this.#instance = undefined;
    this.#linker.close();
    this.#lease.close();
  }

  #start(): Instance {
    const store = new WasmStore(this.#runtime.engine, { memoryBytesMax: this.#memoryBytesMax, tableElementsMax: TABLE_ELEMENTS_MAX });
    try {
      store.setFuel(FUEL_BASE);
      const instance = this.#linker.instantiate(store, this.#lease.module);
      const heapBase = align8(instance.global("heap_base").i32() >>> 0);
      return {
        store,
        memory: instance.memory("memory"),
        eval: instance.func("eval", EVAL),
        current: instance.global("current"),
        heapBase,
      };
    } catch (error) {
      store.close();
      throw error;
    }
  }

  #restart(): Instance {
    try {
      this.#instance = this.#start();
      return this.#instance;
    } catch (error) {
      throw new RuleFault("error", -1, `Cannot restart the rule set: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  }

  /** Guest memory of at least this many bytes. */
  #room(instance: Instance, bytesNeeded: number): Uint8Array<ArrayBuffer> {
    const memory = instance.memory.bytes();
    const missing = bytesNeeded - memory.byteLength;
    if (missing <= 0) return memory;
    try {
      instance.memory.grow(Math.ceil(missing / WASM_PAGE_BYTES));
    } catch (error) {
      const message = `Batch needs ${bytesNeeded} bytes of guest memory, the limit is ${this.#memoryBytesMax}`;
      throw new RuleFault("memory", -1, message, { cause: error });
    }
    return instance.memory.bytes();
  }

  /** Turns what a call threw into blame, and gives the instance up. */
  #fault(instance: Instance, error: unknown): Error {
    const predicate = instance.current.i32();
    instance.store.close();
    this.#instance = undefined;
    if (!(error instanceof WasmTrap))
      return error instanceof NativeError ? new KestrelError(error.code, error.message, { cause: error }) : (error as Error);
    const info = this.#program.predicates[predicate];
    const rule = info === undefined ? "Rule set" : `Rule "${info.ruleId}"`;
    const blamed = info === undefined ? -1 : predicate;
    if (error.trap === "out-of-fuel") return new RuleFault("fuel", blamed, `${rule} used up its budget`, { cause: error });
    return new RuleFault("trap", blamed, `${rule} trapped: ${error.message}`, { cause: error });
  }
}

function align8(value: number): number {
  return Math.ceil(value / 8) * 8;
}
