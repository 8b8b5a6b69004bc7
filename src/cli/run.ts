// kestrel run: the live agent. Sensors → bus → rules → terminal, store, API; ends cleanly on SIGTERM and SIGINT.
import { type AlertReader, type IsolationPort, loadOrCreateToken, parseListen, type RunningServer, startServer } from "#api";
import {
  createLog,
  KestrelError,
  type Log,
  type MetricFamily,
  type RecordSink,
  ReplaySource,
  type SavedState,
  type Source,
  SystemClock,
} from "#core";
import { ALL_WORDS, type EbpfOptions, EbpfSource } from "#ebpf";
import { type ArmResult, compileInWorker, Engine, type EngineOptions, type ExecJudgeOptions } from "#engine";
import type { Hardening } from "#self";
import { type Store, StoreSink } from "#store";
import { Agent } from "./agent.ts";
import { type Arguments, EXIT, parseArguments, refusePositionals } from "./arguments.ts";
import { loadBookForAgent } from "./book-loader.ts";
import { BUILTIN_RECORDING } from "./builtin-rules.generated.ts";
import { ConnectionLimit } from "./connection-limit.ts";
import { type DataDirectory, defaultDataPath, openDataDirectory } from "./data-directory.ts";
import { ENRICHMENT_FLAGS, enrichmentOptions } from "./enrichment-options.ts";
import { isolationGroup, isolationSwitch } from "./isolation-parts.ts";
import { withLateFields } from "./late-fields.ts";
import { gateSettings } from "./live-gate.ts";
import { type LiveResponse, liveResponse, protectedNames } from "./live-response.ts";
import { demandListener, denierLines, sensorLine, sensorParts, sensorStatus } from "./live-sensors.ts";
import { finishStoring, openStore, storeFamilies } from "./live-store.ts";
import { backendOf } from "./log-input.ts";
import { keepMemorySmall } from "./memory-keeper.ts";
import { ownCommand, READER } from "./own-command.ts";
import { checkOwnFiles, giveUpRights, sayHardening } from "./own-rights.ts";
import { policyFamilies } from "./policy-families.ts";
import { RecordingSink } from "./recording-sink.ts";
import { ResponseModes } from "./response-modes.ts";
import { registryFrom } from "./schema-file.ts";
import { selfWatch } from "./self-watch.ts";
import { stopSignal } from "./stop-signal.ts";
import { alertReader } from "./stored-alerts.ts";
import { TerminalSink } from "./terminal-sink.ts";

const DEFAULT_LISTEN = "127.0.0.1:8490";
const FLUSH_MS = 20;
/** Least time between two checkpoints of the sequences; what a crash loses of pending sequences is younger than that. */
const KEEP_INTERVAL_MS = 2000;
const BATCH_BUDGET_MS = 1000;
const PARTITIONS_MAX = 64;

/** Runs the command. */
export async function run(argv: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  const args = parseArguments(argv, {
    rules: "texts",
    data: "text",
    listen: "text",
    json: "switch",
    record: "text",
    protect: "texts",
    "isolation-cgroup": "text",
    rights: "text",
    "gate-fail": "text",
    "gate-deadline": "text",
    "gate-mount": "texts",
    partitions: "text",
    backend: "text",
    schema: "text",
    verbose: "switch",
    ...ENRICHMENT_FLAGS,
  });
  refusePositionals(args, "; rule paths go behind --rules");
  // Before anything is opened or compiled: a flag that makes no sense is said at once.
  gateSettings(args);
  protectedNames(args);
  isolationGroup(args);
  partitionsOf(args);
  parseListen(listenText(args));
  const hardening = giveUpRights(args);
  // Asked for at once: a signal during the start stops the agent as soon as it is up, cleanly.
  const stopped = stopSignal();
  const running = await start(args, hardening);
  running.log.write("info", `armed ${running.armed} rules in ${Math.round(performance.now() - startedMs)} ms`);
  const stopKeeping = keepMemorySmall();
  await stopped;
  stopKeeping();
  await running.stop();
  return EXIT.ok;
}

interface Running {
  readonly log: Log;
  readonly armed: number;
  stop(): Promise<void>;
}

