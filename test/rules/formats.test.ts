// One rule in every format gives the same rule; each format's own words and refusals.
import { describe, expect, test } from "bun:test";
import { parseRuleText, RULE_KEYS, type Rule, type RuleFormat, ruleFormatOf, ruleToJson, ruleToYaml } from "#rules";

const QUERY = 'process where process.name == "nc" and\n  process.args like "-e*"\n';

/** The single rule of a text that must load without a finding. */
function only(text: string, format: RuleFormat, file = `folder/sample.${format}`): Rule {
  const { entries, problems } = parseRuleText(text, { file, format });
  expect(problems.map((problem) => `${problem.diagnostic.message}\n${problem.excerpt}`)).toEqual([]);
  expect(entries.length).toBe(1);
  return entries[0]?.rule as Rule;
}

const YAML = `id: sample.rule
name: Sample
description: What it sees
severity: high
tags: [attack.execution, attack.t1059]
references: ['https://example.org/a']
enabled: false
query: |
  process where process.name == "nc" and
    process.args like "-e*"
capture: [process.command_line, user.name]
exceptions: ['user.name == "ci"']
mode: enforce
throttle: { by: [host.name], limit: 10, window: 1m }
tests:
  match: [[{ process: { name: nc, pid: 18446744073709551615 } }]]
  no_match: [[{ process.name: cat }, { process.name: ls }]]
`;

const EQL = `// id: sample.rule
// name: Sample
// A sentence that is no key stays a comment
// description: What it sees
// severity: high
// tags: [attack.execution, attack.t1059]
// references: ['https://example.org/a']
// enabled: false
// capture:
//   - process.command_line
//   - user.name
// exceptions: ['user.name == "ci"']
// mode: enforce
// throttle: { by: [host.name], limit: 10, window: 1m }
// tests:
//   match: [[{ process: { name: nc, pid: 18446744073709551615 } }]]
//   no_match:
//     - - { process.name: cat }
//       - { process.name: ls }

${QUERY}`;

const JSON_TEXT = `{
  "id": "sample.rule", "name": "Sample", "description": "What it sees", "severity": "high",
  "tags": ["attack.execution", "attack.t1059"], "references": ["https:\\/\\/example.org\\/a"], "enabled": false,
  "query": ${JSON.stringify(QUERY)},
  "capture": ["process.command_line", "user.name"], "exceptions": ["user.name == \\"ci\\""], "mode": "enforce",
  "throttle": {"by": ["host.name"], "limit": 10, "window": "1m"},
  "tests": {"match": [[{"process": {"name": "nc", "pid": 18446744073709551615}}]], "no_match": [[{"process.name": "cat"}, {"process.name": "ls"}]]}
}`;

const EXPECTED = {
  id: "sample.rule",
  name: "Sample",
  description: "What it sees",
  severity: "high",
  tags: ["attack.execution", "attack.t1059"],
  references: ["https://example.org/a"],
  enabled: false,
  body: { kind: "eql", query: QUERY, dialect: "default" },
  capture: ["process.command_line", "user.name"],
  exceptions: ['user.name == "ci"'],
  action: "alert",
  scope: "process",
  mode: "enforce",
  match: "latest",
  throttle: { by: ["host.name"], limit: 10, windowMs: 60_000 },
  tests: {
    match: [[{ process: { name: "nc", pid: 18446744073709551615n } }]],
    noMatch: [[{ "process.name": "cat" }, { "process.name": "ls" }]],
  },
} as const;

/** A rule without its place and with the query's outer space trimmed: `.eql` keeps the line breaks before it. */
function comparable(rule: Rule): unknown {
  const { source: _source, body, ...rest } = rule;
  return { ...rest, body: body.kind === "eql" ? { ...body, query: `${body.query.trim()}\n` } : body };
}

describe("one rule, every format", () => {
  const forms: readonly (readonly [RuleFormat, string])[] = [
    ["yaml", YAML],
    ["yaml", YAML.replaceAll("\n", "\r\n")],
    ["yaml", `\uFEFF${YAML}`],
    ["yaml", `- ${YAML.trimEnd().replaceAll("\n", "\n  ")}\n`],
    ["json", JSON_TEXT],
    ["json", `[${JSON_TEXT}]`],
    ["jsonl", JSON_TEXT.replaceAll("\n", " ")],
    ["eql", EQL],
    ["eql", EQL.replaceAll("\n", "\r\n").replace(QUERY.replaceAll("\n", "\r\n"), QUERY)],
  ];
  for (const [index, [format, text]] of forms.entries()) {
    test(`${format} ${index}`, () => {
      expect(comparable(only(text, format))).toEqual(EXPECTED as never);
    });
  }
});

