// Users' own modules: what the host functions answer, what is refused before it runs, what stops it while it runs.
import { afterAll, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type Evaluator, KestrelError, RuleFault } from "#core";
import { createModuleEvaluator, EMITTED_BYTES_MAX, HostStatus, type ModuleOptions, WasmRuntime } from "#runtime-wasm";
import { SchemaRegistry } from "#schema";
import { batchOf, type EventSpec } from "./batches.ts";
import { assemble } from "./wat.ts";

const runtime = new WasmRuntime();
const registry = new SchemaRegistry();
afterAll(() => runtime.close());

const matchers = {
  regex: (pattern: string, text: string) => {
    if (pattern === "(") throw new Error("bad pattern");
    return pattern === text;
  },
  glob: (pattern: string, text: string) => text.startsWith(pattern.replace("*", "")),
};

const IMPORTS = `
  (import "kestrel_v1" "event_get_i64" (func $get_i64 (param i32 i32 i32 i32 i32) (result i32)))
  (import "kestrel_v1" "event_get_u64" (func $get_u64 (param i32 i32 i32 i32 i32) (result i32)))
  (import "kestrel_v1" "event_get_f64" (func $get_f64 (param i32 i32 i32 i32 i32) (result i32)))
  (import "kestrel_v1" "event_get_bool" (func $get_bool (param i32 i32 i32 i32) (result i32)))
  (import "kestrel_v1" "event_get_str" (func $get_str (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "kestrel_v1" "re_match" (func $re_match (param i32 i32 i32 i32) (result i32)))
  (import "kestrel_v1" "glob_match" (func $glob_match (param i32 i32 i32 i32) (result i32)))
  (import "kestrel_v1" "capture_field" (func $capture_field (param i32 i32 i32 i32) (result i32)))
  (import "kestrel_v1" "alert_emit" (func $alert_emit (param i32 i32) (result i32)))`;

/** A module whose pred_eval is `body` with `$event`; texts lie in memory at 0, 256, 512 and so on; the text "n" at 65000. */
function moduleOf(body: string, texts: readonly string[] = [], extra = ""): Uint8Array {
  const data = texts.map((text, index) => `(data (i32.const ${index * 256}) "${text}")`).join("\n");
  return assemble(`(module ${IMPORTS}
    (memory (export "memory") 2)
    (data (i32.const 65000) "n")
    ${data}
    ${extra}
    (func (export "pred_eval") (param $event i32) (result i32) ${body}))`);
}

function evaluatorOf(bytes: Uint8Array, options: Partial<ModuleOptions> = {}): Evaluator {
  return createModuleEvaluator(bytes, registry, { runtime, matchers, ...options });
}

/** Result of pred_eval's `body` for one event: the i32 it returns, told through a capture. */
function answer(expression: string, texts: readonly string[], event: EventSpec, options: Partial<ModuleOptions> = {}): number {
  // Each nibble of the number becomes a letter, captured as a text at 66000.
  const body = `(local $n i32) (local $k i32)
    (local.set $n ${expression})
    (loop $l
      (i32.store8 (i32.add (i32.const 66000) (local.get $k)) (i32.add (i32.const 97) (i32.and (i32.shr_u (local.get $n) (i32.mul (local.get $k) (i32.const 4))) (i32.const 15))))
      (local.set $k (i32.add (local.get $k) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $k) (i32.const 8))))
    (drop (call $capture_field (i32.const 65000) (i32.const 1) (i32.const 66000) (i32.const 8)))
    (i32.const 1)`;
  const evaluator = evaluatorOf(moduleOf(body, texts), options);
  try {
    expect([...evaluator.evaluate(batchOf(registry, [event]))]).toEqual([1]);
    const letters = evaluator.emission?.(0)?.captures[0]?.[1] ?? "";
    return [...letters].reduce((sum, letter, index) => sum | ((letter.charCodeAt(0) - 97) << (index * 4)), 0);
  } finally {
    evaluator.close();
  }
}

