// Strict JSON over bytes, a token at a time, without making values. Every method takes and returns a position; -1 means the text is no JSON
// and `problem` says why. Depth is bounded, so no input overflows the stack.

/** Deepest nesting of a line. */
export const JSON_DEPTH_MAX = 128;

/** Reads tokens of one text after another. */
export class JsonScanner {
  /** Text under the scanner; `end` is the position behind it. */
  src: Uint8Array = new Uint8Array(0);
  end = 0;
  /** Why the last method returned -1, and where. */
  problem = "";
  problemAt = 0;
  /** All bytes of strings scanned since `reset`, or-ed: ≥ 128 when some text is not ASCII. */
  high = 0;
  /** Whether the string scanned last has escapes. */
  escaped = false;
  /** Whether the number scanned last has neither fraction nor exponent. */
  integer = false;
  /** Value of the number scanned last when it is an integer of at most 15 digits, else NaN. */
  small = 0;
  /** What {@link unescape} wrote: `text[0, textLength)`. */
  text: Uint8Array = new Uint8Array(1024);
  textLength = 0;
  /** Whether the last {@link unescape} met half a surrogate pair, which UTF-8 cannot hold. */
  loneSurrogate = false;

  /** Starts on another text. */
  reset(src: Uint8Array, end: number): void {
    this.src = src;
    this.end = end;
    this.high = 0;
    this.problem = "";
  }

  /** Notes a problem. */
  fail(at: number, problem: string): -1 {
    this.problem = problem;
    this.problemAt = at;
    return -1;
  }

  /** Notes what stands at a position where something else was expected. */
  unexpected(at: number, expected: string): -1 {
    if (at >= this.end) return this.fail(at, `the text ends where ${expected} is expected`);
    const byte = this.src[at]!;
    const shown = byte > 0x20 && byte < 0x7f ? `"${String.fromCharCode(byte)}"` : `byte 0x${byte.toString(16).padStart(2, "0")}`;
    return this.fail(at, `${shown} where ${expected} is expected`);
  }

  /** First position at or after `at` that is no white space. */
  space(at: number): number {
    const src = this.src;
    const end = this.end;
    while (at < end) {
      const byte = src[at]!;
      if (byte > 0x20 || (byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d)) break;
      at++;
    }
    return at;
  }

  /** Position of the closing quote of the string whose first byte is at `at`. */
  string(at: number): number {
    const src = this.src;
    const end = this.end;
    let high = this.high;
    this.escaped = false;
    while (at < end) {
      const byte = src[at]!;
      if (byte === 0x22) {
        this.high = high;
        return at;
      }
      if (byte === 0x5c) {
        at = this.#escape(at);
        if (at < 0) return -1;
        continue;
      }
      if (byte < 0x20) return this.unexpected(at, "a character of a string");
      high |= byte;
      at++;
    }
    return this.fail(at, "a string has no closing quote");
  }

  /** Position behind the number at `at`. */
  number(at: number): number {
    const src = this.src;
    const negative = src[at] === 0x2d;
    if (negative) at++;
    const first = at;
    let value = 0;
    let byte = src[at]!;
    while (at < this.end && byte >= 0x30 && byte <= 0x39) {
      value = value * 10 + byte - 0x30;
      byte = src[++at]!;
    }
    const digits = at - first;
    if (digits === 0) return this.unexpected(at, negative ? "a digit" : "a value");
    if (digits > 1 && src[first] === 0x30) return this.fail(first, "a number starts with a superfluous 0");
    this.integer = true;
    this.small = digits <= 15 ? (negative ? -value : value) : Number.NaN;
    if (at < this.end && (byte === 0x2e || byte === 0x65 || byte === 0x45)) return this.#fraction(at);
    return at;
  }

  /** Position behind the value at `at`, checked to the end. */
  value(at: number, depth: number): number {
    if (at >= this.end) return this.unexpected(at, "a value");
    switch (this.src[at]) {
      case 0x22: {
        const close = this.string(at + 1);
        return close < 0 ? -1 : close + 1;
      }
      case 0x7b:
        return this.#members(at + 1, depth);
      case 0x5b:
        return this.#elements(at + 1, depth);
      case 0x74:
        return this.literal(at, "true");
      case 0x66:
        return this.literal(at, "false");
      case 0x6e:
        return this.literal(at, "null");
      default:
        return this.number(at);
    }
  }

  /** Position behind the word at `at`. */
  literal(at: number, word: string): number {
    for (let index = 0; index < word.length; index++) {
      if (at + index >= this.end || this.src[at + index] !== word.charCodeAt(index)) return this.unexpected(at, `"${word}"`);
    }
    return at + word.length;
  }

  /** The ASCII text of a range. */
  ascii(from: number, to: number): string {
    return Buffer.from(this.src.buffer, this.src.byteOffset + from, to - from).toString("latin1");
  }

