// kestrel run holds programs until its rules have spoken, on the real kernel and a tmpfs of the test's own: denied before they begin, let through in
// monitor, and never held for long, whatever becomes of the agent.
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { appendFileSync, existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gatesRun, OwnMount } from "../respond/own-mount.ts";
import { AgentProcess, type AlertJson, sensorsRun } from "./agent-process.ts";
import { eventually, PROGRAM, runKestrel, TempFolder } from "./program.ts";

setDefaultTimeout(120_000);

const EPERM = /not permitted/;
/** Longer than any test: what goes on before that was not let go by the deadline. */
const NEVER_MS = "60000";

/** A mount, a folder, and an agent whose only rule is about programs of the mount. */
class Scene implements AsyncDisposable {
  readonly mount: OwnMount;
  readonly folder = new TempFolder();
  agent!: AgentProcess;

  private constructor(mount: OwnMount) {
    this.mount = mount;
  }

  static async with(
    rule: (mount: string) => string,
    flags: (mount: string) => readonly string[] = () => [],
    mount: OwnMount = new OwnMount(),
  ): Promise<Scene> {
    const scene = new Scene(mount);
    const { path } = scene.mount;
    try {
      await scene.folder.write("rule.yaml", rule(path));
      scene.agent = await AgentProcess.start(join(scene.folder.path, "data"), [
        ...["--rules", join(scene.folder.path, "rule.yaml"), "--gate-mount", path],
        ...flags(path),
      ]);
    } catch (error) {
      await scene[Symbol.asyncDispose]();
      throw error;
    }
    return scene;
  }

  /** Runs a command through a shell; its exit code and what it complained of. */
  async run(command: string): Promise<{ readonly code: number; readonly stderr: string }> {
    const child = Bun.spawn(["/bin/sh", "-c", `${command}; exit $?`], { stdout: "ignore", stderr: "pipe" });
    return { stderr: await new Response(child.stderr).text(), code: await child.exited };
  }

  alerts(outcome: string): readonly AlertJson[] {
    return this.agent.printed.filter(({ response }) => response?.outcome === outcome);
  }

  async alert(outcome: string): Promise<AlertJson> {
    return eventually(
      () => `an alert that says ${outcome}: ${JSON.stringify(this.agent.printed.map(({ response }) => response))} ${this.agent.stderr}`,
      () => this.alerts(outcome)[0],
    );
  }

  /** A figure of the gate. */
  async figure(name: string): Promise<number> {
    const text = await (await this.agent.fetch("/metrics")).text();
    return Number(new RegExp(`^kestrel_gate_${name.replace(/[{}"]/g, "\\$&")} (.*)$`, "m").exec(text)?.[1] ?? Number.NaN);
  }

  reaches(name: string, least: number): Promise<true> {
    return eventually(
      () => `${name} of at least ${least}: ${this.agent.stderr}`,
      async () => (await this.figure(name)) >= least || undefined,
    );
  }

  /** Files held, whatever became of them. */
  async held(): Promise<number> {
    const results = ["cached", "exempt", "allowed", "denied", "unasked"];
    return (await Promise.all(results.map((result) => this.figure(`programs_total{result="${result}"}`)))).reduce((a, b) => a + b);
  }

  keeper(): number | undefined {
    return keeperOf(this.agent.child.pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.agent?.[Symbol.asyncDispose]();
    this.mount[Symbol.dispose]();
    this.folder[Symbol.dispose]();
  }
}

function keeperOf(agent: number): number | undefined {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .find((pid) => {
      try {
        return (
          readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ")[1] === String(agent) &&
          readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("\0gatekeeper")
        );
      } catch {
        return false;
      }
    });
}

function isRunning(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) !== "";
  } catch {
    return false;
  }
}

async function becomes(condition: () => boolean, what: string): Promise<void> {
  await eventually(
    () => what,
    () => condition() || undefined,
  );
}

function denyRule(condition: string, mode = "enforce"): string {
  // Whoever the parent is: no program in the kernel can ask for it, so that these rules are for the gate and nothing behind it.
  const query = `process where event.type == "start" and ${condition} and process.parent.name : "*"`;
  return `id: my.deny\naction: deny\nmode: ${mode}\nquery: '${query}'\n`;
}

const evilIn = (mount: string): string => denyRule(`process.executable == "${mount}/evil"`);

