// What an agent keeps of root's rights, and how it gives up the rest. Capabilities belong to threads, and a runtime has many before its first
// line of ours runs: so the bounding set is cut and the program executes itself, which leaves no thread with more. Invariant: what is given up
// cannot be had back by this process or its children.
import { readFileSync } from "node:fs";
import { messageOf } from "#core";
import {
  clearInheritable,
  denySystemCalls,
  dropFromBoundingSet,
  keepCapabilities,
  refuseNewPrivileges,
  setDumpable,
} from "#ffi/process-rights";
import { neededByNoReader, neverNeeded } from "./system-calls.ts";

/**
 * How much to keep. `usual`: everything a rule may ask for. `least`: without CAP_SYS_ADMIN and CAP_DAC_OVERRIDE, so no gate before programs
 * run, and no freezing of groups that belong to users. `all`: give up nothing.
 */
export type RightsKept = "usual" | "least" | "all";

/** Numbers of linux/capability.h, with what they are kept for. */
const KEPT: Readonly<Record<Exclude<RightsKept, "all">, readonly number[]>> = {
  least: [
    2, // DAC_READ_SEARCH: hashes of programs and files that root's rights by user id alone do not open
    5, // KILL: responses
    12, // NET_ADMIN: cgroup programs, also when rules change or the machine is isolated
    19, // SYS_PTRACE: /proc/PID/exe, cwd and environ of other users
    24, // SYS_RESOURCE: locked memory for maps on old kernels, standing with the out-of-memory killer
    38, // PERFMON: tracing programs, again whenever rules change
    39, // BPF
  ],
  usual: [
    1, // DAC_OVERRIDE: cgroup.freeze of groups delegated to users
    2,
    5,
    12,
    19,
    21, // SYS_ADMIN: fanotify permission events
    24,
    38,
    39,
  ],
};
const NET_BIND_SERVICE = 10;
const SETPCAP = 8;

/** Capability sets of this thread. */
interface Capabilities {
  readonly permitted: bigint;
  readonly bounding: bigint;
  readonly inheritable: bigint;
}

/** What {@link shedRights} is to do. */
export interface ShedOptions {
  readonly kept: RightsKept;
  /** A port below 1024 is to be listened on. */
  readonly lowPort: boolean;
  /** Whether this is already the second execution. */
  readonly isSecond: boolean;
  /** Executes this same program again; does not come back. */
  readonly executeAgain: () => void;
}

/** Gives up capabilities for good. Returns when there is nothing (more) to give up; what went wrong, or undefined. */
export function shedRights({ kept, lowPort, isSecond, executeAgain }: ShedOptions): string | undefined {
  const own = readCapabilities(readFileSync("/proc/thread-self/status", "utf8"));
  if (kept === "all" || own.permitted === 0n) return undefined;
  const keep = maskOf([...KEPT[kept], ...(lowPort ? [NET_BIND_SERVICE] : [])]);
  const surplus = own.permitted & ~keep;
  if (surplus === 0n) return undefined;
  if (isSecond) return `this thread still has the capabilities 0x${surplus.toString(16)}`;
  if ((own.permitted & maskOf([SETPCAP])) === 0n) return "giving up capabilities needs CAP_SETPCAP; set them in the service's own unit";
  try {
    for (let number = 0n; number < 64n; number++) {
      if (((own.bounding & ~keep) >> number) & 1n) dropFromBoundingSet(Number(number));
    }
    if (own.inheritable !== 0n) clearInheritable();
    refuseNewPrivileges();
    executeAgain();
    return "the program did not execute itself";
  } catch (error) {
    return messageOf(error);
  }
}

/** What the agent's reader of program files keeps. */
const KEPT_TO_READ: readonly number[] = [
  2, // DAC_READ_SEARCH
  19, // SYS_PTRACE: /proc/PID/exe and root of other users
];

/**
 * Leaves a child of an agent what it needs to read files, for good, by executing this program again. The agent may no longer cut bounding sets; but who
 * refuses new privileges gains by executing none that its thread lacks. NativeError, or an error that says what is left, when that cannot be done.
 */
export function keepRightsToRead({ isSecond, executeAgain }: Pick<ShedOptions, "isSecond" | "executeAgain">): void {
  const kept = maskOf(KEPT_TO_READ);
  if (!isSecond) {
    keepCapabilities(kept);
    refuseNewPrivileges();
    executeAgain();
    throw new Error("The program did not execute itself");
  }
  const surplus = readCapabilities(readFileSync("/proc/thread-self/status", "utf8")).permitted & ~kept;
  if (surplus !== 0n) throw new Error(`This thread still has the capabilities 0x${surplus.toString(16)}`);
  const calls = [...neverNeeded(process.arch), ...neededByNoReader(process.arch)];
  // A container may refuse it; the capabilities are gone all the same.
  attempt("system calls", ["", ""], () => denySystemCalls(calls.map((call) => call.number)));
}

/** One thing done at the start, for log and status. */
export interface Hardening {
  readonly name: "capabilities" | "system calls" | "core dumps" | "memory pressure";
  readonly done: boolean;
  /** What was done, or why not. */
  readonly detail: string;
}

/** What needs no second execution: for every thread, for good. Never throws; what the kernel refuses is said. */
export function harden(isRoot: boolean, setScore: (score: number) => void): readonly Hardening[] {
  const calls = neverNeeded(process.arch);
  const results = [
    attempt("system calls", [`${calls.length} that an agent never needs are refused`, "none is refused"], () =>
      denySystemCalls(calls.map((call) => call.number)),
    ),
  ];
  if (!isRoot) return results;
  return [
    ...results,
    attempt("core dumps", ["off, and nobody without CAP_SYS_PTRACE may look into its memory", "as for any program"], () =>
      setDumpable(false),
    ),
    attempt("memory pressure", [`ended late (${OOM_SCORE})`, "ended like any program when memory runs out"], () => setScore(OOM_SCORE)),
  ];
}

/** Late, not never: an agent that has lost control of its memory must not take the machine with it. */
const OOM_SCORE = -900;

/** `details`: what is so when it is done, and when it is not. */
function attempt(name: Hardening["name"], details: readonly [done: string, refused: string], act: () => void): Hardening {
  const [done, refused] = details;
  try {
    act();
    return { name, done: true, detail: done };
  } catch (error) {
    return { name, done: false, detail: `${refused} (${messageOf(error)})` };
  }
}

function readCapabilities(status: string): Capabilities {
  const set = (name: string): bigint => BigInt(`0x${new RegExp(`^Cap${name}:\\s*([0-9a-f]{1,16})$`, "m").exec(status)?.[1] ?? "0"}`);
  return { permitted: set("Prm"), bounding: set("Bnd"), inheritable: set("Inh") };
}

function maskOf(numbers: readonly number[]): bigint {
  return numbers.reduce((mask, number) => mask | (1n << BigInt(number)), 0n);
}
