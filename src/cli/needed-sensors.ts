// Which sensors a rule needs, and which of their events: what the agent turns on for it, for `kestrel explain`.
import { ALL_WORDS, SENSOR_WORDS } from "#ebpf";
import { compileRuleSet, type QuerySource } from "#eql";
import type { EventWords, SchemaRegistry } from "#schema";

/** More are not listed: the rule does not say what it is about. */
const LISTED_MAX = 5;

/** One sensor and what it is needed for. */
export interface NeededSensor {
  readonly sensor: string;
  /** Values of `event.action`. */
  readonly actions: readonly string[];
  /** All that it reports is needed. */
  readonly all: boolean;
  /** Only events of certain names, folders, extensions, users, ports, addresses or control groups. */
  readonly some: boolean;
}

/** Sensors whose events the query can match. */
export function neededSensors(source: QuerySource, registry: SchemaRegistry): readonly NeededSensor[] {
  const { queries } = compileRuleSet([source], registry, [], ALL_WORDS);
  const demand = queries[0]?.demand ?? [];
  return Object.entries(SENSOR_WORDS).flatMap(([sensor, words]): NeededSensor[] => {
    const keys = new Set(words.map(keyOf));
    const wanted = demand.filter((one) => keys.has(keyOf(one.words)));
    if (wanted.length === 0) return [];
    const actions = wanted.map((one) => one.words[2]);
    return [{ sensor, actions, all: wanted.length === words.length, some: wanted.every(({ tests }) => tests !== undefined) }];
  });
}

function keyOf([category, type, action]: EventWords): string {
  return `${String(category)} ${type} ${action}`;
}

/** Those sensors as a line. */
export function neededText(needed: readonly NeededSensor[]): string {
  if (needed.length === 0) return "no sensor: its events come from logs";
  if (needed.length > LISTED_MAX) return "most sensors; conditions on event.type and event.action would spare some";
  return needed
    .map(
      ({ sensor, actions, all, some }) =>
        `${sensor}${all ? "" : ` (${actions.join(", ")})`}${some ? ", certain names, users, ports, addresses or containers only" : ""}`,
    )
    .join("; ");
}
