// Arguments in pieces come out whole, and a lost piece costs its bytes only.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { decode } from "../../src/ebpf/decode.ts";
import { ARGS_BYTES_MAX, ExecJoiner, PENDING_MAX, PENDING_NS_MAX, type WholeEvent } from "../../src/ebpf/exec-joiner.ts";
import type { KernelEvent } from "../../src/ebpf/kernel-event.ts";
import { argsRecord, execRecord, exitRecord } from "./kernel-record.ts";

const SEED = Number(Bun.env["KESTREL_SEED"] ?? 20_260_714);

function event(record: Buffer): KernelEvent {
  const decoded = decode(new Uint8Array(record), 0, record.length);
  if (decoded === undefined) throw new Error("not a record");
  return decoded;
}

function exec(pid: number, args: Buffer, argsSize: number = args.length): KernelEvent {
  return event(execRecord({ pid, timeNs: 1000n }, { path: "/bin/x", args, argsSize }));
}

function run(joiner: ExecJoiner, events: readonly KernelEvent[]): WholeEvent[] {
  const out: WholeEvent[] = [];
  for (const item of events) joiner.take(item, (whole) => out.push(whole));
  return out;
}

function argsOf(whole: WholeEvent | undefined): Buffer {
  return whole?.kind === "exec" ? Buffer.from(whole.args) : Buffer.from("not an exec");
}

test("an exec with all its arguments passes at once", () => {
  expect(run(new ExecJoiner(), [exec(1, Buffer.from("a\0"))])).toHaveLength(1);
});

test("pieces of several processes, mixed, come out whole", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 2, max: 4000 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 700 }),
      (sizes, chunk) => {
        const texts = sizes.map((size, index) => Buffer.alloc(size, 65 + index));
        const queues = texts.map((text, pid) => {
          const list = [exec(pid, text.subarray(0, chunk), text.length)];
          for (let at = chunk; at < text.length; at += chunk)
            list.push(event(argsRecord({ pid, timeNs: 1000n }, at, text.subarray(at, at + chunk))));
          return list;
        });
        const mixed: KernelEvent[] = [];
        for (let turn = 0; queues.some((queue) => queue.length > turn); turn++) {
          for (const queue of queues) if (queue[turn] !== undefined) mixed.push(queue[turn]!);
        }
        const out = run(new ExecJoiner(), mixed);
        expect(out).toHaveLength(texts.length);
        for (const whole of out) expect(argsOf(whole)).toEqual(texts[whole.actor.pid]!);
      },
    ),
    { seed: SEED, numRuns: 200 },
  );
});

test("the environment comes in pieces behind those of the arguments, or begins with the exec", () => {
  const size = fc.integer({ min: 1, max: 4000 });
  fc.assert(
    fc.property(size, size, fc.integer({ min: 1, max: 700 }), fc.boolean(), (argsSize, envSize, chunk, hasRoom) => {
      const [args, env] = [Buffer.alloc(argsSize, 65), Buffer.alloc(envSize, 66)];
      const first = hasRoom ? Math.min(chunk, envSize) : 0;
      const parts = { path: "/bin/x", args: args.subarray(0, chunk), argsSize, env: env.subarray(0, first), envSize };
      const events = [event(execRecord({ pid: 3, timeNs: 1000n }, parts))];
      const piece = (all: Buffer, at: number): KernelEvent =>
        event(argsRecord({ pid: 3, timeNs: 1000n }, at, all.subarray(at, at + chunk), all === env));
      for (let at = chunk; at < argsSize; at += chunk) events.push(piece(args, at));
      for (let at = first; at < envSize; at += chunk) events.push(piece(env, at));
      const joiner = new ExecJoiner();
      const out = run(joiner, events);
      expect(out).toHaveLength(1);
      expect(argsOf(out[0])).toEqual(args);
      expect(out[0]?.kind === "exec" && Buffer.from(out[0].env)).toEqual(env);
      expect(joiner.strays + joiner.size).toBe(0);
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test("a lost piece ends the arguments there, and the next event of the process lets the exec out first", () => {
  const joiner = new ExecJoiner();
  const out = run(joiner, [
    exec(9, Buffer.from("aaaa"), 12),
    event(argsRecord({ pid: 9, timeNs: 1000n }, 8, Buffer.from("cccc"))),
    event(exitRecord({ pid: 9, timeNs: 2000n }, 0)),
  ]);
  expect(out.map((whole) => whole.kind)).toEqual(["exec", "exit"]);
  expect(argsOf(out[0]).toString()).toBe("aaaa");
  expect(joiner.strays).toBe(1);
});

test("what waits too long is let go, and not before", () => {
  const joiner = new ExecJoiner();
  const out = run(joiner, [exec(9, Buffer.from("aaaa"), 12)]);
  joiner.expire((whole) => out.push(whole), 1000n + PENDING_NS_MAX);
  expect(out).toHaveLength(0);
  joiner.expire((whole) => out.push(whole), 1001n + PENDING_NS_MAX);
  expect(out).toHaveLength(1);
  expect(joiner.size).toBe(0);
});

test("waiting is bounded in number and bytes", () => {
  const joiner = new ExecJoiner();
  const out = run(
    joiner,
    Array.from({ length: PENDING_MAX + 5 }, (_, pid) => exec(pid, Buffer.from("a"), 0xffff_ffff)),
  );
  expect(joiner.size).toBe(PENDING_MAX);
  expect(out).toHaveLength(5);
  joiner.take(event(argsRecord({ pid: 20, timeNs: 1000n }, 1, Buffer.alloc(ARGS_BYTES_MAX + 5, 66))), (whole) => out.push(whole));
  expect(argsOf(out[5])).toHaveLength(ARGS_BYTES_MAX);
});
