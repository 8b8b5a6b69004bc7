// The tree every file format is read into: JSON-like values that know where they stand in the file. Knows nothing about rules.
import type { EventJson } from "./rule.ts";
import { alignText, type Place, type TextStyle } from "./source-text.ts";

/** A value with its place. */
export type SourceNode =
  | TextNode
  | (Place & { readonly kind: "number"; readonly value: number | bigint })
  | (Place & { readonly kind: "bool"; readonly value: boolean })
  | (Place & { readonly kind: "null" })
  | (Place & { readonly kind: "list"; readonly items: readonly SourceNode[] })
  | MapNode;

/** A text and the way back from an offset in it to an offset in the file. */
export interface TextNode extends Place {
  readonly kind: "text";
  readonly value: string;
  readonly locate: (offset: number) => number;
}

/** A mapping; keys are unique. */
export interface MapNode extends Place {
  readonly kind: "map";
  readonly entries: readonly MapEntry[];
}

/** One key of a mapping with the place of the key itself. */
export interface MapEntry {
  readonly key: string;
  readonly place: Place;
  readonly value: SourceNode;
}

/** A text node whose offsets are worked out only when a finding needs them. `written` is the place of the text without its delimiters. */
export function textNode(value: string, source: string, written: Place, style: TextStyle): TextNode {
  let offsets: Uint32Array | undefined;
  const locate = (offset: number): number => {
    offsets ??= alignText(value, source, written, style);
    return offsets[Math.min(Math.max(offset, 0), value.length)] ?? written.to;
  };
  return { kind: "text", value, from: written.from, to: written.to, locate };
}

/** The plain value of a node. */
export function plainValue(node: SourceNode): EventJson {
  switch (node.kind) {
    case "null":
      return null;
    case "list":
      return node.items.map(plainValue);
    case "map":
      // fromEntries defines own properties, so a key named __proto__ stays a key.
      return Object.fromEntries(node.entries.map((entry) => [entry.key, plainValue(entry.value)]));
    default:
      return node.value;
  }
}

/** What to call a node in a message. */
export function kindName(node: SourceNode): string {
  const names = { text: "a text", number: "a number", bool: "true or false", null: "nothing", list: "a list", map: "a mapping" } as const;
  return names[node.kind];
}
