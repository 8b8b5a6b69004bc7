// The agent's side of the gate: answers the gatekeeper's questions with what the rules say, before the program runs. Invariants: monitor denies nobody;
// whoever is protected is let through; what goes wrong in here lets the program through; every attempt a rule wants denied has an account.
import { type Clock, type ExecJudge, type ExecWitness, type Log, messageOf, type ResponseMode } from "#core";
import { type GateAccount, GateLedger } from "./gate-ledger.ts";
import {
  type AskMessage,
  type DoneMessage,
  type FromKeeper,
  type KeeperConfig,
  type KeeperCounts,
  NO_COUNTS,
  runnable,
  runnerAfter,
} from "./gate-wire.ts";
import { WAITING_MAX } from "./gatekeeper.ts";
import { KeeperProcess } from "./keeper-process.ts";
import type { Protection } from "./protection.ts";

/** What an {@link ExecGate} is made of. */
export interface ExecGateOptions {
  /** Command that starts a gatekeeper. */
  readonly command: readonly string[];
  readonly config: KeeperConfig;
  readonly witness: ExecWitness;
  readonly protection: Protection;
  readonly clock: Clock;
  readonly log: Log;
  /** The mode in effect, which people change while the agent runs. */
  readonly modeOf: (ruleId: string, own: ResponseMode) => ResponseMode;
}

/** Whether programs are held, and where. */
export interface GateStatus {
  /** `off`: no rule needs the gate. */
  readonly state: "off" | "on" | "failed";
  readonly reason: string;
  readonly mounts: readonly string[];
}

/** What the gate has counted. */
export interface GateCounts extends KeeperCounts {
  /** Gatekeepers that were lost and replaced. */
  readonly restarts: number;
  /** Programs denied because nobody decided in time, without any rule that wants it. */
  readonly deniedUndecided: number;
}

const RESTARTS_MAX = 5;
const RESTART_MS = 1000;

/** An attempt whose denial is not confirmed yet. */
interface Denied {
  readonly record: Uint8Array;
  readonly entityId: string;
  readonly matched: readonly { readonly ruleId: string; readonly mode: ResponseMode }[];
}

/** See the head of this file. */
export class ExecGate {
  readonly #options: ExecGateOptions;
  readonly #ledger = new GateLedger();
  readonly #denied = new Map<number, Denied>();
  #judge: ExecJudge | undefined;
  #keeper: KeeperProcess | undefined;
  #status: GateStatus = { state: "off", reason: "", mounts: [] };
  #counts: KeeperCounts = NO_COUNTS;
  /** Of gatekeepers before this one. */
  #countsBefore: KeeperCounts = NO_COUNTS;
  #restarts = 0;
  #deniedUndecided = 0;
  #opened: (() => void) | undefined;
  #cancelRestart: (() => void) | undefined;

  constructor(options: ExecGateOptions) {
    this.#options = options;
  }

  get status(): GateStatus {
    return this.#status;
  }

  /** Of all gatekeepers, as of the last second. */
  get counts(): GateCounts {
    const sum = (name: keyof KeeperCounts): number => this.#countsBefore[name] + this.#counts[name];
    const names = Object.keys(NO_COUNTS) as (keyof KeeperCounts)[];
    return {
      ...(Object.fromEntries(names.map((name) => [name, sum(name)])) as unknown as KeeperCounts),
      known: this.#counts.known,
      waitedMaxNs: Math.max(this.#countsBefore.waitedMaxNs, this.#counts.waitedMaxNs),
      restarts: this.#restarts,
      deniedUndecided: this.#deniedUndecided,
    };
  }

  /** What was done about the oldest attempt of a process that this rule wanted denied; each is told once. */
  take(ruleId: string, entityId: string): GateAccount | undefined {
    return this.#ledger.take(ruleId, entityId);
  }

  /** Whom to ask from now on; `undefined`: nobody, and no program is held. Resolves when the gate stands, or is gone. */
  async use(judge: ExecJudge | undefined): Promise<void> {
    this.#judge = judge;
    if (judge === undefined) {
      await this.close();
      return;
    }
    if (this.#keeper !== undefined) this.#keeper.send({ kind: "forget" });
    else await this.#open();
  }

  /** Holds no program any more. Twice is fine. */
  async close(): Promise<void> {
    this.#judge = undefined;
    this.#cancelRestart?.();
    const keeper = this.#keeper;
    this.#keeper = undefined;
    this.#status = { state: "off", reason: "", mounts: [] };
    await keeper?.close();
  }

  #open(): Promise<void> {
    const { command, config, clock } = this.#options;
    return new Promise((resolve) => {
      this.#opened = resolve;
      try {
        const keeper: KeeperProcess = new KeeperProcess({
          command,
          config,
          clock,
          onMessage: (message) => this.#message(keeper, message),
          onEnd: (reason) => this.#end(keeper, reason),
        });
        this.#keeper = keeper;
      } catch (error) {
        const reason = `The gatekeeper could not be started: ${messageOf(error)}`;
        this.#options.log.write("error", "no program is held", { reason });
        this.#settle({ state: "failed", reason, mounts: [] });
      }
    });
  }

  #settle(status: GateStatus): void {
    this.#status = status;
    this.#opened?.();
    this.#opened = undefined;
  }

