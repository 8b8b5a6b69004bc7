// Execs that wait for their file: in order, not longer than the deadline, not without bound.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { decode } from "../../src/ebpf/decode.ts";
import { ExecHold, HELD_MAX, HOLD_NS_MAX } from "../../src/ebpf/exec-hold.ts";
import type { WholeEvent } from "../../src/ebpf/exec-joiner.ts";
import type { ProgramFile } from "../../src/ebpf/program-file.ts";
import type { ProgramFacts } from "../../src/ebpf/program-inspector.ts";
import { execRecord, exitRecord } from "./kernel-record.ts";

const SEED = Number(Bun.env["KESTREL_SEED"] ?? 20_260_714);

function event(record: Buffer): WholeEvent {
  return decode(new Uint8Array(record), 0, record.length) as WholeEvent;
}

const exec = (pid: number): WholeEvent => event(execRecord({ pid }, { path: "/bin/x", args: Buffer.from("x\0") }));
const exit = (pid: number): WholeEvent => event(exitRecord({ pid }, 0));
const FILE: ProgramFile = { pid: 1, ppid: 0, path: "/bin/x", device: 1, inode: 1n, sizeBytes: 1, changeNs: 1n };
const facts = (state: ProgramFacts["state"]): ProgramFacts => ({
  state,
  sha256: "",
  elf: undefined,
  isUncertain: false,
  file: FILE,
  ownPath: "",
  askedPath: "",
});

function setUp(isOn: boolean): { readonly hold: ExecHold; readonly out: number[] } {
  const out: number[] = [];
  const hold = new ExecHold(({ actor }) => out.push(actor.pid));
  hold.isOn = isOn;
  return { hold, out };
}

test("nothing waits unless it is asked for, and for nothing that is known or never will be", () => {
  const off = setUp(false);
  off.hold.take(exec(1), facts("pending"), 0n);
  expect(off.out).toEqual([1]);
  const on = setUp(true);
  on.hold.take(exec(1), facts("known"), 0n);
  on.hold.take(exec(2), facts("unknown"), 0n);
  on.hold.take(exec(3), undefined, 0n);
  expect(on.out).toEqual([1, 2, 3]);
  expect(on.hold.waited).toBe(0);
});

test("what comes behind a waiting exec waits too, and all leave in order", () => {
  const { hold, out } = setUp(true);
  const [first, second] = [facts("pending"), facts("pending")];
  hold.take(exec(1), first, 0n);
  hold.take(exit(2), undefined, 0n);
  hold.take(exec(3), second, 0n);
  hold.take(exit(4), undefined, 0n);
  second.state = "known";
  hold.release(1n);
  expect(out).toEqual([]);
  first.state = "unknown";
  hold.release(1n);
  expect(out).toEqual([1, 2, 3, 4]);
  expect([hold.waited, hold.expired, hold.size]).toEqual([2, 0, 0]);
});

test("at the deadline it goes as it is, counted, and not before", () => {
  const { hold, out } = setUp(true);
  hold.take(exec(1), facts("pending"), 5n);
  hold.take(exit(2), undefined, 5n);
  hold.release(4n + HOLD_NS_MAX);
  expect(out).toEqual([]);
  hold.release(5n + HOLD_NS_MAX);
  expect(out).toEqual([1, 2]);
  expect([hold.waited, hold.expired]).toEqual([1, 1]);
});

test("no more wait than the limit; switched off or at the end, none", () => {
  const { hold, out } = setUp(true);
  hold.take(exec(0), facts("pending"), 0n);
  for (let pid = 1; pid <= HELD_MAX; pid++) hold.take(exit(pid), undefined, 0n);
  expect(out).toHaveLength(HELD_MAX + 1);
  expect(hold.expired).toBe(1);
  hold.take(exec(1), facts("pending"), 0n);
  hold.isOn = false;
  hold.release(0n);
  hold.isOn = true;
  hold.take(exec(2), facts("pending"), 0n);
  hold.release();
  expect(hold.size).toBe(0);
});

test("whatever comes to be known when: every event leaves once, in order", () => {
  const step = fc.record({ kind: fc.constantFrom("exec", "exit", "known", "look"), at: fc.nat(7) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { hold, out } = setUp(true);
      const pending: ProgramFacts[] = [];
      let [pid, nowNs] = [0, 0n];
      for (const { kind, at } of steps) {
        nowNs += BigInt(at) * 10_000_000n;
        if (kind === "exec") {
          pending.push(facts("pending"));
          hold.take(exec(pid++), pending.at(-1), nowNs);
        } else if (kind === "exit") hold.take(exit(pid++), undefined, nowNs);
        else if (kind === "look") hold.release(nowNs);
        else if (pending.length > 0) pending[at % pending.length]!.state = "known";
        expect(out).toEqual(Array.from({ length: out.length }, (_, index) => index));
      }
      hold.release();
      expect(out).toHaveLength(pid);
    }),
    { seed: SEED, numRuns: 500 },
  );
});
