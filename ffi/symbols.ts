// One step above dlopen: binds the functions of a shared object that is already a path, and names library, symbol and version when one is
// missing. Where the file comes from is library.ts's business.
import { dlopen, type FFIFunction, type Library } from "bun:ffi";
import { NativeError } from "./handle.ts";

declare module "bun:ffi" {
  // dlopen takes this label, its types forget it: a u64 that comes as a number while it fits one, instead of always as a bigint.
  interface FFITypeStringToType {
    u64_fast: FFIType.u64_fast;
  }
}

/** C functions by name, as bun:ffi declares them. */
export type SymbolTable = Record<string, FFIFunction>;

/** The callable functions of a table. */
export type Bound<T extends SymbolTable> = Library<T>["symbols"];

/** Where a shared object is and how errors call it. */
export interface BindTarget {
  /** Path or SONAME for the loader. */
  readonly path: string;
  /** Name in errors, for example `libwasmtime`. */
  readonly library: string;
  /** Version the signatures were written for, for errors. */
  readonly version?: string | undefined;
}

/** Opens a shared object and binds the functions. NativeError `missing-library` or `missing-symbol` otherwise. */
export function bindSymbols<T extends SymbolTable>(target: BindTarget, symbols: T): Bound<T> {
  try {
    return dlopen(target.path, symbols).symbols;
  } catch (cause) {
    throw bindError(target, cause);
  }
}

function bindError(target: BindTarget, cause: unknown): NativeError {
  const wanted = target.version === undefined ? target.library : `${target.library} ${target.version}`;
  const text = cause instanceof Error ? cause.message : String(cause);
  const symbol = /^Symbol "([^"]+)" not found/.exec(text)?.[1];
  if (symbol !== undefined) {
    const message = `Function "${symbol}" is not in ${target.library} at "${target.path}"; Kestrel needs ${wanted}`;
    return new NativeError("missing-symbol", target.library, message, { cause });
  }
  return new NativeError("missing-library", target.library, `Cannot load ${wanted}: ${text}`, { cause });
}
