// Which sensors set which fields, for people who write rules: derived from the list of fields the sensors set; only what not every sensor sets is
// named here. A test on the real kernel holds it against the records that come.
import { SENSOR_WORDS } from "./event-words.ts";
import { FIELD_NAMES } from "./fields.ts";
import type { SensorName } from "./sensors.ts";

type FieldKey = keyof typeof FIELD_NAMES;

const ACTS: readonly SensorName[] = ["act", "credential", "memory", "module", "signal"];
const FILES: readonly SensorName[] = ["file", "change"];
const FLOWS: readonly SensorName[] = ["connect", "accept", "bind", "send", "dns"];
const EVERY: readonly SensorName[] = Object.keys(SENSOR_WORDS) as SensorName[];

const EXEC_KEYS: readonly FieldKey[] = [
  "argsTruncated",
  "envVars",
  "envTruncated",
  "redacted",
  "secureExec",
  "fileSetsUser",
  "fileSetsGroup",
];
const EXIT_KEYS: readonly FieldKey[] = ["exitCode", "exitSignal", "processEnd"];
const ACT_KEYS: readonly FieldKey[] = [
  ...([
    "targetName",
    "targetExecutable",
    "targetPid",
    "targetEntityId",
    "signal",
    "previousUserId",
    "previousGroupId",
    "unearned",
  ] as const),
  ...(["bpfProgramName", "bpfProgramType", "namespaces", "moduleName", "moduleTaints", "keyOperation", "keyDescription"] as const),
  ...(["systemCall", "systemCallClass", "systemCallArgument0", "systemCallArgument2"] as const),
];

/** A field, and who sets it. */
export interface SensorField {
  readonly name: string;
  /** Sensors that set it; empty: only records of denied attempts have it. */
  readonly sensors: readonly SensorName[];
  /** Categories of their events. */
  readonly categories: readonly string[];
}

/** Every field that the sensors set. */
export function sensorFields(): readonly SensorField[] {
  return Object.entries(FIELD_NAMES).map(([key, name]) => {
    const sensors = sensorsOf(key as FieldKey, name);
    const categories = sensors.flatMap((sensor) => SENSOR_WORDS[sensor].flatMap(([category]) => category));
    return { name, sensors, categories: [...new Set(categories)].sort() };
  });
}

function sensorsOf(key: FieldKey, name: string): readonly SensorName[] {
  if (key === "eventOutcome") return [];
  if (EXEC_KEYS.includes(key)) return ["exec"];
  if (EXIT_KEYS.includes(key)) return ["exit"];
  if (ACT_KEYS.includes(key)) return ACTS;
  if (key === "capabilitiesEffective" || key === "capabilitiesPermitted") return ["exec", "credential"];
  // Of a mount, a module, a mapping or a local socket the file is told as well.
  if (name.startsWith("file.")) return [...FILES, ...ACTS, "unix"];
  if (key === "destinationAddress") return ["unix"];
  if (key === "networkTransport" || key === "networkDirection") return [...FLOWS, "unix"];
  if (name.startsWith("dns.")) return ["dns"];
  return /^(?:source|destination|network)\./.test(name) ? FLOWS : EVERY;
}
