// YAML text → positioned trees, one per document. Aliases are expanded under a budget, so a small file cannot become a large tree.
import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseAllDocuments,
  type Range,
  type Scalar,
  type YAMLParseError,
} from "yaml";
import { RULE_NESTING_MAX, RULES_PER_FILE_MAX } from "./rule.ts";
import { kindName, type MapEntry, type SourceNode, textNode } from "./source-node.ts";
import type { Findings, Place } from "./source-text.ts";

const ALIAS_NODES_MAX = 100_000;
const ERRORS_SHOWN_MAX = 10;

/**
 * Every document of a text that parses; the others are findings. `base` is where `text` begins in the file. Never throws: the parser
 * is bounded by its own stack check, and a document it gave up on carries errors.
 */
export function readYaml(text: string, base: number, findings: Findings): SourceNode[] {
  let documents: readonly Document.Parsed[];
  try {
    // Unique keys are checked by the tree builder in linear time; the parser's own check is quadratic.
    const options = { prettyErrors: false, uniqueKeys: false, intAsBigInt: true, logLevel: "silent" } as const;
    documents = [...parseAllDocuments(text, options)] as readonly Document.Parsed[];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    findings.error("yaml-syntax", `Cannot read this YAML: ${message}`, { from: base, to: base });
    return [];
  }
  if (documents.length > RULES_PER_FILE_MAX) {
    findings.error("too-many-rules", `${documents.length} documents in one file, at most ${RULES_PER_FILE_MAX} are read`, {
      from: base,
      to: base,
    });
  }
  const trees: SourceNode[] = [];
  for (const document of documents.slice(0, RULES_PER_FILE_MAX)) {
    // Where the parser's own stack ended; what it says besides is only an echo of that.
    const exhausted = document.errors.find((error) => error.code === "RESOURCE_EXHAUSTION");
    if (exhausted !== undefined) {
      const place = { from: base + exhausted.pos[0], to: base + exhausted.pos[1] };
      findings.error("nested-too-deep", `Nested deeper than ${RULE_NESTING_MAX} levels`, place);
      continue;
    }
    if (document.errors.length > 0) {
      reportErrors(document.errors, text, base, findings);
      continue;
    }
    const builder = new TreeBuilder(findings, base);
    const tree = document.contents === null ? undefined : builder.build(document.contents, 0);
    // An empty document between two separators is no rule; one that lost a part to a finding would be another rule than was written.
    if (tree !== undefined && tree.kind !== "null" && !builder.failed) trees.push(tree);
  }
  return trees;
}

function reportErrors(errors: readonly YAMLParseError[], text: string, base: number, findings: Findings): void {
  let shown = 0;
  let echoesTo = 0;
  for (const error of errors) {
    const [from, to] = error.pos;
    if (from < echoesTo) continue;
    if (shown++ === ERRORS_SHOWN_MAX) return;
    const colon = error.code === "BLOCK_AS_IMPLICIT_KEY" ? textWithColon(text, from) : undefined;
    if (colon === undefined) {
      findings.error(`yaml-${error.code.toLowerCase().replaceAll("_", "-")}`, yamlMessage(error.message), {
        from: base + from,
        to: base + to,
      });
      continue;
    }
    echoesTo = colon.to;
    const wayOut = `write "${colon.key}: |" and the text on the next lines, indented`;
    findings.error("yaml-colon", `"${colon.key}" has a text with ": " in it, which YAML takes for a key: ${wayOut}`, {
      from: base + from,
      to: base + colon.lineTo,
    });
  }
}

const KEY_BEFORE = /^([ -]*)([\w.-]+):[ \t]+$/;

/** The key whose unquoted text begins at `from`, where that line ends, and where the text does: before the next line not indented deeper than the key. */
function textWithColon(text: string, from: number): { readonly key: string; readonly lineTo: number; readonly to: number } | undefined {
  const [, indent = "", key] = KEY_BEFORE.exec(text.slice(text.lastIndexOf("\n", from) + 1, from)) ?? [];
  if (key === undefined) return undefined;
  const lines = text.slice(from).split("\n");
  const after = lines.findIndex((line, at) => at > 0 && !line.startsWith(" ".repeat(indent.length + 1)));
  const own = after < 0 ? lines : lines.slice(0, after);
  return { key, lineTo: from + (own[0] ?? "").trimEnd().length, to: from + own.join("\n").length };
}

function yamlMessage(message: string): string {
  return message.length > 200 ? `${message.slice(0, 200)}…` : message.replace(/\.$/, "");
}

class TreeBuilder {
  readonly #anchors = new Map<string, { readonly tree: SourceNode; readonly size: number }>();
  readonly #open = new Set<string>();
  /** Whether some part of the tree was refused. */
  failed = false;
  #built = 0;
  #aliased = 0;

  constructor(
    readonly findings: Findings,
    readonly base: number,
  ) {}

  /** The tree of a node, or undefined after a finding. */
  build(node: Node, depth: number): SourceNode | undefined {
    const place = this.#place(node);
    if (depth > RULE_NESTING_MAX) return this.#refuse("nested-too-deep", `Nested deeper than ${RULE_NESTING_MAX} levels`, place);
    if (isAlias(node)) return this.#alias(node.source, place);
    const before = this.#built++;
    const anchor = "anchor" in node ? node.anchor : undefined;
    if (anchor !== undefined) this.#open.add(anchor);
    const tree = this.#value(node, place, depth);
    if (anchor !== undefined) {
      this.#open.delete(anchor);
      if (tree !== undefined) this.#anchors.set(anchor, { tree, size: this.#built - before });
    }
    return tree;
  }

