// What agent and gatekeeper tell each other, over the two pipes of the child.

import type { ProtectedProgram, Runner } from "./protected-programs.ts";
import { fileFactsOf, type RunnableFile } from "./protection.ts";

/** What becomes of a program when nobody decides in time. */
export type GateFail = "open" | "closed";

/** First message to the gatekeeper. */
export interface KeeperConfig {
  readonly agentPid: number;
  readonly fail: GateFail;
  readonly deadlineMs: number;
  /** Mounts to mark; `undefined`: every one that programs can be run from. */
  readonly mounts: readonly string[] | undefined;
  /** Programs that are never denied, see Protection. */
  readonly programs: readonly ProtectedProgram[];
}

/** From the agent. */
export type ToKeeper =
  | { readonly kind: "config"; readonly config: KeeperConfig }
  /** `keep`: do not ask about this file again. */
  | { readonly kind: "verdict"; readonly id: number; readonly allow: boolean; readonly keep: boolean }
  /** The rules have changed: what was kept counts no more. */
  | { readonly kind: "forget" }
  | { readonly kind: "ping" }
  /** The agent ends in order: allow whoever waits and end too. */
  | { readonly kind: "end" };

/** A program file as the gatekeeper's descriptor has it. */
export interface ProgramFile {
  readonly path: string;
  readonly device: string;
  readonly inode: string;
  readonly uid: number;
  readonly mode: number;
  readonly linkCount: number;
}

/** The file as {@link RunnableFile} has it. */
export function runnable(file: ProgramFile): RunnableFile {
  return { path: file.path, ...fileFactsOf({ ...file, inode: BigInt(file.inode) }) };
}

/** Who will run a program: exec makes the effective user the saved one. */
export function runnerAfter({ uid, euid }: Pick<AskMessage, "uid" | "euid">): Runner {
  return { real: uid, saved: euid };
}

/** A question about one attempt. */
export interface AskMessage {
  readonly kind: "ask";
  readonly id: number;
  readonly bootNs: string;
  readonly pid: number;
  readonly tid: number;
  readonly file: ProgramFile;
  readonly script: string;
  readonly uid: number;
  readonly gid: number;
  readonly euid: number;
  readonly egid: number;
}

/** What the gatekeeper has counted since it started. */
export interface KeeperCounts {
  /** Programs, scripts and loaders that waited here. */
  readonly events: number;
  /** Let through because the file was known to be clear. */
  readonly cached: number;
  /** Let through because there is nothing to decide: scripts (their interpreter is), loaders, the agent's own, process 1. */
  readonly exempt: number;
  /** Asked of the agent. */
  readonly asked: number;
  readonly allowed: number;
  readonly denied: number;
  /** Asked, and answered too late. */
  readonly late: number;
  /** Not asked: the agent was known not to answer, or could not be asked. */
  readonly unasked: number;
  /** Files known to be clear now. */
  readonly known: number;
  /** Time programs that were asked about waited, altogether and at most. */
  readonly waitedNs: number;
  readonly waitedMaxNs: number;
}

/** Of a gatekeeper that has just started. */
export const NO_COUNTS: KeeperCounts = {
  events: 0,
  cached: 0,
  exempt: 0,
  asked: 0,
  allowed: 0,
  denied: 0,
  late: 0,
  unasked: 0,
  known: 0,
  waitedNs: 0,
  waitedMaxNs: 0,
};

/** Marked mounts, and those that cannot be. */
export interface MarksMessage {
  readonly kind: "marks";
  readonly marked: readonly string[];
  readonly refused: readonly { readonly path: string; readonly reason: string }[];
}

/** What came of a verdict to deny, or of one that was not given in time. */
export interface DoneMessage {
  readonly kind: "done";
  readonly id: number;
  readonly allowed: boolean;
  /** The agent's verdict decided. */
  readonly inTime: boolean;
  readonly waitedNs: number;
}

/** From the gatekeeper. */
export type FromKeeper =
  | AskMessage
  | DoneMessage
  | MarksMessage
  | { readonly kind: "failed"; readonly code: string; readonly reason: string }
  | { readonly kind: "pong"; readonly counts: KeeperCounts };
