// The variables kept of an environment: by whole name, byte for byte, in their order; never more than asked for.
import { expect, test } from "bun:test";
import fc from "fast-check";
import { VARIABLES_MAX, VariableFilter } from "../../src/ebpf/environment.ts";

const SEED = Number(Bun.env["KESTREL_SEED"] ?? 20_260_714);

function choose(names: readonly string[], text: string): readonly string[] {
  return new VariableFilter(names).choose(new Uint8Array(Buffer.from(text)));
}

const CASES: readonly (readonly [string, readonly string[], string, readonly string[]])[] = [
  ["by whole name", ["LD_PRELOAD"], "A=1\0LD_PRELOAD=/x.so\0LD_PRELOAD_X=2\0XLD_PRELOAD=3\0", ["LD_PRELOAD=/x.so"]],
  ["case counts", ["http_proxy"], "HTTP_PROXY=a\0http_proxy=b\0", ["http_proxy=b"]],
  ["an empty value", ["A"], "A=\0", ["A="]],
  ["values with an equals sign", ["A"], "A=b=c\0", ["A=b=c"]],
  ["the same name twice", ["A"], "A=1\0B=2\0A=3\0", ["A=1", "A=3"]],
  ["no name, no value, nothing", ["A", "B"], "=x\0A\0\0B=1\0", ["B=1"]],
  ["no NUL at the end", ["A", "B"], "B=1\0A=2", ["B=1", "A=2"]],
  ["names beyond ASCII", ["Ä"], "Ä=1\0", ["Ä=1"]],
  [
    "long names",
    ["A".repeat(31), "A".repeat(40)],
    `${"A".repeat(31)}=1\0${"A".repeat(35)}=2\0${"A".repeat(40)}=3\0`,
    [`${"A".repeat(31)}=1`, `${"A".repeat(40)}=3`],
  ],
  ["no names", [], "A=1\0", []],
];

test.each(CASES)("%s", (_what, names, text, chosen) => {
  expect(choose(names, text)).toEqual(chosen);
});

test("any bytes give what a split gives, at most the limit", () => {
  const entry = fc.oneof(fc.string({ unit: "grapheme-ascii", maxLength: 12 }), fc.constantFrom("A=1", "AB=2", "ABC=", "A", "=", "AB"));
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 600 }), (entries) => {
      const clean = entries.map((text) => text.replaceAll("\0", "."));
      const wanted = clean.filter((text) => text.startsWith("A=") || text.startsWith("ABC=")).slice(0, VARIABLES_MAX);
      expect(choose(["A", "ABC"], clean.map((text) => `${text}\0`).join(""))).toEqual(wanted);
    }),
    { seed: SEED, numRuns: 300 },
  );
  expect(() => choose(["A"], "\ud800=\0")).not.toThrow();
  expect(choose(["A"], "A=1\0".repeat(5000))).toHaveLength(VARIABLES_MAX);
});
