// bun run bench: every section one after another, one table or `--json`; `--only eql,agent` picks some. Progress goes to standard error.
// Inputs are made from fixed seeds, so runs on one machine compare.
import { cpus, loadavg, release } from "node:os";
import { parseArgs } from "node:util";
import { WASMTIME_VERSION } from "#ffi/libwasmtime";
import { agentSection } from "./agent.bench.ts";
import { alertSection } from "./alert.bench.ts";
import { ebpfSection } from "./ebpf.bench.ts";
import { eqlSection } from "./eql.bench.ts";
import { evaluatorSection } from "./evaluator.bench.ts";
import { eventSection } from "./event.bench.ts";
import { gateSection } from "./gate.bench.ts";
import { nfaSection } from "./nfa.bench.ts";
import { replaySection } from "./replay.bench.ts";
import { respondSection } from "./respond.bench.ts";
import { type Row, type Section, tableOf } from "./row.ts";
import { sensorsSection } from "./sensors.bench.ts";
import { sequenceSection } from "./sequence.bench.ts";

const SECTIONS: readonly Section[] = [
  evaluatorSection,
  eqlSection,
  eventSection,
  ebpfSection,
  alertSection,
  gateSection,
  respondSection,
  nfaSection,
  sequenceSection,
  replaySection,
  agentSection,
  sensorsSection,
];

function machine(): Readonly<Record<string, string | number>> {
  const described = Bun.spawnSync(["git", "describe", "--always", "--dirty"], { cwd: import.meta.dir });
  return {
    kernel: release(),
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    architecture: process.arch,
    load: Number((loadavg()[0] ?? 0).toFixed(1)),
    bun: Bun.version,
    libwasmtime: WASMTIME_VERSION,
    commit: described.exitCode === 0 ? described.stdout.toString().trim() : "unknown",
  };
}

function chosen(only: string | undefined): readonly Section[] {
  if (only === undefined) return SECTIONS;
  const names = only.split(",");
  const unknown = names.find((name) => !SECTIONS.some((section) => section.name === name));
  if (unknown !== undefined) {
    console.error(`No section "${unknown}"; there are ${SECTIONS.map((section) => section.name).join(", ")}`);
    process.exit(2);
  }
  return SECTIONS.filter((section) => names.includes(section.name));
}

const { values } = parseArgs({ options: { json: { type: "boolean", default: false }, only: { type: "string" } } });
const facts = machine();
const measured: (Row & { readonly section: string })[] = [];
for (const { name, rows } of chosen(values.only)) {
  console.error(`bench: ${name}`);
  for (const row of await rows()) measured.push({ section: name, ...row });
}
if (values.json) console.log(JSON.stringify({ machine: facts, rows: measured }, undefined, 2));
else {
  const line = Object.entries(facts).map(([name, value]) => `${name} ${value}`);
  process.stdout.write(`${line.join(", ")}\n\n${tableOf(measured)}`);
}
