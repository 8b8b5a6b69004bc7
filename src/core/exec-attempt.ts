// A program that is about to run and waits to be allowed: what is known of it, who says what the rules think of it, and who makes a record of it.
// The gate in respond asks; the engine judges; the sensors' room describes.

/** Somebody wants to run a program. Ids are those the process will have: set-user-id bits are heeded. */
export interface ExecAttempt {
  /** Nanoseconds since boot at which the gate saw it. */
  readonly bootNs: bigint;
  readonly pid: number;
  readonly tid: number;
  /** The file that becomes the process's program: of a script its interpreter. */
  readonly executable: string;
  /** The script an interpreter is started for; empty when there is none. */
  readonly script: string;
  /** The file has no name any more. */
  readonly isDeleted: boolean;
  readonly uid: number;
  readonly gid: number;
  readonly euid: number;
  readonly egid: number;
}

/** What the rules think of an attempt. */
export interface ExecJudgement {
  /** Rules that want it denied, in rule order. */
  readonly matched: readonly { readonly ruleId: string; readonly mode: "monitor" | "enforce" }[];
  /** No rule can want this file denied, whoever runs it: the file need not be asked about again until it or the rules change. */
  readonly isFileClear: boolean;
}

/** Holds the rules that deny programs. */
export interface ExecJudge {
  judge(record: Uint8Array): ExecJudgement;
}

/** Makes records of attempts, with what is known of the process that makes them. */
export interface ExecWitness {
  /** The record the start of the program would have, without what only its start tells. `undefined`: the process is gone. */
  describe(attempt: ExecAttempt): { readonly record: Uint8Array; readonly entityId: string } | undefined;
  /** Puts the record of a denied attempt among the events: its start will never come. */
  report(record: Uint8Array): void;
}