  #end(keeper: KeeperProcess, reason: string): void {
    this.#countsBefore = { ...this.counts };
    this.#counts = NO_COUNTS;
    this.#denied.clear();
    if (this.#keeper !== keeper) {
      this.#opened?.();
      return;
    }
    this.#keeper = undefined;
    const hadFailed = this.#status.state === "failed";
    if (!hadFailed) this.#settle({ state: "failed", reason: `The gatekeeper was lost: ${reason}`, mounts: [] });
    if (hadFailed || this.#judge === undefined) return;
    const isLast = this.#restarts >= RESTARTS_MAX;
    this.#options.log.write("error", "the gatekeeper was lost; no program is held", { reason, again: !isLast });
    if (isLast) return;
    this.#restarts++;
    this.#cancelRestart = this.#options.clock.after(RESTART_MS, () => {
      if (this.#judge !== undefined && this.#keeper === undefined) void this.#open();
    });
  }

  #message(keeper: KeeperProcess, message: FromKeeper): void {
    switch (message.kind) {
      case "ask":
        this.#ask(keeper, message);
        break;
      case "done":
        this.#done(message);
        break;
      case "pong":
        this.#counts = message.counts;
        break;
      case "marks":
        for (const { path, reason } of message.refused)
          this.#options.log.write("warn", "programs of a mount are not held", { path, reason });
        this.#settle(
          message.marked.length > 0
            ? { state: "on", reason: "", mounts: message.marked }
            : { state: "failed", reason: "none of the mounts that are to be held is there, or the kernel refuses them", mounts: [] },
        );
        break;
      case "failed":
        this.#settle({ state: "failed", reason: message.reason, mounts: [] });
        this.#options.log.write("error", "the kernel lets no program be held", { reason: message.reason });
        break;
    }
  }

  #ask(keeper: KeeperProcess, message: AskMessage): void {
    let verdict = { allow: true, keep: false };
    try {
      verdict = this.#decide(message);
    } catch (error) {
      this.#options.log.write("error", "a program could not be judged and runs", { path: message.file.path, reason: messageOf(error) });
    }
    keeper.send({ kind: "verdict", id: message.id, ...verdict });
  }

  #decide({ id, bootNs, pid, tid, file, script, uid, gid, euid, egid }: AskMessage): { readonly allow: boolean; readonly keep: boolean } {
    const { witness, protection, modeOf } = this.#options;
    const isDeleted = file.linkCount === 0;
    const attempt = { bootNs: BigInt(bootNs), pid, tid, executable: file.path, script, isDeleted, uid, gid, euid, egid };
    const described = witness.describe(attempt);
    const judgement = described === undefined ? undefined : this.#judge?.judge(described.record);
    if (described === undefined || judgement === undefined) return { allow: true, keep: false };
    const { record, entityId } = described;
    const matched = judgement.matched.map(({ ruleId, mode }) => ({ ruleId, mode: modeOf(ruleId, mode) }));
    if (matched.length === 0) return { allow: true, keep: judgement.isFileClear };
    const refusal = protection.reasonToRun(runnable(file), runnerAfter({ uid, euid }));
    if (refusal === undefined && matched.some(({ mode }) => mode === "enforce")) {
      if (this.#denied.size >= WAITING_MAX) this.#denied.delete(this.#denied.keys().next().value as number);
      this.#denied.set(id, { record: record.slice(), entityId, matched });
      return { allow: false, keep: false };
    }
    for (const { ruleId, mode } of matched) {
      const account = refusal === undefined ? WOULD : ({ outcome: "refused", reason: refusal } as const);
      this.#ledger.add(ruleId, entityId, { mode, ...account, waitedNs: undefined });
    }
    return { allow: true, keep: false };
  }

  #done({ id, allowed, inTime, waitedNs }: DoneMessage): void {
    const denied = this.#denied.get(id);
    this.#denied.delete(id);
    const { config, log, witness } = this.#options;
    if (denied === undefined) {
      if (allowed) return;
      this.#deniedUndecided++;
      log.write("warn", "a program was denied because no verdict came in time", { deadline_ms: config.deadlineMs });
      return;
    }
    for (const { ruleId, mode } of denied.matched) {
      const late = `The verdict came after the deadline of ${config.deadlineMs} ms`;
      const account: Pick<GateAccount, "outcome" | "reason"> =
        mode === "monitor"
          ? WOULD
          : allowed
            ? { outcome: "failed", reason: `${late}: the program runs` }
            : { outcome: "done", reason: inTime ? "" : `${late}, but the gate fails closed` };
      this.#ledger.add(ruleId, denied.entityId, { mode, ...account, waitedNs: allowed ? undefined : waitedNs });
    }
    if (!allowed) witness.report(denied.record);
  }
}

const WOULD = { outcome: "would", reason: "The rule's mode is monitor" } as const;
