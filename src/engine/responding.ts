// From a rule that matched to what its responder is asked for, with what the kernel had done by then. Decides nothing itself; without a responder, as
// in a replay, nothing happens.
import type { AlertResponse, KernelResponse, Responder, ResponseMeans } from "#core";
import type { RecordView } from "#event";
import type { Rule } from "#rules";
import type { RulePolicy, SchemaRegistry } from "#schema";

const FIELDS = {
  pid: "process.pid",
  entityId: "process.entity_id",
  action: "event.action",
  outcome: "event.outcome",
  matched: "kestrel.policy.matched",
  acted: "kestrel.policy.acted",
  means: "kestrel.policy.means",
  spared: "kestrel.policy.spared",
  latency: "kestrel.policy.latency",
} as const;
const KERNEL_MEANS: readonly ResponseMeans[] = ["lsm", "cgroup", "bpf_signal"];
const NONE: readonly string[] = [];

/** See the head of this file. */
export class Responding {
  readonly #responder: Responder | undefined;
  readonly #id: Readonly<Record<keyof typeof FIELDS, number>>;
  #hasPolicies = false;
  /** Rules that were asked about for the record at hand. */
  readonly #asked = new Set<string>();

  constructor(registry: SchemaRegistry, responder: Responder | undefined) {
    this.#responder = responder;
    this.#id = Object.fromEntries(Object.entries(FIELDS).map(([key, name]) => [key, registry.idOf(name)])) as Record<
      keyof typeof FIELDS,
      number
    >;
  }

  /** Hands on what the kernel can decide of the rules that are armed now. */
  usePolicies(policies: readonly RulePolicy[]): void {
    // Never back to false: acts by a rule that has gone may still be on their way.
    this.#hasPolicies ||= policies.length > 0;
    this.#responder?.usePolicies?.(policies);
  }

  /** Begins with a record. */
  begin(): void {
    if (this.#hasPolicies) this.#asked.clear();
  }

  /** Rules by which the kernel acted on the record, and that were not asked about for it since `begin`: their alert must come all the same. */
  unanswered(record: () => RecordView): readonly string[] {
    if (!this.#hasPolicies || this.#responder === undefined) return NONE;
    const acted = textsOf(record(), this.#id.acted);
    return acted.length === 0 ? NONE : acted.filter((ruleId) => !this.#asked.has(ruleId));
  }

  /** Has the rule's action carried out on the record's process; undefined when there is nothing to do. */
  respond(rule: Rule, record: RecordView): AlertResponse | undefined {
    if (rule.action === "alert" || this.#responder === undefined) return undefined;
    const pid = Number(record.value(this.#id.pid) ?? 0);
    const kernel = this.#hasPolicies ? this.#kernelResponse(rule.id, record) : undefined;
    if (this.#hasPolicies) this.#asked.add(rule.id);
    return this.#responder.respond({
      ruleId: rule.id,
      action: rule.action,
      mode: rule.mode,
      scope: rule.scope,
      // Other sources may write anything here.
      pid: Number.isSafeInteger(pid) && pid > 0 && pid <= 0x7fff_ffff ? pid : 0,
      entityId: String(record.value(this.#id.entityId) ?? ""),
      timeNs: record.timeNs,
      ...(kernel && { kernel }),
    });
  }

  #kernelResponse(ruleId: string, record: RecordView): KernelResponse | undefined {
    const id = this.#id;
    const matched = textsOf(record, id.matched);
    if (matched.length === 0) return undefined;
    const said = record.value(id.means);
    const latency = record.value(id.latency);
    return {
      matched: matched.includes(ruleId),
      acted: textsOf(record, id.acted).includes(ruleId),
      spared: record.value(id.spared) === true,
      notStarted: record.value(id.action) === "exec" && record.value(id.outcome) === "failure",
      means: KERNEL_MEANS.find((means) => means === said) ?? "none",
      latencyNs: typeof latency === "bigint" || typeof latency === "number" ? BigInt(latency) : 0n,
    };
  }
}

function textsOf(record: RecordView, id: number): readonly string[] {
  const value = record.value(id);
  return Array.isArray(value) ? value.map(String) : NONE;
}
