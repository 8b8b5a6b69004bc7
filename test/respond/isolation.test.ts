// Isolation of a control group on the real kernel: a host made of network namespaces, never this machine.
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { bpffsRoot } from "#core";
import { BpfLink } from "#ffi/libbpf";
import { HostIsolation, type IsolationPolicy, parseAllowed } from "#respond";
import { becomes } from "./fixture.ts";
import { OwnBpffs, whyNoOwnBpffs } from "./own-bpffs.ts";
import { FAR, makeHosts, NEAR, whyNoHosts } from "./two-hosts.ts";

setDefaultTimeout(60_000);

const missing = whyNoHosts() ?? whyNoOwnBpffs();
if (missing !== undefined) console.log(`skipped: network isolation (${missing})`);

/** An isolation that ends with this process, unless told otherwise. */
function policy(allow: readonly string[], whenAgentStops: IsolationPolicy["whenAgentStops"] = "lift"): IsolationPolicy {
  return { allow: allow.map(parseAllowed), whenAgentStops };
}

test("where bpffs is mounted, from the text of the mounts", () => {
  const sysfs = "sysfs /sys sysfs rw 0 0\n";
  const others = `${sysfs}bpf /o\\040ther bpf rw 0 0\nbpf /last bpf rw 0 0\n`;
  const usual = "bpf /sys/fs/bpf bpf rw 0 0\n";
  expect([sysfs, others, others + usual].map(bpffsRoot)).toEqual([undefined, "/o ther", "/sys/fs/bpf"]);
});

