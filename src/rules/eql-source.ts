// A `.eql` file: an optional metadata header of `// key: value` lines, then the query. The header is YAML behind the slashes.
import { RULE_KEYS } from "./rule-keys.ts";
import { type MapEntry, type MapNode, textNode } from "./source-node.ts";
import type { Findings } from "./source-text.ts";
import { readYaml } from "./yaml-source.ts";

const HEADER_KEY = /^\/\/ ([A-Za-z_]+)[ \t]*:(?=\s|$)/;
const HEADER_CONTINUATION = /^\/\/(?: ([ \t-].*)?)?$/;

/** The rule of a `.eql` text as a mapping of Kestrel's keys, or undefined after findings. Without an `id` line, `stem` is the id. */
export function readEqlFile(findings: Findings, stem: string): MapNode | undefined {
  const { text } = findings.source;
  const header = headerOf(text, findings);
  const before = findings.diagnostics.length;
  const trees = readYaml(header.yaml, 0, findings);
  if (findings.diagnostics.length > before) return undefined;
  const tree = trees[0];
  const entries: MapEntry[] = tree?.kind === "map" ? [...tree.entries] : [];
  const body = { from: header.end, to: text.length };
  for (const { key, place } of entries.filter((entry) => ["query", "lua", "wasm", "wasm_base64"].includes(entry.key))) {
    findings.error("unknown-key", `Key "${key}" has no place in an .eql header: the query is the text below it`, place);
  }
  if (!entries.some((entry) => entry.key === "id")) {
    const place = { from: 0, to: 0 };
    entries.push({ key: "id", place, value: textNode(stem, text, place, "verbatim") });
  }
  entries.push({ key: "query", place: body, value: textNode(text.slice(header.end), text, body, "verbatim") });
  return { kind: "map", entries, from: 0, to: text.length };
}

/**
 * The header with everything that is not metadata blanked, so that offsets stay those of the file, and where it ends. A header line is
 * `// key: value` with one word as the key, or after one a deeper-indented or `- ` line; other comment lines are comments.
 */
function headerOf(text: string, findings: Findings): { readonly yaml: string; readonly end: number } {
  let yaml = "";
  let at = 0;
  let inKey = false;
  while (at < text.length) {
    const newline = text.indexOf("\n", at);
    const next = newline < 0 ? text.length : newline + 1;
    const line = text.slice(at, newline < 0 ? next : newline).replace(/\r$/, "");
    if (line.trim() !== "" && !line.startsWith("//")) break;
    const key = HEADER_KEY.exec(line)?.[1];
    inKey = key !== undefined || (inKey && HEADER_CONTINUATION.test(line));
    if (!inKey) warnAboutSpacing(line, at, findings);
    const kept = inKey ? `   ${line.slice(3)}` : "";
    yaml += kept.padEnd(next - at - 1, " ");
    yaml += newline < 0 ? "" : "\n";
    at = next;
  }
  return { yaml, end: at };
}

/** `//severity: high` looks like metadata but is a comment: say so instead of ignoring it. */
function warnAboutSpacing(line: string, at: number, findings: Findings): void {
  const key = /^\/\/[ \t]*([A-Za-z_]+)[ \t]*:(?=\s|$)/.exec(line)?.[1];
  if (key === undefined || !(RULE_KEYS as readonly string[]).includes(key)) return;
  findings.warning("header-spacing", `"${key}" is read only with exactly one space after the slashes: "// ${key}: …"`, {
    from: at,
    to: at + line.length,
  });
}