async function start(args: Arguments, hardening: readonly Hardening[]): Promise<Running> {
  const log = createLog(args.has("verbose") ? "debug" : "info", (line) => process.stderr.write(`${line}\n`));
  const registry = registryFrom(args.text("schema"));
  const clock = new SystemClock();
  const data = openDataDirectory(args.text("data") ?? defaultDataPath());
  sayHardening(hardening, log);
  checkOwnFiles(data, args.texts("rules"), log);
  // A start that fails half-way lets go of what it has, or sensors and timers would keep the process alive.
  await using undo = new AsyncDisposableStack();
  const store = undo.adopt(openStore(data, log), (opened) => opened.close());
  const alertStore = new StoreSink(store, { onTrouble: () => watcher.lookSoon("store") });
  const compiling = { registry, backend: backendOf(args), compile: compileInWorker, cacheDirectory: data.cache, log };
  const book = await readBook(args.texts("rules"), store, compiling);
  const saved = savedState(store, log);
  const source = new EbpfSource({ registry, clock, ...(await sourceOptions(args, log)) });
  const recordPath = args.text("record");
  const modes = new ResponseModes(store);
  const isRunning = (id: string): boolean => engine.ruleState(id)?.quarantineReason === undefined;
  const response = liveResponse(args, { source, modes, clock, compiling: { ...compiling, isRunning } });
  undo.defer(() => response.close());
  const sinks = withLateFields([alertStore, new TerminalSink(args.has("json"))], source, (id) => engine.ruleState(id)?.rule.capture ?? []);
  const engine: Engine = liveEngine(args, {
    ...compiling,
    clock,
    responder: response.responder,
    firstSeq: saved.firstSeq,
    sinks,
    onStopped: () => response.turns.refresh(),
    // What is recorded is for rules that are not written yet.
    ...(recordPath === undefined ? { onDemand: demandListener(source, log) } : {}),
  });
  undo.defer(() => engine.close());
  const isolation = undo.adopt(isolationSwitch(isolationGroup(args), { store, engine, clock, log }), (made) => made.close());
  const connections = undo.adopt(new ConnectionLimit(), (made) => made.close());
  const own = { isolation, alertStore, connections, agent: (): Agent => agent, api: (): RunningServer => server };
  const watcher = undo.adopt(selfWatch(args.texts("rules"), data.path, { source, engine, ...own, clock, log }), (made) => made.close());
  const agent = new Agent({
    registry,
    clock,
    engine,
    store,
    entries: book.entries,
    modes,
    ...sensorParts(source, engine, response),
    self: () => watcher.statuses(),
    moreMetrics: () => [isolation.metrics(), response.gate.families(), watcher.metrics(), kernelAndStore(source, alertStore)].flat(),
  });
  const { armed, problems } = await agent.arm(book.compiled);
  sayArmed(armed, problems, log);
  for (const problem of engine.restore(saved.rows)) log.write("error", "kept state left out", { reason: problem });
  const recording = recordPath === undefined ? undefined : new RecordingSink(recordPath, { registry, next: engine.input, log });
  undo.defer(() => recording?.close());
  const watching = await startWatching(source, recording ?? engine.input, { registry, log, response, ended: () => engine.finish() });
  undo.defer(() => watching.stop());
  await agent.startGate();
  const server = serve(args, { agent, alerts: alertReader(store, alertStore), isolation, connections, clock, log, data });
  isolation.resume(server);
  watcher.start();
  undo.move();
  return {
    log,
    armed,
    async stop() {
      log.write("info", "stopping");
      agent.markDraining();
      watcher.close();
      await response.gate.close();
      await watching.stop();
      await engine.close();
      await response.close();
      isolation.close();
      recording?.close();
      await server.stop();
      finishStoring(alertStore, log);
      store.close();
    },
  };
}

async function sourceOptions(args: Arguments, log: Log): Promise<Omit<EbpfOptions, "registry" | "clock">> {
  return { ...(await enrichmentOptions(args)), readerCommand: ownCommand(READER), onProblem: warner(log) };
}

function kernelAndStore({ policies }: EbpfSource, alertStore: StoreSink): readonly MetricFamily[] {
  return [...policyFamilies(policies), ...storeFamilies(alertStore)];
}

type LiveParts = Required<
  Pick<
    EngineOptions,
    "registry" | "clock" | "log" | "responder" | "firstSeq" | "sinks" | "backend" | "compile" | "cacheDirectory" | "onStopped"
  >
> &
  Pick<EngineOptions, "onDemand">;

function liveEngine(args: Arguments, parts: LiveParts): Engine {
  return new Engine({
    ...parts,
    // Sensors cannot be read again: a sequence that alerted must not be pending after a restart.
    keep: { intervalMs: KEEP_INTERVAL_MS, live: true, position: (records) => String(parts.firstSeq + records) },
    partitions: partitionsOf(args),
    whenFull: "drop",
    flushMs: FLUSH_MS,
    batchBudgetMs: BATCH_BUDGET_MS,
    words: ALL_WORDS,
  });
}

