// kestrel test: runs the tests that rules carry, on the real engine.
import { runRuleTests } from "#engine";
import { loadRules, type Rule } from "#rules";
import type { SchemaRegistry } from "#schema";
import { type Arguments, EXIT, parseArguments } from "./arguments.ts";
import { backendOf } from "./log-input.ts";
import { LineWriter } from "./output.ts";
import { builtinRules } from "./rule-book.ts";
import { registryFrom } from "./schema-file.ts";
import { printable } from "./terminal.ts";

/** Runs the command. */
export async function test(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, { json: "switch", schema: "text", backend: "text" });
  const registry = registryFrom(args.text("schema"));
  const { rules, findings } = await rulesToTest(args, registry);
  const report = await runRuleTests(rules, registry, backendOf(args));
  const failures = report.results.filter((result) => !result.ok);
  const problems = [
    ...findings,
    ...report.problems.map((problem) => `${problem.ruleId}: ${problem.diagnostics[0]?.message ?? "does not load"}`),
  ];
  const writer = new LineWriter();
  if (args.has("json")) {
    for (const { ruleId, name, ok, reason } of report.results) writer.line(JSON.stringify({ rule: ruleId, name, ok, reason }));
    for (const message of problems) writer.line(JSON.stringify({ rule: null, name: "load", ok: false, reason: message }));
  } else {
    for (const { name, reason } of failures) writer.line(`FAIL ${printable(name)}: ${printable(reason)}`);
    for (const message of problems) writer.line(`FAIL ${printable(message)}`);
    for (const id of report.untested) writer.line(`no tests: ${printable(id)}`);
    writer.line(`${rules.length} rules, ${report.results.length - failures.length} of ${report.results.length} tests pass`);
  }
  writer.flush();
  return failures.length === 0 && problems.length === 0 ? EXIT.ok : EXIT.findings;
}

async function rulesToTest(args: Arguments, registry: SchemaRegistry): Promise<{ rules: readonly Rule[]; findings: readonly string[] }> {
  if (args.positionals.length === 0) return { rules: await builtinRules(registry), findings: [] };
  const { rules, problems } = await loadRules(args.positionals, { registry });
  const errors = problems.filter((problem) => problem.diagnostic.severity === "error");
  return {
    rules,
    findings: errors.map(({ file, diagnostic }) => `${file}:${diagnostic.span.line}:${diagnostic.span.column}: ${diagnostic.message}`),
  };
}
