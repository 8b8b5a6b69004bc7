// A flood of distinct join keys through the engine under the agent's own quotas: bun test/bench/key-flood.ts [--keys 10000000]. Exit code 1 when
// state passes the quota, evictions are not told once, or a fresh pair is not answered.
import { parseArgs } from "node:util";
import { STATE_LIMITS } from "#nfa";
import { floodKeys } from "../engine/key-flood.ts";

/** What the engine, compiled rules and half-empty tables take beside the bytes that are counted. */
const OVERHEAD_BYTES: number = 128 << 20;
/** A checkpoint may hold as many rows as there are partial matches, and as many that are gone, until it is written and collected. */
const CHECKPOINT_BYTES: number = 512 << 20;
const KEEP_EVERY_MS = 2000;

const { values } = parseArgs({ options: { keys: { type: "string", default: "10000000" } } });
const keys = Number(values.keys);
const beforeBytes = process.memoryUsage.rss();
const figures = await floodKeys(keys, {}, KEEP_EVERY_MS);
const mb = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
const {
  bench,
  entriesMost,
  stateBytesMost,
  residentBytesMost,
  residentBytesSettled,
  evictions,
  checkpoints,
  checkpointRowsMost,
  tookMs,
  answerMs,
} = figures;
const kinds = bench.alerts.map(({ kind }) => kind).join(", ");
console.log(
  `${keys.toLocaleString("en-US")} keys in ${(tookMs / 1000).toFixed(1)} s, ${Math.round((keys * 1000) / tookMs).toLocaleString("en-US")} events/s\n` +
    `state: at most ${entriesMost.toLocaleString("en-US")} partial matches, ${mb(stateBytesMost)} (quota of a rule ` +
    `${STATE_LIMITS.ruleEntriesMax.toLocaleString("en-US")}, ${mb(STATE_LIMITS.ruleBytesMax)})\n` +
    `resident: ${mb(beforeBytes)} before, at most ${mb(residentBytesMost)}, ${mb(residentBytesSettled)} in the end\n` +
    `${evictions.toLocaleString("en-US")} evictions; ${checkpoints} checkpoints of at most ${checkpointRowsMost} rows; alerts: ${kinds}; ` +
    `a fresh pair answered in ${answerMs.toFixed(1)} ms`,
);
const kept =
  entriesMost <= STATE_LIMITS.ruleEntriesMax &&
  stateBytesMost <= STATE_LIMITS.bytesMax &&
  residentBytesSettled - beforeBytes <= STATE_LIMITS.ruleBytesMax + OVERHEAD_BYTES &&
  residentBytesMost - beforeBytes <= STATE_LIMITS.ruleBytesMax + OVERHEAD_BYTES + CHECKPOINT_BYTES;
process.exit(kept && kinds === "eviction, rule" ? 0 : 1);
