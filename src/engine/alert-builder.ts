// Rule and records in, alert out. A pure function: the same records give the same alert whenever and wherever they are evaluated.
import type { Alert, Ancestor, Emission, Json } from "#core";
import { encodeJson, RecordView } from "#event";
import type { Rule } from "#rules";
import { type FieldValue, Header, type SchemaRegistry } from "#schema";

/** Fields that say what an event is about, the first present one wins: an alert's sentence is taken from them. */
export const SUBJECT_FIELDS: readonly string[] = [
  "process.command_line",
  "process.executable",
  "file.path",
  "destination.ip",
  "dns.question.name",
  "process.name",
];
const SUBJECT_LENGTH_MAX = 200;

/** Builds alerts for one registry. */
export class AlertBuilder {
  readonly #registry: SchemaRegistry;
  readonly #subjectIds: readonly number[];
  readonly #filePathId: number;
  readonly #categoryFile: number;
  readonly #userId: number;
  readonly #ancestryId: number;
  readonly #parentIds: { readonly pid: number; readonly name: number; readonly executable: number };

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
    this.#subjectIds = SUBJECT_FIELDS.map((name) => registry.idOf(name));
    this.#filePathId = registry.idOf("file.path");
    this.#categoryFile = registry.categories.idOf("file");
    this.#userId = registry.idOf("user.name");
    this.#ancestryId = registry.idOf("kestrel.ancestry");
    this.#parentIds = {
      pid: registry.idOf("process.parent.pid"),
      name: registry.idOf("process.parent.name"),
      executable: registry.idOf("process.parent.executable"),
    };
  }

  /** The alert of a rule that matched the record. */
  ruleAlert(rule: Rule, record: RecordView, emission: Emission | undefined): Alert {
    const captures = this.#captures(rule, [record.readAll()]);
    for (const [name, value] of emission?.captures ?? []) captures[name] = value;
    const said = emission?.messages.join("; ") ?? "";
    const message = `${rule.name}: ${said === "" ? this.#subject(record) : said}`;
    return this.#alert("rule", rule, { records: [record], message, captures });
  }

  /** The alert of a rule that several events together matched; `undefined` stands where a sequence demands that there be none. */
  sequenceAlert(rule: Rule, records: readonly (Uint8Array | undefined)[]): Alert {
    const views = records.map((bytes) => (bytes === undefined ? undefined : new RecordView().reset(bytes, 0)));
    const present = views.filter((view) => view !== undefined);
    const last = newestOf(present);
    const first = present.reduce((oldest, view) => (isNewer(oldest, view) ? view : oldest));
    const count = present.length === 1 ? "" : ` (${present.length} events in ${spanText(last.timeNs - first.timeNs)})`;
    const message = `${rule.name}: ${this.#subject(last)}${count}`;
    return this.#alert("rule", rule, { records: views, message, captures: this.#captures(rule, present) });
  }

  /** The alert that says a rule was stopped at this record. */
  quarantineAlert(rule: Rule, record: RecordView, reason: string): Alert {
    const message = `Rule "${rule.id}" was stopped and will not run again until it is loaded anew: ${reason}`;
    return this.#alert("quarantine", rule, { records: [record], message, captures: {} });
  }

  /** The alert that says, once, that a rule began to forget what it was waiting for. */
  evictionAlert(rule: Rule, record: RecordView, cause: string): Alert {
    const message = `Rule "${rule.id}" forgets pending sequences (${cause}): some of what it looks for may be missed`;
    return this.#alert("eviction", rule, { records: [record], message, captures: {} });
  }

  // Of several events, the latest that has a field tells its value.
  #captures(rule: Rule, records: readonly RecordView[]): Record<string, Json> {
    const captures: Record<string, Json> = {};
    for (const name of rule.capture) {
      const id = this.#registry.byName(name)?.id ?? 0;
      const value = records.findLast((record) => record.has(id))?.value(id);
      if (value !== undefined) captures[name] = toJson(value);
    }
    return captures;
  }

  #alert(kind: Alert["kind"], rule: Rule, { records, message, captures }: Content): Alert {
    const present = records.filter((record) => record !== undefined);
    const last = newestOf(present);
    return {
      id: alertId(kind, rule.id, records, this.#registry),
      kind,
      timeNs: last.timeNs,
      seq: last.seq,
      ruleId: rule.id,
      ruleName: rule.name,
      severity: kind === "rule" ? rule.severity : "high",
      tags: rule.tags,
      message,
      captures,
      events: present.map((record) => encodeJson(record, this.#registry)),
      ancestry: this.#ancestry(last),
    };
  }

  #subject(record: RecordView): string {
    const first = record.category === this.#categoryFile && record.has(this.#filePathId) ? [this.#filePathId] : [];
    let subject = "an event";
    for (const id of [...first, ...this.#subjectIds]) {
      const value = record.value(id);
      if (value === undefined) continue;
      subject = String(Array.isArray(value) ? value[0] : value);
      break;
    }
    if (subject.length > SUBJECT_LENGTH_MAX) subject = `${subject.slice(0, SUBJECT_LENGTH_MAX)}…`;
    const user = record.value(this.#userId);
    return user === undefined ? subject : `${subject} by ${String(user)}`;
  }

  // Our sensors write the whole line of ancestors into the event; other sources at least name the parent.
  #ancestry(record: RecordView): readonly Ancestor[] {
    const lines = record.value(this.#ancestryId);
    if (Array.isArray(lines)) return (lines as readonly string[]).map(parseAncestor);
    const pid = record.value(this.#parentIds.pid);
    const name = record.value(this.#parentIds.name);
    const executable = record.value(this.#parentIds.executable);
    if (pid === undefined && name === undefined && executable === undefined) return [];
    return [{ pid: Number(pid ?? 0), name: String(name ?? ""), executable: String(executable ?? "") }];
  }
}

function parseAncestor(line: string): Ancestor {
  const [pid = "", name = "", executable = ""] = line.split("\t", 3);
  return { pid: Number(pid) || 0, name, executable };
}

function toJson(value: FieldValue): Json {
  return value as Json;
}

/** What an alert is made of. */
interface Content {
  readonly records: readonly (RecordView | undefined)[];
  readonly message: string;
  readonly captures: Readonly<Record<string, Json>>;
}

// A join's events are in the order of its steps: the last of the list need not be the newest.
function newestOf(records: readonly RecordView[]): RecordView {
  return records.reduce((newest, record) => (isNewer(record, newest) ? record : newest));
}

function isNewer(record: RecordView, than: RecordView): boolean {
  return record.timeNs > than.timeNs || (record.timeNs === than.timeNs && record.seq > than.seq);
}

function spanText(spanNs: bigint): string {
  const ms = Number(spanNs / 1_000_000n);
  return ms === 0 ? "under 1 ms" : ms < 1000 ? `${ms} ms` : ms < 120_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`;
}

// Where a record's header begins once what stands before its seq has moved over that.
const HASHED_START: number = Header.FieldCount + Header.Time - Header.Seq;

// Everything but seq: a recording of live events replays under other numbers and must give the same ids. The category by name: numbers of
// names outside ECS depend on which rule or event brought them first.
function alertId(kind: Alert["kind"], ruleId: string, records: readonly (RecordView | undefined)[], registry: SchemaRegistry): string {
  const hasher = new Bun.CryptoHasher("sha256");
  // Each piece given to the hasher costs a tenth of the whole: what stands before a record goes with one, what is left of the record with another.
  let before = `${kind}\0${ruleId}\0`;
  for (const record of records) {
    if (record === undefined) {
      before += "missing\0";
      continue;
    }
    const bytes = record.copy();
    const hashed = bytes.copyWithin(HASHED_START, Header.FieldCount, Header.Seq).subarray(HASHED_START);
    hasher.update(`${before}${registry.categories.nameOf(record.category) ?? String(record.category)}\0`).update(hashed);
    before = "";
  }
  return hasher.update(before).digest("hex").slice(0, 32);
}
