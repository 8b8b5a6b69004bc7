// A part of a batch as a batch of its own, in place: what the engine evaluates before and behind a record at which a rule failed.
import type { RecordBatch } from "#core";

/** Records `[from, to)` of a batch. Shares its bytes. */
export function batchPart(batch: RecordBatch, from: number, to: number): RecordBatch {
  if (from === 0 && to === batch.count) return batch;
  const start = from < batch.count ? (batch.offsets[from] as number) : batch.length;
  const end = to < batch.count ? (batch.offsets[to] as number) : batch.length;
  return {
    bytes: batch.bytes.subarray(start, end),
    offsets: batch.offsets.subarray(from, to).map((offset) => offset - start),
    length: end - start,
    count: to - from,
  };
}
