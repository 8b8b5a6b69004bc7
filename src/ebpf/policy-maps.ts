// The policies as the kernel's maps hold them. Two generations: the new one is written beside the one in use and then made it with a single store, so
// that at every moment one whole set of policies decides. Switching a mode is a store too. Invariant: what fails half-way leaves the old set in use.
import { assert } from "#core";
import type { BpfMap } from "#ffi/libbpf";
import { POLICY_ACTS, POLICY_DIMENSIONS, type PolicyAct, type RulePolicy } from "#schema";
import type { PolicyEntry, PolicyTables } from "./policy-tables.ts";
import {
  POLICY_KEY_BITS,
  POLICY_PROTECTED_MAX,
  POLICY_RUNNERS_MAX,
  POLICY_SPARED_MAX,
  PolicyDefault,
  PolicyFile,
  PolicyKey,
  PolicyRunners,
  PolicyState,
  PolicyTable,
  SPARED_HELPERS,
} from "./policy-wire.ts";

/** The maps of bpf/policy-work.h and bpf/decide.h, shared by every program that decides. */
export const POLICY_MAPS = [
  "policy_state",
  "policy_tables",
  "policy_entries",
  "policy_protected",
  "policy_spared",
  "policy_counters",
  "policy_work",
  "policy_blank",
  "policy_budget",
] as const;

/** One of {@link POLICY_MAPS}. */
export type PolicyMap = (typeof POLICY_MAPS)[number];

/** A file of a protected program: its device as the kernel writes it, major << 20 | minor. */
export interface ProtectedFile {
  readonly device: number;
  readonly inode: bigint;
  /** Whose processes of it count: everybody's, or those of root and of some users. */
  readonly runners: "anybody" | readonly number[];
}

/** A process that is never touched. */
export interface SparedProcess {
  readonly pid: number;
  /** Field 22 of /proc/PID/stat. */
  readonly startTick: number;
  /** Nor are its children that run the same program file. */
  readonly withHelpers: boolean;
}

/** See the head of this file. */
export class PolicyMaps {
  readonly #map: (name: PolicyMap) => BpfMap;
  #generation = 0;
  /** Keys of each generation's entries. */
  readonly #keys: [Uint8Array[], Uint8Array[]] = [[], []];
  readonly #rows = new Map<string, Uint8Array>();

  constructor(map: (name: PolicyMap) => BpfMap) {
    this.#map = map;
  }

  /** The generation in use. */
  get generation(): number {
    return this.#generation;
  }

  /** Puts a set of policies in use. NativeError when the kernel refuses: the old set stays. */
  write(tables: PolicyTables, isEnforced: (policy: RulePolicy) => boolean, deniers: ReadonlySet<PolicyAct>): void {
    const next = 1 - this.#generation;
    this.#clear(next);
    for (const [act, { dimensions }] of this.#acts(tables)) {
      for (const [dimension, { entries }] of dimensions) {
        for (const entry of entries)
          this.#writeEntry(keyOf(entry, next, (act << 4) | POLICY_DIMENSIONS.indexOf(dimension)), entry.clauses, next);
      }
    }
    this.#writeTables(tables, isEnforced, next);
    const state = new DataView(new ArrayBuffer(PolicyState.Size));
    state.setUint32(PolicyState.Generation, next, true);
    state.setUint32(PolicyState.Deniers, bitsOf(POLICY_ACTS.map((act) => deniers.has(act))), true);
    this.#map("policy_state").update(u32(0), new Uint8Array(state.buffer));
    this.#generation = next;
  }

  /** Takes over changed modes of the set in use. */
  setModes(tables: PolicyTables, isEnforced: (policy: RulePolicy) => boolean): void {
    this.#writeTables(tables, isEnforced, this.#generation);
  }

  /** Files of programs that are never acted on; those above a limit are left out, and their number returned. */
  protect(files: readonly ProtectedFile[]): number {
    const rows = files.slice(0, POLICY_PROTECTED_MAX).map(({ device, inode, runners }) => {
      const key = new DataView(new ArrayBuffer(PolicyFile.Size));
      key.setBigUint64(PolicyFile.Inode, inode, true);
      key.setUint32(PolicyFile.Device, device, true);
      return [new Uint8Array(key.buffer), runnersOf(runners)] as const;
    });
    this.#replace("policy_protected", rows);
    return files.length - rows.length;
  }

