// The agent's watches over itself, each with real acts where the kernel lets us, and with tables of what is and is not news.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cgroupRoot, type Finding, type Watch } from "#core";
import { ftraceIsOff } from "#ebpf";
import { BpfObject } from "#ffi/libbpf";
import { ClockId, clockNs } from "#ffi/libc";
import { ClockWatch, FileWatch, FtraceWatch, LinkWatch, LossWatch, StallWatch, TracerWatch } from "#self";
import { stateOf } from "../respond/fixture.ts";
import type { StallLine } from "./stall.ts";
import type { TracerAnswer } from "./tracer.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "kestrel-watches-"));
afterAll(() => rmSync(folder, { recursive: true }));
const isRoot = process.getuid?.() === 0;
const SECOND = 1_000_000_000n;

function messages(watch: Watch): readonly string[] {
  return watch.look().map(({ message }) => message);
}

describe("clock", () => {
  for (const [name, passed, step, found] of [
    ["nothing", 5n * SECOND, 0n, []],
    ["a time service that slews", 5000n * SECOND, SECOND * 2n, []],
    ["half a second", 5n * SECOND, SECOND / 2n, []],
    ["forward", 5n * SECOND, 3600n * SECOND, ["The machine's clock was set forward by 3600.0 s"]],
    ["back", 5n * SECOND, -90n * SECOND, ["The machine's clock was set back by 90.0 s"]],
    ["back while the machine slept", 40_000n * SECOND, -90n * SECOND, ["The machine's clock was set back by 90.0 s"]],
  ] as const) {
    test(`${name}: ${found.length === 0 ? "no news" : "news, once"}`, () => {
      let [bootNs, offsetNs] = [1000n * SECOND, 1_780_000_000n * SECOND];
      const watch = new ClockWatch({ realtimeNs: () => bootNs + offsetNs, boottimeNs: () => bootNs });
      expect(messages(watch)).toEqual([]);
      [bootNs, offsetNs] = [bootNs + passed, offsetNs + step];
      expect(messages(watch)).toEqual([...found]);
      bootNs += 5n * SECOND;
      expect(messages(watch)).toEqual([]);
    });
  }

  test("this machine's own, left alone", () => {
    const watch = new ClockWatch({ realtimeNs: () => clockNs(ClockId.Realtime), boottimeNs: () => clockNs(ClockId.Boottime) });
    expect([messages(watch), messages(watch)]).toEqual([[], []]);
  });
});

describe("stall", () => {
  test("a late look is news beyond the bound", () => {
    let nowNs = 0n;
    const watch = new StallWatch(() => nowNs, { everyMs: 5000 });
    for (const [passed, found] of [
      [0n, []],
      [5n, []],
      [14n, []],
      [15n, ["The agent stood still for 15 s: stopped, frozen or starved"]],
      [5n, []],
    ] as const) {
      nowNs += passed * SECOND;
      expect(messages(watch)).toEqual([...found]);
    }
  });

  test("a process that was really stopped", async () => {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, "stall.ts")], { stdin: "ignore", stdout: "pipe", stderr: "inherit" });
    const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
    const heard = async (wanted: StallLine): Promise<void> => {
      for (let text = ""; !text.includes(wanted); ) text += (await reader.read()).value ?? "";
    };
    await heard("looking");
    child.kill("SIGSTOP");
    const [stopped, bound] = [clockNs(ClockId.Monotonic), SECOND];
    while (stateOf(child.pid) !== "T" || clockNs(ClockId.Monotonic) - stopped < bound) await new Promise(setImmediate);
    child.kill("SIGCONT");
    await heard("The agent stood still for 1 s");
    child.kill("SIGKILL");
    await child.exited;
  });
});

