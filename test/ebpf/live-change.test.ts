// The change sensor on this machine's own kernel: files renamed, removed, linked and given other rights by real programs.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Fields, liveSource, refusal } from "./live.ts";

setDefaultTimeout(60_000);
if (refusal !== undefined) console.log(`skipped: the change sensor on the real kernel (${refusal})`);
const isX64 = process.arch === "x64";
if (!isX64) console.log("skipped: calls of 32-bit programs (x86 only)");

describe.skipIf(refusal !== undefined)("file changes", () => {
  const { folder, run, compile } = liveSource();

  /** Runs a program and returns its only change. */
  async function change(...command: readonly string[]): Promise<Fields> {
    const { events } = await run(command, "file");
    const changes = events.filter((fields) => fields["event.action"] !== "creation");
    expect(changes.map((fields) => fields["event.action"])).toHaveLength(1);
    return changes[0] ?? {};
  }

  function make(name: string): string {
    const path = join(folder, name);
    writeFileSync(path, "x");
    return path;
  }

  test("rename: both paths, and who did it", async () => {
    const from = make("old.txt");
    expect(await change("mv", "old.txt", "./new.sh")).toMatchObject({
      "event.category": ["file"],
      "event.type": ["change"],
      "event.action": "rename",
      "file.path": join(folder, "new.sh"),
      "file.name": "new.sh",
      "file.directory": folder,
      "file.extension": "sh",
      "file.Ext.original.path": from,
      "file.Ext.original.name": "old.txt",
      "file.Ext.original.extension": "txt",
      "process.name": "mv",
      "kestrel.sensor": "raw_tp/sys_exit",
    });
  });

  test("a call that fails is no event", async () => {
    mkdirSync(join(folder, "full/below"), { recursive: true });
    const { events } = await run(["rmdir", "--ignore-fail-on-non-empty", "full"], "file");
    expect(events).toEqual([]);
  });

  test("deletion of a file, a link and a folder", async () => {
    const path = make("gone.log");
    expect(await change("rm", path)).toMatchObject({ "event.action": "deletion", "event.type": ["deletion"], "file.path": path });
    mkdirSync(join(folder, "empty"));
    expect(await change("rmdir", "empty/")).toMatchObject({
      "event.action": "deletion",
      "file.path": join(folder, "empty"),
      "file.type": "dir",
    });
  });

  test("below a folder that is open: rm -r removes by the folder's descriptor", async () => {
    mkdirSync(join(folder, "tree/below"), { recursive: true });
    make("tree/below/leaf");
    const { events } = await run(["rm", "-r", "tree"], "file");
    expect(events.map((fields) => fields["file.path"])).toEqual([
      join(folder, "tree/below/leaf"),
      join(folder, "tree/below"),
      join(folder, "tree"),
    ]);
  });

  test("hard and symbolic links say what they lead to", async () => {
    const target = make("target");
    expect(await change("ln", "target", "hard")).toMatchObject({
      "event.action": "link",
      "event.type": ["creation"],
      "file.path": join(folder, "hard"),
      "file.target_path": target,
    });
    expect(await change("ln", "-s", "../anywhere", "soft")).toMatchObject({
      "event.action": "symlink",
      "event.type": ["creation"],
      "file.path": join(folder, "soft"),
      "file.type": "symlink",
      "file.target_path": "../anywhere",
    });
  });

  test("mode: the setuid bit is seen, by path and by descriptor", async () => {
    const path = make("tool");
    expect(await change("chmod", "4755", "tool")).toMatchObject({
      "event.action": "mode_change",
      "event.type": ["change"],
      "file.path": path,
      "file.mode": "4755",
    });
    const code = `const fs = require("node:fs"); fs.fchmodSync(fs.openSync(${JSON.stringify(path)}), 0o2711);`;
    const { events } = await run([process.execPath, "-e", code], "file");
    const { ino, size } = statSync(path);
    expect(events.find((fields) => fields["event.action"] === "mode_change")).toMatchObject({
      "file.path": path,
      "file.mode": "2711",
      "file.inode": String(ino),
      "file.size": BigInt(size),
    });
  });

  const isRoot = process.getuid?.() === 0;
  if (!isRoot) console.log("skipped: another owner (only root can give files away)");
  test.skipIf(!isRoot)("owner and group, as far as they change", async () => {
    const path = make("owned");
    chmodSync(path, 0o644);
    const fields = await change("chown", "65534", "owned");
    expect(fields).toMatchObject({ "event.action": "owner_change", "file.path": path, "file.uid": "65534" });
    expect(fields["file.gid"]).toBeUndefined();
  });

  test("what is made without being opened: folders and pipes", async () => {
    const make = (...command: readonly string[]) => run(command, "file").then(({ events }) => events);
    expect(await make("mkdir", "-m", "750", "made")).toMatchObject([
      {
        "event.action": "creation",
        "event.type": ["creation"],
        "file.path": join(folder, "made"),
        "file.type": "dir",
        "file.mode": "0750",
      },
    ]);
    expect(await make("mkfifo", "pipe")).toMatchObject([
      { "event.action": "creation", "file.path": join(folder, "pipe"), "file.type": "fifo" },
    ]);
  });

  test.skipIf(!isRoot)("extended attributes: a capability given and taken, by path", async () => {
    const path = make("capable");
    expect(await change("setcap", "cap_net_raw+ep", path)).toMatchObject({
      "event.action": "attribute_change",
      "event.type": ["change"],
      "file.path": path,
      "file.Ext.attribute.name": "security.capability",
      "process.name": "setcap",
    });
    expect(await change("setcap", "-r", path)).toMatchObject({
      "event.action": "attribute_removal",
      "file.path": path,
      "file.Ext.attribute.name": "security.capability",
    });
  });

  test("truncate, which opens nothing; of ftruncate the open is told, once", async () => {
    const path = make("cut");
    const words = { "event.action": "modification", "event.category": ["file"], "event.type": ["change"], "file.type": "file" };
    expect(await change("perl", "-e", 'truncate("./cut", 0) or die $!')).toMatchObject({ ...words, "file.path": path });
    expect(await change("perl", "-e", 'open(my $file, "+<", "cut"); truncate($file, 0) or die $!')).toMatchObject({
      ...words,
      "file.path": path,
    });
  });

  test.skipIf(!isX64)("a 32-bit call and an absolute path with superfluous parts", async () => {
    const from = make("thirty-two");
    const program = compile(
      "rename32",
      `static long call(long nr, const char *a, const char *b) { long r; __asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b) : "memory"); return r; }
       void _start(void) { call(38, "${from}", "${folder}//./x/../thirty-three"); call(15, "thirty-three", (const char *)04711); call(1, 0, 0); }`,
      "-m32",
    );
    mkdirSync(join(folder, "x"));
    const { events } = await run([program], "file");
    expect(events).toMatchObject([
      { "event.action": "rename", "file.path": join(folder, "thirty-three"), "file.Ext.original.path": from },
      { "event.action": "mode_change", "file.path": join(folder, "thirty-three"), "file.mode": "4711" },
    ]);
  });

  test.skipIf(!isX64)("the numbers of 32-bit calls made by 64-bit code are other calls", async () => {
    // 38 is rename to 32-bit code and setitimer here; both arguments null: it succeeds or fails, but no file changes.
    const program = compile(
      "setitimer",
      `static long call(long nr, long a, long b) { long r; __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(0) : "rcx", "r11", "memory"); return r; }
       void _start(void) { static long zero[4]; call(38, 0, (long)zero); call(60, 0, 0); }`,
    );
    const { events } = await run([program], "file");
    expect(events).toEqual([]);
  });
});
