// The wrappers of libwasmtime: what they give, their traps, and every kind of misuse.
import { afterAll, describe, expect, test } from "bun:test";
import binaryen from "assemblyscript/binaryen";
import { signature, WasmEngine, WasmLinker, WasmModule, WasmStore, WasmTrap } from "#ffi/libwasmtime";
import { codeOf } from "./code-of.ts";

function assemble(text: string): Uint8Array {
  const module = binaryen.parseText(text);
  const bytes = module.emitBinary();
  module.dispose();
  return new Uint8Array(bytes);
}

const bytes = assemble(`(module
  (import "host" "f" (func $f (param i32 i64 f64) (result i32)))
  (memory (export "memory") 1 4)
  (global (export "seven") i32 (i32.const 7))
  (global (export "wide") i64 (i64.const 7))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "host") (param i32) (result i32) (call $f (local.get 0) (i64.const -5000000000) (f64.const 0.5)))
  (func (export "loop") (loop $l (br $l)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func $deep (export "deep") (result i32) (i32.add (call $deep) (i32.const 1)))
  (func (export "divide") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1)))
  (func (export "wide64") (param i64))
  (func (export "unreachable") unreachable)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`);

const engine = new WasmEngine({ stackBytesMax: 256 << 10, parallelCompilation: false });
const module = WasmModule.compile(engine, bytes);
const linker = new WasmLinker(engine);
let seen: unknown[] = [];
linker.define({ module: "host", name: "f" }, ["i32", "i64", "f64"], ["i32"], ({ slots }) => {
  const first = slots.getInt32(0, true);
  if (first === 13) throw new Error("thirteen is refused");
  seen = [first, slots.getBigInt64(16, true), slots.getFloat64(32, true)];
  slots.setInt32(0, first * 2, true);
});
afterAll(() => {
  linker.close();
  module.close();
  engine.close();
});

function start() {
  const store = new WasmStore(engine, { memoryBytesMax: 1 << 20, tableElementsMax: 100 });
  store.setFuel(1_000_000);
  return { store, instance: linker.instantiate(store, module) };
}

describe("calls", () => {
  test("pass arguments and results", () => {
    const { store, instance } = start();
    expect(instance.func("add", "(i32, i32) -> i32").call(-3, 10)).toBe(7);
    expect(instance.global("seven").i32()).toBe(7);
    store.close();
  });

  test("host functions see each type and answer", () => {
    const { store, instance } = start();
    expect(instance.func("host", "(i32) -> i32").call(21)).toBe(42);
    expect(seen).toEqual([21, -5_000_000_000n, 0.5]);
    store.close();
  });

  test("what a host function throws comes back as a trap with its cause", () => {
    const { store, instance } = start();
    try {
      instance.func("host", "(i32) -> i32").call(13);
      throw new Error("No trap");
    } catch (error) {
      expect(error).toBeInstanceOf(WasmTrap);
      expect((error as WasmTrap).trap).toBe("host");
      expect((error as WasmTrap).message).toBe('"host" stopped: thirteen is refused');
      expect(((error as WasmTrap).cause as Error).message).toBe("thirteen is refused");
    }
    store.close();
  });

  test("fuel is counted down and can be read", () => {
    const { store, instance } = start();
    store.setFuel(1000);
    instance.func("add", "(i32, i32) -> i32").call(1, 2);
    expect(Number(store.fuel())).toBeLessThan(1000);
    expect(Number(store.fuel())).toBeGreaterThan(900);
    store.close();
  });
});

