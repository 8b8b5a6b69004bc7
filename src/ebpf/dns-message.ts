// A DNS message (RFC 1035, with EDNS of RFC 6891) as values. Takes any bytes: whoever answers, or asks, chose them. Never throws, never
// reads outside the message, and every loop is bounded: a compression pointer must point before the name it is met in, names have at most 255
// bytes, and sections are read up to a fixed number of records. What comes before the first broken byte is kept.
import { formatIp } from "#event";
import { nameOfType, OPERATIONS, RESPONSES, RecordType } from "./dns-names.ts";

/** A record of the answer section. */
export interface DnsAnswer {
  readonly name: string;
  readonly type: string;
  readonly ttl: number;
  /** As zone files write it; an address alone for A and AAAA. */
  readonly data: string;
  readonly isAddress: boolean;
}

/** What a message says. */
export interface DnsMessage {
  readonly id: number;
  /** `QUERY` and so on. */
  readonly operation: string;
  /** Flags that are set, by their short names. */
  readonly flags: readonly string[];
  /** `NOERROR` and so on, or the number; of a query it says nothing. */
  readonly responseCode: string;
  /** The first question: more than one is never asked. */
  readonly question: { readonly name: string; readonly type: string; readonly class: string } | undefined;
  readonly answers: readonly DnsAnswer[];
  /** Ends early, is broken somewhere, or has more records than are read. */
  readonly incomplete: boolean;
}

const HEADER_BYTES = 12;
/** Bytes of a name on the wire, as RFC 1035 has it. */
const NAME_BYTES_MAX = 255;
const LABEL_BYTES_MAX = 63;
/** Pointers followed for one name: one is usual, and more labels than this have no room in a name. */
const POINTERS_MAX = 127;
/** Records of one section that are read. A message of a packet of Ethernet holds 122 with an address each. */
const RECORDS_MAX = 128;
/** Bytes of data that are shown of a type without a form of its own. */
const UNKNOWN_BYTES_MAX = 256;
const FLAGS: readonly (readonly [string, number])[] = [
  ["AA", 0x0400],
  ["TC", 0x0200],
  ["RD", 0x0100],
  ["RA", 0x0080],
  ["AD", 0x0020],
  ["CD", 0x0010],
];
/** Of the flags in an OPT record. */
const DNSSEC_OK = 0x8000;
const CLASSES: ReadonlyMap<number, string> = new Map([
  [1, "IN"],
  [3, "CH"],
  [4, "HS"],
  [254, "NONE"],
  [255, "ANY"],
]);

/** Reads a message; `undefined`: something else, as a tunnel at the port of DNS: no known operation, or no question that can be read. */
export function parseDnsMessage(bytes: Uint8Array): DnsMessage | undefined {
  if (bytes.byteLength < HEADER_BYTES) return undefined;
  const reader = new MessageReader(bytes);
  const { id, bits, counts } = reader.header();
  // Always zero.
  if ((bits & 0x0040) !== 0) return undefined;
  const question = counts.questions > 0 ? reader.question() : undefined;
  const operation = OPERATIONS.get((bits >>> 11) & 15);
  if (reader.broken || operation === undefined) return undefined;
  for (let more = 1; more < Math.min(counts.questions, RECORDS_MAX); more++) reader.question();
  const answers: DnsAnswer[] = [];
  for (let index = 0; index < Math.min(counts.answers, RECORDS_MAX); index++) {
    const answer = reader.record();
    if (answer === undefined) break;
    answers.push(answer);
  }
  for (let index = 0; index < Math.min(counts.authorities, RECORDS_MAX); index++) reader.skipRecord();
  for (let index = 0; index < Math.min(counts.additional, RECORDS_MAX); index++) reader.skipRecord();
  const { extended } = reader;
  const flags = FLAGS.filter(([, bit]) => (bits & bit) !== 0).map(([name]) => name);
  if (extended !== undefined && (extended & DNSSEC_OK) !== 0) flags.push("DO");
  // The upper eight of twelve bits come with EDNS.
  const code = (bits & 15) | (((extended ?? 0) >>> 24) << 4);
  return {
    id,
    operation,
    flags,
    responseCode: RESPONSES.get(code) ?? String(code),
    question,
    answers,
    incomplete: reader.broken || Object.values(counts).some((count) => count > RECORDS_MAX),
  };
}

interface MessageHead {
  readonly id: number;
  readonly bits: number;
  readonly counts: { readonly questions: number; readonly answers: number; readonly authorities: number; readonly additional: number };
}

interface RecordHead {
  readonly name: string;
  readonly type: number;
  readonly ttl: number;
  readonly end: number;
}

