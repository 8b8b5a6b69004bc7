// Wire JSON. Stored alerts are JSON texts already and are sent as they are: not read and printed again, and their 64-bit integers stay exact.
import type { WireAlert } from "./wire.ts";

/** A text that is one line of JSON. */
class JsonText {
  constructor(readonly text: string) {}
}

/** A stored alert as a body or a part of one. The cast is sound: the text is what the store took from core's `encodeAlert`. */
export function alertFromText(text: string): WireAlert {
  return new JsonText(text) as unknown as WireAlert;
}

/** Prints a body. Members that are `undefined` are left out. */
export function printJson(value: unknown): string {
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  if (value instanceof JsonText) return value.text;
  if (Array.isArray(value)) return `[${value.map(printJson).join(",")}]`;
  const parts: string[] = [];
  for (const [key, item] of Object.entries(value)) if (item !== undefined) parts.push(`${JSON.stringify(key)}:${printJson(item)}`);
  return `{${parts.join(",")}}`;
}
