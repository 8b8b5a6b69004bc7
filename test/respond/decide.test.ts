// Whom a response reaches and whom it spares, on processes in memory: every signal sent is in the table.
import { describe, expect, test } from "bun:test";
import type { AlertResponse, ResponseRequest } from "#core";
import { type GateAccount, Protection, protectedPrograms } from "#respond";
import { accountOf, type FakeProcess, FakeProcesses, fakeEntity, PASSWD, request, responderOver } from "./fixture.ts";

// 500 is the agent, started by 400 (a shell) of 300 (sshd).
const MACHINE: readonly FakeProcess[] = [
  { pid: 1, ppid: 0, executable: "/usr/lib/systemd/systemd" },
  { pid: 2, ppid: 0, isKernel: true, executable: "" },
  { pid: 300, ppid: 1, executable: "/usr/sbin/sshd" },
  { pid: 400, ppid: 300 },
  { pid: 500, ppid: 400, executable: "/opt/kestrel" },
  { pid: 510, ppid: 500, executable: "/opt/kestrel" },
  { pid: 520, ppid: 500 },
  { pid: 600, ppid: 1 },
  { pid: 610, ppid: 600 },
  { pid: 611, ppid: 610, executable: "/usr/bin/guard" },
  { pid: 612, ppid: 611 },
  { pid: 620, ppid: 600, start: 5 },
  { pid: 700, ppid: 1, isEnded: true },
];

type Row = readonly [
  name: string,
  pid: number,
  changes: Partial<ResponseRequest>,
  outcome: string,
  sent: readonly string[],
  reason: RegExp,
];

const K600 = ["stop 600@600", "stop 610@610", "stop 612@612", "kill 600@600", "kill 610@610", "kill 612@612"];
const ROWS: readonly Row[] = [
  ["kill", 610, {}, "done", ["kill 610@610"], /^$/],
  ["suspend", 610, { action: "suspend" }, "done", ["stop 610@610"], /^$/],
  // 620 is older than its parent's number: the child of somebody before. 611 is protected, its child is not.
  ["kill tree", 600, { scope: "tree" }, "done", K600, /^\/usr\/bin\/guard is on the list/],
  ["monitor", 610, { mode: "monitor" }, "would", [], /mode is monitor/],
  ["monitor tree", 600, { mode: "monitor", scope: "tree" }, "would", [], /mode is monitor/],
  ["number reused before", 610, { entityId: fakeEntity(610, 9) }, "gone", [], /Process 610 has ended/],
  ["no such process", 999, {}, "gone", [], /Process 999 has ended/],
  ["a zombie", 700, {}, "gone", [], /has ended/],
  ["pid 1", 1, {}, "refused", [], /Process 1 is never touched/],
  ["pid 1 with its tree", 1, { scope: "tree" }, "refused", [], /Process 1 is never touched/],
  ["the kernel", 2, {}, "refused", [], /belongs to the kernel/],
  ["the agent", 500, {}, "refused", [], /does not touch itself/],
  ["its gatekeeper", 510, { scope: "tree" }, "refused", [], /does not touch itself/],
  ["a child that runs something else", 520, {}, "done", ["kill 520@520"], /^$/],
  ["who started the agent", 400, { scope: "tree" }, "refused", [], /started Kestrel/],
  ["sshd above the agent", 300, {}, "refused", [], /started Kestrel/],
  ["a protected program", 611, { action: "suspend" }, "refused", [], /guard is on the list/],
  ["monitor of a protected program", 611, { mode: "monitor" }, "refused", [], /guard is on the list/],
  ["deny", 610, { action: "deny" }, "failed", [], /Nothing can deny/],
  ["an event without a process", 0, { entityId: "" }, "failed", [], /names no process/],
  ["an event without an entity id", 610, { entityId: "" }, "failed", [], /names no process/],
];

