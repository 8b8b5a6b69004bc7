// The reader of program files in a process of its own, with processes that do what the test says.
import { expect, test } from "bun:test";
import { MockClock } from "#core";
import { ChildReader, IDLE_MS, PAUSE_MS, REQUESTS_MAX, SILENT_MS, STUCK_MAX, VAIN_MAX } from "../../src/ebpf/child-reader.ts";
import type { FileContent, ProgramFile, Unreadable } from "../../src/ebpf/program-file.ts";
import type { ReaderEvents } from "../../src/ebpf/reader-process.ts";
import type { ToReader } from "../../src/ebpf/reader-wire.ts";

const FOUND: FileContent = { sha256: "ab".repeat(32), elf: undefined, isRunning: false, isAtPath: false };
const file = (path: string): ProgramFile => ({ pid: 1, ppid: 0, path, device: 1, inode: 1n << 60n, sizeBytes: 1, changeNs: 2n });

class FakeChild {
  readonly asked: ToReader[] = [];
  readonly events: ReaderEvents;
  readonly end: () => void;
  readonly #ended: Promise<void>;
  isKilled = false;

  constructor(events: ReaderEvents) {
    this.events = events;
    const { promise, resolve } = Promise.withResolvers<void>();
    [this.#ended, this.end] = [promise, resolve];
  }

  send(message: ToReader): void {
    this.asked.push(message);
  }

  kill(): Promise<void> {
    this.isKilled = true;
    return this.#ended;
  }

  get silent(): readonly string[] {
    return this.asked.flatMap((message) => (message.kind === "silent" ? message.places : []));
  }

  /** Paths that were asked for. */
  get paths(): readonly string[] {
    return this.asked.flatMap((message) => (message.kind === "silent" ? [] : message.file.path));
  }

  answer(path: string, answer: FileContent | Unreadable | boolean): void {
    const found = this.asked.find((message) => message.kind !== "silent" && message.file.path === path);
    if (found === undefined || found.kind === "silent") throw new Error(`${path} was not asked for`);
    this.events.onMessage({ kind: "answer", id: found.id, answer });
  }

  /** Does not get an answer about a file. */
  fallSilent(path: string, place: string): void {
    this.answer(path, "failed");
    this.events.onMessage({ kind: "silence", silences: [{ place, path }] });
  }
}

function setUp() {
  const clock = new MockClock();
  const [children, said, answers]: [FakeChild[], string[], string[]] = [[], [], []];
  let refusal: Error | undefined;
  const reader = new ChildReader({
    command: ["reader"],
    clock,
    onProblem: (problem) => said.push(problem),
    start(_command, events) {
      if (refusal !== undefined) throw refusal;
      const child = new FakeChild(events);
      children.push(child);
      return child;
    },
  });
  return {
    reader,
    clock,
    children,
    said,
    /** Each answer as `path answer`. */
    answers,
    ask: (path: string) => reader.read(file(path), (answer) => answers.push(`${path} ${typeof answer === "string" ? answer : "known"}`)),
    refuse: (error: Error | undefined) => {
      refusal = error;
    },
  };
}

test("is started when a file is asked for, and ended when there was nothing to do for a while", () => {
  const { reader, clock, children, answers, ask } = setUp();
  clock.advance(IDLE_MS);
  expect(children).toEqual([]);
  ask("/a");
  ask("/b");
  reader.standsAt("/c", file("/c"), (isThere) => answers.push(`/c ${isThere}`));
  expect(children[0]?.paths).toEqual(["/a", "/b", "/c"]);
  expect(children[0]?.asked[1]).toMatchObject({ kind: "read", file: { inode: String(1n << 60n), changeNs: "2" } });
  clock.advance(IDLE_MS / 2);
  children[0]?.answer("/b", FOUND);
  children[0]?.answer("/c", true);
  children[0]?.answer("/a", "gone");
  children[0]?.answer("/a", FOUND);
  expect(answers).toEqual(["/b known", "/c true", "/a gone"]);
  clock.advance(IDLE_MS - 1);
  expect(children[0]?.isKilled).toBe(false);
  clock.advance(1);
  expect(children[0]?.isKilled).toBe(true);
  ask("/d");
  expect(children.map(({ paths }) => paths)).toEqual([["/a", "/b", "/c"], ["/d"]]);
  expect(reader.counts()).toEqual({ stuck: 1, silences: 0 });
});

test("is kept, and started before it is asked, for those who wait for answers", () => {
  const { reader, clock, children } = setUp();
  reader.keepReady(true);
  expect(children).toHaveLength(1);
  clock.advance(2 * IDLE_MS);
  expect(children[0]?.isKilled).toBe(false);
  children[0]?.events.onEnd("it ended with 1");
  expect(children).toHaveLength(2);
  reader.keepReady(false);
  clock.advance(IDLE_MS);
  expect(children[1]?.isKilled).toBe(true);
});

test("one held by a filesystem is left behind, and another goes on, which does not ask there for a while", async () => {
  const { reader, clock, children, said, answers, ask } = setUp();
  for (const path of ["/a\n", "/b", "/c"]) ask(path);
  children[0]?.answer("/b", FOUND);
  children[0]?.fallSilent("/a\n", "device 0:9");
  expect([children[0]?.isKilled, children[1]?.silent, children[1]?.paths]).toEqual([true, ["device 0:9"], ["/c"]]);
  expect(said).toEqual(['a filesystem does not answer: what is in the program "/a\\n" stays unknown']);
  expect(reader.counts()).toEqual({ stuck: 1, silences: 1 });
  children[0]?.end();
  await Promise.resolve();
  expect(reader.counts()).toEqual({ stuck: 0, silences: 1 });
  children[1]?.fallSilent("/c", "/srv/");
  expect(answers).toEqual(["/b known", "/a\n failed", "/c failed"]);
  expect(said).toHaveLength(1);
  clock.advance(SILENT_MS);
  ask("/d");
  expect(children[2]?.silent).toEqual([]);
});

test("who answers after all is asked again at once: a disk may be busy for long", async () => {
  const { clock, children, ask } = setUp();
  for (const heldMs of [999, 1000]) {
    ask("/a");
    const child = children.at(-1);
    child?.fallSilent("/a", `device ${heldMs}`);
    clock.advance(heldMs);
    child?.end();
    await Promise.resolve();
  }
  ask("/b");
  expect(children.at(-1)?.silent).toEqual(["device 999"]);
});

test("so many are left behind and no more, until one of them ends", async () => {
  const { children, said, answers, ask } = setUp();
  for (let number = 0; number < STUCK_MAX; number++) {
    ask(`/${number}`);
    if (number === STUCK_MAX - 1) ask("/waits");
    children.at(-1)?.fallSilent(`/${number}`, `device ${number}`);
  }
  ask("/more");
  expect(children).toHaveLength(STUCK_MAX);
  expect(answers.slice(-2)).toEqual(["/waits failed", "/more failed"]);
  expect(said.slice(1)).toEqual([expect.stringContaining("no file is read until one is let go")]);
  children[2]?.end();
  await Promise.resolve();
  ask("/again");
  expect(children.at(-1)?.paths).toEqual(["/again"]);
});

test("one that cannot be started is said once, and tried again later", () => {
  const { clock, children, said, answers, ask, refuse } = setUp();
  refuse(new Error("ENOENT"));
  ask("/a");
  refuse(undefined);
  ask("/b");
  expect(answers).toEqual(["/a failed", "/b failed"]);
  expect(said).toEqual(["the reader of program files does not run, so programs have no hash: ENOENT"]);
  clock.advance(PAUSE_MS);
  ask("/c");
  expect(children[0]?.paths).toEqual(["/c"]);
});

test("one that ends by itself is followed by another, which is asked what was not answered; not for ever", () => {
  const { clock, children, said, answers, ask } = setUp();
  ask("/a");
  children[0]?.events.onEnd("it was ended by SIGKILL");
  ask("/b");
  expect(children[1]?.paths).toEqual(["/a", "/b"]);
  children[1]?.events.onEnd("it was ended by SIGKILL");
  expect(answers).toEqual(["/a failed"]);
  expect(children[2]?.paths).toEqual(["/b"]);
  children[2]?.answer("/b", FOUND);
  expect(said).toEqual([]);
  for (let ends = 0; ends < VAIN_MAX; ends++) {
    ask(`/${ends}`);
    children.at(-1)?.events.onEnd("it ended with 1");
  }
  expect(said).toEqual([expect.stringContaining("does not run, so programs have no hash: it ended with 1")]);
  const before = children.length;
  ask("/c");
  expect([children.length, answers.at(-1)]).toEqual([before, "/c failed"]);
  clock.advance(PAUSE_MS);
  ask("/d");
  expect(children.length).toBe(before + 1);
});

test("one that does not say a word is killed", () => {
  const { clock, children, said, answers, ask } = setUp();
  ask("/a");
  clock.advance(50_000);
  ask("/b");
  children[0]?.answer("/a", FOUND);
  clock.advance(59_999);
  expect(children[0]?.isKilled).toBe(false);
  clock.advance(10_000);
  expect(children[0]?.isKilled).toBe(true);
  expect([answers, said]).toEqual([["/a known", "/b failed"], [expect.stringContaining("it does not answer")]]);
});

test("what waits is bounded", () => {
  const { children, answers, ask } = setUp();
  for (let number = 0; number <= REQUESTS_MAX; number++) ask(`/${number}`);
  expect(children[0]?.paths).toHaveLength(REQUESTS_MAX);
  expect(answers).toEqual([`/${REQUESTS_MAX} failed`]);
});

test("its end answers nobody", () => {
  const { reader, children, answers, ask, clock } = setUp();
  ask("/a");
  reader.close();
  reader.close();
  ask("/b");
  reader.keepReady(true);
  children[0]?.answer("/a", FOUND);
  clock.advance(10 * IDLE_MS);
  expect([children.length, children[0]?.isKilled, answers]).toEqual([1, true, []]);
});
