// A small WebAssembly encoder: numbers, sections and function bodies. Knows the binary format (core specification, chapter 5), nothing of EQL.

/** Value types. */
export const enum WasmType {
  I32 = 0x7f,
  I64 = 0x7e,
  F64 = 0x7c,
}

/** The instructions that generated code uses. */
export const enum Op {
  Unreachable = 0x00,
  Block = 0x02,
  Loop = 0x03,
  If = 0x04,
  Else = 0x05,
  End = 0x0b,
  Branch = 0x0c,
  BranchIf = 0x0d,
  Return = 0x0f,
  Call = 0x10,
  Drop = 0x1a,
  Select = 0x1b,
  LocalGet = 0x20,
  LocalSet = 0x21,
  LocalTee = 0x22,
  GlobalGet = 0x23,
  I32Load = 0x28,
  I64Load = 0x29,
  F64Load = 0x2b,
  I32Load8U = 0x2d,
  I32Store = 0x36,
  I64Store = 0x37,
  F64Store = 0x39,
  I32Const = 0x41,
  I64Const = 0x42,
  F64Const = 0x44,
  I32Eqz = 0x45,
  I32Eq = 0x46,
  I32Ne = 0x47,
  I32LtS = 0x48,
  I32LtU = 0x49,
  I32GtS = 0x4a,
  I32GtU = 0x4b,
  I32LeS = 0x4c,
  I32GeS = 0x4e,
  I64Eqz = 0x50,
  I64Eq = 0x51,
  I64LtS = 0x53,
  I64GtS = 0x55,
  I64LeS = 0x57,
  I64GeS = 0x59,
  F64Eq = 0x61,
  F64Lt = 0x63,
  F64Gt = 0x64,
  F64Le = 0x65,
  F64Ge = 0x66,
  I32Add = 0x6a,
  I32Sub = 0x6b,
  I32And = 0x71,
  I32Or = 0x72,
  I64Add = 0x7c,
  I64Or = 0x84,
  I64Shl = 0x86,
  I64ShrU = 0x88,
  I32WrapI64 = 0xa7,
  I64ExtendI32U = 0xad,
  F64ConvertI64S = 0xb9,
  I64ReinterpretF64 = 0xbd,
}

/** Block type of a block that leaves nothing. */
const EMPTY_BLOCK = 0x40;

/** Ids of the sections, in the order of a module. */
export const enum Section {
  Custom = 0,
  Type = 1,
  Import = 2,
  Function = 3,
  Table = 4,
  Memory = 5,
  Global = 6,
  Export = 7,
  Start = 8,
  Element = 9,
  Code = 10,
  Data = 11,
  DataCount = 12,
}

/** Unsigned LEB128 of a number below 2^32. */
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let rest = value >>> 0;
  do {
    const low = rest & 0x7f;
    rest >>>= 7;
    bytes.push(rest === 0 ? low : low | 0x80);
  } while (rest !== 0);
  return bytes;
}

/** Signed LEB128 of an i32. */
export function signed32(value: number): number[] {
  const bytes: number[] = [];
  let rest = value | 0;
  while (rest < -64 || rest > 63) {
    bytes.push((rest & 0x7f) | 0x80);
    rest >>= 7;
  }
  bytes.push(rest & 0x7f);
  return bytes;
}

/** Signed LEB128. */
function signed(value: bigint): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (;;) {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
      bytes.push(low);
      return bytes;
    }
    bytes.push(low | 0x80);
  }
}

/** A growing run of bytes. */
export class ByteSink {
  #bytes = new Uint8Array(1024);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  byte(value: number): void {
    this.#room(1);
    this.#bytes[this.#length++] = value;
  }

  write(bytes: ArrayLike<number>): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
  }

  unsigned(value: number): void {
    this.write(unsigned(value));
  }

  /** Bytes preceded by their number. */
  vector(bytes: ArrayLike<number>): void {
    this.unsigned(bytes.length);
    this.write(bytes);
  }

  section(id: Section, content: ByteSink): void {
    this.byte(id);
    this.vector(content.bytes());
  }

  /** What was written; shares the sink's storage. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
    grown.set(this.bytes());
    this.#bytes = grown;
  }
}

/** A place to branch to. */
export interface Label {
  readonly depth: number;
}

