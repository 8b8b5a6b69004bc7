// Rule and record in, alert out. A pure function: the same record gives the same alert whenever and wherever it is evaluated.
import type { Alert, Ancestor, Emission, Json } from "#core";
import { encodeJson, type RecordView } from "#event";
import type { Rule } from "#rules";
import { type FieldValue, Header, type SchemaRegistry } from "#schema";

/** Fields an alert's sentence is taken from, the first present one wins. */
const SUBJECT_FIELDS = [
  "process.command_line",
  "process.executable",
  "file.path",
  "destination.ip",
  "dns.question.name",
  "process.name",
] as const;
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
    const captures: Record<string, Json> = {};
    for (const name of rule.capture) {
      const value = record.value(this.#registry.byName(name)?.id ?? 0);
      if (value !== undefined) captures[name] = toJson(value);
    }
    for (const [name, value] of emission?.captures ?? []) captures[name] = value;
    const said = emission?.messages.join("; ") ?? "";
    return this.#alert("rule", rule, record, said === "" ? `${rule.name}: ${this.#subject(record)}` : `${rule.name}: ${said}`, captures);
  }

  /** The alert that says a rule was stopped at this record. */
  quarantineAlert(rule: Rule, record: RecordView, reason: string): Alert {
    return this.#alert(
      "quarantine",
      rule,
      record,
      `Rule "${rule.id}" was stopped and will not run again until it is loaded anew: ${reason}`,
      {},
    );
  }

  #alert(kind: Alert["kind"], rule: Rule, record: RecordView, message: string, captures: Readonly<Record<string, Json>>): Alert {
    return {
      id: alertId(kind, rule.id, record, this.#registry),
      kind,
      timeNs: record.timeNs,
      seq: record.seq,
      ruleId: rule.id,
      ruleName: rule.name,
      severity: kind === "quarantine" ? "high" : rule.severity,
      tags: rule.tags,
      message,
      captures,
      events: [encodeJson(record, this.#registry)],
      ancestry: this.#ancestry(record),
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

// Everything but seq: a recording of live events replays under other numbers and must give the same ids. The category by name: numbers of
// names outside ECS depend on which rule or event brought them first.
function alertId(kind: Alert["kind"], ruleId: string, record: RecordView, registry: SchemaRegistry): string {
  const bytes = record.copy();
  return new Bun.CryptoHasher("sha256")
    .update(`${kind}\0${ruleId}\0${registry.categories.nameOf(record.category) ?? String(record.category)}\0`)
    .update(bytes.subarray(Header.FieldCount, Header.Seq))
    .update(bytes.subarray(Header.Time))
    .digest("hex")
    .slice(0, 32);
}
