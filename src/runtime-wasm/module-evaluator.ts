// Runs a user's own Wasm rule module (Host API v1, see host-api.ts) on records, one guest call per record. The module is a stranger: it is
// checked before it runs, bounded while it runs, and an instance that trapped is thrown away.
import { type Emission, type Evaluator, type FaultPlace, KestrelError, messageOf, type RecordBatch, RuleFault, SystemClock } from "#core";
import { RecordView } from "#event";
import { NativeError, signature, type WasmFunction, WasmLinker, type WasmModule, WasmStore, WasmTrap } from "#ffi/libwasmtime";
import type { SchemaRegistry } from "#schema";
import {
  beginEvent,
  defineHostApi,
  emissionOf,
  HOST_FUNCTIONS,
  HOST_MODULE,
  HostBudgetError,
  type HostState,
  type Matchers,
} from "./host-api.ts";
import { InstancePool } from "./instance-pool.ts";
import { type ModuleLease, operating, type WasmRuntime } from "./runtime.ts";

/** Options of {@link createModuleEvaluator}. */
export interface ModuleOptions {
  readonly runtime: WasmRuntime;
  readonly matchers: Matchers;
  /** Fuel for one event, about one unit an instruction. */
  readonly fuelPerEvent?: number;
  /** Fuel for instantiation and pred_init. */
  readonly fuelToStart?: number;
  readonly memoryBytesMax?: number;
  readonly tableElementsMax?: number;
}

const FUEL_PER_EVENT = 10_000_000;
const FUEL_TO_START = 100_000_000;
const MEMORY_BYTES_MAX: number = 16 << 20;
const TABLE_ELEMENTS_MAX = 10_000;

/** Exports of Host API v1 that are functions: signatures accepted, whether needed. */
const EXPORTS: Readonly<Record<string, { readonly signatures: readonly string[]; readonly needed: boolean }>> = {
  pred_init: { signatures: [signature([], ["i32"]), signature([], [])], needed: false },
  pred_eval: { signatures: [signature(["i32"], ["i32"])], needed: true },
  pred_capture: { signatures: [signature(["i32"], []), signature(["i32"], ["i32"])], needed: false },
};

/**
 * Prepares a user's module. Throws KestrelError: `compile` for bytes that are no valid module, `bad-module` for one that does not keep
 * Host API v1, `module-refused` when pred_init refuses, `start` when it fails.
 */
export function createModuleEvaluator(bytes: Uint8Array, registry: SchemaRegistry, options: ModuleOptions): Evaluator {
  return new ModuleEvaluator(bytes, registry, options);
}

interface Instance {
  readonly store: WasmStore;
  readonly eval: WasmFunction;
  readonly capture: WasmFunction | undefined;
  readonly memory: HostState["memory"];
}

class ModuleEvaluator implements Evaluator {
  readonly predicateCount = 1;
  readonly #options: ModuleOptions;
  readonly #state: HostState;
  readonly #lease: ModuleLease;
  readonly #linker: WasmLinker;
  readonly #pool: InstancePool<Instance>;
  readonly #signatures: ReadonlyMap<string, string>;
  #hits = new Uint32Array(0);
  #emissions: (Emission | undefined)[] = [];
  #nextEvent = 0;
  #closed = false;