for (const [name, pid, changes, outcome, sent, reason] of ROWS) {
  test(name, () => {
    const processes = new FakeProcesses(MACHINE);
    const { responder } = responderOver(processes, { protect: ["guard"] });
    const response = responder.respond(request(pid, fakeEntity(pid), changes));
    expect(response?.outcome).toBe(outcome as never);
    expect(processes.sent).toEqual([...sent]);
    expect(response?.reason).toMatch(reason);
    expect(response?.latencyNs).toBe(100_000_000n);
    expect(processes.handleCount).toBe(0);
  });
}

describe("whose process of a listed program is protected", () => {
  const rows: readonly (readonly [name: string, executable: string, real: number, saved: number, isProtected: boolean])[] = [
    ["root's", "/usr/sbin/sshd", 0, 0, true],
    ["the child of sshd that asks who logs in", "/usr/sbin/sshd", 101, 101, true],
    ["the program that does so since", "/usr/lib/openssh/sshd-auth", 101, 101, true],
    ["a session of sshd", "/usr/lib/openssh/sshd-session", 1000, 1000, false],
    ["a session manager", "/usr/lib/systemd/systemd", 1000, 1000, false],
    ["root's, where an account runs it", "/usr/bin/dbus-daemon", 0, 0, true],
    ["its account's", "/usr/bin/dbus-daemon", 100, 100, true],
    ["root's on its way to be its account's", "/usr/bin/dbus-daemon", 100, 0, true],
    ["a user's", "/usr/bin/dbus-daemon", 1000, 1000, false],
    ["a user's with root's rights", "/usr/bin/dbus-daemon", 1000, 0, false],
    ["a user's with an account's rights", "/usr/bin/dbus-daemon", 1000, 100, false],
    ["one that root gave to a user", "/usr/bin/dbus-daemon", 0, 1000, false],
    ["another program's account's", "/usr/bin/dbus-daemon", 998, 998, false],
    ["a service's without an account", "/usr/sbin/sshd", 100, 100, false],
    ["the account's, of two of that name the first", "/usr/lib/systemd/systemd-networkd", 998, 998, true],
    ["the second's of that name", "/usr/lib/systemd/systemd-networkd", 1003, 1003, false],
    ["a user's whose name begins like an account that has no number", "/usr/lib/systemd/systemd-resolved", 1002, 1002, false],
    ["a number that stands in the wrong place", "/usr/lib/systemd/systemd-resolved", 997, 997, false],
    ["a user's whose name begins like an account that is not there", "/usr/bin/dbus-broker", 1004, 1004, false],
    ["a user's, of a name that the operator gave", "/usr/bin/guard", 1000, 1000, true],
    ["a user's, of a path that the operator gave", "/opt/guard", 1000, 1000, true],
    ["a user's, of a built-in name that the operator gave too", "/usr/sbin/agetty", 1000, 1000, true],
  ];
  for (const [name, executable, real, saved, isProtected] of rows) {
    test(name, () => {
      const processes = new FakeProcesses([{ pid: 600, ppid: 1, executable, runner: { real, saved } }]);
      const { responder } = responderOver(processes, { protect: ["guard", "/opt/guard", "agetty"] });
      expect(responder.respond(request(600, fakeEntity(600)))?.outcome).toBe(isProtected ? "refused" : "done");
      expect(processes.sent).toEqual(isProtected ? [] : ["kill 600@600"]);
    });
  }

  test("one that ends as it is looked at is not protected", () => {
    const processes = new FakeProcesses([{ pid: 600, ppid: 1, executable: "/usr/sbin/sshd" }]);
    processes.runner = () => undefined;
    expect(responderOver(processes).responder.respond(request(600, fakeEntity(600)))?.outcome).toBe("done");
  });

  test("its files, with whom they count for: of two names of one file, those of both", () => {
    const inodes: Readonly<Record<string, bigint>> = {
      "/usr/sbin/sshd": 1n,
      "/usr/sbin/init": 5n,
      "/usr/bin/dbus-daemon": 2n,
      "/usr/bin/dbus-broker": 2n,
      "/usr/lib/systemd/systemd-networkd": 3n,
      "/usr/sbin/agetty": 4n,
      "/opt/networkd": 3n,
    };
    const protection = new Protection({
      processes: new FakeProcesses([]),
      programs: protectedPrograms(["agetty", "/opt/networkd"], PASSWD),
      ownPid: 500,
      realPath: (path) => (path in inodes ? path : undefined),
      fileFacts: (path) => ({ device: 1n, inode: inodes[path] ?? 0n, uid: 0, isShared: false }),
    });
    const found = protection.files().map(({ inode, runners }) => [inode, runners] as const);
    expect(new Map(found)).toEqual(
      new Map<bigint, "anybody" | readonly number[]>([
        [1n, [101]],
        [5n, []],
        [2n, [100]],
        [3n, "anybody"],
        [4n, "anybody"],
      ]),
    );
    expect(found.length).toBe(5);
  });
});

