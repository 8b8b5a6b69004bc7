// Ownership of one native object: a pointer that is freed once, refuses use after that, and can be handed over to C. Also the error type
// of everything native. Nothing here calls native code by itself.
import type { Pointer } from "bun:ffi";

export type { Pointer };

/** A failure at the native border: which library, a stable code, and a message that names the value. */
export class NativeError extends Error {
  override readonly name: string = "NativeError";
  constructor(
    /** Stable kebab-case code (`closed`, `range`, `missing-symbol`, …) or a C error name (`EPERM`). */
    readonly code: string,
    /** Library or file the failure belongs to, for example `libwasmtime`. */
    readonly library: string,
    message: string,
    options?: { readonly cause?: unknown },
  ) {
    super(message, options);
  }
}

/** Frees the native object behind a pointer. */
export type Free = (pointer: Pointer) => void;

/** Owner of one native object. `ptr` throws once the object is closed or consumed; `close()` twice is fine. */
export class Handle implements Disposable {
  #pointer: Pointer | undefined;
  readonly #free: Free | undefined;
  /** Everything native code may still touch while the object lives (buffers, callbacks, parents): held here so it is not collected. */
  readonly #keep: unknown[] = [];
  #end = "closed";

  constructor(
    /** Library of the object, for errors. */
    readonly library: string,
    /** C type of the object, for errors. */
    readonly kind: string,
    pointer: Pointer | bigint | null | undefined,
    free?: Free,
  ) {
    if (typeof pointer !== "number" || !Number.isSafeInteger(pointer) || pointer <= 0) {
      throw new NativeError("null-pointer", library, `${library} gave no ${kind}`);
    }
    this.#pointer = pointer;
    this.#free = free;
  }

  /** The live pointer. Throws NativeError `closed` after close() or consume(). */
  get ptr(): Pointer {
    this.assertOpen();
    return this.#pointer as Pointer;
  }

  /** Throws NativeError `closed` after close() or consume(): for objects that live inside this one. */
  assertOpen(): void {
    if (this.#pointer === undefined) throw new NativeError("closed", this.library, `${this.kind} is already ${this.#end}`);
  }

  /** Whether close() or consume() was called. */
  get closed(): boolean {
    return this.#pointer === undefined;
  }

  /** Keeps a value alive as long as this handle. */
  keep<V>(value: V): V {
    this.#keep.push(value);
    return value;
  }

  /** Gives the pointer up to native code, which frees it from now on. */
  consume(): Pointer {
    const pointer = this.ptr;
    this.#pointer = undefined;
    this.#end = "handed over";
    return pointer;
  }

  /** Frees the object. Twice is fine. */
  close(): void {
    const pointer = this.#pointer;
    if (pointer === undefined) return;
    this.#pointer = undefined;
    this.#free?.(pointer);
    this.#keep.length = 0;
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
