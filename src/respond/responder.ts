// Carries out kill and suspend after the alert: the last rung of the ladder. Invariants: a number alone never decides whom a signal reaches;
// monitor touches nobody; whoever is protected is left alone; it never throws.
import {
  type AlertResponse,
  type Cancel,
  type Clock,
  type KernelResponse,
  type Log,
  messageOf,
  type Responder,
  type ResponseMode,
  type ResponseRequest,
} from "#core";
import { freezeOwnCgroup } from "./cgroup-freezer.ts";
import type { GateAccount } from "./gate-ledger.ts";
import { descendantsOf, HeldTree, Signal } from "./held-tree.ts";
import type { HostProcess, Processes } from "./processes.ts";
import type { Protection } from "./protection.ts";

/** What the sensors know of descent, which the kernel forgets when a parent ends. */
export interface Lineage {
  /** Living descendants, whoever their parent is by now. */
  descendants(entityId: string): readonly { readonly pid: number; readonly entityId: string }[];
}

/** What stopped acts before they happened, or would have. */
export interface Gate {
  /** What was done about the oldest attempt of a process that this rule wanted denied; each is told once. */
  take(ruleId: string, entityId: string): GateAccount | undefined;
}

/** What a {@link LiveResponder} is made of. */
export interface LiveResponderOptions {
  readonly processes: Processes;
  readonly protection: Protection;
  readonly lineage: Lineage;
  readonly clock: Clock;
  readonly log: Log;
  /** Undefined: nothing here stops an act before it happens. */
  readonly gate: Gate | undefined;
  readonly ownPid: number;
  /** Where cgroup v2 is mounted. */
  readonly cgroupRoot: string | undefined;
  /** Takes the policies of the rules that are armed, to act by them in the kernel. */
  readonly usePolicies?: NonNullable<Responder["usePolicies"]>;
  /** The mode in effect, which people change while the agent runs. */
  readonly modeOf: (ruleId: string, own: ResponseMode) => ResponseMode;
}

/** When a tree is looked at again for children whose birth the sensors had not told yet and whose parent was gone already. */
const LOOK_AGAIN_MS: readonly number[] = [50, 250, 1000];
/** Most trees that are looked at again at one time. */
const HUNTS_MAX = 256;

const NOT_STOPPED = "Nothing can deny what has happened; kestrel check says why nothing stopped it before";

type Account = Pick<AlertResponse, "outcome" | "means" | "processCount" | "reason"> & Partial<Pick<AlertResponse, "mode" | "latencyNs">>;

/** See the head of this file. */
export class LiveResponder implements Responder {
  readonly #options: LiveResponderOptions;
  readonly #timers = new Set<Cancel>();
  #closed = false;
  /** Processes reached after their tree's alert was out. */
  lateCount = 0;

  constructor(options: LiveResponderOptions) {
    this.#options = options;
  }

