// Files of programs: only what the kernel saw is read, whatever stands at the path by now; and what ELF headers say, also broken ones.
import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  fstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { readElf } from "../../src/ebpf/elf.ts";
import { createChunk, kernelDevice, openProgram, type ProgramFile, readProgram } from "../../src/ebpf/program-file.ts";
import { ServedProgram, servesFiles } from "./served-program.ts";

const SEED = Number(Bun.env["KESTREL_SEED"] ?? 20_260_714);
const folder = mkdtempSync(join(tmpdir(), "kestrel-files-"));
afterAll(() => rmSync(folder, { recursive: true }));
const ours = process.execPath;

/** A file as the kernel would tell it of a process that is gone. */
function told(path: string, pid = 0): ProgramFile {
  const { dev, ino, size, ctimeNs } = statSync(path, { bigint: true });
  return { pid, ppid: 0, path, device: kernelDevice(dev), inode: ino, sizeBytes: Number(size), changeNs: ctimeNs };
}

// One for all: what another file left in it must not show.
const chunk = createChunk();
const anybody = (): boolean => true;

async function inspectFile(file: ProgramFile): Promise<Awaited<ReturnType<typeof readProgram>>> {
  const open = await openProgram(file, anybody);
  return typeof open === "string" ? open : await readProgram(open, chunk, anybody);
}

const sha256 = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");

describe("which file is read", () => {
  test("by its path when the process is gone; by the process when the path is not ours", async () => {
    expect(await inspectFile(told(ours))).toMatchObject({ sha256: sha256(ours), isRunning: false });
    expect(await inspectFile({ ...told(ours, process.pid), path: "/elsewhere" })).toMatchObject({ sha256: sha256(ours), isRunning: true });
  });

  test("in the root of the parent, when the process saw another root", async () => {
    const path = join(folder, "inner");
    writeFileSync(path, "x".repeat(1000));
    expect(await inspectFile({ ...told(path), ppid: process.pid })).toMatchObject({ sha256: sha256(path), elf: undefined });
  });

  const CASES: readonly (readonly [string, (path: string) => void, string])[] = [
    ["removed", (path) => rmSync(path), "gone"],
    ["written again", (path) => writeFileSync(path, "other"), "changed"],
    ["longer", (path) => writeFileSync(path, "x".repeat(2000)), "changed"],
    [
      "another file in its place",
      (path) => {
        writeFileSync(`${path}.new`, "y".repeat(1000));
        renameSync(`${path}.new`, path);
      },
      "changed",
    ],
    [
      "a folder in its place",
      (path) => {
        rmSync(path);
        mkdirSync(path);
      },
      "changed",
    ],
    [
      "a device in its place",
      (path) => {
        rmSync(path);
        symlinkSync("/dev/zero", path);
      },
      "changed",
    ],
    [
      "a pipe in its place",
      (path) => {
        rmSync(path);
        Bun.spawnSync(["mkfifo", path]);
      },
      "changed",
    ],
    [
      "a file of another device in its place",
      (path) => {
        rmSync(path);
        symlinkSync("/proc/version", path);
      },
      "changed",
    ],
    [
      "a link to itself in its place",
      (path) => {
        rmSync(path);
        symlinkSync(path, path);
      },
      "gone",
    ],
  ];
  test.each(CASES)("%s", async (name, act, answer) => {
    const path = join(folder, name);
    writeFileSync(path, "x".repeat(1000));
    const file = told(path);
    act(path);
    expect(await inspectFile(file)).toBe(answer as never);
  });

  test("the same numbers on another device", async () => {
    const path = join(folder, "device");
    writeFileSync(path, "x");
    expect(await inspectFile({ ...told(path), device: 1 })).toBe("changed");
  });

  test("a name that is no path is not looked for", async () => {
    expect(await inspectFile({ ...told(ours), path: "memfd:x" })).toBe("gone");
  });
});

