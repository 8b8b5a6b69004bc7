// The rules an agent or a replay starts with: built in, from files, uploaded; parsed and compiled. What was made of the same texts by the same
// build is kept in the cache folder, so that a restart neither parses nor compiles.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { deserialize, serialize } from "node:v8";
import type { RuleDetail, RuleOrigin, RuleText } from "#api";
import { type CompiledRules, compileHere } from "#engine";
import type { Rule, RuleEntry, RuleFormat, RuleReadOptions } from "#rules";
import { type Backend, type Diagnostic, type EventWords, type ExtraField, SchemaRegistry } from "#schema";
import { BUILTIN_RULES } from "./builtin-rules.generated.ts";
import { BUILD_ID } from "./version.ts";

/** One rule with where it came from. `rule` is null when its text has errors. */
export interface BookEntry {
  readonly id: string;
  readonly rule: Rule | null;
  readonly origin: RuleOrigin;
  readonly format: RuleDetail["format"];
  readonly text: string;
  readonly diagnostics: readonly Diagnostic[];
}

/** What to load. */
export interface BookRequest {
  /** Rule files, folders, globs; the built-in rules when empty. */
  readonly paths: readonly string[];
  readonly uploaded: readonly { readonly id: string; readonly format: string; readonly text: string }[];
  readonly extraFields: readonly ExtraField[];
  readonly backend: Backend;
  /** Words of the events that may come, for the rules' demands; a build has one list of them. */
  readonly words: readonly EventWords[];
  /** Where books are kept; none are without it. */
  readonly cacheDirectory: string | undefined;
}

/** Loaded rules. */
export interface Book {
  readonly entries: readonly BookEntry[];
  /** What is wrong with files, a line each. */
  readonly findings: readonly string[];
  /** Program of the enabled rules of `entries`, in their order. */
  readonly compiled: CompiledRules;
}

/** Rules of a book that are to be armed, in the order of its program. */
export function enabledRules(entries: readonly BookEntry[]): readonly Rule[] {
  return entries.flatMap((entry) => (entry.rule?.enabled === true ? entry.rule : []));
}

/** A book of built-in and uploaded rules from the cache: cheap enough for the agent's own thread. Undefined when there is none. */
export async function cachedBuiltinBook(request: BookRequest): Promise<Book | undefined> {
  return request.paths.length > 0 ? undefined : readCached(request.cacheDirectory, await keyOf(request));
}

/** Loads a book, from the cache when nothing changed. */
export async function loadBook(request: BookRequest): Promise<Book> {
  const key = await keyOf(request);
  const cached = readCached(request.cacheDirectory, key);
  if (cached !== undefined) return cached;
  const registry = new SchemaRegistry();
  for (const field of request.extraFields) registry.add(field);
  // Test events are most of a rule file, and a running agent has no use for them. Built-in queries are checked where they are compiled.
  const own =
    request.paths.length === 0
      ? { entries: await builtinEntries({ registry, withoutTests: true, checkQuery: () => [] }), findings: [] }
      : await fileEntries(request.paths, registry);
  const taken = new Set(own.entries.map((entry) => entry.id));
  const findings = [...own.findings];
  const uploaded: BookEntry[] = [];
  for (const { id, format, text } of request.uploaded) {
    if (taken.has(id)) findings.push(`The uploaded rule "${id}" is left out: a rule with its id came with the start`);
    else uploaded.push(await uploadedEntry(id, { format: wireFormat(format as RuleFormat), text }, registry));
  }
  const entries = [...own.entries, ...uploaded];
  const book = { entries, findings, compiled: await compileHere(enabledRules(entries), registry, request.backend, request.words) };
  writeCached(request.cacheDirectory, key, book);
  return book;
}

/** The built-in rules with their tests. */
export async function builtinRules(registry: SchemaRegistry): Promise<readonly Rule[]> {
  return (await builtinEntries({ registry })).flatMap((entry) => entry.rule ?? []);
}

async function builtinEntries(options: RuleReadOptions): Promise<BookEntry[]> {
  const { parseRuleText } = await import("#rules");
  return BUILTIN_RULES.flatMap(({ file, text }) =>
    bookEntries(parseRuleText(text, { file, format: "yaml", ...options }).entries, () => ({ origin: "built-in", format: "yaml", text })),
  );
}

