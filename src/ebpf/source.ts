// The live source: reads the kernel's rings, keeps the process table, and pushes ECS records. Runs on a timer, since nothing may block the
// thread. Invariant: every record taken from a ring is pushed or counted.
import { readFileSync } from "node:fs";
import { arch, hostname, release } from "node:os";
import {
  assert,
  type Cancel,
  type Clock,
  cgroupRoot,
  type ExecAttempt,
  type ExecWitness,
  type LossCounts,
  messageOf,
  type RecordSink,
  type Source,
  SystemClock,
} from "#core";
import { ClockId, clockNs } from "#ffi/libc";
import type { RingBuffer } from "#ffi/ring-buffer";
import type { Demand, GroupFields } from "#schema";
import { createReader } from "./child-reader.ts";
import { ControlGroups } from "./control-groups.ts";
import { CounterReader, type CounterTable, NO_COUNTS } from "./counters.ts";
import { decode } from "./decode.ts";
import type { TestsOf } from "./demand-tables.ts";
import { DEFAULT_VARIABLES } from "./environment.ts";
import { sensorOf } from "./event-words.ts";
import { ExecHold, HOLD_NS_MAX } from "./exec-hold.ts";
import { ExecJoiner, type WholeEvent } from "./exec-joiner.ts";
import { witness } from "./exec-witness.ts";
import type { FileReader } from "./file-reader.ts";
import type { ActEvent, Actor } from "./kernel-event.ts";
import type { PolicyFacts, PolicySet } from "./kernel-policies.ts";
import { LoadedSensors, type SensorStatus } from "./loader.ts";
import { IdNames } from "./names.ts";
import { Packages } from "./packages.ts";
import { PoliciesInUse } from "./policies-in-use.ts";
import { Means } from "./policy-wire.ts";
import { primeTable, readProcess } from "./proc-files.ts";
import { type Credentials, type ProcessEntry, type ProcessFacts, type ProcessInfo, ProcessTable } from "./process-table.ts";
import { ProcessTracker } from "./process-tracker.ts";
import { type ProgramFacts, ProgramInspector } from "./program-inspector.ts";
import { TextReader } from "./program-texts.ts";
import type { HostFacts, RecordContext } from "./record-context.ts";
import { RecordWriter } from "./record-writer.ts";
import { Redactor } from "./redactor.ts";
import { RingReader, type RingSizes } from "./ring-reader.ts";
import { isWanted, SensorDemand } from "./sensor-demand.ts";
import type { SensorName } from "./sensors.ts";
import { type EbpfCounts, filteredOf, lossesOf, producedOf } from "./source-counts.ts";
import type { EbpfOptions } from "./source-options.ts";
import { type LateFields, lateFieldsOf } from "./write-program.ts";

const RING_BYTES = 2 << 20;
// What is paid once for a turn, caches gone cold meanwhile above all, is a hundred times what one event costs, and a timer alone 70 µs. So few turns,
// each sent on at its end: an event waits 10 ms on average, 20 at most.
const POLL_MS = 20;
/** While somebody acts on what the rings hold: a process that is to be killed or stopped runs until then. */
const PROMPT_POLL_MS = 5;
/** A turn that brought so many is followed by the next one at once: more came while it lasted. */
const BUSY_RECORDS = 256;
/** Records of one turn; then other work of the thread goes first. */
const TURN_RECORDS_MAX = 4096;
/** How far behind the clock a promise to the sink stays: a sensor takes the time before it has its place in the ring. */
const PROGRESS_MARGIN_NS = 50_000_000n;
const CLOCK_CHECK_NS = 1_000_000_000n;
const SETTLE_LOOKS_MAX = 1000;

