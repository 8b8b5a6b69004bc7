// Sensors that fail for a reason which is no refusal of the kernel's, such as BPF objects of another version: each by itself is off and says why, and
// where nothing can be watched the start ends with that reason.
import { afterEach, describe, expect, mock, setDefaultTimeout, spyOn, test } from "bun:test";
import { KestrelError, messageOf } from "#core";
import { EbpfSource, inspectMachine } from "#ebpf";
import { RecordView } from "#event";
import { NativeError } from "#ffi/handle";
import { BpfObject } from "#ffi/libbpf";
import { type Demand, everyEvent, SchemaRegistry } from "#schema";
import { ALL_WORDS } from "../../src/ebpf/event-words.ts";
import { RecordWriter } from "../../src/ebpf/record-writer.ts";
import { RingReader } from "../../src/ebpf/ring-reader.ts";
import { Collector } from "./collector.ts";
import { refusal } from "./live.ts";

// Generous, since machines are noisy and no test here measures time; it only ends what hangs.
setDefaultTimeout(60_000);
const registry = new SchemaRegistry();
const WAY_OUT = /a flaw of this build, not of the kernel: build Kestrel anew, its BPF objects with it, or report it/;

/** Has one sensor's object be what it must not be. */
function breakObject(sensor: string, how: () => never): void {
  const open = BpfObject.open.bind(BpfObject);
  spyOn(BpfObject, "open").mockImplementation((name, bytes) => {
    if (name === sensor) how();
    return open(name, bytes);
  });
}

function typeError(): never {
  throw new TypeError("undefined is not an object");
}

if (refusal !== undefined) console.log(`skipped: broken sensors on the real kernel (${refusal})`);
describe.skipIf(refusal !== undefined)("a broken sensor", () => {
  afterEach(() => mock.restore());

  test("is off and says why, in the doctor too; the others run", async () => {
    breakObject("unix", typeError);
    const source = new EbpfSource({ registry });
    await source.start(new Collector(registry));
    try {
      const statuses = source.statuses();
      const unix = statuses.find(({ sensor }) => sensor === "unix");
      expect(unix?.attachment).toBeUndefined();
      expect(unix?.refused.at(-1)?.code).toBe("internal");
      expect(unix?.refused.at(-1)?.reason).toStartWith("undefined is not an object: ");
      expect(unix?.refused.at(-1)?.reason).toMatch(WAY_OUT);
      expect(statuses.find(({ sensor }) => sensor === "dns")?.attachment).toBeDefined();
    } finally {
      await source.stop();
    }
    const report = inspectMachine();
    expect(report.error).toBeUndefined();
    expect(report.notCovered).toContain("Sensor unix is off");
  });

  test("that is required ends the start, with its name and a way out", async () => {
    breakObject("exec", typeError);
    const error = await new EbpfSource({ registry }).start(new Collector(registry)).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error instanceof KestrelError && error.code).toBe("sensor-broken");
    expect(messageOf(error)).toStartWith("Cannot watch processes with raw_tp/sched_process_exec: undefined is not an object: ");
    expect(messageOf(error)).toMatch(WAY_OUT);
    expect(inspectMachine().error).toMatch(WAY_OUT);
  });

  test("with an object that lacks a program is off too", async () => {
    const setAutoload = BpfObject.prototype.setAutoload;
    spyOn(BpfObject.prototype, "setAutoload").mockImplementation(function (this: BpfObject, program, wanted) {
      setAutoload.call(this, this.name === "unix" ? `${program}_of_another_version` : program, wanted);
    });
    const unix = inspectMachine().sensors.find(({ sensor }) => sensor === "unix");
    expect(unix?.attachment).toBeUndefined();
    expect(unix?.refused.at(-1)?.code).toBe("no-program");
    expect(unix?.refused.at(-1)?.reason).toMatch(WAY_OUT);
  });
});

describe.skipIf(refusal !== undefined)("a ring that cannot be opened", () => {
  afterEach(() => mock.restore());

  /** There is room for the rings of the sensors that a start begins with, and no more. */
  function breakRings(): void {
    const open = RingReader.prototype.open;
    let isFirst = true;
    spyOn(RingReader.prototype, "open").mockImplementation(function (this: RingReader, ...args) {
      if (!isFirst) throw new NativeError("ENOMEM", "libc", "Cannot map the ring");
      isFirst = false;
      open.apply(this, args);
    });
  }

  test("ends the start, and nothing stays attached", async () => {
    const source = new EbpfSource({ registry });
    breakRings();
    expect(await messageOfFailure(source.start(new Collector(registry)))).toBe("Cannot map the ring");
    expect(source.links()).toEqual([]);
  });

  test("later is told to who asked for it, and events go on", async () => {
    const problems: string[] = [];
    const source = new EbpfSource({ registry, onProblem: (problem) => problems.push(problem) });
    const collector = new Collector(registry);
    source.setDemand(demandOf("exec"));
    breakRings();
    await source.start(collector);
    try {
      source.setDemand(demandOf("exec", "unix_connect"));
      expect(await messageOfFailure(source.settled())).toBe("Cannot map the ring");
      expect(problems).toEqual(["Sensors do not follow the rules: Cannot map the ring"]);
      const { pid } = Bun.spawn(["true"], { stdin: "ignore" });
      const found = await collector.find((fields) => fields["process.pid"] === BigInt(pid) && fields["event.action"] === "exec");
      expect(found["process.name"]).toBe("true");
    } finally {
      await source.stop();
    }
  });
});

describe.skipIf(refusal !== undefined)("an event that cannot be", () => {
  afterEach(() => mock.restore());

  const problems: string[] = [];
  /** What comes of a program that fails on its way, and of one behind it. */
  async function runBoth(collector: Collector): Promise<EbpfSource> {
    problems.length = 0;
    const source = new EbpfSource({ registry, onProblem: (problem) => problems.push(problem) });
    source.setDemand(demandOf("exec"));
    await source.start(collector);
    try {
      for (let run = 0; run < 2; run++) {
        await Bun.spawn(["false"], { stdin: "ignore" }).exited;
        const { pid } = Bun.spawn(["true"], { stdin: "ignore" });
        await collector.find((fields) => fields["process.pid"] === BigInt(pid) && fields["event.action"] === "exec");
      }
    } finally {
      await source.stop();
    }
    return source;
  }

  test("told is counted as malformed, said once, and the others come", async () => {
    const write = RecordWriter.prototype.write;
    spyOn(RecordWriter.prototype, "write").mockImplementation(function (this: RecordWriter, ...args) {
      if (args[1].entry.info.name === "false") typeError();
      return write.apply(this, args);
    });
    const source = await runBoth(new Collector(registry));
    expect(problems).toEqual(["Cannot tell an event, counted as malformed: undefined is not an object"]);
    // Whoever else runs the same program adds to it.
    expect(source.losses()["malformed"]).toBeGreaterThanOrEqual(2);
  });

  test("handed on is said once, and the others come", async () => {
    const collector = new Collector(registry);
    const push = collector.push.bind(collector);
    spyOn(collector, "push").mockImplementation((bytes, offset) => {
      if (new RecordView().reset(bytes, offset).value(registry.byName("process.name")!.id) === "false") typeError();
      return push(bytes, offset);
    });
    await runBoth(collector);
    expect(problems).toEqual(["Cannot hand events on: undefined is not an object"]);
  });
});

function demandOf(...actions: readonly string[]): Demand {
  return everyEvent(ALL_WORDS).filter(({ words }) => actions.includes(words[2]));
}

async function messageOfFailure(promise: Promise<void>): Promise<string> {
  return await promise.then(() => "no failure", messageOf);
}
