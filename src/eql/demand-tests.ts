// The tests of path, user, port, address and control group that a single comparison asks for: equality, lists, wildcards, beginnings and ends of a field,
// and whether it has a value at all.
// Invariant: whenever the comparison has the truth in question, one of its tests is true (see DemandTest in #schema).
import { type DemandTest, foldAscii, type GroupField, isAscii, isGroupField, isWithin, type SchemaRegistry } from "#schema";
import { canonicalAddress, parseAddress } from "./address.ts";
import { foldText } from "./case-folding.ts";
import { type AddressBlock, type ConditionNode, type IrNode, type Pattern, Wild } from "./ir.ts";
import { childrenOf } from "./rule-set-facts.ts";

/** Longest text of a test, in bytes: whoever tests has room for no more. */
const TEXT_BYTES_MAX = 29;
/** Begins a path whose outermost folders are missing: it may stand for names that are not in it. */
const CUT_MARK = "…";

type Part = "path" | "directory" | "name" | "extension" | "user" | "port" | "address" | GroupField;
const PARTS: Readonly<Record<string, Part>> = {
  "file.path": "path",
  "file.directory": "directory",
  "file.name": "name",
  "file.extension": "extension",
  "user.id": "user",
  "destination.port": "port",
  "destination.ip": "address",
};

/** Nodes that are null when an operand is. */
const STRICT: ReadonlySet<IrNode["kind"]> = new Set([
  "compare",
  "in",
  "like",
  "regex",
  "cidr",
  "textTest",
  "element",
  "arithmetic",
  "convert",
  "call",
]);

/** A comparison of one of those fields with patterns, of which one must match. */
interface Comparison {
  readonly part: Part;
  readonly patterns: readonly Pattern[];
  readonly folded: boolean;
}

/** Tests of which one is true whenever the condition is `wanted`; undefined when it asks for none we know. */
export function testsOf(node: ConditionNode, wanted: boolean, registry: SchemaRegistry): readonly DemandTest[] | undefined {
  if (node.kind === "isNull") return presence(node.value, !wanted, registry);
  if (node.kind === "cidr" && partOf(node.value, registry) === "address") return blockTests(node.blocks, wanted);
  const tests = comparisonTests(node, wanted, registry);
  if (tests !== undefined) return tests;
  const required = requiredField(node, registry);
  return required === undefined ? undefined : [{ kind: required, text: "" }];
}

/** Tests of whether a value is there. */
function presence(value: IrNode, isThere: boolean, registry: SchemaRegistry): readonly DemandTest[] | undefined {
  const field = groupFieldOf(value, registry);
  if (field === undefined) return undefined;
  return [isThere ? { kind: field, text: "" } : { kind: "none", text: field }];
}

/** A field of the control group without which the node is null. */
function requiredField(node: IrNode, registry: SchemaRegistry): GroupField | undefined {
  const field = groupFieldOf(node, registry);
  if (field !== undefined || !STRICT.has(node.kind)) return field;
  for (const child of childrenOf(node)) {
    const required = requiredField(child, registry);
    if (required !== undefined) return required;
  }
  return undefined;
}

function groupFieldOf(node: IrNode, registry: SchemaRegistry): GroupField | undefined {
  const part = partOf(node, registry);
  return part !== undefined && isGroupField(part) ? part : undefined;
}

function comparisonTests(node: ConditionNode, wanted: boolean, registry: SchemaRegistry): readonly DemandTest[] | undefined {
  const comparison = comparisonOf(node, registry);
  if (comparison === undefined) return undefined;
  const { part, patterns, folded } = comparison;
  if (!wanted) return part === "user" && !folded ? otherUser(patterns) : part === "address" ? otherAddress(patterns) : undefined;
  const tests: DemandTest[] = [];
  for (const pattern of patterns) {
    const folds = ({ kind, text }: DemandTest): DemandTest => ({ kind, text: folded ? foldText(text) : foldAscii(text) });
    const test = candidatesOf(part, pattern).map(folds).find(isUsable);
    if (test === undefined) return undefined;
    tests.push(test);
  }
  return tests;
}

function isUsable({ kind, text }: DemandTest): boolean {
  if (isGroupField(kind) || kind === "address") return true;
  return text !== "" && !text.includes("\0") && !text.includes(CUT_MARK) && Buffer.byteLength(text) <= TEXT_BYTES_MAX;
}

function comparisonOf(node: ConditionNode, registry: SchemaRegistry): Comparison | undefined {
  const of = (value: unknown, patterns: readonly Pattern[], folded: boolean): Comparison | undefined => {
    const part = partOf(value, registry);
    return part === undefined ? undefined : { part, patterns, folded };
  };
  switch (node.kind) {
    case "compare":
      if (node.operator !== "eq" || node.right.kind !== "const") return undefined;
      return of(node.left, [[String(node.right.value)]], node.folded);
    case "in":
      return of(
        node.value,
        node.constants.map((constant) => [String(constant)]),
        node.folded,
      );
    case "like":
      return of(node.value, node.patterns, node.folded);
    case "textTest": {
      if (node.part.kind !== "const") return undefined;
      const text = String(node.part.value);
      if (node.test === "startsWith") return of(node.text, [[text, Wild.Many]], node.folded);
      if (node.test === "endsWith") return of(node.text, [[Wild.Many, text]], node.folded);
      return of(node.text, [[Wild.Many, text, Wild.Many]], node.folded);
    }
    default:
      return undefined;
  }
}