  constructor(bytes: Uint8Array, registry: SchemaRegistry, options: ModuleOptions) {
    this.#options = options;
    this.#state = {
      registry,
      matchers: options.matchers,
      view: new RecordView(),
      memory: undefined,
      event: -1,
      status: 0,
      work: 0,
      captures: [],
      messages: [],
    };
    this.#lease = options.runtime.openModule(bytes);
    this.#linker = operating(() => new WasmLinker(options.runtime.engine));
    // One at a time: evaluation is synchronous. The pool is what hands out a fresh instance after a trap.
    this.#pool = new InstancePool({
      sizeMax: 1,
      waitersMax: 0,
      clock: new SystemClock(),
      make: () => this.#start(),
      dispose: (instance) => instance.store.close(),
    });
    try {
      this.#signatures = checkModule(this.#lease.module);
      operating(() => defineHostApi(this.#linker, this.#state));
      this.#pool.release(this.#acquire());
    } catch (error) {
      this.close();
      throw error;
    }
  }

  evaluate(batch: RecordBatch): Uint32Array {
    if (this.#closed) throw new KestrelError("closed", "Module evaluator is closed");
    if (this.#hits.length < batch.count) this.#hits = new Uint32Array(batch.count);
    const hits = this.#hits.subarray(0, batch.count);
    this.#emissions = new Array(batch.count);
    const instance = this.#fresh();
    this.#state.memory = instance.memory;
    let index = 0;
    try {
      for (; index < batch.count; index++) {
        this.#state.view.reset(batch.bytes, batch.offsets[index]!);
        hits[index] = this.#evaluateOne(instance, index) ? 1 : 0;
      }
    } catch (error) {
      this.#pool.discard(instance);
      throw faultOf(error, { record: index, hitsBefore: hits.slice(0, index) });
    } finally {
      this.#state.memory = undefined;
      this.#state.event = -1;
    }
    this.#pool.release(instance);
    return hits;
  }

  #evaluateOne(instance: Instance, index: number): boolean {
    // Counts on over batches: an index would tell the module where a batch begins, and a recording is cut into other batches.
    const event = this.#nextEvent;
    this.#nextEvent = (event + 1) & 0x7fff_ffff;
    beginEvent(this.#state, event);
    instance.store.setFuel(this.#options.fuelPerEvent ?? FUEL_PER_EVENT);
    if (instance.eval.call(event) === 0) return false;
    instance.capture?.call(event);
    this.#emissions[index] = emissionOf(this.#state);
    return true;
  }

  emission(recordIndex: number): Emission | undefined {
    return this.#emissions[recordIndex];
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#pool.close();
    this.#linker.close();
    this.#lease.close();
  }

  /** The instance for a batch; one that was thrown away is replaced, and a module that cannot start again is at fault. */
  #fresh(): Instance {
    try {
      return this.#acquire();
    } catch (error) {
      throw new RuleFault("error", 0, messageOf(error), { cause: error });
    }
  }

  #acquire(): Instance {
    const instance = this.#pool.tryAcquire();
    if (instance === undefined) throw new KestrelError("busy", "Module evaluator was called while it was evaluating");
    return instance;
  }

  #start(): Instance {
    const { runtime } = this.#options;
    const limits = {
      memoryBytesMax: this.#options.memoryBytesMax ?? MEMORY_BYTES_MAX,
      tableElementsMax: this.#options.tableElementsMax ?? TABLE_ELEMENTS_MAX,
    };
    const store = operating(() => new WasmStore(runtime.engine, limits));
    try {
      store.setFuel(this.#options.fuelToStart ?? FUEL_TO_START);
      beginEvent(this.#state, -1);
      const instance = this.#linker.instantiate(store, this.#lease.module);
      this.#state.memory = instance.memory("memory");
      const find = (name: string): WasmFunction | undefined => {
        const found = this.#signatures.get(name);
        return found === undefined ? undefined : instance.func(name, found);
      };
      const init = find("pred_init");
      const answer = init?.call() ?? 0;
      if (answer !== 0 && this.#signatures.get("pred_init") === signature([], ["i32"])) {
        throw new KestrelError("module-refused", `pred_init answered ${answer}, 0 means ready`);
      }
      return { store, eval: find("pred_eval") as WasmFunction, capture: find("pred_capture"), memory: this.#state.memory };
    } catch (error) {
      store.close();
      if (error instanceof NativeError) throw new KestrelError("start", `Cannot start the module: ${error.message}`, { cause: error });
      throw error;
    }
  }
}

/** Signatures of the module's Host API exports. Throws KestrelError `bad-module` unless it keeps the API. */
function checkModule(module: WasmModule): ReadonlyMap<string, string> {
  for (const { module: from, name, kind, signature: actual } of module.imports()) {
    const known = from === HOST_MODULE ? HOST_FUNCTIONS[name] : undefined;
    if (known === undefined) throw badImport(from, name);
    const expected = signature(known.params, ["i32"]);
    if (kind !== "func" || actual !== expected) {
      const has = kind === "func" ? actual : `a ${kind}`;
      throw new KestrelError("bad-module", `Import "${from}.${name}" is ${has}, it must be ${expected}`);
    }
  }
  const signatures = new Map<string, string>();
  const exports = module.exports();
  if (exports.find(({ name }) => name === "memory")?.kind !== "memory") {
    throw new KestrelError("bad-module", 'Module does not export its memory as "memory"');
  }
  for (const [name, { signatures: accepted, needed }] of Object.entries(EXPORTS)) {
    const found = exports.find((item) => item.name === name);
    if (found === undefined) {
      if (needed) throw new KestrelError("bad-module", `Module does not export function "${name}", ${accepted.join(" or ")}`);
      continue;
    }
    if (!accepted.includes(found.signature)) {
      const has = found.kind === "func" ? found.signature : `a ${found.kind}`;
      throw new KestrelError("bad-module", `Export "${name}" is ${has}, it must be ${accepted.join(" or ")}`);
    }
    signatures.set(name, found.signature);
  }
  return signatures;
}

function badImport(from: string, name: string): KestrelError {
  const hint = from === "env" && name === "abort" ? '; with AssemblyScript compile with "--use abort="' : "";
  const known = Object.keys(HOST_FUNCTIONS).join(", ");
  return new KestrelError("bad-module", `Module imports "${from}.${name}"; a rule may import only from "${HOST_MODULE}": ${known}${hint}`);
}

function faultOf(error: unknown, place: FaultPlace): Error {
  if (error instanceof WasmTrap) {
    if (error.trap === "out-of-fuel" || error.cause instanceof HostBudgetError) {
      return new RuleFault("fuel", 0, "Module used up its budget for one event", { cause: error, place });
    }
    return new RuleFault("trap", 0, `Module trapped: ${error.message}`, { cause: error, place });
  }
  if (error instanceof NativeError) return new RuleFault("error", 0, `Module failed: ${messageOf(error)}`, { cause: error, place });
  return error instanceof Error ? error : new Error(String(error));
}