/** Reads on from where it stands. Once broken, it gives nothing more. */
class MessageReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;
  broken = false;
  /** The 32 bits that an OPT record has in place of a TTL. */
  extended: number | undefined;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  header(): MessageHead {
    const words = Array.from({ length: 6 }, () => this.#u16());
    const [id = 0, bits = 0, questions = 0, answers = 0, authorities = 0, additional = 0] = words;
    return { id, bits, counts: { questions, answers, authorities, additional } };
  }

  question(): DnsMessage["question"] {
    const name = this.#name(this.#bytes.byteLength);
    const [type, group] = [this.#u16(), this.#u16()];
    return this.broken ? undefined : { name, type: nameOfType(type), class: CLASSES.get(group) ?? String(group) };
  }

  record(): DnsAnswer | undefined {
    const head = this.#recordHead();
    if (head === undefined) return undefined;
    const start = this.#at;
    const { name, type, ttl, end } = head;
    const data = this.#data(type, end);
    // Broken data makes the message untrue from here on; more bytes than the form takes are no harm.
    if (this.broken) return undefined;
    const isAddress = (type === RecordType.A && end - start === 4) || (type === RecordType.AAAA && end - start === 16);
    this.#at = end;
    return { name, type: nameOfType(type), ttl, data, isAddress };
  }

  skipRecord(): void {
    const head = this.#recordHead();
    if (head === undefined) return;
    if (head.type === RecordType.OPT) this.extended = head.ttl;
    this.#at = head.end;
  }

  #recordHead(): RecordHead | undefined {
    const name = this.#name(this.#bytes.byteLength);
    const type = this.#u16();
    // The class, which is that of the question.
    this.#u16();
    const [ttl, length] = [this.#u32(), this.#u16()];
    const end = this.#at + length;
    if (end > this.#bytes.byteLength) this.broken = true;
    return this.broken ? undefined : { name, type, ttl, end };
  }

  #data(type: number, end: number): string {
    const length = end - this.#at;
    switch (type) {
      case RecordType.A:
        return length === 4 ? formatIp(this.#bytes, this.#at, 4) : this.#unknown(end);
      case RecordType.AAAA:
        return length === 16 ? formatIp(this.#bytes, this.#at, 16) : this.#unknown(end);
      case RecordType.NS:
      case RecordType.CNAME:
      case RecordType.PTR:
      case RecordType.DNAME:
        return this.#name(end);
      case RecordType.MX:
        return `${this.#u16(end)} ${this.#name(end)}`;
      case RecordType.SRV:
        return `${this.#u16(end)} ${this.#u16(end)} ${this.#u16(end)} ${this.#name(end)}`;
      case RecordType.SOA:
        return [this.#name(end), this.#name(end), ...Array.from({ length: 5 }, () => this.#u32(end))].join(" ");
      case RecordType.TXT:
        return this.#strings(end);
      default:
        return this.#unknown(end);
    }
  }

  /** The strings of a TXT record, one after another: how long each is has no meaning. */
  #strings(end: number): string {
    let text = "";
    while (this.#at < end) {
      const length = this.#bytes[this.#at]!;
      if (this.#at + 1 + length > end) {
        this.broken = true;
        return text;
      }
      text += Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + this.#at + 1, length).toString("utf8");
      this.#at += 1 + length;
    }
    return text;
  }

  /** As RFC 3597 writes data of a type it does not know. */
  #unknown(end: number): string {
    const shown = this.#bytes.subarray(this.#at, Math.min(end, this.#at + UNKNOWN_BYTES_MAX));
    return `\\# ${end - this.#at} ${Buffer.from(shown).toString("hex")}`;
  }

  /** A name; the root is `.`. Reading goes on behind it, wherever its pointers lead. `end`: where its own bytes must end. */
  #name(end: number): string {
    const labels: string[] = [];
    let at = this.#at;
    let behind = -1;
    let bytes = 0;
    let pointers = 0;
    // Each pointer must lead further back than the one before, so that no name is read twice for ever.
    let limit = at;
    for (;;) {
      const length = at < (behind < 0 ? end : this.#bytes.byteLength) ? this.#bytes[at]! : -1;
      if (length === 0) break;
      if (length > 0 && length <= LABEL_BYTES_MAX && at + 1 + length <= this.#bytes.byteLength) {
        bytes += 1 + length;
        if (bytes >= NAME_BYTES_MAX) return this.#fail();
        labels.push(labelText(this.#bytes, at + 1, length));
        at += 1 + length;
        continue;
      }
      const isPointer = length >= 0xc0 && at + 2 <= this.#bytes.byteLength;
      const target = isPointer ? this.#view.getUint16(at) & 0x3fff : limit;
      if (target >= limit || ++pointers > POINTERS_MAX) return this.#fail();
      if (behind < 0) behind = at + 2;
      limit = target;
      at = target;
    }
    this.#at = behind < 0 ? at + 1 : behind;
    return labels.length === 0 ? "." : labels.join(".");
  }

  #fail(): string {
    this.broken = true;
    return "";
  }

  #u16(end: number = this.#bytes.byteLength): number {
    if (this.broken || this.#at + 2 > end) {
      this.broken = true;
      return 0;
    }
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2);
  }

  #u32(end: number = this.#bytes.byteLength): number {
    if (this.broken || this.#at + 4 > end) {
      this.broken = true;
      return 0;
    }
    this.#at += 4;
    return this.#view.getUint32(this.#at - 4);
  }
}

/** A label as zone files write it: what is not printable ASCII as `\DDD`, and a dot that belongs to the label as `\.`. */
function labelText(bytes: Uint8Array, start: number, length: number): string {
  let text = "";
  for (let at = start; at < start + length; at++) {
    const byte = bytes[at]!;
    if (byte === 0x2e || byte === 0x5c) text += `\\${String.fromCharCode(byte)}`;
    else if (byte > 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\${String(byte).padStart(3, "0")}`;
  }
  return text;
}
