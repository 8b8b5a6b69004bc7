// What a record is made of beside the kernel event. Data only.
import type { GroupFields } from "#schema";
import type { WholeEvent } from "./exec-joiner.ts";
import type { Actor } from "./kernel-event.ts";
import type { PolicyFacts } from "./kernel-policies.ts";
import type { Credentials, ProcessEntry, ProcessInfo } from "./process-table.ts";
import type { ProgramTexts } from "./program-texts.ts";

/** The machine, the same in every record. */
export interface HostFacts {
  readonly name: string;
  /** Machine id; empty when there is none. */
  readonly id: string;
  readonly bootId: string;
  readonly kernel: string;
  readonly architecture: string;
}

/** Everything a record is made of beside the event itself. */
export interface RecordContext {
  readonly entry: ProcessEntry;
  readonly parent: ProcessInfo | undefined;
  /** Leader of the session and of the process group, when the table knows them. */
  readonly sessionLeader: ProcessInfo | undefined;
  readonly groupLeader: ProcessInfo | undefined;
  /** Of an exec: its arguments and variables. */
  readonly texts: ProgramTexts | undefined;
  /** Ids the process had before the event, when they were known. */
  readonly previous: Credentials | undefined;
  /** The process an act was aimed at, when the table knows it. */
  readonly target: ProcessInfo | undefined;
  /** Name of the attachment that saw it. */
  readonly sensor: string;
  /** What to add to a boot time to get nanoseconds since 1970. */
  readonly wallOffsetNs: bigint;
  /** The same as it was when the source began: a process keeps one start, also when the clock is set. */
  readonly startOffsetNs: bigint;
  /** What the control group that the process was in tells, when it is known. */
  readonly group: GroupFields | undefined;
  /** What the kernel did about it, when a policy matched. */
  readonly policy: PolicyFacts | undefined;
  userName(uid: number): string | undefined;
  groupName(gid: number): string | undefined;
}

/** A program that is about to run: the process is still the one that asks, `RecordContext.entry` already names the program. */
export interface AttemptEvent {
  readonly kind: "attempt";
  readonly actor: Actor;
}

/** Events that become records of their own. */
export type ReportedEvent = AttemptEvent | WholeEvent;
