// Signatures of the C API of libwasmtime, from its headers (wasm.h, wasmtime/*.h). No wrapper, no policy: see libwasmtime.ts.
import { type Bound, openLibrary } from "./library.ts";

/** Version the signatures and struct layouts belong to; setup pins the library to it. */
export const WASMTIME_VERSION = "50.0.1";

const SYMBOLS = {
  // wasm_config_t, wasm_engine_t
  wasm_config_new: { args: [], returns: "ptr" },
  wasm_engine_new_with_config: { args: ["ptr"], returns: "ptr" }, // config, consumed
  wasm_engine_delete: { args: ["ptr"], returns: "void" }, // engine
  wasmtime_config_consume_fuel_set: { args: ["ptr", "bool"], returns: "void" }, // config, enable
  wasmtime_config_max_wasm_stack_set: { args: ["ptr", "u64"], returns: "void" }, // config, bytes
  wasmtime_config_parallel_compilation_set: { args: ["ptr", "bool"], returns: "void" }, // config, enable
  wasmtime_config_cranelift_nan_canonicalization_set: { args: ["ptr", "bool"], returns: "void" }, // config, enable
  wasmtime_config_wasm_relaxed_simd_deterministic_set: { args: ["ptr", "bool"], returns: "void" }, // config, enable
  wasmtime_config_wasm_threads_set: { args: ["ptr", "bool"], returns: "void" }, // config, enable
  wasmtime_config_wasm_memory64_set: { args: ["ptr", "bool"], returns: "void" }, // config, enable
  wasmtime_config_wasm_multi_memory_set: { args: ["ptr", "bool"], returns: "void" }, // config, enable
  wasmtime_config_wasm_component_model_set: { args: ["ptr", "bool"], returns: "void" }, // config, enable
  wasmtime_config_native_unwind_info_set: { args: ["ptr", "bool"], returns: "void" }, // config, enable
  // wasmtime_error_t, wasm_trap_t, wasm_byte_vec_t
  wasmtime_error_message: { args: ["ptr", "ptr"], returns: "void" }, // error, message out
  wasmtime_error_delete: { args: ["ptr"], returns: "void" }, // error
  wasmtime_trap_new: { args: ["ptr", "u64"], returns: "ptr" }, // message, length
  wasmtime_trap_code: { args: ["ptr", "ptr"], returns: "bool" }, // trap, code out
  wasm_trap_message: { args: ["ptr", "ptr"], returns: "void" }, // trap, message out
  wasm_trap_delete: { args: ["ptr"], returns: "void" }, // trap
  wasm_byte_vec_delete: { args: ["ptr"], returns: "void" }, // vec
  // wasmtime_module_t
  wasmtime_module_new: { args: ["ptr", "ptr", "u64", "ptr"], returns: "ptr" }, // engine, wasm, length, module out
  wasmtime_module_validate: { args: ["ptr", "ptr", "u64"], returns: "ptr" }, // engine, wasm, length
  wasmtime_module_serialize: { args: ["ptr", "ptr"], returns: "ptr" }, // module, bytes out
  wasmtime_module_deserialize: { args: ["ptr", "ptr", "u64", "ptr"], returns: "ptr" }, // engine, bytes, length, module out
  wasmtime_module_delete: { args: ["ptr"], returns: "void" }, // module
  wasmtime_module_imports: { args: ["ptr", "ptr"], returns: "void" }, // module, importtype vec out
  wasmtime_module_exports: { args: ["ptr", "ptr"], returns: "void" }, // module, exporttype vec out
  wasm_importtype_vec_delete: { args: ["ptr"], returns: "void" }, // vec
  wasm_exporttype_vec_delete: { args: ["ptr"], returns: "void" }, // vec
  wasm_importtype_module: { args: ["ptr"], returns: "ptr" }, // importtype
  wasm_importtype_name: { args: ["ptr"], returns: "ptr" }, // importtype
  wasm_importtype_type: { args: ["ptr"], returns: "ptr" }, // importtype
  wasm_exporttype_name: { args: ["ptr"], returns: "ptr" }, // exporttype
  wasm_exporttype_type: { args: ["ptr"], returns: "ptr" }, // exporttype
  wasm_externtype_kind: { args: ["ptr"], returns: "u8" }, // externtype
  wasm_externtype_as_functype: { args: ["ptr"], returns: "ptr" }, // externtype
  wasm_functype_new: { args: ["ptr", "ptr"], returns: "ptr" }, // params vec, results vec, both consumed
  wasm_functype_params: { args: ["ptr"], returns: "ptr" }, // functype
  wasm_functype_results: { args: ["ptr"], returns: "ptr" }, // functype
  wasm_functype_delete: { args: ["ptr"], returns: "void" }, // functype
  wasm_valtype_new: { args: ["u8"], returns: "ptr" }, // kind
  wasm_valtype_kind: { args: ["ptr"], returns: "u8" }, // valtype
  wasm_valtype_vec_new: { args: ["ptr", "u64", "ptr"], returns: "void" }, // vec out, size, elements (consumed)
  // wasmtime_store_t, wasmtime_context_t
  wasmtime_store_new: { args: ["ptr", "ptr", "ptr"], returns: "ptr" }, // engine, data, finalizer
  wasmtime_store_context: { args: ["ptr"], returns: "ptr" }, // store
  wasmtime_store_limiter: { args: ["ptr", "i64", "i64", "i64", "i64", "i64"], returns: "void" }, // store, memory bytes, table elements, instances, tables, memories
  wasmtime_store_delete: { args: ["ptr"], returns: "void" }, // store
  wasmtime_context_set_fuel: { args: ["ptr", "u64_fast"], returns: "ptr" }, // context, fuel; fast: takes a number as it is
  wasmtime_context_get_fuel: { args: ["ptr", "ptr"], returns: "ptr" }, // context, fuel out
  // wasmtime_linker_t, wasmtime_instance_t
  wasmtime_linker_new: { args: ["ptr"], returns: "ptr" }, // engine
  wasmtime_linker_delete: { args: ["ptr"], returns: "void" }, // linker
  wasmtime_linker_define_func_unchecked: { args: ["ptr", "ptr", "u64", "ptr", "u64", "ptr", "ptr", "ptr", "ptr"], returns: "ptr" }, // linker, module, length, name, length, functype, callback, env, finalizer
  wasmtime_linker_instantiate: { args: ["ptr", "ptr", "ptr", "ptr", "ptr"], returns: "ptr" }, // linker, context, module, instance out, trap out
  wasmtime_instance_export_get: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "bool" }, // context, instance, name, length, extern out
  wasmtime_caller_context: { args: ["ptr"], returns: "ptr" }, // caller
  // wasmtime_func_t, wasmtime_memory_t, wasmtime_global_t
  wasmtime_func_type: { args: ["ptr", "ptr"], returns: "ptr" }, // context, func
  wasmtime_func_call_unchecked: { args: ["ptr", "ptr", "ptr", "u64", "ptr"], returns: "ptr" }, // context, func, args and results, slots, trap out
  wasmtime_memory_data: { args: ["ptr", "ptr"], returns: "ptr" }, // context, memory
  wasmtime_memory_data_size: { args: ["ptr", "ptr"], returns: "u64_fast" }, // context, memory
  wasmtime_memory_grow: { args: ["ptr", "ptr", "u64", "ptr"], returns: "ptr" }, // context, memory, delta pages, previous size out
  wasmtime_global_get: { args: ["ptr", "ptr", "ptr"], returns: "void" }, // context, global, val out
} as const;

let bound: Bound<typeof SYMBOLS> | undefined;

/** The bound C API; the library is loaded at the first call. */
export function wasmtime(): Bound<typeof SYMBOLS> {
  bound ??= openLibrary("libwasmtime", SYMBOLS, { version: WASMTIME_VERSION });
  return bound;
}
