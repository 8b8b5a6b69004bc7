// Judges what a test machine wrote: for each pass, sensor and attachment, which acts were seen, and everything that is not as it must be.
// Nothing missing may pass for good: no alert, no act, no pass and no end are each a failure of their own.
import type { Act } from "./act.ts";
import { ACTS } from "./acts.ts";
import { judgeRungs, RUNGS, type Rung, type RungRow } from "./rungs.ts";

/** One line of the table. */
export interface Row {
  readonly sensor: string;
  readonly attachment: string;
  /** Acts seen as they must be, by name. */
  readonly seen: readonly string[];
  /** Acts that this attachment is known not to see, and did not. */
  readonly notCovered: readonly string[];
  readonly failures: readonly string[];
}

/** One run of the agent inside the machine. */
interface Pass {
  readonly name: string;
  readonly sensors: readonly SensorJson[];
  /** Exit status of each act and the first line it printed. */
  readonly acts: ReadonlyMap<string, { readonly status: number; readonly text: string }>;
  /** Alerts of each rule. */
  readonly alerts: ReadonlyMap<string, number>;
  readonly exit: number | undefined;
  readonly log: readonly string[];
}

interface SensorJson {
  readonly sensor: string;
  readonly attachment?: string;
  readonly refused: readonly { readonly attachment: string; readonly reason: string }[];
}

/** The verdict on one kernel. */
export interface Verdict {
  readonly rows: readonly Row[];
  readonly rungs: readonly RungRow[];
  /** What became of hooks in functions that were switched off while the agent ran; `undefined`: they were not. */
  readonly hooks: string | undefined;
  /** Failures that belong to no sensor. */
  readonly failures: readonly string[];
}

/** What a transcript must hold. */
export interface Expectation {
  /** Names of the passes, in order. */
  readonly passes: readonly string[];
  readonly acts: readonly Act[];
  /** Rungs that are measured. */
  readonly rungs: readonly Rung[];
  /** Whether hooks in functions are switched off while the agent runs. */
  readonly switchesHooksOff: boolean;
}

/** An emulated machine, whose kernel is asked for everything. */
const EMULATED: Expectation = {
  passes: ["preferred", "without-ftrace", "without-cgroup"],
  acts: ACTS,
  rungs: RUNGS,
  switchesHooksOff: true,
};
/** The machine at hand: one pass, with whatever attachments its kernel takes. */
export const HERE: Expectation = { passes: ["here"], acts: ACTS.filter((act) => !act.emulatedOnly), rungs: [], switchesHooksOff: false };

/** Judges a transcript. */
export function judge(results: string, expected: Expectation = EMULATED): Verdict {
  const passes = readPasses(results);
  const names = passes.map(({ name }) => name).join(", ");
  const rungs = judgeRungs(results, expected.rungs);
  const hooks = expected.switchesHooksOff ? (/^@@ hooks (.*)$/m.exec(results)?.[1] ?? "nothing") : undefined;
  return {
    rungs: rungs.rows,
    hooks,
    rows: passes.flatMap((pass) => pass.sensors.map((sensor) => judgeSensor(pass, sensor, expected.acts))),
    failures: [
      ...(names === expected.passes.join(", ") ? [] : [`the machine made these passes: ${names || "none"}`]),
      ...(/^@@ done /m.test(results) ? [] : ["the machine did not come to its end"]),
      ...passes.flatMap((pass) => judgePass(pass, expected.acts)),
      ...rungs.failures,
      ...(hooks === undefined ? [] : judgeHooks(hooks)),
    ],
  };
}

/** The kernel keeps them, or what stands in sees an act and denies connections. */
function judgeHooks(hooks: string): readonly string[] {
  return /^(?:kept$|replaced EPERM )/.test(hooks) ? [] : [`hooks in functions switched off: ${hooks}`];
}

