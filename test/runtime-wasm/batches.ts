// Batches of records for the runtime tests.
import type { RecordBatch } from "#core";
import { RecordBuilder } from "#event";
import type { FieldValue, SchemaRegistry } from "#schema";

/** One record to be: category and fields by name. */
export interface EventSpec {
  readonly category?: number;
  readonly fields?: Readonly<Record<string, FieldValue>>;
}

/** A batch of records. */
export function batchOf(registry: SchemaRegistry, events: readonly EventSpec[]): RecordBatch {
  const builder = new RecordBuilder();
  const records: Uint8Array[] = [];
  for (const event of events) {
    builder.begin(event.category ?? 3, 1n);
    for (const [name, value] of Object.entries(event.fields ?? {})) {
      const field = registry.byName(name);
      if (field === undefined) throw new Error(`No field ${name}`);
      builder.value(field.id, field.type, value);
    }
    const length = builder.finish();
    records.push(builder.bytes.slice(0, length));
  }
  const total = records.reduce((sum, record) => sum + record.byteLength, 0);
  const bytes = new Uint8Array(new ArrayBuffer(total));
  const offsets = new Uint32Array(records.length);
  let at = 0;
  for (const [index, record] of records.entries()) {
    bytes.set(record, at);
    offsets[index] = at;
    at += record.byteLength;
  }
  return { bytes, offsets, length: total, count: records.length };
}
