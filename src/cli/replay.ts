// kestrel replay: rules over recorded events. Alerts in order on standard output, totals on standard error.
import { type Alert, createLog, encodeAlert, type Log, ReplaySource, type Sink, SystemClock, stringifyJson } from "#core";
import { compileHere, Engine } from "#engine";
import { type Arguments, EXIT, parseArguments, usageError } from "./arguments.ts";
import { backendOf, LOG_FLAGS, logOptionsOf } from "./log-input.ts";
import { LineWriter } from "./output.ts";
import { enabledRules, loadBook } from "./rule-book.ts";
import { registryFrom } from "./schema-file.ts";
import { alertText } from "./terminal.ts";

const PARTITIONS_MAX = 64;
const PROBLEMS_SHOWN_MAX = 20;

/** Runs the command. */
export async function replay(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, { ...LOG_FLAGS, rules: "texts", json: "switch", partitions: "text", backend: "text" });
  if (args.positionals.length === 0) throw usageError("Name at least one event log, or - for standard input");
  const startedMs = performance.now();
  const log = createLog("info", (line) => process.stderr.write(`${line}\n`));
  const registry = registryFrom(args.text("schema"));
  const paths = args.texts("rules");
  const request = { paths, uploaded: [], extraFields: registry.extraFields(), backend: backendOf(args), cacheDirectory: undefined };
  const { entries, findings, compiled } = await loadBook(request);
  for (const name of compiled.categories) registry.categories.intern(name);
  for (const finding of findings) log.write("warn", finding);
  const rules = enabledRules(entries);
  if (rules.length === 0) throw usageError(`No rule loads from ${paths.join(", ")}`);

  const writer = new LineWriter();
  const engine = createEngine(args, { registry, log, sink: new LineSink(writer, args.has("json")) });
  const { armed, problems } = await engine.arm(rules, compiled);
  for (const { ruleId, diagnostics } of problems)
    log.write("warn", `rule "${ruleId}" is left out: ${diagnostics[0]?.message ?? "it does not compile"}`);
  let problemCount = 0;
  const source = new ReplaySource({
    registry,
    files: args.positionals,
    decoder: logOptionsOf(args),
    onProblem({ file, line, message }) {
      if (problemCount++ < PROBLEMS_SHOWN_MAX) log.write("warn", `${file}${line === 0 ? "" : `:${line}`}: ${message}`);
    },
  });
  await source.start(engine.input);
  await engine.close();
  writer.flush();
  const { offered, evaluated, dropped, alerts } = engine.counters();
  const tookS = (performance.now() - startedMs) / 1000;
  const skipped = problemCount === 0 ? "" : `, ${problemCount} lines or blocks left out`;
  log.write(
    "info",
    `${offered} events, ${evaluated} evaluated, ${dropped} dropped${skipped}; ${armed} rules, ${alerts} alerts; ${tookS.toFixed(2)} s, ` +
      `${Math.round(offered / tookS)} events/s, ${(source.bytes / tookS / 1e6).toFixed(1)} MB/s`,
  );
  return EXIT.ok;
}

function createEngine(
  args: Arguments,
  { registry, log, sink }: { readonly registry: ReturnType<typeof registryFrom>; readonly log: Log; readonly sink: Sink },
): Engine {
  return new Engine({
    registry,
    clock: new SystemClock(),
    log,
    sinks: [sink],
    partitions: args.number("partitions", 1, { least: 1, most: PARTITIONS_MAX }),
    backend: backendOf(args),
    compile: compileHere,
    whenFull: "block",
    flushMs: 0,
    cacheDirectory: undefined,
    batchBudgetMs: undefined,
  });
}

/** Prints each alert. */
class LineSink implements Sink {
  readonly name = "standard output";
  readonly #writer: LineWriter;
  readonly #json: boolean;

  constructor(writer: LineWriter, json: boolean) {
    this.#writer = writer;
    this.#json = json;
  }

  take(alert: Alert): void {
    this.#writer.line(this.#json ? stringifyJson(encodeAlert(alert)) : alertText(alert, process.stdout.isTTY === true));
  }
}