describe.skipIf(missing !== undefined)("isolation", () => {
  let hosts: Awaited<ReturnType<typeof makeHosts>>;
  let isolation: HostIsolation;
  let names = 0;
  let home: OwnBpffs;
  let bpffs: string;

  beforeAll(async () => {
    hosts = await makeHosts();
    home = await OwnBpffs.mount();
    bpffs = home.outside;
    isolation = new HostIsolation({ cgroup: hosts.cgroup, bpffs });
  });

  afterAll(async () => {
    isolation.lift();
    await hosts.end();
    await home[Symbol.asyncDispose]();
  });

  /** Opens a connection from one host and says something over it. */
  async function opens(host: string, port: number = hosts.far.port, from = hosts.near): Promise<string> {
    const id = `connection-${names++}`;
    from.tell({ do: "open", id, host, port });
    await from.heard(id, "open");
    await answers(id, from);
    return id;
  }

  async function answers(id: string, from = hosts.near): Promise<void> {
    const text = `word ${names++}`;
    from.tell({ do: "send", id, text });
    await from.heard(id, text);
  }

  const droppedOut = (of = isolation): number => of.state().egress.packets;
  const droppedIn = (of = isolation): number => of.state().ingress.packets;

  /** Does something whose packet must not leave, and waits for the kernel to count it. */
  async function isCut(act: () => void, count = droppedOut): Promise<void> {
    const before = count();
    act();
    await becomes(() => count() > before, "a dropped packet");
  }

  const open = (host: string, id = `cut-${names++}`): string => {
    hosts.near.tell({ do: "open", id, host, port: hosts.far.port });
    return id;
  };

  test("an open connection and new ones are cut; the machine reaches itself by every address", async () => {
    const before = [await opens(FAR.ip4), await opens(FAR.ip6)];
    const fromFar = await opens(NEAR.ip4, hosts.near.port, hosts.far);
    isolation.apply(policy([]));
    expect(isolation.state()).toMatchObject({ on: true, isWholeMachine: false, pinnedAt: undefined, isFound: false });
    for (const id of before) await isCut(() => hosts.near.tell({ do: "send", id, text: "held" }));
    await isCut(() => hosts.far.tell({ do: "send", id: fromFar, text: "held" }), droppedIn);
    for (const address of [FAR.ip4, FAR.ip6, FAR.other]) await isCut(() => open(address));
    for (const address of ["127.0.0.1", "::1", NEAR.ip4, NEAR.ip6]) await opens(address, hosts.near.port);
    expect(before.some((id) => hosts.near.hasHeard(id, "held"))).toBe(false);
    expect(isolation.state().egress.bytes).toBeGreaterThan(0);
    isolation.lift();
    expect(isolation.state().on).toBe(false);
    for (const id of before) await hosts.near.heard(id, "held");
    await hosts.far.heard(fromFar, "held");
  });

  test("what is named passes, and nothing beside it", async () => {
    for (const [allowed, passes, cut] of [
      [`${FAR.ip4}:${hosts.far.port}`, [FAR.ip4], [FAR.ip6, FAR.other]],
      [FAR.other, [FAR.other], [FAR.ip4, FAR.ip6]],
      ["10.76.0.0/14", [FAR.ip4, FAR.other], [FAR.ip6]],
      // Without the neighbours' own packets nobody would find the address.
      [`[${FAR.ip6}]:${hosts.far.port}`, [FAR.ip6], [FAR.ip4]],
      ["fd00::/8", [FAR.ip6], [FAR.ip4]],
      [`${FAR.ip4}:1`, [], [FAR.ip4]],
      [`10.77.0.0/25:${hosts.near.port}`, [], [FAR.ip4]],
    ] as const) {
      hosts.near.run("ip", "neighbour", "flush", "all");
      isolation.apply(policy([allowed]));
      for (const address of passes) await opens(address);
      for (const address of cut) await isCut(() => open(address));
    }
    isolation.lift();
  });

  test("a port of this machine's own: its clients pass, and it cannot call them", async () => {
    isolation.apply({ allow: [{ network: `${FAR.ip4}/32`, ownPort: hosts.near.port }], whenAgentStops: "lift" });
    await opens(NEAR.ip4, hosts.near.port, hosts.far);
    await isCut(() => open(FAR.ip4));
    await isCut(() => hosts.far.tell({ do: "open", id: "six", host: NEAR.ip6, port: hosts.near.port }), droppedIn);
    isolation.lift();
  });

  test("a network has what the wider ones around it have", async () => {
    isolation.apply(policy([`${FAR.ip4}:1`, `10.77.0.0/24:${hosts.far.port}`]));
    await opens(FAR.ip4);
    isolation.lift();
  });

  test("a request for an address leaves for everybody on the link, and for nobody else", async () => {
    hosts.far.tell({ do: "bind", id: "server", port: 67 });
    hosts.near.tell({ do: "bind", id: "client", port: 68 });
    hosts.near.tell({ do: "bind", id: "other", port: 0 });
    for (const [host, id] of [
      [hosts.far, "server"],
      [hosts.near, "client"],
      [hosts.near, "other"],
    ] as const)
      await host.heard(id, "bound");
    isolation.apply(policy([]));
    const send = (id: string, host: string, text: string): void => hosts.near.tell({ do: "datagram", id, host, port: 67, text });
    await isCut(() => send("client", FAR.ip4, "renew"));
    await isCut(() => send("other", "255.255.255.255", "smuggled"));
    send("client", "255.255.255.255", "discover");
    await hosts.far.heard("server", "discover");
    hosts.far.tell({ do: "datagram", id: "server", host: NEAR.ip4, port: 68, text: "offer" });
    await hosts.near.heard("client", "offer");
    expect(["renew", "smuggled"].some((text) => hosts.far.hasHeard("server", text))).toBe(false);
    isolation.lift();
  });

  test("another policy takes the place of the first without a moment in between", async () => {
    isolation.apply(policy([FAR.ip4]));
    const id = await opens(FAR.ip4);
    isolation.apply(policy([FAR.ip4, FAR.ip6]));
    await answers(id);
    await opens(FAR.ip6);
    isolation.apply(policy([FAR.ip6]));
    await isCut(() => open(FAR.ip4));
    isolation.lift();
  });

  test("a pinned one outlives its maker, is found, replaced with its counts, and lifted", async () => {
    isolation.apply(policy([], "keep"));
    const { pinnedAt } = isolation.state();
    expect(pinnedAt).toStartWith(`${bpffs}/kestrel/isolation-`);
    await isCut(() => open(FAR.ip4));
    isolation.close();
    const next = new HostIsolation({ cgroup: hosts.cgroup, bpffs });
    expect(next.state()).toMatchObject({ on: true, isFound: true, pinnedAt });
    await isCut(
      () => open(FAR.ip4),
      () => droppedOut(next),
    );
    const before = droppedOut(next);
    next.apply(policy([FAR.ip6], "keep"));
    expect(next.state()).toMatchObject({ on: true, isFound: false, pinnedAt });
    expect(droppedOut(next)).toBeGreaterThanOrEqual(before);
    await opens(FAR.ip6);
    next.close();
    const last = new HostIsolation({ cgroup: hosts.cgroup, bpffs });
    expect(last.lift()).toBe(true);
    expect(last.lift()).toBe(false);
    expect(existsSync(pinnedAt ?? "")).toBe(false);
    await opens(FAR.ip4);
  });

  test("root lifts a pinned one with the command it names", async () => {
    isolation.apply(policy([], "keep"));
    isolation.close();
    expect(Bun.spawnSync(["sh", "-c", isolation.byHand()]).success).toBe(true);
    expect(isolation.state().on).toBe(false);
    await opens(FAR.ip4);
  });

  test("one that somebody detached is not on", () => {
    isolation.apply(policy([], "keep"));
    using link = BpfLink.openPinned(join(isolation.state().pinnedAt ?? "", "egress"));
    link.detach();
    expect(isolation.state().on).toBe(false);
    isolation.lift();
  });

  test("it is refused where it cannot be kept, and nothing is in force then", () => {
    const homeless = new HostIsolation({ cgroup: hosts.cgroup, bpffs: undefined });
    expect(() => homeless.apply(policy([], "keep"))).toThrow("no bpffs is mounted");
    expect(() => new HostIsolation({ cgroup: bpffs, bpffs }).apply(policy([]))).toThrow("Cannot isolate");
    const many = Array.from({ length: 1025 }, (_, index) => `10.${index >> 8}.${index & 255}.1`);
    expect(() => isolation.apply(policy(many))).toThrow("at most 1024");
    expect([homeless, isolation].map((each) => each.state().on)).toEqual([false, false]);
  });
});
