// The switch of isolation over a kernel that only notes what it is told: what is kept, said, and refused.
import { expect, test } from "bun:test";
import { type AgentNotice, KestrelError, MockClock } from "#core";
import type { IsolationPolicy, IsolationState } from "#respond";
import { IsolationSwitch } from "../../src/cli/isolation-switch.ts";
import { IsolationWatch } from "../../src/cli/isolation-watch.ts";

const REQUEST = { allow: ["10.0.0.0/8"], clients: [], whenAgentStops: "keep", cutCaller: false } as const;

interface World {
  readonly policies: IsolationPolicy[];
  readonly notices: AgentNotice[];
  readonly logged: string[];
  readonly clock: MockClock;
  setting: string | undefined;
  on: boolean;
  isFound: boolean;
  failWith: Error | undefined;
  storeFailsWith: Error | undefined;
  make(api?: { readonly host: string; readonly port: number }): IsolationSwitch;
}

function world(setting?: string): World {
  const made: World = {
    policies: [],
    notices: [],
    logged: [],
    clock: new MockClock(1_780_000_000_000_000_000n),
    setting,
    on: false,
    isFound: false,
    failWith: undefined,
    storeFailsWith: undefined,
    make(api = { host: "127.0.0.1", port: 8490 }) {
      const made = new IsolationSwitch({
        isolation: kernel,
        store: {
          setting: () => this.setting,
          setSetting: (_key, value) => {
            if (this.storeFailsWith !== undefined) throw this.storeFailsWith;
            this.setting = value;
          },
        },
        raise: (notice) => void this.notices.push(notice),
        clock: this.clock,
        log: { write: (level, message) => void this.logged.push(`${level} ${message}`) },
      });
      made.resume(api);
      return made;
    },
  };
  const kernel = {
    apply: (policy: IsolationPolicy): void => {
      if (made.failWith !== undefined) throw made.failWith;
      made.clock.advance(3);
      made.policies.push(policy);
      made.on = true;
    },
    lift: (): boolean => {
      const was = made.on;
      made.on = false;
      return was;
    },
    byHand: () => "rm -r /sys/fs/bpf/kestrel/isolation-1",
    close: (): void => {},
    state: (): IsolationState => ({
      on: made.on,
      cgroup: "/sys/fs/cgroup",
      isWholeMachine: true,
      pinnedAt: made.on ? "/sys/fs/bpf/kestrel/isolation-1" : undefined,
      isFound: made.isFound,
      egress: { packets: made.on ? 7 : 0, bytes: 0 },
      ingress: { packets: 0, bytes: 0 },
    }),
  };
  return made;
}

test("on, kept over a restart, off: each an alert that says who asked and how long it took", () => {
  const here = world();
  const first = here.make();
  expect(first.status()).toMatchObject({ state: "off", liftByHand: undefined });
  first.isolate(REQUEST, "127.0.0.1");
  expect(first.status()).toMatchObject({ state: "on", allow: REQUEST.allow, askedBy: "127.0.0.1", reason: "", scope: "machine" });
  expect(here.notices[0]).toMatchObject({
    ruleId: "kestrel.self.isolation",
    severity: "high",
    message: "The machine was isolated from the network, asked for by 127.0.0.1; allowed: 10.0.0.0/8",
    captures: { "client.ip": "127.0.0.1", "kestrel.isolation.latency_ns": 3_000_000n },
  });
  const next = here.make();
  expect(here.policies).toEqual(Array.from({ length: 2 }, () => ({ allow: [{ network: "10.0.0.0/8" }], whenAgentStops: "keep" })));
  expect(next.status()).toMatchObject({ state: "on", sinceNs: 1_780_000_000_000_000_000n });
  expect(here.logged.join()).toContain("isolated from the network, as asked before");
  next.lift("10.0.0.9");
  expect([next.status().state, here.setting]).toEqual(["off", undefined]);
  expect(here.notices[1]).toMatchObject({
    message: "The machine's isolation from the network was lifted, asked for by 10.0.0.9",
    captures: { "kestrel.isolation.packets_dropped": 7 },
  });
  next.lift("10.0.0.9");
  expect(here.notices.length).toBe(2);
});

test("a client of the API is let in to its port alone, where it listens by now", () => {
  const here = world();
  here.make({ host: "0.0.0.0", port: 9000 }).isolate({ ...REQUEST, clients: ["192.0.2.7"] }, "192.0.2.7");
  here.make({ host: "0.0.0.0", port: 9001 });
  expect(here.policies.map(({ allow }) => allow[1])).toEqual([9000, 9001].map((ownPort) => ({ network: "192.0.2.7/32", ownPort })));
});

