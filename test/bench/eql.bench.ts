// EQL rule sets in Bun's own WebAssembly: cost of one predicate on one event, and of every public rule that compiles, in batches of 256 events.
// Run with `bun test/bench/eql.bench.ts [--json]`. The events are made from a fixed seed, so runs compare.
import { existsSync, readFileSync } from "node:fs";
import { RecordBuilder } from "#event";
import { SchemaRegistry } from "#schema";
import { type ConditionNode, IrBuilder } from "../../src/eql/ir.ts";
import { lowerQuery } from "../../src/eql/query.ts";
import { emitWasm } from "../../src/eql/wasm.ts";
import { interestsOf, randomRecord, seededRandom, WasmRunner } from "../eql/backend-support.ts";

const CORPUS = `${import.meta.dir}/../../../shared/corpus/eql/elastic-linux-rules.jsonl`;
const BATCH = 256;
const ROUNDS = 400;
const registry = new SchemaRegistry();

interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

function lower(texts: readonly string[]): ConditionNode[] {
  const builder = new IrBuilder();
  return texts.flatMap((text) => {
    const { condition } = lowerQuery({ id: "q", text, dialect: "default", exceptions: [], lenientFields: true }, registry, builder);
    return condition === undefined ? [] : [condition];
  });
}

const NAMES = ["bash", "sh", "python3.11", "curl", "nginx", "systemd", "cron", "ls", "sshd", "node", "git", "cat", "sed", "dpkg"];
const FOLDERS = ["/usr/bin", "/bin", "/usr/sbin", "/tmp", "/home/user/.local/bin", "/opt/app/current"];

/** An event as the exec, file and connect sensors make them: about 25 fields. */
function sensorRecord(random: () => number): Uint8Array {
  const pick = (list: readonly string[]): string => list[Math.floor(random() * list.length)]!;
  const builder = new RecordBuilder();
  const kind = pick(["process", "process", "file", "network"]);
  builder.begin(registry.categories.idOf(kind), 1_700_000_000_000_000_000n);
  const set = (name: string, value: string | readonly string[] | bigint | boolean): void => {
    const field = registry.byName(name)!;
    builder.value(field.id, field.type, value);
  };
  const name = pick(NAMES);
  const args = [name, "-c", `${pick(FOLDERS)}/run --config /etc/app/${Math.floor(random() * 1000)}.conf --verbose`, "--", "x"];
  set("event.category", [kind]);
  set("event.type", [kind === "file" ? "creation" : "start"]);
  set("event.action", kind === "process" ? "exec" : kind === "file" ? "creation" : "connection_attempted");
  set("host.os.type", "linux");
  set("host.name", "host-1");
  set("user.id", String(Math.floor(random() * 3) * 500));
  set("user.name", pick(["root", "www-data", "user"]));
  for (const prefix of ["process", "process.parent"]) {
    const own = prefix === "process" ? name : pick(NAMES);
    set(`${prefix}.name`, own);
    set(`${prefix}.executable`, `${pick(FOLDERS)}/${own}`);
    set(`${prefix}.pid`, BigInt(Math.floor(random() * 60_000)));
    set(`${prefix}.entity_id`, `e${Math.floor(random() * 1e9)}`);
    set(`${prefix}.args`, args.slice(0, 1 + Math.floor(random() * 5)));
    set(`${prefix}.args_count`, BigInt(args.length));
    set(`${prefix}.command_line`, args.join(" "));
  }
  set("process.working_directory", pick(FOLDERS));
  set("process.interactive", random() < 0.5);
  if (kind === "file") {
    set("file.path", `${pick(FOLDERS)}/${name}.${pick(["sh", "txt", "conf"])}`);
    set("file.name", `${name}.sh`);
    set("file.extension", "sh");
  }
  if (kind === "network") {
    set("destination.ip", pick(["10.0.0.1", "8.8.8.8", "2001:db8::1"]));
    set("destination.port", 443n);
  }
  return builder.bytes.slice(0, builder.finish());
}

/** Best time of a batch over all rounds, in ns for one event; `hits` keeps the work honest. */
function measure(
  roots: readonly ConditionNode[],
  records: readonly Uint8Array[],
): { readonly best: number; readonly median: number; readonly hits: number } {
  const runner = new WasmRunner(emitWasm(roots), roots.length);
  const { batch, out } = runner.place(records);
  const times: number[] = [];
  let hits = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const start = Bun.nanoseconds();
    hits = runner.run(batch, records.length, out);
    times.push((Bun.nanoseconds() - start) / records.length);
  }
  times.sort((a, b) => a - b);
  return { best: times[0]!, median: times[times.length >> 1]!, hits };
}

const SINGLE: readonly (readonly [string, string])[] = [
  ["equality", 'process where process.name == "bash"'],
  ["list of 8, any case", 'process where process.name : ("a", "b", "c", "d", "e", "f", "g", "bash")'],
  ["wildcards over arguments", 'any where process.args like ("/tmp/*", "*--verbose*")'],
  ["contains in a command line", 'any where process.command_line like~ "*--CONFIG /etc/*"'],
  ["regex over a command line", 'any where process.command_line regex ".*/etc/app/[0-9]+\\\\.conf.*"'],
  ["length and arithmetic", "any where length(process.command_line) + process.pid * 2 > 1000"],
  ["cidr", 'network where cidrMatch(destination.ip, "10.0.0.0/8", "fe80::/10")'],
];

function run(): Figure[] {
  const figures: Figure[] = [];
  const random = seededRandom(7);
  const records = Array.from({ length: BATCH }, () => sensorRecord(random));
  const idle = measure(lower(['any where event.kind == "no such kind"']), records);
  figures.push({ name: "one predicate that a guard rules out", value: idle.median, unit: "ns/event" });
  for (const [name, text] of SINGLE) {
    figures.push({ name: `one predicate: ${name}`, value: measure(lower([text]), records).median, unit: "ns/event" });
  }
  if (!existsSync(CORPUS)) {
    console.error(`bench: skipped the public rules: ${CORPUS} is not there`);
    return figures;
  }
  const rules = readFileSync(CORPUS, "utf8").trim().split("\n");
  const texts = rules.map((line) => (JSON.parse(line) as { query: string }).query);
  let start = Bun.nanoseconds();
  const roots = lower(texts);
  figures.push({ name: `public rules: lower ${roots.length} of ${texts.length}`, value: (Bun.nanoseconds() - start) / 1e6, unit: "ms" });
  start = Bun.nanoseconds();
  const bytes = emitWasm(roots);
  figures.push({ name: "public rules: emit", value: (Bun.nanoseconds() - start) / 1e6, unit: "ms" });
  figures.push({ name: "public rules: module", value: bytes.length / 1024, unit: "KiB" });
  const near = Array.from({ length: BATCH }, () => randomRecord(random, interestsOf(roots), [3, 4, 5]));
  for (const [name, events] of [
    ["sensor events", records],
    ["events near the rules", near],
  ] as const) {
    const { median, best, hits } = measure(roots, events);
    figures.push({ name: `public rules on ${name} (${hits} hits)`, value: median, unit: "ns/event" });
    figures.push({ name: `public rules on ${name}, best`, value: 1e9 / best, unit: "events/s" });
  }
  return figures;
}

const figures = run();
if (process.argv.includes("--json")) console.log(JSON.stringify(figures));
else
  for (const { name, value, unit } of figures) console.log(`${name.padEnd(58)} ${value.toFixed(value < 100 ? 1 : 0).padStart(12)} ${unit}`);
