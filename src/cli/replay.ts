// kestrel replay: rules over recorded events. Alerts in order on standard output, totals on standard error.
import { type Alert, createLog, encodeAlert, ReplaySource, type Sink, SystemClock, stringifyJson } from "#core";
import { compileHere, Engine, type EngineOptions } from "#engine";
import { STATE_LIMITS } from "#nfa";
import { type Arguments, EXIT, parseArguments, usageError } from "./arguments.ts";
import { backendOf, durationOf, LOG_FLAGS, logOptionsOf, rangeOf, tiebreakerOf } from "./log-input.ts";
import { LineWriter } from "./output.ts";
import { ProgressBar } from "./progress.ts";
import { ReplayState } from "./replay-state.ts";
import { enabledRules, loadBook } from "./rule-book.ts";
import { registryFrom } from "./schema-file.ts";
import { stopSignal } from "./stop-signal.ts";
import { alertText } from "./terminal.ts";

const FLAGS = {
  ...LOG_FLAGS,
  rules: "texts",
  json: "switch",
  partitions: "text",
  backend: "text",
  speed: "text",
  state: "text",
  reorder: "text",
  quiet: "switch",
} as const;
const PARTITIONS_MAX = 64;
const PROBLEMS_SHOWN_MAX = 20;
/** Least time between two checkpoints of --state. */
const KEEP_INTERVAL_MS = 500;
/** How far out of order events may be: logs of several machines are by seconds, and a replay loses no time by waiting. */
const REORDER_NS = 60_000_000_000n;
const SPEED_MAX = 1e6;
/** Longest that an event of a paced replay waits for its batch to fill. */
const PACED_FLUSH_MS = 50;

/** Runs the command. */
export async function replay(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, FLAGS);
  if (args.positionals.length === 0) throw usageError("Name at least one event log, or - for standard input");
  const input = { files: args.positionals, decoder: logOptionsOf(args), range: rangeOf(args) };
  const speed = speedOf(args);
  const startedMs = performance.now();
  using bar = new ProgressBar();
  const log = createLog("info", (line) => {
    bar.clear();
    process.stderr.write(`${line}\n`);
  });
  const registry = registryFrom(args.text("schema"));
  const paths = args.texts("rules");
  const request = {
    paths,
    uploaded: [],
    words: [],
    extraFields: registry.extraFields(),
    backend: backendOf(args),
    cacheDirectory: undefined,
  };
  const { entries, findings, compiled } = await loadBook(request);
  for (const name of compiled.categories) registry.categories.intern(name);
  for (const finding of findings) log.write("warn", finding);
  const rules = enabledRules(entries);
  if (rules.length === 0) throw usageError(`No rule loads from ${paths.join(", ")}`);

  const clock = new SystemClock();
  const writer = new LineWriter(1, () => bar.clear());
  const statePath = args.text("state");
  const lines = new LineSink(writer, { json: args.has("json"), atOnce: speed !== undefined || statePath !== undefined });
  // Made when the engine is there; a checkpoint is asked for much later.
  let source: ReplaySource | undefined;
  using state = statePath === undefined ? undefined : new ReplayState(statePath, lines, () => void source?.stop());
  for (const problem of state?.problems ?? []) log.write("error", problem);
  const position = (records: number): string => state?.position(records, source?.positionsAfter(records) ?? []) ?? "";
  const engine = new Engine({
    ...settingsOf(args),
    registry,
    clock,
    log,
    sinks: [state ?? lines],
    flushMs: speed === undefined ? 0 : PACED_FLUSH_MS,
    firstSeq: state?.firstSeq ?? 0,
    ...(state === undefined ? {} : { keep: { intervalMs: KEEP_INTERVAL_MS, live: false, position } }),
  });
  // Also when a log is refused: partitions would keep the program.
  await using closing = new AsyncDisposableStack();
  closing.defer(() => engine.close());
  const { armed, problems } = await engine.arm(rules, compiled);
  for (const { ruleId, diagnostics } of problems)
    log.write("warn", `rule "${ruleId}" is left out: ${diagnostics[0]?.message ?? "it does not compile"}`);
  for (const problem of state === undefined ? [] : engine.restore(state.saved)) log.write("error", `state left out: ${problem}`);
  let problemCount = 0;
  source = new ReplaySource({
    registry,
    ...input,
    ...(state === undefined ? {} : { keepPositions: true, resume: state.resume(args.positionals) }),
    ...(speed === undefined ? {} : { pace: { clock, speed } }),
    onProblem({ file, line, message }) {
      if (problemCount++ < PROBLEMS_SHOWN_MAX) log.write("warn", `${file}${line === 0 ? "" : `:${line}`}: ${message}`);
    },
  });
  const reading = source;
  void stopSignal().then(() => reading.stop());
  bar.start({ show: !args.has("quiet"), source: reading, foundName: "alerts", found: () => engine.counters().alerts });
  await source.start(engine.input);
  // What was stopped, or will be continued, has no end: what waits for time to pass stays undecided.
  if (!source.stopped && state === undefined) await engine.finish();
  await engine.close();
  writer.flush();
  const tookS = (performance.now() - startedMs) / 1000;
  log.write("info", totalsText({ source, engine, problemCount, armed, tookS }));
  if (state?.failure !== undefined) log.write("error", `${state.failure.message}; run it again to go on from what was kept`);
  // A read of standard input or of a pipe may be under way: it would keep the program until the other side writes.
  const code = state?.failure === undefined ? EXIT.ok : EXIT.cannotRun;
  if (source.stopped) process.exit(code);
  return code;
}

