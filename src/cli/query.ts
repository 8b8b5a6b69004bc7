// kestrel query: one EQL query over event logs, whole matching events or one field of them.
import { readFileSync } from "node:fs";
import { EventBus, KestrelError, messageOf, type RecordBatch, ReplaySource, SystemClock } from "#core";
import { createRuleSetEvaluatorFor } from "#engine";
import { type CompiledQuery, compileRuleSet, type Dialect, fieldsOf, formatDiagnostic, type QuerySource } from "#eql";
import { RecordView } from "#event";
import { hitWords, type RulePlan, type SchemaRegistry } from "#schema";
import { type Arguments, EXIT, parseArguments, usageError } from "./arguments.ts";
import { inferFields } from "./infer-schema.ts";
import { backendOf, LOG_FLAGS, logOptionsOf, rangeOf, tiebreakerOf } from "./log-input.ts";
import { LineWriter } from "./output.ts";
import { PendingLines } from "./pending-lines.ts";
import { PlannedQuery } from "./planned-query.ts";
import { ProgressBar } from "./progress.ts";
import { QueryOutput } from "./query-output.ts";
import { registryFrom } from "./schema-file.ts";
import { rereadable } from "./stdin-spool.ts";
import { printable } from "./terminal.ts";

const FLAGS = {
  ...LOG_FLAGS,
  json: "switch",
  id: "text",
  "query-file": "text",
  dialect: "text",
  "case-sensitive": "switch",
  backend: "text",
  quiet: "switch",
} as const;

