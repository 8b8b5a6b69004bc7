// What is wrong with a rule, and where: every row is a text with ‹marks› around the place a finding must point at.
import { describe, expect, test } from "bun:test";
import { parseRuleText, type RuleFormat } from "#rules";

type Row = readonly [name: string, format: RuleFormat, marked: string, code: string, message: RegExp];

const Q = "query: process where true\n";

const ROWS: readonly Row[] = [
  ["unknown key", "yaml", `id: a\n‹nmae›: x\n${Q}`, "unknown-key", /"nmae", did you mean "name"/],
  ["unknown key without a neighbour", "yaml", `id: a\n‹zzzzzz›: x\n${Q}`, "unknown-key", /the keys are id, name/],
  ["unknown key in JSON", "json", `{"id": "a", "‹exeptions›": [], "query": "process where true"}`, "unknown-key", /"exceptions"/],
  ["unknown key in a header", "eql", "// id: a\n// ‹severitty›: low\nprocess where true", "unknown-key", /"severity"/],
  [
    "query key in a header",
    "eql",
    "// id: a\n// ‹query›: process where true\nprocess where true",
    "unknown-key",
    /no place in an .eql header/,
  ],
  ["no id", "yaml", `‹›name: a\n${Q}`, "missing-key", /no "id"/],
  ["an id that is only an anchor", "yaml", `id: &a‹›\nname: b\n${Q}`, "missing-key", /no "id"/],
  ["bad id", "yaml", `id: ‹a b›\n${Q}`, "bad-id", /"a b" is not a rule id/],
  ["no body", "yaml", "‹›id: a\n", "missing-key", /no "query"/],
  ["two bodies", "yaml", `id: a\n${Q}lua: ‹return true›\n`, "two-bodies", /"query" and "lua"/],
  ["unknown severity", "yaml", `id: a\nseverity: ‹hihg›\n${Q}`, "bad-value", /did you mean "high"/],
  ["severity of the wrong kind", "yaml", `id: a\nseverity: ‹3›\n${Q}`, "bad-value", /must be one of low.*here is a number/],
  ["enabled as a word", "yaml", `id: a\nenabled: ‹yes›\n${Q}`, "bad-value", /true or false/],
  ["tags not a list", "yaml", `id: a\ntags: ‹attack›\n${Q}`, "bad-value", /list of texts/],
  ["a number among tags", "yaml", `id: a\ntags: [x, ‹3›]\n${Q}`, "bad-value", /list of texts, here is a number/],
  ["scope without an action", "yaml", `id: a\nscope: ‹tree›\n${Q}`, "scope-without-action", /for the actions "kill" and "suspend"/],
  ["unknown scope", "yaml", `id: a\naction: kill\nscope: ‹tre›\n${Q}`, "bad-value", /did you mean "tree"/],
  [
    "throttle of a rule with an action",
    "yaml",
    `id: a\naction: kill\nthrottle: ‹{ limit: 1, window: 1s }›\n${Q}`,
    "throttle-ignored",
    /what it does, it says/,
  ],
  ["unknown action", "yaml", `id: a\naction: ‹dney›\n${Q}`, "bad-value", /did you mean "deny"/],
  ["throttle window", "yaml", `id: a\nthrottle: { limit: 3, window: ‹1x› }\n${Q}`, "bad-value", /"window"/],
  ["throttle limit", "yaml", `id: a\nthrottle: { limit: ‹0›, window: 1s }\n${Q}`, "bad-value", /whole number/],
  ["throttle key", "yaml", `id: a\nthrottle: { limit: 1, window: 1s, ‹bye›: [host.name] }\n${Q}`, "unknown-key", /"by"/],
  ["throttle field", "yaml", `id: a\nthrottle: { by: [‹host.nam›], limit: 1, window: 1s }\n${Q}`, "unknown-field", /"host.name"/],
  ["capture field", "yaml", `id: a\ncapture: [process.pid, ‹process.nam›]\n${Q}`, "unknown-field", /"process.name"/],
  ["test case that is an event", "yaml", `id: a\n${Q}tests:\n  match:\n    - ‹{ a: 1 }›\n`, "bad-value", /begin the event with "- - "/],
  ["tests key", "yaml", `id: a\n${Q}tests:\n  ‹nomatch›: []\n`, "unknown-key", /"no_match"/],
  ["event that is a text", "yaml", `id: a\n${Q}tests:\n  match: [[‹x›]]\n`, "bad-value", /mapping of fields/],
  ["match of a Lua rule", "yaml", "id: a\nlua: return true\nmatch: ‹all›\n", "match-without-query", /"match" is for "query"/],
  ["unknown match", "yaml", `id: a\nmatch: ‹lates›\n${Q}`, "bad-value", /did you mean "latest"/],
  ["dialect of a Lua rule", "yaml", "id: a\nlua: return true\ndialect: ‹endgame›\n", "dialect-without-query", /"dialect" is for "query"/],
  ["duplicate key", "yaml", `id: a\n${Q}‹id›: b\n`, "duplicate-key", /"id" is already given/],
  ["duplicate key in JSON", "json", `{"id": "a", "‹i›d": "b"}`, "json-syntax", /"id" is already given/],
  ["JSON syntax", "json", `{"id": "a",\n "query": ‹,› }`, "json-syntax", /Expected a value instead of ","/],
  ["alias loop", "yaml", "id: a\ntags: &x\n  - ‹*x›\nquery: process where true\n", "alias-loop", /inside the value/],
  ["unknown alias", "yaml", "id: a\nname: ‹*x›\nquery: process where true\n", "unknown-alias", /no anchor|Unresolved/],
  ["a query with a colon", "yaml", 'id: a\nquery: ‹process where process.name : "x" and user.name : "y"›\n', "yaml-colon", /"query: \|"/],
  [
    "a query with a colon on its second line",
    "yaml",
    'id: a\nquery: ‹process where›\n  process.name : "x" and\n  true\n',
    "yaml-colon",
    /"query"/,
  ],
  ["a name with a colon in a list", "yaml", `- id: a\n  name: ‹Evil: twin›\n  ${Q}`, "yaml-colon", /"name: \|"/],
  ["a list where a rule should be", "yaml", "- ‹just text›\n", "not-a-rule", /this is a text/],
  ["no rule", "yaml", "‹›# nothing here\n", "no-rule", /no rule/],
  ["header without the space", "eql", "// id: a\n‹//severity: high›\nprocess where true", "header-spacing", /one space/],
  ["wasm in an upload", "yaml", "id: a\nwasm: ‹x.wasm›\n", "wasm-needs-file", /wasm_base64/],
  ["bytes that are no module", "yaml", "id: a\nwasm_base64: ‹AAAA›\n", "not-wasm", /\\0asm/],
  ["not base64", "yaml", "id: a\nwasm_base64: '‹@@@›'\n", "bad-base64", /base64/],
  // Findings of the EQL compiler, wherever the query stands.
  ["query in a block", "yaml", "id: a\nquery: |\n  process where\n    ‹process.nam› == 1\n", "unknown-field", /process\.name/],
  [
    "query in a deep block",
    "yaml",
    "- id: a\n  query: |2-\n\n      process where\n        true and ‹process.nam› == 1\n",
    "unknown-field",
    /process\.name/,
  ],
  ["query folded", "yaml", "id: a\nquery: >-\n  process where\n  true and\n  ‹process.nam› == 1\n", "unknown-field", /process\.name/],
  [
    "query in quotes",
    "yaml",
    `id: a\nquery: "process where user.name == \\"\\\\n\\" and\\n  ‹process.nam› == 1"\n`,
    "unknown-field",
    /process\.name/,
  ],
  [
    "query in single quotes",
    "yaml",
    `id: a\nquery: 'process where user.name == "it''s" and ‹process.nam› == 1'\n`,
    "unknown-field",
    /process\.name/,
  ],
  ["query over plain lines", "yaml", "id: a\nquery: process where true and\n   ‹process.nam› == 1\n", "unknown-field", /process\.name/],
  [
    "query in JSON",
    "json",
    `{"id": "a", "query": "process where user.name == \\"\\u00e9\\" and\\n ‹process.nam› == 1"}`,
    "unknown-field",
    /process\.name/,
  ],
  ["query in a list", "jsonl", `{"id": "a", "query": "process where ‹process.nam› == 1"}`, "unknown-field", /process\.name/],
  ["query under a header", "eql", "// id: a\n\n// why\nprocess where\n  ‹process.nam› == 1", "unknown-field", /process\.name/],
  ["query in TOML", "toml", `[rule]\nid = "a"\nquery = '''\nprocess where\n  ‹process.nam› == 1\n'''\n`, "unknown-field", /process\.name/],
  [
    "query in escaped TOML",
    "toml",
    `[rule]\nid = "a"\nquery = "process where user.name == \\"x\\" and ‹process.nam› == 1"\n`,
    "unknown-field",
    /process\.name/,
  ],
  ["exception", "yaml", `id: a\n${Q}exceptions:\n  - 'user.name == "x"'\n  - '‹process.nam› == "x"'\n`, "unknown-field", /process\.name/],
];

