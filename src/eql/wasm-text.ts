// Generated Wasm as WebAssembly text, for people: the functions of a module that the guest library does not have, one instruction a line. What
// they use of the library stands as imports, so that the text is a module of its own that other tools read. Nothing here runs.
import { Op, Section, WasmType } from "./wasm-encode.ts";
import { type Guest, guest } from "./wasm-link.ts";
import { WasmReader, wasmSections } from "./wasm-reader.ts";

/** Names of all instructions that generated code has; the compiler holds it complete. */
const NAMES: Readonly<Record<Op, string>> = {
  [Op.Unreachable]: "unreachable",
  [Op.Block]: "block",
  [Op.Loop]: "loop",
  [Op.If]: "if",
  [Op.Else]: "else",
  [Op.End]: "end",
  [Op.Branch]: "br",
  [Op.BranchIf]: "br_if",
  [Op.Return]: "return",
  [Op.Call]: "call",
  [Op.Drop]: "drop",
  [Op.Select]: "select",
  [Op.LocalGet]: "local.get",
  [Op.LocalSet]: "local.set",
  [Op.LocalTee]: "local.tee",
  [Op.GlobalGet]: "global.get",
  [Op.I32Load]: "i32.load",
  [Op.I64Load]: "i64.load",
  [Op.F64Load]: "f64.load",
  [Op.I32Load8U]: "i32.load8_u",
  [Op.I32Store]: "i32.store",
  [Op.I64Store]: "i64.store",
  [Op.F64Store]: "f64.store",
  [Op.I32Const]: "i32.const",
  [Op.I64Const]: "i64.const",
  [Op.F64Const]: "f64.const",
  [Op.I32Eqz]: "i32.eqz",
  [Op.I32Eq]: "i32.eq",
  [Op.I32Ne]: "i32.ne",
  [Op.I32LtS]: "i32.lt_s",
  [Op.I32LtU]: "i32.lt_u",
  [Op.I32GtS]: "i32.gt_s",
  [Op.I32GtU]: "i32.gt_u",
  [Op.I32LeS]: "i32.le_s",
  [Op.I32GeS]: "i32.ge_s",
  [Op.I64Eqz]: "i64.eqz",
  [Op.I64Eq]: "i64.eq",
  [Op.I64LtS]: "i64.lt_s",
  [Op.I64GtS]: "i64.gt_s",
  [Op.I64LeS]: "i64.le_s",
  [Op.I64GeS]: "i64.ge_s",
  [Op.F64Eq]: "f64.eq",
  [Op.F64Lt]: "f64.lt",
  [Op.F64Gt]: "f64.gt",
  [Op.F64Le]: "f64.le",
  [Op.F64Ge]: "f64.ge",
  [Op.I32Add]: "i32.add",
  [Op.I32Sub]: "i32.sub",
  [Op.I32And]: "i32.and",
  [Op.I32Or]: "i32.or",
  [Op.I64Add]: "i64.add",
  [Op.I64Or]: "i64.or",
  [Op.I64Shl]: "i64.shl",
  [Op.I64ShrU]: "i64.shr_u",
  [Op.I32WrapI64]: "i32.wrap_i64",
  [Op.I64ExtendI32U]: "i64.extend_i32_u",
  [Op.F64ConvertI64S]: "f64.convert_i64_s",
  [Op.I64ReinterpretF64]: "i64.reinterpret_f64",
};

const TYPE_NAMES: Readonly<Record<number, string>> = { [WasmType.I32]: "i32", [WasmType.I64]: "i64", [WasmType.F64]: "f64" };
const EMPTY_BLOCK = 0x40;

interface FunctionType {
  readonly parameters: readonly string[];
  readonly results: readonly string[];
}

/** Bytes of a field's slot, and where the program's words say where the slots are (wasm-layout.ts). */
const SLOT_BYTES = 48;
const PROGRAM_FIELD_MAP = 3;
const PROGRAM_FIELD_COUNT = 4;

/**
 * Text of a rule set's generated functions: predicates by number, and conditions that several of them share. `fieldName` names fields, which
 * stand as comments where code has the address of their slots.
 */
