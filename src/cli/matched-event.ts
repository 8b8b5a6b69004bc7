// A match of `kestrel query` as it is printed: the line it came from, unchanged, or one value of it. Records of a `.klog` file have no line and
// are encoded.

import { stringifyJson } from "#core";
import { encodeJson, type JsonValue, parseJson, type RecordView } from "#event";
import type { SchemaRegistry } from "#schema";
import { valuesAt } from "./infer-schema.ts";

const TAKEN_MAX = 256;

/** Lines of the records that are on their way through the bus, which keeps their order. */
export class PendingLines {
  readonly #lines: (Uint8Array | undefined)[] = [];
  #next = 0;

  /** Notes the line of the record that goes in now. */
  add(line: Uint8Array | undefined): void {
    this.#lines.push(line);
  }

  /** The line of the record that comes out now. */
  next(): Uint8Array | undefined {
    const line = this.#lines[this.#next];
    // The bus always holds some, so the list is never empty: what was taken goes in pieces.
    if (++this.#next === TAKEN_MAX) {
      this.#lines.splice(0, TAKEN_MAX);
      this.#next = 0;
    }
    return line;
  }
}

/** The whole event as JSON text. */
export function wholeEvent(line: Uint8Array | undefined, view: RecordView, registry: SchemaRegistry): string {
  return line === undefined ? stringifyJson(encodeJson(view, registry)) : textOf(line);
}

/** The value of one field as the event has it; a list of them where lists of objects lie on the way; null when it has none. */
export function idOf(line: Uint8Array | undefined, view: RecordView, registry: SchemaRegistry, field: string): JsonValue {
  const parsed = line === undefined ? { value: encodeJson(view, registry) } : parseJson(textOf(line));
  const found = "value" in parsed ? valuesAt(parsed.value, field.split(".")) : [];
  return found.length > 1 ? found : (found[0] ?? null);
}

function textOf(line: Uint8Array): string {
  return new TextDecoder().decode(line).trim();
}