test("what is printed reads back as the same rule", () => {
  const rule = only(YAML, "yaml");
  expect(comparable(only(ruleToYaml(rule), "yaml"))).toEqual(comparable(rule));
  expect(Object.keys(ruleToJson(rule))).toEqual(RULE_KEYS.filter((key) => !["lua", "wasm", "wasm_base64"].includes(key)));
  const module = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  const wasm = only(`id: w\nwasm_base64: ${Buffer.from(module).toString("base64")}`, "yaml");
  expect(wasm.body).toEqual({ kind: "wasm", bytes: module });
  expect(comparable(only(ruleToYaml(wasm), "yaml"))).toEqual(comparable(wasm));
  const lua = only('id: l\nlua: |\n  return event["process.name"] == "nc"\n', "yaml");
  expect(comparable(only(ruleToYaml(lua), "yaml"))).toEqual(comparable(lua));
});

describe("without tests", () => {
  const read = (text: string, withoutTests: boolean): unknown => {
    const { entries, problems } = parseRuleText(text, { file: "x.yaml", format: "yaml", withoutTests });
    expect(problems).toEqual([]);
    return entries.map(({ rule, span }) => ({ ...rule, span, tests: null }));
  };
  const block = "tests:\n  match:\n    - - { a: 1 }\n\n  no_match:\n  - - b: 2\n";
  const texts: readonly string[] = [
    YAML,
    `${YAML}---\n${YAML.replace("sample.rule", "other")}`,
    `id: a\n${block}query: process where true\n`,
    `id: a\n${block}# note\nquery: |\n  process where\n  true\n${""}`.replaceAll("\n", "\r\n"),
    `id: a\n${block}---\nid: b\ntests: # none\n- - [x: 1]\nquery: process where true\n`
      .replace("id: a\n", "id: a\nquery: process where true\n")
      .replace("- - [x: 1]\n", ""),
    `- id: a\n  query: process where true\n  tests: { match: [[{ a: 1 }]] }\n`,
    `id: a\ntests:\n  match:\n    - - &e { a: 1 }\nname: &n x\ndescription: *n\nquery: process where true\n`,
    `id: a\nname: >-\n  tests:\n  x\nquery: process where true\n`,
  ];
  for (const [index, text] of texts.entries()) {
    test(`the same rules ${index}`, () => {
      expect(read(text, true)).toEqual(read(text, false) as never);
    });
  }
  test("the tests are gone, and an anchor inside them brings them back", () => {
    const testsOf = (text: string): number | undefined =>
      parseRuleText(text, { file: "x.yaml", format: "yaml", withoutTests: true }).entries[0]?.rule?.tests.match.length;
    expect(testsOf(`id: a\n${block}query: process where true\n`)).toBe(0);
    expect(testsOf("id: a\ntests:\n  match:\n    - - a: &v text\nname: *v\nquery: process where true\n")).toBe(1);
  });
});

test("only id and body are needed", () => {
  const rule = only("id: a\nquery: process where true", "yaml");
  expect(comparable(rule)).toEqual({
    id: "a",
    name: "a",
    description: "",
    severity: "medium",
    tags: [],
    references: [],
    enabled: true,
    body: { kind: "eql", query: "process where true\n", dialect: "default" },
    capture: [],
    exceptions: [],
    action: "alert",
    scope: "process",
    mode: "monitor",
    match: "latest",
    throttle: null,
    tests: { match: [], noMatch: [] },
  } as never);
});

test("several YAML documents, empty ones aside", () => {
  const { entries, problems } = parseRuleText("---\nid: a\nquery: process where true\n---\n---\nid: b\nquery: process where false\n...\n", {
    file: "x.yaml",
    format: "yaml",
  });
  expect(problems).toEqual([]);
  expect(entries.map((entry) => [entry.id, entry.span.line])).toEqual([
    ["a", 2],
    ["b", 6],
  ]);
});

