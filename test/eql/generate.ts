// Random well-typed queries and random events for property tests: every operator and function, nulls, several values, Unicode, both dialects.
// Values come from small pools, so that comparisons hit about as often as they miss. Hand-written queries still beat it for readability.
import fc from "fast-check";
import { CATEGORY_NONE, CATEGORY_SEVERAL, type FieldReader, type FieldValue, type SchemaRegistry } from "#schema";

/** The dialects a query can be written in. */
export type GeneratedDialect = "default" | "endgame";

/** An event by names: what a record builder or a reader is made from. */
export interface GeneratedEvent {
  /** One name: the header's category. Several: CATEGORY_SEVERAL and the category field. */
  readonly categories: readonly string[];
  readonly fields: Readonly<Record<string, FieldValue>>;
}

const STRING_FIELDS = ["process.name", "process.executable", "user.id", "process.args", "process.parent.args", "file.path"];
const IP_FIELDS = ["source.ip", "host.ip"];
const INT_FIELDS = ["process.pid", "process.args_count"];
const U64_FIELDS = ["process.login_uid", "process.cgroup.id"];
const FLOAT_FIELDS = ["file.Ext.entropy", "event.risk_score"];
const BOOL_FIELDS = ["process.interactive", "process.code_signature.exists"];
const DATE_FIELDS = ["@timestamp", "process.start"];
const CATEGORIES = ["process", "file", "network", "custom"];

const STRINGS = [
  "",
  "a",
  "A",
  "ab",
  "aB",
  "abc",
  "ABCABC",
  "bash",
  "/bin/sh",
  "C:\\x\\y",
  "a\nb",
  "ß",
  "ſ",
  "s",
  "K",
  "\u212a",
  "É",
  "é",
  "Σς",
  "😀",
  "a😀b",
  "\uffee",
  "\u{1f600}\uffee",
  "0",
  "12",
  "-7",
  "0x1f",
  "3.5",
  "1e3",
  "99999999999999999999",
  "true",
  "10.0.0.1",
  "::1",
  "*",
  "?",
  "a.b",
];
const ADDRESSES = ["10.0.0.1", "10.1.2.3", "127.0.0.1", "192.168.0.7", "::1", "fe80::1", "2001:db8::1"];
const INTEGERS = [0n, 1n, -1n, 2n, 3n, 7n, -7n, 10n, 255n, 1000n, 9007199254740993n, (1n << 63n) - 1n, -(1n << 63n)];
const UNSIGNED = [0n, 1n, 2n, 1000n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n];
const FLOATS = [0, -0, 0.5, -1.5, 2, 3.25, 7, 1e21, 1e-7, 9007199254740992, 123456.789];
const DATES = [0n, 1700000000000000000n, 1735689600123456789n];
const DATE_TEXTS = ["1970-01-01", "2023-11-14T22:13:20Z", "2025-01-01T00:00:00.123456789Z", "2024-06-01T12:00:00+02:00"];
const REGEXES = ["[a-z]+", "a.*", ".*b", "(a|b)*c?", "\\d+", "\\w{1,3}", "[^a]*", "A.C.*", "[k-s]+", ".", "/bin/.*"];
const GLOBS = ["*", "a*", "*b", "*B*", "?", "a?*", "/bin/*", "*\\x*", "é", "*😀*", "s", "bash"];
const BLOCKS = ["10.0.0.0/8", "127.0.0.1", "192.168.0.0/24", "::/0", "fe80::/10", "0.0.0.0/0", "10.0.0.1/32"];

/** An EQL string literal that both dialects read. */
function quote(text: string): string {
  return `"${text.replace(/[\\"\n\r\t]/g, (character) => ({ "\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t" })[character]!)}"`;
}