export function wasmText(module: Uint8Array, fieldName: (id: number) => string | undefined): string {
  const library = guest();
  const sections = wasmSections(module);
  const reader = (id: Section): WasmReader => new WasmReader(sections.get(id)!);
  const types = typesOf(reader(Section.Type));
  const indexes = reader(Section.Function);
  const functionTypes = indexes.list(() => types[indexes.unsigned()]!);
  const predicates = predicatesOf(reader(Section.Element));
  const code = reader(Section.Code);
  const bodies = code.list(() => code.take(code.unsigned())).slice(library.functionCount);
  const slots = slotNames(library, dataOf(reader(Section.Data)), fieldName);
  const printer = new FunctionPrinter(functionNames(library, predicates, bodies.length), globalNames(library), slots);
  const functions = bodies.map((body, index) => {
    const name = printer.nameOf(library.functionCount + index);
    return `  (func $${name} (export "${name}") (result i32)\n${printer.body(body)})`;
  });
  const imports = [...printer.usedFunctions]
    .filter((index) => index < library.functionCount)
    .sort((a, b) => a - b)
    .map((index) => {
      const name = printer.nameOf(index);
      return `  (import "library" "${name}" (func $${name}${signature(functionTypes[index]!)}))`;
    });
  const globalTypes = globalTypesOf(reader(Section.Global));
  const globals = [...printer.usedGlobals]
    .sort((a, b) => a - b)
    .map((index) => `  (import "library" "${printer.globalName(index)}" (global $${printer.globalName(index)} ${globalTypes[index]}))`);
  const memory = `  (import "library" "memory" (memory 1))`;
  return `(module\n${[memory, ...globals, ...imports, ...functions].join("\n")})\n`;
}

function typesOf(reader: WasmReader): FunctionType[] {
  const names = (): string[] => reader.list(() => TYPE_NAMES[reader.byte()]!);
  return reader.list(() => {
    reader.byte();
    return { parameters: names(), results: names() };
  });
}

/** Function indices of the predicates: the one segment of the table. */
function predicatesOf(reader: WasmReader): number[] {
  reader.unsigned();
  reader.unsigned();
  reader.byte();
  reader.signed();
  reader.byte();
  return reader.list(() => reader.unsigned());
}

function functionNames(library: Guest, predicates: readonly number[], count: number): ReadonlyMap<number, string> {
  const names = new Map([...library.functions].map(([name, index]) => [index, name]));
  for (let index = 0; index < count; index++) names.set(library.functionCount + index, `shared${index}`);
  for (const [number, index] of predicates.entries()) names.set(index, `predicate${number}`);
  return names;
}

function globalNames(library: Guest): ReadonlyMap<number, string> {
  return new Map([...library.globals].map(([name, index]) => [index, name]));
}

interface DataSegment {
  readonly address: number;
  readonly bytes: Uint8Array;
}

function dataOf(reader: WasmReader): DataSegment[] {
  return reader.list(() => {
    reader.unsigned();
    reader.byte();
    const address = reader.signed();
    reader.byte();
    return { address, bytes: reader.take(reader.unsigned()) };
  });
}

/** Names of the fields by the addresses of their slots. */
function slotNames(
  { programAddress }: Guest,
  segments: readonly DataSegment[],
  fieldName: (id: number) => string | undefined,
): ReadonlyMap<number, string> {
  const word = (address: number): number => {
    const segment = segments.findLast(({ address: start, bytes }) => address >= start && address + 4 <= start + bytes.length);
    if (segment === undefined) return 0;
    return new DataView(segment.bytes.buffer, segment.bytes.byteOffset).getUint32(address - segment.address, true);
  };
  const names = new Map<number, string>();
  const map = word(programAddress + PROGRAM_FIELD_MAP * 4);
  for (let id = 0; id < word(programAddress + PROGRAM_FIELD_COUNT * 4); id++) {
    const slot = word(map + id * 4);
    if (slot !== 0) names.set(slot, fieldName(id) ?? `field ${id}`);
  }
  return names;
}

/** Types of the globals: each begins with a plain constant. */
function globalTypesOf(reader: WasmReader): string[] {
  return reader.list(() => {
    const type = TYPE_NAMES[reader.byte()]!;
    const isMutable = reader.byte() === 1;
    reader.byte();
    reader.signed();
    reader.byte();
    return isMutable ? `(mut ${type})` : type;
  });
}

