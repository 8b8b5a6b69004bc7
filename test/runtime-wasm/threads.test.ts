// Traps are signals, and every partition is a thread with its own engine: a trap in one must stop neither it nor the others.
import { expect, test } from "bun:test";
import { WasmRuntime } from "#runtime-wasm";
import { assemble } from "./wat.ts";

const WORKERS = 3;

test("workers trap, run out of fuel and go on, all at once", async () => {
  const wasm = assemble(`(module
    (memory (export "memory") 1)
    (global $current (export "current") (mut i32) (i32.const -1))
    (global (export "heap_base") i32 (i32.const 1024))
    (func (export "eval") (param $batch i32) (param $count i32) (param $out i32) (result i32)
      (global.set $current (i32.const 0))
      (if (i32.eq (i32.load16_u offset=4 (local.get $batch)) (i32.const 3)) (then (drop (i32.load (i32.const -8)))))
      (if (i32.eq (i32.load16_u offset=4 (local.get $batch)) (i32.const 5)) (then (loop $l (br $l))))
      (i32.store (local.get $out) (i32.const 1))
      (i32.const 1)))`);
  const answers = await Promise.all(
    Array.from({ length: WORKERS }, async () => {
      const worker = new Worker(new URL("./trap-worker.ts", import.meta.url).href);
      const answer = new Promise<string[]>((done, fail) => {
        worker.onmessage = ({ data }: MessageEvent<"ready" | string[]>) => (data === "ready" ? worker.postMessage(wasm) : done(data));
        worker.onerror = (event) => fail(new Error(event.message));
      });
      const result = await answer;
      worker.terminate();
      return result;
    }),
  );
  const round = ["trap", "1", "fuel", "1"];
  expect(answers).toEqual(new Array(WORKERS).fill([...round, ...round, ...round]));
  // This thread's engine is none the worse for their end.
  const runtime = new WasmRuntime();
  runtime.openModule(wasm).close();
  runtime.close();
});
