// The programs that deny acts before they happen: for each kind of act the ways to do it from best to last, loaded when a policy first needs one and
// let go when none does. Invariant: an act is denied by one way at a time; where none is accepted the reasons are kept.
import { closeSync, readFileSync } from "node:fs";
import { NativeError } from "#ffi/handle";
import { type BpfLink, BpfObject } from "#ffi/libbpf";
import { NativeBuffer } from "#ffi/memory";
import type { PolicyAct } from "#schema";
import denyCgroupObject from "../../build/bpf/deny-cgroup.bpf.o" with { type: "file" };
import denyLsmObject from "../../build/bpf/deny-lsm.bpf.o" with { type: "file" };
import execObject from "../../build/bpf/exec.bpf.o" with { type: "file" };
import { type LoadedSensors, openFolder, type Refusal } from "./loader.ts";
import { POLICY_MAPS } from "./policy-maps.ts";

/** One way to deny an act. */
interface Denier {
  readonly means: "lsm" | "cgroup";
  readonly object: string;
  readonly programs: readonly string[];
}

const CGROUP_CONNECT: Denier = {
  means: "cgroup",
  object: denyCgroupObject,
  programs: ["kestrel_deny_connect4", "kestrel_deny_connect6", "kestrel_deny_send4", "kestrel_deny_send6"],
};
/** Behind the choice of the port: the security module is asked before, and would decide by port 0 where the process left it open. */
const CGROUP_BIND: Denier = { means: "cgroup", object: denyCgroupObject, programs: ["kestrel_deny_bind4", "kestrel_deny_bind6"] };

function lsm(...programs: readonly string[]): Denier {
  return { means: "lsm", object: denyLsmObject, programs };
}

const DENIERS: Readonly<Record<PolicyAct, readonly Denier[]>> = {
  exec: [lsm("kestrel_deny_exec")],
  open: [lsm("kestrel_deny_open")],
  connect: [lsm("kestrel_deny_connect", "kestrel_deny_send"), CGROUP_CONNECT],
  bind: [CGROUP_BIND],
  // Control groups have no hook for it.
  listen: [lsm("kestrel_deny_listen")],
};
const PROBE = "kestrel_lsm_probe";

/** How acts of one kind are denied. */
export interface DenierStatus {
  readonly act: PolicyAct;
  /** `undefined`: they are not. */
  readonly means: Denier["means"] | undefined;
  readonly refused: readonly Refusal[];
}

interface Loaded {
  readonly means: Denier["means"];
  readonly object: BpfObject;
  readonly links: readonly BpfLink[];
}

/** See the head of this file. Closing lets every act pass. */
export class Deniers {
  readonly #sensors: LoadedSensors;
  readonly #loaded = new Map<PolicyAct, Loaded>();
  readonly #refused = new Map<PolicyAct, readonly Refusal[]>();

  constructor(sensors: LoadedSensors) {
    this.#sensors = sensors;
  }

