// Paths → rules. A broken rule or file is reported and skipped; the others load. The order is that of the paths, then of the file names.
import { setImmediate } from "node:timers/promises";
import { readJson } from "./json-source.ts";
import { type ParsedText, parseText, problemsOf, type RuleReadOptions, ruleFormatOf, withoutDuplicates } from "./parse.ts";
import { RULE_FILE_BYTES_MAX, RULE_WASM_BYTES_MAX, type Rule, type RuleEntry, type RuleFormat, type RuleProblem } from "./rule.ts";
import { findRuleFiles, identityOf, type PathFailure, type RuleFilePath, readBounded, resolveInside } from "./rule-files.ts";
import { wasmModule } from "./rule-reader.ts";
import type { SourceNode, TextNode } from "./source-node.ts";
import { Findings, SourceText } from "./source-text.ts";

/** One file that was read. */
export interface RuleFileInfo {
  readonly path: string;
  readonly format: RuleFormat;
  readonly bytes: number;
  /** Rules that loaded. */
  readonly ruleCount: number;
}

/** What some paths hold. */
export interface LoadedRules {
  /** The good rules. */
  readonly rules: readonly Rule[];
  /** Every rule in order, the broken ones too: what `kestrel check` prints. */
  readonly entries: readonly RuleEntry[];
  readonly files: readonly RuleFileInfo[];
  /** Every finding, warnings included. */
  readonly problems: readonly RuleProblem[];
}

const RULE_FILE_ENDINGS = ".yaml, .yml, .json, .jsonl, .eql or .toml";

/** Loads files, folders and globs. Never rejects: what cannot be read is a problem. */
export async function loadRules(paths: readonly string[], options: RuleReadOptions = {}): Promise<LoadedRules> {
  const loaded = { rules: [] as Rule[], entries: [] as RuleEntry[], files: [] as RuleFileInfo[], problems: [] as RuleProblem[] };
  const seenIds = new Map<string, RuleEntry>();
  const seenFiles = new Set<string>();
  for (const path of paths) {
    const found = findRuleFiles(path);
    if (!Array.isArray(found)) {
      addEntries(loaded, failureOf(found as PathFailure), seenIds);
      continue;
    }
    const [knownFiles, knownEntries] = [seenFiles.size, loaded.entries.length];
    const files = found as readonly RuleFilePath[];
    for (const file of files) {
      const identity = identityOf(file.path);
      if (seenFiles.has(identity)) continue;
      seenFiles.add(identity);
      readFile(loaded, file, options, seenIds);
      // Reading and checking one file is bounded work; a running agent gets its turn between two files.
      await setImmediate();
    }
    const isNew = files.length === 0 || seenFiles.size > knownFiles;
    if (isNew && loaded.entries.length === knownEntries)
      addEntries(
        loaded,
        failureOf({ path, message: `"${path}" holds no rules: the names of their files end in ${RULE_FILE_ENDINGS}` }),
        seenIds,
      );
  }
  return loaded;
}

interface Loading {
  readonly rules: Rule[];
  readonly entries: RuleEntry[];
  readonly files: RuleFileInfo[];
  readonly problems: RuleProblem[];
}

function readFile(loaded: Loading, file: RuleFilePath, options: RuleReadOptions, seenIds: Map<string, RuleEntry>): void {
  const format = ruleFormatOf(file.path);
  if (format === undefined) {
    const message = `"${file.path}" is not a rule file: its name must end in ${RULE_FILE_ENDINGS}`;
    addEntries(loaded, failureOf({ path: file.path, message }), seenIds);
    return;
  }
  const bytes = readBounded(file.path, RULE_FILE_BYTES_MAX);
  if (!(bytes instanceof Uint8Array)) {
    addEntries(loaded, failureOf(bytes), seenIds);
    return;
  }
  const text = decodeUtf8(bytes);
  if (text === undefined) {
    addEntries(loaded, failureOf({ path: file.path, message: `"${file.path}" is not UTF-8 text` }), seenIds);
    return;
  }
  if (file.found && !holdsRules(text, format)) return;
  const readWasm = (path: TextNode, findings: Findings): Uint8Array | undefined => readModule(file, path, findings);
  const before = loaded.rules.length;
  addEntries(loaded, parseText(text, { ...options, file: file.path, format, readWasm }), seenIds);
  loaded.files.push({ path: file.path, format, bytes: bytes.length, ruleCount: loaded.rules.length - before });
}

function addEntries(loaded: Loading, parsed: ParsedText, seenIds: Map<string, RuleEntry>): void {
  for (const entry of withoutDuplicates(parsed.entries, seenIds)) {
    loaded.entries.push(entry);
    if (entry.rule !== null) loaded.rules.push(entry.rule);
    loaded.problems.push(...problemsOf(entry, parsed.source));
  }
}

function failureOf(failure: PathFailure): ParsedText {
  const source = new SourceText("");
  const span = source.span(0);
  const diagnostics = [{ severity: "error", code: "cannot-read", message: failure.message, span }] as const;
  return { entries: [{ file: failure.path, span, id: null, rule: null, diagnostics }], source };
}

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function readModule(file: RuleFilePath, path: TextNode, findings: Findings): Uint8Array | undefined {
  const target = resolveInside(file, path.value.trim());
  const bytes = typeof target === "string" ? readBounded(target, RULE_WASM_BYTES_MAX) : target;
  if (bytes instanceof Uint8Array) return wasmModule(bytes, path, findings);
  findings.error("cannot-read-wasm", bytes.message, path);
  return undefined;
}

/** Whether a JSON, JSON-lines or TOML file met in a folder is meant as rules: such files also hold other things, recordings for one. */
function holdsRules(text: string, format: RuleFormat): boolean {
  switch (format) {
    case "toml":
      return /^\s*\[\s*rule\s*\]/m.test(text);
    case "jsonl": {
      const line = text.split("\n", 100).find((candidate) => candidate.trim() !== "") ?? "";
      return hasBody(readJson(new Findings(new SourceText(line))));
    }
    case "json": {
      const findings = new Findings(new SourceText(text));
      const tree = readJson(findings);
      // Broken JSON may be a broken rule: keep it, so that it is reported.
      return findings.failed || (tree?.kind === "list" ? tree.items.some(hasBody) : hasBody(tree));
    }
    default:
      return true;
  }
}

function hasBody(node: SourceNode | undefined): boolean {
  return node?.kind === "map" && node.entries.some(({ key }) => ["id", "query", "lua", "wasm", "wasm_base64"].includes(key));
}
