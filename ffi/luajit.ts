// LuaJIT's C API, as far as Kestrel uses it: one state, text chunks, protected calls. Signatures from lua.h, lauxlib.h, lualib.h (2.1).
// Invariant: no call here can raise outside lua_pcall (that would end the process), so everything that may run Lua code goes through `call`.
// No callbacks from Lua to JavaScript exist: an error raised through one would jump over JavaScript frames.
import { Handle, NativeError } from "./handle.ts";
import { type Bound, openLibrary } from "./library.ts";
import { addressOf, checkI32, checkInteger, checkPointer, copyOut, NativeBuffer } from "./memory.ts";

/** LuaJIT version the signatures were written for. */
const LUAJIT_VERSION = "2.1";

const SYMBOLS = {
  luaL_newstate: { args: [], returns: "ptr" },
  luaL_openlibs: { args: ["ptr"], returns: "void" }, // L
  luaL_loadbufferx: { args: ["ptr", "ptr", "u64", "ptr", "ptr"], returns: "i32" }, // L, buff, sz, name, mode
  luaJIT_setmode: { args: ["ptr", "i32", "i32"], returns: "i32" }, // L, idx, mode
  lua_checkstack: { args: ["ptr", "i32"], returns: "i32" }, // L, sz
  lua_close: { args: ["ptr"], returns: "void" }, // L
  lua_gc: { args: ["ptr", "i32", "i32"], returns: "i32" }, // L, what, data
  lua_gettop: { args: ["ptr"], returns: "i32" }, // L
  lua_pcall: { args: ["ptr", "i32", "i32", "i32"], returns: "i32" }, // L, nargs, nresults, errfunc
  lua_pushboolean: { args: ["ptr", "i32"], returns: "void" }, // L, b
  lua_pushlstring: { args: ["ptr", "ptr", "u64"], returns: "void" }, // L, s, l
  lua_pushnil: { args: ["ptr"], returns: "void" }, // L
  lua_pushnumber: { args: ["ptr", "f64"], returns: "void" }, // L, n
  lua_pushvalue: { args: ["ptr", "i32"], returns: "void" }, // L, idx
  lua_settop: { args: ["ptr", "i32"], returns: "void" }, // L, idx
  lua_toboolean: { args: ["ptr", "i32"], returns: "i32" }, // L, idx
  lua_tolstring: { args: ["ptr", "i32", "ptr"], returns: "ptr" }, // L, idx, len
  lua_tonumber: { args: ["ptr", "i32"], returns: "f64" }, // L, idx
  lua_type: { args: ["ptr", "i32"], returns: "i32" }, // L, idx
} as const;

const enum Status {
  Ok = 0,
  Run = 2,
  Syntax = 3,
  Memory = 4,
  ErrorInError = 5,
}

const enum Type {
  Nil = 0,
  Boolean = 1,
  Number = 3,
  String = 4,
  Table = 5,
  Function = 6,
}

const TYPE_NAMES = ["nil", "boolean", "light userdata", "number", "string", "table", "function", "userdata", "thread", "proto", "cdata"];
const GC_COUNT = 3;
const MODE_ENGINE = 0;
const MODE_ON = 0x0100;
const MODE_OFF = 0;
/** Stack slots of one state: held functions and one call's arguments or results. */
const STACK_SLOTS_MAX = 60;

let bound: Bound<typeof SYMBOLS> | undefined;

function lib(): Bound<typeof SYMBOLS> {
  bound ??= openLibrary("libluajit", SYMBOLS, { version: LUAJIT_VERSION });
  return bound;
}

/** What went wrong inside Lua. */
export type LuaErrorCode = "lua-syntax" | "lua-run" | "lua-memory" | "lua-error-in-error";

/** An error that Lua raised or found while loading; `message` is Lua's own text. */
export class LuaError extends NativeError {
  constructor(
    override readonly code: LuaErrorCode,
    message: string,
  ) {
    super(code, "libluajit", message);
  }
}

/** A value that crosses the border by copy. */
export type LuaValue = null | boolean | number | string | Uint8Array;

/** A function that lives in a state: a place on its stack. */
export interface LuaFunction {
  readonly state: LuaState;
  readonly index: number;
}

/**
 * One Lua state with all of LuaJIT's libraries. Functions that JavaScript holds stay at the bottom of its stack; every call leaves the stack
 * as it found it. Not for two threads at once.
 */
