// From a rule that matched to what its responder is asked for. Decides nothing itself; without a responder, as in a replay, nothing happens.
import type { AlertResponse, Responder } from "#core";
import type { RecordView } from "#event";
import type { Rule } from "#rules";
import type { SchemaRegistry } from "#schema";

/** See the head of this file. */
export class Responding {
  readonly #responder: Responder | undefined;
  readonly #pidId: number;
  readonly #entityId: number;

  constructor(registry: SchemaRegistry, responder: Responder | undefined) {
    this.#responder = responder;
    this.#pidId = registry.idOf("process.pid");
    this.#entityId = registry.idOf("process.entity_id");
  }

  /** Has the rule's action carried out on the record's process; undefined when there is nothing to do. */
  respond(rule: Rule, record: RecordView): AlertResponse | undefined {
    if (rule.action === "alert" || this.#responder === undefined) return undefined;
    const pid = Number(record.value(this.#pidId) ?? 0);
    return this.#responder.respond({
      ruleId: rule.id,
      action: rule.action,
      mode: rule.mode,
      scope: rule.scope,
      // Other sources may write anything here.
      pid: Number.isSafeInteger(pid) && pid > 0 && pid <= 0x7fff_ffff ? pid : 0,
      entityId: String(record.value(this.#entityId) ?? ""),
      timeNs: record.timeNs,
    });
  }
}