describe("a denied program that several rungs know of", () => {
  const kernel = { matched: true, acted: true, spared: false, notStarted: false, means: "bpf_signal", latencyNs: 7n } as const;
  const gate = { mode: "enforce", reason: "", waitedNs: 9 } as const;
  const rows: readonly (readonly [
    name: string,
    gate: GateAccount | undefined,
    kernel: typeof kernel | undefined,
    is: Partial<AlertResponse>,
  ])[] = [
    ["the gate stands before the kernel", { ...gate, outcome: "done" }, kernel, { outcome: "done", means: "fanotify", latencyNs: 9n }],
    [
      "the kernel, where the gate was too late",
      { ...gate, outcome: "failed" },
      kernel,
      { outcome: "done", means: "bpf_signal", latencyNs: 7n },
    ],
    ["the kernel, where the gate was not asked", undefined, kernel, { outcome: "done", means: "bpf_signal", latencyNs: 7n }],
    ["the gate alone", { ...gate, outcome: "failed", waitedNs: undefined }, undefined, { outcome: "failed", means: "none" }],
  ];
  for (const [name, told, act, is] of rows) {
    test(name, () => {
      const { responder } = responderOver(new FakeProcesses(MACHINE), { gate: { take: () => told } });
      const asked = { action: "deny", mode: "enforce", ...(act && { kernel: act }) } as const;
      expect(responder.respond(request(610, fakeEntity(610), asked))).toMatchObject(is);
    });
  }
});

test("the whole account", () => {
  const { responder } = responderOver(new FakeProcesses(MACHINE), { protect: ["guard"] });
  const account = accountOf(responder.respond(request(600, fakeEntity(600), { scope: "tree", mode: "monitor" })));
  const asked = { action: "kill", mode: "monitor", scope: "tree", targetPid: 600 } as const;
  expect(account).toEqual({ ...asked, outcome: "would", means: "sigkill", processCount: 3, reason: "The rule's mode is monitor" });
});

test("a number that passes to another process while the handle is opened reaches nobody", () => {
  const processes = new FakeProcesses(MACHINE);
  processes.afterOpen = (pid) => processes.reuse(pid, 9999);
  const { responder } = responderOver(processes);
  expect(responder.respond(request(610, fakeEntity(610)))?.outcome).toBe("gone");
  expect(processes.sent).toEqual([]);
  expect(processes.handleCount).toBe(0);
});

test("children born while the tree is being stopped are reached", () => {
  const processes = new FakeProcesses([{ pid: 600, ppid: 1 }]);
  let born = 0;
  processes.afterSignal = (pid, signal) => {
    if (signal !== 9 && born < 3) processes.list.push({ pid: 601 + born++, ppid: pid });
  };
  const { responder } = responderOver(processes);
  expect(responder.respond(request(600, fakeEntity(600), { scope: "tree" }))?.processCount).toBe(4);
  expect(processes.sent.filter((line) => line.startsWith("kill"))).toEqual([
    "kill 600@600",
    "kill 601@601",
    "kill 602@602",
    "kill 603@603",
  ]);
});

