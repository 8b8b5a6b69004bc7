// The back ends agree with the reference evaluator on generated queries and events. KESTREL_SEED repeats a run, KESTREL_RUNS sets its size.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { RecordBuilder } from "#event";
import { SchemaRegistry } from "#schema";
import type { ConditionNode } from "../../src/eql/ir.ts";
import { IrBuilder } from "../../src/eql/ir.ts";
import { emitLua } from "../../src/eql/lua.ts";
import { lowerQuery } from "../../src/eql/query.ts";
import { evaluateCondition } from "../../src/eql/reference.ts";
import { emitWasm } from "../../src/eql/wasm.ts";
import { evaluateLua, viewOf, WasmRunner } from "./backend-support.ts";
import { eventArbitrary, type GeneratedDialect, type GeneratedEvent, queryArbitrary, readerOf } from "./generate.ts";

const seed = Number(process.env["KESTREL_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
/** Queries of one module, events for each module, modules: a run compares their product. */
const QUERIES = 12;
const EVENTS = 25;
const MODULES = Number(process.env["KESTREL_RUNS"] ?? 40);

/** The event as record bytes. */
function recordOf(event: GeneratedEvent, registry: SchemaRegistry): Uint8Array {
  const builder = new RecordBuilder();
  const reader = readerOf(event, registry);
  builder.begin(reader.category, 0n);
  for (const name of [...Object.keys(event.fields), "event.category"]) {
    const field = registry.byName(name)!;
    const value = reader.value(field.id);
    if (value !== undefined) builder.value(field.id, field.type, value);
  }
  const size = builder.finish();
  return builder.bytes.slice(0, size);
}

interface Compiled {
  readonly texts: readonly string[];
  readonly roots: readonly ConditionNode[];
}

function compileAll(queries: readonly string[], dialect: GeneratedDialect, registry: SchemaRegistry): Compiled {
  const builder = new IrBuilder();
  const texts: string[] = [];
  const roots: ConditionNode[] = [];
  for (const text of queries) {
    const { condition } = lowerQuery({ id: "q", text, dialect, exceptions: [], lenientFields: true }, registry, builder);
    if (condition === undefined) continue;
    texts.push(text);
    roots.push(condition);
  }
  return { texts, roots };
}

for (const dialect of ["default", "endgame"] as const) {
  test(`Wasm = Lua = reference, ${dialect} dialect (KESTREL_SEED=${seed})`, () => {
    let pairs = 0;
    let hits = 0;
    const property = fc.property(
      fc.array(queryArbitrary(dialect), { minLength: QUERIES, maxLength: QUERIES }),
      fc.array(eventArbitrary, { minLength: EVENTS, maxLength: EVENTS }),
      (queries, events) => {
        const registry = new SchemaRegistry();
        const { texts, roots } = compileAll(queries, dialect, registry);
        const records = events.map((event) => recordOf(event, registry));
        const bits = new WasmRunner(emitWasm(roots), roots.length).evaluate(records, roots.length);
        const luaBits = evaluateLua(emitLua(roots), records, roots.length);
        for (const [index, event] of events.entries()) {
          const view = viewOf(records[index]!);
          for (const [predicate, root] of roots.entries()) {
            const wanted = evaluateCondition(root, { event: view, variables: [] }) === true;
            pairs++;
            if (wanted) hits++;
            const [wasm, lua] = [bits[index]![predicate], luaBits[index]![predicate]];
            if (wasm !== wanted || lua !== wanted) {
              throw new Error(`${texts[predicate]}\n${Bun.inspect(event)}\nreference ${wanted}, Wasm ${wasm}, Lua ${lua}`);
            }
          }
        }
      },
    );
    fc.assert(property, { seed, numRuns: MODULES });
    console.log(`${dialect}: ${pairs} pairs, ${hits} hits, seed ${seed}`);
    expect(hits).toBeGreaterThan(pairs / 100);
  }, 60_000);
}
