// One line of ECS JSON → one record, in one pass over the bytes: keys are looked up as they are read, strings are copied as they stand.
// Invariant: what no field holds exactly is kept as JSON text in `kestrel.extra`, so the encoder gives the same values back.
import {
  CATEGORY_NONE,
  CATEGORY_OTHER,
  CATEGORY_SEVERAL,
  EntryType,
  RECORD_FIELDS_MAX,
  RecordFlag,
  type Scalar,
  type SchemaRegistry,
  STRING_BYTES_MAX,
} from "#schema";
import { RecordBuilder } from "./builder.ts";
import { type DateWords, parseDateBytes } from "./date.ts";
import { parseJson } from "./exact-json.ts";
import { ExtraWriter } from "./extra-writer.ts";
import { extendHash, FieldTable, NameRole, PATH_BYTES_MAX, PATH_HASH_PRIME, PATH_HASH_START } from "./field-table.ts";
import { canonicalIp } from "./ip.ts";
import { EXTRA_FIELD, TIEBREAKER_FIELD } from "./json-encoder.ts";
import { JSON_DEPTH_MAX, JsonScanner } from "./json-scanner.ts";
import { flattenObjects, scalarOf } from "./json-values.ts";
import { bigintToWords, INTEGER, numberToWords, type TimestampUnit, textToWords } from "./timestamp.ts";
import { isUtf8, repairUtf8 } from "./utf8.ts";

/** How a log's events are to be read. */
export interface JsonDecoderOptions {
  /** Field with the event's time; `@timestamp` unless given. */
  readonly timestampField?: string;
  /** Unit of numeric times; `auto` unless given. */
  readonly timestampUnit?: TimestampUnit;
  /** Field with the event's category; `event.category` unless given. */
  readonly categoryField?: string;
  /** Field that orders events of one time; copied to `kestrel.tiebreaker`. */
  readonly tiebreakerField?: string;
}

/** Why a line is no event. */
export interface DecodeProblem {
  readonly message: string;
}

const CATEGORY_FIELD = "event.category";
const INPUT_BYTES_KEPT: number = 256 << 10;

/** Longest line that is decoded. */
export const LINE_BYTES_MAX: number = 8 << 20;

/**
 * Decodes lines into its builder's record. Knows the fields that the registry has when it is made: add extra fields first.
 * Dates are ISO 8601, or numbers: epoch milliseconds, in the timestamp field of the option's unit.
 */
export class JsonDecoder {
  /** Holds the record of the last good line: `bytes[0, size)`. */
  readonly builder: RecordBuilder = new RecordBuilder();
  readonly #registry: SchemaRegistry;
  readonly #table: FieldTable;
  readonly #categories: CategoryCache;
  readonly #unit: TimestampUnit;
  readonly #extraId: number;
  readonly #tiebreakerId: number;
  /** `event.category` when another field has the category: queries look for one of several there. 0: the field has them itself. */
  readonly #categoryListId: number;
  readonly #scanner = new JsonScanner();
  readonly #extra = new ExtraWriter(STRING_BYTES_MAX);
  readonly #path = new Uint8Array(PATH_BYTES_MAX);
  readonly #date: DateWords = { lo: 0, hi: 0, canonical: false };
  /** Line number, modulo 2³², in which a slot was set last: a second value in one line is kept beside the first. */
  readonly #setInLine: Uint32Array;
  #line = 0;
  readonly #input = new Uint8Array(INPUT_BYTES_KEPT);
  readonly #encoder = new TextEncoder();
  #category = CATEGORY_NONE;
  /** Where the list of several categories stands in the line. */
  #categoriesFrom = 0;
  #categoriesTo = 0;
  #timeKnown = false;
  #timeLo = 0;
  #timeHi = 0;
  #pathLength = 0;
  #hash = PATH_HASH_START;
  #timeUnknownCount = 0;

  constructor(registry: SchemaRegistry, options: JsonDecoderOptions = {}) {
    this.#registry = registry;
    this.#categories = new CategoryCache(registry);
    this.#unit = options.timestampUnit ?? "auto";
    const named = {
      timestamp: options.timestampField ?? "@timestamp",
      category: options.categoryField ?? CATEGORY_FIELD,
      tiebreaker: options.tiebreakerField,
    };
    // Our own carriers are no input: a line that names them keeps them like any unknown field.
    this.#table = new FieldTable(registry, named, [EXTRA_FIELD, TIEBREAKER_FIELD]);
    this.#extraId = registry.idOf(EXTRA_FIELD);
    this.#tiebreakerId = registry.idOf(TIEBREAKER_FIELD);
    this.#categoryListId = named.category === CATEGORY_FIELD ? 0 : registry.idOf(CATEGORY_FIELD);
    this.#setInLine = new Uint32Array(this.#table.size);
  }

