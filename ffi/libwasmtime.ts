// Thin wrappers over libwasmtime, one per C type: engine, module, store, linker, instance, function, memory, global. They own pointers,
// check arguments and turn C errors into exceptions; what is allowed to run and for how long is runtime-wasm's business.
import { JSCallback } from "bun:ffi";
import { Handle, NativeError, type Pointer } from "./handle.ts";
import { WasmtimeExtern, WasmtimeExternKind, WasmtimeInstance, WasmtimeVal, WasmtimeValRaw, WasmVec } from "./layouts.ts";
import { LIBRARY, takeErrorText, throwOnError, throwOnTrap, vecText, WasmTrap } from "./libwasmtime-error.ts";
import { wasmtime } from "./libwasmtime-symbols.ts";
import {
  addressOf,
  checkI32,
  checkPointer,
  checkSize,
  checkU32,
  checkU64,
  copyOut,
  NativeBuffer,
  nativeView,
  pointerAt,
  readPointer,
  readU64,
} from "./memory.ts";

export { NativeError } from "./handle.ts";
export { WasmTrap } from "./libwasmtime-error.ts";
export { WASMTIME_VERSION } from "./libwasmtime-symbols.ts";

/** Bytes of one page of guest memory. */
export const WASM_PAGE_BYTES = 65536;

/** How an engine compiles and runs. */
export interface EngineOptions {
  /** Most stack a guest may use. */
  readonly stackBytesMax: number;
  /** Compile functions on several threads. */
  readonly parallelCompilation: boolean;
}

/** `wasm_engine_t`: compiler settings. Fuel is always on; NaNs and relaxed SIMD are made the same on every machine. */
export class WasmEngine {
  readonly handle: Handle;

  constructor(options: EngineOptions) {
    const api = wasmtime();
    const stackBytesMax = checkU32(options.stackBytesMax, "stackBytesMax");
    const config = new Handle(LIBRARY, "wasm_config_t", api.wasm_config_new());
    api.wasmtime_config_consume_fuel_set(config.ptr, true);
    api.wasmtime_config_max_wasm_stack_set(config.ptr, stackBytesMax);
    api.wasmtime_config_parallel_compilation_set(config.ptr, options.parallelCompilation);
    api.wasmtime_config_cranelift_nan_canonicalization_set(config.ptr, true);
    api.wasmtime_config_wasm_relaxed_simd_deterministic_set(config.ptr, true);
    api.wasmtime_config_wasm_threads_set(config.ptr, false);
    api.wasmtime_config_wasm_memory64_set(config.ptr, false);
    api.wasmtime_config_wasm_multi_memory_set(config.ptr, false);
    api.wasmtime_config_wasm_component_model_set(config.ptr, false);
    // Backtraces walk frame pointers; registering unwind tables would only slow loading down.
    api.wasmtime_config_native_unwind_info_set(config.ptr, false);
    const engine = api.wasm_engine_new_with_config(config.consume());
    this.handle = new Handle(LIBRARY, "wasm_engine_t", engine, (pointer) => api.wasm_engine_delete(pointer));
  }

  close(): void {
    this.handle.close();
  }
}

/** `(i32, i64) -> i32` and the like: how signatures are written here. */
export type Signature = string;

/** One import a module asks for. */
export interface ImportType {
  readonly module: string;
  readonly name: string;
  readonly kind: ExternKind;
  /** Signature of a function, else empty. */
  readonly signature: Signature;
}

/** One thing a module exports. */
export interface ExportType {
  readonly name: string;
  readonly kind: ExternKind;
  /** Signature of a function, else empty. */
  readonly signature: Signature;
}

/** Kind of an import or export. */
type ExternKind = "func" | "global" | "table" | "memory" | "tag";

const EXTERN_KINDS: readonly ExternKind[] = ["func", "global", "table", "memory", "tag"];
const VALUE_KINDS = new Map([
  [0, "i32"],
  [1, "i64"],
  [2, "f32"],
  [3, "f64"],
  [4, "v128"],
  [128, "externref"],
  [129, "funcref"],
]);