const at = (index: number, text: string) => `(i32.const ${index * 256}) (i32.const ${Buffer.byteLength(text)})`;
const getter = (name: string, field: string, index = 0, out = "(i32.const 1024)") =>
  `(call $get_${name} (local.get $event) ${at(0, field)} (i32.const ${index}) ${out})`;

const event: EventSpec = {
  fields: {
    "process.name": "bash",
    "process.pid": -7n,
    "process.login_uid": (1n << 64n) - 1n,
    "event.risk_score": 2.5,
    "process.interactive": true,
    "process.args": ["a", "bc", "héé"],
    "source.ip": "10.0.0.1",
  },
};

describe("event_get", () => {
  const cases: readonly (readonly [string, string, string, number, number])[] = [
    ["i64 present", "i64", "process.pid", 0, 0],
    ["i64 absent", "i64", "process.ppid", 0, HostStatus.ABSENT],
    ["i64 unknown field", "i64", "process.nam", 0, HostStatus.UNKNOWN_FIELD],
    ["i64 of a text", "i64", "process.name", 0, HostStatus.WRONG_TYPE],
    ["i64 of a u64 that does not fit", "i64", "process.login_uid", 0, HostStatus.WRONG_TYPE],
    ["i64 past the end", "i64", "process.pid", 1, HostStatus.ABSENT],
    ["u64 present", "u64", "process.login_uid", 0, 0],
    ["u64 of a negative", "u64", "process.pid", 0, HostStatus.WRONG_TYPE],
    ["f64 present", "f64", "event.risk_score", 0, 0],
    ["f64 of an integer", "f64", "process.pid", 0, 0],
    ["f64 of a text", "f64", "process.name", 0, HostStatus.WRONG_TYPE],
  ];
  for (const [name, type, field, index, expected] of cases) {
    test(`${name} → ${expected}`, () => expect(answer(getter(type, field, index), [field], event)).toBe(expected));
  }

  const bools: readonly (readonly [string, number])[] = [
    ["process.interactive", 1],
    ["process.name", HostStatus.WRONG_TYPE],
    ["process.parent.interactive", HostStatus.ABSENT],
    ["no.such", HostStatus.UNKNOWN_FIELD],
  ];
  for (const [field, expected] of bools) {
    test(`bool ${field} → ${expected}`, () => expect(answer(getter("bool", field, 0, ""), [field], event)).toBe(expected));
  }

  const buffer = (length: number) => `(i32.const 2048) (i32.const ${length})`;
  const texts: readonly (readonly [string, number, number, number])[] = [
    ["process.name", 0, 100, 4],
    ["source.ip", 0, 100, 8],
    ["process.args", 1, 100, 2],
    ["process.args", 2, 2, 5],
    ["process.args", 3, 100, HostStatus.ABSENT],
    ["process.name", 1, 100, HostStatus.ABSENT],
    ["process.pid", 0, 100, HostStatus.WRONG_TYPE],
    ["process.name", 0, 0, 4],
  ];
  for (const [field, index, room, expected] of texts) {
    test(`str ${field}[${index}] into ${room} bytes → ${expected}`, () =>
      expect(answer(getter("str", field, index, buffer(room)), [field], event)).toBe(expected));
  }

  test("numbers arrive exactly", () => {
    const read = (type: string, field: string, load: string) =>
      answer(`(block (result i32) (drop ${getter(type, field)}) ${load})`, [field], event);
    expect(read("i64", "process.pid", "(i32.load (i32.const 1024))")).toBe(-7);
    expect(read("u64", "process.login_uid", "(i32.load (i32.const 1028))")).toBe(-1);
    expect(read("f64", "event.risk_score", "(i32.trunc_f64_s (f64.mul (f64.load (i32.const 1024)) (f64.const 10)))")).toBe(25);
  });

  test("a cut text ends at a character and the rest of the buffer is zero", () => {
    // "héé" into 4 bytes: h, é, and one byte that stays zero; the byte behind the buffer is untouched.
    const field = "process.args";
    const expression = `(block (result i32) (i32.store (i32.const 2048) (i32.const -1)) (i32.store (i32.const 2052) (i32.const -1))
      (drop ${getter("str", field, 2, buffer(4))}) (i32.load (i32.const 2048)))`;
    expect(answer(expression, [field], event) >>> 0).toBe(0x00a9c368);
  });

  test("property: each text arrives whole when it fits, cut to a prefix when not", () => {
    const body = `(local $n i32)
      (local.set $n (call $get_str (local.get $event) ${at(0, "process.name")} (i32.const 0) (i32.const 2048) (i32.const 64)))
      (drop (call $capture_field (i32.const 65000) (i32.const 1) (i32.const 2048)
        (select (local.get $n) (i32.const 64) (i32.lt_u (local.get $n) (i32.const 64)))))
      (i32.const 1)`;
    const evaluator = evaluatorOf(moduleOf(body, ["process.name"]));
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (text) => {
        evaluator.evaluate(batchOf(registry, [{ fields: { "process.name": text } }]));
        const got = evaluator.emission?.(0)?.captures[0]?.[1] ?? "";
        const room = new Uint8Array(Math.min(64, Buffer.byteLength(text)));
        new TextEncoder().encodeInto(text, room);
        expect(got).toBe(new TextDecoder().decode(room));
      }),
      { numRuns: 200 },
    );
    evaluator.close();
  });
});

