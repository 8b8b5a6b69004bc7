// JSON text → positioned tree. A parser of our own because JSON.parse gives no positions and loses the digits of large integers.
import { RULE_NESTING_MAX } from "./rule.ts";
import { type MapEntry, type SourceNode, textNode } from "./source-node.ts";
import type { Findings } from "./source-text.ts";

const NUMBER = /-?(?:0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?/y;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const SPACE = /[ \t\r\n]*/y;

/** The value in `[from, to)` of the file, or undefined after a finding. The first error ends the reading: what follows cannot be trusted. */
export function readJson(findings: Findings, from = 0, to: number = findings.source.text.length): SourceNode | undefined {
  const reader = new JsonReader(findings.source.text, from, to);
  try {
    const node = reader.value(0);
    reader.end();
    return node;
  } catch (error) {
    if (!(error instanceof JsonSyntax)) throw error;
    findings.error("json-syntax", error.message, { from: error.at, to: Math.min(error.at + 1, to) });
    return undefined;
  }
}

class JsonSyntax extends Error {
  constructor(
    message: string,
    readonly at: number,
  ) {
    super(message);
  }
}

class JsonReader {
  constructor(
    readonly text: string,
    private at: number,
    private readonly limit: number,
  ) {}

  value(depth: number): SourceNode {
    if (depth > RULE_NESTING_MAX) throw new JsonSyntax(`Nested deeper than ${RULE_NESTING_MAX} levels`, this.at);
    this.#space();
    const from = this.at;
    switch (this.text[from]) {
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", { kind: "bool", value: true, from, to: from + 4 });
      case "f":
        return this.#word("false", { kind: "bool", value: false, from, to: from + 5 });
      case "n":
        return this.#word("null", { kind: "null", from, to: from + 4 });
      default:
        return this.#number();
    }
  }

  end(): void {
    this.#space();
    if (this.at < this.limit) throw new JsonSyntax(`Unexpected ${this.#shown()} after the JSON value`, this.at);
  }

  #object(depth: number): SourceNode {
    const from = this.at++;
    const entries = new Map<string, MapEntry>();
    if (!this.#take("}")) {
      do {
        this.#space();
        if (this.text[this.at] !== '"' || this.at >= this.limit) {
          throw new JsonSyntax(`Expected a key in double quotes instead of ${this.#shown()}`, this.at);
        }
        const key = this.#string();
        if (!this.#take(":")) throw new JsonSyntax(`Expected ":" instead of ${this.#shown()}`, this.at);
        const value = this.value(depth + 1);
        if (entries.has(key.value)) throw new JsonSyntax(`Key "${key.value}" is already given in this object`, key.from);
        entries.set(key.value, { key: key.value, place: key, value });
      } while (this.#take(","));
      if (!this.#take("}")) throw new JsonSyntax(`Expected "," or "}" instead of ${this.#shown()}`, this.at);
    }
    return { kind: "map", entries: [...entries.values()], from, to: this.at };
  }

  #array(depth: number): SourceNode {
    const from = this.at++;
    const items: SourceNode[] = [];
    if (!this.#take("]")) {
      do items.push(this.value(depth + 1));
      while (this.#take(","));
      if (!this.#take("]")) throw new JsonSyntax(`Expected "," or "]" instead of ${this.#shown()}`, this.at);
    }
    return { kind: "list", items, from, to: this.at };
  }

  #string(): ReturnType<typeof textNode> {
    const from = this.at;
    let end = from + 1;
    for (let code = this.text.charCodeAt(end); end < this.limit && code !== QUOTE && code >= 0x20; code = this.text.charCodeAt(end)) {
      end += code === BACKSLASH ? 2 : 1;
    }
    if (end >= this.limit || this.text.charCodeAt(end) !== QUOTE) {
      throw new JsonSyntax("This text has a control character or no closing quote", from);
    }
    this.at = end + 1;
    return textNode(this.#unescaped(from, this.at), this.text, { from: from + 1, to: end }, "escaped");
  }

  #unescaped(from: number, to: number): string {
    try {
      return JSON.parse(this.text.slice(from, to)) as string;
    } catch {
      throw new JsonSyntax("This text has a bad escape, write a backslash as two", from);
    }
  }

  #number(): SourceNode {
    const literal = this.#match(NUMBER);
    if (literal === undefined) throw new JsonSyntax(`Expected a value instead of ${this.#shown()}`, this.at);
    const from = this.at;
    this.at += literal.length;
    const value = Number(literal);
    if (!Number.isFinite(value)) throw new JsonSyntax(`${literal.slice(0, 40)} is too large a number`, from);
    const exact = !Number.isSafeInteger(value) && /^-?\d+$/.test(literal) ? BigInt(literal) : value;
    return { kind: "number", value: exact, from, to: this.at };
  }

  #word(word: string, node: SourceNode): SourceNode {
    if (!this.text.startsWith(word, this.at)) throw new JsonSyntax(`Expected a value instead of ${this.#shown()}`, this.at);
    this.at += word.length;
    return node;
  }

  #take(character: string): boolean {
    this.#space();
    if (this.at >= this.limit || this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  #space(): void {
    // White space may go on behind the part of the file that is read: a line of a list ends in one.
    this.at = Math.min(this.at + (this.#match(SPACE)?.length ?? 0), this.limit);
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.at;
    return pattern.exec(this.text)?.[0];
  }

  #shown(): string {
    if (this.at >= this.limit) return "the end of the text";
    return JSON.stringify(String.fromCodePoint(this.text.codePointAt(this.at) ?? 0));
  }
}
