// The IR as Lua: every node that is not a plain leaf becomes a function N[i] over the support table, so nothing nests deeply and equal nodes are
// one function. Definitions are grouped into chunks of bounded size, because LuaJIT bounds constants and locals of a function.
import { EntryType } from "#schema";
import { unreachable } from "./ast.ts";
import { foldText } from "./case-folding.ts";
import {
  assertStateless,
  type ConditionNode,
  type ConstantValue,
  type FieldNode,
  type Pattern,
  type RegexNode,
  type ValueNode,
  Wild,
} from "./ir.ts";
import { cheapestFirst, type Facts, membership } from "./rule-set-facts.ts";

const UTF8 = new TextEncoder();

/** Most definitions of one chunk, and most bytes of their text. */
const CHUNK_DEFINITIONS_MAX = 200;
const CHUNK_BYTES_MAX = 100_000;
/** Most operands that one function asks in turn. */
const GROUP_OPERANDS_MAX = 200;

/** Stands for `?` in a piece of a pattern; UTF-8 never has this byte. */
const ANY_ONE = "\\255";

/** A Lua string literal; bytes that are not plain ASCII are escaped, so the text is ASCII whatever the rules hold. */
function luaString(text: string): string {
  return `"${escapeBytes(text)}"`;
}

function escapeBytes(text: string): string {
  let escaped = "";
  for (const byte of UTF8.encode(text)) {
    const plain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c;
    escaped += plain ? String.fromCharCode(byte) : `\\${String(byte).padStart(3, "0")}`;
  }
  return escaped;
}

/** Collects definitions and answers expressions that use them. */
export class LuaPrinter {
  readonly #facts: Facts;
  readonly #definitions: string[] = [];
  readonly #known = new Map<string, string>();

  constructor(facts: Facts) {
    this.#facts = facts;
  }

  /** Everything defined so far, in chunks. */
  chunks(): string[] {
    const chunks: string[][] = [];
    let bytes = CHUNK_BYTES_MAX;
    for (const definition of this.#definitions) {
      const full = bytes + definition.length > CHUNK_BYTES_MAX || chunks.at(-1)!.length >= CHUNK_DEFINITIONS_MAX;
      if (full) {
        chunks.push([]);
        bytes = 0;
      }
      chunks.at(-1)!.push(definition);
      bytes += definition.length;
    }
    return chunks.map((lines) => `(function()\n${lines.join("\n")}\nend)();`);
  }

  /** Function that answers whether a condition is true; of a conjunction nothing is asked behind the first operand that is not. */
  predicate(root: ConditionNode): string {
    if (root.kind !== "and") return `function() return ${this.condition(root)} end`;
    const operands = this.#grouped("and", cheapestFirst(root.operands));
    return `function() return ${operands.join("\nand ")} end`;
  }

  /** Expression for the truth of a condition: true, false or nil. */
  condition(node: ConditionNode): string {
    switch (node.kind) {
      case "truth":
        return node.value === null ? "nil" : String(node.value);
      case "category":
        return `S.category(${node.categoryId}, ${node.fieldId}, ${luaString(node.name)})`;
      case "not":
        return `S.negate(${this.condition(node.operand)})`;
      default:
        return `${this.#once(`condition ${node.id}`, () => this.#function(node))}()`;
    }
  }

