// kestrel run where it cannot run, or not fully: data folders it must refuse, a port in use, a full disk, no rights for BPF. It ends by itself
// with a sentence and the right code, or goes on and says what is missing.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chmodSync, chownSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { AgentProcess, sensorsRun } from "./agent-process.ts";
import { asNobody, eventually, RECORDING, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(120_000);

const folder = new TempFolder();
const isRoot = process.geteuid?.() === 0;
let folders = 0;

/** A folder of its own for one start. */
function newFolder(mode = 0o700): string {
  const path = join(folder.path, `data-${++folders}`);
  mkdirSync(path);
  chmodSync(path, mode);
  return path;
}

describe("the data folder", () => {
  for (const [name, path, message] of [
    ["that others may write into", (): string => newFolder(0o777), /others may write into it \(mode 777\); run chmod 700 on it/],
    ["that the group may write into", (): string => newFolder(0o770), /others may write into it \(mode 770\)/],
    ["that is a file", (): string => import.meta.path, /it is not a folder/],
    ["that cannot be made", (): string => "/proc/kestrel", /ENOENT/],
  ] as const) {
    test(`${name} is refused`, async () => {
      const data = path();
      const { stdout, stderr, code } = await runKestrel(["run", "--data", data, "--listen", "127.0.0.1:0"]);
      expect({ stdout, code }).toEqual({ stdout: "", code: 3 });
      expect(stderr).toStartWith(`kestrel: Cannot use the data folder "${data}": `);
      expect(stderr).toMatch(message);
      expect(stderr).toContain("choose another with --data");
    });
  }

  test.skipIf(!isRoot)("of another user is refused", async () => {
    const data = newFolder();
    chownSync(data, 65_534, 65_534);
    const { stderr, code } = await runKestrel(["run", "--data", data, "--listen", "127.0.0.1:0"]);
    expect({ code, said: /belongs to user 65534, not to 0/.test(stderr) }).toEqual({ code: 3, said: true });
  });

  test.skipIf(asNobody() === undefined)("that cannot be written is refused", async () => {
    const data = newFolder(0o500);
    chownSync(data, 65_534, 65_534);
    const { stderr, code } = await runKestrel(["run", "--data", data, "--listen", "127.0.0.1:0"], { through: asNobody() ?? [] });
    expect({ code, said: /Cannot use the data folder .*EACCES/.test(stderr) }).toEqual({ code: 3, said: true });
  });

  test("whose token others may read is refused, and stays as it is", async () => {
    const data = newFolder();
    const token = join(data, "token");
    await Bun.write(token, "0".repeat(64));
    chmodSync(token, 0o644);
    const { stderr, code } = await runKestrel(["run", "--data", data, "--listen", "127.0.0.1:0"]);
    expect(stderr).toMatch(/Cannot use the token file .*: its mode is 0644/);
    expect({ code, token: await Bun.file(token).text() }).toEqual({ code: 3, token: "0".repeat(64) });
  });
});

describe("a start that fails half-way ends by itself", () => {
  test("the port is in use", async () => {
    using taken = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") });
    const { stderr, code } = await runKestrel(["run", "--data", newFolder(), "--listen", `127.0.0.1:${taken.port}`]);
    expect(stderr).toContain(`Cannot listen on "127.0.0.1:${taken.port}": the port is in use`);
    expect(code).toBe(3);
  });

  test("the address is none", async () => {
    const { stderr, code } = await runKestrel(["run", "--data", newFolder(), "--listen", "nonsense"]);
    expect({ code, said: stderr.includes('Cannot listen on "nonsense": expected HOST:PORT') }).toEqual({ code: 2, said: true });
  });

  test("the recording cannot be made", async () => {
    const { stderr, code } = await runKestrel(["run", "--data", newFolder(), "--listen", "127.0.0.1:0", "--record", "/nonexistent/x.klog"]);
    expect({ code, said: stderr.includes('Cannot open "/nonexistent/x.klog"') }).toEqual({ code: 2, said: true });
  });
});

describe("without rules", () => {
  test("it says that nothing raises an alert, and runs", async () => {
    await using agent = await AgentProcess.start(newFolder(), ["--rules", "/nonexistent"]);
    expect(agent.stderr).toContain('Cannot read "/nonexistent"');
    expect(agent.stderr).toContain("no rule is armed");
    expect(await agent.stop()).toBe(0);
  });
});

describe("a full disk", () => {
  const disk = join(folder.path, "disk");
  mkdirSync(disk);
  const mounted =
    isRoot && Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=16k,mode=0700", "tmpfs", disk], { stderr: "ignore" }).exitCode === 0;
  if (!mounted) console.log("skipped: a full disk (cannot mount a small file system here)");
  afterAll(() => {
    if (mounted) Bun.spawnSync(["umount", disk]);
  });

  test.skipIf(!mounted)("is an error that names the file", async () => {
    const { stdout, stderr, code } = await runKestrel(["run", "--data", disk, "--listen", "127.0.0.1:0"]);
    expect({ stdout, code }).toEqual({ stdout: "", code: 3 });
    expect(stderr).toMatch(new RegExp(`kestrel: Cannot .*${disk}/kestrel\\.db.*(?:full|disk I\\/O error)`));
    expect(stderr).not.toMatch(/internal error|\n {4}at /);
  });
});

describe("without the rights for BPF", () => {
  const through = sensorsRun() || isRoot ? asNobody() : [];

  test.skipIf(through === undefined)("it says so, replays the recording, serves, and stops at SIGTERM", async () => {
    const data = newFolder();
    if (isRoot) {
      // The folder above is root's; the way to this one is open.
      chmodSync(folder.path, 0o711);
      chownSync(data, 65_534, 65_534);
    }
    await using agent = await AgentProcess.start(data, [], through ?? []);
    expect(agent.stderr).toMatch(/Run as root, or have a service start it with CAP_BPF.*never give them to the file itself/);
    expect(agent.stderr).toContain("this machine is NOT being watched; replaying the built-in recording");
    const listed = await eventually(
      () => "the recording's alerts",
      async () => {
        const alerts = await agent.listed();
        const last = alerts.some(({ rule }) => rule.id === "kestrel.security-service-left-stopped");
        return alerts.length >= 20 && last ? alerts : undefined;
      },
    );
    expect(listed.map(({ id }) => id).toSorted()).toEqual(agent.printed.map(({ id }) => id).toSorted());
    // As soon as the agent judges sequences, so that alerts come in its order. The end of the recording tells what did not come.
    const replayed = await runKestrel(["replay", RECORDING, "--json", "--reorder", "100ms"]);
    const alerts = replayed.lines.map((line) => JSON.parse(line) as { id: string; rule: { id: string } });
    expect(alerts.map(({ rule }) => rule.id)).toContain("kestrel.security-service-left-stopped");
    expect(alerts.map(({ id }) => id)).toEqual(agent.printed.map(({ id }) => id));
    expect((await fetch(`${agent.url}/`)).status).toBe(200);
    expect(agent.child.exitCode).toBeNull();
    expect(await agent.stop()).toBe(0);
  });
});

afterAll(() => folder[Symbol.dispose]());
