// The reference evaluator on generated pairs: every generated query compiles, and evaluation is three-valued logic's.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createReferencePredicate, type QuerySource } from "#eql";
import { SchemaRegistry } from "#schema";
import { eventArbitrary, type GeneratedDialect, queryArbitrary, readerOf } from "./generate.ts";

const SEED = Number(process.env["KESTREL_SEED"] ?? 20251122);
const registry = new SchemaRegistry();

function source(text: string, dialect: GeneratedDialect): QuerySource {
  return { id: "generated", text, dialect, exceptions: [], lenientFields: false };
}

function negated(query: string): string {
  return query.replace(/^(\S+) where (.*)$/su, "any where not ($2)");
}

for (const dialect of ["default", "endgame"] as const) {
  describe(`generated queries, ${dialect} dialect, seed ${SEED}`, () => {
    test("compile, and not(query) is its negation", () => {
      const truths = { true: 0, false: 0, null: 0, skipped: 0 };
      fc.assert(
        fc.property(queryArbitrary(dialect), fc.array(eventArbitrary, { minLength: 3, maxLength: 3 }), (query, events) => {
          const anyQuery = query.replace(/^\S+ where/u, "any where");
          const compiled = createReferencePredicate(source(anyQuery, dialect), registry);
          const errors = compiled.diagnostics.filter((item) => item.severity === "error" && item.code !== "division-by-zero");
          if (errors.length > 0) throw new Error(errors.map((item) => item.message).join("; "));
          if (compiled.predicate === undefined) {
            truths.skipped++;
            return;
          }
          const opposite = createReferencePredicate(source(negated(query), dialect), registry).predicate!;
          for (const event of events) {
            const reader = readerOf(event, registry);
            const truth = compiled.predicate(reader);
            truths[`${truth}`]++;
            expect(opposite(reader)).toBe(truth === null ? null : !truth);
          }
        }),
        { seed: SEED, numRuns: 400 },
      );
      // Not vacuous: all three truths occur often.
      expect(Math.min(truths.true, truths.false, truths.null)).toBeGreaterThan(100);
      expect(truths.skipped).toBeLessThan(100);
    });
  });
}