  #once(key: string, make: () => string): string {
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const value = make();
    const name = `N[${this.#known.size + 1}]`;
    this.#known.set(key, name);
    this.#definitions.push(`${name} = ${value}`);
    return name;
  }

  #function(node: Exclude<ConditionNode, { readonly kind: "truth" | "category" | "not" }>): string {
    const body = node.kind === "and" || node.kind === "or" ? this.#logic(node.kind, node.operands) : `return ${this.#atom(node)}`;
    if (!this.#facts.shared.has(node)) return `function() ${body} end`;
    return `S.remembered(function() ${body} end)`;
  }

  #logic(kind: "and" | "or", operands: readonly ConditionNode[]): string {
    const deciding = kind === "or";
    const tests = this.#grouped(kind, cheapestFirst(operands)).map((operand) => {
      return `t = ${operand} if t == ${deciding} then return ${deciding} elseif t == nil then r = nil end`;
    });
    return `local r, t = ${!deciding}\n${tests.join("\n")}\nreturn r`;
  }

  /** Expressions for the operands; where there are very many, for groups of them, because LuaJIT bounds the length of a function. */
  #grouped(kind: "and" | "or", operands: readonly ConditionNode[]): string[] {
    if (operands.length <= GROUP_OPERANDS_MAX) return operands.map((operand) => this.condition(operand));
    const size = Math.ceil(operands.length / GROUP_OPERANDS_MAX);
    return Array.from({ length: Math.ceil(operands.length / size) }, (_, index) => {
      const group = operands.slice(index * size, (index + 1) * size);
      const key = `group ${kind} ${group.map((operand) => operand.id).join()}`;
      return `${this.#once(key, () => `function() ${this.#logic(kind, group)} end`)}()`;
    });
  }

  #atom(node: Exclude<ConditionNode, { readonly kind: "truth" | "category" | "not" | "and" | "or" }>): string {
    const member = membership(node);
    if (member !== undefined) return `S.member(${this.#set(member.texts)}, ${this.#field(member.field, member.folded)})`;
    switch (node.kind) {
      case "isNull":
        return `S.is_null(${this.value(node.value, false)})`;
      case "compare": {
        const test = `S.compare.${node.left.type}.${node.operator}`;
        return `S.any2(${test}, ${this.value(node.left, node.folded)}, ${this.value(node.right, node.folded)})`;
      }
      case "in":
        return `S.any2(S.compare.${node.value.type}.eq, ${this.value(node.value, node.folded)}, ${this.#constants(node.constants, node.value, node.folded)})`;
      case "like":
        return `S.any1(${this.#patterns(node.patterns, node.folded)}, ${this.value(node.value, node.folded)})`;
      case "regex":
        return `S.any1(${this.#automata(node)}, ${this.value(node.value, false)})`;
      case "cidr": {
        const blocks = node.blocks.map((block) => `{{${block.bytes.join()}},${block.prefixBits}}`);
        const test = this.#once(`cidr ${blocks.join()}`, () => `S.cidr({${blocks.join()}})`);
        return `S.any1(${test}, ${this.value(node.value, false)})`;
      }
      case "textTest":
        return `S.any2(S.text_test.${node.test}, ${this.value(node.text, node.folded)}, ${this.value(node.part, node.folded)})`;
      case "arraySearch":
        return `S.array_search(${this.value(node.array, false)}, ${node.index}, ${this.#body(node.body)})`;
      case "lineage":
        return assertStateless(node);
      default:
        return unreachable(node);
    }
  }

  #body(condition: ConditionNode): string {
    return this.#once(`body ${condition.id}`, () => `function() return ${this.condition(condition)} end`);
  }

  /** Expression for the list of a value's elements. */
  value(node: ValueNode, folded: boolean): string {
    const fold = folded && node.type === "string";
    switch (node.kind) {
      case "const":
        return this.#constants([node.value], node, fold);
      case "null":
        return "S.empty";
      case "field":
        return this.#field(node, fold);
      case "variable":
        return fold ? `S.folded({V[${node.index}]})` : `{V[${node.index}]}`;
      default: {
        const plain = `${this.#once(`value ${node.id}`, () => `function() return ${this.#list(node)} end`)}()`;
        return fold ? `S.folded(${plain})` : plain;
      }
    }
  }

  #field(node: FieldNode, folded: boolean): string {
    return `${folded ? "S.field_folded" : "S.field"}(${node.fieldId}, ${this.#facts.fields.get(node.fieldId) ?? EntryType.Keyword})`;
  }

  #list(node: Exclude<ValueNode, { readonly kind: "const" | "null" | "field" | "variable" }>): string {
    switch (node.kind) {
      case "element":
        return `S.element(${this.#field(node.field, false)}, ${node.index})`;
      case "arithmetic":
        return `S.map2(S.${node.type}.${node.operator}, ${this.value(node.left, false)}, ${this.value(node.right, false)})`;
      case "convert":
        return `S.map1(S.${node.conversion}, ${this.value(node.value, false)})`;
      case "call":
        return this.#call(node.name, node.folded, node.operands);
      case "default":
        return `S.default(${this.value(node.value, false)}, function() return ${this.value(node.fallback, false)} end)`;
      case "truthValue":
        return `S.truth_value(${this.condition(node.condition)})`;
      case "arrayCount":
        return `S.array_count(${this.value(node.array, false)}, ${node.index}, ${this.#body(node.body)})`;
      case "earlier":
        return assertStateless(node);
      default:
        return unreachable(node);
    }
  }

  #call(name: keyof typeof FUNCTIONS, folded: boolean, operands: readonly ValueNode[]): string {
    const lists = operands.map((operand) => this.value(operand, false));
    if (name === "concat") {
      const join = (joined: string, list: string): string => `S.map2(S.concat, ${joined}, ${list})`;
      const hoisted = (joined: string, list: string): string => {
        const text = join(joined, list);
        return `${this.#once(text, () => `function() return ${text} end`)}()`;
      };
      return join(lists.slice(0, -1).reduce(hoisted), lists.at(-1)!);
    }
    const suffix = folded && name !== "length" && name !== "substring" && name !== "parseNumber" ? "_folded" : "";
    return `S.map${lists.length}(S.${FUNCTIONS[name]}${suffix}, ${lists.join(", ")})`;
  }

  #set(texts: readonly string[]): string {
    const keys = [...new Set(texts)].map((text) => `[${luaString(text)}]=true`).join();
    return this.#once(`set ${keys}`, () => `{${keys}}`);
  }

  #constants(values: readonly ConstantValue[], { type }: Pick<ValueNode, "type">, folded: boolean): string {
    const items = values.map((value) => luaConstant(folded && typeof value === "string" ? foldText(value) : value)).join();
    return this.#once(`constants ${type} ${items}`, () => `{${items}}`);
  }

  #patterns(patterns: readonly Pattern[], folded: boolean): string {
    const tests = patterns.map((pattern) => {
      const text = luaPattern(pattern, folded);
      return this.#once(`pattern ${text}`, () => text);
    });
    return this.#once(`any ${tests.join()}`, () => `S.any_of({${tests.join()}})`);
  }

  #automata({ patterns, tables, folded, flavour }: RegexNode): string {
    const tests = tables.map((table, index) =>
      this.#once(`regex ${flavour} ${folded} ${patterns[index]}`, () => {
        const { start, classCount, asciiClasses, rangeStarts, rangeClasses, transitions, states } = table;
        const texts = [asciiClasses, rangeStarts, rangeClasses, transitions, states].map((list) => `"${list.join(" ")}"`);
        return `S.automaton(${start}, ${classCount}, ${texts.join(", ")})`;
      }),
    );
    return this.#once(`any ${tests.join()}`, () => `S.any_of({${tests.join()}})`);
  }
}

