// A recording holds exactly the records the next sink took, in order.
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RecordSink, ReplaySource } from "#core";
import { RecordView } from "#event";
import { SchemaRegistry } from "#schema";
import { RecordingSink } from "../../src/cli/recording-sink.ts";
import { recordOf } from "../engine/fixture.ts";

const folder = mkdtempSync(join(tmpdir(), "kestrel-recording-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("what the source promises and when it has said all reaches the engine", () => {
  const heard: (string | bigint)[] = [];
  const next: RecordSink = {
    push: () => true,
    ready: () => Promise.resolve(),
    progress: (timeNs) => heard.push(timeNs),
    flush: () => heard.push("flush"),
  };
  const sink = new RecordingSink(join(folder, "none.klog"), { registry: new SchemaRegistry(), next, log: { write: () => undefined } });
  sink.progress(5n);
  sink.flush();
  sink.close();
  expect(heard).toEqual([5n, "flush"]);
});

test("a record the engine refused is not in the recording", async () => {
  const registry = new SchemaRegistry();
  const path = join(folder, "some.klog");
  const taken: bigint[] = [];
  const next: RecordSink = {
    push(bytes, offset) {
      const { timeNs } = new RecordView().reset(bytes, offset);
      if ((timeNs / 1_000_000n) % 3n === 0n) return false;
      taken.push(timeNs);
      return true;
    },
    ready: () => Promise.resolve(),
  };
  const sink = new RecordingSink(path, { registry, next, log: { write: (_level, text) => expect(text).toBe("") } });
  const answers = Array.from({ length: 30 }, (_, timeMs) => {
    const record = recordOf(registry, { timeMs, fields: { "process.pid": timeMs } });
    return sink.push(record, 0, record.length);
  });
  sink.close();
  expect(answers).toEqual(Array.from({ length: 30 }, (_, timeMs) => timeMs % 3 !== 0));

  const replayed: bigint[] = [];
  const source = new ReplaySource({ registry, files: [path], decoder: {}, onProblem: ({ message }) => expect(message).toBe("") });
  await source.start({
    push: (bytes, offset) => replayed.push(new RecordView().reset(bytes, offset).timeNs) > 0,
    ready: () => Promise.resolve(),
  });
  expect(replayed).toEqual(taken);
});