/** Processes, files and connections of this machine, from eBPF. One at a time in a process. */
export class EbpfSource implements Source, ExecWitness {
  readonly name = "ebpf";
  readonly #options: EbpfOptions;
  readonly #clock: Clock;
  readonly #table: ProcessTable;
  readonly #tracker: ProcessTracker;
  readonly #joiner = new ExecJoiner();
  readonly #writer: RecordWriter;
  readonly #texts: TextReader;
  readonly #lookup = (pid: number): ProcessFacts | undefined => {
    const facts = readProcess(pid);
    return facts === undefined ? undefined : this.#texts.shown(facts);
  };
  readonly #users = new IdNames("/etc/passwd");
  readonly #groups = new IdNames("/etc/group");
  readonly #cgroupRoot = cgroupRoot(readText("/proc/self/mounts"));
  /** What the kernel was told of a group must be what records would say of it. */
  readonly #controlGroups = new ControlGroups(this.#cgroupRoot, { onForget: () => this.#sensors?.forgetGroups() });
  readonly #startOffsetNs: bigint;
  #demand: SensorDemand;
  /** Sensors are being attached; who waits for the end of that. */
  #isAttaching = false;
  #waiting: PromiseWithResolvers<void>[] = [];
  #wallOffsetNs: bigint;
  #clockCheckedNs = 0n;
  #nowNs = 0n;
  #started = false;
  #sensors: LoadedSensors | undefined;
  readonly #sensorNames = new Map<string, string>();
  readonly #policies: PoliciesInUse;
  /** What notes say, read at once: other policies may be in use before the event is pushed. */
  readonly #explained = new WeakMap<Actor, PolicyFacts>();
  readonly #rings = new RingReader();
  #counters: CounterReader | undefined;
  #lastCounters: CounterTable | undefined;
  #lastStatuses: readonly SensorStatus[] = [];
  readonly #ringSizes: RingSizes;
  #sink: RecordSink | undefined;
  #cancelPoll: Cancel | undefined;
  #pollMs = POLL_MS;
  #read = 0;
  #pushed = 0;
  #refused = 0;
  #malformed = 0;
  /** The last of its kind that was told: it may come again with every turn. */
  #handingProblem = "";
  #joined = 0;
  #unchanged = 0;
  #unwanted = 0;
  #attempts = 0;
  /** Made once: no closure for an event. */
  readonly #take = (event: WholeEvent): void => this.#arrive(event);
  readonly #hold: ExecHold;
  readonly #reader: FileReader;
  readonly #inspector: ProgramInspector | undefined;
  readonly #packages: Packages;
  readonly #isWanted = (sensor: SensorName, action: string): boolean => this.#demand.wantsAction(sensor, action);
  readonly #testsOf: TestsOf = (sensor, action) => this.#demand.testsOf(sensor, action);
  readonly #userName = (id: number): string | undefined => this.#users.nameOf(id, Number(this.#nowNs));
  readonly #groupName = (id: number): string | undefined => this.#groups.nameOf(id, Number(this.#nowNs));

  constructor(options: EbpfOptions) {
    this.#options = options;
    this.#demand = SensorDemand.everything(options.without);
    this.#ringSizes = {
      processRingBytes: options.processRingBytes ?? RING_BYTES,
      activityRingBytes: options.activityRingBytes ?? RING_BYTES,
    };
    this.#policies = new PoliciesInUse(options.onProblem);
    this.#clock = options.clock ?? new SystemClock();
    const redactor = options.redact === false ? undefined : new Redactor(options.isSecret);
    this.#texts = new TextReader([...DEFAULT_VARIABLES, ...(options.variables ?? [])], redactor);
    const holdNs = options.holdMs === undefined ? HOLD_NS_MAX : BigInt(options.holdMs) * 1_000_000n;
    this.#hold = new ExecHold((event, program) => this.#push(event, program), holdNs);
    const onProblem = (problem: string): void => options.onProblem?.(problem);
    this.#reader = createReader({ command: options.readerCommand, clock: this.#clock, onProblem });
    if (options.inspect !== false) this.#inspector = new ProgramInspector(() => this.#release(), this.#reader);
    this.#packages = new Packages(randomSecret(), this.#reader);
    const bootId = readText("/proc/sys/kernel/random/boot_id").trim();
    this.#table = new ProcessTable(bootId);
    this.#tracker = new ProcessTracker(this.#table, this.#lookup);
    this.#startOffsetNs = clockNs(ClockId.Realtime) - clockNs(ClockId.Boottime);
    this.#wallOffsetNs = this.#startOffsetNs;
    const host: HostFacts = {
      name: hostname(),
      id: machineId(),
      bootId,
      kernel: release(),
      architecture: arch() === "x64" ? "x86_64" : arch() === "arm64" ? "aarch64" : arch(),
    };
    this.#writer = new RecordWriter(options.registry, host);
  }

  /** Attaches the sensors and begins to push. KestrelError when no process can be watched: see {@link LoadedSensors.load}. */
  async start(sink: RecordSink): Promise<void> {
    assert(!this.#started, "a source starts once");
    this.#started = true;
    this.#sensors = LoadedSensors.load({
      ...this.#ringSizes,
      agentPid: this.#options.includeOwn === true ? 0 : process.pid,
      cgroupRoot: this.#cgroupRoot,
      wanted: () => false,
    });
    this.#sink = sink;
    this.#reader.keepReady(this.#hold.isOn);
    try {
      this.#openRings(this.#sensors);
      this.#policies.start(this.#sensors);
      // Attached first, primed second: what starts in between is in the ring and merely comes as already known.
      primeTable(this.#table, this.#lookup);
      // The rings are read from here on: attaching the other sensors takes long, and what processes do meanwhile must find room.
      this.#sensors.choose(this.#isWanted, this.#testsOf);
      this.#isAttaching = true;
      await this.settled();
    } catch (error) {
      this.#cancelPoll?.();
      this.#policies.release();
      this.#letGo(this.#sensors);
      throw error;
    }
  }

  /** Lets the kernel act by these policies, at any time; in use when the rings are read, which hold what was decided before: see {@link settled}. */
  usePolicies(set: PolicySet): void {
    this.#policies.give(set);
  }

  /** What the kernel does by itself, and the modes it does it in. */
  get policies(): Pick<PoliciesInUse, "refreshModes" | "deniesPrograms" | "status"> {
    return this.#policies;
  }

  /**
   * Chooses which events somebody can use; without a choice all are sent. Sensors of none are detached, what still comes of them is left
   * out and counted; others are attached by and by, see {@link settled}. The process table is kept whatever is wanted. At any time, from
   * inside the sink too.
   */
  setDemand(demand: Demand): void {
    this.#demand = new SensorDemand(demand, this.#options.without);
    const sensors = this.#sensors;
    if (sensors === undefined) return;
    sensors.choose(this.#isWanted, this.#testsOf);
    this.#lastStatuses = sensors.statuses;
    this.#isAttaching = true;
  }

  /** Goes on without hooks in functions, when root has switched those off: see {@link settled} for when it does. */
  fallBack(): void {
    const sensors = this.#sensors;
    if (sensors === undefined) return;
    this.#policies.fallBack();
    this.#isAttaching ||= sensors.fallBack();
    this.#lastStatuses = sensors.statuses;
  }

  /**
   * Resolves when all sensors are attached that are needed, as far as the kernel takes them, and the policies given are in use. Rejects when that
   * cannot be done; the sensors that are attached go on.
   */
  settled(): Promise<void> {
    if (this.#sensors === undefined || !(this.#isAttaching || this.#policies.isWaiting)) return Promise.resolve();
    this.#cancelPoll?.();
    this.#schedule(0);
    const waiting = Promise.withResolvers<void>();
    this.#waiting.push(waiting);
    return waiting.promise;
  }

  /** One sensor in a turn, since each takes its time and the rings of the others must not fill meanwhile. */
  #attachNext(sensors: LoadedSensors): void {
    this.#isAttaching = sensors.attachNext();
    if (this.#isAttaching) this.#openRings(sensors);
    else if (!this.#policies.isWaiting) this.#endWaiting();
  }

  #endWaiting(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  /** Opens what the sensors have brought; a ring comes with the first sensor that needs it. */
  #openRings(sensors: LoadedSensors): void {
    this.#lastStatuses = sensors.statuses;
    // What a sensor has sent keeps its name when the sensor is off.
    for (const { sensor, attachment } of sensors.statuses) if (attachment !== undefined) this.#sensorNames.set(sensor, attachment);
    this.#rings.open(sensors, this.#ringSizes);
    const counters = sensors.map("counters");
    if (counters !== undefined) this.#counters ??= new CounterReader(counters);
  }

  /** Detaches, then pushes what the rings hold, so that afterwards every produced record is read or dropped. Twice is fine. */
  async stop(): Promise<void> {
    this.#cancelPoll?.();
    const sensors = this.#sensors;
    if (sensors === undefined) return;
    this.#policies.release();
    sensors.detach();
    this.#endWaiting();
    // A sensor that was running on another CPU while we detached still finishes its record: look again until the counts meet.
    for (let look = 0; look < SETTLE_LOOKS_MAX; look++) {
      while (this.#drain() > 0);
      if (this.#isSettled()) break;
    }
    this.#joiner.expire(this.#take);
    this.#letGo(sensors);
  }

  #letGo(sensors: LoadedSensors): void {
    this.#inspector?.close();
    this.#reader.close();
    this.#packages.close();
    this.#hold.release();
    this.#lastCounters = this.#counters?.read();
    this.#counters = undefined;
    this.#policies.stop();
    this.#rings.close();
    sensors.close();
    this.#sensors = undefined;
  }

  #isSettled(): boolean {
    let inRing = 0;
    for (const { produced, dropped } of Object.values(this.#counters?.read() ?? NO_COUNTS)) inRing += produced - dropped;
    return inRing === this.#read;
  }

  /** {@inheritDoc Source.losses} */
  losses(): LossCounts {
    return lossesOf(this.counts());
  }

  /** See {@link filteredOf}. */
  filtered(): LossCounts {
    return filteredOf(this.counts());
  }

  /** By the names that `/v1/status` uses, see {@link producedOf}. */
  get produced(): number {
    return producedOf(this.counts());
  }

  /** All counters. */
  counts(): EbpfCounts {
    const kernel = this.#counters?.read() ?? this.#lastCounters ?? NO_COUNTS;
    return {
      kernel,
      read: this.#read,
      pushed: this.#pushed,
      refused: this.#refused,
      malformed: this.#malformed,
      joined: this.#joined,
      unchanged: this.#unchanged,
      unwanted: this.#unwanted,
      attempts: this.#attempts,
      piecesLost: kernel.args.dropped + this.#joiner.strays,
      held: this.#hold.waited,
      heldTooLong: this.#hold.expired,
      files: this.#inspector?.counts(),
      readers: this.#reader.counts(),
      unknownProcesses: this.#tracker.unknownProcesses,
      processes: this.#table.size,
    };
  }

  /** Whether execs are held, for at most a tenth of a second, until what is in their file is known: when a rule asks for it. */
  setHold(isOn: boolean): void {
    this.#hold.isOn = isOn;
    if (this.#sensors !== undefined) this.#reader.keepReady(isOn);
    this.#release();
  }

  /** Whether the rings are read more often, because somebody acts on what they hold. From the next turn on. */
  setPrompt(isOn: boolean): void {
    this.#pollMs = isOn ? PROMPT_POLL_MS : POLL_MS;
  }

  /** What came to be known of the program of a process only after an event of it; names and values of fields. */
  lateFields(event: { readonly pid: number; readonly entityId: string; readonly executable: string; readonly timeNs: bigint }): LateFields {
    const info = this.#table.current(event.pid)?.info;
    const isSame = info?.entityId === event.entityId && info.executable === event.executable && info.programSinceNs <= event.timeNs;
    if (!isSame) return {};
    this.#findPackage(info);
    return lateFieldsOf(info);
  }

  /** Living descendants of a process as the sensors saw them come, with those whose parent has gone. */
  descendants(entityId: string): readonly { readonly pid: number; readonly entityId: string }[] {
    return this.#table.descendants(entityId);
  }

  /** {@inheritDoc ExecWitness.describe} The record is valid until the next event. */
  describe(attempt: ExecAttempt): { readonly record: Uint8Array; readonly entityId: string } | undefined {
    if (this.#sensors === undefined) return undefined;
    // The kernel told of the process's birth before it could ask to run anything.
    this.#drain();
    const found = witness(attempt, this.#table, this.#lookup);
    if (found === undefined) return undefined;
    const { actor, entry, known } = found;
    const leader = (pid: number): ProcessInfo | undefined => (pid === actor.pid ? entry.info : this.#table.current(pid)?.info);
    const length = this.#writer.write(
      { kind: "attempt", actor },
      {
        entry,
        parent: known.ancestors[0],
        policy: undefined,
        sessionLeader: leader(actor.sid),
        groupLeader: leader(actor.pgid),
        sensor: "fanotify",
        texts: undefined,
        previous: undefined,
        target: undefined,
        wallOffsetNs: this.#wallOffsetNs,
        startOffsetNs: this.#startOffsetNs,
        group: this.#controlGroups.groupOfProcess(actor.pid),
        userName: this.#userName,
        groupName: this.#groupName,
      },
    );
    return { record: this.#writer.bytes.subarray(0, length), entityId: known.info.entityId };
  }

  /** {@inheritDoc ExecWitness.report} */
  report(record: Uint8Array): void {
    this.#attempts++;
    this.#pushed++;
    if (this.#sink?.push(record, 0, record.byteLength) === false) this.#refused++;
  }

  /** Descriptors of what is attached now, by name; none before `start` and after `stop`. */
  links(): readonly { readonly name: string; readonly fd: number }[] {
    return this.#sensors?.links ?? [];
  }

  /** How each sensor is attached; empty before `start`. */
  statuses(): readonly SensorStatus[] {
    return this.#lastStatuses;
  }

  /** Whether whoever made this source wants nothing of a sensor. */
  isSwitchedOff(sensor: SensorName): boolean {
    return this.#options.without?.has(sensor) === true;
  }

  #schedule(delayMs: number): void {
    this.#cancelPoll = this.#clock.after(delayMs, () => this.#poll());
  }

  #poll(): void {
    let count = 0;
    try {
      count = this.#drain();
      if (count > 0) this.#sink?.flush?.();
    } catch (error) {
      // Whatever is thrown on the way to the rules, the rings are read on.
      const problem = `Cannot hand events on: ${messageOf(error)}`;
      if (problem !== this.#handingProblem) this.#options.onProblem?.(problem);
      this.#handingProblem = problem;
    }
    if (this.#sensors === undefined) return;
    try {
      if (count < TURN_RECORDS_MAX) this.#policies.apply();
      if (this.#isAttaching) this.#attachNext(this.#sensors);
      else if (!this.#policies.isWaiting) this.#endWaiting();
    } catch (error) {
      // What is attached is read on.
      this.#isAttaching = false;
      this.#options.onProblem?.(`Sensors do not follow the rules: ${messageOf(error)}`);
      for (const { reject } of this.#waiting.splice(0)) reject(error);
    }
    this.#schedule(count >= BUSY_RECORDS || this.#isAttaching ? 0 : this.#pollMs);
  }

  #drain(): number {
    const beforeNs = clockNs(ClockId.Boottime);
    const waiting = this.#rings.snapshot(beforeNs);
    this.#checkClock();
    this.#hold.release(this.#nowNs);
    if (waiting === 0 && this.#joiner.size === 0) {
      if (this.#hold.size === 0) this.#promise(beforeNs);
      return 0;
    }
    const count = this.#rings.read(TURN_RECORDS_MAX, this.#readRecord);
    this.#joiner.expire(this.#take, this.#nowNs);
    this.#table.expire(Number(this.#nowNs));
    if (count < TURN_RECORDS_MAX && this.#joiner.size === 0 && this.#hold.size === 0) this.#promise(beforeNs);
    return count;
  }

  /** Tells the sink how far it has seen everything. `bootNs`: a time before the rings were looked at and found to hold no more. */
  #promise(bootNs: bigint): void {
    this.#sink?.progress?.(bootNs + this.#wallOffsetNs - PROGRESS_MARGIN_NS);
  }

  #checkClock(): void {
    this.#nowNs = clockNs(ClockId.Boottime);
    if (this.#nowNs - this.#clockCheckedNs < CLOCK_CHECK_NS) return;
    this.#clockCheckedNs = this.#nowNs;
    this.#wallOffsetNs = clockNs(ClockId.Realtime) - this.#nowNs;
  }

  readonly #readRecord = (ring: RingBuffer): void => {
    this.#read++;
    const event = decode(ring.bytes, ring.offset, ring.length);
    ring.skip();
    if (event === undefined) {
      this.#malformed++;
      return;
    }
    const policy = this.#policies.explain(event.actor.note);
    if (policy !== undefined) this.#explained.set(event.actor, policy);
    if (event.kind === "args") this.#joined++;
    this.#joiner.take(event, this.#take);
  };

  #arrive(event: WholeEvent): void {
    // A denied program runs nowhere: there is no process through which to look at its file.
    const isStarted = event.kind === "exec" && event.actor.note?.means !== Means.Lsm;
    const facts = isStarted ? this.#inspector?.factsOf(event, this.#wallOffsetNs) : undefined;
    this.#hold.take(event, facts, this.#nowNs);
  }

  /** Lets held events go that need not wait any longer. */
  #release(): void {
    this.#nowNs = clockNs(ClockId.Boottime);
    this.#hold.release(this.#nowNs);
  }

  /** Once for each program of a process, or again while the databases are being read. */
  #findPackage(info: ProcessInfo): void {
    if (info.packageName !== undefined || info.program?.state !== "known") return;
    info.packageName = this.#packages.ownerOf(info.executable, info.program, Number(this.#nowNs));
  }

  #push(event: WholeEvent, facts: ProgramFacts | undefined): void {
    const length = this.#write(event, facts);
    if (length === 0) return;
    this.#pushed++;
    if (this.#sink?.push(this.#writer.bytes, 0, length) === false) this.#refused++;
  }

  /** Makes the record of an event; 0 bytes: there is to be none. Whatever a watched process chose, one event that cannot be told ends nothing but itself. */
  #write(event: WholeEvent, facts: ProgramFacts | undefined): number {
    try {
      return this.#record(event, facts);
    } catch (error) {
      if (this.#malformed++ === 0) this.#options.onProblem?.(`Cannot tell an event, counted as malformed: ${messageOf(error)}`);
      return 0;
    }
  }

  #record(event: WholeEvent, facts: ProgramFacts | undefined): number {
    const previous = this.#tracker.credentialsBefore(event.actor);
    if (event.kind === "act" && previous !== undefined && keepsIds(event, previous)) {
      this.#unchanged++;
      return 0;
    }
    const texts = event.kind === "exec" ? this.#texts.read(event) : undefined;
    const policy = this.#explained.get(event.actor);
    const entry = policy?.denied === true ? this.#tracker.attempt(event, texts) : this.#tracker.apply(event, texts);
    if (event.kind === "exec") {
      entry.info.program = facts;
      entry.info.packageName = undefined;
      entry.info.programSinceNs = event.actor.timeNs + this.#wallOffsetNs;
    }
    this.#findPackage(entry.info);
    const wanted = this.#demand.of(event);
    const group = wanted === undefined ? undefined : this.#groupOf(event.actor);
    if (wanted === undefined || !isWanted(wanted, event, group)) {
      this.#unwanted++;
      return 0;
    }
    return this.#writer.write(event, this.#contextOf(event, entry, { previous, texts, policy, group }));
  }

  #groupOf({ cgroupId, pid }: Actor): GroupFields | undefined {
    const group = this.#controlGroups.groupOf(cgroupId, pid, Number(this.#nowNs));
    if (group !== undefined) this.#sensors?.enterGroup(cgroupId, group);
    return group;
  }

  #targetOf({ targetPid, targetStartNs }: ActEvent): ProcessInfo | undefined {
    if (targetStartNs !== 0) return this.#table.find(targetPid, targetStartNs)?.info;
    return targetPid === 0 ? undefined : this.#table.current(targetPid)?.info;
  }

  #contextOf(
    event: WholeEvent,
    entry: ProcessEntry,
    before: Pick<RecordContext, "previous" | "texts" | "policy" | "group">,
  ): RecordContext {
    const { actor } = event;
    return {
      entry,
      parent: entry.ancestors[0],
      sessionLeader: this.#table.current(actor.sid)?.info,
      groupLeader: this.#table.current(actor.pgid)?.info,
      sensor: before.policy?.denied === true ? `deny/${before.policy.means}` : (this.#sensorNames.get(sensorOf(event)) ?? event.kind),
      ...before,
      target: event.kind === "act" ? this.#targetOf(event) : undefined,
      wallOffsetNs: this.#wallOffsetNs,
      startOffsetNs: this.#startOffsetNs,
      userName: this.#userName,
      groupName: this.#groupName,
    };
  }
}

/** The C library sets the ids of every thread when one asks, and programs set ids they have: only the first call changes anything. */
function keepsIds({ act, actor }: ActEvent, before: Credentials): boolean {
  if (act === "uid_change") return actor.uid === before.uid && actor.euid === before.euid && actor.suid === before.suid;
  return act === "gid_change" && actor.gid === before.gid && actor.egid === before.egid && actor.sgid === before.sgid;
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function randomSecret(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n;
}

function machineId(): string {
  return readText("/etc/machine-id").trim() || readText("/var/lib/dbus/machine-id").trim();
}