test("an .eql file without a header takes its name as id", () => {
  expect(only("process where true", "eql", "rules/nightly.eql").id).toBe("nightly");
  expect(only("// About this: a comment\n/* and */ process where true", "eql", "rules/nightly.eql").id).toBe("nightly");
});

describe("a list of another tool", () => {
  const lines = [
    '{"id": 7, "query": "process where true", "expected_event_ids": [1]}',
    "",
    '{"query": "process where false", "os": ["linux"]}',
  ];
  test("keeps its ids, numbers the rest, leaves foreign keys out", () => {
    const { entries, problems } = parseRuleText(lines.join("\n"), { file: "list.jsonl", format: "jsonl" });
    expect(problems).toEqual([]);
    expect(entries.map((entry) => [entry.id, entry.span.line])).toEqual([
      ["7", 1],
      ["list:3", 3],
    ]);
  });
  test("a broken line does not stop the others", () => {
    const { entries } = parseRuleText(`${lines[0]}\n{"id": \n[1]\n${lines[2]}`, { file: "list.jsonl", format: "jsonl" });
    expect(entries.map((entry) => [entry.span.line, entry.rule !== null])).toEqual([
      [1, true],
      [2, false],
      [3, false],
      [4, true],
    ]);
  });
});

const TOML = `[metadata]
creation_date = "2024/01/02"
maturity = "production"

[rule]
author = ["Somebody"]
description = """
Two lines
of text.
"""
language = "eql"
name = "Netcat # not a comment"
references = ["https://example.org/a"]
risk_score = 73
rule_id = "00000000-1111-2222-3333-444444444444"
tags = ["Domain: Endpoint", 'OS: Linux']
type = "eql"
query = '''
process where process.name == "nc" and
  process.args like "-e*"
'''

[[rule.threat]]
framework = "MITRE ATT&CK"
[[rule.threat.technique]]
id = "T1059"
name = "Interpreter"
[[rule.threat.technique.subtechnique]]
id = "T1059.004"
[rule.threat.tactic]
id = "TA0011"
name = "Command and Control"
`;

describe("the public TOML form", () => {
  test("maps what Kestrel knows", () => {
    const rule = only(TOML, "toml");
    expect(rule).toMatchObject({
      id: "00000000-1111-2222-3333-444444444444",
      name: "Netcat # not a comment",
      description: "Two lines\nof text.",
      severity: "high",
      references: ["https://example.org/a"],
      tags: ["Domain: Endpoint", "OS: Linux", "attack.command-and-control", "attack.t1059", "attack.t1059.004"],
      body: { kind: "eql", query: QUERY, dialect: "default" },
    });
  });

  test("an endpoint rule with top-level threats and an id", () => {
    const text = `[rule]\nid = "abc"\nname = "n"\nquery = "process where true"\n[[threat]]\n[threat.tactic]\nname = "Execution"\n`;
    expect(only(text, "toml")).toMatchObject({ id: "abc", severity: "medium", tags: ["attack.execution"] });
  });

  const refusals: readonly (readonly [text: string, code: string, line: number])[] = [
    [TOML.replace('language = "eql"', 'language = "kuery"'), "not-eql", 11],
    [TOML.replace('type = "eql"', 'type = "threshold"'), "not-eql", 11],
    ['[rule]\ntype = "machine_learning"\n', "not-eql", 2],
    ["[metadata]\na = 1\n", "not-a-rule", 1],
    ["[rule]\nname = \n", "toml-syntax", 2],
    ['[rule]\nid = "x"\n', "missing-key", 1],
  ];
  for (const [text, code, line] of refusals) {
    test(`${code} line ${line}`, () => {
      const { problems } = parseRuleText(text, { file: "x.toml", format: "toml" });
      expect(problems.map(({ diagnostic }) => [diagnostic.code, diagnostic.span.line])).toEqual([[code, line]]);
    });
  }
});

test("formats by file name", () => {
  const names = ["a.yaml", "b.YML", "c.json", "d.jsonl", "e.eql", "f.toml", "g.txt", "noextension", "h.yaml.bak"];
  expect(names.map(ruleFormatOf)).toEqual(["yaml", "yaml", "json", "jsonl", "eql", "toml", undefined, undefined, undefined]);
});
