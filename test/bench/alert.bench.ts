// The way of one alert: made from rule and record, printed, stored. Only events that match pay for it.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Alert, encodeAlert, stringifyJson } from "#core";
import { RecordView } from "#event";
import { parseRuleText, type Rule } from "#rules";
import { Store, StoreSink } from "#store";
import { AlertBuilder } from "../../src/engine/alert-builder.ts";
import { seededRandom } from "../eql/backend-support.ts";
import { bestNs, printAlone, type Row, type Section } from "./row.ts";
import { registry, sensorRecord } from "./sensor-events.ts";

const TURNS = 5000;
const ROUNDS = 3;
const RULE = `id: bench.alert
name: Program run from a folder anyone may write to
severity: high
tags: [attack.execution, attack.t1059.004]
capture: [process.pid, process.args, user.name]
query: any where true
`;

function ruleOf(text: string): Rule {
  const rule = parseRuleText(text, { file: "bench.yaml", format: "yaml", registry }).entries[0]?.rule;
  if (rule === null || rule === undefined) throw new Error("The rule of the bench has errors");
  return rule;
}

/** Stores each alert once: one that is there already would cost less. */
function storeNs(alerts: readonly Alert[]): number {
  const directory = mkdtempSync(join(tmpdir(), "kestrel-bench-"));
  try {
    const { store } = Store.open(join(directory, "kestrel.db"));
    const sink = new StoreSink(store);
    let round = 0;
    const perAlert = bestNs(
      1,
      () => {
        const mark = round++;
        for (const alert of alerts) sink.take({ ...alert, id: `${alert.id.slice(0, 28)}${mark.toString(16).padStart(4, "0")}` });
      },
      ROUNDS,
    );
    store.close();
    return perAlert / alerts.length;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function rows(): readonly Row[] {
  const rule = ruleOf(RULE);
  const random = seededRandom(7);
  const builder = new AlertBuilder(registry);
  const view = new RecordView();
  const records = Array.from({ length: TURNS }, () => sensorRecord(random));
  const make = (turn: number): Alert => builder.ruleAlert(rule, view.reset(records[turn]!, 0), undefined);
  const alerts = records.map((_, turn) => make(turn));
  const unit = "µs";
  return [
    { name: "alert made from a record", value: bestNs(TURNS, make) / 1000, unit, note: "id, captures, ancestry, whole event" },
    { name: "alert printed as JSON", value: bestNs(TURNS, (turn) => stringifyJson(encodeAlert(alerts[turn]!))) / 1000, unit },
    { name: "alert stored", value: storeNs(alerts) / 1000, unit, note: "SQLite, one commit each, no fsync" },
  ];
}

/** Alerts. */
export const alertSection: Section = { name: "alert", rows };

if (import.meta.main) await printAlone(alertSection);