test.skipIf(!isRoot)("a debugger on a process is found, named, and gone with it", async () => {
  const target = Bun.spawn(["sleep", "300"], { stdin: "ignore" });
  const watch = new TracerWatch(`/proc/${target.pid}`);
  expect(messages(watch)).toEqual([]);
  const tracer = Bun.spawn([process.execPath, join(import.meta.dir, "tracer.ts"), String(target.pid)], { stdin: "pipe", stdout: "pipe" });
  const answer = (await tracer.stdout.pipeThrough(new TextDecoderStream()).getReader().read()).value?.trim() as TracerAnswer;
  expect(answer).toBe("traces");
  expect(messages(watch)).toEqual([expect.stringMatching(new RegExp(`^Process ${tracer.pid} \\(bun.*\\) traces the agent$`))]);
  tracer.kill("SIGKILL");
  await tracer.exited;
  expect(messages(watch)).toEqual([]);
  target.kill("SIGKILL");
  await target.exited;
});

describe("files", () => {
  const path = (name: string): string => join(folder, name);
  for (const [name, act, found] of [
    ["left alone", () => {}, undefined],
    ["written", (file) => writeFileSync(file, "other"), "changed"],
    ["of the same length", (file) => writeFileSync(file, "thing"), "changed"],
    ["touched", (file) => utimesSync(file, 1, 1), undefined],
    ["removed", (file) => rmSync(file), "removed"],
    ["replaced by the same", (file) => replace(file, "words"), undefined],
    ["replaced by another", (file) => replace(file, "drows"), "changed"],
  ] as const satisfies readonly (readonly [string, (file: string) => void, string | undefined])[]) {
    test(`one that is ${name}: ${found ?? "no news"}`, () => {
      const file = path(`rule ${name}`);
      writeFileSync(file, "words");
      const watch = new FileWatch(() => [file, path("never there")]);
      act(file);
      expect(messages(watch)).toEqual(found === undefined ? [] : [`${file} was ${found} while the agent runs`]);
      expect(messages(watch)).toEqual([]);
    });
  }

  test("one that comes later into a folder of rules, and goes", () => {
    const [first, later] = [path("first.yaml"), path("later.yaml")];
    writeFileSync(first, "words");
    const watch = new FileWatch(() => [first, later].filter((file) => existsSync(file)));
    expect(messages(watch)).toEqual([]);
    writeFileSync(later, "more");
    expect(messages(watch)).toEqual([`${later} was made while the agent runs`]);
    expect(messages(watch)).toEqual([]);
    rmSync(later);
    expect(messages(watch)).toEqual([`${later} was removed while the agent runs`]);
    expect(messages(watch)).toEqual([]);
  });

  test("a pipe among the rules is not read", () => {
    const pipe = path("pipe.yaml");
    expect(Bun.spawnSync(["mkfifo", pipe]).exitCode).toBe(0);
    const script = `const { FileWatch } = await import("#self"); console.log(new FileWatch(() => ["${pipe}", "/dev/zero"]).look().length);`;
    const looked = Bun.spawnSync([process.execPath, "-e", script], { cwd: import.meta.dir, timeout: 20_000, killSignal: "SIGKILL" });
    expect(looked.stdout.toString()).toBe("0\n");
  });

  test("a program too large to hash, changed in place and made again", () => {
    const program = path("program");
    copyFileSync(process.execPath, program);
    const watch = new FileWatch(() => [program]);
    expect(messages(watch)).toEqual([]);
    writeFileSync(openSync(program, "r+"), "#!");
    expect(messages(watch)).toEqual([`${program} was changed while the agent runs`]);
    rmSync(program);
    expect(messages(watch)).toEqual([`${program} was removed while the agent runs`]);
    writeFileSync(program, "");
    expect(messages(watch)).toEqual([`${program} was made while the agent runs`]);
  });
});

function replace(file: string, text: string): void {
  writeFileSync(`${file}-next`, text);
  renameSync(`${file}-next`, file);
}

