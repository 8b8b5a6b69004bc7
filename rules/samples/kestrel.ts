// Host API v1 for rules in AssemblyScript: the imports of "kestrel_v1" and small helpers over them. Copy this file beside your own rule.
// Texts cross the border as UTF-8 (pointer, length). A rule keeps no state between events; it allocates at start only, so memory is fixed.

// @ts-ignore: decorator
@external("kestrel_v1", "event_get_i64")
declare function event_get_i64(event: i32, name: usize, nameLength: i32, index: i32, out: usize): i32;
// @ts-ignore: decorator
@external("kestrel_v1", "event_get_u64")
declare function event_get_u64(event: i32, name: usize, nameLength: i32, index: i32, out: usize): i32;
// @ts-ignore: decorator
@external("kestrel_v1", "event_get_f64")
declare function event_get_f64(event: i32, name: usize, nameLength: i32, index: i32, out: usize): i32;
// @ts-ignore: decorator
@external("kestrel_v1", "event_get_bool")
declare function event_get_bool(event: i32, name: usize, nameLength: i32, index: i32): i32;
// @ts-ignore: decorator
@external("kestrel_v1", "event_get_str")
declare function event_get_str(event: i32, name: usize, nameLength: i32, index: i32, buffer: usize, bufferLength: i32): i32;
// @ts-ignore: decorator
@external("kestrel_v1", "re_match")
declare function re_match(pattern: usize, patternLength: i32, text: usize, textLength: i32): i32;
// @ts-ignore: decorator
@external("kestrel_v1", "glob_match")
declare function glob_match(pattern: usize, patternLength: i32, text: usize, textLength: i32): i32;
// @ts-ignore: decorator
@external("kestrel_v1", "capture_field")
declare function capture_field(name: usize, nameLength: i32, value: usize, valueLength: i32): i32;
// @ts-ignore: decorator
@external("kestrel_v1", "alert_emit")
declare function alert_emit(text: usize, textLength: i32): i32;

/** The event has no such field, or no element at that index. */
export const ABSENT: i32 = -1;
/** No field of that name exists: a mistake in the rule. */
export const UNKNOWN_FIELD: i32 = -2;
/** The field holds another type. */
export const WRONG_TYPE: i32 = -3;
/** The pattern is not valid. */
export const BAD_PATTERN: i32 = -4;
/** Enough was captured or emitted for one event. */
export const LIMIT: i32 = -5;

/** A constant text as the host wants it. Make it at the top level of the rule, never inside pred_eval. */
export class Text {
  readonly bytes: ArrayBuffer;

  constructor(text: string) {
    this.bytes = String.UTF8.encode(text);
  }

  get at(): usize {
    return changetype<usize>(this.bytes);
  }

  get length(): i32 {
    return this.bytes.byteLength;
  }
}

/** Room for one text of the event. `length` is what was read into it; `whole` says whether that was all of it. */
export class TextBuffer {
  readonly bytes: StaticArray<u8>;
  length: i32 = 0;
  whole: bool = true;

  constructor(size: i32) {
    this.bytes = new StaticArray<u8>(size);
  }

  get at(): usize {
    return changetype<usize>(this.bytes);
  }

  /** Reads element `index` of a text field. False when there is none; check for UNKNOWN_FIELD with {@link status} while writing a rule. */
  read(event: i32, field: Text, index: i32 = 0): bool {
    const size = this.bytes.length;
    const length = event_get_str(event, field.at, field.length, index, this.at, size);
    this.length = max(0, min(length, size));
    this.whole = length <= size;
    return length >= 0;
  }

  /** Whether the text matches a wildcard pattern. */
  like(pattern: Text): bool {
    return glob_match(pattern.at, pattern.length, this.at, this.length) == 1;
  }

  /** Whether the whole text matches a regex. */
  matches(pattern: Text): bool {
    return re_match(pattern.at, pattern.length, this.at, this.length) == 1;
  }
}

/** Result of the last {@link integer}, {@link unsigned} or {@link float}: 0 or a negative status. */
export let status: i32 = 0;
const scratch = new StaticArray<u64>(1);

/** A signed integer or date (nanoseconds since 1970); 0 when there is none, see {@link status}. */
export function integer(event: i32, field: Text, index: i32 = 0): i64 {
  status = event_get_i64(event, field.at, field.length, index, changetype<usize>(scratch));
  return status == 0 ? load<i64>(changetype<usize>(scratch)) : 0;
}

/** An unsigned integer; 0 when there is none, see {@link status}. */
export function unsigned(event: i32, field: Text, index: i32 = 0): u64 {
  status = event_get_u64(event, field.at, field.length, index, changetype<usize>(scratch));
  return status == 0 ? load<u64>(changetype<usize>(scratch)) : 0;
}

/** Any number as a double; 0 when there is none, see {@link status}. */
export function float(event: i32, field: Text, index: i32 = 0): f64 {
  status = event_get_f64(event, field.at, field.length, index, changetype<usize>(scratch));
  return status == 0 ? load<f64>(changetype<usize>(scratch)) : 0;
}

/** 1, 0 or a negative status. */
export function boolean(event: i32, field: Text, index: i32 = 0): i32 {
  return event_get_bool(event, field.at, field.length, index);
}

/** Adds a named value to the alert. */
export function capture(name: Text, value: usize, length: i32): void {
  capture_field(name.at, name.length, value, length);
}

/** Adds a sentence to the alert. */
export function emit(text: Text): void {
  alert_emit(text.at, text.length);
}
