// What this machine allows, for `kestrel doctor`: kernel, types, rights, limits, each sensor's attachment, and what stays unseen. Asks the
// kernel by really loading the sensors for a moment, with small rings, and unloads them again.
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { cgroupRoot, KestrelError, messageOf } from "#core";
import { libbpfVersion } from "#ffi/libbpf";
import { CAPABILITY_BITS, namesOfBits } from "./bit-names.ts";
import { LoadedSensors, type SensorStatus } from "./loader.ts";

/** Everything doctor prints about the sensors. */
export interface DoctorReport {
  readonly kernel: string;
  readonly libbpf: string;
  /** Whether the kernel carries its own type information, which the sensors need. */
  readonly btf: boolean;
  /** Effective capabilities that matter, by name. */
  readonly capabilities: readonly string[];
  /** Of those needed, the ones that are missing. */
  readonly missingCapabilities: readonly string[];
  /** `RLIMIT_MEMLOCK` and open files, as the kernel writes them. */
  readonly limits: Readonly<Record<string, string>>;
  /** Folder of cgroup v2, if it is mounted. */
  readonly cgroupRoot: string | undefined;
  readonly sensors: readonly SensorStatus[];
  /** Why no sensor can be loaded, if so. */
  readonly error: string | undefined;
  /** What is not seen, one sentence each. */
  readonly notCovered: readonly string[];
}

/** Those that matter to an agent. */
const CAPABILITIES: ReadonlySet<string> = new Set([
  "CAP_KILL",
  "CAP_NET_ADMIN",
  "CAP_SYS_PTRACE",
  "CAP_SYS_ADMIN",
  "CAP_SYS_RESOURCE",
  "CAP_PERFMON",
  "CAP_BPF",
]);
/** Any one of a group is enough. */
const NEEDED: readonly (readonly string[])[] = [
  ["CAP_BPF", "CAP_SYS_ADMIN"],
  ["CAP_PERFMON", "CAP_SYS_ADMIN"],
  ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"],
];
const PROBE_RING_BYTES = 64 << 10;
const ALWAYS_UNSEEN = [
  "Reads of files that are not on the watch list",
  "What happened before the agent started, other than the processes still running",
];

/** Looks at the machine. Never throws: what cannot be read is said in the report. */
export function inspectMachine(): DoctorReport {
  const capabilities = effectiveCapabilities(readText("/proc/self/status"));
  const root = cgroupRoot(readText("/proc/self/mounts"));
  const { sensors, error } = probeSensors(root);
  const blind = sensors.flatMap(({ sensor, attachment, blind: unseen }) =>
    attachment === undefined ? [`Sensor ${sensor} is off`] : unseen.map((text) => `Sensor ${sensor} (${attachment}): ${text}`),
  );
  return {
    kernel: release(),
    libbpf: versionOfLibbpf(),
    btf: existsSync("/sys/kernel/btf/vmlinux"),
    capabilities,
    missingCapabilities: NEEDED.filter((group) => !group.some((name) => capabilities.includes(name))).map(([first = ""]) => first),
    limits: limitsOf(readText("/proc/self/limits")),
    cgroupRoot: root,
    sensors,
    error,
    notCovered: [...blind, ...ALWAYS_UNSEEN],
  };
}

function probeSensors(root: string | undefined): { readonly sensors: readonly SensorStatus[]; readonly error: string | undefined } {
  try {
    const options = { processRingBytes: PROBE_RING_BYTES, activityRingBytes: PROBE_RING_BYTES, agentPid: 0, cgroupRoot: root };
    const loaded = LoadedSensors.load(options);
    const sensors = loaded.statuses;
    loaded.close();
    return { sensors, error: undefined };
  } catch (error) {
    const text = error instanceof KestrelError ? error.message : `Cannot load the sensors: ${messageOf(error)}`;
    return { sensors: [], error: text };
  }
}

/** Names of the capabilities above in the `CapEff` line of /proc/PID/status. */
export function effectiveCapabilities(status: string): readonly string[] {
  const hex = /^CapEff:\s*([0-9a-f]{1,16})\s*$/m.exec(status)?.[1];
  const bits = BigInt(`0x${hex ?? "0"}`);
  return namesOfBits(CAPABILITY_BITS, bits).filter((name) => CAPABILITIES.has(name));
}

function limitsOf(text: string): Readonly<Record<string, string>> {
  const limits: Record<string, string> = {};
  for (const name of ["Max locked memory", "Max open files"]) {
    const soft = new RegExp(`^${name}\\s+(\\S+)`, "m").exec(text)?.[1];
    if (soft !== undefined) limits[name] = soft;
  }
  return limits;
}

function versionOfLibbpf(): string {
  try {
    return libbpfVersion();
  } catch (error) {
    return messageOf(error);
  }
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
