// IP addresses as bytes and as text. One text for one address: dotted quad for IPv4 (mapped addresses included), RFC 5952 for IPv6.

/** Parses an address into `out[0..16)`. Returns 4 or 6 (bytes written: 4 or 16), or 0 when the text is not an address. A zone id is dropped. */
export function parseIp(text: string, out: Uint8Array): 0 | 4 | 6 {
  if (text.length > 64) return 0;
  if (!text.includes(":")) return parseV4(text, out, 0) ? 4 : 0;
  const zone = text.indexOf("%");
  if (!parseV6(zone > 0 ? text.slice(0, zone) : text, out)) return 0;
  if (!isMapped(out)) return 6;
  out.copyWithin(0, 12, 16);
  return 4;
}

/** The canonical text of an address, or `undefined` when the text is not an address. */
export function canonicalIp(text: string): string | undefined {
  const kind = parseIp(text, scratch);
  return kind === 0 ? undefined : formatIp(scratch, 0, kind === 4 ? 4 : 16);
}

/** Canonical text of 4 or 16 address bytes in network order. */
export function formatIp(bytes: Uint8Array, offset: number, length: 4 | 16): string {
  if (length === 4) return `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`;
  let mapped = bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff;
  for (let index = 0; index < 10 && mapped; index++) mapped = bytes[offset + index] === 0;
  return mapped ? formatIp(bytes, offset + 12, 4) : formatV6(bytes, offset);
}

const scratch = new Uint8Array(16);

function isMapped(bytes: Uint8Array): boolean {
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function parseV4(text: string, out: Uint8Array, offset: number): boolean {
  let part = 0;
  let value = -1;
  for (let index = 0; index <= text.length; index++) {
    const code = index === text.length ? 46 : text.charCodeAt(index);
    if (code === 46) {
      if (value < 0 || part > 3) return false;
      out[offset + part++] = value;
      value = -1;
    } else {
      // A leading zero is refused: some readers take it for octal.
      if (code < 48 || code > 57 || value === 0) return false;
      value = Math.max(value, 0) * 10 + (code - 48);
      if (value > 255) return false;
    }
  }
  return part === 4;
}

function parseV6(text: string, out: Uint8Array): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  const head = groupsOf(halves[0] ?? "", halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? "", true) : [];
  if (head === undefined || tail === undefined) return false;
  const count = head.length + tail.length;
  if (halves.length === 2 ? count > 7 : count !== 8) return false;
  out.fill(0, 0, 16);
  for (const [index, group] of head.entries()) writeGroup(out, index, group);
  for (const [index, group] of tail.entries()) writeGroup(out, 8 - tail.length + index, group);
  return true;
}

function writeGroup(out: Uint8Array, index: number, group: number): void {
  out[index * 2] = group >>> 8;
  out[index * 2 + 1] = group & 0xff;
}

// 16-bit groups of one side of "::"; the last group of the address may be a dotted quad.
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (last && index === parts.length - 1 && part.includes(".")) {
      const quad = new Uint8Array(4);
      if (!parseV4(part, quad, 0)) return undefined;
      groups.push((quad[0]! << 8) | quad[1]!, (quad[2]! << 8) | quad[3]!);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

function formatV6(bytes: Uint8Array, offset: number): string {
  const groups: number[] = [];
  for (let index = 0; index < 8; index++) groups.push((bytes[offset + index * 2]! << 8) | bytes[offset + index * 2 + 1]!);
  let bestStart = -1;
  let bestCount = 1; // RFC 5952: a single zero group is not shortened.
  for (let start = 0; start < 8; start++) {
    let end = start;
    while (end < 8 && groups[end] === 0) end++;
    if (end - start > bestCount) {
      bestStart = start;
      bestCount = end - start;
    }
    if (end > start) start = end;
  }
  const hex = (list: readonly number[]): string => list.map((group) => group.toString(16)).join(":");
  if (bestStart < 0) return hex(groups);
  return `${hex(groups.slice(0, bestStart))}::${hex(groups.slice(bestStart + bestCount))}`;
}