/** Finds the marked place as offsets of the text without marks. */
function unmark(marked: string): { readonly text: string; readonly from: number; readonly to: number } {
  const from = marked.indexOf("‹");
  const to = marked.indexOf("›") - 1;
  return { text: marked.replace(/[‹›]/g, ""), from, to };
}

describe("findings point at their place", () => {
  for (const [name, format, marked, code, message] of ROWS) {
    test(name, () => {
      const { text, from, to } = unmark(marked);
      const { problems } = parseRuleText(text, { file: `x.${format}`, format });
      expect(problems.map(({ diagnostic }) => diagnostic.code)).toEqual([code]);
      const { span, message: said } = problems[0]!.diagnostic;
      expect(said).toMatch(message);
      const before = text.slice(0, from).split("\n");
      expect({ from: span.from, line: span.line, column: span.column }).toEqual({
        from,
        line: before.length,
        column: (before.at(-1) ?? "").length + 1,
      });
      if (code !== "header-spacing" && to > from) expect(text.slice(span.from, span.to)).toBe(text.slice(from, to));
    });
  }
});

test("one run shows every finding, in the order of the file", () => {
  const text = "id: a\nseverity: hihg\nquery: |\n  process where\n    foo.bar == 1\ncapture: [process.nam]\nmore: 1\n";
  const { problems } = parseRuleText(text, { file: "x.yaml", format: "yaml" });
  expect(problems.map(({ diagnostic }) => diagnostic.span.line)).toEqual([2, 5, 6, 7]);
  expect(problems.every(({ file, ruleId }) => file === "x.yaml" && ruleId === "a")).toBe(true);
});