describe.skipIf(!sensorsRun() || !gatesRun())("kestrel run holds programs", () => {
  test("a thread that calls itself like a line of its status is still who it is", async () => {
    await using scene = await Scene.with((mount) => denyRule(`process.executable == "${mount}/evil" and user.id != "0"`));
    const evil = scene.mount.program("evil", "/bin/true");
    for (const name of ["sh", "\\rTgid:1", "\\rUid:0 0"]) {
      const command = `printf '${name}' >/proc/$$/comm && exec ${evil}`;
      const child = Bun.spawn(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/bin/sh", "-c", command], {
        stderr: "ignore",
      });
      expect({ name, code: await child.exited }).toEqual({ name, code: 126 });
    }
  });

  test("a denied program never begins, the alert says so; another runs; both deny again after the file is renamed into place", async () => {
    await using scene = await Scene.with(evilIn);
    const { mount } = scene;
    const mark = join(scene.folder.path, "mark");
    const evil = mount.program("evil", "/bin/touch");
    const good = mount.program("good", "/bin/touch");
    expect(await scene.run(`${evil} ${mark}`)).toEqual({ code: 126, stderr: expect.stringMatching(EPERM) });
    expect(existsSync(mark)).toBe(false);
    expect(await scene.run(`${good} ${mark}`)).toEqual({ code: 0, stderr: "" });
    expect(existsSync(mark)).toBe(true);
    const { response, events, message } = await scene.alert("done");
    expect(response).toMatchObject({ mode: "enforce", means: "fanotify", process_count: 1 });
    expect(message).toContain(evil);
    expect(events[0]).toMatchObject({
      event: { action: "exec", outcome: "failure" },
      process: { executable: evil, name: "evil", parent: { name: "dash", parent: { pid: process.pid } } },
      kestrel: { sensor: "fanotify" },
    });
    expect(events[0]?.process).not.toHaveProperty("args");
    expect((await scene.run(`mv ${good} ${evil} && ${evil} ${mark}`)).code).toBe(126);
    expect(await scene.agent.stop()).toBe(0);
    expect(scene.alerts("done").length).toBe(2);
  });

  test("monitor lets it run and says would; switched to enforce it is denied", async () => {
    await using scene = await Scene.with((mount) => denyRule(`process.executable == "${mount}/evil"`, "monitor"));
    const evil = scene.mount.program("evil");
    expect((await scene.run(evil)).code).toBe(0);
    const would = await scene.alert("would");
    expect(would.response).toMatchObject({ mode: "monitor", means: "fanotify", process_count: 1 });
    // It ran: the alert is of its start, with its arguments.
    expect(would.events[0]?.process?.command_line).toBe(evil);
    const change = { method: "PATCH", headers: { "content-type": "application/json" }, body: '{"mode":"enforce"}' };
    expect((await scene.agent.fetch("/v1/rules/my.deny", change)).status).toBe(200);
    expect((await scene.run(evil)).code).toBe(126);
    expect((await scene.alert("done")).response).toMatchObject({ mode: "enforce" });
  });

  test("a rule decides by who runs it: the user, the parent, the folder", async () => {
    await using scene = await Scene.with((mount) =>
      denyRule(`process.name == "tool" and process.parent.name == "launcher" and process.working_directory == "${mount}"`),
    );
    const tool = scene.mount.program("tool");
    const launcher = scene.mount.program("launcher", "/bin/sh");
    const launch = `${launcher} -c "${tool}; true"; exit $?`;
    expect((await scene.run(tool)).code).toBe(0);
    expect((await scene.run(`${launcher} -c "${tool}; exit \\$?"`)).code).toBe(0);
    expect((await scene.run(`cd ${scene.mount.path} && ${launch.replace("true", "exit \\$?")}`)).code).toBe(126);
    expect((await scene.alert("done")).events[0]).toMatchObject({ process: { name: "tool", parent: { name: "launcher" } } });
  });

  test("a script is its interpreter with the script named; the loader of a program is no program", async () => {
    await using scene = await Scene.with(
      (mount) =>
        `${denyRule(`process.executable == "${mount}/shell" and process.Ext.script : "${mount}/bad*"`)}---\n${denyRule(`process.executable == "${mount}/ld"`).replace("my.deny", "my.loader")}`,
    );
    const { mount } = scene;
    const shell = mount.program("shell", "/bin/sh");
    for (const name of ["bad", "good"]) writeFileSync(join(mount.path, name), `#! ${shell} -e\nexit 7\n`, { mode: 0o755 });
    writeFileSync(join(mount.path, "bad-by-another"), `#!${mount.path}/good\n`, { mode: 0o755 });
    expect((await scene.run(join(mount.path, "good"))).code).toBe(7);
    expect((await scene.run(`${shell} -c 'exit 8'`)).code).toBe(8);
    expect((await scene.run(`${shell} ${mount.path}/bad`)).code).toBe(7);
    expect((await scene.run(join(mount.path, "bad"))).code).toBe(126);
    expect((await scene.alert("done")).events[0]).toMatchObject({ process: { Ext: { script: join(mount.path, "bad") } } });
    expect((await scene.run(join(mount.path, "bad-by-another"))).code).toBe(126);
    const loader = loaderOf("/bin/true");
    const own = join(mount.path, "ld");
    if (own.length > loader.length) {
      console.log(`skipped: the loader of a program (${own} is longer than ${loader})`);
      return;
    }
    mount.program("ld", loader);
    const patched = mount.program("patched");
    writeFileSync(patched, Buffer.from(readFileSync(patched, "latin1").replace(loader, own.padEnd(loader.length, "\0")), "latin1"));
    expect((await scene.run(patched)).code).toBe(0);
    expect((await scene.run(`${own} /bin/true`)).code).toBe(126);
  });

  test("the agent's own file is held like any other: it is an interpreter for whoever starts it", async () => {
    using mount = new OwnMount("size=400m");
    using folder = new TempFolder();
    const own = mount.program("own", PROGRAM[0]);
    await folder.write("rule.yaml", denyRule(`process.executable == "${own}"`));
    await folder.write("script.js", 'console.log("ran")');
    // Starts the copy in place of the program.
    const through = ["/bin/sh", "-c", 'own=$0; shift; exec "$own" "$@"', own];
    const args = ["--rules", join(folder.path, "rule.yaml"), "--gate-mount", mount.path];
    await using agent = await AgentProcess.start(join(folder.path, "data"), args, through);
    const script = join(folder.path, "script.js");
    const child = Bun.spawn(["/bin/sh", "-c", `BUN_BE_BUN=1 ${own} ${script}; exit $?`], { stdout: "pipe", stderr: "pipe" });
    expect([await new Response(child.stdout).text(), await child.exited]).toEqual(["", 126]);
    await eventually(
      () => `the alert: ${agent.stderr}`,
      () => agent.printed.find(({ response }) => response?.outcome === "done"),
    );
    expect(await agent.stop()).toBe(0);
  });

  test("a program whose path is too long to be told is judged by who runs it", async () => {
    await using scene = await Scene.with(() => denyRule('user.id == "0"'));
    const mark = join(scene.folder.path, "mark");
    const script = `chdir shift; my $d = "d" x 250; for (1 .. 18) { mkdir $d; chdir $d } system "cp", "/bin/touch", "deep"; exec "./deep", @ARGV; exit($!{EPERM} ? 126 : 1)`;
    const child = Bun.spawn(["perl", "-e", script, scene.mount.path, mark], { stdout: "ignore", stderr: "inherit" });
    expect([await child.exited, existsSync(mark)]).toEqual([126, false]);
    expect((await scene.alert("done")).response?.means).toBe("fanotify");
    expect(await scene.figure('programs_total{result="unasked"}')).toBe(0);
  });

  test("a mount is known however its path is written; where none is, the gate says that it holds nothing", async () => {
    using mount = new OwnMount();
    using folder = new TempFolder();
    const rule = await folder.write("rule.yaml", evilIn(mount.path));
    const gateOn = async (path: string): Promise<unknown> => {
      await using agent = await AgentProcess.start(join(folder.path, "data"), ["--rules", rule, "--gate-mount", path]);
      const { sensors } = (await (await agent.fetch("/v1/status")).json()) as { sensors: readonly { readonly name: string }[] };
      return sensors.find(({ name }) => name === "gate");
    };
    expect(await gateOn(`${mount.path}/.//`)).toMatchObject({ state: "on", attachment: `fanotify on ${mount.path}` });
    expect(await gateOn(rule)).toMatchObject({ state: "off", attachment: "", reason: expect.stringContaining("none of the mounts") });
  });

  test("a file that concerns no rule is asked about once, until it changes", async () => {
    await using scene = await Scene.with(evilIn);
    const good = scene.mount.program("good");
    let runs = 0;
    // A file that has just been written is not remembered: until it is old enough every run asks.
    while ((await scene.figure('programs_total{result="cached"}')) < 1) {
      expect((await scene.run(good)).code).toBe(0);
      runs++;
    }
    const settled = (): Promise<true> =>
      eventually(
        () => `${runs} held files`,
        async () => (await scene.held()) >= runs || undefined,
      );
    await settled();
    const asked = await scene.figure("asked_total");
    expect((await scene.run(good)).code).toBe(0);
    runs++;
    await settled();
    expect(await scene.figure("asked_total")).toBe(asked);
    appendFileSync(good, "x");
    expect((await scene.run(good)).code).toBe(0);
    runs++;
    await settled();
    expect(await scene.figure("asked_total")).toBe(asked + 1);
    // The same file under another name is another file.
    expect((await scene.run(`mv ${good} ${scene.mount.path}/evil && ${scene.mount.path}/evil`)).code).toBe(126);
  });

  test("a stopped agent holds nobody for longer than the deadline, and decides again when it goes on", async () => {
    await using scene = await Scene.with(evilIn, () => ["--gate-deadline", "300"]);
    const evil = scene.mount.program("evil");
    expect((await scene.run(evil)).code).toBe(126);
    scene.agent.child.kill("SIGSTOP");
    expect((await scene.run(evil)).code).toBe(0);
    expect((await scene.run(evil)).code).toBe(0);
    scene.agent.child.kill("SIGCONT");
    expect((await scene.alert("failed")).response).toMatchObject({ mode: "enforce", means: "none", process_count: 0 });
    await scene.reaches("late_total", 1);
    expect((await scene.run(evil)).code).toBe(126);
    expect(scene.agent.stderr).not.toContain("lost");
  });

  test("fail closed: a stopped agent lets only protected programs run", async () => {
    await using scene = await Scene.with(evilIn, (mount) => [
      "--gate-deadline",
      "300",
      "--gate-fail",
      "closed",
      "--protect",
      `${mount}/needed`,
    ]);
    const [good, needed] = [scene.mount.program("good"), scene.mount.program("needed")];
    scene.agent.child.kill("SIGSTOP");
    expect((await scene.run(good)).code).toBe(126);
    expect((await scene.run(needed)).code).toBe(0);
    expect((await scene.run(good)).code).toBe(126);
    scene.agent.child.kill("SIGCONT");
    await scene.reaches("denied_undecided_total", 1);
    expect((await scene.run(good)).code).toBe(0);
  });

  for (const [fail, code, isBusy] of [
    ["open", 0, false],
    ["closed", 126, false],
    ["closed", 126, true],
  ] as const) {
    const when = isBusy ? "waits to be told of" : "waits";
    test(`an agent that is killed while a program ${when}: it ${code === 0 ? "runs" : "is denied"} at once when the gate fails ${fail}`, async () => {
      await using scene = await Scene.with(evilIn, () => ["--gate-deadline", NEVER_MS, "--gate-fail", fail]);
      const evil = scene.mount.program("evil");
      const keeper = scene.keeper() ?? 0;
      scene.agent.child.kill("SIGSTOP");
      // Whatever fails: a gatekeeper that stays stopped would hold the agent's output open, and the mount.
      using resumed = new DisposableStack();
      if (isBusy) {
        process.kill(keeper, "SIGSTOP");
        resumed.defer(() => process.kill(keeper, "SIGCONT"));
      }
      const waiting = Bun.spawn(["/bin/sh", "-c", `exec ${evil}`], { stderr: "ignore" });
      await becomes(() => /fanotify/.test(stackOf(waiting.pid)), "a program that waits at the gate");
      expect(waiting.exitCode).toBeNull();
      scene.agent.child.kill("SIGKILL");
      await scene.agent.child.exited;
      resumed.dispose();
      expect(await waiting.exited).toBe(code);
      await becomes(() => !isRunning(keeper), "the end of the gatekeeper");
      expect((await scene.run(evil)).code).toBe(0);
    });
  }

  test("a gatekeeper that is killed lets go, and another takes its place", async () => {
    await using scene = await Scene.with(evilIn);
    const evil = scene.mount.program("evil");
    const first = scene.keeper() ?? 0;
    process.kill(first, "SIGKILL");
    await becomes(() => scene.agent.stderr.includes("gatekeeper was lost"), "the loss in the log");
    await becomes(() => ![undefined, first].includes(scene.keeper()), "another gatekeeper");
    for (let tries = 0; (await scene.run(evil)).code !== 126; tries++) expect(tries).toBeLessThan(1000);
    await scene.reaches("restarts_total", 1);
  });

  test("a gatekeeper that is stopped is killed, which lets go, and another takes its place", async () => {
    await using scene = await Scene.with(evilIn);
    const evil = scene.mount.program("evil");
    const first = scene.keeper() ?? 0;
    process.kill(first, "SIGSTOP");
    expect((await scene.run(evil)).code).toBe(0);
    await becomes(() => ![undefined, first].includes(scene.keeper()), "another gatekeeper");
    await scene.reaches("restarts_total", 1);
    expect(scene.agent.stderr).toContain("SIGKILL");
  });

  test("a protected program is never denied", async () => {
    await using scene = await Scene.with(evilIn, (mount) => ["--protect", `${mount}/evil`]);
    const evil = scene.mount.program("evil");
    expect((await scene.run(evil)).code).toBe(0);
    expect((await scene.alert("refused")).response).toMatchObject({ means: "none", process_count: 0 });
  });

  test("a program of the system is denied to users and not to root, also where nobody decides", async () => {
    const rule = (mount: string): string => denyRule(`process.executable == "${mount}/sshd"`);
    const flags = (): readonly string[] => ["--gate-deadline", "300", "--gate-fail", "closed"];
    await using scene = await Scene.with(rule, flags, new OwnMount("suid", "/usr/local/lib"));
    const program = scene.mount.program("sshd");
    const asNobody = `setpriv --reuid=65534 --regid=65534 --clear-groups /bin/sh -c 'exec ${program}'`;
    for (const state of ["decided", "stopped"]) {
      if (state === "stopped") scene.agent.child.kill("SIGSTOP");
      expect({ state, root: (await scene.run(program)).code }).toEqual({ state, root: 0 });
      expect({ state, nobody: (await scene.run(asNobody)).code }).toEqual({ state, nobody: 126 });
    }
    scene.agent.child.kill("SIGCONT");
  });

  test("no gatekeeper without a rule that needs it; it comes and goes with the rule", async () => {
    await using scene = await Scene.with(() => 'id: my.none\nquery: process where process.name == "nobody"\n');
    expect(scene.keeper()).toBeUndefined();
    const text = evilIn(scene.mount.path);
    const put = await scene.agent.fetch("/v1/rules/my.deny", {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ format: "yaml", text }),
    });
    expect(put.ok).toBe(true);
    const keeper = scene.keeper() ?? 0;
    expect(keeper).toBeGreaterThan(0);
    const status = (await (await scene.agent.fetch("/v1/status")).json()) as { readonly sensors: readonly { readonly name: string }[] };
    expect(status.sensors.find(({ name }) => name === "gate")).toMatchObject({
      state: "on",
      attachment: `fanotify on ${scene.mount.path}`,
    });
    const evil = scene.mount.program("evil");
    expect((await scene.run(evil)).code).toBe(126);
    expect((await scene.agent.fetch("/v1/rules/my.deny", { method: "DELETE" })).ok).toBe(true);
    expect((await scene.run(evil)).code).toBe(0);
    expect(isRunning(keeper)).toBe(false);
  });
});