  /** Events so far that had no usable time. */
  get timeUnknownCount(): number {
    return this.#timeUnknownCount;
  }

  /** Takes the time of the event before the first line, which an event without a time gets. */
  startAfter(timeLo: number, timeHi: number): void {
    this.#timeLo = timeLo;
    this.#timeHi = timeHi;
  }

  /** Decodes a line of text. The record's bytes in `builder`, or why there is none. */
  decode(line: string): number | DecodeProblem {
    if (line.length > LINE_BYTES_MAX) return tooLong(line.length);
    // A rare long line does not leave its buffer behind.
    const input = line.length * 3 > INPUT_BYTES_KEPT ? new Uint8Array(line.length * 3) : this.#input;
    const { written } = this.#encoder.encodeInto(line, input);
    return this.#decode(input, 0, written);
  }

  /** Decodes a line of bytes; broken UTF-8 becomes U+FFFD. */
  decodeBytes(bytes: Uint8Array, from: number, to: number): number | DecodeProblem {
    if (to - from > LINE_BYTES_MAX) return tooLong(to - from);
    const timeUnknown = this.#timeUnknownCount;
    const result = this.#decode(bytes, from, to);
    if (this.#scanner.high < 0x80 || isUtf8(bytes.subarray(from, to))) return result;
    this.#timeUnknownCount = timeUnknown;
    return this.decode(repairUtf8(bytes, from, to - from));
  }

  #decode(src: Uint8Array, from: number, to: number): number | DecodeProblem {
    const scanner = this.#scanner;
    scanner.reset(src, to);
    this.#line = (this.#line + 1) >>> 0;
    this.#category = CATEGORY_NONE;
    this.#timeKnown = false;
    this.#hash = PATH_HASH_START;
    this.#pathLength = 0;
    this.#extra.reset(src);
    this.builder.begin2(CATEGORY_NONE, 0, 0);
    let at = scanner.space(from);
    if (at >= to || src[at] !== 0x7b) at = scanner.unexpected(at, "a JSON object");
    else at = this.#object(at + 1, 0);
    if (at >= 0) {
      at = scanner.space(at);
      if (at < to) at = scanner.unexpected(at, "the end of the line");
    }
    if (at < 0) return { message: `Invalid JSON at byte ${scanner.problemAt - from + 1}: ${scanner.problem}` };
    return this.#finish();
  }

  #finish(): number {
    const builder = this.builder;
    const extra = this.#extra;
    builder.setCategory(this.#category);
    this.#keepCategories();
    if (!this.#timeKnown) {
      // The time of the event before: replay must not depend on the wall clock, and order stays as it is.
      builder.addFlags(RecordFlag.TimeUnknown);
      this.#timeUnknownCount++;
    }
    builder.setTime(this.#timeLo, this.#timeHi);
    const length = extra.finish();
    if (extra.dropped || length > builder.room || (length > 0 && builder.fieldCount >= RECORD_FIELDS_MAX)) builder.markRecordTruncated();
    if (length > 0 && length <= builder.room) builder.keywordBytes(this.#extraId, extra.bytes, 0, length);
    return builder.finish();
  }

  // Reads members up to the closing brace. The path so far is in #path, its hash in #hash.
  #object(at: number, depth: number): number {
    const scanner = this.#scanner;
    const src = scanner.src;
    if (depth >= JSON_DEPTH_MAX) return scanner.fail(at - 1, `nesting is deeper than ${JSON_DEPTH_MAX}`);
    const pathLength = this.#pathLength;
    const hash = this.#hash;
    at = scanner.space(at);
    if (at < scanner.end && src[at] === 0x7d) return at + 1;
    for (;;) {
      if (at >= scanner.end || src[at] !== 0x22) return scanner.unexpected(at, "a key");
      const keyFrom = at;
      this.#pathLength = pathLength;
      this.#hash = hash;
      const keyTo = this.#key(at + 1);
      if (keyTo < 0) return -1;
      at = scanner.space(keyTo);
      if (at >= scanner.end || src[at] !== 0x3a) return scanner.unexpected(at, '":"');
      at = this.#member(scanner.space(at + 1), keyFrom, keyTo, depth);
      if (at < 0) return -1;
      at = scanner.space(at);
      if (at < scanner.end && src[at] === 0x7d) return at + 1;
      if (at >= scanner.end || src[at] !== 0x2c) return scanner.unexpected(at, '"," or "}"');
      at = scanner.space(at + 1);
    }
  }

  // Reads a key and appends it to the path in one pass. Position behind its closing quote.
  #key(from: number): number {
    const scanner = this.#scanner;
    const { src, end } = scanner;
    const path = this.#path;
    let length = this.#pathLength;
    let hash = this.#hash;
    for (let at = from; at < end && length < PATH_BYTES_MAX; at++) {
      const byte = src[at]!;
      if (byte === 0x22) {
        this.#pathLength = length;
        this.#hash = hash;
        return at + 1;
      }
      // Escapes, other alphabets and what no string may hold take the slower way.
      if (byte === 0x5c || byte < 0x20 || byte >= 0x80) break;
      path[length++] = byte;
      hash = Math.imul(hash ^ byte, PATH_HASH_PRIME);
    }
    const close = scanner.string(from);
    if (close < 0) return -1;
    this.#extendPath(from, close);
    return close + 1;
  }

