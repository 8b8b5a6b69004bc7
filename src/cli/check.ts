// kestrel check: says for every rule or query whether it compiles and what is wrong, for people or as JSON lines.
import { ANY_KERNEL, type CheckedRule, checkRules, type KernelAbilities, type Rung } from "#engine";
import { EXIT, parseArguments, usageError } from "./arguments.ts";
import { kernelAbilities } from "./kernel-abilities.ts";
import { LineWriter } from "./output.ts";
import { RUNG_TEXT } from "./rung-text.ts";
import { registryFrom } from "./schema-file.ts";
import { printable } from "./terminal.ts";

/** Runs the command. */
export async function check(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, { json: "switch", "lenient-fields": "switch", schema: "text", kernel: "text" });
  if (args.positionals.length === 0) throw usageError("Name at least one rule file or folder to check");
  const checked = await checkRules(args.positionals, {
    registry: registryFrom(args.text("schema")),
    lenientFields: args.has("lenient-fields"),
    kernel: kernelNamed(args.text("kernel") ?? "this"),
  });
  const writer = new LineWriter();
  for (const rule of checked) {
    if (args.has("json")) writer.line(jsonLine(rule));
    else for (const line of textLines(rule)) writer.line(line);
  }
  const failed = checked.filter((rule) => !rule.ok).length;
  if (!args.has("json")) writer.line(`${checked.length - failed} of ${checked.length} compile`);
  writer.flush();
  return failed === 0 ? EXIT.ok : EXIT.findings;
}

function kernelNamed(name: string): () => KernelAbilities {
  if (name === "any") return () => ANY_KERNEL;
  if (name === "this") return () => kernelAbilities(undefined);
  throw usageError(`Flag "--kernel" knows "this" and "any", not "${name}"`);
}

function jsonLine(rule: CheckedRule): string {
  const diagnostics = rule.findings.map(({ diagnostic: { severity, code, message, span } }) => ({
    severity,
    code,
    message,
    line: span.line,
    column: span.column,
  }));
  const { response } = rule;
  return JSON.stringify({ file: rule.file, line: rule.line, id: rule.id, ok: rule.ok, diagnostics, ...(response && { response }) });
}

function textLines(rule: CheckedRule): string[] {
  const findings = rule.findings.flatMap(({ diagnostic: { severity, code, message, span }, excerpt }) => [
    `${printable(rule.file)}:${span.line}:${span.column}: ${severity}: ${printable(message)} [${code}]`,
    ...excerpt.split("\n").filter((line) => line !== ""),
  ]);
  return rule.response === undefined ? findings : [...findings, responseLine(rule, rule.response)];
}

function responseLine(rule: CheckedRule, { action, scope, mode, rung, means, leaves, whyNotHigher }: Rung): string {
  const what = action === "deny" ? `${action}, ${mode}` : `${action} ${scope}, ${mode}`;
  const why = whyNotHigher.length === 0 ? "" : `; not earlier: ${printable(whyNotHigher.join("; "))}`;
  const but = leaves.length === 0 ? "" : `; except: ${printable(leaves.join("; "))}`;
  return `${printable(rule.file)}:${rule.line}: ${printable(rule.id ?? "")}: ${what}: ${RUNG_TEXT[rung]}, ${means}${but}${why}`;
}
