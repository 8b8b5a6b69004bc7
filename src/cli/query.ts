// kestrel query: one EQL query over event logs, whole matching events or one field of them.
import { readFileSync } from "node:fs";
import { EventBus, KestrelError, messageOf, type RecordBatch, ReplaySource, SystemClock, stringifyJson } from "#core";
import { createRuleSetEvaluatorFor } from "#engine";
import { compileRuleSet, type Dialect, fieldsOf, formatDiagnostic, type QuerySource } from "#eql";
import { RecordView } from "#event";
import { hitWords, type SchemaRegistry } from "#schema";
import { type Arguments, EXIT, parseArguments, usageError } from "./arguments.ts";
import { inferFields } from "./infer-schema.ts";
import { backendOf, LOG_FLAGS, logOptionsOf, rangeOf } from "./log-input.ts";
import { idOf, PendingLines, wholeEvent } from "./matched-event.ts";
import { LineWriter } from "./output.ts";
import { ProgressBar } from "./progress.ts";
import { registryFrom } from "./schema-file.ts";
import { rereadable } from "./stdin-spool.ts";
import { printable } from "./terminal.ts";

const FLAGS = {
  ...LOG_FLAGS,
  json: "switch",
  id: "text",
  "query-file": "text",
  dialect: "text",
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
  const source: QuerySource = { id: "query", text, dialect, exceptions: [], lenientFields: dialect === "endgame" };
  const { program, queries } = compileRuleSet([source], registry, [backend]);
  const diagnostics = queries[0]?.diagnostics ?? [];
  for (const diagnostic of diagnostics) {
    if (diagnostic.severity === "error" || dialect !== "endgame") console.error(formatDiagnostic(text, diagnostic, { file: "query" }));
  }
  if (queries[0]?.ok !== true) return EXIT.usage;
  if (queries[0].plan !== undefined) throw usageError("Queries over several events run as rules, with kestrel replay --rules");
  const evaluator = await createRuleSetEvaluatorFor(backend, program);
  try {
    await printMatches({
      args,
      paths: files.paths,
      names: new Map(files.paths.map((path, index) => [path, paths[index] as string])),
      registry,
      words: hitWords(program.predicates.length),
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
  readonly words: number;
  readonly evaluate: (batch: RecordBatch) => Uint32Array;
}

async function printMatches({ args, paths, names, registry, words, evaluate }: Matching): Promise<void> {
  using bar = new ProgressBar();
  const writer = new LineWriter(1, () => bar.clear());
  let found = 0;
  const view = new RecordView();
  const idField = args.text("id");
  const lines = new PendingLines();
  const show = (line: Uint8Array | undefined): string => {
    const text = idField === undefined ? wholeEvent(line, view, registry) : stringifyJson(idOf(line, view, registry, idField));
    return args.has("json") ? `{"events":[${text}]}` : text;
  };
  const bus = new EventBus<Uint32Array>({
    clock: new SystemClock(),
    partitions: [{ evaluate }],
    whenFull: "block",
    flushMs: 0,
    batchCount: 2,
    consume(batch, hits) {
      for (let record = 0; record < batch.count; record++) {
        const line = lines.next();
        if (((hits[record * words] as number) & 1) === 0) continue;
        view.reset(batch.bytes, batch.offsets[record] as number);
        writer.line(show(line));
        found++;
      }
    },
  });
  const source = new ReplaySource({
    registry,
    files: paths,
    decoder: logOptionsOf(args),
    range: rangeOf(args),
    onRecord: (line) => lines.add(line),
    onProblem: ({ file, line, message }) => {
      bar.clear();
      console.error(`kestrel: warn: ${printable(names.get(file) ?? file)}${line === 0 ? "" : `:${line}`}: ${message}`);
    },
  });
  bar.start({ show: !args.has("quiet"), source, foundName: "matches", found: () => found });
  await source.start(bus);
  await bus.drain();
  writer.flush();
  bar.clear();
  if (source.outside > 0) console.error(`kestrel: ${source.records} events, ${source.outside} outside --from and --to`);
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
  if (name !== "default" && name !== "endgame") throw usageError(`Flag "--dialect" needs default or endgame, not "${name}"`);
  return name;
}