interface Totals {
  readonly source: ReplaySource;
  readonly engine: Engine;
  readonly problemCount: number;
  readonly armed: number;
  readonly tookS: number;
}

function totalsText({ source, engine, problemCount, armed, tookS }: Totals): string {
  const { offered, evaluated, dropped, alerts } = engine.counters();
  const outside = source.outside === 0 ? "" : `, ${source.outside} outside --from and --to`;
  const skipped = problemCount === 0 ? "" : `, ${problemCount} lines or blocks left out`;
  const stopped = source.stopped ? "stopped before the end: " : "";
  return (
    `${stopped}${offered} events, ${evaluated} evaluated, ${dropped} dropped${outside}${skipped}; ${armed} rules, ${alerts} alerts; ` +
    `${tookS.toFixed(2)} s, ${Math.round(offered / tookS)} events/s, ${(source.bytes / tookS / 1e6).toFixed(1)} MB/s`
  );
}

/** Times real time; undefined: as fast as can be. */
function speedOf(args: Arguments): number | undefined {
  const text = args.text("speed") ?? "max";
  if (text === "max") return undefined;
  const speed = /^(\d+(?:\.\d+)?|\.\d+)x?$/.test(text) ? Number.parseFloat(text) : Number.NaN;
  if (speed > 0 && speed <= SPEED_MAX) return speed;
  throw usageError(`Flag "--speed" needs max, or a number above 0 and up to ${SPEED_MAX} such as 1, 10x or 0.5, not "${text}"`);
}

function settingsOf(
  args: Arguments,
): Pick<EngineOptions, "partitions" | "backend" | "compile" | "whenFull" | "cacheDirectory" | "batchBudgetMs" | "limits" | "tiebreaker"> {
  return {
    partitions: args.number("partitions", 1, { least: 1, most: PARTITIONS_MAX }),
    backend: backendOf(args),
    compile: compileHere,
    whenFull: "block",
    cacheDirectory: undefined,
    batchBudgetMs: undefined,
    limits: { ...STATE_LIMITS, reorderNs: durationOf(args, "reorder", REORDER_NS) },
    tiebreaker: tiebreakerOf(args),
  };
}

/** Prints each alert. */
class LineSink implements Sink {
  readonly name = "standard output";
  readonly #writer: LineWriter;
  readonly #json: boolean;
  readonly #atOnce: boolean;

  constructor(writer: LineWriter, { json, atOnce }: { readonly json: boolean; readonly atOnce: boolean }) {
    this.#writer = writer;
    this.#json = json;
    this.#atOnce = atOnce;
  }

  take(alerts: readonly Alert[]): void {
    for (const alert of alerts)
      this.#writer.line(this.#json ? stringifyJson(encodeAlert(alert)) : alertText(alert, process.stdout.isTTY === true));
    if (this.#atOnce) this.#writer.flush();
  }
}
