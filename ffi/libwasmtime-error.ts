// Failures of libwasmtime as typed errors: the C error and trap objects are read, freed and thrown at once.
import { NativeError, type Pointer } from "./handle.ts";
import { WasmVec } from "./layouts.ts";
import { wasmtime } from "./libwasmtime-symbols.ts";
import { checkPointer, NativeBuffer, readPointer, readText, readU64 } from "./memory.ts";

/** Library name of every error made here. */
export const LIBRARY = "libwasmtime";

// In the order of wasmtime_trap_code_t.
const TRAP_NAMES = [
  "stack-overflow",
  "memory-out-of-bounds",
  "heap-misaligned",
  "table-out-of-bounds",
  "indirect-call-to-null",
  "bad-signature",
  "integer-overflow",
  "integer-division-by-zero",
  "bad-conversion-to-integer",
  "unreachable",
  "interrupt",
  "out-of-fuel",
] as const;

/** Why a guest stopped; `host` is a host function's refusal, `other` a code this version of Kestrel has no name for. */
export type TrapName = (typeof TRAP_NAMES)[number] | "host" | "other";

/** A guest that trapped or ran out of fuel. The instance may be in any state: do not call it again. */
export class WasmTrap extends NativeError {
  override readonly name = "WasmTrap";
  constructor(
    readonly trap: TrapName,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(trap, LIBRARY, message, options);
  }
}

/** Throws the C error, when there is one. `code` says what was being done. */
export function throwOnError(error: Pointer | bigint | null, code: string, what: string): void {
  if (error !== null) throw new NativeError(code, LIBRARY, `${what}: ${takeErrorText(error)}`);
}

/** Text of a C error; frees it. */
export function takeErrorText(error: Pointer | bigint): string {
  const pointer = checkPointer(error, "error");
  const vec = new NativeBuffer(WasmVec.Bytes);
  wasmtime().wasmtime_error_message(pointer, vec.ptr);
  const text = takeVecText(vec);
  wasmtime().wasmtime_error_delete(pointer);
  return firstLines(text);
}

/** Throws the trap stored in an out-parameter, when there is one, and clears the parameter. */
export function throwOnTrap(trapOut: NativeBuffer, what: string): void {
  const trap = trapOut.pointer();
  if (trap === undefined) return;
  trapOut.setPointer(0, undefined);
  const code = new NativeBuffer(8);
  const name = wasmtime().wasmtime_trap_code(trap, code.ptr) ? (TRAP_NAMES[code.bytes[0] ?? 0] ?? "other") : "other";
  const vec = new NativeBuffer(WasmVec.Bytes);
  wasmtime().wasm_trap_message(trap, vec.ptr);
  const text = takeVecText(vec);
  wasmtime().wasm_trap_delete(trap);
  throw new WasmTrap(name, `${what}: ${firstLines(text)}`);
}

/** Text of a `wasm_byte_vec_t` that C filled for us; frees it. */
function takeVecText(vec: NativeBuffer): string {
  const text = vecText(vec.ptr);
  wasmtime().wasm_byte_vec_delete(vec.ptr);
  return text;
}

/** Text of a `wasm_byte_vec_t` that C keeps. */
export function vecText(vec: Pointer): string {
  const size = Number(readU64(vec, WasmVec.Size));
  const data = readPointer(vec, WasmVec.Data);
  return data === undefined ? "" : readText(data, size).replace(/\0+$/, "");
}

const BACKTRACE_LINE = /^(\d+: +(0x|<)|error while executing|wasm backtrace|note:|Caused by:|Stack backtrace)/;

/** The causes of a wasmtime message without the backtrace, whose addresses say nothing to a rule's author. */
function firstLines(text: string): string {
  const lines = text.split("\n").map((line) => line.trim());
  const causes = lines.filter((line) => line !== "" && !BACKTRACE_LINE.test(line)).map((line) => line.replace(/^\d+: +/, ""));
  return causes.length === 0 ? (lines[0] ?? "") : causes.join("; ");
}