/** Runs the command. */
export async function query(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, FLAGS);
  const { text, paths } = inputsOf(args);
  const dialect = dialectOf(args);
  const registry = registryFrom(args.text("schema"));
  const idField = args.text("id");
  using files = await rereadable(paths);
  const names = fieldsOf(text, dialect).map((field) => field.name);
  const placed = /array(search|count)\s*\(|\[\s*\d/i.test(text);
  await inferFields({ names: idField === undefined ? names : [...names, idField], placed }, files.paths, registry);
  const backend = backendOf(args);
  const source: QuerySource = {
    id: "query",
    text,
    dialect,
    exceptions: [],
    lenientFields: dialect === "endgame",
    caseSensitive: args.has("case-sensitive"),
    purpose: "query",
  };
  const { program, queries } = compileRuleSet([source], registry, [backend]);
  const diagnostics = queries[0]?.diagnostics ?? [];
  for (const diagnostic of diagnostics) {
    if (diagnostic.severity === "error" || dialect !== "endgame") console.error(formatDiagnostic(text, diagnostic, { file: "query" }));
  }
  const compiled = queries[0];
  if (compiled?.ok !== true) return EXIT.usage;
  const evaluator = await createRuleSetEvaluatorFor(backend, program);
  try {
    await printMatches({
      args,
      paths: files.paths,
      names: new Map(files.paths.map((path, index) => [path, paths[index] as string])),
      registry,
      compiled,
      predicateCount: program.predicates.length,
      evaluate: (batch) => evaluator.evaluate(batch),
    });
  } finally {
    evaluator.close();
  }
  return EXIT.ok;
}

interface Matching {
  readonly args: Arguments;
  readonly paths: readonly string[];
  /** Paths as the user gave them, by the path that is read. */
  readonly names: ReadonlyMap<string, string>;
  readonly registry: SchemaRegistry;
  readonly compiled: CompiledQuery;
  readonly predicateCount: number;
  readonly evaluate: (batch: RecordBatch) => Uint32Array;
}

async function printMatches(matching: Matching): Promise<void> {
  const { args, paths, names, registry, evaluate } = matching;
  using bar = new ProgressBar();
  const warn = (text: string): void => {
    bar.clear();
    console.error(`kestrel: warn: ${text}`);
  };
  const writer = new LineWriter(1, () => bar.clear());
  const output = new QueryOutput(matching.compiled.pipes, { registry, idField: args.text("id"), json: args.has("json"), writer });
  const matcher = await matcherOf(matching, output, warn);
  const source = new ReplaySource({
    registry,
    files: paths,
    decoder: logOptionsOf(args),
    range: rangeOf(args),
    onRecord: (line) => matcher.announce(line),
    onProblem: ({ file, line, message }) => warn(`${printable(names.get(file) ?? file)}${line === 0 ? "" : `:${line}`}: ${message}`),
  });
  const bus = new EventBus<Uint32Array>({
    clock: new SystemClock(),
    partitions: [{ evaluate }],
    whenFull: "block",
    flushMs: 0,
    batchCount: 2,
    consume(batch, hits) {
      matcher.take(batch, hits);
      if (output.ended) void source.stop();
    },
  });
  bar.start({ show: !args.has("quiet"), source, foundName: "matches", found: () => matcher.found });
  await source.start(bus);
  await bus.drain();
  matcher.finish();
  output.finish();
  writer.flush();
  bar.clear();
  if (source.outside > 0) console.error(`kestrel: ${source.records} events, ${source.outside} outside --from and --to`);
}

/** What becomes of records and their hits. */
interface Matcher {
  /** Results so far. */
  readonly found: number;
  /** The line of the record that goes into the bus now; nothing for one of a `.klog` file. */
  announce(line: Uint8Array | undefined): void;
  take(batch: RecordBatch, hits: Uint32Array): void;
  finish(): void;
}

function matcherOf(matching: Matching, output: QueryOutput, warn: (text: string) => void): Matcher | Promise<Matcher> {
  const { plan } = matching.compiled;
  return plan === undefined ? eventMatcher(matching.predicateCount, output) : plannedMatcher(plan, matching, { output, warn });
}

function eventMatcher(predicateCount: number, output: QueryOutput): Matcher {
  const lines = new PendingLines();
  const view = new RecordView();
  const words = hitWords(predicateCount);
  let found = 0;
  return {
    get found() {
      return found;
    },
    announce: (line) => lines.add(line),
    take(batch, hits) {
      for (let record = 0; record < batch.count; record++) {
        const line = lines.next();
        if (((hits[record * words] as number) & 1) === 0) continue;
        found++;
        output.event(view.reset(batch.bytes, batch.offsets[record] as number), line);
      }
    },
    finish() {},
  };
}

async function plannedMatcher(
  plan: RulePlan,
  { args, registry, predicateCount }: Matching,
  { output, warn }: { readonly output: QueryOutput; readonly warn: (text: string) => void },
): Promise<Matcher> {
  const query = await PlannedQuery.create({
    plan,
    registry,
    predicateCount,
    tiebreaker: tiebreakerOf(args),
    onEviction: () => warn("More sequences are pending than there is room for: some results may be missing"),
  });
  return {
    get found() {
      return query.count;
    },
    announce() {},
    take: (batch, hits) => query.take(batch, hits),
    finish() {
      for (const records of query.finish()) output.events(records);
      if (query.lateEvents > 0)
        warn(`${query.lateEvents} events came too far out of order; sort the log by time to be sure of every result`);
    },
  };
}

function inputsOf(args: Arguments): { readonly text: string; readonly paths: readonly string[] } {
  const file = args.text("query-file");
  const [first, ...rest] = args.positionals;
  if (file === undefined && first === undefined) throw usageError("Give a query and at least one event log");
  const paths = file === undefined ? rest : args.positionals;
  if (paths.length === 0) throw usageError("Name at least one event log, or - for standard input");
  if (file === undefined) return { text: first as string, paths };
  try {
    // Editors of other systems put a byte order mark first; columns are counted without it.
    return { text: readFileSync(file, "utf8").replace(/^\ufeff/, ""), paths };
  } catch (error) {
    throw new KestrelError("usage", `Cannot read the query file "${file}": ${messageOf(error)}`, { cause: error });
  }
}

function dialectOf(args: Arguments): Dialect {
  const name = args.text("dialect") ?? "default";
  if (args.has("case-sensitive") && name !== "endgame")
    throw usageError('Flag "--case-sensitive" is for --dialect endgame; the default dialect heeds case where the query does');
  if (name !== "default" && name !== "endgame") throw usageError(`Flag "--dialect" needs default or endgame, not "${name}"`);
  return name;
}
