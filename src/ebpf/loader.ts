// Brings the sensors into the kernel: for each one the best attachment the kernel accepts, and a note of every refusal. The rings and the
// counter map are made once, with the first object, and shared by all others.
import { closeSync, openSync, readFileSync } from "node:fs";
import { KestrelError, messageOf } from "#core";
import { NativeError } from "#ffi/handle";
import { type BpfLink, type BpfMap, BpfObject } from "#ffi/libbpf";
import type { GroupFields } from "#schema";
import { CallDispatcher } from "./call-dispatcher.ts";
import { DEMAND_MAPS, demandTables, KernelDemand, type TestsOf } from "./demand-tables.ts";
import { SENSOR_WORDS } from "./event-words.ts";
import { ftraceIsOff } from "./function-hooks.ts";
import { POLICY_MAPS, type PolicyMap } from "./policy-maps.ts";
import {
  type Attachment,
  CALLS_OBJECT,
  SENSORS,
  type Sensor,
  type SensorName,
  type SensorProgram,
  WATCHED_FILES,
  WATCHED_FOLDERS,
} from "./sensors.ts";
import type { WantedEvents } from "./system-calls.ts";
import { WATCH_NAME_BYTES, Watch } from "./wire.ts";

/** An attachment the kernel did not take. */
export interface Refusal {
  readonly attachment: string;
  /** Name of the errno, `EPERM`; in small letters what is no refusal of the kernel's. */
  readonly code: string;
  /** What went wrong, and the end of the verifier's log if it had one. */
  readonly reason: string;
}

/** How one sensor is attached. */
export interface SensorStatus {
  readonly sensor: SensorName;
  /** Whether any event of it is wanted. A sensor that is not needed is off. */
  readonly needed: boolean;
  /** The attachment in use; `undefined`: the sensor is off. */
  readonly attachment: string | undefined;
  /** What the one in use does not see. */
  readonly blind: readonly string[];
  /** Better ones that were refused. */
  readonly refused: readonly Refusal[];
}

/** A sensor whose programs the kernel has taken. They stay loaded while nobody needs them, only out of everybody's way. */
interface LoadedSensor {
  readonly attachment: Attachment;
  readonly object: BpfObject;
  readonly refused: readonly Refusal[];
  links: readonly BpfLink[];
  attached: boolean;
}

/** Sizes and knobs of the kernel side. */
export interface LoadOptions {
  /** Bytes of the ring of processes and rare acts: a power of two. */
  readonly processRingBytes: number;
  /** Bytes of the ring of files and connections. */
  readonly activityRingBytes: number;
  /** Process whose own files and connections are left out; 0: none. */
  readonly agentPid: number;
  /** Folder of cgroup v2's root, if it is mounted. */
  readonly cgroupRoot: string | undefined;
  /** Which events somebody can use, at first; all when left out. */
  readonly wanted?: WantedEvents;
  /** What must be true of events besides, at first. */
  readonly testsOf?: TestsOf;
}

type SharedMap = "process_ring" | "activity_ring" | "counters" | (typeof DEMAND_MAPS)[number] | PolicyMap;
const SHARED_MAPS: readonly SharedMap[] = ["process_ring", "activity_ring", "counters", ...DEMAND_MAPS, ...POLICY_MAPS];

/** The sensors in the kernel. Closing detaches and unloads them all. */
export class LoadedSensors {
  readonly #loaded = new Map<SensorName, LoadedSensor>();
  /** Sensors that the kernel took in no way; it is not asked again. */
  readonly #refused = new Map<SensorName, readonly Refusal[]>();
  readonly #objects: BpfObject[] = [];
  readonly #maps = new Map<SharedMap, BpfMap>();
  /** The object that made a shared map: with it the map goes. */
  readonly #owners = new Map<SharedMap, BpfObject>();
  /** The tables of the demand, as soon as there are maps for them. */
  #demand: KernelDemand | undefined;
  /** Made for the first sensor that needs it. */
  #dispatcher: CallDispatcher | undefined;
  #wanted: WantedEvents;
  #testsOf: TestsOf;
  #isDetached = false;
  readonly #options: LoadOptions;
  /** First reason for which tracing programs (fentry, fexit) are refused altogether: the next sensor need not ask again. */
  #tracingRefused: Refusal | undefined;