describe("matching", () => {
  const cases: readonly (readonly [string, string, string, number])[] = [
    ["re_match", "abc", "abc", 1],
    ["re_match", "abc", "abd", 0],
    ["re_match", "(", "abc", HostStatus.BAD_PATTERN],
    ["glob_match", "ab*", "abc", 1],
    ["glob_match", "x*", "abc", 0],
  ];
  for (const [name, pattern, text, expected] of cases) {
    test(`${name} ${pattern} on ${text} → ${expected}`, () => {
      expect(answer(`(call $${name} ${at(0, pattern)} ${at(1, text)})`, [pattern, text], event)).toBe(expected);
    });
  }
});

describe("captures and messages", () => {
  test("belong to the record that matched, in order", () => {
    const body = `(drop (call $alert_emit ${at(0, "seen")}))
      (drop (call $capture_field ${at(1, "key")} ${at(2, "value")}))
      (i32.eq (local.get $event) (i32.const 1))`;
    const evaluator = evaluatorOf(moduleOf(body, ["seen", "key", "value"]));
    expect([...evaluator.evaluate(batchOf(registry, [event, event, event]))]).toEqual([0, 1, 0]);
    expect(evaluator.emission?.(0)).toBeUndefined();
    expect(evaluator.emission?.(1)).toEqual({ captures: [["key", "value"]], messages: ["seen"] });
    expect(evaluator.emission?.(2)).toBeUndefined();
    evaluator.close();
  });

  test("pred_capture runs only after a match", () => {
    const extra = `(func (export "pred_capture") (param i32) (drop (call $alert_emit ${at(0, "late")})))`;
    const evaluator = evaluatorOf(moduleOf("(local.get $event)", ["late"], extra));
    evaluator.evaluate(batchOf(registry, [event, event]));
    expect([evaluator.emission?.(0), evaluator.emission?.(1)?.messages]).toEqual([undefined, ["late"]]);
    evaluator.close();
  });

  test("are limited in number and length", () => {
    const body = `(local $k i32)
      (loop $l
        (drop (call $capture_field ${at(0, "k")} (i32.const 0) (i32.const 100000)))
        (drop (call $alert_emit (i32.const 0) (i32.const 100000)))
        (br_if $l (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 100))))
      (i32.const 1)`;
    const evaluator = evaluatorOf(moduleOf(body, ["k"]));
    evaluator.evaluate(batchOf(registry, [event]));
    const emission = evaluator.emission?.(0);
    expect([emission?.captures.length, emission?.messages.length]).toEqual([32, 8]);
    expect([emission?.captures[0]?.[1].length, emission?.messages[0]?.length]).toEqual([EMITTED_BYTES_MAX, EMITTED_BYTES_MAX]);
    evaluator.close();
  });
});