/** `wasmtime_module_t`: compiled code. */
export class WasmModule {
  readonly handle: Handle;

  private constructor(pointer: Pointer | undefined) {
    this.handle = new Handle(LIBRARY, "wasmtime_module_t", pointer, (module) => wasmtime().wasmtime_module_delete(module));
  }

  /** Compiles a Wasm binary. Throws NativeError `compile` for a module that is not valid. */
  static compile(engine: WasmEngine, bytes: Uint8Array): WasmModule {
    const input = NativeBuffer.from(checkBytes(bytes));
    const out = new NativeBuffer(8);
    const error = wasmtime().wasmtime_module_new(engine.handle.ptr, input.ptr, input.byteLength, out.ptr);
    throwOnError(error, "compile", "Cannot compile the Wasm module");
    return new WasmModule(out.pointer());
  }

  /**
   * Loads what {@link serialize} gave. The bytes ARE machine code: only ever pass bytes that this user wrote and whose hash was verified.
   * Another library version or CPU is refused by wasmtime with NativeError `deserialize`.
   */
  static deserialize(engine: WasmEngine, trusted: Uint8Array): WasmModule {
    const out = new NativeBuffer(8);
    const bytes = checkBytes(trusted);
    const error = wasmtime().wasmtime_module_deserialize(engine.handle.ptr, addressOf(bytes), bytes.byteLength, out.ptr);
    throwOnError(error, "deserialize", "Cannot load the compiled module");
    return new WasmModule(out.pointer());
  }

  /** Throws NativeError `invalid-module` unless the bytes are a valid Wasm module for this engine. Compiles nothing. */
  static validate(engine: WasmEngine, bytes: Uint8Array): void {
    const input = NativeBuffer.from(checkBytes(bytes));
    const error = wasmtime().wasmtime_module_validate(engine.handle.ptr, input.ptr, input.byteLength);
    throwOnError(error, "invalid-module", "Not a valid Wasm module");
  }

  /** Machine code for {@link deserialize}. */
  serialize(): Uint8Array<ArrayBuffer> {
    const vec = new NativeBuffer(WasmVec.Bytes);
    throwOnError(wasmtime().wasmtime_module_serialize(this.handle.ptr, vec.ptr), "serialize", "Cannot serialize the module");
    const data = checkPointer(vec.pointer(WasmVec.Data), "serialized module");
    const bytes = copyOut(data, Number(vec.u64(WasmVec.Size)));
    wasmtime().wasm_byte_vec_delete(vec.ptr);
    return bytes;
  }

  /** What the module imports, in its order. */
  imports(): ImportType[] {
    const api = wasmtime();
    const vec = new NativeBuffer(WasmVec.Bytes);
    api.wasmtime_module_imports(this.handle.ptr, vec.ptr);
    const list = vecPointers(vec.ptr).map((type) => ({
      module: vecText(checkPointer(api.wasm_importtype_module(type), "import module")),
      name: vecText(checkPointer(api.wasm_importtype_name(type), "import name")),
      ...externType(checkPointer(api.wasm_importtype_type(type), "import type")),
    }));
    api.wasm_importtype_vec_delete(vec.ptr);
    return list;
  }

  /** What the module exports, in its order. */
  exports(): ExportType[] {
    const api = wasmtime();
    const vec = new NativeBuffer(WasmVec.Bytes);
    api.wasmtime_module_exports(this.handle.ptr, vec.ptr);
    const list = vecPointers(vec.ptr).map((type) => ({
      name: vecText(checkPointer(api.wasm_exporttype_name(type), "export name")),
      ...externType(checkPointer(api.wasm_exporttype_type(type), "export type")),
    }));
    api.wasm_exporttype_vec_delete(vec.ptr);
    return list;
  }

  close(): void {
    this.handle.close();
  }
}

function checkBytes(bytes: Uint8Array): Uint8Array {
  if (!(bytes instanceof Uint8Array)) throw new NativeError("type", LIBRARY, "Module bytes must be a Uint8Array");
  if (bytes.byteLength === 0) throw new NativeError("invalid-module", LIBRARY, "Module has no bytes");
  return bytes;
}

