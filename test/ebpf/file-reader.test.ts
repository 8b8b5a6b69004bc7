// Files of programs read several at a time, also while a filesystem does not answer.
import { afterAll, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { MockClock } from "#core";
import { type FileReader, ProgramReader, type Silence } from "../../src/ebpf/file-reader.ts";
import { type FileContent, kernelDevice, type ProgramFile, type Unreadable } from "../../src/ebpf/program-file.ts";
import { serveProgramFiles } from "../../src/ebpf/reader-service.ts";
import { type FromReader, toWire } from "../../src/ebpf/reader-wire.ts";
import { ServedProgram, servesFiles } from "./served-program.ts";

const folder = mkdtempSync(join(tmpdir(), "kestrel-reader-"));
afterAll(() => rmSync(folder, { recursive: true }));

function told(path: string, pid = 0): ProgramFile {
  const { dev, ino, size, ctimeNs } = statSync(path, { bigint: true });
  return { pid, ppid: 0, path, device: kernelDevice(dev), inode: ino, sizeBytes: Number(size), changeNs: ctimeNs };
}

const sha256 = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
const answer = (reader: FileReader, file: ProgramFile): Promise<FileContent | Unreadable> =>
  new Promise((resolve) => reader.read(file, resolve));
const stands = (reader: FileReader, path: string, file: ProgramFile): Promise<boolean> =>
  new Promise((resolve) => reader.standsAt(path, file, resolve));

const SMALL = "/bin/true";
const LARGE = process.execPath;

test("large and small at once, each answered once; many more than there are threads", async () => {
  const reader = new ProgramReader({ clock: new MockClock() });
  const asked = [LARGE, ...Array.from({ length: 60 }, () => SMALL), LARGE];
  const answers = await Promise.all(asked.map((path) => answer(reader, told(path))));
  expect(answers.map((content) => (typeof content === "string" ? content : content.sha256))).toEqual([
    sha256(LARGE),
    ...Array.from({ length: 60 }, () => sha256(SMALL)),
    sha256(LARGE),
  ]);
  expect(answers[1]).toMatchObject({ isAtPath: true, isRunning: false });
  expect([
    await stands(reader, SMALL, told(SMALL)),
    await stands(reader, SMALL, told(LARGE)),
    await stands(reader, "x", told(SMALL)),
  ]).toEqual([true, false, false]);
  reader.close();
});

test("after the end nobody is told", async () => {
  const reader = new ProgramReader({ clock: new MockClock() });
  let answers = 0;
  for (let number = 0; number < 30; number++) reader.read(told(SMALL), () => answers++);
  reader.close();
  await answer(new ProgramReader({ clock: new MockClock() }), told(LARGE));
  expect(answers).toBe(0);
});

test.skipIf(!servesFiles())(
  "a silent filesystem: given up after a while, by the name of whom was asked; others are read meanwhile",
  async () => {
    const clock = new MockClock();
    const silences: Silence[] = [];
    const silent = new Set<string>();
    const reader = new ProgramReader({ clock, isSilent: (place) => silent.has(place), onSilence: (more) => silences.push(...more) });
    await using served = await ServedProgram.start("one", join(folder, "silence"), "read forever </dev/zero");
    const file = { ...told(`/proc/${served.pid}/exe`, served.pid), path: "/served" };
    served.fallSilent();
    const answers: unknown[] = [];
    reader.read(file, (content) => answers.push(content));
    for (let number = 0; number < 20; number++) expect(await answer(reader, told(SMALL))).toMatchObject({ sha256: sha256(SMALL) });
    clock.advance(8000);
    expect(answers).toEqual([]);
    clock.advance(2000);
    expect(answers).toEqual(["failed"]);
    expect(silences).toEqual([{ path: "/served", place: `device ${file.device >>> 20}:${file.device & 0xf_ffff}` }]);
    expect(reader.counts()).toEqual({ stuck: 1, silences: 1 });
    for (const { place } of silences) silent.add(place);
    expect(await answer(reader, file)).toBe("failed");
    reader.close();
  },
);

test("the service answers what is asked over its pipes, and ends with them", async () => {
  const lines: FromReader[] = [];
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  let heard = Promise.withResolvers<void>();
  const served = serveProgramFiles({
    input: readable,
    output: (text) => {
      lines.push(JSON.parse(text) as FromReader);
      heard.resolve();
    },
    clock: new MockClock(),
  });
  const writer = writable.getWriter();
  const say = async (message: unknown): Promise<void> => {
    heard = Promise.withResolvers<void>();
    await writer.write(Buffer.from(`${JSON.stringify(message)}\n`));
    await heard.promise;
  };
  await say({ kind: "read", id: 7, file: toWire(told(SMALL)) });
  await say({ kind: "stands", id: 8, path: LARGE, file: toWire(told(SMALL)) });
  await writer.write(Buffer.from('{"kind":"silent","places":["/bin/"]}\n'));
  await say({ kind: "stands", id: 9, path: SMALL, file: toWire(told(SMALL)) });
  expect(lines).toMatchObject([
    { kind: "answer", id: 7, answer: { sha256: sha256(SMALL), isAtPath: true } },
    { kind: "answer", id: 8, answer: false },
    { kind: "answer", id: 9, answer: false },
  ]);
  await writer.close();
  await served;
});
