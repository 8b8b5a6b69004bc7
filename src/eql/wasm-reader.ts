// Reads the WebAssembly binary format (core specification, chapter 5) as far as our own modules need it: numbers, names, sections. What is read was
// made by a compiler we know: anything unexpected is a bug of ours.
import { Section } from "./wasm-encode.ts";

/** A place in some bytes that moves as they are read. */
export class WasmReader {
  at = 0;

  constructor(readonly bytes: Uint8Array) {}

  get isAtEnd(): boolean {
    return this.at >= this.bytes.length;
  }

  byte(): number {
    return this.bytes[this.at++]!;
  }

  /** Unsigned LEB128 below 2^32. */
  unsigned(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
  }

  /** Signed LEB128 of an i32. */
  signed(): number {
    return Number(BigInt.asIntN(32, this.signed64()));
  }

  /** Signed LEB128 of an i64. */
  signed64(): bigint {
    let value = 0n;
    for (let shift = 0n; ; ) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      shift += 7n;
      if (byte < 0x80) return BigInt.asIntN(64, (byte & 0x40) !== 0 ? value | (-1n << shift) : value);
    }
  }

  float64(): number {
    const bytes = this.take(8);
    return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true);
  }

  take(size: number): Uint8Array {
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }

  name(): string {
    return new TextDecoder().decode(this.take(this.unsigned()));
  }

  /** As many items as the number in front says. */
  list<Item>(read: () => Item): Item[] {
    const items: Item[] = [];
    for (let left = this.unsigned(); left > 0; left--) items.push(read());
    return items;
  }
}

/** Contents of a module's sections. */
export function wasmSections(module: Uint8Array): ReadonlyMap<Section, Uint8Array> {
  const reader = new WasmReader(module);
  reader.at = 8;
  const sections = new Map<Section, Uint8Array>();
  while (!reader.isAtEnd) {
    const id = reader.byte() as Section;
    const content = reader.take(reader.unsigned());
    if (id !== Section.Custom) sections.set(id, content);
  }
  return sections;
}
