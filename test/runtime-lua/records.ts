// Records and batches for the tests of this room.

import type { RecordBatch } from "#core";
import { RecordBuilder } from "#event";
import { SchemaRegistry } from "#schema";

/** Registry of all tests here. */
export const registry: SchemaRegistry = new SchemaRegistry();

/** One event: field values by name, and its category. */
export interface TestEvent {
  readonly category?: string;
  readonly [field: string]: string | readonly string[] | number | bigint | boolean | undefined;
}

/** A batch of records made from events. */
export function batchOf(events: readonly TestEvent[]): RecordBatch {
  const records = events.map(recordOf);
  const length = records.reduce((sum, record) => sum + record.byteLength, 0);
  const bytes = new Uint8Array(new ArrayBuffer(Math.max(length, 64)));
  const offsets = new Uint32Array(records.length);
  let at = 0;
  for (const [i, record] of records.entries()) {
    bytes.set(record, at);
    offsets[i] = at;
    at += record.byteLength;
  }
  return { bytes, offsets, length, count: records.length };
}

function recordOf(event: TestEvent): Uint8Array {
  const builder = new RecordBuilder();
  builder.begin(registry.categories.idOf(event.category ?? "process"), 1_700_000_000_123_456_789n);
  for (const [name, value] of Object.entries(event)) {
    if (name === "category" || value === undefined) continue;
    const field = registry.byName(name);
    if (field === undefined) throw new Error(`Unknown field ${name}`);
    if (typeof value === "object") builder.keywords(field.id, value);
    else builder.value(field.id, field.type, value);
  }
  const length = builder.finish();
  return builder.bytes.slice(0, length);
}