function partOf(value: unknown, registry: SchemaRegistry): Part | undefined {
  const node = value as { readonly kind: string; readonly name?: string; readonly fieldId?: number; readonly type: string };
  if (node.kind !== "field" || node.name === undefined || registry.idOf(node.name) !== node.fieldId) return undefined;
  const part = isGroupField(node.name) ? node.name : PARTS[node.name];
  return node.type === (part === "port" ? "int" : "string") ? part : undefined;
}

/** Of several ids the first will do: none of them is the user's. */
function otherUser([pattern]: readonly Pattern[]): readonly DemandTest[] | undefined {
  const text = pattern === undefined ? undefined : exactText(pattern);
  const test: DemandTest | undefined = text === undefined ? undefined : { kind: "notUser", text };
  return test !== undefined && isUsable(test) ? [test] : undefined;
}

/** None of those among the texts that an address field may hold; one that holds another text may be the same address. */
function otherAddress(patterns: readonly Pattern[]): readonly DemandTest[] | undefined {
  const blocks = patterns.flatMap((pattern) => {
    const text = exactText(pattern);
    return text !== undefined && text === canonicalAddress(text) ? addressTests(text) : [];
  });
  return blocks.length === 0 ? undefined : [{ kind: "notAddress", text: blocks.map(({ text }) => text).join(" ") }];
}

const MAPPED = "00000000000000000000ffff";

function blockTests(blocks: readonly AddressBlock[], wanted: boolean): readonly DemandTest[] | undefined {
  const texts = blocks.map(blockText);
  if (wanted) return texts.map((text) => ({ kind: "address", text }));
  // An IPv6 block around all of IPv4 holds none of it.
  const apart = texts.filter((text, index) => blocks[index]!.bytes.length === 4 || !isWithin(`${MAPPED}/96`, text));
  return apart.length === 0 ? undefined : [{ kind: "notAddress", text: apart.join(" ") }];
}

function blockText({ bytes, prefixBits }: AddressBlock): string {
  const digits = Uint8Array.from(bytes).toHex();
  return bytes.length === 4 ? `${MAPPED}${digits}/${96 + prefixBits}` : `${digits}/${prefixBits}`;
}

function addressTests(text: string): readonly DemandTest[] {
  const bytes = parseAddress(text);
  return bytes === undefined ? [] : [{ kind: "address", text: blockText({ bytes, prefixBits: bytes.length * 8 }) }];
}

function exactText(pattern: Pattern): string | undefined {
  return pattern.length === 1 && typeof pattern[0] === "string" ? pattern[0] : undefined;
}

/** Tests each of which is true whenever the pattern matches, the best first. */
function candidatesOf(part: Part, pattern: Pattern): readonly DemandTest[] {
  const exact = exactText(pattern);
  switch (part) {
    case "path":
      return [...lastName(pattern), ...folders(pattern), ...extension(pattern)];
    case "directory":
      return folders(closed(pattern));
    case "name":
      if (exact === undefined) return extension(pattern);
      return exact.includes("/") ? [] : [{ kind: "name", text: exact }];
    case "extension":
      return exact === undefined ? [] : [{ kind: "extension", text: exact }];
    case "port":
      return exact === undefined ? [] : [{ kind: "port", text: exact }];
    case "address":
      return exact === undefined ? [] : addressTests(exact);
    case "user":
      return exact !== undefined && isAscii(exact) && exact === foldText(exact) ? [{ kind: "user", text: exact }] : [];
    default:
      return [{ kind: part, text: typeof pattern[0] === "string" ? pattern[0] : "" }];
  }
}

/** The last name of a path, when the pattern has all of it. */
function lastName(pattern: Pattern): readonly DemandTest[] {
  const last = pattern.at(-1);
  return typeof last === "string" && last.includes("/") ? [{ kind: "name", text: last.slice(last.lastIndexOf("/") + 1) }] : [];
}

/** Names that stand whole between two slashes, the innermost first. */
function folders(pattern: Pattern): readonly DemandTest[] {
  return pattern.toReversed().flatMap((piece) => {
    const names = typeof piece === "string" ? piece.split("/").slice(1, -1) : [];
    return names.toReversed().map((text): DemandTest => ({ kind: "folder", text }));
  });
}

/** The pattern of a folder as that of what is in it. */
function closed(pattern: Pattern): Pattern {
  const last = pattern.at(-1);
  return typeof last === "string" ? [...pattern.slice(0, -1), `${last}/`] : pattern;
}

/** What stands behind the last dot, when the pattern ends with it. */
function extension(pattern: Pattern): readonly DemandTest[] {
  const last = pattern.at(-1);
  const dot = typeof last === "string" ? last.lastIndexOf(".") : -1;
  if (typeof last !== "string" || dot < 0 || last.lastIndexOf("/") > dot) return [];
  return [{ kind: "extension", text: last.slice(dot + 1) }];
}
