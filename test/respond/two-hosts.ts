// Two hosts on one wire, made of network namespaces: `near`, whose sockets belong to a control group made for the test, and `far`.
import { mkdirSync, readFileSync, rmdirSync } from "node:fs";
import { join } from "node:path";
import { cgroupRoot } from "#core";
import type { PeerCommand } from "./net-peer.ts";

const SCRIPT = join(import.meta.dir, "net-peer.ts");
export const NEAR = { ip4: "10.77.0.1", ip6: "fd77::1" };
export const FAR = { ip4: "10.77.0.2", ip6: "fd77::2", other: "10.78.0.2" };

/** One host. */
export class Host {
  readonly #child;
  readonly #said: { readonly id: string; readonly said: string }[] = [];
  readonly #waiting: (() => void)[] = [];
  port = 0;

  /** Its process is in the control group from the start: a socket belongs to the group its process was in when it was made. */
  constructor(cgroup?: string) {
    const join = cgroup === undefined ? "" : `echo $$ >"${cgroup}/cgroup.procs" && `;
    this.#child = Bun.spawn(["sh", "-c", `${join}exec unshare -n "$@"`, "sh", process.execPath, SCRIPT], {
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    });
    void this.#listen();
  }

  get pid(): number {
    return this.#child.pid;
  }

  tell(command: PeerCommand): void {
    this.#child.stdin.write(`${JSON.stringify(command)}\n`);
    this.#child.stdin.flush();
  }

  /** Waits until the host said this. */
  async heard(id: string, said?: string): Promise<string> {
    for (;;) {
      const found = this.#said.findIndex((each) => each.id === id && (said === undefined || each.said === said));
      if (found >= 0) return this.#said.splice(found, 1)[0]?.said ?? "";
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  /** Whether it said this by now. */
  hasHeard(id: string, said: string): boolean {
    return this.#said.some((each) => each.id === id && each.said === said);
  }

  run(...command: string[]): void {
    const { success, stderr } = Bun.spawnSync(["nsenter", "-t", String(this.pid), "-n", ...command]);
    if (!success) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
  }

  async end(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#child.exited;
  }

  async #listen(): Promise<void> {
    let rest = "";
    const decoder = new TextDecoder();
    for await (const chunk of this.#child.stdout) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      this.#said.push(...lines.map((line) => JSON.parse(line)));
      for (const wake of this.#waiting.splice(0)) wake();
    }
  }
}

/** Why no such hosts can be made here; `undefined`: they can. */
export function whyNoHosts(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root";
  if (cgroupRoot(readFileSync("/proc/self/mounts", "utf8")) === undefined) return "cgroup v2 is not mounted";
  if (["ip", "unshare", "nsenter"].some((tool) => Bun.which(tool) === null)) return "needs ip, unshare and nsenter";
  const { success, stderr } = Bun.spawnSync(["unshare", "-n", "ip", "link", "add", "type", "veth"]);
  return success ? undefined : `no veth: ${stderr.toString().trim()}`;
}

/** The two hosts, wired; the control group is named for this process. */
export async function makeHosts(): Promise<{ near: Host; far: Host; cgroup: string; end: () => Promise<void> }> {
  const cgroup = join(cgroupRoot(readFileSync("/proc/self/mounts", "utf8")) ?? "", `kestrel-isolation-${process.pid}`);
  mkdirSync(cgroup);
  const [near, far] = [new Host(cgroup), new Host()];
  for (const host of [near, far]) host.port = Number(await host.heard("port"));
  near.run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", String(far.pid));
  for (const [host, { ip4, ip6 }] of [
    [near, NEAR],
    [far, FAR],
  ] as const) {
    for (const link of ["lo", "wire"]) host.run("ip", "link", "set", link, "up");
    host.run("ip", "address", "add", `${ip4}/24`, "dev", "wire");
    host.run("ip", "address", "add", `${ip6}/64`, "dev", "wire", "nodad");
  }
  far.run("ip", "address", "add", `${FAR.other}/32`, "dev", "lo");
  near.run("ip", "route", "add", "default", "via", FAR.ip4);
  const end = async (): Promise<void> => {
    await Promise.all([near.end(), far.end()]);
    rmdirSync(cgroup);
  };
  return { near, far, cgroup, end };
}
