// One text in one format → its rules with all findings. No file access: the loader and the REST upload share this.
import { checkQuery } from "#eql";
import { type Diagnostic, SchemaRegistry } from "#schema";
import { readEqlFile } from "./eql-source.ts";
import { readJson } from "./json-source.ts";
import { RULE_FILE_BYTES_MAX, RULES_PER_FILE_MAX, type RuleEntry, type RuleFormat, type RuleProblem } from "./rule.ts";
import { type CheckContext, checkRule, type QueryCheck } from "./rule-check.ts";
import { type ReadContext, readRule } from "./rule-reader.ts";
import type { MapNode, SourceNode, TextNode } from "./source-node.ts";
import { Findings, SourceText } from "./source-text.ts";
import { readToml } from "./toml-source.ts";
import { blankTests, readYaml, ruleNodes } from "./yaml-source.ts";

/** How rules are checked while they are read. */
export interface RuleReadOptions {
  /** Known fields; the catalogue alone without it. */
  readonly registry?: SchemaRegistry;
  /** Unknown fields are warnings instead of errors. */
  readonly lenientFields?: boolean;
  /** Leaves the tests of rules out, as an agent does that will not run them: most of a rule file's text, and YAML is slow to read. */
  readonly withoutTests?: boolean;
  /** Another judge of queries than the EQL compiler: for tests. */
  readonly checkQuery?: QueryCheck;
}

/** One text to parse. */
export interface RuleTextOptions extends RuleReadOptions {
  /** Name shown in findings. */
  readonly file: string;
  readonly format: RuleFormat;
  /** Reads the module a `wasm` key names; without it (uploads) `wasm_base64` carries the module. */
  readonly readWasm?: (path: TextNode, findings: Findings) => Uint8Array | undefined;
}

/** The rules of one text, good and broken, and every finding. */
export interface ParsedRules {
  readonly entries: readonly RuleEntry[];
  readonly problems: readonly RuleProblem[];
}

/** Entries with the text their findings point into. */
export interface ParsedText {
  readonly entries: readonly RuleEntry[];
  readonly source: SourceText;
}

/** The format of a file name, or undefined when it is none of ours. */
export function ruleFormatOf(path: string): RuleFormat | undefined {
  const extension = /\.([a-z]+)$/i.exec(path)?.[1]?.toLowerCase();
  switch (extension) {
    case "yaml":
    case "yml":
      return "yaml";
    case "json":
    case "jsonl":
    case "eql":
    case "toml":
      return extension;
    default:
      return undefined;
  }
}

/** Reads a text; any input gives entries, never a throw. An id given twice in the text makes the later rule an error. */
export function parseRuleText(text: string, options: RuleTextOptions): ParsedRules {
  const { entries, source } = parseText(text, options);
  return { entries, problems: entries.flatMap((entry) => problemsOf(entry, source)) };
}

/** The findings of one entry with the source line each points to. */
export function problemsOf(entry: RuleEntry, source: SourceText): RuleProblem[] {
  return entry.diagnostics.map((diagnostic) => ({
    file: entry.file,
    ruleId: entry.id,
    diagnostic,
    excerpt: source.excerpt(diagnostic.span),
  }));
}

/** As {@link parseRuleText}, for a caller that goes on with the entries. */
export function parseText(text: string, options: RuleTextOptions): ParsedText {
  const plain = text.startsWith("\uFEFF") ? text.slice(1) : text;
  const source = new SourceText(plain);
  if (plain.length > RULE_FILE_BYTES_MAX) {
    const findings = new Findings(source);
    const message = `This file has ${plain.length} characters, at most ${RULE_FILE_BYTES_MAX} are read: split it`;
    findings.error("file-too-large", message, { from: 0, to: 0 });
    return { entries: [fileEntry(options.file, findings)], source };
  }
  const entries: RuleEntry[] = [];
  const check: CheckContext = {
    registry: options.registry ?? new SchemaRegistry(),
    lenientFields: options.lenientFields ?? false,
    checkQuery: options.checkQuery ?? checkQuery,
  };
  for (const item of rulesOf(source, options)) {
    if (item.node !== undefined) entries.push(readEntry(item.node, item, check, options));
    else if (item.findings.diagnostics.length > 0) entries.push(fileEntry(options.file, item.findings));
  }
  return { entries: withoutDuplicates(entries), source };
}

/** A mapping to read as a rule, or only findings about the file. */
interface RuleItem {
  readonly node?: MapNode;
  readonly findings: Findings;
  readonly defaultId?: string;
}

