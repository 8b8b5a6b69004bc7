// Which part of a condition an event fails first, and what it says instead: each conjunct evaluated alone, in the order of the query.
import { type Conjunct, compileExpression, type ExpressionEvaluator, type ExpressionScope } from "#eql";
import type { RecordView } from "#event";
import { clip, type EventWords, valueText } from "./event-words.ts";

const TEXT_LENGTH_MAX = 120;

/** A conjunct that does not hold. */
export interface Verdict {
  /** As the query has it. */
  readonly text: string;
  readonly truth: "false" | "null" | "excluded";
  /** What the event says instead. */
  readonly because: string;
}

/** What a conjunct is asked about. */
export interface AskedEvent extends Pick<ExpressionScope, "earlier" | "lineage"> {
  readonly event: RecordView;
}

/** Conjuncts of one condition. */
export class ConjunctList {
  readonly #all: readonly { readonly conjunct: Conjunct; readonly evaluator: ExpressionEvaluator }[];
  readonly #words: EventWords;

  constructor(conjuncts: readonly Conjunct[], words: EventWords) {
    this.#all = conjuncts.map((conjunct) => ({ conjunct, evaluator: compileExpression(conjunct.expression) }));
    this.#words = words;
  }

  /** The first that fails among those that need only the event. */
  firstFailure(event: RecordView): Verdict | undefined {
    return this.#first({ event, earlier: () => undefined, lineage: () => null }, false);
  }

  /** The first that fails among those that ask about other events. */
  firstWaitingFailure(asked: AskedEvent): Verdict | undefined {
    return this.#first(asked, true);
  }

  /** Whether the first conjunct alone, the category, holds. */
  failsAtCategory(verdict: Verdict): boolean {
    const first = this.#all[0]?.conjunct;
    return first !== undefined && first.text === verdict.text && first.reads.length === 0;
  }

  #first(asked: AskedEvent, waits: boolean): Verdict | undefined {
    for (const { conjunct, evaluator } of this.#all) {
      if (conjunct.waits !== waits) continue;
      const truth = evaluator.truth(asked);
      if ((truth === true) === conjunct.excludes) {
        const text = oneLine(conjunct.text);
        return { text, truth: conjunct.excludes ? "excluded" : truth === null ? "null" : "false", because: this.#because(conjunct, asked) };
      }
    }
    return undefined;
  }

  #because({ reads, waits }: Conjunct, asked: AskedEvent): string {
    if (reads.length === 0 && waits) return "no such process was seen above it";
    if (reads.length === 0) return `the event is of ${this.#words.category(asked.event)}`;
    return reads
      .slice(0, 4)
      .map(({ name, fieldId, step }) => {
        const record = step === undefined ? asked.event : asked.earlier(step);
        const owner = step === undefined ? "" : `step ${step + 1}'s `;
        return `${owner}${clip(name, TEXT_LENGTH_MAX)} is ${valueText(record?.value(fieldId))}`;
      })
      .join(", ");
  }
}

/** A verdict as a sentence. */
export function verdictText({ text, truth, because }: Verdict): string {
  return truth === "excluded" ? `exception ${text} is true (${because})` : `${text} is ${truth} (${because})`;
}

/** A piece of a query on one line. */
function oneLine(text: string): string {
  return clip(text.replace(/\s+/g, " ").trim(), TEXT_LENGTH_MAX);
}