describe("faults", () => {
  const fill = `(loop $l (drop (call $re_match (i32.const 0) (i32.const 4096) (i32.const 0) (i32.const 100000))) (br $l))`;
  const cases: readonly (readonly [name: string, body: string, kind: string, message: RegExp, field?: string])[] = [
    ["endless loop", "(loop $l (br $l)) (i32.const 0)", "fuel", /budget/],
    ["endless host work", `${fill} (i32.const 0)`, "fuel", /budget/],
    ["unreachable", "unreachable", "trap", /unreachable/],
    [
      "name outside memory",
      "(call $get_bool (local.get $event) (i32.const 131070) (i32.const 5) (i32.const 0))",
      "trap",
      /Field name at 131070, 5 bytes, is outside/,
    ],
    ["name at minus one", "(call $get_bool (local.get $event) (i32.const -1) (i32.const -1) (i32.const 0))", "trap", /outside the memory/],
    ["result outside memory", getter("i64", "process.pid", 0, "(i32.const 131065)"), "trap", /Result at 131065/, "process.pid"],
    ["buffer outside memory", getter("str", "process.name", 0, "(i32.const 0) (i32.const -1)"), "trap", /Text buffer/],
    ["pattern outside memory", "(call $re_match (i32.const 0) (i32.const -1) (i32.const 0) (i32.const 0))", "trap", /Pattern/],
    ["message outside memory", "(call $alert_emit (i32.const -4) (i32.const 1))", "trap", /Text at/],
    ["another event's handle", "(call $get_bool (i32.const 5) (i32.const 0) (i32.const 1) (i32.const 0))", "trap", /Event handle 5/],
  ];
  for (const [name, body, kind, message, field = "process.name"] of cases) {
    test(`${name} is a ${kind} fault, and the evaluator stays usable`, () => {
      // Goes wrong only on interactive processes, so the same module can prove that it is usable afterwards.
      const interactive = `(call $get_bool (local.get $event) ${at(2, "process.interactive")} (i32.const 0))`;
      const guarded = `(if (i32.eqz ${interactive}) (then (return (i32.const 1)))) ${body}`;
      const bytes = moduleOf(guarded, [field, "", "process.interactive"]);
      const evaluator = evaluatorOf(bytes, { fuelPerEvent: 1_000_000 });
      try {
        evaluator.evaluate(batchOf(registry, [event]));
        throw new Error("No fault");
      } catch (error) {
        expect(error).toBeInstanceOf(RuleFault);
        expect([(error as RuleFault).kind, (error as RuleFault).predicate]).toEqual([kind as RuleFault["kind"], 0]);
        expect((error as RuleFault).message).toMatch(message);
      }
      const calm = { fields: { "process.interactive": false } };
      expect([...evaluator.evaluate(batchOf(registry, [calm]))]).toEqual([1]);
      evaluator.close();
    });
  }

  test("a memory bomb is refused its memory, and goes on", () => {
    const body = "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 8)) (i32.const -1)))) (i32.le_u (memory.size) (i32.const 256))";
    const evaluator = evaluatorOf(moduleOf(body));
    expect([...evaluator.evaluate(batchOf(registry, [event]))]).toEqual([1]);
    evaluator.close();
  });

  test("property: no arguments to a host function harm the host", () => {
    const edge = fc.oneof(
      fc.integer({ min: -4, max: 4 }),
      fc.integer({ min: 131_060, max: 131_080 }),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    );
    const names = [
      "get_i64",
      "get_u64",
      "get_f64",
      "get_bool",
      "get_str",
      "re_match",
      "glob_match",
      "capture_field",
      "alert_emit",
    ] as const;
    const counts = [5, 5, 5, 4, 6, 4, 4, 4, 2];
    fc.assert(
      fc.property(fc.nat(names.length - 1), fc.array(edge, { minLength: 6, maxLength: 6 }), (which, values) => {
        const args = values.slice(0, counts[which]!).map((value) => `(i32.const ${value})`);
        const evaluator = evaluatorOf(moduleOf(`(drop (call $${names[which]!} ${args.join(" ")})) (i32.const 1)`, ["process.name"]));
        try {
          evaluator.evaluate(batchOf(registry, [event]));
        } catch (error) {
          expect(error).toBeInstanceOf(RuleFault);
        } finally {
          evaluator.close();
        }
      }),
      { numRuns: 100 },
    );
  });
});