  /** Acts that are denied where a policy says so. */
  get acts(): ReadonlySet<PolicyAct> {
    return new Set(this.#loaded.keys());
  }

  /** How an act is denied. */
  meansOf(act: PolicyAct): Denier["means"] | undefined {
    return this.#loaded.get(act)?.means;
  }

  /** One for each kind of act that was asked for. */
  statuses(): readonly DenierStatus[] {
    return [...this.#refused].map(([act, refused]) => ({ act, means: this.meansOf(act), refused }));
  }

  /** Makes ready to deny these acts. Those it could not deny before are not tried again. */
  want(acts: Iterable<PolicyAct>): void {
    for (const act of acts) if (!this.#refused.has(act)) this.#load(act);
  }

  /** Lets go of the security module's programs, if they do not run any more; {@link want} then tries what comes after them. */
  fallBack(): void {
    for (const [act, loaded] of this.#loaded) {
      if (loaded.means !== "lsm" || refusalOf(() => probeLsm(loaded.object)) === undefined) continue;
      closeLoaded(loaded);
      this.#loaded.delete(act);
      this.#refused.delete(act);
    }
  }

  /** Lets go of what denies other acts than these. */
  keepOnly(acts: ReadonlySet<PolicyAct>): void {
    for (const [act, loaded] of this.#loaded) {
      if (acts.has(act)) continue;
      closeLoaded(loaded);
      this.#loaded.delete(act);
      this.#refused.delete(act);
    }
  }

  /** Twice is fine. */
  close(): void {
    this.keepOnly(new Set());
  }

  #load(act: PolicyAct): void {
    const refused: Refusal[] = [];
    this.#refused.set(act, refused);
    for (const denier of DENIERS[act]) {
      try {
        this.#loaded.set(act, this.#attach(act, denier));
        return;
      } catch (error) {
        if (!(error instanceof NativeError)) throw error;
        refused.push({ attachment: denier.means, code: error.code, reason: error.message });
      }
    }
  }

  #attach(act: PolicyAct, { means, object: file, programs }: Denier): Loaded {
    const object = BpfObject.open(`deny-${act}`, readFileSync(file));
    const links: BpfLink[] = [];
    try {
      for (const name of means === "lsm" ? [...programs, PROBE] : programs) object.setAutoload(name, true);
      for (const name of [...POLICY_MAPS, "process_ring", "counters"] as const) {
        const shared = this.#sensors.map(name);
        if (shared !== undefined && object.hasMap(name)) object.reuseMap(name, shared.fd);
      }
      object.load();
      if (means === "lsm") probeLsm(object);
      for (const name of programs) links.push(means === "cgroup" ? this.#attachCgroup(object, name) : object.attach(name));
      return { means, object, links };
    } catch (error) {
      closeLoaded({ means, object, links });
      throw error;
    }
  }

  #attachCgroup(object: BpfObject, program: string): BpfLink {
    const root = this.#sensors.cgroupRoot;
    if (root === undefined) throw new NativeError("ENOENT", "cgroup", "No cgroup v2 is mounted");
    const fd = openFolder(root);
    try {
      return object.attachCgroup(program, fd);
    } finally {
      closeSync(fd);
    }
  }
}

/** Programs of a security module attach everywhere, and do not run where "bpf" is not among the modules the kernel began with, nor without ftrace. */
function probeLsm(object: BpfObject): void {
  const seen = (): bigint => {
    const count = new NativeBuffer(8);
    object.map("lsm_seen").lookup(new Uint8Array(4), count);
    return count.u64(0);
  };
  const link = object.attach(PROBE);
  try {
    const before = seen();
    readFileSync("/proc/self/stat");
    if (seen() > before) return;
    throw new NativeError("ENOSYS", "libbpf", 'The kernel runs no BPF security module: start it with "bpf" in the list of "lsm="');
  } finally {
    link.close();
  }
}

function closeLoaded({ links, object }: Loaded): void {
  for (const link of links) link.close();
  object.close();
}

/** Whether this kernel lets us deny acts of a kind by one of the means, and kill from sensors: why not, where it does not. Asks by loading. */
export function inspectAbilities(root: string | undefined): { readonly lsm?: string; readonly cgroup?: string; readonly signal?: string } {
  const lsm = refusalOf(() => withLoaded(denyLsmObject, [PROBE], probeLsm));
  const cgroup = root === undefined ? "no cgroup v2 is mounted" : refusalOf(() => withLoaded(denyCgroupObject, CGROUP_CONNECT.programs));
  const signal = refusalOf(() => withLoaded(execObject, []));
  return {
    ...(lsm && { lsm: `LSM programs are refused (${lsm})` }),
    ...(cgroup && { cgroup: `control group programs are refused (${cgroup})` }),
    ...(signal && { signal: `sensors are refused (${signal})` }),
  };
}

function withLoaded(file: string, programs: readonly string[], use?: (object: BpfObject) => void): void {
  using object = BpfObject.open("probe", readFileSync(file));
  for (const name of programs) object.setAutoload(name, true);
  object.load();
  use?.(object);
}

function refusalOf(attempt: () => void): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return error.code === "ENOSYS" ? error.message : error.code;
  }
}