function signature({ parameters, results }: FunctionType): string {
  const part = (word: string, types: readonly string[]): string => (types.length === 0 ? "" : ` (${word} ${types.join(" ")})`);
  return part("param", parameters) + part("result", results);
}

class FunctionPrinter {
  readonly usedFunctions = new Set<number>();
  readonly usedGlobals = new Set<number>();

  constructor(
    readonly functions: ReadonlyMap<number, string>,
    readonly globals: ReadonlyMap<number, string>,
    readonly slots: ReadonlyMap<number, string>,
  ) {}

  nameOf(index: number): string {
    return this.functions.get(index) ?? `f${index}`;
  }

  globalName(index: number): string {
    return this.globals.get(index) ?? `g${index}`;
  }

  /** Locals and instructions of a code entry, a line each. */
  body(entry: Uint8Array): string {
    const reader = new WasmReader(entry);
    const locals = reader.list(() => ({ count: reader.unsigned(), type: TYPE_NAMES[reader.byte()]! }));
    const names = locals.flatMap(({ count, type }) => new Array<string>(count).fill(type));
    const lines = names.length === 0 ? [] : [`    (local ${names.join(" ")})`];
    let depth = 0;
    while (!reader.isAtEnd) {
      const code = reader.byte() as Op;
      if (code === Op.End) {
        depth--;
        // The last end is the function's own: the bracket stands for it.
        if (depth < 0) break;
      }
      const indent = "  ".repeat(2 + depth - (code === Op.Else ? 1 : 0));
      lines.push(`${indent}${this.#instruction(code, reader)}`);
      if (code === Op.Block || code === Op.Loop || code === Op.If) depth++;
    }
    return lines.join("\n");
  }

  #instruction(code: Op, reader: WasmReader): string {
    const name = NAMES[code];
    if (name === undefined) throw new Error(`Assertion failed: instruction ${code} is not known`);
    const operand = this.#operand(code, reader);
    return operand === "" ? name : `${name} ${operand}`;
  }

  #operand(code: Op, reader: WasmReader): string {
    switch (code) {
      case Op.Block:
      case Op.Loop:
      case Op.If: {
        const type = reader.byte();
        return type === EMPTY_BLOCK ? "" : `(result ${TYPE_NAMES[type]})`;
      }
      case Op.Branch:
      case Op.BranchIf:
      case Op.LocalGet:
      case Op.LocalSet:
      case Op.LocalTee:
        return String(reader.unsigned());
      case Op.Call: {
        const index = reader.unsigned();
        this.usedFunctions.add(index);
        return `$${this.nameOf(index)}`;
      }
      case Op.GlobalGet: {
        const index = reader.unsigned();
        this.usedGlobals.add(index);
        return `$${this.globalName(index)}`;
      }
      case Op.I32Const: {
        const value = reader.signed();
        return `${value}${this.#comment(value)}`;
      }
      case Op.I64Const:
        return String(reader.signed64());
      case Op.F64Const:
        return floatText(reader.float64());
      case Op.I32Load:
      case Op.I64Load:
      case Op.F64Load:
      case Op.I32Load8U:
      case Op.I32Store:
      case Op.I64Store:
      case Op.F64Store: {
        const align = 1 << reader.unsigned();
        const offset = reader.unsigned();
        return `${offset === 0 ? "" : `offset=${offset} `}align=${align}${this.#comment(offset)}`;
      }
      default:
        return "";
    }
  }

  #comment(address: number): string {
    for (const [slot, name] of this.slots) if (address >= slot && address < slot + SLOT_BYTES) return ` ;; ${printableName(name)}`;
    return "";
  }
}

// Names of fields come from schema files and events.
function printableName(name: string): string {
  return JSON.stringify(name).slice(1, -1);
}

function floatText(value: number): string {
  if (Number.isNaN(value)) return "nan";
  if (!Number.isFinite(value)) return value < 0 ? "-inf" : "inf";
  return Object.is(value, -0) ? "-0" : String(value);
}