  #value(node: Node, place: Place, depth: number): SourceNode | undefined {
    if (isScalar(node)) return this.#scalar(node, place);
    if (isSeq(node)) {
      const items: SourceNode[] = [];
      for (const item of node.items) {
        const tree = this.build(item as Node, depth + 1);
        if (tree !== undefined) items.push(tree);
      }
      return { kind: "list", items, ...place };
    }
    if (isMap(node)) return this.#map(node.items as readonly Pair<Node, Node | null>[], place, depth);
    return this.#refuse("yaml-unknown-node", "Cannot use this kind of YAML value here", place);
  }

  #map(pairs: readonly Pair<Node, Node | null>[], place: Place, depth: number): SourceNode {
    const entries = new Map<string, MapEntry>();
    for (const pair of pairs) {
      const keyPlace = this.#place(pair.key);
      if (!isScalar(pair.key)) {
        this.#refuse("yaml-key", "A key must be a plain word", keyPlace);
        continue;
      }
      const key = String(pair.key.source ?? pair.key.value ?? "");
      if (entries.has(key)) {
        this.#refuse("duplicate-key", `Key "${key}" is already given in this mapping`, keyPlace);
        continue;
      }
      const value = pair.value === null ? ({ kind: "null", ...keyPlace } as const) : this.build(pair.value, depth + 1);
      if (value !== undefined) entries.set(key, { key, place: keyPlace, value });
    }
    return { kind: "map", entries: [...entries.values()], ...place };
  }

  #scalar(node: Scalar, place: Place): SourceNode | undefined {
    const { value } = node;
    switch (typeof value) {
      case "string":
        return this.#text(node, value, place);
      case "bigint": {
        const small = Number(value);
        return { kind: "number", value: Number.isSafeInteger(small) ? small : value, ...place };
      }
      case "number":
        if (!Number.isFinite(value)) return this.#refuse("bad-number", `${value} is not a number an event can hold`, place);
        return { kind: "number", value, ...place };
      case "boolean":
        return { kind: "bool", value, ...place };
      default:
        if (value === null || value === undefined) return { kind: "null", ...place };
        return this.#refuse("yaml-tag", `Cannot use the YAML tag "${node.tag ?? ""}", write a plain value`, place);
    }
  }

  #text(node: Scalar, value: string, place: Place): SourceNode {
    const { text } = this.findings.source;
    switch (node.type) {
      case "BLOCK_LITERAL":
      case "BLOCK_FOLDED": {
        // The content starts on the line after the `|` or `>` header.
        const header = text.indexOf("\n", place.from);
        return textNode(value, text, { from: header < 0 ? place.to : header + 1, to: place.to }, "verbatim");
      }
      case "QUOTE_DOUBLE":
        return textNode(value, text, { from: place.from + 1, to: place.to - 1 }, "escaped");
      case "QUOTE_SINGLE":
        return textNode(value, text, { from: place.from + 1, to: place.to - 1 }, "single-quoted");
      default:
        return textNode(value, text, place, "verbatim");
    }
  }

  #alias(name: string, place: Place): SourceNode | undefined {
    if (this.#open.has(name)) return this.#refuse("alias-loop", `Alias "${name}" is inside the value it stands for`, place);
    const anchor = this.#anchors.get(name);
    if (anchor === undefined) return this.#refuse("unknown-alias", `Alias "${name}" has no anchor before it`, place);
    this.#built += anchor.size;
    this.#aliased += anchor.size;
    if (this.#aliased > ALIAS_NODES_MAX) {
      return this.#refuse("too-many-aliases", `Aliases stand for more than ${ALIAS_NODES_MAX} values, write fewer`, place);
    }
    return anchor.tree;
  }

  #place(node: Node | null): Place {
    const range: Range | null | undefined = node?.range;
    return range ? { from: this.base + range[0], to: this.base + range[1] } : { from: this.base, to: this.base };
  }

  #refuse(code: string, message: string, place: Place): undefined {
    this.failed = true;
    this.findings.error(code, message, place);
  }
}

const TESTS_KEY = /^tests:[ \t]*(?:#.*)?$/;
const INSIDE = /^(?:[ \t#-].*)?$/;

/**
 * The text with every `tests:` block of a document's root mapping blanked, so that all offsets stay. At the first column a key can only
 * be the root's: block scalars and continued texts are indented there.
 */
export function blankTests(text: string): string {
  let blanking = false;
  return text
    .split("\n")
    .map((line) => {
      const plain = line.replace(/\r$/, "");
      blanking = TESTS_KEY.test(plain) || (blanking && INSIDE.test(plain) && !plain.startsWith("---"));
      return blanking ? " ".repeat(line.length) : line;
    })
    .join("\n");
}

/** One mapping per rule: a document that is a mapping, or each mapping of a document that is a list. */
export function ruleNodes(trees: readonly SourceNode[], findings: Findings): SourceNode[] {
  const nodes: SourceNode[] = [];
  for (const tree of trees) {
    for (const node of tree.kind === "list" ? tree.items : [tree]) {
      if (node.kind === "map") nodes.push(node);
      else findings.error("not-a-rule", `A rule is a mapping of keys, this is ${kindName(node)}`, node);
    }
  }
  if (nodes.length > RULES_PER_FILE_MAX) {
    findings.error("too-many-rules", `${nodes.length} rules in one file, at most ${RULES_PER_FILE_MAX} are read`, { from: 0, to: 0 });
    nodes.length = RULES_PER_FILE_MAX;
  }
  return nodes;
}
