// The ids of alerts: kept in databases and compared across versions, so what they are made of never changes.
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { RecordView, setRecordSeq } from "#event";
import { SchemaRegistry } from "#schema";
import { AlertBuilder } from "../../src/engine/alert-builder.ts";
import { recordOf, ruleOf } from "./fixture.ts";

const registry = new SchemaRegistry();
const builder = new AlertBuilder(registry);
const rule = ruleOf("r", "any where true", { capture: ["process.name"] });
const shell = recordOf(registry, { fields: { "process.name": "sh", "process.args": ["sh", "-c", "ü"] } });
const file = recordOf(registry, { category: "file", timeMs: 2, fields: { "file.path": "/x" } });

/** A record in the middle of a buffer, under some number. */
function viewOf(record: Uint8Array, seq: number): RecordView {
  const bytes = new Uint8Array(new SharedArrayBuffer(record.length + 64));
  bytes.set(record, 32);
  setRecordSeq(bytes, 32, seq, 0);
  return new RecordView().reset(bytes, 32);
}

/** Offsets as numbers: should the layout of records change, ids must be made of the same bytes all the same. */
function idOf(kind: string, parts: readonly (readonly [category: string, record: Uint8Array] | undefined)[]): string {
  const hash = createHash("sha256").update(`${kind}\0r\0`);
  for (const part of parts) {
    if (part === undefined) hash.update("missing\0");
    else hash.update(`${part[0]}\0`).update(part[1].subarray(6, 16)).update(part[1].subarray(24));
  }
  return hash.digest("hex").slice(0, 32);
}

test("an id is a hash of kind, rule and record without its number", () => {
  for (const seq of [0, 77]) {
    expect(builder.ruleAlert(rule, viewOf(shell, seq), undefined).id).toBe(idOf("rule", [["process", shell]]));
    expect(builder.quarantineAlert(rule, viewOf(file, seq), "why").id).toBe(idOf("quarantine", [["file", file]]));
  }
});

test("the id of a sequence says where an event is missing", () => {
  const [a, b] = [["process", shell] as const, ["file", file] as const];
  for (const parts of [
    [a, b],
    [undefined, a, b],
    [a, undefined, b],
    [a, b, undefined],
    [a, undefined, undefined],
  ]) {
    const records = parts.map((part) => part?.[1]);
    expect(builder.sequenceAlert(rule, records).id).toBe(idOf("rule", parts));
  }
});

test("making an alert leaves its record as it was", () => {
  const view = viewOf(shell, 5);
  const before = view.copy();
  builder.ruleAlert(rule, view, undefined);
  expect(view.copy()).toEqual(before);
});
