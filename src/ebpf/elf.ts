// What an ELF file says of itself, from its headers. The file is a watched process's: every number in it may be wrong, so each is checked
// against a limit and the bytes that came; what does not fit is not ELF, or not said.

/** Facts of an ELF file. */
export interface ElfFacts {
  /** Such as `x86-64`. */
  readonly architecture: string;
  /** No interpreter is asked for: nothing is loaded into it from elsewhere. */
  readonly isStatic: boolean;
  /** There is no symbol table. */
  readonly isStripped: boolean;
  /** The dynamic loader it asks for. */
  readonly interpreter: string | undefined;
}

/** Reads bytes of the file; fewer, or none, where it ends. */
export type ByteReader = (offset: number, length: number) => Uint8Array | Promise<Uint8Array>;

const HEADER_BYTES = 64;
const SEGMENTS_MAX = 256;
const SECTIONS_MAX = 16_384;
const PATH_BYTES_MAX = 4096;
const PT_INTERP = 3;
const SHT_SYMTAB = 2;

const ARCHITECTURES: Readonly<Record<number, string>> = {
  2: "sparc",
  3: "x86",
  8: "mips",
  20: "ppc",
  21: "ppc64",
  22: "s390",
  40: "arm",
  62: "x86-64",
  183: "arm64",
  243: "riscv",
  247: "bpf",
  258: "loongarch",
};

/** Where the two widths of the format keep what is read here. */
interface Layout {
  readonly wide: boolean;
  /** e_phoff, e_shoff, e_phentsize, e_phnum, e_shentsize, e_shnum. */
  readonly header: readonly [number, number, number, number, number, number];
  readonly segmentBytes: number;
  /** p_offset, p_filesz. */
  readonly segment: readonly [number, number];
  readonly sectionBytes: number;
  /** sh_type, sh_size. */
  readonly section: readonly [number, number];
}

const NARROW: Layout = {
  wide: false,
  header: [28, 32, 42, 44, 46, 48],
  segmentBytes: 32,
  segment: [4, 16],
  sectionBytes: 40,
  section: [4, 20],
};
const WIDE: Layout = {
  wide: true,
  header: [32, 40, 54, 56, 58, 60],
  segmentBytes: 56,
  segment: [8, 32],
  sectionBytes: 64,
  section: [4, 32],
};

/** The facts; `undefined`: not an ELF program. */
export async function readElf(read: ByteReader): Promise<ElfFacts | undefined> {
  const head = viewOf(await read(0, HEADER_BYTES));
  if (head.byteLength < 52 || head.getUint32(0) !== 0x7f45_4c46) return undefined;
  const layout = head.getUint8(4) === 2 ? WIDE : head.getUint8(4) === 1 ? NARROW : undefined;
  const byteOrder = head.getUint8(5);
  if (layout === undefined || (byteOrder !== 1 && byteOrder !== 2) || (layout.wide && head.byteLength < HEADER_BYTES)) return undefined;
  const little = byteOrder === 1;
  const [segmentsAt, sectionsAt, segmentSizeAt, segmentCountAt, sectionSizeAt, sectionCountAt] = layout.header;
  const table = async (at: number, size: number, count: number, max: number): Promise<DataView> =>
    viewOf(await read(at, Math.min(count, max) * size));
  const offsetAt = (at: number): number => (layout.wide ? Number(head.getBigUint64(at, little)) : head.getUint32(at, little));
  const hasSegments = head.getUint16(segmentSizeAt, little) === layout.segmentBytes;
  const segmentCount = hasSegments ? head.getUint16(segmentCountAt, little) : 0;
  const segments = await table(offsetAt(segmentsAt), layout.segmentBytes, segmentCount, SEGMENTS_MAX);
  const hasSections = offsetAt(sectionsAt) > 0 && head.getUint16(sectionSizeAt, little) === layout.sectionBytes;
  const sectionCount = hasSections ? head.getUint16(sectionCountAt, little) : 0;
  const sections = await table(offsetAt(sectionsAt), layout.sectionBytes, sectionCount, SECTIONS_MAX);
  const machine = head.getUint16(18, little);
  const interpreter = await interpreterOf(segments, layout, little, read);
  return {
    architecture: ARCHITECTURES[machine] ?? `machine ${machine}`,
    isStatic: interpreter === undefined,
    isStripped: !hasSymbols(sections, layout, little),
    interpreter: interpreter === "" ? undefined : interpreter,
  };
}

/** Empty when one is asked for but its name cannot be read. */
async function interpreterOf(segments: DataView, layout: Layout, little: boolean, read: ByteReader): Promise<string | undefined> {
  for (let at = 0; at + layout.segmentBytes <= segments.byteLength; at += layout.segmentBytes) {
    if (segments.getUint32(at, little) !== PT_INTERP) continue;
    const [offsetAt, sizeAt] = layout.segment;
    const numberAt = (where: number): number =>
      layout.wide ? Number(segments.getBigUint64(at + where, little)) : segments.getUint32(at + where, little);
    const bytes = Buffer.from(await read(numberAt(offsetAt), Math.min(numberAt(sizeAt), PATH_BYTES_MAX)));
    const end = bytes.indexOf(0);
    return bytes.toString("utf8", 0, end < 0 ? bytes.length : end);
  }
  return undefined;
}

function hasSymbols(sections: DataView, layout: Layout, little: boolean): boolean {
  const [typeAt, sizeAt] = layout.section;
  for (let at = 0; at + layout.sectionBytes <= sections.byteLength; at += layout.sectionBytes) {
    const isEmpty = layout.wide ? sections.getBigUint64(at + sizeAt, little) === 0n : sections.getUint32(at + sizeAt, little) === 0;
    if (sections.getUint32(at + typeAt, little) === SHT_SYMTAB && !isEmpty) return true;
  }
  return false;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
