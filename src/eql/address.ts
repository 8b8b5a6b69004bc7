// IP addresses and blocks in text form. An IPv4 address inside IPv6 (::ffff:a.b.c.d) counts as the IPv4 address.
import type { AddressBlock } from "./ir.ts";

/** 4 or 16 bytes of an address; `undefined` when the text is not one. */
export function parseAddress(text: string): readonly number[] | undefined {
  const bytes = text.includes(":") ? parseV6(text) : parseV4(text);
  if (bytes === undefined || bytes.length === 4) return bytes;
  const mapped = bytes.every((byte, i) => i >= 12 || byte === (i < 10 ? 0 : 0xff));
  return mapped ? bytes.slice(12) : bytes;
}

function parseV4(text: string): number[] | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.map(Number);
}

function parseV6(text: string): number[] | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0]!, halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1]!, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 16 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 2) return undefined;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function parseGroups(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const bytes: number[] = [];
  const groups = text.split(":");
  for (const [i, group] of groups.entries()) {
    const v4 = last && i === groups.length - 1 ? parseV4(group) : undefined;
    if (v4 !== undefined) bytes.push(...v4);
    else if (/^[0-9a-fA-F]{1,4}$/.test(group)) bytes.push(Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff);
    else return undefined;
  }
  return bytes.length <= 16 ? bytes : undefined;
}

/** The one text that address fields hold: dotted quad or RFC 5952. `undefined` when the text is not an address. */
export function canonicalAddress(text: string): string | undefined {
  const bytes = parseAddress(text);
  if (bytes === undefined || bytes.length === 4) return bytes?.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => (bytes[2 * i]! << 8) | bytes[2 * i + 1]!);
  let longest = { from: 0, length: 1 };
  for (let from = 0; from < 8; from++) {
    let length = 0;
    while (from + length < 8 && groups[from + length] === 0) length++;
    if (length > longest.length) longest = { from, length };
  }
  const hex = (list: readonly number[]) => list.map((group) => group.toString(16)).join(":");
  if (longest.length === 1) return hex(groups);
  return `${hex(groups.slice(0, longest.from))}::${hex(groups.slice(longest.from + longest.length))}`;
}

/** A block from `address/prefix` or a lone address; `undefined` when the text is neither. Host bits are dropped. */
export function parseBlock(text: string): AddressBlock | undefined {
  const slash = text.indexOf("/");
  const address = slash === -1 ? text : text.slice(0, slash);
  const bytes = parseAddress(address);
  if (bytes === undefined) return undefined;
  const prefix = text.slice(slash + 1);
  if (slash !== -1 && !/^[0-9]{1,3}$/.test(prefix)) return undefined;
  const mappedBits = bytes.length === 4 && address.includes(":") ? 96 : 0;
  const prefixBits = slash === -1 ? bytes.length * 8 : Number(prefix) - mappedBits;
  if (prefixBits < 0 || prefixBits > bytes.length * 8) return undefined;
  return { bytes: bytes.map((byte, i) => byte & maskOf(prefixBits - i * 8)), prefixBits };
}

function maskOf(bits: number): number {
  return bits >= 8 ? 0xff : bits <= 0 ? 0 : (0xff << (8 - bits)) & 0xff;
}

/** Whether an address of the same family lies in the block. */
export function blockContains(block: AddressBlock, address: readonly number[]): boolean {
  if (address.length !== block.bytes.length) return false;
  return address.every((byte, i) => (byte & maskOf(block.prefixBits - i * 8)) === block.bytes[i]);
}