function vecPointers(vec: Pointer): Pointer[] {
  const count = Number(readU64(vec, WasmVec.Size));
  if (count === 0) return [];
  const data = checkPointer(readPointer(vec, WasmVec.Data), "vector");
  return Array.from({ length: count }, (_, index) => checkPointer(readPointer(data, index * 8), "vector element"));
}

function externType(type: Pointer): { kind: ExternKind; signature: Signature } {
  const api = wasmtime();
  const kind = EXTERN_KINDS[api.wasm_externtype_kind(type)] ?? "tag";
  if (kind !== "func") return { kind, signature: "" };
  return { kind, signature: signatureOf(checkPointer(api.wasm_externtype_as_functype(type), "functype")) };
}

function signatureOf(functype: Pointer): Signature {
  const api = wasmtime();
  const params = valueKinds(checkPointer(api.wasm_functype_params(functype), "params"));
  const results = valueKinds(checkPointer(api.wasm_functype_results(functype), "results"));
  return signature(params, results);
}

/** Writes a signature the way {@link Signature} is compared. */
export function signature(params: readonly string[], results: readonly string[]): Signature {
  return `(${params.join(", ")}) -> ${results.length === 1 ? results[0] : `(${results.join(", ")})`}`;
}

function valueKinds(vec: Pointer): string[] {
  return vecPointers(vec).map((type) => VALUE_KINDS.get(wasmtime().wasm_valtype_kind(type)) ?? "ref");
}

/** Most a store's guests may have. */
export interface StoreLimits {
  readonly memoryBytesMax: number;
  readonly tableElementsMax: number;
}

/** `wasmtime_store_t`: everything instances own. Closing it frees their memories; they throw `closed` from then on. */
export class WasmStore {
  readonly handle: Handle;
  readonly #context: Pointer;

  constructor(engine: WasmEngine, limits: StoreLimits) {
    const api = wasmtime();
    const memoryBytesMax = BigInt(checkSize(limits.memoryBytesMax, "memoryBytesMax"));
    const tableElementsMax = BigInt(checkU32(limits.tableElementsMax, "tableElementsMax"));
    this.handle = new Handle(LIBRARY, "wasmtime_store_t", api.wasmtime_store_new(engine.handle.ptr, null, null), (store) =>
      api.wasmtime_store_delete(store),
    );
    api.wasmtime_store_limiter(this.handle.ptr, memoryBytesMax, tableElementsMax, 1n, 4n, 1n);
    this.#context = checkPointer(api.wasmtime_store_context(this.handle.ptr), "store context");
  }

  /** `wasmtime_context_t` of the open store. */
  get context(): Pointer {
    this.handle.assertOpen();
    return this.#context;
  }

  /** Sets what guests may still execute, about one unit an instruction. */
  setFuel(fuel: number | bigint): void {
    // A number stays one: a bigint for every batch would cost more than the call.
    const units = typeof fuel === "number" ? checkSize(fuel, "fuel") : checkU64(fuel, "fuel");
    throwOnError(wasmtime().wasmtime_context_set_fuel(this.context, units), "fuel", "Cannot set fuel");
  }

  /** What is left. */
  fuel(): bigint {
    const out = new NativeBuffer(8);
    throwOnError(wasmtime().wasmtime_context_get_fuel(this.context, out.ptr), "fuel", "Cannot read fuel");
    return out.u64();
  }

  close(): void {
    this.handle.close();
  }
}

/** Arguments and results of a running host function: 16-byte slots, results overwrite arguments. Valid only until the function returns. */
export interface HostCall {
  /** Slots; argument i and result i are at byte 16·i, little endian. */
  readonly slots: DataView;
}

/** A function the guest can call. What it throws becomes a trap with its message. */
export type HostFunction = (call: HostCall) => void;

