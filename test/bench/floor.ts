// Programs that do nothing, one for each that the sensors of this machine's agent attach, at its place: what being called costs, without doing
// anything. Where a program's place is, the compiled object says: many programs have their source in headers, and their names from macros.
import { closeSync, openSync, readFileSync } from "node:fs";
import { cgroupRoot } from "#core";
import { type BpfLink, BpfObject } from "#ffi/libbpf";
import { CALLS_OBJECT, SENSORS } from "../../src/ebpf/sensors.ts";

/** Empty programs while they are attached. */
export class Floor implements Disposable {
  readonly #object: BpfObject;
  readonly #links: BpfLink[] = [];

  /** `inUse`: the attachment of each sensor, as the agent names it. */
  constructor(inUse: ReadonlyMap<string, string>) {
    const places = placesOf(inUse);
    this.#object = BpfObject.open("floor", compiled(places));
    try {
      this.#object.load();
      for (const [index, place] of places.entries()) this.#links.push(this.#attach(`nothing${index}`, place));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /** Descriptors of the links by which they are attached. */
  get linkFds(): readonly number[] {
    return this.#links.map(({ fd }) => fd);
  }

  [Symbol.dispose](): void {
    for (const link of this.#links) link.close();
    this.#object.close();
  }

  #attach(name: string, section: string): BpfLink {
    if (!section.startsWith("cgroup")) return this.#object.attach(name);
    const fd = openSync(cgroupRoot(readFileSync("/proc/self/mounts", "utf8")) ?? "", "r");
    try {
      return this.#object.attachCgroup(name, fd);
    } finally {
      closeSync(fd);
    }
  }
}

/** The section of each program that is attached. What sensors do at system calls begins in one program for them all. */
export function placesOf(inUse: ReadonlyMap<string, string>): readonly string[] {
  const programs = SENSORS.flatMap(({ name, object, attachments }) => {
    const attachment = attachments.find((one) => one.name === inUse.get(name));
    return (attachment?.programs ?? []).map((program) => ({ ...program, object }));
  });
  const places = programs.filter(({ at }) => at !== "calls").map(({ name, object }) => sectionOf(name, object));
  return places.length === programs.length ? places : [...places, sectionOf("kestrel_calls", CALLS_OBJECT)];
}

/** Offsets in the 64-bit form of ELF: of the file's header, of a section's, of a symbol. */
const enum FileField {
  Sections = 40,
  SectionCount = 60,
  SectionNames = 62,
}
const enum SectionField {
  Type = 4,
  Offset = 24,
  Size = 32,
  Link = 40,
  Bytes = 64,
}
const enum SymbolField {
  Section = 6,
  Bytes = 24,
}
const SYMBOL_TABLE = 2;

/** Name of the section that a program of an object is in, without libbpf's mark of those that are loaded on request. */
function sectionOf(program: string, object: string): string {
  const bytes = readFileSync(object);
  const sections = Number(bytes.readBigUInt64LE(FileField.Sections));
  const section = (index: number): number => sections + index * SectionField.Bytes;
  const offset = (at: number): number => Number(bytes.readBigUInt64LE(at + SectionField.Offset));
  const text = (table: number, at: number): string => {
    const begin = offset(section(table)) + bytes.readUInt32LE(at);
    return bytes.toString("utf8", begin, bytes.indexOf(0, begin));
  };
  for (let index = 0; index < bytes.readUInt16LE(FileField.SectionCount); index++) {
    const table = section(index);
    if (bytes.readUInt32LE(table + SectionField.Type) !== SYMBOL_TABLE) continue;
    const end = offset(table) + Number(bytes.readBigUInt64LE(table + SectionField.Size));
    for (let symbol = offset(table); symbol < end; symbol += SymbolField.Bytes) {
      if (text(bytes.readUInt32LE(table + SectionField.Link), symbol) !== program) continue;
      const found = section(bytes.readUInt16LE(symbol + SymbolField.Section));
      return text(bytes.readUInt16LE(FileField.SectionNames), found).replace("?", "");
    }
  }
  throw new Error(`${object} has no program ${program}`);
}

/** Programs of control groups must say 1, which allows. */
function compiled(sections: readonly string[]): Uint8Array {
  const programs = sections.map((section, index) => {
    const answer = section.startsWith("cgroup") ? 1 : 0;
    return `__attribute__((section("${section}"), used)) int nothing${index}(void *context) { return ${answer}; }`;
  });
  const source = `${programs.join("\n")}\n__attribute__((section("license"), used)) char LICENSE[] = "GPL";\n`;
  const { success, stdout, stderr } = Bun.spawnSync(["clang", "-O2", "-g", "-target", "bpf", "-x", "c", "-c", "-", "-o", "-"], {
    stdin: Buffer.from(source),
  });
  if (!success) throw new Error(stderr.toString());
  return new Uint8Array(stdout);
}
