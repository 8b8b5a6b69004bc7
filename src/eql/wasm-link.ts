// Links generated functions and data behind the guest library. The guest imports nothing, so its indices stay as they are: types, functions,
// globals and data are appended; exports are replaced by the four of the ABI; the table holds the predicates.
import { GUEST_END, GUEST_WASM_BASE64 } from "./guest.generated.ts";
import { ByteSink, Section, signed32, WasmType } from "./wasm-encode.ts";
import { WasmReader, wasmSections } from "./wasm-reader.ts";

/** Bytes of a Wasm page. */
const PAGE_BYTES = 65_536;
const EXPORT_FUNCTION = 0;
const EXPORT_MEMORY = 2;
const EXPORT_GLOBAL = 3;

/** What generated code may use of the guest. */
export interface Guest {
  /** Function indices by export name. */
  readonly functions: ReadonlyMap<string, number>;
  /** Global indices by export name. */
  readonly globals: ReadonlyMap<string, number>;
  readonly functionCount: number;
  /** Address of the program's words. */
  readonly programAddress: number;
  /** First byte behind the guest's own static memory, 16-byte aligned. */
  readonly dataEnd: number;
}

/** What the code generator made. */
export interface Generated {
  /** Code entries of functions () → i32, in the order of their indices from {@link Guest.functionCount} on. */
  readonly functions: readonly Uint8Array[];
  /** Function index of each predicate. */
  readonly predicates: readonly number[];
  /** Initialised data and where it goes. */
  readonly data: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  /** First byte the host may use. */
  readonly heapBase: number;
}

interface ParsedGuest extends Guest {
  readonly sections: ReadonlyMap<Section, Uint8Array>;
  readonly typeCount: number;
  readonly globalCount: number;
}

let parsed: ParsedGuest | undefined;

/** The guest library, parsed once. */
export function guest(): Guest {
  parsed ??= parseGuest(Uint8Array.from(atob(GUEST_WASM_BASE64), (character) => character.charCodeAt(0)));
  return parsed;
}

function parseGuest(bytes: Uint8Array): ParsedGuest {
  const sections = wasmSections(bytes);
  for (const absent of [Section.Import, Section.Start]) {
    if (sections.has(absent)) throw new Error(`Assertion failed: guest has section ${absent}`);
  }
  const functions = new Map<string, number>();
  const globals = new Map<string, number>();
  const exports = new WasmReader(sections.get(Section.Export)!);
  for (let left = exports.unsigned(); left > 0; left--) {
    const name = exports.name();
    const kind = exports.byte();
    const index = exports.unsigned();
    if (kind === EXPORT_FUNCTION) functions.set(name, index);
    if (kind === EXPORT_GLOBAL) globals.set(name, index);
  }
  const values = globalValues(new WasmReader(sections.get(Section.Global)!));
  return {
    sections,
    functions,
    globals,
    typeCount: countOf(sections, Section.Type),
    functionCount: countOf(sections, Section.Function),
    globalCount: values.length,
    programAddress: values[globals.get("PROGRAM")!]!,
    dataEnd: (GUEST_END + 15) & ~15,
  };
}

function countOf(sections: ReadonlyMap<Section, Uint8Array>, id: Section): number {
  return new WasmReader(sections.get(id)!).unsigned();
}

/** Initial values of the i32 globals. */
function globalValues(reader: WasmReader): number[] {
  const values: number[] = [];
  for (let left = reader.unsigned(); left > 0; left--) {
    const type = reader.byte();
    reader.byte();
    const opcode = reader.byte();
    if (type !== WasmType.I32 || opcode !== 0x41) throw new Error("Assertion failed: guest global is not a plain i32");
    values.push(reader.signed());
    reader.byte();
  }
  return values;
}

/** The whole module. */
export function link(generated: Generated): Uint8Array {
  const base = guest() as ParsedGuest;
  const module = new ByteSink();
  module.write([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]);
  const appended = (id: Section, items: readonly ArrayLike<number>[]): void => {
    const reader = new WasmReader(base.sections.get(id) ?? new Uint8Array([0]));
    const count = reader.unsigned();
    const content = new ByteSink();
    content.unsigned(count + items.length);
    content.write(reader.bytes.subarray(reader.at));
    for (const item of items) content.write(item);
    module.section(id, content);
  };
  const truth = base.typeCount;
  appended(Section.Type, [[0x60, 0, 1, WasmType.I32]]);
  const typeIndex = new ByteSink();
  typeIndex.unsigned(truth);
  appended(
    Section.Function,
    generated.functions.map(() => typeIndex.bytes()),
  );
  module.section(Section.Table, tableSection(generated.predicates.length));
  const memory = new ByteSink();
  memory.write([1, 0]);
  memory.unsigned(Math.ceil(generated.heapBase / PAGE_BYTES));
  module.section(Section.Memory, memory);
  appended(Section.Global, [[WasmType.I32, 0, 0x41, ...signed32(generated.heapBase), 0x0b]]);
  module.section(Section.Export, exportSection(base));
  module.section(Section.Element, elementSection(generated.predicates));
  if (base.sections.has(Section.DataCount)) {
    const dataCount = new ByteSink();
    dataCount.unsigned(countOf(base.sections, Section.Data) + generated.data.length);
    module.section(Section.DataCount, dataCount);
  }
  appended(Section.Code, generated.functions.map(sized));
  appended(Section.Data, generated.data.map(dataSegment));
  return module.bytes().slice();
}

function sized(bytes: Uint8Array): Uint8Array {
  const sink = new ByteSink();
  sink.vector(bytes);
  return sink.bytes();
}

function dataSegment({ address, bytes }: Generated["data"][number]): Uint8Array {
  const sink = new ByteSink();
  sink.write([0, 0x41, ...signed32(address), 0x0b]);
  sink.vector(bytes);
  return sink.bytes();
}

function tableSection(entries: number): ByteSink {
  const content = new ByteSink();
  content.write([1, 0x70, 1]);
  content.unsigned(entries);
  content.unsigned(entries);
  return content;
}

function elementSection(predicates: readonly number[]): ByteSink {
  const content = new ByteSink();
  content.write([1, 0, 0x41, 0, 0x0b]);
  content.unsigned(predicates.length);
  for (const index of predicates) content.unsigned(index);
  return content;
}

function exportSection(base: ParsedGuest): ByteSink {
  const content = new ByteSink();
  const entry = (name: string, kind: number, index: number): void => {
    content.vector(new TextEncoder().encode(name));
    content.byte(kind);
    content.unsigned(index);
  };
  content.unsigned(4);
  entry("memory", EXPORT_MEMORY, 0);
  entry("eval", EXPORT_FUNCTION, base.functions.get("evaluate")!);
  entry("current", EXPORT_GLOBAL, base.globals.get("current")!);
  entry("heap_base", EXPORT_GLOBAL, base.globalCount);
  return content;
}