const SLOTS_MAX = 16;
const hostFunctions = new Map<number, HostFunction>();
let nextHostId = 1;
// What the last host function threw: it went through the guest as a trap and comes back as a C error, without its JavaScript identity.
let pendingCause: { readonly thrown: unknown } | undefined;
let trampoline: JSCallback | undefined;
// Guest calls run on this thread's stack, so a host call usually finds its slots at an address seen before. Making a view costs 250 ns.
const SLOT_VIEWS_MAX = 64;
const slotViews = new Map<number, { readonly slots: DataView }>();

/** The one C callback behind every host function: `env` is the id of a function in the table. Never throws into C. */
function hostTrampoline(env: number, _caller: number, slots: number): Pointer | null {
  try {
    const host = hostFunctions.get(env);
    if (host === undefined) throw new NativeError("closed", LIBRARY, "Host function is already closed");
    let call = slotViews.get(slots);
    if (call === undefined) {
      if (slotViews.size >= SLOT_VIEWS_MAX) slotViews.clear();
      const bytes = nativeView(checkPointer(slots, "slots"), SLOTS_MAX * WasmtimeValRaw.Bytes);
      call = { slots: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
      slotViews.set(slots, call);
    }
    host(call);
    return null;
  } catch (error) {
    pendingCause = { thrown: error };
    const text = NativeBuffer.from(new TextEncoder().encode(error instanceof Error ? error.message : String(error)));
    return wasmtime().wasmtime_trap_new(text.ptr, text.byteLength) as Pointer;
  }
}

/** A C error of a guest call: a host function's refusal if one was thrown since, otherwise an error of the call itself. */
function throwCallError(error: Pointer | bigint, code: string, what: string): never {
  const text = takeErrorText(error);
  const pending = pendingCause;
  pendingCause = undefined;
  if (pending !== undefined) throw new WasmTrap("host", `${what}: ${text}`, { cause: pending.thrown });
  throw new NativeError(code, LIBRARY, `${what}: ${text}`);
}

/** `wasmtime_linker_t`: the imports an instance gets. */
export class WasmLinker {
  readonly handle: Handle;
  readonly #hostIds: number[] = [];

  constructor(engine: WasmEngine) {
    const api = wasmtime();
    this.handle = new Handle(LIBRARY, "wasmtime_linker_t", api.wasmtime_linker_new(engine.handle.ptr), (linker) =>
      api.wasmtime_linker_delete(linker),
    );
  }

  /** Defines a host function. `params` and `results` are value type names (`i32`, `i64`, `f32`, `f64`). */
  define(
    path: { readonly module: string; readonly name: string },
    params: readonly string[],
    results: readonly string[],
    host: HostFunction,
  ): void {
    const api = wasmtime();
    if (Math.max(params.length, results.length) > SLOTS_MAX) {
      throw new NativeError("range", LIBRARY, `Host function "${path.name}" has more than ${SLOTS_MAX} parameters or results`);
    }
    const module = NativeBuffer.cstring(path.module);
    const name = NativeBuffer.cstring(path.name);
    const type = new Handle(LIBRARY, "wasm_functype_t", api.wasm_functype_new(valueTypes(params).ptr, valueTypes(results).ptr), (pointer) =>
      api.wasm_functype_delete(pointer),
    );
    trampoline ??= new JSCallback(hostTrampoline, { args: ["ptr", "ptr", "ptr", "u64"], returns: "ptr" });
    const id = nextHostId++;
    hostFunctions.set(id, host);
    this.#hostIds.push(id);
    const error = api.wasmtime_linker_define_func_unchecked(
      this.handle.ptr,
      module.ptr,
      module.byteLength - 1,
      name.ptr,
      name.byteLength - 1,
      type.ptr,
      checkPointer(trampoline.ptr, "trampoline"),
      id as Pointer,
      null,
    );
    type.close();
    throwOnError(error, "define", `Cannot define "${path.module}.${path.name}"`);
  }

  /** Makes an instance in a store; the module's start function runs, with the store's fuel. */
  instantiate(store: WasmStore, module: WasmModule): WasmInstance {
    const instance = new NativeBuffer(WasmtimeInstance.Bytes);
    const trap = new NativeBuffer(8);
    const error = wasmtime().wasmtime_linker_instantiate(this.handle.ptr, store.context, module.handle.ptr, instance.ptr, trap.ptr);
    if (error !== null) throwCallError(error, "instantiate", "Cannot instantiate the module");
    throwOnTrap(trap, "Module stopped while starting");
    return new WasmInstance(store, instance);
  }

  /** Frees the linker. Instances made by it trap when they call a host function afterwards. */
  close(): void {
    this.handle.close();
    for (const id of this.#hostIds) hostFunctions.delete(id);
    this.#hostIds.length = 0;
  }
}

/** A `wasm_valtype_vec_t` that the next call consumes. */
function valueTypes(names: readonly string[]): NativeBuffer {
  const api = wasmtime();
  const vec = new NativeBuffer(WasmVec.Bytes);
  const elements = new NativeBuffer(Math.max(8, names.length * 8));
  for (const [index, name] of names.entries()) {
    const kind = [...VALUE_KINDS].find(([, known]) => known === name)?.[0];
    if (kind === undefined || kind > 3) throw new NativeError("type", LIBRARY, `"${name}" is not a value type for host functions`);
    elements.setPointer(index * 8, checkPointer(api.wasm_valtype_new(kind), "valtype"));
  }
  api.wasm_valtype_vec_new(vec.ptr, names.length, elements.ptr);
  return vec;
}

/** `wasmtime_instance_t`: a running module inside a store. */
export class WasmInstance {
  readonly #store: WasmStore;
  readonly #instance: NativeBuffer;

  constructor(store: WasmStore, instance: NativeBuffer) {
    this.#store = store;
    this.#instance = instance;
  }

  /** An exported function. Throws NativeError `missing-export` or `wrong-type` unless it has exactly this signature. */
  func(name: string, expected: Signature): WasmFunction {
    const item = this.#export(name, WasmtimeExternKind.Func, "function");
    const api = wasmtime();
    const type = new Handle(LIBRARY, "wasm_functype_t", api.wasmtime_func_type(this.#store.context, externOf(item)), (pointer) =>
      api.wasm_functype_delete(pointer),
    );
    const actual = signatureOf(type.ptr);
    type.close();
    if (actual !== expected) {
      throw new NativeError("wrong-type", LIBRARY, `Export "${name}" is ${actual}, expected ${expected}`);
    }
    return new WasmFunction(this.#store, item, { name, paramCount: i32Params(expected) });
  }

  /** An exported memory. */
  memory(name: string): WasmMemory {
    return new WasmMemory(this.#store, this.#export(name, WasmtimeExternKind.Memory, "memory"));
  }

  /** An exported global. */
  global(name: string): WasmGlobal {
    return new WasmGlobal(this.#store, this.#export(name, WasmtimeExternKind.Global, "global"));
  }

  #export(name: string, kind: WasmtimeExternKind, word: string): NativeBuffer {
    const text = NativeBuffer.cstring(name);
    const item = new NativeBuffer(WasmtimeExtern.Bytes);
    const found = wasmtime().wasmtime_instance_export_get(this.#store.context, this.#instance.ptr, text.ptr, text.byteLength - 1, item.ptr);
    if (!found) throw new NativeError("missing-export", LIBRARY, `Module does not export ${word} "${name}"`);
    if (item.bytes[WasmtimeExtern.Kind] !== kind) throw new NativeError("wrong-type", LIBRARY, `Export "${name}" is not a ${word}`);
    return item;
  }
}

/** Number of parameters of a signature that takes only i32, which is all {@link WasmFunction.call} passes. */
function i32Params(expected: Signature): number {
  const params = expected.slice(1, expected.indexOf(")")).split(", ");
  if (params[0] === "") return 0;
  if (params.some((param) => param !== "i32")) throw new NativeError("wrong-type", LIBRARY, `Cannot call ${expected}: only i32 is passed`);
  return params.length;
}

function externOf(item: NativeBuffer): Pointer {
  return pointerAt(item.ptr, WasmtimeExtern.Of);
}

/** `wasmtime_func_t`. Arguments go into slots, `invoke` runs, results are read from the same slots. */
export class WasmFunction {
  readonly #store: WasmStore;
  readonly #item: NativeBuffer;
  readonly #func: Pointer;
  readonly #slots: NativeBuffer = new NativeBuffer(SLOTS_MAX * WasmtimeValRaw.Bytes);
  readonly #trap: NativeBuffer = new NativeBuffer(8);

  readonly #name: string;
  readonly #paramCount: number;

  constructor(store: WasmStore, item: NativeBuffer, type: { readonly name: string; readonly paramCount: number }) {
    this.#store = store;
    this.#item = item;
    this.#func = externOf(this.#item);
    this.#name = type.name;
    this.#paramCount = type.paramCount;
  }

  /** Calls with i32 arguments; the i32 result, or 0 for a function without one. Throws {@link WasmTrap}. */
  call(...args: readonly number[]): number {
    const view = this.#slots.view;
    if (args.length !== this.#paramCount) {
      throw new NativeError("range", LIBRARY, `"${this.#name}" takes ${this.#paramCount} arguments, got ${args.length}`);
    }
    let offset = 0;
    for (const value of args) {
      view.setInt32(offset, checkI32(value, "argument"), true);
      offset += WasmtimeValRaw.Bytes;
    }
    if (offset === 0) view.setInt32(0, 0, true);
    const error = wasmtime().wasmtime_func_call_unchecked(this.#store.context, this.#func, this.#slots.ptr, SLOTS_MAX, this.#trap.ptr);
    if (error !== null) throwCallError(error, "call", `"${this.#name}" stopped`);
    if (this.#trap.u32(0) !== 0 || this.#trap.u32(4) !== 0) throwOnTrap(this.#trap, `"${this.#name}" stopped`);
    return view.getInt32(0, true);
  }
}

/** `wasmtime_memory_t`. */
export class WasmMemory {
  readonly #store: WasmStore;
  readonly #item: NativeBuffer;
  readonly #memory: Pointer;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #address = 0;

  constructor(store: WasmStore, item: NativeBuffer) {
    this.#store = store;
    this.#item = item;
    this.#memory = externOf(this.#item);
  }

  /** Bytes of the memory now. */
  get byteLength(): number {
    return Number(wasmtime().wasmtime_memory_data_size(this.#store.context, this.#memory));
  }

  /**
   * The memory as it is now, without a copy. Ask again after every guest call: it may have grown, and it is gone once the store is closed.
   */
  bytes(): Uint8Array<ArrayBuffer> {
    const byteLength = this.byteLength;
    const address = wasmtime().wasmtime_memory_data(this.#store.context, this.#memory);
    if (byteLength !== this.#bytes.byteLength || address !== this.#address) {
      this.#bytes = byteLength === 0 ? new Uint8Array(0) : nativeView(checkPointer(address, "memory"), byteLength);
      this.#address = Number(address);
    }
    return this.#bytes;
  }

  /** Grows by pages of {@link WASM_PAGE_BYTES}. Throws NativeError `memory` past the store's limit or the module's own maximum. */
  grow(pages: number): void {
    const before = new NativeBuffer(8);
    const error = wasmtime().wasmtime_memory_grow(this.#store.context, this.#memory, BigInt(checkU32(pages, "pages")), before.ptr);
    throwOnError(error, "memory", `Cannot grow the memory by ${pages} pages`);
  }
}

/** `wasmtime_global_t`. */
export class WasmGlobal {
  readonly #store: WasmStore;
  readonly #item: NativeBuffer;
  readonly #value: NativeBuffer = new NativeBuffer(WasmtimeVal.Bytes);

  constructor(store: WasmStore, item: NativeBuffer) {
    this.#store = store;
    this.#item = item;
  }

  /** Value of an i32 global. */
  i32(): number {
    wasmtime().wasmtime_global_get(this.#store.context, externOf(this.#item), this.#value.ptr);
    if (this.#value.bytes[WasmtimeVal.Kind] !== 0) throw new NativeError("wrong-type", LIBRARY, "Global is not an i32");
    return this.#value.i32(WasmtimeVal.Of);
  }
}