describe("traps", () => {
  const cases = [
    { name: "loop", type: "() -> ()", args: [], trap: "out-of-fuel" },
    { name: "load", type: "(i32) -> i32", args: [-8], trap: "memory-out-of-bounds" },
    { name: "deep", type: "() -> i32", args: [], trap: "stack-overflow" },
    { name: "divide", type: "(i32, i32) -> i32", args: [1, 0], trap: "integer-division-by-zero" },
    { name: "divide", type: "(i32, i32) -> i32", args: [-(2 ** 31), -1], trap: "integer-overflow" },
    { name: "unreachable", type: "() -> ()", args: [], trap: "unreachable" },
  ];
  // Signal handlers: JavaScriptCore installs its own when it first runs Wasm, so both orders must work.
  const inJavaScript = () => {
    const source = assemble('(module (memory 1) (func (export "load") (param i32) (result i32) (i32.load (local.get 0))))');
    const instance = new WebAssembly.Instance(new WebAssembly.Module(source as Uint8Array<ArrayBuffer>));
    return () => (instance.exports["load"] as (at: number) => number)(1 << 30);
  };
  for (const { name, type, args, trap } of cases) {
    test(`${name}(${args.join(", ")}) → ${trap}, also after a Wasm trap of JavaScript`, () => {
      const load = inJavaScript();
      for (let round = 0; round < 3; round++) {
        const { store, instance } = start();
        expect(codeOf(() => instance.func(name, type).call(...args))).toBe(trap);
        store.close();
        expect(load).toThrow(WebAssembly.RuntimeError);
      }
    });
  }
});

describe("memory", () => {
  test("a view shows growth by the guest and by the host, up to the limit", () => {
    const { store, instance } = start();
    const memory = instance.memory("memory");
    expect(memory.bytes().byteLength).toBe(65_536);
    instance.func("grow", "(i32) -> i32").call(1);
    expect(memory.bytes().byteLength).toBe(2 * 65_536);
    memory.grow(2);
    memory.bytes()[4 * 65_536 - 4] = 9;
    expect(instance.func("load", "(i32) -> i32").call(4 * 65_536 - 4)).toBe(9);
    expect(codeOf(() => memory.grow(1))).toBe("memory");
    expect(codeOf(() => memory.grow(-1))).toBe("range");
    store.close();
  });
});

describe("modules", () => {
  test("list imports and exports with signatures", () => {
    expect(module.imports()).toEqual([{ module: "host", name: "f", kind: "func", signature: "(i32, i64, f64) -> i32" }]);
    expect(
      module
        .exports()
        .slice(0, 4)
        .map(({ name, kind }) => `${name} ${kind}`),
    ).toEqual(["memory memory", "seven global", "wide global", "add func"]);
    expect(signature(["i32"], [])).toBe("(i32) -> ()");
  });

  test("survive serialization", () => {
    const copy = WasmModule.deserialize(engine, module.serialize());
    expect(copy.exports()).toEqual(module.exports());
    copy.close();
  });

  test("are validated without compiling", () => {
    expect(codeOf(() => WasmModule.validate(engine, bytes))).toBe("no error");
    expect(codeOf(() => WasmModule.validate(engine, bytes.slice(0, 60)))).toBe("invalid-module");
  });

  const garbage = [new Uint8Array([1, 2, 3]), bytes.slice(0, -3), new Uint8Array(1000)];
  for (const [index, input] of garbage.entries()) {
    test(`garbage ${index} is an error, compiled or loaded`, () => {
      expect(codeOf(() => WasmModule.compile(engine, input))).toBe("compile");
      expect(codeOf(() => WasmModule.deserialize(engine, input))).toBe("deserialize");
    });
  }

  test("bytes that are none are refused", () => {
    expect(codeOf(() => WasmModule.compile(engine, new Uint8Array(0)))).toBe("invalid-module");
    expect(codeOf(() => WasmModule.compile(engine, "x" as unknown as Uint8Array))).toBe("type");
  });
});

