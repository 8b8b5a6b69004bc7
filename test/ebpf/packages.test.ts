// Which package brought a file: the index against a plain map, dpkg's lists made up and this machine's own, and a database that rpm made.
import { afterAll, describe, expect, test } from "bun:test";
import {
  appendFileSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { SystemClock } from "#core";
import { readDpkg } from "../../src/ebpf/dpkg-database.ts";
import { ProgramReader } from "../../src/ebpf/file-reader.ts";
import { PACKAGES_MAX, PackageIndex } from "../../src/ebpf/package-index.ts";
import { Packages } from "../../src/ebpf/packages.ts";
import { kernelDevice } from "../../src/ebpf/program-file.ts";
import type { ProgramFacts } from "../../src/ebpf/program-inspector.ts";
import { RpmDatabase, readHeader } from "../../src/ebpf/rpm-database.ts";

const SEED = Number(Bun.env["KESTREL_SEED"] ?? 20_260_714);
const folder = mkdtempSync(join(tmpdir(), "kestrel-packages-"));
afterAll(() => rmSync(folder, { recursive: true }));
const SECRET = 42n;
const MINUTE = 60e9;

function programAt(path: string): ProgramFacts {
  const { dev, ino, size, ctimeNs } = statSync(path, { bigint: true });
  const file = { pid: 1, ppid: 0, path: "/elsewhere", device: kernelDevice(dev), inode: ino, sizeBytes: Number(size), changeNs: ctimeNs };
  return { state: "known", sha256: "", elf: undefined, isUncertain: false, file, ownPath: "", askedPath: "" };
}

describe("index", () => {
  test("says what a map says", () => {
    const lists = fc.array(fc.array(fc.string({ maxLength: 6 }), { maxLength: 30 }), { maxLength: 20 });
    fc.assert(
      fc.property(lists, fc.array(fc.string({ maxLength: 6 })), (packages, others) => {
        const index = new PackageIndex(false, SECRET);
        const owners = new Map<string, string>();
        for (const [number, paths] of packages.entries()) {
          expect(index.begin(`p${number}`)).toBe(true);
          for (const path of paths) {
            if (owners.has(path)) continue;
            index.add(path);
            owners.set(path, `p${number}`);
          }
        }
        for (const path of [...owners.keys(), ...others]) expect(index.ownerOf(path)).toBe(owners.get(path) as string);
      }),
      { seed: SEED, numRuns: 200 },
    );
  });

  test("old names of merged folders are the new ones, where they were merged", () => {
    for (const isMerged of [true, false]) {
      const index = new PackageIndex(isMerged, SECRET);
      index.begin("coreutils");
      index.add("/bin/cat");
      index.add("/usr/lib64/x.so");
      const owner = isMerged ? "coreutils" : undefined;
      expect([index.ownerOf("/usr/bin/cat"), index.ownerOf("/lib64/x.so")]).toEqual([owner, owner] as never);
      expect([index.ownerOf("/bin/cat"), index.ownerOf("/bin"), index.ownerOf("/srv/bin/cat")]).toEqual([
        "coreutils",
        undefined,
        undefined,
      ]);
    }
  });

  test("too many packages are refused, an empty index owns nothing", () => {
    const index = new PackageIndex(true, SECRET);
    expect(index.ownerOf("/x")).toBeUndefined();
    for (let number = 0; number < PACKAGES_MAX; number++) index.begin(`p${number}`);
    expect(index.begin("more")).toBe(false);
    index.add("/x");
    expect(index.ownerOf("/x")).toBe(`p${PACKAGES_MAX - 1}`);
  });
});

describe("dpkg", () => {
  const info = join(folder, "dpkg/info");
  mkdirSync(info, { recursive: true });
  const tool = join(folder, "tool");
  writeFileSync(tool, "x");
  writeFileSync(join(info, "libc6:amd64.list"), "/.\n/lib/libc.so\n");
  writeFileSync(join(info, "dash.list"), "/bin/sh\n/usr/bin/dash");
  writeFileSync(join(info, "bash.list"), "/bin/sh\n");
  writeFileSync(join(info, "bash.postinst"), "/not/a/list\n");
  writeFileSync(join(folder, "dpkg/diversions"), "/bin/sh\n/bin/sh.distrib\ndash\n");

  test("lists, names with an architecture, diversions", async () => {
    const index = new PackageIndex(true, SECRET);
    expect(await readDpkg(join(folder, "dpkg"), index)).toBe(true);
    const owners = ["/usr/lib/libc.so", "/usr/bin/sh", "/usr/bin/dash", "/usr/bin/sh.distrib", "/not/a/list", "/."].map((path) =>
      index.ownerOf(path),
    );
    expect(owners).toEqual(["libc6", "dash", "dash", "bash", undefined, "libc6"] as never);
    expect(await readDpkg(join(folder, "none"), new PackageIndex(true, SECRET))).toBe(false);
  });

  test("a file counts by the path at which it stands here; a changed database is read again, once a minute", async () => {
    const packages = new Packages(SECRET, new ProgramReader({ clock: new SystemClock() }), { dpkg: join(folder, "dpkg"), rpm: [] });
    const program = programAt(tool);
    expect(packages.ownerOf(tool, program, 0)).toBeUndefined();
    await packages.refresh();
    await until(() => packages.ownerOf(tool, program, 1) !== undefined);
    expect(packages.ownerOf(tool, program, 1)).toBe("");
    writeFileSync(join(info, "tool.list"), `${tool}\n`);
    expect(packages.ownerOf(tool, program, MINUTE - 1)).toBe("");
    packages.ownerOf(tool, program, MINUTE);
    await until(() => packages.ownerOf(tool, program, MINUTE) !== "");
    expect(packages.ownerOf(tool, program, MINUTE)).toBe("tool");
    const other = join(folder, "other-name");
    linkSync(tool, other);
    const linked = programAt(tool);
    await until(() => packages.ownerOf(other, linked, MINUTE) !== undefined);
    expect(packages.ownerOf(other, linked, MINUTE)).toBe("");
    // What a process in another root calls by that path is another file.
    appendFileSync(tool, "y");
    expect(packages.ownerOf(tool, { ...programAt(other), file: linked.file }, MINUTE)).toBeUndefined();
    packages.close();
  });

  const dpkg = Bun.which("dpkg-query");
  if (dpkg === null) console.log("skipped: this machine's own packages (no dpkg)");
  test.skipIf(dpkg === null)("of this machine: as dpkg says", async () => {
    const index = new PackageIndex(true, SECRET);
    await readDpkg("/var/lib/dpkg", index);
    expect(index.size).toBeGreaterThan(1000);
    const names = readdirSync("/usr/bin").filter((_name, number) => number % 40 === 0);
    for (const name of names) {
      const said = Bun.spawnSync(["dpkg-query", "-S", `/usr/bin/${name}`, `/bin/${name}`]).stdout.toString();
      const owner = said
        .split("\n")
        .find((line) => line.endsWith(`bin/${name}`) && !line.startsWith("diversion "))
        ?.split(/[:,]/)[0];
      expect([name, index.ownerOf(`/usr/bin/${name}`)]).toEqual([name, owner]);
    }
  });
});

/** Waits for what the event loop brings, not for time. */
async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setImmediate(resolve));
}