test("an excerpt is the line with a caret below", () => {
  const { problems } = parseRuleText("id: a\nseverity:\thihg\nquery: process where true", { file: "x.yaml", format: "yaml" });
  expect(problems[0]?.excerpt).toBe("severity: hihg\n          ^^^^");
  const long = parseRuleText(`{"id": "a", "name": "${"n".repeat(250)}", "severity": "hihg", "query": "process where true"}`, {
    file: "x.json",
    format: "json",
  });
  const [line = "", caret = ""] = (long.problems[0]?.excerpt ?? "").split("\n");
  expect(line.length).toBeLessThanOrEqual(120);
  expect(line.slice(caret.indexOf("^"), caret.length)).toBe("hihg");
});

test("lenient fields are warnings and the rule loads", () => {
  const text = "id: a\nquery: process where foo.bar == 1\ncapture: [foo.baz]\n";
  const { entries, problems } = parseRuleText(text, { file: "x.yaml", format: "yaml", lenientFields: true });
  expect(problems.map(({ diagnostic }) => `${diagnostic.severity} ${diagnostic.code}`)).toEqual([
    "warning unknown-field",
    "warning unknown-field",
  ]);
  expect(entries[0]?.rule?.id).toBe("a");
});

test("an id used twice names both places", () => {
  const text = "id: a\nquery: process where true\n---\nid: a\nquery: process where false\n";
  const { entries, problems } = parseRuleText(text, { file: "x.yaml", format: "yaml" });
  expect(entries.map((entry) => entry.rule !== null)).toEqual([true, false]);
  expect(problems[0]?.diagnostic.message).toBe('Rule id "a" at x.yaml:4 is already used at x.yaml:1');
});