function judgePass(pass: Pass, acts: readonly Act[]): readonly string[] {
  const failures: string[] = [];
  if (pass.sensors.length === 0) failures.push("doctor names no sensor");
  for (const { name, sensor } of acts) {
    if (!pass.sensors.some((one) => one.sensor === sensor)) failures.push(`no sensor ${sensor} for ${name}`);
    if (!pass.acts.has(name)) failures.push(`${name} was not done`);
  }
  if (pass.exit !== 0) failures.push(`the agent ended with ${pass.exit ?? "nothing"}: ${pass.log.join(" | ")}`);
  return failures.map((text) => `${pass.name}: ${text}`);
}

function judgeSensor(pass: Pass, { sensor, attachment = "off", refused }: SensorJson, acts: readonly Act[]): Row {
  const row = { seen: [] as string[], notCovered: [] as string[], failures: [] as string[] };
  const needsCgroup = acts.every((act) => act.sensor !== sensor || act.unseenBy.includes("off"));
  // A sensor that nothing is asked of here may be off: this machine's kernel has no modules.
  const isAsked = acts.some((act) => act.sensor === sensor);
  const mayBeOff = (needsCgroup && pass.name === "without-cgroup") || (!isAsked && pass.name === HERE.passes[0]);
  if (attachment === "off" && !mayBeOff) row.failures.push("the sensor is off");
  if (pass.name === "preferred") row.failures.push(...refused.map((one) => `refused ${one.attachment}: ${one.reason}`));
  else if (pass.name.startsWith("without-") && /^f(entry|exit)\//.test(attachment))
    row.failures.push("needs ftrace, which is switched off");
  if (pass.name === "without-cgroup" && attachment.includes("cgroup/")) row.failures.push("needs cgroup v2, which is not mounted");
  for (const act of acts) {
    if (act.sensor !== sensor) continue;
    const done = pass.acts.get(act.name);
    const alerts = pass.alerts.get(act.name) ?? 0;
    if (done !== undefined && done.status !== 0) row.failures.push(`${act.name} ended with ${done.status} (${done.text})`);
    else if (alerts === act.alerts) row.seen.push(act.name);
    else if (alerts === 0 && act.unseenBy.includes(attachment)) row.notCovered.push(act.name);
    else row.failures.push(`${act.name} raised ${alerts} alerts instead of ${act.alerts}`);
  }
  return { sensor, attachment, ...row };
}

function readPasses(results: string): readonly Pass[] {
  return results
    .split(/^@@ pass /m)
    .slice(1)
    .map((text) => readPass(text.split("\n")));
}

interface AlertLine {
  readonly rule: { readonly id: string };
  readonly response?: { readonly outcome: string };
}

function readPass([name = "", ...lines]: readonly string[]): Pass {
  const of = (kind: string): readonly string[] => {
    const start = `@@ ${kind} `;
    return lines.filter((line) => line.startsWith(start)).map((line) => line.slice(start.length));
  };
  const acts = new Map<string, { readonly status: number; readonly text: string }>();
  for (const line of of("act")) {
    const [, act = "", status = "", text = ""] = /^\d+-(\S+) (\d+) ?(.*)$/.exec(line) ?? [];
    acts.set(act, { status: Number(status), text });
  }
  const alerts = new Map<string, number>();
  for (const line of of("alert")) {
    const { rule, response } = JSON.parse(line) as AlertLine;
    // An act that was to be stopped and was not does not count as seen.
    if (response !== undefined && response.outcome !== "done") continue;
    alerts.set(rule.id, (alerts.get(rule.id) ?? 0) + 1);
  }
  const [exit] = of("exit");
  return {
    name: name.trim(),
    sensors: readSensors(of("doctor")[0]),
    acts,
    alerts,
    exit: exit === undefined ? undefined : Number(exit),
    log: of("log"),
  };
}

function readSensors(doctor: string | undefined): readonly SensorJson[] {
  if (doctor === undefined || !doctor.startsWith("{")) return [];
  return (JSON.parse(doctor) as { readonly sensors: readonly SensorJson[] }).sensors;
}
