// Modes that people gave rules while the agent ran: they count before the mode in the rule's text, and are kept over a restart.
import type { Rule } from "#rules";
import type { Store } from "#store";

type Mode = Rule["mode"];

const SETTING = "response-modes";

/** See the head of this file. */
export class ResponseModes {
  readonly #store: Pick<Store, "setting" | "setSetting">;
  readonly #modes: Map<string, Mode>;

  constructor(store: Pick<Store, "setting" | "setSetting">) {
    this.#store = store;
    this.#modes = readModes(store.setting(SETTING));
  }

  /** The mode somebody gave this rule. */
  given(ruleId: string): Mode | undefined {
    return this.#modes.get(ruleId);
  }

  /** Gives a rule a mode; `undefined` gives it back its own. In effect when it returns; when saving fails nothing changes. */
  give(ruleId: string, mode: Mode | undefined): void {
    if (mode === this.#modes.get(ruleId)) return;
    const next = new Map(this.#modes);
    if (mode === undefined) next.delete(ruleId);
    else next.set(ruleId, mode);
    this.#store.setSetting(SETTING, next.size === 0 ? undefined : JSON.stringify([...next]));
    if (mode === undefined) this.#modes.delete(ruleId);
    else this.#modes.set(ruleId, mode);
  }
}

// Whoever can write to the database can write anything; what is no mode is left out, and the rule's own counts.
function readModes(text: string | undefined): Map<string, Mode> {
  const modes = new Map<string, Mode>();
  try {
    for (const entry of JSON.parse(text ?? "[]") as readonly unknown[]) {
      const [id, mode] = Array.isArray(entry) ? entry : [];
      if (typeof id === "string" && (mode === "monitor" || mode === "enforce")) modes.set(id, mode);
    }
  } catch {
    // Not our text: no modes were given.
  }
  return modes;
}