const FUNCTIONS = {
  length: "length",
  indexOf: "index_of",
  substring: "substring",
  between: "between",
  betweenOrNull: "between_or_null",
  concat: "concat",
  parseNumber: "parse_number",
} as const;

function luaConstant(value: ConstantValue): string {
  switch (typeof value) {
    case "string":
      return luaString(value);
    case "boolean":
      return String(value);
    case "bigint": {
      const bits = `0x${BigInt.asUintN(64, value).toString(16)}ULL`;
      return value > 0x7fffffffffffffffn ? bits : `S.i64(${bits})`;
    }
    case "number":
      return Object.is(value, -0) ? "-0.0" : Number.isFinite(value) ? String(value) : value > 0 ? "math.huge" : "-math.huge";
    default:
      return unreachable(value);
  }
}

function luaPattern(pattern: Pattern, folded: boolean): string {
  const pieces: (string | Wild.One)[][] = [[]];
  for (const part of pattern) {
    if (part === Wild.Many) pieces.push([]);
    else pieces.at(-1)!.push(part);
  }
  const fromStart = pieces[0]!.length > 0;
  const toEnd = pieces.at(-1)!.length > 0;
  const kept = pieces.filter((piece) => piece.length > 0);
  if (kept.length === 0) return "S.any_text";
  const texts = kept.map((piece) => {
    const bytes = piece.map((part) => (part === Wild.One ? ANY_ONE : escapeBytes(folded ? foldText(part) : part))).join("");
    const codePoints = piece.reduce<number>((sum, part) => sum + (part === Wild.One ? 1 : [...part].length), 0);
    return `{"${bytes}",${codePoints},${piece.includes(Wild.One)}}`;
  });
  return `S.pattern({${texts.join()}}, ${fromStart}, ${toEnd})`;
}