describe("modules that are refused", () => {
  const EVAL = '(func (export "pred_eval") (param i32) (result i32) (i32.const 0))';
  const MEMORY = '(memory (export "memory") 1)';
  const cases: readonly (readonly [string, Uint8Array, string, RegExp])[] = [
    ["garbage", new Uint8Array([0, 97, 115, 109, 9]), "compile", /parse|magic|Wasm/],
    ["no bytes", new Uint8Array(0), "invalid-module", /no bytes/],
    ["no pred_eval", assemble(`(module ${MEMORY})`), "bad-module", /"pred_eval", \(i32\) -> i32/],
    ["no memory", assemble(`(module ${EVAL})`), "bad-module", /memory/],
    ["pred_eval of another type", assemble(`(module ${MEMORY} (func (export "pred_eval")))`), "bad-module", /is \(\) -> \(\), it must be/],
    [
      "pred_eval that is no function",
      assemble(`(module ${MEMORY} (global (export "pred_eval") i32 (i32.const 1)))`),
      "bad-module",
      /a global/,
    ],
    [
      "env.abort",
      assemble(`(module (import "env" "abort" (func (param i32 i32 i32 i32))) ${MEMORY} ${EVAL})`),
      "bad-module",
      /--use abort=/,
    ],
    [
      "WASI",
      assemble(`(module (import "wasi_snapshot_preview1" "fd_write" (func)) ${MEMORY} ${EVAL})`),
      "bad-module",
      /wasi_snapshot_preview1.fd_write/,
    ],
    [
      "host function that does not exist",
      assemble(`(module (import "kestrel_v1" "kill" (func)) ${MEMORY} ${EVAL})`),
      "bad-module",
      /kestrel_v1.kill/,
    ],
    [
      "host function of another type",
      assemble(`(module (import "kestrel_v1" "alert_emit" (func)) ${MEMORY} ${EVAL})`),
      "bad-module",
      /it must be \(i32, i32\) -> i32/,
    ],
    [
      "host function as a global",
      assemble(`(module (import "kestrel_v1" "alert_emit" (global i32)) ${MEMORY} ${EVAL})`),
      "bad-module",
      /a global/,
    ],
    ["too much memory", assemble(`(module (memory (export "memory") 300) ${EVAL})`), "start", /memory/],
    ["too large a table", assemble(`(module ${MEMORY} (table 20000 funcref) ${EVAL})`), "start", /table/],
    [
      "pred_init that refuses",
      assemble(`(module ${MEMORY} (func (export "pred_init") (result i32) (i32.const 3)) ${EVAL})`),
      "module-refused",
      /3/,
    ],
    ["pred_init that does not end", assemble(`(module ${MEMORY} (func (export "pred_init") (loop $l (br $l))) ${EVAL})`), "start", /fuel/],
    ["start function that traps", assemble(`(module ${MEMORY} (func $s unreachable) (start $s) ${EVAL})`), "start", /unreachable/],
  ];
  for (const [name, bytes, code, message] of cases) {
    test(`${name}: ${code}`, () => {
      try {
        evaluatorOf(bytes, { fuelToStart: 1_000_000 }).close();
        throw new Error("Was accepted");
      } catch (error) {
        expect(error).toBeInstanceOf(KestrelError);
        expect((error as KestrelError).code).toBe(code);
        expect((error as KestrelError).message).toMatch(message);
      }
    });
  }
});

test("close twice is fine, use after close is an error", () => {
  const evaluator = evaluatorOf(moduleOf("(i32.const 1)"));
  evaluator.close();
  evaluator.close();
  expect(() => evaluator.evaluate(batchOf(registry, [event]))).toThrow("closed");
});