  /** Processes that are never acted on; those above a limit are left out, and their number returned. */
  spare(processes: readonly SparedProcess[]): number {
    const rows = processes.slice(0, POLICY_SPARED_MAX).map(({ pid, startTick, withHelpers }) => {
      return [u32(pid), u64(BigInt(startTick) | (withHelpers ? SPARED_HELPERS : 0n))] as const;
    });
    this.#replace("policy_spared", rows);
    return processes.length - rows.length;
  }

  // What is on both lists is never missing in between.
  #replace(name: "policy_protected" | "policy_spared", rows: readonly (readonly [key: Uint8Array, value: Uint8Array])[]): void {
    const map = this.#map(name);
    const wanted = new Set(rows.map(([key]) => `${name} ${key}`));
    for (const [text, key] of this.#rows) {
      if (!text.startsWith(`${name} `) || wanted.has(text)) continue;
      map.delete(key);
      this.#rows.delete(text);
    }
    for (const [key, value] of rows) {
      map.update(key, value);
      this.#rows.set(`${name} ${key}`, key);
    }
  }

  #clear(generation: number): void {
    const keys = this.#keys[generation === 0 ? 0 : 1];
    for (let key = keys.pop(); key !== undefined; key = keys.pop()) this.#map("policy_entries").delete(key);
  }

  #writeEntry(key: Uint8Array, clauses: bigint, generation: number): void {
    this.#map("policy_entries").update(key, u64(clauses));
    this.#keys[generation === 0 ? 0 : 1].push(key);
  }

  #acts(tables: PolicyTables): readonly (readonly [number, PolicyTables["acts"][PolicyAct]])[] {
    return POLICY_ACTS.map((act, number) => [number, tables.acts[act]]);
  }

  #writeTables(tables: PolicyTables, isEnforced: (policy: RulePolicy) => boolean, generation: number): void {
    for (const [act, { owners, dimensions }] of this.#acts(tables)) {
      const row = new DataView(new ArrayBuffer(PolicyTable.Size));
      row.setBigUint64(PolicyTable.Clauses, maskOf(owners.map(() => true)), true);
      row.setBigUint64(PolicyTable.Enforced, maskOf(owners.map(isEnforced)), true);
      row.setBigUint64(PolicyTable.Denying, maskOf(owners.map(({ action }) => action === "deny")), true);
      row.setUint32(PolicyTable.Dimensions, bitsOf(POLICY_DIMENSIONS.map((dimension) => dimensions.has(dimension))), true);
      for (const [dimension, { unmatched, free }] of dimensions) {
        const at = PolicyTable.Defaults + POLICY_DIMENSIONS.indexOf(dimension) * PolicyDefault.Size;
        row.setBigUint64(at + PolicyDefault.Unmatched, unmatched, true);
        row.setBigUint64(at + PolicyDefault.Free, free, true);
      }
      this.#map("policy_tables").update(u32(generation * POLICY_ACTS.length + act), new Uint8Array(row.buffer));
    }
  }
}

function keyOf({ bytes, bits }: PolicyEntry, generation: number, dimension: number): Uint8Array {
  const key = new Uint8Array(PolicyKey.Size);
  new DataView(key.buffer).setUint32(PolicyKey.Bits, POLICY_KEY_BITS + bits, true);
  key[PolicyKey.Generation] = generation;
  key[PolicyKey.Dimension] = dimension;
  key.set(bytes, PolicyKey.Value);
  return key;
}

function runnersOf(runners: ProtectedFile["runners"]): Uint8Array {
  const value = new DataView(new ArrayBuffer(PolicyRunners.Size));
  const users = runners === "anybody" ? [] : runners;
  assert(users.length <= POLICY_RUNNERS_MAX, "a protected program has too many users");
  value.setUint32(PolicyRunners.Anybody, runners === "anybody" ? 1 : 0, true);
  // Places that are left stay root, who counts anyway.
  for (const [place, uid] of users.entries()) value.setUint32(PolicyRunners.Users + place * 4, uid, true);
  return new Uint8Array(value.buffer);
}

function maskOf(bits: readonly boolean[]): bigint {
  return bits.reduce((mask, bit, index) => (bit ? mask | (1n << BigInt(index)) : mask), 0n);
}

function bitsOf(bits: readonly boolean[]): number {
  return Number(maskOf(bits));
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function u64(value: bigint): Uint8Array {
  return new Uint8Array(BigUint64Array.of(value).buffer);
}
