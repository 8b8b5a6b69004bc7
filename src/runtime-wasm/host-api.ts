// Host API v1: what a user's own Wasm rule module may import from "kestrel_v1". Every address and length comes from the guest and is
// checked against its memory; an address outside is a trap. All integers are little endian, all text is UTF-8, (ptr, len) is bytes in
// guest memory.
//
//   A module exports
//     memory
//     pred_init() -> i32            optional; called once per instance; not 0 refuses to run
//     pred_eval(event) -> i32       not 0 is a match
//     pred_capture(event)           optional; called after a match, to capture and emit
//   and may import, as i32 unless said otherwise
//     event_get_i64(event, name_ptr, name_len, index, out_ptr) -> status     8 bytes at out_ptr
//     event_get_u64(event, name_ptr, name_len, index, out_ptr) -> status     8 bytes at out_ptr
//     event_get_f64(event, name_ptr, name_len, index, out_ptr) -> status     8 bytes at out_ptr
//     event_get_bool(event, name_ptr, name_len, index) -> 0, 1 or a negative status
//     event_get_str(event, name_ptr, name_len, index, buf_ptr, buf_len) -> byte length of the whole text, or a negative status
//     re_match(pattern_ptr, pattern_len, text_ptr, text_len) -> 0, 1 or BAD_PATTERN
//     glob_match(pattern_ptr, pattern_len, text_ptr, text_len) -> 0, 1 or BAD_PATTERN
//     capture_field(name_ptr, name_len, value_ptr, value_len) -> OK or LIMIT
//     alert_emit(text_ptr, text_len) -> OK or LIMIT
//
// `event` is the handle given to pred_eval, valid until it returns. `index` picks an element of a field with several values; the first
// index past the end answers ABSENT. Dates and `i64` are i64; a `u64` that fits is an i64 too; f64 takes any number. A text longer than
// its buffer is cut at a character and the rest of the buffer zeroed: the returned length says so. What is captured or emitted counts only
// if pred_eval matches. A module must not keep state between events: instances are pooled, and partitions have their own.
import type { Emission } from "#core";
import type { RecordView } from "#event";
import type { HostCall, WasmLinker, WasmMemory } from "#ffi/libwasmtime";
import type { FieldValue, Scalar, SchemaRegistry } from "#schema";

/** Name of the import module. */
export const HOST_MODULE = "kestrel_v1";

/** What host functions answer when there is no value. */
export const HostStatus = { OK: 0, ABSENT: -1, UNKNOWN_FIELD: -2, WRONG_TYPE: -3, BAD_PATTERN: -4, LIMIT: -5 } as const;

/** Linear-time matching, supplied by the caller. A pattern that is not valid throws. */
export interface Matchers {
  /** Whether the whole text matches an EQL regex. */
  regex(pattern: string, text: string): boolean;
  /** Whether the whole text matches a wildcard pattern of `*` and `?`. */
  glob(pattern: string, text: string): boolean;
}

/** Most captured values of one event. */
const CAPTURES_MAX = 32;
/** Most texts one event may emit. */
const MESSAGES_MAX = 8;
/** Most bytes of one captured value or emitted text; longer ones are cut. */
export const EMITTED_BYTES_MAX = 4096;

// Fuel counts guest instructions only, so host work has a budget of its own, in nanoseconds as a rough measure.
const WORK_MAX = 50_000_000;
const WORK_PER_CALL = 500;
const WORK_PER_PATTERN_BYTE = 64;

/** What host functions see of the call in progress. One per evaluator; set before each guest call. */
export interface HostState {
  readonly registry: SchemaRegistry;
  readonly matchers: Matchers;
  readonly view: RecordView;
  /** Memory of the instance that runs. */
  memory: WasmMemory | undefined;
  /** Handle of the event being evaluated, -1 outside. */
  event: number;
  /** Why the last event_get_* found no value. */
  status: number;
  /** Host work done for this event. */
  work: number;
  captures: (readonly [name: string, value: string])[];
  messages: string[];
}

/** Clears what the last event left. */
export function beginEvent(state: HostState, event: number): void {
  state.event = event;
  state.work = 0;
  if (state.captures.length > 0) state.captures = [];
  if (state.messages.length > 0) state.messages = [];
}

/** What the event's evaluation captured and emitted. */
export function emissionOf(state: HostState): Emission | undefined {
  return state.captures.length === 0 && state.messages.length === 0 ? undefined : { captures: state.captures, messages: state.messages };
}

/** A guest that asked the host for too much work. */
export class HostBudgetError extends Error {
  override readonly name = "HostBudgetError";
}

interface HostFunctionSpec {
  readonly params: readonly string[];
  /** Does the work and gives the i32 result. */
  readonly run: (state: HostState, call: HostCall) => number;
}

const I32_2 = ["i32", "i32"] as const;
const I32_4 = ["i32", "i32", "i32", "i32"] as const;
const I32_5 = [...I32_4, "i32"] as const;
const I32_6 = [...I32_5, "i32"] as const;

/** The functions of Host API v1; all return i32. */
export const HOST_FUNCTIONS: Readonly<Record<string, HostFunctionSpec>> = {
  event_get_i64: { params: I32_5, run: getI64 },
  event_get_u64: { params: I32_5, run: getU64 },
  event_get_f64: { params: I32_5, run: getF64 },
  event_get_bool: { params: I32_4, run: getBool },
  event_get_str: { params: I32_6, run: getStr },
  re_match: { params: I32_4, run: (state, call) => match(state, call, (pattern, text) => state.matchers.regex(pattern, text)) },
  glob_match: { params: I32_4, run: (state, call) => match(state, call, (pattern, text) => state.matchers.glob(pattern, text)) },
  capture_field: { params: I32_4, run: captureField },
  alert_emit: { params: I32_2, run: alertEmit },
};

