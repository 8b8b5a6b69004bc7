// The record under construction, as every part of the record writer sees it: the builder and the ids of the fields.
import { RecordBuilder } from "#event";
import type { FieldIds } from "./fields.ts";

/** See the head of this file. */
export class FieldWriter {
  readonly builder: RecordBuilder = new RecordBuilder();

  constructor(readonly id: FieldIds) {}

  /** A field that is left out when it is empty. */
  text(id: number, text: string | undefined): void {
    if (text !== undefined && text !== "") this.builder.keyword(id, text);
  }
}
