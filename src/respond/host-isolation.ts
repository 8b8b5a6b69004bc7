// Network isolation of a control group, as a rule the whole machine's: brings bpf/isolate.bpf.c into the kernel and keeps it there. Invariants:
// what replaces an isolation is in force before the old one goes, so there is no moment in between; `on` comes from the kernel's own links.
// Decides nothing about who may ask, and writes nothing down.
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { KestrelError, messageOf } from "#core";
import { BpfLink, BpfMap, BpfObject, possibleCpus } from "#ffi/libbpf";
import { NativeBuffer } from "#ffi/memory";
import isolateObject from "../../build/bpf/isolate.bpf.o" with { type: "file" };
import { AllowKey, AllowValue, Direction, Dropped } from "./isolation-map.ts";
import { type AllowedNetwork, entriesOf, type NetworkEntry } from "./networks.ts";

/** What an isolation lets through, and how long it holds. */
export interface IsolationPolicy {
  readonly allow: readonly AllowedNetwork[];
  /**
   * `keep`: it outlives the agent, pinned in bpffs. Whoever is isolated for being taken over would end the agent first. `lift`: it ends with
   * the agent, however that ends.
   */
  readonly whenAgentStops: "keep" | "lift";
}

/** Packets that did not pass. */
export interface DroppedPackets {
  readonly packets: number;
  readonly bytes: number;
}

/** What is in force. */
export interface IsolationState {
  readonly on: boolean;
  /** Folder of the control group. */
  readonly cgroup: string;
  /** Whether that is the root of the machine, so that nothing is outside. */
  readonly isWholeMachine: boolean;
  /** Folder of bpffs that holds it after the agent, if so. */
  readonly pinnedAt: string | undefined;
  /** Another process left it: what it lets through is not known here. */
  readonly isFound: boolean;
  readonly egress: DroppedPackets;
  readonly ingress: DroppedPackets;
}

/** Where to isolate. */
export interface HostIsolationOptions {
  /** Folder of the control group (v2). */
  readonly cgroup: string;
  /** Where bpffs is mounted, if it is. */
  readonly bpffs: string | undefined;
}

const PROGRAMS = [
  { program: "kestrel_isolate_egress", pin: "egress" },
  { program: "kestrel_isolate_ingress", pin: "ingress" },
] as const;
const COUNTS_PIN = "counts";
const NOTHING: DroppedPackets = { packets: 0, bytes: 0 };

interface Loaded {
  readonly object: BpfObject;
  readonly links: readonly BpfLink[];
  entries: readonly NetworkEntry[];
}

/** See the head of this file. */
export class HostIsolation {
  readonly #cgroup: string;
  readonly #parent: string | undefined;
  #loaded: Loaded | undefined;
  /** Counted by an isolation that this one replaced. */
  #before = { egress: NOTHING, ingress: NOTHING };

  constructor({ cgroup, bpffs }: HostIsolationOptions) {
    this.#cgroup = cgroup;
    this.#parent = bpffs === undefined ? undefined : join(bpffs, "kestrel");
  }

