// What the engine remembers of one armed rule: counters, throttle, quarantine.
import type { RecordView } from "#event";
import type { Rule } from "#rules";
import type { SchemaRegistry } from "#schema";
import { Throttle } from "./throttle.ts";

/** Counters, throttle and quarantine of one rule. Kept over a reload as long as the rule itself does not change. */
export class RuleState {
  /** Events the rule matched. */
  hits = 0;
  /** Alerts it raised. */
  alerts = 0;
  /** Why the rule was stopped; undefined while it runs. */
  quarantineReason: string | undefined;
  readonly #throttle: Throttle | undefined;
  readonly #keyIds: readonly number[];

  constructor(
    readonly rule: Rule,
    registry: SchemaRegistry,
  ) {
    // What a rule does it must also say, in monitor as in enforce, or switching would change which alerts a replay gives.
    const throttle = rule.action === "alert" ? rule.throttle : null;
    this.#throttle = throttle === null ? undefined : new Throttle(throttle.limit, throttle.windowMs);
    this.#keyIds = (throttle?.by ?? []).map((name) => registry.byName(name)?.id ?? 0);
  }

  /** Alerts held back by the throttle. */
  get suppressed(): number {
    return this.#throttle?.suppressed ?? 0;
  }

  /** Whether a match of this record may raise an alert. */
  admit(record: RecordView): boolean {
    if (this.#throttle === undefined) return true;
    return this.#throttle.admit(this.#keyIds.map((id) => String(record.value(id))).join("\0"), record.timeNs);
  }

  /** The throttle's windows as bytes when they changed since the last call. */
  takeThrottle(): Uint8Array | undefined {
    const text = this.#throttle?.takeChanged();
    return text === undefined ? undefined : new TextEncoder().encode(`${this.#throttleMark()}\n${text}`);
  }

  /** Takes up what {@link takeThrottle} gave in an earlier run, unless the rule's throttle is another now. */
  restoreThrottle(bytes: Uint8Array): void {
    const [mark, text] = new TextDecoder().decode(bytes).split("\n", 2);
    if (mark === this.#throttleMark() && text !== undefined) this.#throttle?.restore(text);
  }

  #throttleMark(): string {
    return JSON.stringify(this.rule.throttle);
  }
}