  // Appends a key to the path. A path too long for the table gets a length that nothing has.
  #extendPath(from: number, to: number): void {
    const scanner = this.#scanner;
    let src = scanner.src;
    if (scanner.escaped) {
      scanner.unescape(from, to);
      src = scanner.text;
      from = 0;
      to = scanner.textLength;
    }
    let length = this.#pathLength;
    let hash = this.#hash;
    if (length + to - from > PATH_BYTES_MAX) {
      this.#pathLength = PATH_BYTES_MAX + 1;
      return;
    }
    const path = this.#path;
    while (from < to) {
      const byte = src[from++]!;
      path[length++] = byte;
      hash = extendHash(hash, byte);
    }
    this.#pathLength = length;
    this.#hash = hash;
  }

  #member(at: number, keyFrom: number, keyTo: number, depth: number): number {
    const scanner = this.#scanner;
    const table = this.#table;
    const slot = table.find(this.#hash, this.#path, this.#pathLength);
    if (slot >= 0 && scanner.src[at] === 0x7b && (table.roles[slot]! & NameRole.Prefix) !== 0) {
      return this.#knownObject(at, keyFrom, keyTo, depth);
    }
    let end: number;
    let exact = false;
    if (slot < 0) {
      end = scanner.value(at, depth + 1);
    } else {
      const room = this.builder.fieldCount < RECORD_FIELDS_MAX - 1;
      const id = room ? table.ids[slot]! : 0;
      // A second value in one line goes to both places: the field takes the last, the text keeps what the last replaced.
      const again = this.#setInLine[slot] === this.#line;
      this.#setInLine[slot] = this.#line;
      end = this.#known(at, slot, id, depth);
      exact = this.#exact && id !== 0 && !again;
    }
    if (end >= 0 && !exact) this.#extra.member(keyFrom, keyTo, at, end);
    return end;
  }

  #knownObject(at: number, keyFrom: number, keyTo: number, depth: number): number {
    const scanner = this.#scanner;
    const next = scanner.space(at + 1);
    if (next < scanner.end && scanner.src[next] === 0x7d) {
      this.#extra.member(keyFrom, keyTo, at, next + 1);
      return next + 1;
    }
    this.#extra.enter(keyFrom, keyTo);
    if (this.#pathLength < PATH_BYTES_MAX) {
      this.#path[this.#pathLength++] = 0x2e;
      this.#hash = extendHash(this.#hash, 0x2e);
    }
    const end = this.#object(next, depth + 1);
    this.#extra.leave();
    return end;
  }

  /** Whether the field set last gives its JSON value back. */
  #exact = false;

  // Reads the value of a known name into its field and its roles. Position behind the value; #exact says whether the field is all of it.
  #known(at: number, slot: number, id: number, depth: number): number {
    const scanner = this.#scanner;
    this.#exact = false;
    if (at >= scanner.end) return scanner.unexpected(at, "a value");
    const type = this.#table.types[slot]!;
    switch (scanner.src[at]) {
      case 0x22: {
        const close = scanner.string(at + 1);
        if (close < 0) return -1;
        this.#string(at + 1, close, slot, id, type);
        return close + 1;
      }
      case 0x5b:
        return type === EntryType.Keyword && id !== 0 ? this.#keywords(at, slot, id, depth) : this.#list(at, slot, id, depth);
      case 0x7b:
        return scanner.value(at, depth + 1);
      case 0x74:
        return this.#word(at, scanner.literal(at, "true"), id, type);
      case 0x66:
        return this.#word(at, scanner.literal(at, "false"), id, type);
      case 0x6e:
        return scanner.literal(at, "null");
      default: {
        const end = scanner.number(at);
        if (end >= 0) this.#number(at, end, slot, id, type);
        return end;
      }
    }
  }

  #string(from: number, to: number, slot: number, id: number, type: EntryType): void {
    const scanner = this.#scanner;
    let src = scanner.src;
    let lossless = true;
    if (scanner.escaped) {
      scanner.unescape(from, to);
      src = scanner.text;
      from = 0;
      to = scanner.textLength;
      lossless = !scanner.loneSurrogate;
    }
    const roles = this.#table.roles[slot]!;
    const isDate = (type === EntryType.Date || (roles & NameRole.Timestamp) !== 0) && parseDateBytes(src, from, to, this.#date);
    if (roles > NameRole.Prefix) this.#stringRoles(src, from, to, roles, isDate);
    if (id === 0) return;
    if (type === EntryType.Keyword) {
      this.builder.keywordBytes(id, src, from, to - from);
      this.#exact = lossless;
    } else if (type === EntryType.Date) {
      if (!isDate) return;
      this.builder.dateWords(id, this.#date.lo, this.#date.hi);
      this.#exact = this.#date.canonical;
    } else if (to - from <= 64) {
      const text = textOf(src, from, to);
      if (type === EntryType.Ip) {
        const canonical = canonicalIp(text);
        if (canonical === undefined) return;
        this.builder.ipCanonical(id, canonical);
        this.#exact = canonical === text;
      } else {
        const value = scalarOf(type, text);
        if (value !== undefined) this.#setScalar(id, type, value);
      }
    }
  }

  #stringRoles(src: Uint8Array, from: number, to: number, roles: number, isDate: boolean): void {
    if ((roles & NameRole.Category) !== 0) this.#category = this.#categories.idOf(src, from, to);
    if (isDate) this.#takeTime();
    if (to - from > 64 || (roles & (NameRole.Timestamp | NameRole.Tiebreaker)) === 0 || (isDate && (roles & NameRole.Tiebreaker) === 0))
      return;
    const text = textOf(src, from, to);
    if ((roles & NameRole.Timestamp) !== 0 && !isDate) {
      if (textToWords(text, this.#unit, this.#date)) this.#takeTime();
    }
    if ((roles & NameRole.Tiebreaker) !== 0 && INTEGER.test(text)) this.builder.i64(this.#tiebreakerId, BigInt(text));
  }

  #takeTime(): void {
    this.#timeKnown = true;
    this.#timeLo = this.#date.lo;
    this.#timeHi = this.#date.hi;
  }

  #number(at: number, end: number, slot: number, id: number, type: EntryType): void {
    const scanner = this.#scanner;
    const { builder } = this;
    const roles = this.#table.roles[slot]!;
    const small = scanner.small;
    const isSmall = !Number.isNaN(small);
    if (roles > NameRole.Prefix) this.#numberRoles(at, end, roles);
    if (id === 0) return;
    switch (type) {
      case EntryType.Keyword:
        builder.keywordBytes(id, scanner.src, at, end - at);
        return;
      case EntryType.I64:
      case EntryType.U64:
        if (isSmall) {
          this.#exact = type === EntryType.I64 ? builder.i64Number(id, small) : builder.u64Number(id, small);
        } else if (end - at <= 40) {
          const value = scalarOf(type, scanner.ascii(at, end));
          if (value !== undefined) this.#exact = this.#setScalar(id, type, value);
        }
        return;
      case EntryType.F64: {
        const value = isSmall ? small : Number(scanner.ascii(at, end));
        // Digits beyond a double's stay in the text.
        this.#exact = builder.f64(id, value) && (isSmall || !scanner.integer || Number.isSafeInteger(value));
        return;
      }
      case EntryType.Date:
        if ((roles & NameRole.Timestamp) !== 0) {
          if (this.#timeKnown) builder.dateWords(id, this.#timeLo, this.#timeHi);
        } else if (isSmall && numberToWords(small, "ms", this.#date)) {
          builder.dateWords(id, this.#date.lo, this.#date.hi);
        }
    }
  }

  #numberRoles(at: number, end: number, roles: number): void {
    const scanner = this.#scanner;
    const { small, integer } = scanner;
    if ((roles & (NameRole.Timestamp | NameRole.Tiebreaker)) === 0 || end - at > 40) return;
    const big = integer && Number.isNaN(small) ? BigInt(scanner.ascii(at, end)) : undefined;
    if ((roles & NameRole.Timestamp) !== 0) {
      const value = integer ? small : Number(scanner.ascii(at, end));
      if (big !== undefined ? bigintToWords(big, this.#unit, this.#date) : numberToWords(value, this.#unit, this.#date)) this.#takeTime();
    }
    if ((roles & NameRole.Tiebreaker) !== 0 && integer) {
      if (big !== undefined) this.builder.i64(this.#tiebreakerId, big);
      else this.builder.i64Number(this.#tiebreakerId, small);
    }
  }

  #word(at: number, end: number, id: number, type: EntryType): number {
    if (end < 0 || id === 0) return end;
    if (type === EntryType.Bool) {
      this.builder.bool(id, this.#scanner.src[at] === 0x74);
      this.#exact = true;
    } else if (type === EntryType.Keyword) {
      this.builder.keywordBytes(id, this.#scanner.src, at, end - at);
    }
    return end;
  }

  #setScalar(id: number, type: EntryType, value: Scalar): boolean {
    if (typeof value === "bigint") return type === EntryType.I64 ? this.builder.i64(id, value) : this.builder.u64(id, value);
    if (typeof value === "number") return this.builder.f64(id, value);
    if (typeof value === "boolean") this.builder.bool(id, value);
    return typeof value === "boolean";
  }

  // A list under a keyword field: the usual list, read without making strings.
  #keywords(at: number, slot: number, id: number, depth: number): number {
    const scanner = this.#scanner;
    const { builder } = this;
    const start = at;
    let exact = true;
    let objects = false;
    const isCategory = (this.#table.roles[slot]! & NameRole.Category) !== 0;
    at = scanner.space(at + 1);
    if (isCategory) this.#category = CATEGORY_NONE;
    if (at < scanner.end && scanner.src[at] === 0x5d) return at + 1;
    builder.beginKeywords(id);
    for (;;) {
      const end = scanner.value(at, depth + 2);
      if (end < 0) return -1;
      const first = scanner.src[at]!;
      if (first === 0x22) {
        let src = scanner.src;
        let from = at + 1;
        let to = end - 1;
        if (scanner.escaped) {
          scanner.unescape(from, to);
          if (scanner.loneSurrogate) exact = false;
          src = scanner.text;
          from = 0;
          to = scanner.textLength;
        }
        builder.pushKeywordBytes(src, from, to - from);
        if (isCategory) this.#category = this.#category === CATEGORY_NONE ? this.#categories.idOf(src, from, to) : CATEGORY_SEVERAL;
      } else {
        exact = false;
        if (first === 0x7b || first === 0x5b) objects = true;
        else if (first !== 0x6e) builder.pushKeywordBytes(scanner.src, at, end - at);
      }
      at = scanner.space(end);
      if (at < scanner.end && scanner.src[at] === 0x5d) break;
      if (at >= scanner.end || scanner.src[at] !== 0x2c) return scanner.unexpected(at, '"," or "]"');
      at = scanner.space(at + 1);
    }
    builder.endKeywords();
    if (isCategory) this.#noteCategories(start, at + 1);
    if (objects && (this.#table.roles[slot]! & NameRole.Prefix) !== 0) this.#values(start, at + 1, slot, 0);
    this.#exact = exact;
    return at + 1;
  }

  #noteCategories(from: number, to: number): void {
    this.#categoriesFrom = from;
    this.#categoriesTo = to;
  }

  // Puts the names of several categories where queries look for them, last of all: a field `event.category` of the line's own gives way.
  #keepCategories(): void {
    const id = this.#categoryListId;
    if (id === 0 || this.#category !== CATEGORY_SEVERAL || this.builder.fieldCount >= RECORD_FIELDS_MAX - 1) return;
    const parsed = parseJson(Buffer.from(this.#scanner.src.subarray(this.#categoriesFrom, this.#categoriesTo)).toString("utf8"));
    if (!("value" in parsed) || !Array.isArray(parsed.value)) return;
    const names = (parsed.value as readonly unknown[]).filter((item) => typeof item === "string");
    this.builder.value(id, "keyword[]", names);
  }

  // Any other list: rare enough to make values of it.
  #list(at: number, slot: number, id: number, depth: number): number {
    const end = this.#scanner.value(at, depth + 1);
    if (end < 0) return -1;
    this.#exact = this.#values(at, end, slot, id);
    return end;
  }

  // Sets a field and roles from a list's values; objects inside are flattened into the fields below the name. True: the field is all of it.
  #values(from: number, to: number, slot: number, id: number): boolean {
    const { src } = this.#scanner;
    const parsed = parseJson(Buffer.from(src.buffer, src.byteOffset + from, to - from).toString("utf8"));
    if (!("value" in parsed) || !Array.isArray(parsed.value)) return false;
    const list: readonly unknown[] = parsed.value;
    const roles = this.#table.roles[slot]!;
    if ((roles & NameRole.Category) !== 0) {
      this.#category = categoryOf(list, this.#registry);
      this.#noteCategories(from, to);
    }
    if ((roles & NameRole.Prefix) !== 0) {
      const name = Buffer.from(this.#path.buffer, 0, this.#pathLength).toString("utf8");
      for (const field of flattenObjects(parsed.value, name, this.#registry)) {
        if (this.builder.fieldCount < RECORD_FIELDS_MAX - 1) this.builder.value(field.id, field.type, field.values);
      }
    }
    const field = id === 0 ? undefined : this.#registry.byId(id);
    if (field === undefined) return false;
    const scalars = list.map((item) => scalarOf(this.#table.types[slot]!, item)).filter((scalar) => scalar !== undefined);
    this.builder.value(id, field.type, scalars);
    return list.length > 0 && list.every((item, index) => isSame(field.type, item, scalars[index]));
  }
}

// Category ids by the bytes of their names: nearly every event names one of few. Unknown names are asked for anew each time, since a rule
// may have named them meanwhile.
class CategoryCache {
  readonly #registry: SchemaRegistry;
  readonly #known: { readonly bytes: Uint8Array; readonly id: number }[] = [];

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
  }

  idOf(src: Uint8Array, from: number, to: number): number {
    for (const { bytes, id } of this.#known) if (equals(bytes, src, from, to)) return id;
    const id = this.#registry.categories.idOf(repairUtf8(src, from, to - from));
    if (id !== CATEGORY_OTHER && this.#known.length < CATEGORIES_CACHED_MAX) this.#known.push({ bytes: src.slice(from, to), id });
    return id;
  }
}

const CATEGORIES_CACHED_MAX = 32;

function equals(bytes: Uint8Array, src: Uint8Array, from: number, to: number): boolean {
  if (bytes.length !== to - from) return false;
  for (let index = 0; index < bytes.length; index++) if (bytes[index] !== src[from + index]) return false;
  return true;
}

function categoryOf(list: readonly unknown[], registry: SchemaRegistry): number {
  const names = list.filter((item) => typeof item === "string");
  if (names.length > 1) return CATEGORY_SEVERAL;
  return names[0] === undefined ? CATEGORY_NONE : registry.categories.idOf(names[0]);
}

function textOf(src: Uint8Array, from: number, to: number): string {
  return Buffer.from(src.buffer, src.byteOffset + from, to - from).toString("latin1");
}

function tooLong(length: number): DecodeProblem {
  return { message: `Line of ${length} bytes is longer than ${LINE_BYTES_MAX}` };
}

// Whether a list element prints as it was read: dates and addresses may have been made canonical, numbers may have been text.
function isSame(type: string, item: unknown, scalar: Scalar | undefined): boolean {
  if (typeof scalar === "bigint" && type !== "date") return typeof item === "bigint" || typeof item === "number";
  return item === scalar;
}
