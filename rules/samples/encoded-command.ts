// A sample rule in AssemblyScript: a program is started with an argument that is base64 and decodes to readable text with a shell's or an
// interpreter's words in it. EQL sees that an argument looks like base64; only code can decode it. Captures the decoded text.
//
// scripts/build-samples.ts compiles it to encoded-command.wasm beside it, which encoded-command.yaml names.
import { capture, emit, Text, TextBuffer } from "./kestrel";

const ARGUMENT_BYTES_MAX = 8192;
const ARGUMENTS_MAX = 64;
/** Looked at in one event. A rule that uses up its budget is stopped: what a watched program chooses must not decide that. */
const BYTES_MAX = 65_536;
/** Shorter runs are words, not payloads. */
const ENCODED_BYTES_MIN = 24;

const ARGS = new Text("process.args");
const DECODED = new Text("decoded");
const MESSAGE = new Text("Command hidden in a base64 argument");
const WORDS: StaticArray<Text> = [
  new Text("*/bin/*sh*"),
  new Text("*/dev/tcp/*"),
  new Text("*curl *"),
  new Text("*wget *"),
  new Text("*exec*"),
  new Text("*import *"),
  new Text("*chmod *"),
  new Text("*LD_PRELOAD*"),
  new Text("*base64*"),
];

const argument = new TextBuffer(ARGUMENT_BYTES_MAX);
const decoded = new TextBuffer(ARGUMENT_BYTES_MAX);

/** Value of a base64 digit, -1 for any other byte; both alphabets. */
function digit(byte: u8): i32 {
  if (byte >= 65 && byte <= 90) return byte - 65;
  if (byte >= 97 && byte <= 122) return byte - 71;
  if (byte >= 48 && byte <= 57) return byte + 4;
  if (byte == 43 || byte == 45) return 62;
  return byte == 47 || byte == 95 ? 63 : -1;
}

/** Decodes [from, to) into `decoded`. */
function decode(from: i32, to: i32): void {
  let bits: u32 = 0;
  let bitCount = 0;
  let length = 0;
  for (let at = from; at < to; at++) {
    bits = (bits << 6) | digit(unchecked(argument.bytes[at]));
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      unchecked((decoded.bytes[length++] = <u8>(bits >> bitCount)));
    }
  }
  decoded.length = length;
}

/** Whether at least nine in ten decoded bytes are printable ASCII, tab or line break. */
function isText(): bool {
  let printable = 0;
  for (let at = 0; at < decoded.length; at++) {
    const byte = unchecked(decoded.bytes[at]);
    if ((byte >= 32 && byte < 127) || byte == 9 || byte == 10 || byte == 13) printable++;
  }
  return printable * 10 >= decoded.length * 9;
}

function hasCommandWord(): bool {
  for (let index = 0; index < WORDS.length; index++) {
    if (decoded.like(unchecked(WORDS[index]))) return true;
  }
  return false;
}

/** Whether some long run of base64 digits in the argument hides a command; `decoded` then holds it. */
function hidesCommand(): bool {
  let from = 0;
  for (let at = 0; at <= argument.length; at++) {
    if (at < argument.length && digit(unchecked(argument.bytes[at])) >= 0) continue;
    if (at - from >= ENCODED_BYTES_MIN) {
      decode(from, at);
      if (isText() && hasCommandWord()) return true;
    }
    from = at + 1;
  }
  return false;
}

export function pred_init(): i32 {
  return 0;
}

export function pred_eval(event: i32): i32 {
  let left = BYTES_MAX;
  for (let index = 0; index < ARGUMENTS_MAX && left > 0; index++) {
    if (!argument.read(event, ARGS, index)) return 0;
    if (hidesCommand()) return 1;
    left -= argument.length;
  }
  return 0;
}

export function pred_capture(_event: i32): void {
  capture(DECODED, decoded.at, decoded.length);
  emit(MESSAGE);
}