describe("misuse", () => {
  test("closing twice is fine, use after close is an error", () => {
    const { store, instance } = start();
    const add = instance.func("add", "(i32, i32) -> i32");
    const memory = instance.memory("memory");
    const seven = instance.global("seven");
    store.close();
    store.close();
    expect(codeOf(() => add.call(1, 2))).toBe("closed");
    expect(codeOf(() => memory.bytes())).toBe("closed");
    expect(codeOf(() => seven.i32())).toBe("closed");
    expect(codeOf(() => store.setFuel(1))).toBe("closed");
    expect(codeOf(() => instance.func("add", "(i32, i32) -> i32"))).toBe("closed");
    expect(codeOf(() => linker.instantiate(store, module))).toBe("closed");
  });

  test("closed engines and modules are refused", () => {
    const other = new WasmEngine({ stackBytesMax: 65_536, parallelCompilation: false });
    const compiled = WasmModule.compile(other, bytes);
    other.close();
    other.close();
    expect(codeOf(() => WasmModule.compile(other, bytes))).toBe("closed");
    expect(codeOf(() => new WasmStore(other, { memoryBytesMax: 1, tableElementsMax: 1 }))).toBe("closed");
    expect(compiled.imports().length).toBe(1);
    compiled.close();
    compiled.close();
    expect(codeOf(() => compiled.serialize())).toBe("closed");
    expect(codeOf(() => compiled.imports())).toBe("closed");
  });

  test("a closed linker's functions trap in instances that are left", () => {
    const own = new WasmLinker(engine);
    own.define({ module: "host", name: "f" }, ["i32", "i64", "f64"], ["i32"], () => {});
    const store = new WasmStore(engine, { memoryBytesMax: 1 << 20, tableElementsMax: 1 });
    store.setFuel(1000);
    const instance = own.instantiate(store, module);
    own.close();
    own.close();
    expect(() => instance.func("host", "(i32) -> i32").call(1)).toThrow("already closed");
    expect(codeOf(() => own.instantiate(store, module))).toBe("closed");
    store.close();
  });

  test("wrong names and types are named", () => {
    const { store, instance } = start();
    expect(() => instance.func("none", "() -> ()")).toThrow('does not export function "none"');
    expect(() => instance.func("add", "() -> ()")).toThrow('Export "add" is (i32, i32) -> i32, expected () -> ()');
    expect(codeOf(() => instance.func("memory", "() -> ()"))).toBe("wrong-type");
    expect(codeOf(() => instance.memory("add"))).toBe("wrong-type");
    expect(codeOf(() => instance.global("memory"))).toBe("wrong-type");
    expect(codeOf(() => instance.global("wide").i32())).toBe("wrong-type");
    expect(codeOf(() => instance.global("se\0ven"))).toBe("range");
    store.close();
  });

  test("numbers out of range never reach C", () => {
    const { store, instance } = start();
    const add = instance.func("add", "(i32, i32) -> i32");
    for (const bad of [2 ** 31, 0.5, Number.NaN, undefined as unknown as number]) expect(codeOf(() => add.call(1, bad))).toBe("range");
    for (const bad of [-1, 1n << 64n, 1.5]) expect(codeOf(() => store.setFuel(bad))).toBe("range");
    expect(codeOf(() => new WasmEngine({ stackBytesMax: 2 ** 32, parallelCompilation: false }))).toBe("range");
    expect(codeOf(() => new WasmStore(engine, { memoryBytesMax: -1, tableElementsMax: 1 }))).toBe("range");
    expect(codeOf(() => linker.define({ module: "m", name: "f" }, ["i31"], [], () => {}))).toBe("type");
    expect(codeOf(() => linker.define({ module: "m", name: "f" }, new Array(17).fill("i32"), [], () => {}))).toBe("range");
    store.close();
  });

  test("an import defined twice is an error", () => {
    const own = new WasmLinker(engine);
    own.define({ module: "m", name: "f" }, [], [], () => {});
    expect(codeOf(() => own.define({ module: "m", name: "f" }, [], [], () => {}))).toBe("define");
    own.close();
  });

  test("too many and too few arguments are refused, and types that cannot be passed", () => {
    const { store, instance } = start();
    const add = instance.func("add", "(i32, i32) -> i32");
    for (const count of [0, 1, 3, 17]) expect(codeOf(() => add.call(...new Array(count).fill(1)))).toBe("range");
    expect(codeOf(() => instance.func("wide64", "(i64) -> ()"))).toBe("wrong-type");
    store.close();
  });
});
