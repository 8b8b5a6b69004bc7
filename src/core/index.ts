// Door of the core room: the ports and values every other room speaks, the bus, time, metrics. Knows no rule language, sensor or socket.
export { type AgentNotice, agentAlert } from "./agent-alert.ts";
export type { Alert, Ancestor, Json } from "./alert.ts";
export { decodeAlert, encodeAlert } from "./alert-json.ts";
export { type BusCounters, type BusOptions, EventBus, type FullPolicy, type Partition } from "./bus.ts";
export type { Checkpoint, SavedState, StateRow } from "./checkpoint.ts";
export { type Cancel, type Clock, MockClock, SystemClock } from "./clock.ts";
export { assert, KestrelError, messageOf } from "./error.ts";
export type { ExecAttempt, ExecJudge, ExecJudgement, ExecWitness } from "./exec-attempt.ts";
export { stringifyJson } from "./json.ts";
export { bpffsRoot, CLOCK_TICK_NS, cgroupRoot, entityIdOf, lineBehind } from "./linux-facts.ts";
export { createLog, type Log, type LogLevel } from "./log.ts";
export { endOf, LineReader, lineOf, sendLine } from "./message-lines.ts";
export { type MetricFamily, type MetricSample, metric, metricBy } from "./metrics.ts";
export {
  type Emission,
  type Evaluator,
  type FaultKind,
  type FaultPlace,
  type Kept,
  type LossCounts,
  type RecordBatch,
  type RecordSink,
  RuleFault,
  type Sink,
  type Source,
} from "./ports.ts";
export type { ReplayProblem } from "./replay-input.ts";
export type { ReplayPlace, ReplayPosition } from "./replay-position.ts";
export { type ReplayOptions, ReplaySource } from "./replay-source.ts";
export type {
  AlertResponse,
  KernelResponse,
  Responder,
  ResponseAction,
  ResponseMeans,
  ResponseMode,
  ResponseOutcome,
  ResponseRequest,
  ResponseScope,
} from "./response.ts";
export type { Finding, Watch } from "./watch.ts";
export { workerUrl } from "./worker-url.ts";