test("what changes between opening and reading is not taken for what ran; the file is closed", async () => {
  const path = join(folder, "changes");
  writeFileSync(path, "x".repeat(1000));
  const open = await openProgram(told(path), anybody);
  if (typeof open === "string") throw new Error(open);
  writeFileSync(path, "x".repeat(999));
  expect(await readProgram(open, chunk, anybody)).toBe("changed");
  expect(() => fstatSync(open.fd)).toThrow("EBADF");
});

test.skipIf(!servesFiles())("a filesystem that falls silent while a file is read holds nobody but who reads it", async () => {
  const served = await ServedProgram.start("served", join(folder, "silence"), "read forever </dev/zero");
  let answer: Awaited<ReturnType<typeof readProgram>> | undefined;
  let reading: Promise<void>;
  {
    await using _ = served;
    const open = await openProgram({ ...told(`/proc/${served.pid}/exe`, served.pid), path: "/served" }, anybody);
    if (typeof open === "string") throw new Error(`The served file is ${open}`);
    served.fallSilent();
    reading = readProgram(open, createChunk(), anybody).then((content) => {
      answer = content;
    });
    await Bun.sleep(300);
    expect(answer).toBeUndefined();
  }
  await reading;
  expect(answer).toBe("changed");
});

describe("ELF", () => {
  const build = (name: string, ...flags: readonly string[]): string => {
    const program = join(folder, name);
    const built = Bun.spawnSync(["clang", "-x", "c", "-", "-o", program, "-nostdlib", "-fno-stack-protector", ...flags], {
      stdin: Buffer.from("void _start(void) { for (;;); }"),
    });
    if (built.exitCode !== 0) throw new Error(built.stderr.toString());
    return program;
  };
  const elfOf = (path: string) => {
    const bytes = readFileSync(path);
    return readElf((offset, length) => new Uint8Array(bytes.subarray(offset, offset + length)));
  };
  const isX64 = process.arch === "x64";
  if (!isX64 || Bun.which("clang") === null) console.log("skipped: programs of every form (not x86-64, or no clang)");

  test.skipIf(!isX64 || Bun.which("clang") === null)("static or not, stripped or not, either width", async () => {
    const loader = "/lib64/ld-linux-x86-64.so.2";
    const CASES: readonly (readonly [readonly string[], boolean, boolean, string | undefined, string])[] = [
      [["-static"], true, false, undefined, "x86-64"],
      [["-static", "-s"], true, true, undefined, "x86-64"],
      [["-static-pie"], true, false, undefined, "x86-64"],
      [["-pie", `-Wl,--dynamic-linker=${loader}`], false, false, loader, "x86-64"],
      [["-pie", "-s", `-Wl,--dynamic-linker=${loader}`], false, true, loader, "x86-64"],
      [["-m32", "-static", "-s"], true, true, undefined, "x86"],
    ];
    for (const [index, [flags, isStatic, isStripped, interpreter, architecture]] of CASES.entries()) {
      expect(await elfOf(build(`elf${index}`, ...flags))).toEqual({ isStatic, isStripped, interpreter, architecture });
    }
  });

  test("what is no ELF, or broken in any byte, is no error", async () => {
    expect(await readElf(() => new Uint8Array(0))).toBeUndefined();
    expect(await elfOf("/etc/passwd")).toBeUndefined();
    const whole = new Uint8Array(readFileSync(ours).subarray(0, 8192));
    const edit = fc.tuple(fc.nat(200), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { maxLength: 12 }), fc.nat(8192), async (edits, length) => {
        const bytes = whole.slice(0, length);
        for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
        const facts = await readElf((offset, size) =>
          bytes.subarray(Math.min(offset, bytes.length), Math.min(offset + size, bytes.length)),
        );
        expect(facts === undefined || facts.architecture !== "").toBe(true);
      }),
      { seed: SEED, numRuns: 2000 },
    );
  });

  test("a copy is the same to the hash and another to the clock", async () => {
    const path = join(folder, "copy");
    copyFileSync("/bin/true", path);
    expect(await inspectFile(told(path))).toMatchObject({ sha256: sha256("/bin/true"), elf: { isStatic: false } });
  });
});
