// The way of one alert: made from rule and record, printed, stored. Only events that match pay for it. And the state of sequences, which is
// stored with the alerts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Alert, type Checkpoint, encodeAlert, type StateRow, stringifyJson } from "#core";
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
        for (const alert of alerts) sink.take([{ ...alert, id: `${alert.id.slice(0, 28)}${mark.toString(16).padStart(4, "0")}` }]);
      },
      ROUNDS,
    );
    store.close();
    return perAlert / alerts.length;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const FULL = 100_000;
const FILLED_AT_ONCE = 1000;
const STORED_AT_ONCE = 50;

/** Alerts of a flood, some at once, into a store that lets an old one go for each. */
function storeFullNs(alerts: readonly Alert[], random: () => number): number {
  const directory = mkdtempSync(join(tmpdir(), "kestrel-bench-"));
  try {
    const { store } = Store.open(join(directory, "kestrel.db"), { alertsMax: FULL });
    let timeNs = 0n;
    const another = (alert: Alert): Alert => ({
      ...alert,
      timeNs: ++timeNs,
      id: Buffer.from(Array.from({ length: 16 }, () => random() * 256)).toString("hex"),
    });
    const small: Alert = { ...alerts[0]!, events: [], ancestry: [], captures: {} };
    for (let count = 0; count < FULL; count += FILLED_AT_ONCE)
      store.insertAlerts(Array.from({ length: FILLED_AT_ONCE }, () => another(small)));
    const perRound = bestNs(
      1,
      () => {
        for (let at = 0; at < alerts.length; at += STORED_AT_ONCE) store.insertAlerts(alerts.slice(at, at + STORED_AT_ONCE).map(another));
      },
      ROUNDS,
    );
    store.close();
    return perRound / alerts.length;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const DIRTY_KEYS = 100_000;
const STATE_VALUE_BYTES = 300;
const STATE_RULES = 50;

/** As a large flood leaves it: keys in no order, of some rules. */
function dirtyKeys(random: () => number): Checkpoint {
  const row = (index: number): StateRow => {
    const key = Uint8Array.from({ length: 16 }, () => random() * 256);
    return { owner: `kestrel.rule-${index % STATE_RULES}`, key, value: new Uint8Array(STATE_VALUE_BYTES).fill(index) };
  };
  return { cleared: [], rows: Array.from({ length: DIRTY_KEYS }, (_, index) => row(index)) };
}

/** Commits of 10^5 rows: new ones, then all of them again in another order; then what a start reads. */
function stateRows(random: () => number): readonly Row[] {
  const directory = mkdtempSync(join(tmpdir(), "kestrel-bench-"));
  try {
    const { store } = Store.open(join(directory, "kestrel.db"));
    const fresh = Array.from({ length: ROUNDS }, () => dirtyKeys(random));
    const inserted = bestNs(1, () => store.commit([], fresh.pop(), "{}"), ROUNDS);
    store.clearState();
    const first = dirtyKeys(random);
    const again: Checkpoint = { cleared: [], rows: first.rows.toReversed() };
    store.commit([], first, "{}");
    const updated = bestNs(1, () => store.commit([], again, "{}"), ROUNDS);
    const loaded = bestNs(1, () => loadAll(store), ROUNDS);
    store.close();
    const unit = "ms";
    return [
      { name: "snapshot of 10^5 new keys", value: inserted / 1e6, unit, note: `${STATE_VALUE_BYTES}-byte values, one commit` },
      { name: "snapshot of 10^5 changed keys", value: updated / 1e6, unit, note: "the same keys again" },
      { name: "snapshot of 10^5 keys loaded", value: loaded / 1e6, unit, note: "checked, then read" },
    ];
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function loadAll(store: Store): void {
  const state = store.loadState();
  let count = 0;
  if (state?.kind === "saved") for (const { value } of state.rows) count += value.length > 0 ? 1 : 0;
  if (count !== DIRTY_KEYS) throw new Error(`The state has ${count} rows, not ${DIRTY_KEYS}`);
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
    {
      name: "alert of a flood stored in a full store",
      value: storeFullNs(alerts, random) / 1000,
      unit,
      note: `of ${FULL} alerts, ${STORED_AT_ONCE} a commit`,
    },
    ...stateRows(random),
  ];
}

/** Alerts, and the state stored with them. */
export const alertSection: Section = { name: "alert", rows };

if (import.meta.main) await printAlone(alertSection);
