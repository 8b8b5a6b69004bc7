// Names behind numbers: files that change, lines that are broken, mounts with odd characters.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cgroupRoot } from "#core";
import { firstArguments, splitArguments } from "../../src/ebpf/arguments.ts";
import { effectiveCapabilities } from "../../src/ebpf/doctor.ts";
import { IdNames, parseIdNames } from "../../src/ebpf/names.ts";

const folder = mkdtempSync(join(tmpdir(), "kestrel-names-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("passwd lines: the first name of an id counts, broken lines do not", () => {
  const names = parseIdNames("root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n\nbroken\n:x:5:\nnobody:x:65534:65534\nx:x:-1:\n");
  expect([...names]).toEqual([
    [0, "root"],
    [65_534, "nobody"],
  ]);
});

test("a changed file is read again, though not more than once a second", () => {
  const path = join(folder, "passwd");
  const names = new IdNames(path);
  expect(names.nameOf(1, 0)).toBeUndefined();
  writeFileSync(path, "one:x:1:1\n");
  expect(names.nameOf(1, 5e8)).toBeUndefined();
  expect(names.nameOf(1, 1e9)).toBe("one");
  writeFileSync(path, "other:x:1:1\n");
  expect(names.nameOf(1, 2e9)).toBe("other");
});

test("the cgroup v2 mount is found, octal escapes included", () => {
  expect(cgroupRoot("cgroup /sys/fs/cgroup/cpu cgroup rw 0 0\ncgroup2 /mnt/a\\040b cgroup2 rw 0 0\n")).toBe("/mnt/a b");
  expect(cgroupRoot("")).toBeUndefined();
});

test("arguments: empty ones count, a missing last NUL is no loss", () => {
  const split = (text: string) => splitArguments(new Uint8Array(Buffer.from(text)));
  expect(split("")).toEqual({ args: [], count: 0 });
  expect(split("a\0\0b\0")).toEqual({ args: ["a", "", "b"], count: 3 });
  expect(split("a\0b")).toEqual({ args: ["a", "b"], count: 2 });
  const many = split("\0".repeat(100_000));
  expect(many.count).toBe(100_000);
  expect(many.args).toHaveLength(16_384);
});

test("the first arguments keep to their limit", () => {
  expect(firstArguments(["abc", "def"], 8)).toEqual(["abc", "def"]);
  expect(firstArguments(["abc", "def"], 6)).toEqual(["abc", "de"]);
  expect(firstArguments(["abc", "def"], 0)).toEqual([""]);
});

test("capabilities by bit", () => {
  expect(effectiveCapabilities("CapEff:\t000001ffffffffff\n")).toContain("CAP_BPF");
  expect(effectiveCapabilities("CapEff:\t0000000000000020\n")).toEqual(["CAP_KILL"]);
  expect(effectiveCapabilities("nothing")).toEqual([]);
});
