// The cache of compiled modules: what it takes, and everything it must not take.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { WasmRuntime } from "#runtime-wasm";
import { assemble } from "./wat.ts";

const bytes = assemble('(module (func (export "one") (result i32) (i32.const 1)))');
const other = assemble('(module (func (export "two") (result i32) (i32.const 2)))');
let directory = "";

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), "kestrel-test-")), "cache");
});
afterEach(() => rmSync(join(directory, ".."), { recursive: true, force: true }));

/** Opens a module in a fresh runtime, as the next start would, and tells what the cache did. */
function start(wasm: Uint8Array): { hits: number; misses: number; rejected: number; exports: string[] } {
  const runtime = new WasmRuntime({ cacheDirectory: directory, parallelCompilation: false });
  const lease = runtime.openModule(wasm);
  const exports = lease.module.exports().map(({ name }) => name);
  lease.close();
  runtime.close();
  return { ...runtime.cacheCounts, exports };
}

function onlyFile(): string {
  const files = readdirSync(directory);
  expect(files.length).toBe(1);
  return join(directory, files[0]!);
}

describe("a private directory", () => {
  test("the second start finds the module compiled", () => {
    expect(start(bytes)).toEqual({ hits: 0, misses: 1, rejected: 0, exports: ["one"] });
    expect(start(bytes)).toEqual({ hits: 1, misses: 0, rejected: 0, exports: ["one"] });
  });

  test("a file altered in any one byte is rejected, compiled again and replaced", () => {
    start(bytes);
    const path = onlyFile();
    const good = readFileSync(path);
    fc.assert(
      fc.property(fc.nat(good.byteLength - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        // Bytes 12…15 are the header's padding: nothing reads them.
        fc.pre(at < 12 || at >= 16);
        const bad = Buffer.from(good);
        bad[at] = bad[at]! ^ flip;
        writeFileSync(path, bad);
        expect(start(bytes)).toEqual({ hits: 0, misses: 0, rejected: 1, exports: ["one"] });
        expect(readFileSync(path).equals(good) || start(bytes).hits === 1).toBe(true);
      }),
      { numRuns: 12 },
    );
  });

  test("a file cut short is rejected", () => {
    start(bytes);
    const good = readFileSync(onlyFile());
    for (const length of [0, 7, 79, 80, good.byteLength - 1]) {
      writeFileSync(onlyFile(), good.subarray(0, length));
      expect(start(bytes).rejected).toBe(1);
    }
  });

  test("another module's file under this module's name is rejected", () => {
    start(bytes);
    const path = onlyFile();
    rmSync(path);
    start(other);
    const foreign = readFileSync(onlyFile());
    writeFileSync(path, foreign, { mode: 0o600 });
    expect(start(bytes)).toEqual({ hits: 0, misses: 0, rejected: 1, exports: ["one"] });
  });

  test("a symbolic link and a file others may write are rejected", () => {
    start(bytes);
    const path = onlyFile();
    const good = readFileSync(path);
    const elsewhere = join(directory, "..", "elsewhere");
    writeFileSync(elsewhere, good, { mode: 0o600 });
    rmSync(path);
    symlinkSync(elsewhere, path);
    expect(start(bytes).rejected).toBe(1);
    chmodSync(onlyFile(), 0o666);
    expect(start(bytes).rejected).toBe(1);
    expect(start(bytes).hits).toBe(1);
  });
});

test("a directory that others may enter is not used, and that is said", () => {
  start(bytes);
  chmodSync(directory, 0o755);
  const runtime = new WasmRuntime({ cacheDirectory: directory });
  expect(runtime.cacheState).toMatchObject({ kind: "refused", reason: expect.stringContaining("mode 755") });
  runtime.openModule(bytes).close();
  expect(runtime.cacheCounts).toEqual({ hits: 0, misses: 0, rejected: 0 });
  runtime.close();
});

test("a path that is a file is not used, and that is said", () => {
  writeFileSync(directory, "");
  const runtime = new WasmRuntime({ cacheDirectory: directory });
  expect(runtime.cacheState.kind).toBe("refused");
  runtime.close();
});

test("two users of one module share it; the last one frees it", () => {
  const runtime = new WasmRuntime();
  const first = runtime.openModule(bytes);
  const second = runtime.openModule(bytes);
  expect(second.module).toBe(first.module);
  first.close();
  first.close();
  expect(second.module.exports().length).toBe(1);
  second.close();
  expect(() => second.module.exports()).toThrow("closed");
  runtime.close();
});