/** One function being written: instructions, and locals that are taken and given back. Control structure is checked by {@link finish}. */
export class FunctionBody {
  readonly #code = new ByteSink();
  readonly #types: WasmType[] = [];
  readonly #free = new Map<WasmType, number[]>();
  readonly #floats = new DataView(new ArrayBuffer(8));
  #depth = 0;

  op(code: Op): void {
    this.#code.byte(code);
  }

  i32(value: number): void {
    this.#code.byte(Op.I32Const);
    this.#code.write(signed32(value));
  }

  i64(value: bigint): void {
    this.#code.byte(Op.I64Const);
    this.#code.write(signed(BigInt.asIntN(64, value)));
  }

  f64(value: number): void {
    this.#code.byte(Op.F64Const);
    this.#floats.setFloat64(0, value, true);
    this.#code.write(new Uint8Array(this.#floats.buffer));
  }

  call(functionIndex: number): void {
    this.#code.byte(Op.Call);
    this.#code.unsigned(functionIndex);
  }

  globalGet(index: number): void {
    this.#code.byte(Op.GlobalGet);
    this.#code.unsigned(index);
  }

  /** A load or store. The alignment given is 1, which is always right; engines do not look at it. */
  memory(code: Op, offset: number): void {
    this.#code.byte(code);
    this.#code.byte(0);
    this.#code.unsigned(offset);
  }

  /** Takes a local; give it back with {@link freeLocal}. */
  local(type: WasmType): number {
    const known = this.#free.get(type)?.pop();
    if (known !== undefined) return known;
    this.#types.push(type);
    return this.#types.length - 1;
  }

  freeLocal(index: number): void {
    const type = this.#types[index]!;
    const list = this.#free.get(type);
    if (list === undefined) this.#free.set(type, [index]);
    else list.push(index);
  }

  get(local: number): void {
    this.#code.byte(Op.LocalGet);
    this.#code.unsigned(local);
  }

  set(local: number): void {
    this.#code.byte(Op.LocalSet);
    this.#code.unsigned(local);
  }

  tee(local: number): void {
    this.#code.byte(Op.LocalTee);
    this.#code.unsigned(local);
  }

  /** Opens a block, loop or if; the label is its end, or for a loop its start. */
  open(code: Op.Block | Op.Loop | Op.If, type: number = EMPTY_BLOCK): Label {
    this.#code.byte(code);
    this.#code.byte(type);
    return { depth: ++this.#depth };
  }

  otherwise(): void {
    this.#code.byte(Op.Else);
  }

  end(): void {
    this.#code.byte(Op.End);
    this.#depth--;
  }

  branch(label: Label): void {
    this.#code.byte(Op.Branch);
    this.#code.unsigned(this.#depth - label.depth);
  }

  branchIf(label: Label): void {
    this.#code.byte(Op.BranchIf);
    this.#code.unsigned(this.#depth - label.depth);
  }

  /** The code entry: locals, instructions, end. */
  finish(): Uint8Array {
    if (this.#depth !== 0) throw new Error(`Assertion failed: ${this.#depth} open blocks`);
    const entry = new ByteSink();
    const runs: { type: WasmType; count: number }[] = [];
    for (const type of this.#types) {
      const last = runs.at(-1);
      if (last !== undefined && last.type === type) last.count++;
      else runs.push({ type, count: 1 });
    }
    entry.unsigned(runs.length);
    for (const run of runs) {
      entry.unsigned(run.count);
      entry.byte(run.type);
    }
    entry.write(this.#code.bytes());
    entry.byte(Op.End);
    return entry.bytes();
  }
}
