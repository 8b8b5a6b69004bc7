// kestrel rules: lists rules, or shows one as YAML.

import { loadRules, type Rule, ruleToYaml } from "#rules";
import type { SchemaRegistry } from "#schema";
import { nearestName } from "#schema";
import { EXIT, parseArguments, usageError } from "./arguments.ts";
import { LineWriter } from "./output.ts";
import { builtinRules } from "./rule-book.ts";
import { registryFrom } from "./schema-file.ts";
import { printable } from "./terminal.ts";

/** Runs the command. */
export async function rules(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, { json: "switch", schema: "text" });
  const registry = registryFrom(args.text("schema"));
  const show = args.positionals[0] === "show";
  const id = show ? args.positionals[1] : undefined;
  const paths = args.positionals.slice(show ? 2 : 0);
  if (show && id === undefined) throw usageError("Name the rule to show");
  const known = await rulesOf(paths, registry);
  if (known.length === 0) throw usageError(`No rule loads from ${printable(paths.join(", "))}`);
  const writer = new LineWriter();
  if (show) {
    const rule = known.find((other) => other.id === id);
    if (rule === undefined) throw usageError(`No rule "${id}"${suggestion(id ?? "", known)}`);
    writer.line(ruleToYaml(rule).trimEnd());
  } else {
    for (const rule of known) writer.line(args.has("json") ? jsonLine(rule) : textLine(rule));
  }
  writer.flush();
  return EXIT.ok;
}

async function rulesOf(paths: readonly string[], registry: SchemaRegistry): Promise<readonly Rule[]> {
  if (paths.length === 0) return await builtinRules(registry);
  const { rules: loaded, problems } = await loadRules(paths, { registry });
  for (const { file, diagnostic } of problems) {
    const { severity, message, span } = diagnostic;
    console.error(`kestrel: warn: ${printable(file)}:${span.line}:${span.column}: ${severity}: ${printable(message)}`);
  }
  return loaded;
}

function suggestion(id: string, known: readonly Rule[]): string {
  const nearest = nearestName(
    id,
    known.map((rule) => rule.id),
  );
  return nearest === undefined ? "" : `, did you mean "${nearest}"?`;
}

function jsonLine({ id, name, severity, tags, enabled, body, description }: Rule): string {
  return JSON.stringify({ id, name, severity, tags, enabled, kind: body.kind, description });
}

function textLine({ id, name, severity, enabled }: Rule): string {
  return `${severity.padEnd(8)}  ${id.padEnd(44)}  ${printable(name)}${enabled ? "" : " (disabled)"}`;
}