async function fileEntries(
  paths: readonly string[],
  registry: SchemaRegistry,
): Promise<{ entries: BookEntry[]; findings: readonly string[] }> {
  const { loadRules, ruleToYaml } = await import("#rules");
  const loaded = await loadRules(paths, { registry, withoutTests: true });
  const from = ({ rule }: RuleEntry): Pick<BookEntry, "origin" | "format" | "text"> => ({
    origin: "file",
    format: "yaml",
    text: rule === null ? "" : ruleToYaml(rule),
  });
  return {
    entries: bookEntries(loaded.entries, from),
    findings: loaded.problems.map(
      ({ file, diagnostic: { span, severity, message } }) => `${file}:${span.line}:${span.column}: ${severity}: ${message}`,
    ),
  };
}

/** One uploaded text as an entry; broken texts and texts of another id are entries with findings. Without an id the rule's own counts. */
export async function uploadedEntry(wanted: string | null, { format, text }: RuleText, registry: SchemaRegistry): Promise<BookEntry> {
  const { parseRuleText } = await import("#rules");
  const { entries } = parseRuleText(text, { file: `${wanted ?? "rule"}.${format}`, format, registry, withoutTests: true });
  const [entry] = entries;
  const id = wanted ?? entry?.id ?? "";
  const broken = (code: string, message: string): BookEntry => {
    const span = { from: 0, to: 0, line: 1, column: 1 };
    return { id, origin: "api", format, text, rule: null, diagnostics: [{ severity: "error", code, message, span }] };
  };
  if (entry === undefined) return broken("no-rule", "The text holds no rule");
  if (entries.length > 1) return broken("several-rules", `The text holds ${entries.length} rules, send one at a time`);
  if (entry.id !== null && entry.id !== id) return broken("other-id", `The rule's id is "${entry.id}", but it was sent as "${id}"`);
  return { id, origin: "api", format, text, rule: entry.rule, diagnostics: entry.diagnostics };
}

function bookEntries(
  entries: readonly RuleEntry[],
  from: (entry: RuleEntry) => Pick<BookEntry, "origin" | "format" | "text">,
): BookEntry[] {
  return entries.flatMap((entry) =>
    entry.id === null ? [] : [{ id: entry.id, rule: entry.rule, diagnostics: entry.diagnostics, ...from(entry) }],
  );
}

function wireFormat(format: RuleFormat): RuleDetail["format"] {
  return format === "jsonl" ? "yaml" : format;
}

/** Hash of everything a book is made of; undefined when that cannot be told. */
async function keyOf({ paths, uploaded, extraFields, backend }: BookRequest): Promise<string | undefined> {
  if (BUILD_ID === undefined) return undefined;
  const hash = new Bun.CryptoHasher("sha256").update(JSON.stringify([BUILD_ID, backend, extraFields, paths, uploaded]));
  if (paths.length > 0) {
    const { ruleFilePaths } = await import("#rules");
    for (const file of ruleFilePaths(paths)) hash.update(`\0${file}\0`).update(readFileSync(file));
  }
  return hash.digest("hex");
}

function pathOf(directory: string, key: string): string {
  return join(directory, `rules-${key}.book`);
}

function digestOf(bytes: Uint8Array): Buffer {
  return new Bun.CryptoHasher("sha256").update(bytes).digest() as Buffer;
}

function readCached(directory: string | undefined, key: string | undefined): Book | undefined {
  if (directory === undefined || key === undefined) return undefined;
  try {
    const bytes = readFileSync(pathOf(directory, key));
    const payload = bytes.subarray(32);
    return digestOf(payload).equals(bytes.subarray(0, 32)) ? (deserialize(payload) as Book) : undefined;
  } catch {
    // Missing or unreadable: the book is made anew.
    return undefined;
  }
}

function writeCached(directory: string | undefined, key: string | undefined, book: Book): void {
  // A module file may change without its rule file: such books are made at every start.
  if (directory === undefined || key === undefined || book.entries.some((entry) => entry.rule?.body.kind === "wasm")) return;
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const payload = serialize(book);
    const path = pathOf(directory, key);
    writeFileSync(`${path}.tmp`, Buffer.concat([digestOf(payload), payload]), { mode: 0o600 });
    renameSync(`${path}.tmp`, path);
  } catch {
    // A cache that cannot be written costs the next start some time and nothing else.
  }
}