function partitionsOf(args: Arguments): number {
  return args.number("partitions", 1, { least: 1, most: PARTITIONS_MAX });
}

function listenText(args: Arguments): string {
  return args.text("listen") ?? DEFAULT_LISTEN;
}

type Compiling = Omit<ExecJudgeOptions, "isRunning">;

async function readBook(
  paths: readonly string[],
  store: Store,
  { registry, backend, cacheDirectory, log }: Compiling,
): ReturnType<typeof loadBookForAgent> {
  const uploaded = store.rules().map(({ id, format, text }) => ({ id, format, text }));
  const book = await loadBookForAgent(
    { paths, uploaded, extraFields: registry.extraFields(), backend, words: ALL_WORDS, cacheDirectory },
    registry,
  );
  for (const finding of book.findings) log.write("warn", finding);
  return book;
}

function warner(log: Log): (text: string) => void {
  return (text) => log.write("warn", text);
}

function sayArmed(armed: number, problems: ArmResult["problems"], log: Log): void {
  for (const { ruleId, diagnostics } of problems)
    log.write("warn", "rule left out", { rule: ruleId, reason: diagnostics[0]?.message ?? "" });
  if (armed === 0) log.write("warn", "no rule is armed: nothing raises an alert until one is uploaded");
}

/** What an earlier run kept of pending sequences, and the number of its next event. */
function savedState(store: Store, log: Log): { readonly rows: SavedState; readonly firstSeq: number } {
  const state = store.loadState();
  if (state?.kind === "damaged") {
    const { reason, setAside } = state;
    log.write("error", "the kept sequences were damaged and set aside; pending ones are forgotten", { reason, table: setAside });
  }
  if (state?.kind !== "saved") return { rows: [], firstSeq: 0 };
  const seq = Number(state.position ?? 0);
  return { rows: state.rows, firstSeq: Number.isSafeInteger(seq) && seq >= 0 ? seq : 0 };
}

interface WatchingParts {
  readonly registry: ReturnType<typeof registryFrom>;
  readonly log: Log;
  readonly response: LiveResponse;
  /** Told that a recording, unlike a machine, has come to its end. */
  readonly ended: () => Promise<void>;
}

/** Starts the sensors, or where the kernel or the user's rights refuse them, says so and replays the built-in recording. */
async function startWatching(source: EbpfSource, sink: RecordSink, parts: WatchingParts): Promise<Pick<Source, "stop">> {
  const { registry, log, response, ended } = parts;
  try {
    await source.start(sink);
  } catch (error) {
    if (!(error instanceof KestrelError) || error.code !== "no-bpf") throw error;
    log.write("warn", error.message);
    log.write("warn", "this machine is NOT being watched; replaying the built-in recording to show what alerts look like");
    // What is replayed happened elsewhere and long ago: nobody here is to be touched for it.
    await response.close();
    const recording = await replayRecording(sink, registry, log);
    await ended();
    return recording;
  }
  for (const status of sensorStatus(source)) log.write("info", sensorLine(status));
  for (const line of denierLines(source)) log.write("info", line);
  response.shortfalls.start();
  return source;
}

async function replayRecording(sink: RecordSink, registry: ReturnType<typeof registryFrom>, log: Log): Promise<Source> {
  const recording = new ReplaySource({
    registry,
    files: [],
    texts: [{ name: "built-in recording", text: BUILTIN_RECORDING }],
    decoder: {},
    onProblem: ({ file, line, message }) => log.write("warn", `${file}:${line}: ${message}`),
  });
  await recording.start(sink);
  return recording;
}

function serve(
  args: Arguments,
  parts: {
    readonly agent: Agent;
    readonly alerts: AlertReader;
    readonly isolation: IsolationPort;
    readonly connections: ConnectionLimit;
    readonly clock: SystemClock;
    readonly log: Log;
    readonly data: DataDirectory;
  },
): RunningServer {
  const { agent, alerts, isolation, connections, clock, log, data } = parts;
  const { token } = loadOrCreateToken(data.token);
  const server = startServer({ listen: listenText(args), agent, alerts, isolation, clock, log, token });
  connections.start(server.port);
  log.write("info", `API and page on ${server.url}  token in ${data.token}`);
  return {
    ...server,
    stop() {
      connections.close();
      return server.stop();
    },
  };
}
