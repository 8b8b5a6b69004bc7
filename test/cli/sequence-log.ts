// For tests of kept state: a rule of every kind that remembers something, a log of events that they alert on, made from a seed, and what a
// state file holds.
import { appendFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Store } from "#store";
import { seededRandom } from "./recorded-hour.ts";

const START_MS = Date.UTC(2026, 4, 5, 6);
const USERS = 300;
const PARENTS = 50;
/** Events are up to so much older than the ones before them. */
const JITTER_MS = 2000;
const NAMES: readonly string[] = [
  ...["curl", "sh", "login", "job", "job-end", "edit", "spawn", "logout", "red", "blue", "fork", "noisy", "root", "leaf"],
  ...Array.from({ length: 16 }, (_, index) => `other-${index}`),
];

function ruleText(id: string, query: string, more = ""): string {
  return `id: ${id}\nname: Rule ${id}\nseverity: low\nquery: |\n  ${query.replaceAll("\n", "\n  ")}\n${more}`;
}

/** What tells a step's events apart. */
function named(name: string): string {
  return `[process where process.name == "${name}"]`;
}

/** Rules by id: one of every kind that remembers something. */
export const SEQUENCE_RULES: Readonly<Record<string, string>> = {
  pair: ruleText("pair", `sequence by user.name with maxspan=30s ${named("curl")} ${named("sh")}`),
  runs: ruleText("runs", `sequence by user.name with maxspan=5m ${named("login")} with runs=3`),
  absent: ruleText("absent", `sequence by user.name with maxspan=20s ${named("job")} !${named("job-end")}`),
  until: ruleText("until", `sequence by user.name ${named("edit")} ${named("spawn")} until ${named("logout")}`),
  sample: ruleText("sample", `sample by user.name ${named("red")} ${named("blue")}`),
  alias: ruleText(
    "alias",
    `sequence by user.name with maxspan=2m ${named("fork")} as first\n[process where process.name == "fork" and process.pid < first.process.pid]`,
  ),
  all: ruleText("all", `sequence by user.name with maxspan=1m ${named("red")} ${named("sh")}`, "match: all\n"),
  lineage: ruleText("lineage", `process where process.name == "leaf" and descendant of ${named("root")}`),
  throttled: ruleText("throttled", `process where process.name == "noisy"`, "throttle: { by: [user.name], limit: 1, window: 1m }\n"),
};

/** Writes {@link SEQUENCE_RULES} into a folder, some of them as given; its path. */
export function writeSequenceRules(folder: string, changed: Readonly<Record<string, string>> = {}): string {
  const path = join(folder, "rules");
  for (const [id, text] of Object.entries({ ...SEQUENCE_RULES, ...changed })) {
    Bun.spawnSync(["mkdir", "-p", path]);
    writeFileSync(join(path, `${id}.yaml`), text);
  }
  return path;
}

/** Lines of a log, hardly out of order. */
export function sequenceLines(count: number, seed: number): readonly string[] {
  const random = seededRandom(seed);
  const below = (end: number): number => Math.floor(random() * end);
  return Array.from({ length: count }, (_, index) => {
    const time = new Date(START_MS + index * 10 - (below(4) === 0 ? below(JITTER_MS) : 0)).toISOString();
    const process = {
      entity_id: `${seed}-${index}`,
      name: NAMES[below(NAMES.length)],
      pid: below(30_000),
      parent: { entity_id: `${seed}-${index - 1 - below(PARENTS)}` },
    };
    const event = { category: ["process"], type: ["start"], action: "exec" };
    return JSON.stringify({ "@timestamp": time, event, process, user: { name: `user-${below(USERS)}` } });
  });
}

/** A log that grows, over one or more files. */
export class GrowingLog {
  readonly files: readonly string[];
  readonly #lines: readonly string[];
  /** File of each line. */
  readonly #owner: Uint8Array;
  #written = 0;
  /** Of each file, the bytes of whole lines, and whether a piece of a line stands behind them. */
  readonly #sizes: number[];
  #torn = false;

  /** Empty files in the folder. A line's time decides when its turn is among the files, as `kestrel replay` merges them. */
  constructor(folder: string, lines: readonly string[], fileCount: number) {
    this.files = Array.from({ length: fileCount }, (_, index) => join(folder, `log-${index}.jsonl`));
    for (const file of this.files) writeFileSync(file, "");
    this.#sizes = this.files.map(() => 0);
    const dealt: string[][] = this.files.map(() => []);
    for (const [index, line] of lines.entries()) dealt[(index * 7 + (index >> 3)) % fileCount]!.push(line);
    const { merged, owner } = mergedLines(dealt);
    this.#lines = merged;
    this.#owner = owner;
  }

  /** Lines in the files. */
  get written(): number {
    return this.#written;
  }

  get isWhole(): boolean {
    return this.#written === this.#lines.length;
  }

  /** Appends lines; `tornBytes` of the next one too, without its end. */
  grow(count: number, tornBytes = 0): void {
    const to = Math.min(this.#lines.length, this.#written + count);
    if (this.#torn) truncateSync(this.files[0]!, this.#sizes[0]!);
    this.#torn = false;
    for (const [file, path] of this.files.entries()) {
      const own = this.#lines.slice(this.#written, to).filter((_, index) => this.#owner[this.#written + index] === file);
      const text = own.map((line) => `${line}\n`).join("");
      this.#sizes[file]! += Buffer.byteLength(text);
      appendFileSync(path, text);
    }
    this.#written = to;
    const next = this.#lines[to];
    if (tornBytes === 0 || this.files.length > 1 || next === undefined) return;
    this.#torn = true;
    appendFileSync(this.files[0]!, next.slice(0, Math.min(tornBytes, next.length - 1)));
  }
}

/** Files in the order a replay reads them: at every moment the one whose next event is the earliest, of equal ones the first. */
function mergedLines(files: readonly (readonly string[])[]): { readonly merged: readonly string[]; readonly owner: Uint8Array } {
  const times = files.map((lines) =>
    lines.map((line) => Date.parse((JSON.parse(line) as { readonly "@timestamp": string })["@timestamp"])),
  );
  const at = files.map(() => 0);
  const merged: string[] = [];
  const owner = new Uint8Array(files.reduce((sum, lines) => sum + lines.length, 0));
  while (merged.length < owner.length) {
    let first = -1;
    for (const [file, own] of times.entries()) {
      const time = own[at[file]!] ?? Number.POSITIVE_INFINITY;
      if (time < (first === -1 ? Number.POSITIVE_INFINITY : times[first]![at[first]!]!)) first = file;
    }
    owner[merged.length] = first;
    merged.push(files[first]![at[first]!++]!);
  }
  return { merged, owner };
}

/** Alerts in a state file, as they are printed, in the order they were stored. */
export function keptAlerts(path: string): readonly string[] {
  const { store, setAside } = Store.open(path);
  try {
    if (setAside !== undefined) throw new Error(`The state was set aside as ${setAside}`);
    const alerts: string[] = [];
    for (let position = 0; ; ) {
      const page = store.after(position, 10_000);
      const last = page.at(-1);
      if (last === undefined) return alerts;
      alerts.push(...page.map(({ json }) => json));
      position = last.position;
    }
  } finally {
    store.close();
  }
}