  /** Writes the string between two quotes, escapes resolved, into `text`. The range was scanned before. */
  unescape(from: number, to: number): void {
    if (this.text.length < to - from) this.text = new Uint8Array((to - from) * 2);
    const { src, text } = this;
    let length = 0;
    this.loneSurrogate = false;
    for (let at = from; at < to; ) {
      const byte = src[at]!;
      if (byte !== 0x5c) {
        text[length++] = byte;
        at++;
      } else if (src[at + 1] !== 0x75) {
        text[length++] = SIMPLE_ESCAPES[src[at + 1]!]!;
        at += 2;
      } else {
        let code = this.#hex4(at + 2);
        at += 6;
        if (code >= 0xd800 && code <= 0xdfff) {
          const low = code < 0xdc00 && at + 6 <= to && src[at] === 0x5c && src[at + 1] === 0x75 ? this.#hex4(at + 2) : 0;
          if (low >= 0xdc00 && low <= 0xdfff) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
          } else {
            code = 0xfffd;
            this.loneSurrogate = true;
          }
        }
        length = writeCodePoint(text, length, code);
      }
    }
    this.textLength = length;
  }

  #members(at: number, depth: number): number {
    if (depth >= JSON_DEPTH_MAX) return this.fail(at - 1, `nesting is deeper than ${JSON_DEPTH_MAX}`);
    at = this.space(at);
    if (at < this.end && this.src[at] === 0x7d) return at + 1;
    for (;;) {
      if (at >= this.end || this.src[at] !== 0x22) return this.unexpected(at, "a key");
      at = this.string(at + 1);
      if (at < 0) return -1;
      at = this.space(at + 1);
      if (at >= this.end || this.src[at] !== 0x3a) return this.unexpected(at, '":"');
      at = this.value(this.space(at + 1), depth + 1);
      if (at < 0) return -1;
      at = this.space(at);
      if (at < this.end && this.src[at] === 0x7d) return at + 1;
      if (at >= this.end || this.src[at] !== 0x2c) return this.unexpected(at, '"," or "}"');
      at = this.space(at + 1);
    }
  }

  #elements(at: number, depth: number): number {
    if (depth >= JSON_DEPTH_MAX) return this.fail(at - 1, `nesting is deeper than ${JSON_DEPTH_MAX}`);
    at = this.space(at);
    if (at < this.end && this.src[at] === 0x5d) return at + 1;
    for (;;) {
      at = this.value(at, depth + 1);
      if (at < 0) return -1;
      at = this.space(at);
      if (at < this.end && this.src[at] === 0x5d) return at + 1;
      if (at >= this.end || this.src[at] !== 0x2c) return this.unexpected(at, '"," or "]"');
      at = this.space(at + 1);
    }
  }

  #escape(at: number): number {
    this.escaped = true;
    const kind = at + 1 < this.end ? this.src[at + 1]! : 0;
    if (kind !== 0x75) return SIMPLE_ESCAPES[kind] !== 0 ? at + 2 : this.unexpected(at + 1, "an escape character");
    if (at + 6 > this.end || this.#hex4(at + 2) < 0) return this.fail(at, "\\u needs four hexadecimal digits");
    return at + 6;
  }

  #hex4(at: number): number {
    let code = 0;
    for (let index = 0; index < 4; index++) {
      const byte = this.src[at + index]!;
      const letter = byte | 0x20;
      const digit = byte >= 0x30 && byte <= 0x39 ? byte - 0x30 : letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
      if (digit < 0) return -1;
      code = (code << 4) | digit;
    }
    return code;
  }

  #fraction(at: number): number {
    this.integer = false;
    this.small = Number.NaN;
    if (this.src[at] === 0x2e) {
      at = this.#digits(at + 1);
      if (at < 0) return -1;
    }
    if (at < this.end && (this.src[at]! | 0x20) === 0x65) {
      const sign = this.src[at + 1];
      at = this.#digits(at + (sign === 0x2b || sign === 0x2d ? 2 : 1));
    }
    return at;
  }

  #digits(at: number): number {
    const first = at;
    while (at < this.end && this.src[at]! >= 0x30 && this.src[at]! <= 0x39) at++;
    return at === first ? this.unexpected(at, "a digit") : at;
  }
}

// Byte behind the backslash → byte it means; 0: no such escape.
const SIMPLE_ESCAPES = new Uint8Array(256);
for (const [letter, meaning] of ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"].map((pair) => [
  pair.charCodeAt(0),
  pair.charCodeAt(1),
])) {
  SIMPLE_ESCAPES[letter!] = meaning!;
}

function writeCodePoint(out: Uint8Array, at: number, code: number): number {
  if (code < 0x80) {
    out[at++] = code;
  } else if (code < 0x800) {
    out[at++] = 0xc0 | (code >> 6);
    out[at++] = 0x80 | (code & 0x3f);
  } else if (code < 0x10000) {
    out[at++] = 0xe0 | (code >> 12);
    out[at++] = 0x80 | ((code >> 6) & 0x3f);
    out[at++] = 0x80 | (code & 0x3f);
  } else {
    out[at++] = 0xf0 | (code >> 18);
    out[at++] = 0x80 | ((code >> 12) & 0x3f);
    out[at++] = 0x80 | ((code >> 6) & 0x3f);
    out[at++] = 0x80 | (code & 0x3f);
  }
  return at;
}
