// The hidden command that reads the files of programs: what it may do, and how it ends.
import { expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { kernelDevice } from "#ebpf";
import { PROGRAM, runKestrel } from "./program.ts";

setDefaultTimeout(60_000);

const TO_READ = "0000000000080004";

test("answers with no right but to read, in every thread; ends when nobody can ask any more", async () => {
  const child = Bun.spawn([...PROGRAM, "reader"], { stdin: "pipe", stdout: "pipe", stderr: "inherit", env: { SECRET: "x" } });
  const path = "/bin/true";
  const { dev, ino, size, ctimeNs } = statSync(path, { bigint: true });
  const file = { pid: 0, ppid: 0, path, device: kernelDevice(dev), inode: `${ino}`, sizeBytes: Number(size), changeNs: `${ctimeNs}` };
  child.stdin.write(`${JSON.stringify({ kind: "read", id: 1, file })}\n`);
  child.stdin.flush();
  const { value } = await child.stdout.getReader().read();
  const sha256 = createHash("sha256").update(readFileSync(path)).digest("hex");
  expect(JSON.parse(new TextDecoder().decode(value))).toMatchObject({ id: 1, answer: { sha256, isAtPath: true } });
  const isRoot = process.getuid?.() === 0;
  const threads = readdirSync(`/proc/${child.pid}/task`);
  expect(threads.length).toBeGreaterThan(3);
  for (const thread of threads) {
    const status = readFileSync(`/proc/${child.pid}/task/${thread}/status`, "utf8");
    const held = [...status.matchAll(/^Cap(?:Inh|Prm|Eff|Amb):\t(\w+)$/gm)].map(([, set]) => set);
    const none = "0".repeat(16);
    expect(held).toEqual([none, isRoot ? TO_READ : none, isRoot ? TO_READ : none, none]);
    expect(status).toMatch(/^NoNewPrivs:\t1\nSeccomp:\t2$/m);
  }
  expect(readFileSync(`/proc/${child.pid}/environ`, "utf8")).not.toContain("SECRET");
  for (const signal of ["SIGINT", "SIGTERM"] as const) child.kill(signal);
  expect(child.exitCode).toBeNull();
  child.stdin.end();
  expect(await child.exited).toBe(0);
});

test("a person who starts it is told what it is", async () => {
  const { code, stderr } = await runKestrel(["reader", "/bin/true"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('a part of "kestrel run"')]);
});