for (const [name, request, caller, code] of [
  ["the caller would be cut off", REQUEST, "192.0.2.7", "would-cut-caller"],
  ["only a port of the caller's is allowed", { ...REQUEST, allow: ["192.0.2.7:443"] }, "192.0.2.7", "would-cut-caller"],
  ["a network cannot be read", { ...REQUEST, allow: ["db.example"] }, "127.0.0.1", "bad-network"],
  ["a client has a port", { ...REQUEST, clients: ["192.0.2.7:1"] }, "192.0.2.7", "bad-network"],
] as const) {
  test(`refused: ${name}`, () => {
    const here = world();
    const made = here.make({ host: "0.0.0.0", port: 9000 });
    expect(() => made.isolate(request, caller)).toThrow(expect.objectContaining({ code }));
    expect([here.policies, here.notices, here.setting]).toEqual([[], [], undefined]);
  });
}

test("clients of an API that only this machine can reach are refused", () => {
  const here = world();
  expect(() => here.make().isolate({ ...REQUEST, clients: ["192.0.2.7"] }, "127.0.0.1")).toThrow(
    expect.objectContaining({ code: "no-remote-clients" }),
  );
});

test("who says that it is meant may cut itself off; who is allowed, or on this machine, needs not", () => {
  const here = world();
  const made = here.make({ host: "::", port: 9000 });
  made.isolate({ ...REQUEST, cutCaller: true }, "192.0.2.7");
  for (const caller of ["::ffff:10.1.2.3", "::1", "127.0.0.5", ""]) made.isolate(REQUEST, caller);
  expect(here.policies.length).toBe(5);
});

test("what the kernel refuses leaves all as it was", () => {
  const here = world();
  const made = here.make();
  here.failWith = new KestrelError("cannot-isolate", "no");
  expect(() => made.isolate(REQUEST, "127.0.0.1")).toThrow("no");
  expect([made.status().state, here.notices.length, here.setting]).toEqual(["off", 0, undefined]);
});

test("what cannot be written down is in force all the same, and said", () => {
  const here = world();
  const made = here.make();
  here.storeFailsWith = new Error("disk full");
  made.isolate(REQUEST, "127.0.0.1");
  expect(made.status()).toMatchObject({ state: "on", reason: "It is not written down, so a restart of the machine ends it: disk full" });
  expect(here.notices.length).toBe(1);
});

test("one that cannot be put in force again after a restart is a critical alert", () => {
  const here = world();
  here.make().isolate(REQUEST, "127.0.0.1");
  here.on = false;
  here.failWith = new Error("EPERM");
  const next = here.make();
  expect(next.status()).toMatchObject({ state: "failed", reason: "EPERM" });
  expect(here.notices[1]).toMatchObject({ severity: "critical", message: expect.stringContaining("EPERM") });
});

test("one that was detached is said to have failed, one without a record to have been found", () => {
  const here = world();
  const made = here.make();
  const watch = new IsolationWatch(made);
  expect(watch.look()).toEqual([]);
  made.isolate(REQUEST, "127.0.0.1");
  expect(watch.look()).toEqual([]);
  here.on = false;
  expect(made.status()).toMatchObject({ state: "failed", reason: "Somebody detached its programs" });
  expect(watch.look()).toEqual([
    {
      subject: "isolation",
      message: "The machine is not isolated from the network, though it was asked for: Somebody detached its programs",
    },
  ]);
  const other = world();
  other.on = other.isFound = true;
  expect(other.make().status()).toMatchObject({ state: "on", reason: expect.stringContaining("An earlier agent left it") });
  expect(other.logged.join()).toContain("isolated by an earlier agent");
});

for (const text of [
  "",
  "{}",
  "[]",
  '{"allow":[1],"clients":[],"sinceNs":"1","askedBy":""}',
  '{"allow":[],"clients":[],"sinceNs":"x","askedBy":""}',
]) {
  test(`a setting that is no wish of ours: ${text}`, () => {
    const here = world(text);
    expect(here.make().status().state).toBe("off");
    expect(here.policies).toEqual([]);
  });
}

test("figures for metrics", () => {
  const here = world();
  const made = here.make();
  made.isolate(REQUEST, "127.0.0.1");
  const values = made
    .metrics()
    .flatMap(({ name, samples }) => samples.map(({ labels, value }) => `${name} ${JSON.stringify(labels)} ${value}`));
  expect(values).toEqual([
    "kestrel_isolated {} 1",
    'kestrel_isolation_dropped_packets_total {"direction":"egress"} 7',
    'kestrel_isolation_dropped_packets_total {"direction":"ingress"} 0',
  ]);
});
