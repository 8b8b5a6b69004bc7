// Where in a batch a rule set fails: its records one at a time. A set is evaluated in one call a batch and says which rule failed, not at
// which record; it keeps nothing between records, so evaluating them again gives the same. Slow, for the rare batch that failed.
import type { RecordBatch, RuleFault } from "#core";
import { hitWords } from "#schema";
import { batchPart } from "./batch-part.ts";
import { type ArmedSet, InlinePartition, type RuleSetEvaluatorFactory } from "./partition.ts";

/** Hits of the records before the first at which a rule of the set failed. */
export interface SingleHits {
  readonly hits: Uint32Array;
  /** Missing when no record fails by itself: together they had used up a budget of the batch. */
  readonly failed: { readonly record: number; readonly fault: RuleFault } | undefined;
}

/** See the head of this file. */
export async function evaluateSingly(create: RuleSetEvaluatorFactory, set: ArmedSet, batch: RecordBatch): Promise<SingleHits> {
  const partition = new InlinePartition(create);
  const words = hitWords(set.program.predicates.length);
  const hits = new Uint32Array(batch.count * words);
  try {
    (await partition.prepare(set)).commit();
    for (let record = 0; record < batch.count; record++) {
      const result = partition.evaluate(batchPart(batch, record, record + 1));
      if (result.kind === "fault") return { hits, failed: { record, fault: result.fault } };
      hits.set(result.hits, record * words);
    }
    return { hits, failed: undefined };
  } finally {
    await partition.close();
  }
}
