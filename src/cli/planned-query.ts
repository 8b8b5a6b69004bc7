// A query over several events, or one about a process's ancestors, on a log: the rule set's hits through the sequencer, the results in the
// order the language gives them. Holds all results of a sequence until the log ends, since a later event may complete an earlier one.
import type { RecordBatch } from "#core";
import { createPlanEvaluator } from "#engine";
import { RecordView } from "#event";
import { Sequencer, type SequencerOptions, STATE_LIMITS, type StateLimits } from "#nfa";
import { hitWords, planSlots, type RulePlan, type SchemaRegistry } from "#schema";

/** A log is read once and has an end: more room than an agent has, no time that runs out, order as far as the buffer reaches. */
const QUERY_LIMITS: StateLimits = {
  ...STATE_LIMITS,
  entriesMax: 1 << 24,
  bytesMax: 4 * 2 ** 30,
  ruleEntriesMax: 1 << 24,
  ruleBytesMax: 4 * 2 ** 30,
  ttlNs: undefined,
  reorderNs: 1n << 62n,
  reorderHitsMax: 1 << 20,
  reorderBytesMax: 512 << 20,
  lineageMarksMax: 1 << 20,
  lineageLinksMax: 1 << 22,
};

/** The events of one result; `undefined` where one must not be. */
export type ResultRecords = readonly (Uint8Array | undefined)[];

/** What a planned query runs with. */
export interface PlannedQueryOptions {
  readonly plan: RulePlan;
  readonly registry: SchemaRegistry;
  /** Predicates of the program. */
  readonly predicateCount: number;
  /** Field that alone orders events of one time, when the user named one. */
  readonly tiebreaker: string | undefined;
  /** Told once when there was no room for everything pending. */
  readonly onEviction: () => void;
  /** A rule's `match: all`; a query has none. */
  readonly matchAll?: boolean;
  /** Who wants to know what becomes of events; `everyEvent`: also of those that meet no step. */
  readonly trace?: Required<Pick<SequencerOptions, "onTrace" | "onTurn">> & { readonly everyEvent: boolean };
}

/** See the head of this file. */
export class PlannedQuery {
  readonly #sequencer: Sequencer;
  readonly #slots: Uint8Array;
  readonly #words: number;
  readonly #found: ResultRecords[] = [];
  readonly #orderedBy: RulePlan["orderedBy"];
  readonly #tiebreakId: number;
  readonly #takesEvery: boolean;

  private constructor(options: PlannedQueryOptions, evaluator: Awaited<ReturnType<typeof createPlanEvaluator>>) {
    const { plan, registry, predicateCount, tiebreaker, onEviction, trace } = options;
    this.#takesEvery = trace?.everyEvent === true;
    this.#orderedBy = plan.orderedBy;
    this.#tiebreakId = registry.idOf(tiebreaker ?? "event.sequence");
    this.#words = hitWords(predicateCount);
    this.#slots = new Uint8Array(predicateCount);
    for (const [slot, predicate] of planSlots(plan).entries()) this.#slots[predicate] = slot;
    this.#sequencer = new Sequencer({
      limits: QUERY_LIMITS,
      tiebreak: { fieldId: this.#tiebreakId, strict: tiebreaker !== undefined },
      onMatch: ({ records }) => this.#found.push(records),
      onFault: (_ruleId, error) => {
        throw error;
      },
      onEviction,
      onTrace: trace?.onTrace,
      ...(trace === undefined ? {} : { onTurn: trace.onTurn }),
    });
    this.#sequencer.load([{ id: "query", fingerprint: "query", plan, matchAll: options.matchAll === true, evaluator }]);
  }

  /** Makes a query ready. */
  static async create(options: PlannedQueryOptions): Promise<PlannedQuery> {
    return new PlannedQuery(options, await createPlanEvaluator(options.plan));
  }

  /** Results found so far. */
  get count(): number {
    return this.#found.length;
  }

  /** Events that came too late to be put in order. */
  get lateEvents(): number {
    return this.#sequencer.metrics().lateEvents;
  }

  /** Takes the hits of the next batch. */
  take(batch: RecordBatch, hits: Uint32Array): void {
    for (let record = 0; record < batch.count; record++) {
      this.#sequencer.begin(batch.bytes, batch.offsets[record] as number);
      let slots = 0;
      for (let word = 0; word < this.#words; word++) {
        for (let bits = hits[record * this.#words + word] as number; bits !== 0; bits &= bits - 1) {
          slots |= 1 << (this.#slots[word * 32 + 31 - Math.clz32(bits & -bits)] as number);
        }
      }
      if (slots !== 0 || this.#takesEvery) this.#sequencer.hit(0, slots >>> 0);
      this.#sequencer.end();
    }
  }

  /** The results, when the log has ended. */
  finish(): readonly ResultRecords[] {
    this.#sequencer.finish();
    if (this.#orderedBy === "completion") return this.#found;
    const keyed = this.#found.map((records) => ({ records, first: this.#earliest(records) }));
    return keyed.sort((left, right) => compareOrdinals(left.first, right.first)).map(({ records }) => records);
  }

  #earliest(records: ResultRecords): Ordinal {
    const ordinals = records.flatMap((bytes) => (bytes === undefined ? [] : [this.#ordinal(new RecordView().reset(bytes, 0))]));
    return ordinals.reduce((least, ordinal) => (compareOrdinals(ordinal, least) < 0 ? ordinal : least));
  }

  #ordinal(record: RecordView): Ordinal {
    const tiebreak = record.value(this.#tiebreakId);
    return [record.timeNs, typeof tiebreak === "bigint" ? tiebreak : TIEBREAK_MISSING, record.seq];
  }
}

type Ordinal = readonly [timeNs: bigint, tiebreak: bigint, seq: bigint];

/** After every tiebreaker. */
const TIEBREAK_MISSING: bigint = 1n << 64n;

function compareOrdinals(left: Ordinal, right: Ordinal): number {
  for (let part = 0; part < 3; part++) {
    const [a, b] = [left[part] as bigint, right[part] as bigint];
    if (a !== b) return a < b ? -1 : 1;
  }
  return 0;
}