test("losses are news when they are many and a part of all, and while they last", () => {
  let [lost, produced] = [0, 0];
  const watch = new LossWatch(
    () => ({ "ring-full": lost, malformed: 0 }),
    () => produced,
  );
  for (const [more, came, found] of [
    [5000, 10_000, []],
    [999, 1000, []],
    [1000, 200_000, []],
    [2000, 100_000, ["2000 of 100000 events were lost since the last look (ring-full)"]],
    [1000, 1000, ["1000 of 1000 events were lost since the last look (ring-full)"]],
    [0, 1000, []],
  ] as const) {
    [lost, produced] = [lost + more, produced + came];
    expect(messages(watch)).toEqual([...found]);
  }
});

test("function hooks that are switched off are news only where some are in use", () => {
  const path = join(folder, "ftrace_enabled");
  let attachments = ["raw_tp/sched_process_exec", "fexit/path_openat"];
  let fallBacks = 0;
  const watch = new FtraceWatch(
    () => ftraceIsOff(path),
    () => attachments,
    () => fallBacks++,
  );
  expect(messages(watch)).toEqual([]);
  writeFileSync(path, "1\n");
  expect(messages(watch)).toEqual([]);
  writeFileSync(path, "0\n");
  const lost = [expect.stringContaining("kernel.ftrace_enabled is 0: fexit/path_openat see nothing; what needs no such hooks stands in")];
  expect(messages(watch)).toEqual(lost);
  attachments = ["raw_tp/sched_process_exec"];
  // Once is enough; it is still so until the switch is on again.
  expect(messages(watch)).toEqual(lost);
  expect(fallBacks).toBe(1);
  writeFileSync(path, "1\n");
  expect(messages(watch)).toEqual([]);
});

describe("programs", () => {
  test("what the kernel says of a link: gone, detached, another program", () => {
    const descriptors = join(folder, "fdinfo");
    mkdirSync(descriptors);
    const says = (fd: number, link: number, program: number, group?: number): void =>
      writeFileSync(
        join(descriptors, String(fd)),
        `pos:\t0\nlink_type:\tx\nlink_id:\t${link}\nprog_tag:\tabc\nprog_id:\t${program}\n${group === undefined ? "" : `cgroup_id:\t${group}\n`}`,
      );
    says(4, 10, 100);
    says(5, 11, 101, 1);
    let programs = [4, 5].map((fd) => ({ name: `sensor ${fd}`, fd }));
    const watch = new LinkWatch(() => programs, descriptors);
    const found = (): readonly Finding["message"][] => messages(watch);
    expect(found()).toEqual([]);
    says(5, 11, 101, 0);
    expect(found()).toEqual(["sensor 5: it was detached, and sees nothing any more"]);
    says(5, 11, 101, 1);
    says(4, 10, 999);
    expect([found(), found()]).toEqual(new Array(2).fill(["sensor 4: another program was put in its place"]));
    says(4, 12, 999);
    expect(found()).toEqual([]);
    rmSync(join(descriptors, "4"));
    expect(found()).toEqual(["sensor 4: its link is gone: the agent's descriptor was closed"]);
    mkdirSync(join(descriptors, "4"));
    expect(found).toThrow("EISDIR");
    // No rule needs that sensor any more.
    programs = programs.slice(1);
    expect(found()).toEqual([]);
  });

  const root = cgroupRoot(readFileSync("/proc/self/mounts", "utf8"));
  const missing = !isRoot || root === undefined;
  if (missing) console.log("skipped: a real link that is detached (needs root and cgroup v2)");
  test.skipIf(missing)("a real link, detached behind the agent's back", () => {
    const group = join(root ?? "", `kestrel-watches-${process.pid}`);
    mkdirSync(group);
    try {
      using object = BpfObject.open("isolate", readFileSync(join(import.meta.dir, "../../build/bpf/isolate.bpf.o")));
      object.load();
      using link = object.attachCgroup("kestrel_isolate_egress", openSync(group, "r"));
      const watch = new LinkWatch(() => [{ name: "it", fd: link.fd }]);
      expect(messages(watch)).toEqual([]);
      link.detach();
      expect(messages(watch)).toEqual(["it: it was detached, and sees nothing any more"]);
    } finally {
      rmdirSync(group);
    }
  });
});
