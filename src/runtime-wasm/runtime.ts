// One Wasm engine and the modules it has compiled, shared by every evaluator of a thread. A module is compiled once per process and
// content, and found compiled on disk at the next start.
import { KestrelError } from "#core";
import { NativeError, WASMTIME_VERSION, WasmEngine, WasmModule } from "#ffi/libwasmtime";
import { type CacheCounts, type CacheState, ModuleCache, sha256 } from "./module-cache.ts";

/** Most stack a guest may use. */
const STACK_BYTES_MAX: number = 512 << 10;
/** Most bytes of a module that is accepted. */
const MODULE_BYTES_MAX: number = 64 << 20;

/** Options of {@link WasmRuntime}. */
export interface WasmRuntimeOptions {
  /** Where compiled modules are kept between starts. Without it every start compiles. */
  readonly cacheDirectory?: string;
  /** Compile on several threads; on by default. */
  readonly parallelCompilation?: boolean;
}

/** A compiled module in use. Close it when the last instance is made. */
export interface ModuleLease {
  readonly module: WasmModule;
  close(): void;
}

/** The Wasm engine of this thread. libwasmtime is loaded when the first one is made. */
export class WasmRuntime {
  /** Version of libwasmtime. */
  static readonly version: string = WASMTIME_VERSION;
  readonly engine: WasmEngine;
  readonly #cache: ModuleCache;
  readonly #modules = new Map<string, { readonly module: WasmModule; users: number }>();

  constructor(options: WasmRuntimeOptions = {}) {
    this.engine = operating(
      () => new WasmEngine({ stackBytesMax: STACK_BYTES_MAX, parallelCompilation: options.parallelCompilation ?? true }),
    );
    this.#cache = new ModuleCache(options.cacheDirectory);
  }

  /** Whether compiled modules are cached on disk, and if not, why. */
  get cacheState(): CacheState {
    return this.#cache.state;
  }

  /** Use of the disk cache. */
  get cacheCounts(): CacheCounts {
    return this.#cache.counts;
  }

  /**
   * The compiled form of a module: from memory, from disk or compiled now. Throws KestrelError `compile` for a module that is not valid.
   */
  openModule(bytes: Uint8Array): ModuleLease {
    if (bytes.byteLength > MODULE_BYTES_MAX) {
      throw new KestrelError("module-too-large", `Wasm module has ${bytes.byteLength} bytes, at most ${MODULE_BYTES_MAX} are accepted`);
    }
    const hash = sha256(bytes);
    const key = Buffer.from(hash).toString("hex");
    let entry = this.#modules.get(key);
    if (entry === undefined) {
      entry = { module: operating(() => this.#fromDisk(hash) ?? this.#compile(bytes, hash)), users: 0 };
      this.#modules.set(key, entry);
    }
    entry.users++;
    return this.#lease(key, entry);
  }

  #lease(key: string, entry: { readonly module: WasmModule; users: number }): ModuleLease {
    let open = true;
    return {
      module: entry.module,
      close: () => {
        if (!open) return;
        open = false;
        entry.users--;
        if (entry.users > 0) return;
        if (this.#modules.get(key) === entry) this.#modules.delete(key);
        entry.module.close();
      },
    };
  }

  #fromDisk(hash: Uint8Array): WasmModule | undefined {
    const compiled = this.#cache.load(hash);
    if (compiled === undefined) return undefined;
    try {
      return WasmModule.deserialize(this.engine, compiled);
    } catch {
      // Ours and whole, but made for another CPU or engine setting.
      this.#cache.reject(hash);
      return undefined;
    }
  }

  #compile(bytes: Uint8Array, hash: Uint8Array): WasmModule {
    const module = WasmModule.compile(this.engine, bytes);
    if (this.#cache.state.kind === "on") this.#cache.store(hash, module.serialize());
    return module;
  }

  /** Frees the engine and its modules. Evaluators must be closed before. Twice is fine. */
  close(): void {
    for (const { module } of this.#modules.values()) module.close();
    this.#modules.clear();
    this.engine.close();
  }
}

/** Runs native work; what fails becomes an operating error, since other rooms do not know the native one. */
export function operating<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof NativeError) throw new KestrelError(error.code, error.message, { cause: error });
    throw error;
  }
}
