// The sensors of a running agent as status and log tell of them, and their following of what the rules want.
import type { SensorStatus } from "#api";
import { type Log, messageOf } from "#core";
import type { EbpfSource } from "#ebpf";
import type { DemandListener, Engine } from "#engine";
import type { AgentParts } from "./agent.ts";
import { readsLateFields } from "./late-fields.ts";
import type { LiveResponse } from "./live-response.ts";

/** How each sensor is doing. */
export function sensorStatus(source: EbpfSource): readonly SensorStatus[] {
  return source.statuses().map(({ sensor, needed, attachment, refused }): SensorStatus => {
    const refusals = refused.map((refusal) => `${refusal.attachment}: ${refusal.reason}`).join("; ");
    if (source.isSwitchedOff(sensor)) return { name: sensor, state: "off", attachment: "", reason: "switched off by --without" };
    if (!needed) return { name: sensor, state: "unused", attachment: "", reason: "no rule can match its events" };
    const state = attachment === undefined ? "off" : refused.length === 0 ? "on" : "fallback";
    return { name: sensor, state, attachment: attachment ?? "", reason: refusals };
  });
}

/** What the agent asks of its sensors. Where none run, what it evaluates comes from a recording. */
export function sensorParts(
  source: EbpfSource,
  engine: Engine,
  { gate, shortfalls, turns }: Pick<LiveResponse, "gate" | "shortfalls" | "turns">,
): Pick<
  AgentParts,
  | "gate"
  | "shortfalls"
  | "produced"
  | "sensorLosses"
  | "filtered"
  | "piecesLost"
  | "sensors"
  | "files"
  | "onRules"
  | "sensorsSettled"
  | "fallBack"
  | "records"
  | "modesChanged"
  | "deniesPrograms"
> {
  return {
    gate,
    shortfalls,
    produced: () => (source.statuses().length > 0 ? source.produced : engine.counters().offered),
    sensorLosses: () => source.losses(),
    filtered: () => source.filtered(),
    piecesLost: () => source.counts().piecesLost,
    sensorsSettled: () => source.settled(),
    fallBack: () => source.fallBack(),
    sensors: () => [...sensorStatus(source), ...gate.statuses()],
    records: () =>
      Object.entries(source.counts().kernel).map(([kind, { produced, dropped, filtered }]) => ({ kind, produced, dropped, filtered })),
    files: () => {
      const { held, heldTooLong, files, readers } = source.counts();
      return { held, heldTooLong, byResult: { ...files }, ...readers };
    },
    onRules: (rules, reach) => {
      source.setHold(readsLateFields(rules));
      turns.use(rules, reach);
    },
    modesChanged: () => {
      source.policies.refreshModes();
      turns.refresh();
    },
    deniesPrograms: (ruleId) => source.policies.deniesPrograms(ruleId),
  };
}

/** How acts that rules deny are denied, a line of the log each. */
export function denierLines(source: EbpfSource): readonly string[] {
  return source.policies.status().deniers.map(({ act, means, refused }) => {
    const reasons = refused.map((refusal) => `${refusal.attachment}: ${refusal.reason}`).join("; ");
    return `denial ${act.padEnd(8)} ${(means ?? "off").padEnd(8)} ${reasons === "" ? "" : ` (${reasons})`}`.trimEnd();
  });
}

/** A sensor in one line of the log. */
export function sensorLine({ name, state, attachment, reason }: SensorStatus): string {
  return `sensor ${name.padEnd(8)} ${state.padEnd(8)} ${attachment}${reason === "" ? "" : ` (${reason})`}`.trimEnd();
}

/** Lets the sensors follow what the rules can match, and says which of them that turned on or off. */
export function demandListener(source: EbpfSource, log: Log): DemandListener {
  let said = new Map<string, string>();
  const say = (): void => {
    const statuses = sensorStatus(source);
    for (const status of statuses) {
      const state = said.get(status.name);
      if (state !== undefined && state !== status.state) log.write("info", sensorLine(status));
    }
    said = new Map(statuses.map(({ name, state }) => [name, state]));
  };
  return (demand) => {
    say();
    try {
      source.setDemand(demand);
      // Why not, the source has said.
      void source.settled().then(say, say);
    } catch (error) {
      log.write("error", "sensors do not follow the rules", { reason: messageOf(error) });
    }
  };
}