  private constructor(options: LoadOptions) {
    this.#options = options;
    this.#wanted = options.wanted ?? (() => true);
    this.#testsOf = options.testsOf ?? (() => undefined);
  }

  /**
   * Loads and attaches. KestrelError when processes cannot be watched at all: `no-bpf` where the kernel refuses, `sensor-broken` where we are at
   * fault. Other sensors may stay off.
   */
  static load(options: LoadOptions): LoadedSensors {
    const loaded = new LoadedSensors(options);
    try {
      while (loaded.attachNext());
      return loaded;
    } catch (error) {
      loaded.close();
      throw error;
    }
  }

  /** How each sensor is attached, in the order of the list. */
  get statuses(): readonly SensorStatus[] {
    return SENSORS.map((sensor): SensorStatus => {
      const loaded = this.#loaded.get(sensor.name);
      const { attached = false, attachment, refused = this.#refused.get(sensor.name) ?? [] } = loaded ?? {};
      const on = attached ? attachment : undefined;
      return { sensor: sensor.name, needed: this.#isNeeded(sensor), attachment: on?.name, blind: on?.blind ?? [], refused };
    });
  }

  /** Every link that is attached now, by what it is of; sensors that nobody needs have none. */
  get links(): readonly { readonly name: string; readonly fd: number }[] {
    const calls = this.#dispatcher?.linkFd;
    const own = [...this.#loaded].flatMap(([sensor, { attachment, links }]) =>
      links.map((link) => ({ name: `sensor ${sensor} (${attachment.name})`, fd: link.fd })),
    );
    return calls === undefined ? own : [...own, { name: "system calls (raw_tp/sys_exit)", fd: calls }];
  }

  /** Folder of cgroup v2's root, if it is mounted. */
  get cgroupRoot(): string | undefined {
    return this.#options.cgroupRoot;
  }

  /** A shared map; `undefined` when no sensor that uses it is loaded. */
  map(name: SharedMap): BpfMap | undefined {
    return this.#maps.get(name);
  }

  /**
   * Chooses anew which events somebody can use. Sensors of none are detached; those that stay lose nothing; others are to be attached by
   * {@link attachNext}. Of system calls, those that bring no such event end at one look, and when none is left nothing is attached.
   * `testsOf` says of events what must be true besides; the kernel makes no record of others.
   */
  choose(isWanted: WantedEvents, testsOf: TestsOf = () => undefined): void {
    if (this.#isDetached) return;
    this.#wanted = isWanted;
    this.#testsOf = testsOf;
    this.#demand?.fill(demandTables(isWanted, testsOf));
    for (const sensor of SENSORS) {
      const loaded = this.#loaded.get(sensor.name);
      if (loaded !== undefined && !this.#isNeeded(sensor)) detachSensor(loaded);
    }
    this.#dispatcher?.want(isWanted);
  }

  /** Says what user space knows of a control group that an event came from. */
  enterGroup(id: bigint, group: GroupFields): void {
    if (!this.#isDetached) this.#demand?.enterGroup(id, group);
  }

  /** What was said of control groups holds no longer. */
  forgetGroups(): void {
    if (!this.#isDetached) this.#demand?.forgetGroups();
  }

  /** Attaches one sensor that is needed and is not yet. False: there was none. One may take long, and rings fill meanwhile. */
  attachNext(): boolean {
    if (this.#isDetached) return false;
    const next = SENSORS.find((sensor) => {
      const isOn = this.#loaded.get(sensor.name)?.attached === true || this.#refused.has(sensor.name);
      return this.#isNeeded(sensor) && !isOn;
    });
    if (next === undefined) return false;
    const loaded = this.#loaded.get(next.name);
    if (loaded === undefined || !this.#attachAgain(next.name, loaded)) this.#loadSensor(next);
    return true;
  }

  /**
   * Detaches what hooks into functions if such hooks do not run any more; {@link attachNext} then attaches what needs none. False: there was
   * nothing of the kind. Not undone when they run again: nobody is to have us load programs again and again.
   */
  fallBack(): boolean {
    const hooked = [...this.#loaded.values()].filter(({ attachment, attached }) => attached && isTracing(attachment));
    if (hooked.length === 0 || !ftraceIsOff()) return false;
    for (const loaded of hooked) detachSensor(loaded);
    return true;
  }

  /** System call numbers that are looked at; 0: none, and nothing is attached to system calls. */
  get callNumbersOn(): number {
    return this.#dispatcher?.numbersOn ?? 0;
  }

  /** Takes the programs out of the kernel's way for good; maps and rings stay readable. */
  detach(): void {
    this.#isDetached = true;
    this.#dispatcher?.detach();
    for (const loaded of this.#loaded.values()) detachSensor(loaded);
  }

  /** Detaches and unloads everything. Twice is fine. */
  close(): void {
    this.detach();
    this.#dispatcher?.close();
    this.#dispatcher = undefined;
    for (const object of this.#objects) object.close();
    this.#objects.length = 0;
    this.#loaded.clear();
    this.#maps.clear();
  }

  #isNeeded({ name, required }: Sensor): boolean {
    return required || SENSOR_WORDS[name].some(([, , action]) => this.#wanted(name, action));
  }

  #attachAgain(sensor: SensorName, loaded: LoadedSensor): boolean {
    if (this.#skipReason(loaded.attachment) !== undefined) return false;
    try {
      this.#attachAll(sensor, loaded);
      return true;
    } catch {
      // Loading it anew tells why not.
      return false;
    }
  }

  /** The best attachment that the kernel takes. Of an earlier attempt the object stays: a map that all share may be its. */
  #loadSensor(sensor: Sensor): void {
    const refused: Refusal[] = [];
    this.#loaded.delete(sensor.name);
    for (const attachment of sensor.attachments) {
      const refusal = this.#skipReason(attachment) ?? this.#tryAttachment(sensor, { attachment, refused });
      if (refusal === undefined) return;
      refused.push(refusal);
      if (sensor.required) throw notPermitted(refusal);
      if (isTracing(attachment) && refusal.code === "EPERM") this.#tracingRefused ??= refusal;
    }
    this.#refused.set(sensor.name, refused);
  }

  /** Refusals that are known without asking the kernel; asking costs 25 ms each, most of it reading the kernel's types. */
  #skipReason(attachment: Attachment): Refusal | undefined {
    if (this.#tracingRefused !== undefined && isTracing(attachment)) {
      const reason = `Tracing programs are refused, as for ${this.#tracingRefused.attachment}`;
      return { attachment: attachment.name, code: this.#tracingRefused.code, reason };
    }
    if (isTracing(attachment) && ftraceIsOff()) {
      return { attachment: attachment.name, code: "EBUSY", reason: "Hooks in functions do not run while kernel.ftrace_enabled is 0" };
    }
    if (this.#options.cgroupRoot === undefined && attachment.programs.some((program) => program.at === "cgroup")) {
      return { attachment: attachment.name, code: "ENOENT", reason: "No cgroup v2 is mounted" };
    }
    return undefined;
  }

  /** Whatever goes wrong costs this sensor alone. */
  #tryAttachment(
    { name, object: file }: Sensor,
    { attachment, refused }: Pick<LoadedSensor, "attachment" | "refused">,
  ): Refusal | undefined {
    let object: BpfObject | undefined;
    try {
      object = BpfObject.open(name, readFileSync(file));
      this.#configure(object, attachment);
      object.load();
      if (object.hasMap("watch_list")) fillWatchList(object.map("watch_list"));
      this.#shareMaps(object);
      const loaded: LoadedSensor = { attachment, object, refused, links: [], attached: false };
      this.#attachAll(name, loaded);
      this.#loaded.set(name, loaded);
    } catch (error) {
      this.#dropMapsOf(object);
      object?.close();
      return refusalOf(attachment.name, error);
    }
    this.#objects.push(object);
    return undefined;
  }

  /** All programs of an attachment, or none. */
  #attachAll(sensor: SensorName, loaded: LoadedSensor): void {
    const links: BpfLink[] = [];
    try {
      for (const program of loaded.attachment.programs) links.push(...this.#attach(loaded.object, program, sensor));
    } catch (error) {
      for (const link of links) link.close();
      throw error;
    }
    loaded.links = links;
    loaded.attached = true;
  }

  #configure(object: BpfObject, attachment: Attachment): void {
    for (const { name } of attachment.programs) object.setAutoload(name, true);
    for (const name of SHARED_MAPS) {
      if (!object.hasMap(name)) continue;
      const shared = this.#maps.get(name);
      if (shared !== undefined) object.reuseMap(name, shared.fd);
      else if (name === "process_ring") object.setMaxEntries(name, this.#options.processRingBytes);
      else if (name === "activity_ring") object.setMaxEntries(name, this.#options.activityRingBytes);
    }
    if (attachment.programs.some((program) => program.at === "calls")) object.reuseMap("calls", this.#callDispatcher().callsFd);
    if (object.hasMap(".rodata")) {
      // struct sensor_config: agent_pid, padding.
      object.setInitialValue(".rodata", new Uint8Array(Uint32Array.of(this.#options.agentPid, 0).buffer));
    }
  }

  #shareMaps(object: BpfObject): void {
    for (const name of SHARED_MAPS) {
      if (this.#maps.has(name) || !object.hasMap(name)) continue;
      this.#maps.set(name, object.map(name));
      this.#owners.set(name, object);
    }
    if (this.#demand !== undefined || !this.#maps.has("demand")) return;
    this.#demand = new KernelDemand((name) => this.#maps.get(name)!);
    this.#demand.fill(demandTables(this.#wanted, this.#testsOf));
  }

  #dropMapsOf(object: BpfObject | undefined): void {
    for (const [name, owner] of this.#owners) {
      if (owner !== object) continue;
      this.#owners.delete(name);
      this.#maps.delete(name);
      if (name === "demand") this.#demand = undefined;
    }
  }

  #attach(object: BpfObject, program: SensorProgram, sensor: SensorName): readonly BpfLink[] {
    switch (program.at) {
      case "section":
        return [object.attach(program.name)];
      case "calls":
        this.#callDispatcher().add(sensor, object, program.name);
        return [];
      case "cgroup": {
        const fd = openFolder(this.#options.cgroupRoot ?? "");
        try {
          return [object.attachCgroup(program.name, fd)];
        } finally {
          closeSync(fd);
        }
      }
    }
  }

  #callDispatcher(): CallDispatcher {
    this.#dispatcher ??= new CallDispatcher(readFileSync(CALLS_OBJECT), this.#wanted);
    return this.#dispatcher;
  }
}

function detachSensor(loaded: LoadedSensor): void {
  for (const link of loaded.links) link.close();
  loaded.links = [];
  loaded.attached = false;
}

function isTracing(attachment: Attachment): boolean {
  return attachment.name.startsWith("fentry/") || attachment.name.startsWith("fexit/");
}

/** Opens a folder to attach programs to. */
export function openFolder(path: string): number {
  try {
    return openSync(path, "r");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "ENOENT";
    throw new NativeError(code, "cgroup", `Cannot open cgroup folder "${path}": ${messageOf(cause)}`, { cause });
  }
}

function fillWatchList(map: BpfMap): void {
  for (const [names, kind] of [
    [WATCHED_FILES, Watch.Name],
    [WATCHED_FOLDERS, Watch.Parent],
  ] as const) {
    for (const name of names) {
      const key = new Uint8Array(WATCH_NAME_BYTES);
      new TextEncoder().encodeInto(name, key);
      map.update(key, new Uint8Array(Uint32Array.of(kind).buffer));
    }
  }
}

function refusalOf(attachment: string, error: unknown): Refusal {
  const code = error instanceof NativeError ? error.code : "internal";
  const ours = ": a flaw of this build, not of the kernel: build Kestrel anew, its BPF objects with it, or report it";
  return { attachment, code, reason: `${messageOf(error)}${isOfKernel(code) ? "" : ours}` };
}

function isOfKernel(code: string): boolean {
  return !/^[a-z]/.test(code);
}

function notPermitted({ attachment, code, reason }: Refusal): KestrelError {
  if (!isOfKernel(code)) return new KestrelError("sensor-broken", `Cannot watch processes with ${attachment}: ${reason}`);
  const wayOut =
    code === "EPERM"
      ? "Run as root, or have a service start it with CAP_BPF, CAP_PERFMON and CAP_NET_ADMIN (AmbientCapabilities=; CAP_SYS_ADMIN on kernels " +
        "that do not know these); never give them to the file itself, which lends them to every user for whatever code he likes"
      : 'The kernel must be 5.8 or newer with CONFIG_DEBUG_INFO_BTF; "kestrel doctor" says what is there';
  return new KestrelError("no-bpf", `Cannot watch processes with ${attachment}. ${wayOut}. ${reason}`);
}
