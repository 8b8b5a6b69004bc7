// The whole replay path: the built binary reads a log, decodes, batches, evaluates the built-in rules and prints alerts. The time to start is
// measured with an empty log and taken off, since it would only say how long the log was.
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JsonDecoder, KlogWriter, readLineChunks } from "#event";
import { seededRandom } from "../eql/backend-support.ts";
import { median, printAlone, type Row, type Section, skipped } from "./row.ts";
import { registry, sensorLines, sensorRecord } from "./sensor-events.ts";

const BINARY = join(import.meta.dir, "../../dist/kestrel");
const MADE = 5000;
const TIMES = 20;
const EVENTS: number = MADE * TIMES;
const ROUNDS = 3;

function replayMs(log: string): { readonly tookMs: number; readonly totals: string } {
  const startNs = Bun.nanoseconds();
  const { exitCode, stderr } = Bun.spawnSync([BINARY, "replay", log, "--json"], { stdout: "ignore", stderr: "pipe" });
  const tookMs = (Bun.nanoseconds() - startNs) / 1e6;
  if (exitCode !== 0) throw new Error(`kestrel replay ended with ${exitCode}: ${stderr.toString()}`);
  return { tookMs, totals: /(\d+) alerts/.exec(stderr.toString())?.[0] ?? "" };
}

function medianMs(log: string): number {
  return median(Array.from({ length: ROUNDS }, () => replayMs(log).tookMs));
}

/** Decoding alone, in this process: what is left when nothing looks at the records. */
async function decodeMs(log: string): Promise<number> {
  const decoder = new JsonDecoder(registry);
  const startNs = Bun.nanoseconds();
  for await (const { bytes, from, to, numbers } of readLineChunks(log)) {
    for (let index = 0; index < numbers.length; index++) decoder.decodeBytes(bytes, from[index]!, to[index]!);
  }
  return (Bun.nanoseconds() - startNs) / 1e6;
}

function writeKlog(path: string, records: readonly Uint8Array[]): void {
  const writer = KlogWriter.open(path, registry);
  for (let time = 0; time < TIMES; time++) for (const record of records) writer.append(record, 0, record.length);
  writer.close();
}

async function rowsIn(directory: string): Promise<readonly Row[]> {
  const random = seededRandom(7);
  const records = Array.from({ length: MADE }, () => sensorRecord(random));
  const [lines, klog, empty] = ["events.jsonl", "events.klog", "empty.jsonl"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(lines, sensorLines(records).repeat(TIMES));
  writeFileSync(empty, "");
  writeKlog(klog, records);
  const bytes = statSync(lines).size;
  const startMs = medianMs(empty);
  const { totals } = replayMs(lines);
  const note = `${EVENTS} events of ${Math.round(bytes / EVENTS)} bytes, built-in rules, ${totals}; the start taken off`;
  const both = (name: string, tookMs: number, more: string): readonly Row[] => [
    { name, value: (EVENTS * 1000) / tookMs, unit: "events/s", note: more },
    { name: `${name}, in bytes`, value: bytes / 1e3 / tookMs, unit: "MB/s" },
  ];
  await decodeMs(lines);
  return [
    { name: "start of a replay", value: startMs, unit: "ms", note: "rules parsed and compiled each time" },
    ...both("replay of JSON lines", medianMs(lines) - startMs, note),
    ...both("JSON lines decoded, no more", await decodeMs(lines), "reading the file included"),
    { name: "replay of .klog", value: (EVENTS * 1000) / (medianMs(klog) - startMs), unit: "events/s", note },
  ];
}

async function rows(): Promise<readonly Row[]> {
  if (!existsSync(BINARY)) return skipped("replay", `${BINARY} is not built`);
  const directory = mkdtempSync(join(tmpdir(), "kestrel-bench-"));
  try {
    return await rowsIn(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Replay. */
export const replaySection: Section = { name: "replay", rows };

if (import.meta.main) await printAlone(replaySection);
