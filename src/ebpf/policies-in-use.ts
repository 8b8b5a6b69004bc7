// The policies a source has been given, before its sensors are there, while they are, and after: kept, handed to the kernel as soon as that can take
// them, asked for what they say.
import type { DenierStatus } from "./deniers.ts";
import type { PolicyNote } from "./kernel-event.ts";
import { KernelPolicies, type PolicyFacts, type PolicySet } from "./kernel-policies.ts";
import type { LoadedSensors } from "./loader.ts";

/** What the kernel does by itself. */
export interface PolicyStatus {
  readonly deniers: readonly DenierStatus[];
  readonly counts: ReturnType<KernelPolicies["counts"]> | undefined;
}

const NO_POLICIES: PolicySet = { policies: [], isEnforced: () => false, protectedFiles: [], spared: [] };

/** See the head of this file. */
export class PoliciesInUse {
  readonly #onProblem: ((problem: string) => void) | undefined;
  #kernel: KernelPolicies | undefined;
  #set: PolicySet = NO_POLICIES;
  #isNew = true;
  #lastCounts: PolicyStatus["counts"];

  /** `onProblem` is told what the kernel cannot have, a line each. */
  constructor(onProblem: ((problem: string) => void) | undefined) {
    this.#onProblem = onProblem;
  }

  /** Takes a set; it is in use after the next `apply`. */
  give(set: PolicySet): void {
    this.#set = set;
    this.#isNew = true;
  }

  /** Whether a set was given that is not in use yet. */
  get isWaiting(): boolean {
    return this.#isNew && this.#kernel !== undefined;
  }

  /** Begins with the sensors whose programs decide. */
  start(sensors: LoadedSensors): void {
    this.#kernel = new KernelPolicies(sensors);
    this.apply();
  }

  /** Puts a new set in use. To be called when what the rings held is read: it was decided by the policies before. */
  apply(): void {
    if (!this.#isNew || this.#kernel === undefined) return;
    this.#isNew = false;
    for (const problem of this.#kernel.use(this.#set)) this.#onProblem?.(problem);
  }

  /** Puts the same set in use anew, without what has ceased to deny. */
  fallBack(): void {
    this.#kernel?.fallBack();
    this.#isNew = true;
  }

  /** Takes over modes that have changed. */
  refreshModes(): void {
    this.#kernel?.setModes(this.#set.isEnforced);
  }

  /** Whether starts of programs that this rule matches are denied. */
  deniesPrograms(ruleId: string): boolean {
    return this.#kernel?.denies("exec", ruleId) === true;
  }

  /** What a note says. */
  explain(note: PolicyNote | undefined): PolicyFacts | undefined {
    return note && this.#kernel?.explain(note);
  }

  /** How acts are denied, and what was decided. */
  status(): PolicyStatus {
    return { deniers: this.#kernel?.deniers() ?? [], counts: this.#kernel?.counts() ?? this.#lastCounts };
  }

  /** Lets every act pass; what was noted can still be explained. */
  release(): void {
    this.#kernel?.close();
  }

  /** Ends with the sensors. */
  stop(): void {
    this.#lastCounts = this.#kernel?.counts();
    this.#kernel = undefined;
  }
}