const pick = <T>(items: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...items);
const stringLiteral = pick(STRINGS).map(quote);
const intLiteral = pick(INTEGERS).filter((value) => value > -(1n << 63n));
const list = (item: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(item, { minLength: 1, maxLength: 4 }).map((items) => `(${items.join(", ")})`);

class QueryGenerator {
  readonly #dialect: GeneratedDialect;

  constructor(dialect: GeneratedDialect) {
    this.#dialect = dialect;
  }

  /** `~` after a word, in the dialect that has it. */
  get #mark(): fc.Arbitrary<string> {
    return this.#dialect === "default" ? pick(["", "~"]) : fc.constant("");
  }

  condition(depth: number): fc.Arbitrary<string> {
    const atom = this.#atom(depth);
    if (depth <= 0) return atom;
    const inner = this.condition(depth - 1);
    return fc.oneof(
      { weight: 4, arbitrary: atom },
      { weight: 2, arbitrary: fc.array(inner, { minLength: 2, maxLength: 4 }).map((parts) => `(${parts.join(" and ")})`) },
      { weight: 2, arbitrary: fc.array(inner, { minLength: 2, maxLength: 4 }).map((parts) => `(${parts.join(" or ")})`) },
      { weight: 2, arbitrary: inner.map((part) => `not (${part})`) },
      { weight: 1, arbitrary: this.#lambda(depth - 1) },
    );
  }

  #atom(depth: number): fc.Arbitrary<string> {
    const string = this.#string(depth - 1);
    const int = this.#int(depth - 1);
    const number = this.#number(depth - 1);
    const order = pick(["==", "!=", "<", "<=", ">", ">="]);
    const membership = pick(["in", "not in"]);
    const t = (...parts: fc.Arbitrary<string>[]) => fc.tuple(...parts).map((texts) => texts.join(" "));
    const word = (text: string) => fc.constant(text);
    const call = (name: string, ...operands: fc.Arbitrary<string>[]) =>
      fc.tuple(this.#mark, ...operands).map(([mark, ...texts]) => `${name}${mark}(${texts.join(", ")})`);
    const like = fc.tuple(pick(["like", "not like"]), this.#mark).map((parts) => parts.join(""));
    const regex = fc.tuple(pick(["regex", "not regex"]), this.#mark).map((parts) => parts.join(""));
    return fc.oneof(
      t(string, order, string),
      t(string, order, stringLiteral),
      t(stringLiteral, order, string),
      t(int, order, int),
      t(number, order, number),
      t(pick(U64_FIELDS), order, fc.oneof(pick(UNSIGNED).map(String), pick(U64_FIELDS), int)),
      t(pick(STRING_FIELDS), order, pick(["0", "12", "-7", "3.5"])),
      t(pick(DATE_FIELDS), order, fc.oneof(pick(DATE_TEXTS).map(quote), pick(DATE_FIELDS))),
      t(pick(BOOL_FIELDS), pick(["==", "!="]), fc.oneof(pick(["true", "false"]), pick(BOOL_FIELDS))),
      pick(BOOL_FIELDS),
      pick(["true", "false", "null"]),
      t(fc.oneof(string, int, number, pick(BOOL_FIELDS), pick(IP_FIELDS), pick(["?no.such.field"])), pick(["==", "!="]), word("null")),
      t(
        string,
        fc.tuple(membership, this.#mark).map((parts) => parts.join("")),
        list(stringLiteral),
      ),
      t(int, membership, list(fc.oneof(intLiteral.map(String), pick(FLOATS).filter(isPlain).map(decimal)))),
      t(pick(U64_FIELDS), membership, list(pick(UNSIGNED).map(String))),
      t(string, membership, list(fc.oneof(stringLiteral, pick(STRING_FIELDS), word("null")))),
      t(string, like, fc.oneof(pick(GLOBS).map(quote), list(pick(GLOBS).map(quote)))),
      t(string, word(":"), fc.oneof(pick(GLOBS).map(quote), list(pick(GLOBS).map(quote)))),
      t(string, regex, fc.oneof(pick(REGEXES).map(quote), list(pick(REGEXES).map(quote)))),
      t(string, pick(["==", "!="]), pick(GLOBS).map(quote)),
      call("startsWith", string, fc.oneof(string, stringLiteral)),
      call("endsWith", string, fc.oneof(string, stringLiteral)),
      call("stringContains", string, fc.oneof(string, stringLiteral)),
      call("wildcard", string, pick(GLOBS).map(quote), pick(GLOBS).map(quote)),
      call("match", string, pick(REGEXES).map(quote)),
      call("arrayContains", pick(["process.args", "process.parent.args"]), stringLiteral, fc.oneof(stringLiteral, pick(STRING_FIELDS))),
      fc
        .tuple(fc.oneof(pick(IP_FIELDS), string), list(pick(BLOCKS).map(quote)))
        .map(([value, blocks]) => `cidrMatch(${value}, ${blocks.slice(1)}`),
      t(fc.oneof(pick(STRING_FIELDS), pick(["?no.such.field"])), order, stringLiteral),
    );
  }

  #lambda(depth: number): fc.Arbitrary<string> {
    const array = pick(["process.args", "process.parent.args", "user.id"]);
    const body = fc.oneof(
      fc.tuple(pick(["==", "!=", "<"]), stringLiteral).map((parts) => `$x ${parts.join(" ")}`),
      pick(GLOBS).map((glob) => `$x like ${quote(glob)}`),
      fc.tuple(pick(STRING_FIELDS), stringLiteral).map(([field, text]) => `concat($x, ${text}) == ${field}`),
      fc.tuple(pick(INT_FIELDS)).map(([field]) => `length($x) < ${field}`),
      pick(["process.args", "user.id"]).map((inner) => `arraySearch(${inner}, $y, $y == $x and length($x) > 0)`),
      fc.tuple(this.condition(Math.min(depth, 0)), pick(GLOBS)).map(([condition, glob]) => `($x like ${quote(glob)} or ${condition})`),
    );
    return fc.oneof(
      fc.tuple(array, body).map(([name, text]) => `arraySearch(${name}, $x, ${text})`),
      fc.tuple(array, body, pick(["==", ">", "<="]), pick(["0", "1", "2"])).map(([name, text, operator, count]) => {
        return `arrayCount(${name}, $x, ${text}) ${operator} ${count}`;
      }),
    );
  }

  #string(depth: number): fc.Arbitrary<string> {
    const field = fc.oneof(
      pick(STRING_FIELDS),
      pick(STRING_FIELDS),
      pick(IP_FIELDS),
      pick(["process.args[0]", "process.args[1]", "user.id[0]"]),
    );
    if (depth <= 0) return field;
    const inner = this.#string(depth - 1);
    const int = this.#int(depth - 1);
    const boundary = fc.oneof(pick(["0", "1", "2", "-1", "-2", "5", "100", "null"]), int);
    const mixed = fc.oneof(inner, stringLiteral, int, this.#number(depth - 1), pick(BOOL_FIELDS), pick(U64_FIELDS));
    return fc.oneof(
      { weight: 5, arbitrary: field },
      { weight: 1, arbitrary: fc.tuple(inner, boundary).map((parts) => `substring(${parts.join(", ")})`) },
      { weight: 1, arbitrary: fc.tuple(inner, boundary, boundary).map((parts) => `substring(${parts.join(", ")})`) },
      { weight: 1, arbitrary: fc.array(mixed, { minLength: 1, maxLength: 3 }).map((parts) => `concat(${parts.join(", ")})`) },
      { weight: 1, arbitrary: mixed.map((part) => `string(${part})`) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(
            this.#mark,
            inner,
            fc.oneof(inner, stringLiteral),
            stringLiteral,
            pick(["", ", true", ", false", ", null", ", process.interactive"]),
          )
          .map(([mark, text, left, right, greedy]) => `between${mark}(${text}, ${left}, ${right}${greedy})`),
      },
    );
  }

  #int(depth: number): fc.Arbitrary<string> {
    const leaf = fc.oneof({ weight: 3, arbitrary: pick(INT_FIELDS) }, { weight: 1, arbitrary: intLiteral.map(String) });
    if (depth <= 0) return leaf;
    const inner = this.#int(depth - 1);
    const string = this.#string(depth - 1);
    return fc.oneof(
      { weight: 4, arbitrary: leaf },
      { weight: 2, arbitrary: arithmetic(inner) },
      { weight: 1, arbitrary: inner.map((part) => `-(${part})`) },
      { weight: 1, arbitrary: string.map((text) => `length(${text})`) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(this.#mark, string, fc.oneof(string, stringLiteral), pick(["", ", 0", ", 1", ", null", ", process.pid"]))
          .map(([mark, text, part, start]) => `indexOf${mark}(${text}, ${part}${start})`),
      },
    );
  }

  #number(depth: number): fc.Arbitrary<string> {
    const leaf = fc.oneof(pick(FLOAT_FIELDS), pick(FLOATS).filter(isPlain).map(decimal), pick(U64_FIELDS));
    if (depth <= 0) return leaf;
    const inner = fc.oneof(this.#number(depth - 1), this.#int(depth - 1));
    const string = this.#string(depth - 1);
    return fc.oneof(
      { weight: 4, arbitrary: leaf },
      { weight: 2, arbitrary: arithmetic(inner) },
      { weight: 1, arbitrary: string.map((text) => `number(${text})`) },
      {
        weight: 1,
        arbitrary: fc
          .tuple(string, pick(["10", "16", "8", "2", "36", "null", "process.pid"]))
          .map((parts) => `number(${parts.join(", ")})`),
      },
    );
  }
}

function arithmetic(inner: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const named = { "+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo" } as const;
  return fc.tuple(inner, pick(["+", "-", "*", "/", "%"] as const), inner, fc.boolean()).map(([left, operator, right, asCall]) => {
    return asCall ? `${named[operator]}(${left}, ${right})` : `(${left} ${operator} ${right})`;
  });
}

function isPlain(value: number): boolean {
  return value >= 0 && !Object.is(value, -0);
}

function decimal(value: number): string {
  const text = String(value);
  return /[.e]/.test(text) ? text.replace("+", "") : `${text}.0`;
}

/** Queries that compile, save for constant divisors that are zero: skip those whose compilation fails with `division-by-zero`. */
export function queryArbitrary(dialect: GeneratedDialect, depth = 3): fc.Arbitrary<string> {
  const category = pick(["any", ...CATEGORIES, '"custom"']);
  return fc.tuple(category, new QueryGenerator(dialect).condition(depth)).map(([name, condition]) => `${name} where ${condition}`);
}

function fieldsOfType(names: readonly string[], element: fc.Arbitrary<FieldValue>): [string, fc.Arbitrary<FieldValue>][] {
  const several = fc.array(element, { minLength: 1, maxLength: 3 }) as unknown as fc.Arbitrary<FieldValue>;
  return names.map((name) => [name, fc.oneof({ weight: 3, arbitrary: element }, { weight: 2, arbitrary: several })]);
}

/** Events over the fields that the queries use; any field may be missing or hold several values. */
export const eventArbitrary: fc.Arbitrary<GeneratedEvent> = fc.record({
  categories: fc.oneof(
    { weight: 4, arbitrary: fc.array(pick(CATEGORIES), { minLength: 1, maxLength: 1 }) },
    { weight: 1, arbitrary: fc.uniqueArray(pick(CATEGORIES), { minLength: 2, maxLength: 3 }) },
    { weight: 1, arbitrary: fc.constant([]) },
  ),
  fields: fc.record(
    Object.fromEntries([
      ...fieldsOfType(
        STRING_FIELDS,
        fc.oneof({ weight: 9, arbitrary: pick(STRINGS) }, { weight: 1, arbitrary: fc.string({ unit: "grapheme", maxLength: 12 }) }),
      ),
      ...fieldsOfType(IP_FIELDS, pick(ADDRESSES)),
      ...fieldsOfType(INT_FIELDS, pick(INTEGERS)),
      ...fieldsOfType(U64_FIELDS, pick(UNSIGNED)),
      ...fieldsOfType(FLOAT_FIELDS, pick(FLOATS)),
      ...fieldsOfType(BOOL_FIELDS, fc.boolean()),
      ...fieldsOfType(DATE_FIELDS, pick(DATES)),
    ]),
    { requiredKeys: [] },
  ) as fc.Arbitrary<Record<string, FieldValue>>,
});

/** The event as evaluators see it. Intern the categories before compiling queries, or after: both must work. */
export function readerOf(event: GeneratedEvent, registry: SchemaRegistry): FieldReader {
  const values = new Map<number, FieldValue>();
  for (const [name, value] of Object.entries(event.fields)) values.set(registry.idOf(name), value);
  const { categories } = event;
  if (categories.length > 1) values.set(registry.idOf("event.category"), categories);
  const category =
    categories.length === 0 ? CATEGORY_NONE : categories.length === 1 ? registry.categories.intern(categories[0]!) : CATEGORY_SEVERAL;
  return { category, value: (id) => values.get(id) };
}
