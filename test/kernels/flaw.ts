// A kernel module that does what a flaw in the kernel is used for: puts the kernel's own credentials on whoever loads it. Made without the kernel's
// headers: what a kernel wants a module to have besides code is taken from one of its own modules.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** It does not stay: what it is for is done when its start has failed. */
const START = `
extern char init_task[];
int commit_creds(void *), init_module(void);
void *prepare_kernel_cred(void *);
int init_module(void)
{
	commit_creds(prepare_kernel_cred(init_task));
	return -77;
}`;
const THIS_MODULE = ".gnu.linkonce.this_module";

/** Writes such a module for the kernel that `model`, a module file named `veth`, is of. Throws when the model is no such file. */
export function makeFlaw(model: string, output: string): void {
  const folder = mkdtempSync(join(tmpdir(), "kestrel-flaw-"));
  try {
    const sections = sectionsOf(readFileSync(model));
    const about = sections(THIS_MODULE);
    about.write("flaw", about.indexOf("veth\0"));
    // Of its two relocations the first is the place of the function that starts it.
    const start = Number(sections(`.rela${THIS_MODULE}`).readBigUInt64LE(0));
    const vermagic = /vermagic=[^\0]*/.exec(sections(".modinfo").toString("latin1"))?.[0];
    for (const [name, bytes] of [
      ["about", about.subarray(0, start)],
      ["rest", about.subarray(start + 8)],
    ] as const) {
      writeFileSync(join(folder, name), bytes);
    }
    const sources = { "start.c": START, "module.s": assembly(folder, `${vermagic}`) };
    for (const [name, text] of Object.entries(sources)) writeFileSync(join(folder, name), text);
    const flags = ["-O1", "-mcmodel=kernel", "-mno-red-zone", "-fno-pic", "-fno-stack-protector", "-fcf-protection=none"];
    for (const name of Object.keys(sources)) run("clang", ...flags, "-c", join(folder, name), "-o", join(folder, `${name}.o`));
    run("ld", "-r", "-o", output, ...Object.keys(sources).map((name) => join(folder, `${name}.o`)));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function assembly(folder: string, vermagic: string): string {
  return `
    .section .modinfo, "a"
    .asciz "license=GPL", "name=flaw", "depends=", "${vermagic}"
    .section ${THIS_MODULE}, "aw"
    .balign 64
    .incbin "${join(folder, "about")}"
    .quad init_module
    .incbin "${join(folder, "rest")}"
  `;
}

/** The sections of an ELF file of 64 bits, by name. */
function sectionsOf(file: Buffer): (name: string) => Buffer {
  const [table, size, count, names] = [
    Number(file.readBigUInt64LE(40)),
    file.readUInt16LE(58),
    file.readUInt16LE(60),
    file.readUInt16LE(62),
  ];
  const bytesAt = (index: number): Buffer => {
    const header = table + index * size;
    const begin = Number(file.readBigUInt64LE(header + 24));
    return file.subarray(begin, begin + Number(file.readBigUInt64LE(header + 32)));
  };
  const strings = bytesAt(names).toString("latin1");
  return (name) => {
    for (let index = 0; index < count; index++) {
      const at = file.readUInt32LE(table + index * size);
      if (strings.slice(at, strings.indexOf("\0", at)) === name) return Buffer.from(bytesAt(index));
    }
    throw new Error(`The module has no section ${name}`);
  };
}

function run(...command: readonly string[]): void {
  const { success, stderr } = Bun.spawnSync([...command]);
  if (!success) throw new Error(`${command[0]} failed: ${stderr.toString()}`);
}