/** Defines every host function on a linker; they act on `state`. */
export function defineHostApi(linker: WasmLinker, state: HostState): void {
  for (const [name, { params, run }] of Object.entries(HOST_FUNCTIONS)) {
    linker.define({ module: HOST_MODULE, name }, params, ["i32"], (call) => {
      charge(state, WORK_PER_CALL);
      call.slots.setInt32(0, run(state, call), true);
    });
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const NO_BYTES = new Uint8Array(0);

function argument(call: HostCall, index: number): number {
  return call.slots.getUint32(index * 16, true);
}

function charge(state: HostState, work: number): void {
  state.work += work;
  if (state.work > WORK_MAX) throw new HostBudgetError("Too much host work for one event");
}

/** Guest bytes [pointer, pointer + length), or a trap that names them. */
function guestBytes(state: HostState, what: string, pointer: number, length: number): Uint8Array {
  const memory = state.memory?.bytes() ?? NO_BYTES;
  if (pointer + length > memory.byteLength) {
    throw new Error(`${what} at ${pointer}, ${length} bytes, is outside the memory of ${memory.byteLength} bytes`);
  }
  return memory.subarray(pointer, pointer + length);
}

function guestText(state: HostState, what: string, pointer: number, length: number): string {
  const bytes = guestBytes(state, what, pointer, length);
  charge(state, length);
  return decoder.decode(bytes);
}

/** Value an event_get_* call asks for. Without one `undefined`, and `state.status` says why. */
function element(state: HostState, call: HostCall): Scalar | undefined {
  const event = argument(call, 0);
  if (event !== state.event) throw new Error(`Event handle ${event} is not the event being evaluated`);
  const field = state.registry.byName(guestText(state, "Field name", argument(call, 1), argument(call, 2)));
  if (field === undefined) {
    state.status = HostStatus.UNKNOWN_FIELD;
    return undefined;
  }
  const value: FieldValue | undefined = state.view.value(field.id);
  const index = argument(call, 3);
  state.status = HostStatus.ABSENT;
  if (typeof value === "object") return value[index];
  return index === 0 ? value : undefined;
}

/** Writes 8 bytes for the guest. */
function give(state: HostState, call: HostCall, write: (view: DataView) => void): number {
  const bytes = guestBytes(state, "Result", argument(call, 4), 8);
  write(new DataView(bytes.buffer, bytes.byteOffset, 8));
  return HostStatus.OK;
}

function getI64(state: HostState, call: HostCall): number {
  const value = element(state, call);
  if (value === undefined) return state.status;
  if (typeof value !== "bigint" || value !== BigInt.asIntN(64, value)) return HostStatus.WRONG_TYPE;
  return give(state, call, (view) => view.setBigInt64(0, value, true));
}

function getU64(state: HostState, call: HostCall): number {
  const value = element(state, call);
  if (value === undefined) return state.status;
  if (typeof value !== "bigint" || value < 0n) return HostStatus.WRONG_TYPE;
  return give(state, call, (view) => view.setBigUint64(0, value, true));
}

function getF64(state: HostState, call: HostCall): number {
  const value = element(state, call);
  if (value === undefined) return state.status;
  if (typeof value !== "bigint" && typeof value !== "number") return HostStatus.WRONG_TYPE;
  return give(state, call, (view) => view.setFloat64(0, Number(value), true));
}

function getBool(state: HostState, call: HostCall): number {
  const value = element(state, call);
  if (value === undefined) return state.status;
  if (typeof value !== "boolean") return HostStatus.WRONG_TYPE;
  return value ? 1 : 0;
}

function getStr(state: HostState, call: HostCall): number {
  const value = element(state, call);
  if (value === undefined) return state.status;
  if (typeof value !== "string") return HostStatus.WRONG_TYPE;
  const target = guestBytes(state, "Text buffer", argument(call, 4), argument(call, 5));
  const byteLength = Buffer.byteLength(value);
  charge(state, byteLength);
  const { written } = encoder.encodeInto(value, target);
  if (written < byteLength) target.fill(0, written);
  return byteLength;
}

function match(state: HostState, call: HostCall, matcher: (pattern: string, text: string) => boolean): number {
  const pattern = guestText(state, "Pattern", argument(call, 0), argument(call, 1));
  const text = guestText(state, "Text", argument(call, 2), argument(call, 3));
  charge(state, argument(call, 1) * WORK_PER_PATTERN_BYTE + argument(call, 3));
  try {
    return matcher(pattern, text) ? 1 : 0;
  } catch {
    return HostStatus.BAD_PATTERN;
  }
}

function captureField(state: HostState, call: HostCall): number {
  if (state.captures.length >= CAPTURES_MAX) return HostStatus.LIMIT;
  const name = guestText(state, "Capture name", argument(call, 0), Math.min(argument(call, 1), EMITTED_BYTES_MAX));
  const value = guestText(state, "Capture value", argument(call, 2), Math.min(argument(call, 3), EMITTED_BYTES_MAX));
  state.captures.push([name, value]);
  return HostStatus.OK;
}

function alertEmit(state: HostState, call: HostCall): number {
  if (state.messages.length >= MESSAGES_MAX) return HostStatus.LIMIT;
  state.messages.push(guestText(state, "Text", argument(call, 0), Math.min(argument(call, 1), EMITTED_BYTES_MAX)));
  return HostStatus.OK;
}