describe("rpm", () => {
  const isThere = Bun.which("rpmbuild") !== null && Bun.which("rpm") !== null;
  if (!isThere) console.log("skipped: a database that rpm made (no rpm, rpmbuild)");

  test.skipIf(!isThere)("a package that was installed owns its files, nothing else", () => {
    const [root, database] = [join(folder, "rpmbuild"), join(folder, "rpmdb")];
    mkdirSync(root);
    mkdirSync(database);
    const spec = [
      ...["Name: kestrel-sample", "Version: 1", "Release: 1", "Summary: s", "License: x", "BuildArch: noarch", "%description", "d"],
      ...["%install", "mkdir -p %{buildroot}/usr/bin %{buildroot}/opt/a %{buildroot}/opt/b"],
      ...["for f in usr/bin/sample opt/a/tool opt/b/tool; do echo $f > %{buildroot}/$f; done"],
      ...["%files", "/usr/bin/sample", "/opt/a/tool", "/opt/b/tool", ""],
    ];
    writeFileSync(join(root, "sample.spec"), spec.join("\n"));
    const run = (...command: readonly string[]): void => {
      const done = Bun.spawnSync([...command], { stderr: "pipe" });
      if (done.exitCode !== 0) throw new Error(done.stderr.toString());
    };
    run("rpmbuild", "-bb", "--define", `_topdir ${root}`, "--define", "_build_id_links none", join(root, "sample.spec"));
    const file = join(root, "RPMS/noarch/kestrel-sample-1-1.noarch.rpm");
    run("rpm", "--dbpath", database, "--define", "_db_backend sqlite", "-i", "--justdb", "--nodeps", "--ignorearch", "--ignoreos", file);
    expect(existsSync(join(database, "rpmdb.sqlite"))).toBe(true);
    const rpm = RpmDatabase.open([join(folder, "none"), join(database, "rpmdb.sqlite")]);
    const owners = ["/usr/bin/sample", "/bin/sample", "/opt/a/tool", "/opt/b/tool", "/opt/c/tool", "/sample", "/"].map((path) =>
      rpm?.ownerOf(path),
    );
    const name = "kestrel-sample";
    expect(owners).toEqual([name, name, name, name, undefined, undefined, undefined] as never);
    rpm?.close();
    rpm?.close();
  });

  test("what is no database is none, and a header may hold anything", () => {
    const path = join(folder, "broken.sqlite");
    writeFileSync(path, readFileSync(process.execPath).subarray(0, 4096));
    expect(RpmDatabase.open([path])?.ownerOf("/bin/x")).toBeUndefined();
    expect(RpmDatabase.open([join(folder, "none")])).toBeUndefined();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer(), (bytes, number) => {
        expect(() => readHeader(bytes, number)).not.toThrow();
      }),
      { seed: SEED, numRuns: 2000 },
    );
  });
});