export class LuaState implements Disposable {
  readonly #handle: Handle;
  readonly #length = new NativeBuffer(8);
  /** Text that Lua is reading: an address alone would not keep it alive. */
  readonly #reading: NativeBuffer[] = [];
  #held = 0;
  #errorHandler = 0;

  constructor() {
    this.#handle = new Handle("libluajit", "lua_State", lib().luaL_newstate(), (pointer) => lib().lua_close(pointer));
    const L = this.#handle.ptr;
    lib().luaL_openlibs(L);
    if (lib().lua_checkstack(L, STACK_SLOTS_MAX) === 0) {
      this.close();
      throw new NativeError("lua-memory", "libluajit", `No room for ${STACK_SLOTS_MAX} stack slots`);
    }
  }

  /** Whether the state was closed. */
  get closed(): boolean {
    return this.#handle.closed;
  }

  /** KiB of memory the state uses. */
  get memoryKib(): number {
    return lib().lua_gc(this.#handle.ptr, GC_COUNT, 0);
  }

  /** Turns the JIT compiler on or off for the whole state. False when LuaJIT cannot (built without it). */
  setJit(on: boolean): boolean {
    return lib().luaJIT_setmode(this.#handle.ptr, 0, MODE_ENGINE | (on ? MODE_ON : MODE_OFF)) === 1;
  }

  /** Compiles a text chunk (bytecode is refused) and holds the function. LuaError `lua-syntax` otherwise. */
  load(text: string | Uint8Array, chunkName: string): LuaFunction {
    this.#room(1);
    const source = NativeBuffer.from(typeof text === "string" ? new TextEncoder().encode(text) : text);
    const name = NativeBuffer.cstring(chunkName);
    const mode = NativeBuffer.cstring("t");
    this.#reading.push(source, name, mode);
    const L = this.#handle.ptr;
    const status = lib().luaL_loadbufferx(L, source.ptr, source.byteLength, name.ptr, mode.ptr);
    this.#reading.length = 0;
    if (status !== Status.Ok) throw this.#takeError(status);
    return this.#hold();
  }

  /** Compiles a text chunk and drops it: the LuaError, or nothing. */
  check(text: string | Uint8Array, chunkName: string): LuaError | undefined {
    try {
      this.load(text, chunkName);
    } catch (error) {
      if (error instanceof LuaError) return error;
      throw error;
    }
    this.#held--;
    lib().lua_settop(this.#handle.ptr, this.#held);
    return undefined;
  }

  /** Every later call hands what it raises to this held function first; its result becomes the error's message. */
  setErrorHandler(fn: LuaFunction): void {
    this.#errorHandler = this.#indexOf(fn);
  }

  /** Calls a held function with plain values or held functions and holds its results, which must be functions or tables. */
  callForHeld(fn: LuaFunction, args: readonly (LuaValue | LuaFunction)[], resultCount: number): LuaFunction[] {
    checkInteger(resultCount, "resultCount", { min: 0, max: STACK_SLOTS_MAX });
    this.#room(Math.max(args.length + 1, resultCount));
    this.#call(fn, args, resultCount);
    const results: LuaFunction[] = [];
    for (let i = 1; i <= resultCount; i++) {
      const index = this.#held + 1;
      const type = lib().lua_type(this.#handle.ptr, index);
      if (type !== Type.Function && type !== Type.Table) {
        lib().lua_settop(this.#handle.ptr, this.#held);
        throw new NativeError("type", "libluajit", `Result ${i} must be a function or a table, got ${typeName(type)}`);
      }
      results.push(this.#hold());
    }
    return results;
  }

  /** Calls a held function with plain values and copies its one result. LuaError when it raises. */
  call(fn: LuaFunction, args: readonly (LuaValue | LuaFunction)[]): LuaValue {
    this.#room(args.length + 1);
    this.#call(fn, args, 1);
    const value = this.#read(-1);
    lib().lua_settop(this.#handle.ptr, this.#held);
    return value;
  }

  /** The hot path: a held function of three numbers that returns a number. Returns that number, or the LuaError as a value. */
  call3(fn: LuaFunction, a: number, b: number, c: number): number | LuaError {
    const L = this.#handle.ptr;
    const { lua_pushvalue, lua_pushnumber, lua_pcall, lua_tonumber, lua_settop } = lib();
    lua_pushvalue(L, this.#indexOf(fn));
    lua_pushnumber(L, a);
    lua_pushnumber(L, b);
    lua_pushnumber(L, c);
    const status = lua_pcall(L, 3, 1, this.#errorHandler);
    if (status !== Status.Ok) return this.#takeError(status);
    const result = lua_tonumber(L, -1);
    lua_settop(L, this.#held);
    return result;
  }

  /** Frees the state and all it holds. Twice is fine. */
  close(): void {
    this.#handle.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #room(slots: number): void {
    checkInteger(this.#held + slots, "stack slots", { min: 0, max: STACK_SLOTS_MAX });
  }

  #hold(): LuaFunction {
    this.#held++;
    return { state: this, index: this.#held };
  }

  #indexOf(fn: LuaFunction): number {
    if (fn.state !== this) throw new NativeError("wrong-state", "libluajit", "The function belongs to another Lua state");
    return fn.index;
  }

  #call(fn: LuaFunction, args: readonly (LuaValue | LuaFunction)[], resultCount: number): void {
    const L = this.#handle.ptr;
    lib().lua_pushvalue(L, this.#indexOf(fn));
    try {
      for (const arg of args) this.#push(arg);
    } catch (error) {
      lib().lua_settop(L, this.#held);
      throw error;
    }
    const status = lib().lua_pcall(L, args.length, resultCount, this.#errorHandler);
    if (status !== Status.Ok) throw this.#takeError(status);
  }

  #push(value: LuaValue | LuaFunction): void {
    const L = this.#handle.ptr;
    if (value === null) lib().lua_pushnil(L);
    else if (typeof value === "boolean") lib().lua_pushboolean(L, value ? 1 : 0);
    else if (typeof value === "number") lib().lua_pushnumber(L, value);
    else if (typeof value === "string") this.#pushBytes(new TextEncoder().encode(value));
    else if (value instanceof Uint8Array) this.#pushBytes(value);
    else if (isLuaFunction(value)) lib().lua_pushvalue(L, this.#indexOf(value));
    else throw new NativeError("type", "libluajit", `Cannot hand a ${typeof value} to Lua`);
  }

  #pushBytes(bytes: Uint8Array): void {
    const copy = NativeBuffer.from(bytes);
    this.#reading.push(copy);
    lib().lua_pushlstring(this.#handle.ptr, copy.ptr, copy.byteLength);
    this.#reading.length = 0;
  }

  #read(index: number): LuaValue {
    const L = this.#handle.ptr;
    const type = lib().lua_type(L, checkI32(index, "index"));
    switch (type) {
      case Type.Nil:
        return null;
      case Type.Boolean:
        return lib().lua_toboolean(L, index) !== 0;
      case Type.Number:
        return lib().lua_tonumber(L, index);
      case Type.String:
        return this.#bytes(index);
      default:
        lib().lua_settop(L, this.#held);
        throw new NativeError("type", "libluajit", `Expected a plain value, got ${typeName(type)}`);
    }
  }

  /** Bytes of the string at an index; only for values that are strings, since converting a number may raise. */
  #bytes(index: number): Uint8Array {
    const at = lib().lua_tolstring(this.#handle.ptr, index, this.#length.ptr);
    return copyOut(checkPointer(at, "lua_tolstring"), Number(this.#length.u64()));
  }

  #takeError(status: number): LuaError {
    const L = this.#handle.ptr;
    const type = lib().lua_type(L, -1);
    const text = type === Type.String ? new TextDecoder().decode(this.#bytes(-1)) : `error value is a ${typeName(type)}`;
    lib().lua_settop(L, this.#held);
    return new LuaError(codeOf(status), text);
  }
}

/** Address of a batch's first byte as the number Lua gets. The view must be over an explicit ArrayBuffer that outlives the call. */
export function luaAddress(view: Uint8Array): number {
  return addressOf(view);
}

function isLuaFunction(value: unknown): value is LuaFunction {
  return typeof value === "object" && value !== null && "state" in value && value.state instanceof LuaState;
}

function typeName(type: number): string {
  return TYPE_NAMES[type] ?? "no value";
}

function codeOf(status: number): LuaErrorCode {
  switch (status) {
    case Status.Syntax:
      return "lua-syntax";
    case Status.Memory:
      return "lua-memory";
    case Status.ErrorInError:
      return "lua-error-in-error";
    default:
      return "lua-run";
  }
}
