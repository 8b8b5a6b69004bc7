// Lines of files whatever their ends, packing and size; broken packing is an error that names the file and the place.
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { constants, gzipSync, zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { EventFileError, type NumberedLine, readLineChunks, readLines } from "#event";
import { propertyOptions } from "./property.ts";
import { tempDir } from "./temp-dir.ts";

async function linesOf(path: string, limit?: number): Promise<NumberedLine[]> {
  return await Array.fromAsync(readLines(path, limit));
}

const CASES: readonly (readonly [name: string, bytes: string, lines: readonly (readonly [number, string])[]])[] = [
  ["empty", "", []],
  ["one without an end", "a", [[1, "a"]]],
  ["one", "a\n", [[1, "a"]]],
  ["CRLF", "a\r\nb\r\n", [[1, "a"], [2, "b"]]], // biome-ignore format: a table
  ["empty lines count and are left out", "\n\n a\n \t\n\r\nb", [[3, " a"], [6, "b"]]], // biome-ignore format: a table
  ["byte order mark", "\ufeffa\n\ufeffb", [[1, "a"], [2, "\ufeffb"]]], // biome-ignore format: a table
  ["two bytes", "\n\n", []],
  ["carriage returns inside", "a\rb\n", [[1, "a\rb"]]],
];

const PACKINGS: Readonly<Record<string, (bytes: Buffer) => Uint8Array>> = {
  plain: (bytes) => bytes,
  gzip: (bytes) => gzipSync(bytes),
  zstd: (bytes) => zstdCompressSync(bytes, { params: { [constants.ZSTD_c_checksumFlag]: 1 } }),
};

for (const [packing, pack] of Object.entries(PACKINGS)) {
  for (const [name, text, lines] of CASES) {
    test(`lines: ${name}, ${packing}`, async () => {
      using dir = tempDir();
      writeFileSync(dir.file("x"), pack(Buffer.from(text)));
      expect((await linesOf(dir.file("x"))).map(({ number, line }) => [number, line])).toEqual(lines.map((row) => [...row]));
    });
  }
}

test("large files come whole through every packing", async () => {
  using dir = tempDir();
  const lines = Array.from({ length: 20_000 }, (_, index) => `${index} ${"x".repeat((index * 7919) % 300)}`);
  for (const [packing, pack] of Object.entries(PACKINGS)) {
    writeFileSync(dir.file(packing), pack(Buffer.from(lines.join("\n"))));
    expect((await linesOf(dir.file(packing))).map(({ line }) => line)).toEqual(lines);
  }
});

test("two gzip members one after another are one file", async () => {
  using dir = tempDir();
  writeFileSync(dir.file("x.gz"), Buffer.concat([gzipSync("a\n"), gzipSync("b\n")]));
  expect((await linesOf(dir.file("x.gz"))).map(({ line }) => line)).toEqual(["a", "b"]);
});

test("a line over the limit is reported by number, the others are read", async () => {
  using dir = tempDir();
  writeFileSync(dir.file("x"), `a\n${"x".repeat(300_000)}\nb\n${"y".repeat(1001)}\nc\n${"z".repeat(300_000)}`);
  expect(await linesOf(dir.file("x"), 1000)).toEqual([
    { line: "a", number: 1 },
    { line: "", number: 2, problem: "Line 2 is longer than 1000 bytes" },
    { line: "b", number: 3 },
    { line: "", number: 4, problem: "Line 4 is longer than 1000 bytes" },
    { line: "c", number: 5 },
    { line: "", number: 6, problem: "Line 6 is longer than 1000 bytes" },
  ]);
});

test("any text, split as the text says", async () => {
  using dir = tempDir();
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.string({ unit: "grapheme", maxLength: 20 }).filter((line) => !/[\r\n]/.test(line)),
        { maxLength: 30 },
      ),
      async (lines) => {
        writeFileSync(dir.file("x"), lines.join("\n"));
        const expected = lines.flatMap((line, index) =>
          /^[ \t]*$/.test(line) ? [] : [{ line: index === 0 ? line.replace(/^\ufeff/, "") : line, number: index + 1 }],
        );
        expect(await linesOf(dir.file("x"))).toEqual(expected.filter(({ line }) => line !== ""));
      },
    ),
    propertyOptions(40),
  );
});

for (const [packing, pack] of Object.entries(PACKINGS).slice(1)) {
  test(`${packing} cut short or damaged is an error with name and place`, async () => {
    using dir = tempDir();
    const path = dir.file("x.packed");
    const text = Buffer.from(Array.from({ length: 20_000 }, (_, index) => `line ${index * 7919}`).join("\n"));
    const whole = Buffer.from(pack(text));
    const damaged = Buffer.from(whole);
    damaged.fill(0xa5, whole.length >> 1, (whole.length >> 1) + 64);
    for (const bytes of [whole.subarray(0, whole.length >> 1), damaged]) {
      writeFileSync(path, bytes);
      const error = await linesOf(path).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toBeInstanceOf(EventFileError);
      expect((error as EventFileError).code).toBe("corrupt-compression");
      expect((error as EventFileError).message).toMatch(/^Cannot decompress ".*x\.packed" near byte \d+: /);
    }
  });
}

test("a missing file and a folder are errors with the name", async () => {
  using dir = tempDir();
  for (const [path, reason] of [
    [dir.file("missing"), /^Cannot read ".*missing": .*ENOENT/],
    [dir.path, /^Cannot read ".*": .*EISDIR/],
  ] as const) {
    const error = await linesOf(path).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(EventFileError);
    expect((error as EventFileError).message).toMatch(reason);
  }
});

test("a reader may stop early", async () => {
  using dir = tempDir();
  for (const [packing, pack] of Object.entries(PACKINGS)) {
    writeFileSync(dir.file(packing), pack(Buffer.from("a line\n".repeat(200_000))));
    for await (const chunk of readLineChunks(dir.file(packing))) {
      expect(chunk.numbers[0]).toBe(1);
      break;
    }
  }
});

test("standard input is read under the name -", async () => {
  const script = `import { readLines } from "#event"; for await (const { line, number } of readLines("-")) console.log(number, line);`;
  const root = `${import.meta.dir}/../..`;
  for (const pack of Object.values(PACKINGS)) {
    const child = Bun.spawn([process.execPath, "-e", script], {
      cwd: root,
      stdin: Buffer.from(pack(Buffer.from("a\n\nb"))),
      stdout: "pipe",
    });
    expect(await child.stdout.text()).toBe("1 a\n3 b\n");
  }
});