  /** Puts a policy in force, in place of another one if there is one. KestrelError `cannot-isolate`, `bad-network`: as before. */
  apply(policy: IsolationPolicy): void {
    const entries = entriesOf(policy.allow);
    try {
      if (policy.whenAgentStops === "keep") this.#makeFolder();
      if (this.#loaded === undefined) this.#load(entries);
      else this.#change(this.#loaded, entries);
      if (policy.whenAgentStops === "keep") this.#pin();
      else this.#unpin();
    } catch (error) {
      throw error instanceof KestrelError ? error : cannot(`"${this.#cgroup}"`, error);
    }
  }

  /** Ends it, also one that another process left. False: there was none. KestrelError `cannot-lift`. */
  lift(): boolean {
    const was = this.state().on;
    try {
      for (const link of this.#loaded?.links ?? []) link.detach();
      for (const { pin } of PROGRAMS) this.#detachPinned(pin);
      this.#close();
      this.#unpin();
    } catch (error) {
      throw new KestrelError("cannot-lift", `Cannot lift the isolation: ${messageOf(error)}; as root: ${this.byHand()}`, { cause: error });
    }
    this.#before = { egress: NOTHING, ingress: NOTHING };
    return was;
  }

  /** Command with which root lifts a pinned one without the agent. */
  byHand(): string {
    return `rm -r ${this.#folder() ?? "/sys/fs/bpf/kestrel"}`;
  }

  /** Lets go of it as the policy says: a pinned one stays in force. Twice is fine. */
  close(): void {
    this.#close();
  }

  /** What is in force now. */
  state(): IsolationState {
    const folder = this.#folder();
    const isPinned = folder !== undefined && PROGRAMS.every(({ pin }) => existsSync(join(folder, pin)));
    const isFound = isPinned && this.#loaded === undefined;
    return {
      on: isFound ? PROGRAMS.every(({ pin }) => isAttachedAt(join(folder, pin))) : (this.#loaded?.links.every(isAttached) ?? false),
      cgroup: this.#cgroup,
      // The root alone has no type.
      isWholeMachine: !existsSync(join(this.#cgroup, "cgroup.type")),
      pinnedAt: isPinned ? folder : undefined,
      isFound,
      egress: this.#dropped(Direction.Egress),
      ingress: this.#dropped(Direction.Ingress),
    };
  }

  #load(entries: readonly NetworkEntry[]): void {
    const links: BpfLink[] = [];
    const object = BpfObject.open("isolate", readFileSync(isolateObject));
    try {
      object.load();
      const allow = object.map("isolate_allow");
      for (const entry of entries) allow.update(allowedKey(entry), allowedValue(entry));
      const fd = openSync(this.#cgroup, "r");
      try {
        for (const { program } of PROGRAMS) links.push(object.attachCgroup(program, fd));
      } finally {
        closeSync(fd);
      }
    } catch (error) {
      for (const link of links) link.close();
      object.close();
      throw error;
    }
    this.#before = this.#countsLeft();
    this.#loaded = { object, links, entries };
  }

  /** What is new first: nothing that both policies allow is cut in between. */
  #change(loaded: Loaded, entries: readonly NetworkEntry[]): void {
    const allow = loaded.object.map("isolate_allow");
    const gone = new Map(loaded.entries.map((entry) => [nameOf(entry), entry]));
    for (const entry of entries) {
      allow.update(allowedKey(entry), allowedValue(entry));
      gone.delete(nameOf(entry));
    }
    for (const entry of gone.values()) allow.delete(allowedKey(entry));
    loaded.entries = entries;
  }

  #folder(): string | undefined {
    try {
      // The inode of a control group is its id: another one never takes the pins of this one for its own.
      return this.#parent === undefined ? undefined : join(this.#parent, `isolation-${statSync(this.#cgroup, { bigint: true }).ino}`);
    } catch {
      return undefined;
    }
  }

  /** The folder of the pins; in a bpffs that everybody may write to, somebody else could have made it first. */
  #makeFolder(): void {
    const folder = this.#folder();
    if (this.#parent === undefined || folder === undefined) {
      const wayOut = 'mount it ("mount -t bpf bpf /sys/fs/bpf"), or ask for an isolation that ends with the agent';
      throw cannot("for longer than the agent runs", `no bpffs is mounted; ${wayOut}`);
    }
    for (const path of [this.#parent, folder]) {
      if (!existsSync(path)) {
        mkdirSync(path, { mode: 0o700 });
        chmodSync(path, 0o700);
      }
      const { uid, mode } = statSync(path);
      if (uid !== process.geteuid?.() || (mode & 0o022) !== 0)
        throw cannot("for longer than the agent runs", `"${path}" belongs to user ${uid} or others may write to it; remove it`);
    }
  }

  /** A pin that is renamed over another one takes its place at once; the old link then goes. */
  #pin(): void {
    const [loaded, folder] = [this.#loaded, this.#folder()];
    if (loaded === undefined || folder === undefined) return;
    const put = (name: string, pin: (path: string) => void): void => {
      const next = join(folder, `${name}-next`);
      rmSync(next, { force: true });
      pin(next);
      renameSync(next, join(folder, name));
    };
    for (const [index, { pin }] of PROGRAMS.entries()) put(pin, (path) => loaded.links[index]?.pin(path));
    put(COUNTS_PIN, (path) => loaded.object.map("isolate_counts").pin(path));
  }

  #unpin(): void {
    const folder = this.#folder();
    if (folder === undefined || !existsSync(folder)) return;
    for (const name of [...PROGRAMS.map(({ pin }) => pin), COUNTS_PIN]) {
      for (const path of [join(folder, name), join(folder, `${name}-next`)]) rmSync(path, { force: true });
    }
    rmdirSync(folder);
  }

  #detachPinned(pin: string): void {
    const path = join(this.#folder() ?? "", pin);
    if (!existsSync(path)) return;
    using link = BpfLink.openPinned(path);
    link.detach();
  }

  #close(): void {
    for (const link of this.#loaded?.links ?? []) link.close();
    this.#loaded?.object.close();
    this.#loaded = undefined;
  }

  #dropped(row: number): DroppedPackets {
    if (this.#loaded === undefined) return row === Direction.Egress ? this.#countsLeft().egress : this.#countsLeft().ingress;
    const before = row === Direction.Egress ? this.#before.egress : this.#before.ingress;
    const { packets, bytes } = readCounts(this.#loaded.object.map("isolate_counts"), row);
    return { packets: packets + before.packets, bytes: bytes + before.bytes };
  }

  /** What an isolation of an earlier process counted so far. */
  #countsLeft(): { readonly egress: DroppedPackets; readonly ingress: DroppedPackets } {
    const none = { egress: NOTHING, ingress: NOTHING };
    const path = join(this.#folder() ?? "", COUNTS_PIN);
    if (!existsSync(path)) return none;
    const { map, close } = BpfMap.openPinned(path);
    try {
      // An agent of another version may have had other rows: what would not fit into ours is not read.
      const size = /^value_size:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${map.fd}`, "utf8"))?.[1];
      return size === String(Dropped.Size)
        ? { egress: readCounts(map, Direction.Egress), ingress: readCounts(map, Direction.Ingress) }
        : none;
    } finally {
      close();
    }
  }
}

/** A link that was detached behind our back says that it is attached to no group. */
function isAttached(link: BpfLink): boolean {
  const group = /^cgroup_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${link.fd}`, "utf8"))?.[1];
  return group !== undefined && group !== "0";
}

function isAttachedAt(path: string): boolean {
  using link = BpfLink.openPinned(path);
  return isAttached(link);
}

function readCounts(map: BpfMap, row: number): DroppedPackets {
  const values = new NativeBuffer(possibleCpus() * Dropped.Size);
  map.lookup(new Uint8Array(Uint32Array.of(row).buffer), values);
  let [packets, bytes] = [0, 0];
  for (let at = 0; at < values.byteLength; at += Dropped.Size) {
    packets += Number(values.u64(at + Dropped.Packets));
    bytes += Number(values.u64(at + Dropped.Bytes));
  }
  return { packets, bytes };
}

function nameOf({ address, prefixBits }: NetworkEntry): string {
  return `${Buffer.from(address).toString("hex")}/${prefixBits}`;
}

function allowedKey({ address, prefixBits }: NetworkEntry): Uint8Array {
  const key = new Uint8Array(AllowKey.Size);
  new DataView(key.buffer).setUint32(AllowKey.Prefix, prefixBits, true);
  key.set(address, AllowKey.Address);
  return key;
}

function allowedValue({ ports }: NetworkEntry): Uint8Array {
  const value = new DataView(new ArrayBuffer(AllowValue.Size));
  value.setUint32(AllowValue.PortCount, ports.length, true);
  for (const [index, port] of ports.entries()) value.setUint32(AllowValue.Ports + index * 4, port, true);
  return new Uint8Array(value.buffer);
}

function cannot(what: string, cause: unknown): KestrelError {
  const wayOut = "isolation needs root (CAP_BPF and CAP_NET_ADMIN), cgroup v2, and a kernel that takes cgroup programs";
  const why = typeof cause === "string" ? cause : `${messageOf(cause)}; ${wayOut}`;
  return new KestrelError("cannot-isolate", `Cannot isolate ${what}: ${why}`, { cause });
}
