// What is kept of the files of programs, with a reader that answers when the test says so.
import { expect, test } from "bun:test";
import { decode } from "../../src/ebpf/decode.ts";
import type { FileTaker } from "../../src/ebpf/file-reader.ts";
import type { ExecEvent } from "../../src/ebpf/kernel-event.ts";
import type { FileContent, ProgramFile } from "../../src/ebpf/program-file.ts";
import { HASHED_BYTES_MAX, KNOWN_MAX, ProgramInspector, WAITING_MAX } from "../../src/ebpf/program-inspector.ts";
import { execRecord } from "./kernel-record.ts";

const SECOND = 1_000_000_000n;

function setUp() {
  const asked: { readonly file: ProgramFile; readonly take: FileTaker }[] = [];
  let [told, closed] = [0, 0];
  const inspector = new ProgramInspector(() => told++, {
    read: (file, take) => asked.push({ file, take }),
    close: () => closed++,
  });
  return { inspector, asked, told: () => told, closed: () => closed };
}

function exec(parts: Partial<ExecEvent>): ExecEvent {
  const record = execRecord({ pid: 7, timeNs: 100n * SECOND, ppid: 3 }, { path: "/bin/x", args: Buffer.from("x\0") });
  return { ...(decode(new Uint8Array(record), 0, record.length) as ExecEvent), sizeBytes: 10, changeSeconds: 5, ...parts };
}

const FOUND: FileContent = { sha256: "ab".repeat(32), elf: undefined, isRunning: false, isAtPath: false };

test("a file is read once, and known at once from then on", () => {
  const { inspector, asked, told } = setUp();
  const first = inspector.factsOf(exec({}), 0n);
  expect(first.state).toBe("pending");
  expect(inspector.factsOf(exec({}), 0n)).toBe(first);
  expect(asked.map(({ file }) => file)).toEqual([
    { pid: 7, ppid: 3, path: "/bin/x", device: 0, inode: 0n, sizeBytes: 10, changeNs: 5n * SECOND },
  ]);
  asked[0]?.take(FOUND);
  expect(first).toMatchObject({ state: "known", sha256: FOUND.sha256, elf: undefined, isUncertain: false, ownPath: "" });
  expect(inspector.factsOf(exec({}), 0n)).toBe(first);
  expect(asked).toHaveLength(1);
  expect(told()).toBe(1);
  for (const other of [{ inode: 9n }, { device: 9 }, { sizeBytes: 9 }, { changeSeconds: 9 }, { changeNanoseconds: 9 }]) {
    expect(inspector.factsOf(exec(other), 0n)).not.toBe(first);
  }
});

test("what was gone or had changed is asked for again; a second answer is nothing", () => {
  const { inspector, asked } = setUp();
  for (const found of ["gone", "changed", "failed"] as const) {
    const facts = inspector.factsOf(exec({}), 0n);
    asked.at(-1)?.take(found);
    asked.at(-1)?.take(FOUND);
    expect(facts.state).toBe("unknown");
  }
  expect(asked).toHaveLength(3);
  expect(inspector.counts()).toMatchObject({ gone: 1, changed: 1, failed: 1, known: 0 });
});

test("a file written a moment before it ran is asked for each time, and uncertain unless it was still running", () => {
  const { inspector, asked } = setUp();
  const fresh = { changeSeconds: 99, changeNanoseconds: 990_000_000 };
  const facts = [inspector.factsOf(exec(fresh), 0n), inspector.factsOf(exec(fresh), 0n)];
  expect(asked).toHaveLength(2);
  asked[0]?.take(FOUND);
  asked[1]?.take({ ...FOUND, isRunning: true });
  expect(facts.map(({ isUncertain }) => isUncertain)).toEqual([true, false]);
});

test("what is not asked for is counted: too large, served from elsewhere, too many", () => {
  const { inspector, asked } = setUp();
  expect(inspector.factsOf(exec({ sizeBytes: HASHED_BYTES_MAX + 1 }), 0n).state).toBe("unknown");
  expect(inspector.factsOf(exec({ fsMagic: 0x6573_5546 }), 0n).state).toBe("unknown");
  for (let inode = 0n; inode <= WAITING_MAX; inode++) inspector.factsOf(exec({ inode }), 0n);
  expect(asked).toHaveLength(WAITING_MAX);
  expect(inspector.counts()).toMatchObject({ tooLarge: 1, elsewhere: 1, skipped: 1 });
});

test("the least recently used are forgotten", () => {
  const { inspector, asked } = setUp();
  const know = (inode: bigint): void => {
    const before = asked.length;
    inspector.factsOf(exec({ inode }), 0n);
    if (asked.length > before) asked.at(-1)?.take(FOUND);
  };
  for (let inode = 0n; inode < KNOWN_MAX; inode++) know(inode);
  know(0n);
  know(BigInt(KNOWN_MAX));
  const before = asked.length;
  know(0n);
  expect(asked.length).toBe(before);
  know(1n);
  expect(asked.length).toBe(before + 1);
});

test("the end leaves nothing pending", () => {
  const { inspector, asked, closed } = setUp();
  const facts = inspector.factsOf(exec({}), 0n);
  inspector.close();
  inspector.close();
  asked[0]?.take(FOUND);
  expect(facts.state).toBe("unknown");
  expect(inspector.factsOf(exec({ inode: 5n }), 0n).state).toBe("unknown");
  expect([closed(), inspector.counts().skipped, inspector.counts().known]).toEqual([2, 2, 0]);
});