test("descendants whose parents are gone are reached by descent, also when the root is gone", () => {
  const processes = new FakeProcesses([
    { pid: 620, ppid: 1 },
    { pid: 621, ppid: 620 },
    { pid: 622, ppid: 1, start: 7 },
  ]);
  const lineage = {
    descendants: (id: string) => (id === fakeEntity(600) ? [622, 620].map((pid) => ({ pid, entityId: fakeEntity(pid) })) : []),
  };
  const { responder } = responderOver(processes, { lineage });
  const response = responder.respond(request(600, fakeEntity(600), { scope: "tree" }));
  expect(response).toMatchObject({ outcome: "done", processCount: 2, reason: "Process 600 has ended; its descendants were reached" });
  // 622 is another process under a number that a descendant had.
  expect(processes.sent.filter((line) => line.startsWith("kill"))).toEqual(["kill 620@620", "kill 621@621"]);
});

test("a descendant the sensors tell of late is reached late, once, and said", () => {
  const processes = new FakeProcesses([{ pid: 600, ppid: 1 }]);
  const told: { pid: number; entityId: string }[] = [];
  const { responder, clock, logged } = responderOver(processes, { lineage: { descendants: () => told } });
  responder.respond(request(600, fakeEntity(600), { scope: "tree" }));
  processes.list.splice(0, 1, { pid: 650, ppid: 1 });
  clock.advance(49);
  told.push({ pid: 650, entityId: fakeEntity(650) });
  expect(processes.sent.join()).not.toContain("650");
  clock.advance(1);
  expect(processes.sent.filter((line) => line === "kill 650@650").length).toBe(1);
  clock.advance(5000);
  expect(processes.sent.filter((line) => line === "kill 650@650").length).toBe(1);
  expect([responder.lateCount, logged.length]).toEqual([1, 1]);
  expect(processes.handleCount).toBe(0);
});

test("after close nothing is done and nothing is looked at again", () => {
  const processes = new FakeProcesses(MACHINE);
  const lineage = { descendants: () => [{ pid: 610, entityId: fakeEntity(610) }] };
  const { responder, clock } = responderOver(processes, { lineage });
  responder.respond(request(620, fakeEntity(620, 5), { scope: "tree" }));
  const sent = processes.sent.length;
  responder.close();
  processes.list.push({ pid: 612, ppid: 610 });
  clock.advance(5000);
  expect(responder.respond(request(610, fakeEntity(610)))).toBeUndefined();
  expect(processes.sent.length).toBe(sent);
});

test("the mode in effect is the one that people set", () => {
  const processes = new FakeProcesses(MACHINE);
  const { responder } = responderOver(processes, { modeOf: (id, own) => (id === "r" ? "monitor" : own) });
  expect(responder.respond(request(610, fakeEntity(610)))).toMatchObject({ outcome: "would", mode: "monitor" });
  expect(processes.sent).toEqual([]);
});

test("a signal that the system refuses is a failure with its name; one that came too late is none", () => {
  for (const [code, outcome, reason] of [
    ["EPERM", "failed", /Process 610: EPERM/],
    ["ESRCH", "gone", /has ended/],
  ] as const) {
    const processes = new FakeProcesses(MACHINE);
    processes.signal = () => {
      throw Object.assign(new Error("no"), { code });
    };
    const { responder } = responderOver(processes);
    const response = responder.respond(request(610, fakeEntity(610)));
    expect(response?.outcome).toBe(outcome);
    expect(response?.reason).toMatch(reason);
    expect(processes.handleCount).toBe(0);
  }
});

test("a clock that was set back makes no negative time", () => {
  const { responder } = responderOver(new FakeProcesses(MACHINE));
  expect(responder.respond(request(610, fakeEntity(610), { timeNs: 2_000_000_000n }))?.latencyNs).toBe(0n);
});
