// Programs that do nothing, at every place where the sensors of this machine's agent have one: what being called costs, without doing anything.
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { cgroupRoot } from "#core";
import { type BpfLink, BpfObject } from "#ffi/libbpf";
import { SENSORS } from "../../src/ebpf/sensors.ts";

const BPF = join(import.meta.dir, "../../bpf");
const SECTION = /SEC\("\??([^"]+)"\)\s*int (\w+)\(/g;

/** Empty programs while they are attached. */
export class Floor implements Disposable {
  readonly #object: BpfObject;
  readonly #links: BpfLink[] = [];
  /** Where they are. */
  readonly sections: readonly string[];

  /** `inUse`: the attachment of each sensor, as the agent names it. */
  constructor(inUse: ReadonlyMap<string, string>) {
    this.sections = sectionsOf(inUse);
    this.#object = BpfObject.open("floor", compiled(this.sections));
    try {
      this.#object.load();
      for (const [index, section] of this.sections.entries()) this.#links.push(this.#attach(`nothing${index}`, section));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
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

/** Every place once: what several sensors do at system calls begins in one program. */
function sectionsOf(inUse: ReadonlyMap<string, string>): readonly string[] {
  const sections = new Map<string, string>();
  for (const file of readdirSync(BPF).filter((name) => name.endsWith(".bpf.c"))) {
    for (const [, section = "", name = ""] of readFileSync(join(BPF, file), "utf8").matchAll(SECTION)) sections.set(name, section);
  }
  const places = SENSORS.flatMap(({ name, attachments }) => {
    const programs = attachments.find((attachment) => attachment.name === inUse.get(name))?.programs ?? [];
    return programs.map((program) => (program.at === "calls" ? "raw_tp/sys_exit" : (sections.get(program.name) ?? "")));
  });
  return [...new Set(places)].filter((place) => place !== "");
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