  /** {@inheritDoc Responder.usePolicies} */
  usePolicies(policies: Parameters<NonNullable<Responder["usePolicies"]>>[0]): void {
    if (!this.#closed) this.#options.usePolicies?.(policies);
  }

  /** {@inheritDoc Responder.respond} */
  respond(request: ResponseRequest): AlertResponse | undefined {
    if (this.#closed) return undefined;
    const { action, scope, pid, timeNs } = request;
    const mode = this.#options.modeOf(request.ruleId, request.mode);
    const { kernel } = request;
    const told = action === "deny" ? this.#options.gate?.take(request.ruleId, request.entityId) : undefined;
    // The gate stands before the kernel's other rungs; what it let pass they may still have stopped.
    const isGates = told !== undefined && !(told.outcome === "failed" && kernel?.acted === true);
    const done = isGates ? undefined : kernel && kernelAccount(kernel, mode);
    if (done !== undefined) return { action, mode, scope, ...done, targetPid: pid, latencyNs: kernel?.latencyNs ?? 0n };
    let account: Account;
    try {
      account = action === "deny" ? accountOf(told) : this.#account({ ...request, mode });
    } catch (error) {
      account = nothing("failed", messageOf(error));
    }
    const passedNs = this.#options.clock.nowNs() - timeNs;
    // A clock that was set back in between must not make a negative time.
    return { action, mode, scope, latencyNs: passedNs < 0n ? 0n : passedNs, ...account, targetPid: pid };
  }

  /** Acts no more; what waits to be looked at again is let go. Twice is fine. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
  }

  #account(request: ResponseRequest): Account {
    const { action, scope, mode, pid, entityId } = request;
    if (pid === 0 || entityId === "") return nothing("failed", "The event names no process");
    const root = this.#find(pid, entityId);
    const refusal = root === undefined ? undefined : this.#options.protection.reason(root);
    if (refusal !== undefined) return nothing("refused", refusal);
    const meant = scope === "tree" ? this.#survey(root, entityId) : root === undefined ? [] : [root];
    if (meant.length === 0) return nothing("gone", `Process ${pid} has ended`);
    if (mode === "monitor") return this.#wouldDo(request, meant);
    const account = (action === "suspend" ? this.#freeze(request, meant) : undefined) ?? this.#signalAll(request, meant);
    if (account.outcome === "done" && root === undefined && account.reason === "")
      return { ...account, reason: `Process ${pid} has ended; its descendants were reached` };
    return account;
  }

  /** The process an event was about, if it still runs. */
  #find(pid: number, entityId: string): HostProcess | undefined {
    const now = this.#options.processes.look(pid);
    return now?.entityId === entityId && !now.isEnded ? now : undefined;
  }

  #survey(root: HostProcess | undefined, entityId: string): readonly HostProcess[] {
    const seen = this.#options.lineage.descendants(entityId).flatMap((each) => this.#find(each.pid, each.entityId) ?? []);
    const known = new Map((root === undefined ? seen : [root, ...seen]).map((process) => [process.pid, process]));
    return [...known.values(), ...descendantsOf(known, this.#options.processes.all())];
  }

  #wouldDo({ action }: ResponseRequest, meant: readonly HostProcess[]): Account {
    const touchable = meant.filter((process) => this.#options.protection.reason(process) === undefined);
    const freezes = action === "suspend" && touchable.length === meant.length && "folder" in this.#freezeGroup(meant, true);
    const means = action === "kill" ? "sigkill" : freezes ? "freeze" : "sigstop";
    return { outcome: "would", means, processCount: touchable.length, reason: "The rule's mode is monitor" };
  }

  /** Undefined where the group is not the tree's own: signals have to do. */
  #freeze(request: ResponseRequest, meant: readonly HostProcess[]): Account | undefined {
    if (meant.some((process) => this.#options.protection.reason(process) !== undefined)) return undefined;
    const frozen = this.#freezeGroup(meant, false);
    if ("reason" in frozen) return undefined;
    // Somebody may have left the group before, for another one.
    if (request.scope === "tree") this.#lookAgain(request, new Set(meant.map(({ entityId }) => entityId)));
    return { outcome: "done", means: "freeze", processCount: meant.length, reason: frozen.folder };
  }

  #freezeGroup(meant: readonly HostProcess[], dryRun: boolean): ReturnType<typeof freezeOwnCgroup> {
    const { cgroupRoot, ownPid, processes } = this.#options;
    const pids = new Set(meant.map((process) => process.pid));
    // Everybody meant must be in it, or the rest would run on.
    const [path, ...others] = new Set(meant.map((process) => processes.cgroup(process.pid)));
    if (others.length > 0) return { reason: "it spreads over several control groups" };
    return freezeOwnCgroup({ root: cgroupRoot, path, ownPath: processes.cgroup(ownPid), isMeant: (pid) => pids.has(pid) }, dryRun);
  }

  #signalAll(request: ResponseRequest, meant: readonly HostProcess[]): Account {
    const { action, scope } = request;
    using held = new HeldTree(this.#options.processes, this.#options.protection);
    for (const process of meant) held.add(process);
    if (scope === "tree") held.stopAndGrow();
    held.signal(action === "kill" ? Signal.Kill : Signal.Stop);
    if (scope === "tree") this.#lookAgain(request, new Set(held.reached));
    const reason = [...held.failures, ...held.spared].join("; ");
    const processCount = held.reached.size;
    if (processCount > 0) return { outcome: "done", means: action === "kill" ? "sigkill" : "sigstop", processCount, reason };
    if (held.failures.length > 0) return nothing("failed", reason);
    return held.spared.length > 0 ? nothing("refused", reason) : nothing("gone", `Process ${request.pid} has ended`);
  }

  #lookAgain(request: ResponseRequest, reached: Set<string>): void {
    const { clock, log } = this.#options;
    if (this.#timers.size >= HUNTS_MAX) {
      log.write("warn", "too many trees at once: one is not looked at again", { rule: request.ruleId, pid: request.pid });
      return;
    }
    const next = (index: number): void => {
      const delayMs = (LOOK_AGAIN_MS[index] as number) - (LOOK_AGAIN_MS[index - 1] ?? 0);
      const cancel = clock.after(delayMs, () => {
        this.#timers.delete(cancel);
        this.#reachLate(request, reached);
        if (index + 1 < LOOK_AGAIN_MS.length) next(index + 1);
      });
      this.#timers.add(cancel);
    };
    next(0);
  }

  #reachLate(request: ResponseRequest, reached: Set<string>): void {
    const { processes, protection, log } = this.#options;
    const late = this.#survey(undefined, request.entityId).filter((process) => !reached.has(process.entityId));
    if (late.length === 0) return;
    using held = new HeldTree(processes, protection);
    for (const process of late) held.add(process);
    held.stopAndGrow();
    if (request.action === "kill") held.signal(Signal.Kill);
    for (const entityId of held.reached) reached.add(entityId);
    this.lateCount += held.reached.size;
    if (held.reached.size === 0) return;
    const pids = late.map((process) => process.pid).join(" ");
    log.write("warn", "late descendants reached", { rule: request.ruleId, action: request.action, root: request.pid, pids });
  }
}

/** What the gate did, if it was asked. */
function accountOf(told: GateAccount | undefined): Account {
  if (told === undefined) return nothing("failed", NOT_STOPPED);
  const { mode, outcome, reason, waitedNs } = told;
  const isMeant = outcome === "done" || outcome === "would";
  return {
    ...{ mode, outcome, reason, means: isMeant ? "fanotify" : "none", processCount: isMeant ? 1 : 0 },
    ...(waitedNs === undefined ? {} : { latencyNs: BigInt(Math.round(waitedNs)) }),
  };
}

/** What the kernel has done already, or leaves nothing to be done about; undefined when it is still to be done. */
function kernelAccount({ matched, acted, spared, notStarted, means }: KernelResponse, mode: ResponseMode): Account | undefined {
  if (acted) return { outcome: "done", means, processCount: 1, reason: "" };
  if (notStarted) return nothing("gone", "The program was not started: another rule denied it");
  if (matched && spared) return nothing("refused", "The program or process is protected");
  if (matched && mode === "monitor") return { outcome: "would", means, processCount: 1, reason: "The rule's mode is monitor" };
  return undefined;
}

function nothing(outcome: AlertResponse["outcome"], reason: string): Account {
  return { outcome, means: "none", processCount: 0, reason };
}
