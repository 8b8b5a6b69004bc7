// Some processes held by handles that cannot come to mean another process, and the way to find all that descend from them. Invariant: nobody is
// signalled who is protected, or who is not the process that was looked at.
import type { HostProcess, Processes, ProcessHandle } from "./processes.ts";
import type { Protection } from "./protection.ts";

/** Looks at the process list before a tree that keeps growing is left as it is. */
const ROUNDS_MAX = 16;

/** Linux signal numbers, the same on x86-64 and arm64. */
export const enum Signal {
  Kill = 9,
  Stop = 19,
}

/** See the head of this file. Close it when the signals are sent. */
export class HeldTree implements Disposable {
  readonly #processes: Processes;
  readonly #protection: Protection;
  readonly #known = new Map<number, HostProcess>();
  readonly #handles: ProcessHandle[] = [];
  readonly #reached = new Set<string>();
  readonly #failures: string[] = [];
  readonly #spared: string[] = [];

  constructor(processes: Processes, protection: Protection) {
    this.#processes = processes;
    this.#protection = protection;
  }

  /** Processes that a signal reached, by entity id. */
  get reached(): ReadonlySet<string> {
    return this.#reached;
  }

  /** Why signals did not reach somebody, one sentence each. */
  get failures(): readonly string[] {
    return this.#failures;
  }

  /** Why somebody was left alone, one sentence each. */
  get spared(): readonly string[] {
    return this.#spared;
  }

  /** Takes a process in. False: it is protected, or has gone. */
  add(process: HostProcess): boolean {
    if (this.#known.has(process.pid)) return true;
    this.#known.set(process.pid, process);
    const reason = this.#protection.reason(process);
    if (reason !== undefined) {
      this.#spared.push(reason);
      return false;
    }
    try {
      // The handle first, then the look: if the number still means the process that was meant, the handle does.
      const handle = this.#processes.open(process.pid);
      this.#handles.push(handle);
      if (this.#processes.look(process.pid)?.entityId === process.entityId) return true;
      this.#processes.close(this.#handles.pop() as ProcessHandle);
    } catch (error) {
      this.#fail(process.pid, error);
    }
    return false;
  }

  /** Stops everybody and takes in their children, until there are no new ones: what is stopped cannot fork. */
  stopAndGrow(): void {
    let stopped = 0;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      for (; stopped < this.#handles.length; stopped++) this.#send(this.#handles[stopped] as ProcessHandle, Signal.Stop);
      const before = this.#known.size;
      for (const child of descendantsOf(this.#known, this.#processes.all())) this.add(child);
      if (this.#known.size === before) return;
    }
    this.#failures.push(`The tree was still growing after ${ROUNDS_MAX} looks`);
  }

  /** Sends a signal to everybody. */
  signal(signal: Signal): void {
    for (const handle of this.#handles) this.#send(handle, signal);
  }

  #send(handle: ProcessHandle, signal: Signal): void {
    try {
      this.#processes.signal(handle, signal);
      const entityId = this.#known.get(handle.pid)?.entityId;
      if (entityId !== undefined) this.#reached.add(entityId);
    } catch (error) {
      this.#fail(handle.pid, error);
    }
  }

  // A process that ended by itself is no failure.
  #fail(pid: number, error: unknown): void {
    const code = (error as { readonly code?: unknown }).code;
    if (code === "ESRCH") return;
    const message = `Process ${pid}: ${typeof code === "string" ? code : String(error)}`;
    if (!this.#failures.includes(message)) this.#failures.push(message);
  }

  [Symbol.dispose](): void {
    for (const handle of this.#handles.splice(0)) this.#processes.close(handle);
  }
}

/** Those of a list of processes that descend from the known ones and are not among them, parents first. */
export function descendantsOf(known: ReadonlyMap<number, HostProcess>, all: readonly HostProcess[]): readonly HostProcess[] {
  const children = new Map<number, HostProcess[]>();
  for (const process of all) {
    const siblings = children.get(process.ppid);
    if (siblings === undefined) children.set(process.ppid, [process]);
    else siblings.push(process);
  }
  const found = new Map<number, HostProcess>();
  const waiting = [...known.values()];
  for (let parent = waiting.pop(); parent !== undefined; parent = waiting.pop()) {
    for (const child of children.get(parent.pid) ?? []) {
      // A child older than its parent is somebody else's: the parent's number was used before.
      if (child.isEnded || known.has(child.pid) || found.has(child.pid) || child.startTick < parent.startTick) continue;
      found.set(child.pid, child);
      waiting.push(child);
    }
  }
  return [...found.values()];
}
