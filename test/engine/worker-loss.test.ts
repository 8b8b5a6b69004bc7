// A partition worker that ends in the middle: whoever waits is told, nothing hangs, and the engine still closes.
import { afterEach, expect, test } from "bun:test";
import { type Bench, benchOf, ruleOf } from "./fixture.ts";

const RealWorker = globalThis.Worker;
afterEach(() => {
  globalThis.Worker = RealWorker;
});

/** An engine on two partitions, with its worker threads. */
async function armed(): Promise<{ readonly bench: Bench; readonly workers: readonly Worker[] }> {
  const workers: Worker[] = [];
  globalThis.Worker = class extends RealWorker {
    constructor(url: string | URL) {
      super(url);
      workers.push(this);
    }
  };
  const bench = benchOf({ partitions: 2 });
  globalThis.Worker = RealWorker;
  await bench.engine.arm([ruleOf("r", "process where true")]);
  return { bench, workers };
}

const EVENT = { fields: { "process.name": "sh" } };

test("batches on their way fail the bus by name, close ends and frees the other worker", async () => {
  const { bench, workers } = await armed();
  for (const worker of workers) worker.terminate();
  await bench.push(EVENT);
  await expect(bench.engine.drain()).rejects.toMatchObject({ code: "partition-lost" });
  await expect(bench.engine.input.ready()).rejects.toMatchObject({ code: "partition-lost" });
  await expect(bench.engine.close()).rejects.toMatchObject({ code: "partition-lost" });
  expect(bench.engine.counters()).toMatchObject({ offered: 1, evaluated: 0, waiting: 1 });
});

test("a lost worker refuses a reload, and the rules armed before stay", async () => {
  const { bench, workers } = await armed();
  const ended = new Promise((resolve) => workers[1]?.addEventListener("close", resolve));
  workers[1]?.terminate();
  await ended;
  await expect(bench.engine.arm([ruleOf("other", "file where true")])).rejects.toMatchObject({ code: "partition-lost" });
  expect(bench.engine.ruleStates().map(({ rule }) => rule.id)).toEqual(["r"]);
  await bench.engine.close();
});
