// What the kernel decides and does by itself: the policies of the armed rules in its maps, the programs that deny, and what the notes on records say.
// Invariants: a rule whose policy has no room or no program is left to the later rungs; a note is read with the policies it was made by.
import { messageOf } from "#core";
import { NativeError } from "#ffi/handle";
import { possibleCpus } from "#ffi/libbpf";
import { NativeBuffer } from "#ffi/memory";
import { POLICY_ACTS, type PolicyAct, type RulePolicy } from "#schema";
import { type DenierStatus, Deniers } from "./deniers.ts";
import type { PolicyNote } from "./kernel-event.ts";
import type { LoadedSensors } from "./loader.ts";
import { type PolicyMap, PolicyMaps, type ProtectedFile, type SparedProcess } from "./policy-maps.ts";
import { buildTables, type PolicyTables } from "./policy-tables.ts";
import { Means, PolicyCount } from "./policy-wire.ts";

/** The policies to use, with whom they must not touch. */
export interface PolicySet {
  readonly policies: readonly RulePolicy[];
  /** The mode in effect. */
  readonly isEnforced: (policy: RulePolicy) => boolean;
  readonly protectedFiles: readonly ProtectedFile[];
  readonly spared: readonly SparedProcess[];
}

/** What a note says, in words. */
export interface PolicyFacts {
  /** Rules that matched in the kernel. */
  readonly matched: readonly string[];
  /** Of these, the ones that were carried out. */
  readonly acted: readonly string[];
  /** How, or how it would have been. */
  readonly means: "lsm" | "cgroup" | "bpf_signal";
  /** The act did not happen. */
  readonly denied: boolean;
  /** A protected program or process: nothing was done. */
  readonly spared: boolean;
  readonly latencyNs: number;
}

/** Counts of one kind of act. */
export interface PolicyCounts {
  readonly acted: number;
  readonly monitored: number;
  readonly spared: number;
  readonly undecided: number;
  readonly busy: number;
  readonly unreported: number;
}

const EMPTY: PolicyTables = buildTables([]);
const COUNTS = {
  acted: PolicyCount.Acted,
  monitored: PolicyCount.Monitored,
  spared: PolicyCount.Spared,
  undecided: PolicyCount.Undecided,
  busy: PolicyCount.Busy,
  unreported: PolicyCount.Unreported,
} as const;

/** See the head of this file. */
export class KernelPolicies {
  readonly #sensors: LoadedSensors;
  readonly #maps: PolicyMaps;
  readonly #deniers: Deniers;
  /** Tables of each generation. */
  readonly #tables: [PolicyTables, PolicyTables] = [EMPTY, EMPTY];

  constructor(sensors: LoadedSensors) {
    this.#sensors = sensors;
    this.#maps = new PolicyMaps((name) => this.#map(name));
    this.#deniers = new Deniers(sensors);
  }

  /** Puts a set in use. Returns what could not be: rules left to later rungs, and why, a line each. */
  use({ policies, isEnforced, protectedFiles, spared }: PolicySet): readonly string[] {
    const tables = buildTables(policies);
    const problems = tables.refused.map(({ ruleId, reason }) => `Rule "${ruleId}" is not decided in the kernel: ${reason}`);
    const left = this.#maps.protect(protectedFiles) + this.#maps.spare(spared);
    if (left > 0) problems.push(`${left} protected programs or processes have no room in the kernel`);
    const denied = POLICY_ACTS.filter((act) => tables.acts[act].owners.some(({ action }) => action === "deny"));
    this.#deniers.want(denied);
    try {
      this.#maps.write(tables, isEnforced, this.#deniers.acts);
      this.#tables[this.#maps.generation === 0 ? 0 : 1] = tables;
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      return [...problems, `The kernel keeps the policies it had: ${messageOf(error)}`];
    }
    this.#deniers.keepOnly(new Set(denied));
    return problems;
  }

  /** Lets go of what denies no more; the next set is put in use without it. */
  fallBack(): void {
    this.#deniers.fallBack();
  }

  /** Takes over changed modes. */
  setModes(isEnforced: (policy: RulePolicy) => boolean): void {
    this.#maps.setModes(this.#tables[this.#maps.generation === 0 ? 0 : 1], isEnforced);
  }

  /** Whether acts of a kind that a rule matches are denied. */
  denies(act: PolicyAct, ruleId: string): boolean {
    const { owners } = this.#tables[this.#maps.generation === 0 ? 0 : 1].acts[act];
    return this.#deniers.meansOf(act) !== undefined && owners.some((owner) => owner.ruleId === ruleId && owner.action === "deny");
  }

  /** How acts are denied. */
  deniers(): readonly DenierStatus[] {
    return this.#deniers.statuses();
  }

  /** What a note says. */
  explain(note: PolicyNote): PolicyFacts | undefined {
    const act = POLICY_ACTS[note.act];
    if (act === undefined) return undefined;
    const owners = this.#tables[note.generation === 0 ? 0 : 1].acts[act].owners;
    const rulesOf = (clauses: bigint): RulePolicy[] => owners.filter((_, bit) => (clauses & (1n << BigInt(bit))) !== 0n);
    const ids = (rules: readonly RulePolicy[]): readonly string[] => [...new Set(rules.map(({ ruleId }) => ruleId))];
    const matched = rulesOf(note.matched);
    const would = matched.some(({ action }) => action === "deny") ? this.#deniers.meansOf(act) : undefined;
    return {
      matched: ids(matched),
      acted: ids(rulesOf(note.acted)),
      means: meansOf(note.means) ?? would ?? "bpf_signal",
      denied: note.means === Means.Lsm || note.means === Means.Cgroup,
      spared: note.spared,
      latencyNs: note.latencyNs,
    };
  }

  /** What was decided so far. */
  counts(): Readonly<Record<PolicyAct, PolicyCounts>> {
    const row = new NativeBuffer(possibleCpus() * 8);
    const read = (act: number, count: number): number => {
      const key = new Uint8Array(Uint32Array.of(act * PolicyCount.Rows + count).buffer);
      if (!this.#map("policy_counters").lookup(key, row)) return 0;
      let sum = 0;
      for (let at = 0; at < row.byteLength; at += 8) sum += Number(row.u64(at));
      return sum;
    };
    const countsOf = (act: number): PolicyCounts => {
      return Object.fromEntries(Object.entries(COUNTS).map(([name, count]) => [name, read(act, count)])) as unknown as PolicyCounts;
    };
    return Object.fromEntries(POLICY_ACTS.map((act, number) => [act, countsOf(number)])) as Record<PolicyAct, PolicyCounts>;
  }

  /** Lets every act pass. Twice is fine. */
  close(): void {
    this.#deniers.close();
  }

  #map(name: PolicyMap): ReturnType<PolicyMapOf> {
    const map = this.#sensors.map(name);
    if (map === undefined) throw new NativeError("no-map", "libbpf", `No sensor has the map "${name}"`);
    return map;
  }
}

type PolicyMapOf = (name: PolicyMap) => NonNullable<ReturnType<LoadedSensors["map"]>>;

function meansOf(means: number): PolicyFacts["means"] | undefined {
  return means === Means.Lsm ? "lsm" : means === Means.Cgroup ? "cgroup" : means === Means.Signal ? "bpf_signal" : undefined;
}
