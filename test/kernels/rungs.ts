// The rungs of the ladder against the clock, in an emulated machine: from an act to its end, 1,000 tries each by test/kernels/latency.c, and beside
// it the floor: the same by whom no rule is against, or the kernel's own refusal. Invariant: one try that is not stopped is a failure.
import type { Act } from "./act.ts";

/** Where the files that are acted on lie. */
const AT = "/tmp/latency";

/** What latency.c is asked: what it is to measure, the act, and on what. */
type Tried = readonly [how: "call" | "death", act: string, target: string];

/** One rung, and what its act costs where nothing stops it. */
export interface Rung {
  readonly name: string;
  /** In words: the act and who stops it. */
  readonly what: string;
  readonly action: NonNullable<Act["action"]>;
  readonly query: string;
  /** Makes what is acted on. */
  readonly prepare: string;
  readonly tried: Tried;
  /** How every try must end. */
  readonly ends: string;
  readonly floor: { readonly tried: Tried; readonly ends: string; readonly what: string };
}

const opened = (path: string): string => `file where event.action == "modification" and file.path == "${path}"`;

/** All of them. */
export const RUNGS: readonly Rung[] = [
  {
    name: "deny-exec",
    what: "program denied by the security module",
    action: "deny",
    query: `process where event.action == "exec" and process.executable == "${AT}/denied"`,
    // The same way through the kernel up to the place where the other is denied: only then no format is found.
    prepare: `cp /bin/nothing ${AT}/denied; echo text >${AT}/text; chmod 755 ${AT}/text`,
    tried: ["call", "exec", `${AT}/denied`],
    ends: "EPERM",
    floor: { tried: ["call", "exec", `${AT}/text`], ends: "ENOEXEC", what: "the kernel itself refuses a file of no format" },
  },
  {
    name: "deny-open",
    what: "file denied by the security module",
    action: "deny",
    query: opened(`${AT}/kept`),
    prepare: `: >${AT}/kept; : >${AT}/free`,
    tried: ["call", "open", `${AT}/kept`],
    ends: "EPERM",
    floor: { tried: ["call", "open", `${AT}/free`], ends: "passed", what: "another file is opened" },
  },
  {
    name: "deny-connect",
    what: "connection denied by the security module",
    action: "deny",
    query: 'network where event.action == "connection_attempted" and destination.port == 951',
    prepare: "",
    tried: ["call", "connect", "951"],
    ends: "EPERM",
    floor: { tried: ["call", "connect", "952"], ends: "ECONNREFUSED", what: "nobody listens at another port" },
  },
  {
    name: "deny-bind",
    what: "bound address denied by the control group",
    action: "deny",
    query: 'network where event.action == "bind" and destination.port == 953',
    prepare: "",
    tried: ["call", "bind", "953"],
    ends: "EPERM",
    floor: { tried: ["call", "bind", "954"], ends: "passed", what: "another port is bound" },
  },
  {
    name: "kill-open",
    what: "process killed by the sensor as it opens a file, until it is gone",
    action: "kill",
    query: opened(`${AT}/watched`),
    prepare: `: >${AT}/watched; : >${AT}/free`,
    tried: ["death", "open", `${AT}/watched`],
    ends: "SIGKILL",
    floor: { tried: ["death", "open", `${AT}/free`], ends: "passed", what: "it opens another file and ends" },
  },
];

/** The shell lines of the measurement, by name, in the order they are done. */
export function rungScripts(rungs: readonly Rung[]): ReadonlyMap<string, string> {
  const line = ([how, act, target]: Tried): string => `/bin/latency ${how} ${act} ${target}`;
  return new Map(
    rungs.flatMap(({ name, prepare, tried, floor }) => [
      [name, `${prepare}\n${line(tried)}\n`] as const,
      [`${name}.floor`, `${line(floor.tried)}\n`] as const,
    ]),
  );
}

/** Rules of the rungs. */
export function rungRules(rungs: readonly Rung[]): readonly object[] {
  return rungs.map(({ name, action, query }) => ({ id: `latency-${name}`, severity: "low", query, action, mode: "enforce" }));
}

/** What was measured of one act; times in nanoseconds. */
export interface Measured {
  readonly ends: string;
  readonly p50Ns: number;
  readonly p99Ns: number;
}

/** A rung under one kernel. */
export interface RungRow {
  readonly rung: Rung;
  readonly stopped: Measured;
  readonly floor: Measured;
}

/** Reads what a machine measured; a rung that lets one try through is a failure, and one that nobody was told of. */
export function judgeRungs(
  results: string,
  rungs: readonly Rung[],
): { readonly rows: readonly RungRow[]; readonly failures: readonly string[] } {
  const lines = new Map([...results.matchAll(/^@@ latency (\S+) (.*)$/gm)].map(([, name = "", text = ""]) => [name, text.trim()]));
  const told = new Set([...results.matchAll(/^@@ told (\S+)$/gm)].map((match) => match[1]));
  const failures: string[] = [];
  const read = (name: string, ends: string): Measured | undefined => {
    const text = lines.get(name) ?? "nothing";
    const [, end, p50, p99] = /^(\w+) (\d+) (\d+)$/.exec(text) ?? [];
    if (end === ends) return { ends, p50Ns: Number(p50), p99Ns: Number(p99) };
    failures.push(`latency of ${name}: ${text}; every try must end with ${ends}`);
    return undefined;
  };
  const rows = rungs.flatMap((rung): readonly RungRow[] => {
    const [stopped, floor] = [read(rung.name, rung.ends), read(`${rung.name}.floor`, rung.floor.ends)];
    if (!told.has(rung.name)) failures.push(`latency of ${rung.name}: no alert says that it was done`);
    return stopped === undefined || floor === undefined ? [] : [{ rung, stopped, floor }];
  });
  return { rows, failures };
}
