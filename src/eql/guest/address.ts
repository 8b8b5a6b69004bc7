// IP addresses: text to 16 bytes (IPv4 as ::ffff:a.b.c.d), and membership in blocks.
import { bytesOf, sizeOf } from "./text";

/** The parsed address; IPv4 in its last four bytes behind the mapped prefix. */
const ADDRESS: usize = memory.data(16, 8);
const TAIL: usize = memory.data(16, 8);

/** Whether a text is an address inside one of { u32 count, 0, 24-byte blocks: u32 family, u32 prefixBits, 16 bytes }. */
export function cidr(text: usize, blocks: usize): bool {
  const at = bytesOf(text);
  const end = at + sizeOf(text);
  const family = parse(at, end);
  if (family == 0) return false;
  const address = family == 4 ? ADDRESS + 12 : ADDRESS;
  const last = blocks + 8 + <usize>load<u32>(blocks) * 24;
  for (let block = blocks + 8; block < last; block += 24) {
    if (load<u32>(block) == family && inBlock(address, block + 8, load<u32>(block + 4))) return true;
  }
  return false;
}

function inBlock(address: usize, prefix: usize, bits: u32): bool {
  const whole = bits >> 3;
  for (let index: u32 = 0; index < whole; ++index) {
    if (load<u8>(address + index) != load<u8>(prefix + index)) return false;
  }
  const rest = bits & 7;
  if (rest == 0) return true;
  return ((load<u8>(address + whole) ^ load<u8>(prefix + whole)) & (0xff00 >> rest) & 0xff) == 0;
}

/** Parses into ADDRESS; answers 4, 6 or 0 for what is not an address. */
function parse(at: usize, end: usize): u32 {
  for (let place = at; place < end; ++place) {
    const byte = load<u8>(place);
    if (byte == 0x3a) return parseV6(at, end) ? (isMapped() ? 4 : 6) : 0;
    if (byte == 0x2e) return parseV4(at, end, ADDRESS + 12) ? 4 : 0;
  }
  return 0;
}

function isMapped(): bool {
  return load<u64>(ADDRESS) == 0 && load<u32>(ADDRESS + 8) == 0xffff0000;
}

/** Four decimal numbers up to 255, without superfluous zeros. */
function parseV4(at: usize, end: usize, out: usize): bool {
  for (let part = 0; part < 4; ++part) {
    if (part > 0) {
      if (at >= end || load<u8>(at) != 0x2e) return false;
      ++at;
    }
    const start = at;
    let value: u32 = 0;
    while (at < end && <u32>load<u8>(at) - 0x30 < 10) {
      value = value * 10 + (<u32>load<u8>(at) - 0x30);
      ++at;
      if (value > 255 || at - start > 3) return false;
    }
    if (at == start || (at - start > 1 && load<u8>(start) == 0x30)) return false;
    store<u8>(out + part, value);
  }
  return at == end;
}

/** Groups before `::` go to the front of ADDRESS, those after it to TAIL and then to the end. */
function parseV6(at: usize, end: usize): bool {
  store<u64>(ADDRESS, 0);
  store<u64>(ADDRESS + 8, 0);
  let size = 0;
  let gap = -1;
  if (at + 1 < end && load<u8>(at) == 0x3a) {
    if (load<u8>(at + 1) != 0x3a) return false;
    gap = 0;
    at += 2;
  }
  let expectGroup = gap < 0;
  while (at < end || expectGroup) {
    if (at >= end || size > 14) return false;
    const groupEnd = endOfGroup(at, end);
    if (groupEnd < end && load<u8>(groupEnd) == 0x2e) {
      if (size > 12 || !parseV4(at, end, ADDRESS + size)) return false;
      size += 4;
      break;
    }
    if (groupEnd == at || groupEnd - at > 4) return false;
    const value = hex(at, groupEnd);
    store<u8>(ADDRESS + size, value >> 8);
    store<u8>(ADDRESS + size + 1, value & 0xff);
    size += 2;
    at = groupEnd;
    expectGroup = false;
    if (at == end) break;
    if (load<u8>(at) != 0x3a) return false;
    ++at;
    if (at < end && load<u8>(at) == 0x3a) {
      if (gap >= 0) return false;
      gap = size;
      ++at;
    } else expectGroup = true;
  }
  if (gap < 0) return size == 16;
  if (size > 14) return false;
  spread(gap, size);
  return true;
}

/** Moves what follows the gap to the end of ADDRESS and clears the gap. */
function spread(gap: i32, size: i32): void {
  const moved = size - gap;
  memory.copy(TAIL, ADDRESS + gap, moved);
  memory.fill(ADDRESS + gap, 0, 16 - gap);
  memory.copy(ADDRESS + 16 - moved, TAIL, moved);
}

function endOfGroup(at: usize, end: usize): usize {
  while (at < end && hexDigit(load<u8>(at)) >= 0) ++at;
  return at;
}

function hexDigit(byte: u32): i32 {
  if (byte - 0x30 < 10) return byte - 0x30;
  const lower = byte | 0x20;
  return lower - 0x61 < 6 ? lower - 0x61 + 10 : -1;
}

function hex(at: usize, end: usize): u32 {
  let value: u32 = 0;
  for (; at < end; ++at) value = (value << 4) | <u32>hexDigit(load<u8>(at));
  return value;
}
