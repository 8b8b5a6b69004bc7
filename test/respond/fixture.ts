// For tests of responses: processes that do not exist, real ones that do nothing, and a responder over either.
import { readFileSync } from "node:fs";
import { type AlertResponse, createLog, MockClock, type ResponseRequest } from "#core";
import { type Lineage, LinuxProcesses, LiveResponder, type LiveResponderOptions, Protection, protectedPrograms } from "#respond";
import type { HostProcess, Processes, ProcessHandle } from "../../src/respond/processes.ts";
import type { Runner } from "../../src/respond/protected-programs.ts";

/** One process that does not exist. */
export interface FakeProcess {
  readonly pid: number;
  readonly ppid: number;
  readonly start?: number;
  readonly name?: string;
  readonly executable?: string;
  /** Root, unless said. */
  readonly runner?: Runner;
  readonly isKernel?: boolean;
  readonly isEnded?: boolean;
}

/** The entity id a fake process has. */
export function fakeEntity(pid: number, start: number = pid): string {
  return `${pid}@${start}`;
}

/** Processes in memory, and what was done to them. */
export class FakeProcesses implements Processes {
  readonly list: FakeProcess[];
  readonly sent: string[] = [];
  /** Runs after a handle is opened: for what happens in between. */
  afterOpen: (pid: number) => void = () => {};
  /** Runs after a signal is sent. */
  afterSignal: (pid: number, signal: number) => void = () => {};
  handleCount = 0;

  constructor(list: readonly FakeProcess[]) {
    this.list = [...list];
  }

  open(pid: number): ProcessHandle {
    if (!this.list.some((process) => process.pid === pid)) throw Object.assign(new Error("gone"), { code: "ESRCH" });
    this.handleCount++;
    const fd = this.list.find((process) => process.pid === pid)?.start ?? pid;
    this.afterOpen(pid);
    return { pid, fd };
  }

  signal(handle: ProcessHandle, signal: number): void {
    this.sent.push(`${signal === 9 ? "kill" : "stop"} ${fakeEntity(handle.pid, handle.fd)}`);
    this.afterSignal(handle.pid, signal);
  }

  close(): void {
    this.handleCount--;
  }

  look(pid: number): HostProcess | undefined {
    const process = this.list.find((each) => each.pid === pid);
    if (process === undefined) return undefined;
    const { ppid, start = pid, name = "x", isKernel = false, isEnded = false } = process;
    return { pid, ppid, entityId: fakeEntity(pid, start), startTick: start, name, isKernel, isEnded };
  }

  all(): readonly HostProcess[] {
    return this.list.map(({ pid }) => this.look(pid) as HostProcess);
  }

  executable(pid: number): string {
    return this.list.find((process) => process.pid === pid)?.executable ?? "/home/x";
  }

  runner(pid: number): Runner | undefined {
    const process = this.list.find((each) => each.pid === pid);
    return process && (process.runner ?? { real: 0, saved: 0 });
  }

  cgroup(): string | undefined {
    return "/";
  }

  /** Another process takes over a number. */
  reuse(pid: number, start: number): void {
    this.list[this.list.findIndex((process) => process.pid === pid)] = { pid, ppid: 1, start };
  }
}

/** Of a path in /proc, the number of the program it leads to; files that are reached by the same path are the same. */
function inodeOf(processes: Processes, path: string): bigint {
  const pid = /^\/proc\/(\d+)\/exe$/.exec(path)?.[1];
  return BigInt(Bun.hash.crc32(pid === undefined ? path : processes.executable(Number(pid))));
}

/** A user database with some of the accounts that programs of the protect list have. */
export const PASSWD = `root:x:0:0:root:/root:/bin/sh
messagebus:x:100:102::/nonexistent:/usr/sbin/nologin
sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
systemd-resolver:x:1002:1002::/home/x:/bin/sh
systemd-resolve:x::997:no number:/:/usr/sbin/nologin
systemd-network:x:998:998:systemd Network Management:/:/usr/sbin/nologin
systemd-network:x:1003:1003:again:/:/usr/sbin/nologin
dbus-x:x:1004:1004::/home/x:/bin/sh`;

const NO_LINEAGE: Lineage = { descendants: () => [] };

/** A responder with its clock and what it logged. */
export function responderOver(
  processes: Processes,
  options: Partial<LiveResponderOptions> & { readonly protect?: readonly string[] } = {},
): { readonly responder: LiveResponder; readonly clock: MockClock; readonly logged: string[] } {
  const clock = new MockClock(1_000_000_000n);
  const logged: string[] = [];
  const ownPid = options.ownPid ?? 500;
  const responder = new LiveResponder({
    processes,
    protection: new Protection({
      processes,
      programs: protectedPrograms(options.protect ?? [], PASSWD),
      ownPid,
      ...(processes instanceof FakeProcesses && {
        fileFacts: (path) => ({ device: 1n, inode: inodeOf(processes, path), uid: 0, isShared: false }),
      }),
    }),
    lineage: NO_LINEAGE,
    gate: undefined,
    clock,
    log: createLog("debug", (line) => logged.push(line)),
    ownPid,
    cgroupRoot: undefined,
    modeOf: (_id, own) => own,
    ...options,
  });
  return { responder, clock, logged };
}

/** A request about a process that exists or does not. */
export function request(pid: number, entityId: string, changes: Partial<ResponseRequest> = {}): ResponseRequest {
  return { ruleId: "r", action: "kill", mode: "enforce", scope: "process", pid, entityId, timeNs: 900_000_000n, ...changes };
}

/** The account without its latency. */
export function accountOf(response: AlertResponse | undefined): Omit<AlertResponse, "latencyNs"> | undefined {
  if (response === undefined) return undefined;
  const { latencyNs: _latencyNs, ...rest } = response;
  return rest;
}

/** Real processes of this machine. */
export const real: LinuxProcesses = new LinuxProcesses();

/** A shell that runs a script and tells pids on lines of its output. */
export class Shell implements AsyncDisposable {
  readonly child: Bun.Subprocess<"pipe", "pipe", "inherit">;
  readonly #lines: AsyncIterator<string>;

  constructor(script: string) {
    this.child = Bun.spawn(["/bin/sh", "-c", script], { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
    this.#lines = linesOf(this.child.stdout);
  }

  get pid(): number {
    return this.child.pid;
  }

  /** The number on its next line. */
  async number(): Promise<number> {
    return Number((await this.#lines.next()).value);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.exited;
  }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

/** The letter of its state in /proc; `""` when it has gone. */
export function stateOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
  } catch {
    return "";
  }
}

/** Whether it runs no more: gone, or a zombie whose parent has not asked. */
export function hasEnded(pid: number): boolean {
  return ["", "Z", "X"].includes(stateOf(pid));
}

/** Waits for a condition that the kernel brings about, giving way to other processes in between; fails after many looks. */
export async function becomes(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