test("the gatekeeper by hand: whose part it is, and that nobody speaks to it", async () => {
  const named = await runKestrel(["gatekeeper", "x"]);
  expect([named.code, named.stderr]).toEqual([2, expect.stringContaining('"gatekeeper" is a part of "kestrel run"')]);
  const alone = await runKestrel(["gatekeeper"], { stdin: "no message\n" });
  expect([alone.code, alone.stderr]).toEqual([3, expect.stringContaining("No agent told the gatekeeper what to do")]);
});

test("flags of the gate that make no sense say so", async () => {
  for (const [flags, message] of [
    [["--gate-fail", "shut"], 'Flag "--gate-fail" needs open or closed, not "shut"'],
    [["--gate-deadline", "5"], 'Flag "--gate-deadline" needs a whole number from 10 to 60000, not "5"'],
    [["--gate-mount", "none", "--gate-mount", "/"], '"--gate-mount none" and "--gate-mount PATH" contradict each other'],
    [["--gate-mount", "tmp"], 'Flag "--gate-mount" needs the path of a mount, or none, not "tmp"'],
  ] as const) {
    using folder = new TempFolder();
    const { code, stderr } = await runKestrel(["run", "--data", folder.path, ...flags]);
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)]);
  }
});

function stackOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stack`, "utf8");
  } catch {
    return "";
  }
}

function loaderOf(program: string): string {
  return /\0(\/[^\0]*ld-[^\0]*)\0/.exec(readFileSync(program, "latin1"))?.[1] ?? "";
}