function rulesOf(source: SourceText, options: RuleTextOptions): RuleItem[] {
  const findings = new Findings(source);
  switch (options.format) {
    case "jsonl":
      return linesOf(source, options);
    case "eql":
    case "toml": {
      const node = options.format === "eql" ? readEqlFile(findings, stemOf(options.file)) : readToml(findings);
      return [{ findings, ...(node !== undefined && { node }) }];
    }
    default: {
      const tree = options.format === "json" ? readJson(findings) : undefined;
      const trees: SourceNode[] =
        options.format === "yaml" ? readDocuments(source.text, findings, options) : tree === undefined ? [] : [tree];
      const nodes = ruleNodes(trees, findings);
      if (nodes.length === 0 && findings.diagnostics.length === 0) findings.error("no-rule", "This file holds no rule", { from: 0, to: 0 });
      return [{ findings }, ...nodes.map((node) => ({ node: node as MapNode, findings: new Findings(source) }))];
    }
  }
}

function readDocuments(text: string, findings: Findings, options: RuleTextOptions): SourceNode[] {
  if (options.withoutTests === true) {
    const shorter = new Findings(findings.source);
    const trees = readYaml(blankTests(text), 0, shorter);
    // Something else may refer to an anchor inside the tests: then all of the text is read.
    if (!shorter.failed) return trees;
  }
  return readYaml(text, 0, findings);
}

function linesOf(source: SourceText, options: RuleTextOptions): RuleItem[] {
  const items: RuleItem[] = [];
  const stem = stemOf(options.file);
  let line = 1;
  for (let from = 0; from < source.text.length; line++) {
    const newline = source.text.indexOf("\n", from);
    const to = newline < 0 ? source.text.length : newline;
    if (source.text.slice(from, to).trim() !== "") {
      const findings = new Findings(source);
      if (items.length === RULES_PER_FILE_MAX) {
        findings.error("too-many-rules", `More than ${RULES_PER_FILE_MAX} rules in one file: split it`, { from, to: from });
        return [...items, { findings }];
      }
      const tree = readJson(findings, from, to);
      if (tree !== undefined && tree.kind !== "map") findings.error("not-a-rule", "Each line of a rule list is a JSON object", tree);
      items.push({ findings, defaultId: `${stem}:${line}`, ...(tree?.kind === "map" && { node: tree }) });
    }
    from = to + 1;
  }
  return items;
}

function readEntry(node: MapNode, item: RuleItem, check: CheckContext, options: RuleTextOptions): RuleEntry {
  const { findings } = item;
  const context: ReadContext = {
    file: options.file,
    format: options.format,
    findings,
    foreignKeys: options.format === "jsonl",
    readWasm: (path) => (options.readWasm ?? refuseWasmPath)(path, findings),
    ...(item.defaultId !== undefined && { defaultId: item.defaultId }),
  };
  const { id, rule, values, place } = readRule(node, context);
  checkRule(id, values, check, findings);
  return {
    file: options.file,
    span: findings.source.span(place.from),
    id,
    rule: findings.failed ? null : rule,
    diagnostics: findings.inOrder(),
  };
}

function refuseWasmPath(path: TextNode, findings: Findings): undefined {
  findings.error("wasm-needs-file", 'A rule without a file of its own cannot name one: give the module as "wasm_base64"', path);
}

function fileEntry(file: string, findings: Findings): RuleEntry {
  return { file, span: findings.diagnostics[0]?.span ?? findings.source.span(0), id: null, rule: null, diagnostics: findings.diagnostics };
}

/** Entries in order; a rule whose id an earlier entry has becomes an error that names both places. `seen` goes on from file to file. */
export function withoutDuplicates(entries: readonly RuleEntry[], seen: Map<string, RuleEntry> = new Map()): RuleEntry[] {
  return entries.map((entry) => {
    const { id } = entry;
    if (id === null) return entry;
    const first = seen.get(id);
    if (first === undefined) {
      seen.set(id, entry);
      return entry;
    }
    if (first === entry) return entry;
    const message = `Rule id "${id}" at ${placeOf(entry)} is already used at ${placeOf(first)}`;
    const duplicate: Diagnostic = { severity: "error", code: "duplicate-id", message, span: entry.span };
    return { ...entry, rule: null, diagnostics: [...entry.diagnostics, duplicate] };
  });
}

function placeOf(entry: RuleEntry): string {
  return `${entry.file}:${entry.span.line}`;
}

function stemOf(file: string): string {
  const name = file.slice(file.lastIndexOf("/") + 1);
  return name.replace(/\.[a-z]+$/i, "");
}
