// The heartbeat: its bookkeeping, and on the real kernel that every sensor asked hears it, and that a deaf one is found.
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, openSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RecordSink, SystemClock } from "#core";
import { EbpfSource } from "#ebpf";
import { closeFd } from "#ffi/libc";
import { SchemaRegistry } from "#schema";
import { HeartbeatWatch } from "#self";
import { beat, heardBy } from "../../src/cli/self-watch.ts";
import { sensorsRun } from "./agent-process.ts";
import { eventually, PROGRAM, runKestrel } from "./program.ts";

setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "kestrel-heartbeat-"));
afterAll(() => rmSync(folder, { recursive: true }));
const MINUTE = 60_000_000_000n;

interface Bench {
  readonly watch: HeartbeatWatch;
  readonly counts: Record<string, number>;
  acts: number;
  /** Ends the act under way. */
  end: (error?: Error) => Promise<void>;
  /** Looks after this much time. */
  after(passedNs: bigint): readonly string[];
}

function bench(first: Readonly<Record<string, number>>): Bench {
  let nowNs = 0n;
  const counts: Record<string, number> = { ...first };
  const made: Bench = {
    watch: new HeartbeatWatch({
      counts: () => ({ ...counts }),
      act: () => {
        made.acts++;
        return new Promise((resolve, reject) => {
          made.end = async (error) => {
            if (error === undefined) resolve();
            else reject(error);
            await Promise.resolve();
          };
        });
      },
      monotonicNs: () => nowNs,
    }),
    counts,
    acts: 0,
    end: async () => undefined,
    after(passedNs) {
      nowNs += passedNs;
      return made.watch.look().map(({ subject, message }) => (subject === "heartbeat" ? message : subject));
    },
  };
  return made;
}

describe("bookkeeping", () => {
  test("sensors that count by themselves are never asked", () => {
    const here = bench({ exec: 1 });
    for (let minute = 0; minute < 5; minute++) {
      here.counts["exec"]!++;
      expect(here.after(MINUTE)).toEqual([]);
    }
    expect(here.acts).toBe(0);
  });

  test("one that is silent is asked once a minute, and is fine when it answers", async () => {
    const here = bench({ exec: 1, file: 7 });
    expect([here.after(MINUTE - 1n), here.acts]).toEqual([[], 0]);
    here.counts["exec"]!++;
    expect([here.after(1n), here.acts]).toEqual([[], 1]);
    expect([here.after(MINUTE), here.acts]).toEqual([[], 1]);
    here.counts["file"]!++;
    await here.end();
    expect(here.after(1n)).toEqual([]);
    for (const name of ["exec", "file"]) here.counts[name]!++;
    expect([here.after(MINUTE), here.acts]).toEqual([[], 1]);
  });

  test("one that does not answer is deaf until it counts again", async () => {
    const here = bench({ exec: 1, file: 7 });
    here.after(MINUTE);
    here.counts["exec"]!++;
    await here.end();
    expect([here.after(1n), here.after(1n)]).toEqual([["file"], ["file"]]);
    here.counts["file"]!++;
    expect(here.after(1n)).toEqual([]);
  });

  test("one that is not in use is not missed, nor one that came into use since", async () => {
    const here = bench({ exec: 1, file: 7 });
    here.counts["change"] = 3;
    here.after(MINUTE);
    delete here.counts["file"];
    here.counts["exec"]!++;
    await here.end();
    expect(here.after(1n)).toEqual([]);
  });

  test("an act that cannot be done is a finding, and is tried again", async () => {
    const here = bench({ exec: 1 });
    here.after(MINUTE);
    await here.end(new Error("no memory"));
    expect([here.after(1n), here.after(1n)]).toEqual([["Silent sensors could not be asked: no memory"], []]);
    expect([here.after(MINUTE), here.acts]).toEqual([[], 2]);
  });
});

test("the command is not for people", async () => {
  const { code, stderr } = await runKestrel(["heartbeat"]);
  expect([code, stderr]).toEqual([2, expect.stringContaining('"heartbeat" is a part of "kestrel run"')]);
});

test.skipIf(!sensorsRun())("every sensor hears the acts, and one whose link is gone is found deaf", async () => {
  const source = new EbpfSource({ registry: new SchemaRegistry(), clock: new SystemClock() });
  const sink: RecordSink = { push: () => true, ready: async () => undefined };
  await source.start(sink);
  const names = Object.keys(heardBy(source));
  expect(names).toEqual([
    ...["exec", "fork", "exit", "file", "change", "connect"].map((name) => `Sensor ${name}`),
    "The reader of the rings",
  ]);
  const found = async (): Promise<readonly string[]> => {
    // Others use this machine meanwhile: the counts stand still until the acts begin, so that every sensor is silent.
    let frozen: Readonly<Record<string, number>> | undefined = heardBy(source);
    let [nowNs, ended] = [0n, false];
    const watch = new HeartbeatWatch({
      counts: () => frozen ?? heardBy(source),
      act: async () => {
        await beat([...PROGRAM, "heartbeat"], join(folder, "acts"), { host: "127.0.0.1", port: 1 });
        ended = true;
      },
      monotonicNs: () => nowNs,
    });
    nowNs += MINUTE;
    watch.look();
    const { read } = source.counts();
    await eventually(
      () => "the end of the acts, and a record from the rings",
      async () => (await Promise.resolve(ended && source.counts().read > read)) || undefined,
    );
    frozen = undefined;
    return watch.look().map(({ subject }) => subject);
  };
  expect(await found()).toEqual([]);
  expect(readdirSync(folder)).toEqual([]);
  // Whatever is wanted of them: of one action alone, the call table has nothing else of the sensor's.
  for (const [type, action] of [
    ["change", "modification"],
    ["change", "mode_change"],
    ["access", "open"],
  ] as const) {
    source.setDemand([{ words: ["file", type, action], tests: undefined }]);
    expect([action, await found()]).toEqual([action, []]);
  }
  const link = source.links().find(({ name }) => name.startsWith("sensor fork"));
  expect(link).toBeDefined();
  closeFd(link?.fd ?? -1);
  // Its number is taken again, so that whoever closes it later closes nothing else.
  while (openSync("/dev/null", "r") < (link?.fd ?? 0));
  expect(await found()).toEqual(["Sensor fork"]);
  await source.stop();
});
