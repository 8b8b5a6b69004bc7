// Runs pipes over results in their order. What can be passed on at once is; sort, tail and counts keep what they need until the end, within a
// bound. The caller's results stay its own: a pipeline reads their events and hands the items back.
import type { Expression, FieldReader, FieldValue, Scalar } from "#schema";
import { unreachable } from "./ast.ts";
import { foldText } from "./case-folding.ts";
import { compileExpression, type ExpressionEvaluator, type ExpressionScope } from "./expression.ts";
import { compareText } from "./fast-text.ts";
import type { ValueNode } from "./ir.ts";
import { COLUMN_IDS, KEY_COLUMN_IDS, KEY_TYPES, type LoweredPipe, type Pipes } from "./lower-pipes.ts";

/** Most results or distinct keys that one pipe keeps. */
export const PIPE_KEPT_MAX = 1_000_000;

/** A pipe had to keep more than {@link PIPE_KEPT_MAX} results or keys. */
export class PipeLimitError extends Error {
  readonly code = "pipe-limit";
  override readonly name = "PipeLimitError";

  constructor(pipe: string) {
    super(`| ${pipe} would keep more than ${PIPE_KEPT_MAX} results, put a head or a filter before it`);
  }
}

/** A key in a row: one value, several of a field with several, null, or one of these for each part. */
export type PipeKey = Scalar | null | readonly PipeKey[];

/** What comes out: a result as it went in, with figures when unique_count added some, or a row of `count`. */
export type PipeOutput<T> =
  | { readonly kind: "result"; readonly item: T; readonly count: number | undefined; readonly percent: number | undefined }
  | { readonly kind: "row"; readonly count: number; readonly percent: number | undefined; readonly key: PipeKey };

/** Pipes at work. Results go in with {@link push} in their order, then once {@link finish}. Either may throw PipeLimitError or EvaluationLimitError. */
export interface Pipeline<T> {
  /** Nothing that is pushed from now on changes the output: reading can stop. */
  readonly ended: boolean;
  /** Events are read after push has returned: the readers must stay as they are until finish. */
  readonly keepsEvents: boolean;
  /** One result: its events in their places, undefined for a missing one. Answers with what comes out now. */
  push(item: T, events: readonly (FieldReader | undefined)[]): readonly PipeOutput<T>[];
  /** No more results. Answers with the rest of the output. */
  finish(): readonly PipeOutput<T>[];
}

/** Makes a pipeline. Without pipes results pass through. */
export function createPipeline<T>({ pipes, folded }: Pipes): Pipeline<T> {
  const stages = pipes.map((pipe): Stage<T> => stageOf(pipe, folded));
  const out: PipeOutput<T>[] = [];
  const emitters: Emit<T>[] = [];
  for (let index = stages.length; index >= 0; index--) {
    emitters[index] =
      index === stages.length ? (entry) => void out.push(outputOf(entry)) : (entry) => stages[index]!.push(entry, emitters[index + 1]!);
  }
  const taken = (): readonly PipeOutput<T>[] => out.splice(0);
  return {
    get ended() {
      return stages.some((stage) => stage.ended);
    },
    keepsEvents: pipes.some(({ kind }) => kind === "sort" || kind === "tail" || kind === "unique_count"),
    push(item, events) {
      emitters[0]!({ item: { item }, event: firstOf(events), events, columns: NO_COLUMNS, row: undefined });
      return taken();
    },
    finish() {
      for (const [index, stage] of stages.entries()) stage.finish(emitters[index + 1]!);
      return taken();
    },
  };
}

/** Makes a plan's filter: whether a whole match, its events in their places, passes. May throw EvaluationLimitError. */
export function compileMatchFilter(filter: Expression): (events: readonly (FieldReader | undefined)[]) => boolean {
  const condition = compileExpression(filter);
  return (events) => condition.truth(scopeOf({ event: firstOf(events), events, columns: NO_COLUMNS })) === true;
}

/** The event that a plain field of a pipe belongs to: the first that is there. */
function firstOf(events: readonly (FieldReader | undefined)[]): FieldReader {
  return events.find((event) => event !== undefined) ?? NO_EVENT;
}

const NO_EVENT: FieldReader = { category: 0, value: () => undefined };
const NO_COLUMNS: ReadonlyMap<number, FieldValue> = new Map();

/** What travels between pipes. */
interface Entry<T> {
  /** Undefined for a row of `count`. */
  readonly item: { readonly item: T } | undefined;
  readonly event: FieldReader;
  readonly events: readonly (FieldReader | undefined)[];
  readonly columns: ReadonlyMap<number, FieldValue>;
  readonly row: Extract<PipeOutput<T>, { readonly kind: "row" }> | undefined;
}

type Emit<T> = (entry: Entry<T>) => void;

interface Stage<T> {
  readonly ended: boolean;
  push(entry: Entry<T>, emit: Emit<T>): void;
  finish(emit: Emit<T>): void;
}

function outputOf<T>({ item, columns, row }: Entry<T>): PipeOutput<T> {
  if (row !== undefined) return row;
  const count = columns.get(COLUMN_IDS.count);
  const percent = columns.get(COLUMN_IDS.percent);
  return {
    kind: "result",
    item: item!.item,
    count: count === undefined ? undefined : Number(count),
    percent: percent === undefined ? undefined : Number(percent),
  };
}

function scopeOf({ event, events, columns }: Pick<Entry<unknown>, "event" | "events" | "columns">): ExpressionScope {
  const first: FieldReader =
    columns.size === 0 ? event : { category: event.category, value: (id) => (id < 0 ? columns.get(id) : event.value(id)) };
  return { event: first, earlier: (place) => events[place], lineage: () => null };
}

function stageOf<T>(pipe: LoweredPipe, folded: boolean): Stage<T> {
  switch (pipe.kind) {
    case "head":
      return new HeadStage(pipe.count);
    case "tail":
      return new TailStage(pipe.count);
    case "filter": {
      const condition = compileExpression({ node: pipe.condition });
      return passing((entry) => condition.truth(scopeOf(entry)) === true);
    }
    case "sort":
      return new SortStage(new KeyReader(pipe.keys, folded));
    case "unique": {
      const keys = new KeyReader(pipe.keys, folded);
      const seen = new Set<string>();
      return passing((entry) => {
        const before = seen.size;
        seen.add(textOf(keys.read(entry)));
        if (seen.size > PIPE_KEPT_MAX) throw new PipeLimitError("unique");
        return seen.size > before;
      });
    }
    case "count":
      return new CountStage(new KeyReader(pipe.keys, folded), pipe.keys);
    case "unique_count":
      return new UniqueCountStage(new KeyReader(pipe.keys, folded));
    default:
      return unreachable(pipe);
  }
}

function passing<T>(test: (entry: Entry<T>) => boolean): Stage<T> {
  return { ended: false, push: (entry, emit) => (test(entry) ? emit(entry) : undefined), finish: () => undefined };
}

class HeadStage<T> implements Stage<T> {
  #left: number;

  constructor(count: number) {
    this.#left = count;
  }

  get ended(): boolean {
    return this.#left === 0;
  }

  push(entry: Entry<T>, emit: Emit<T>): void {
    if (this.#left === 0) return;
    this.#left--;
    emit(entry);
  }

  finish(): void {}
}

class TailStage<T> implements Stage<T> {
  readonly #count: number;
  readonly #kept: Entry<T>[] = [];
  /** Where the oldest is, once all places are taken. */
  #oldest = 0;

  constructor(count: number) {
    this.#count = count;
  }

  /** `tail 0` lets nothing out. */
  get ended(): boolean {
    return this.#count === 0;
  }

  push(entry: Entry<T>): void {
    if (this.#kept.length < this.#count) {
      if (this.#kept.length >= PIPE_KEPT_MAX) throw new PipeLimitError("tail");
      this.#kept.push(entry);
    } else if (this.#count > 0) {
      this.#kept[this.#oldest] = entry;
      this.#oldest = (this.#oldest + 1) % this.#count;
    }
  }

  finish(emit: Emit<T>): void {
    for (let index = 0; index < this.#kept.length; index++) emit(this.#kept[(this.#oldest + index) % this.#kept.length]!);
  }
}

class SortStage<T> implements Stage<T> {
  readonly ended = false;
  readonly #keys: KeyReader;
  readonly #kept: { readonly entry: Entry<T>; readonly key: Key }[] = [];

  constructor(keys: KeyReader) {
    this.#keys = keys;
  }

  push(entry: Entry<T>): void {
    if (this.#kept.length >= PIPE_KEPT_MAX) throw new PipeLimitError("sort");
    this.#kept.push({ entry, key: this.#keys.read(entry).compared });
  }

  finish(emit: Emit<T>): void {
    this.#kept.sort((a, b) => compareKeys(a.key, b.key));
    for (const { entry } of this.#kept) emit(entry);
  }
}

/** A distinct key and how often it came. */
interface Group<T> {
  readonly first: Entry<T>;
  readonly key: ReadKey;
  count: number;
}

class Groups<T> {
  readonly #groups = new Map<string, Group<T>>();
  readonly #keys: KeyReader;
  readonly #pipe: string;
  total = 0;

  constructor(keys: KeyReader, pipe: string) {
    this.#keys = keys;
    this.#pipe = pipe;
  }

  add(entry: Entry<T>): void {
    this.total++;
    const key = this.#keys.read(entry);
    const text = textOf(key);
    const known = this.#groups.get(text);
    if (known !== undefined) known.count++;
    else if (this.#groups.size >= PIPE_KEPT_MAX) throw new PipeLimitError(this.#pipe);
    else this.#groups.set(text, { first: entry, key, count: 1 });
  }

  list(): Group<T>[] {
    return [...this.#groups.values()];
  }
}

class CountStage<T> implements Stage<T> {
  readonly ended = false;
  readonly #groups: Groups<T>;
  readonly #nodes: readonly ValueNode[];

  constructor(keys: KeyReader, nodes: readonly ValueNode[]) {
    this.#groups = new Groups(keys, "count");
    this.#nodes = nodes;
  }

  push(entry: Entry<T>): void {
    this.#groups.add(entry);
  }

  finish(emit: Emit<T>): void {
    const { total } = this.#groups;
    if (this.#nodes.length === 0) {
      emit(this.#row({ count: total, percent: undefined, key: "totals" }, "totals"));
      return;
    }
    const groups = this.#groups.list().sort((a, b) => a.count - b.count || compareKeys(a.key.compared, b.key.compared));
    for (const { key, count } of groups) {
      const parts = key.shown.map((part): PipeKey => (part.length > 1 ? part : (part[0] ?? null)));
      const texts = key.shown.flatMap((part) => part.map(String));
      const asText = parts.length > 1 || KEY_TYPES[this.#nodes[0]!.type] === "keyword";
      const column = fieldValue(asText ? texts : key.shown[0]!);
      emit(this.#row({ count, percent: count / total, key: parts.length === 1 ? parts[0]! : parts }, column));
    }
  }

  #row(row: { count: number; percent: number | undefined; key: PipeKey }, key: FieldValue | undefined): Entry<T> {
    const [only, second] = this.#nodes;
    const type = second !== undefined ? "keyword[]" : only === undefined ? "keyword" : KEY_TYPES[only.type];
    const columns = new Map<number, FieldValue>([[COLUMN_IDS.count, BigInt(row.count)]]);
    if (row.percent !== undefined) columns.set(COLUMN_IDS.percent, row.percent);
    if (key !== undefined) columns.set(KEY_COLUMN_IDS[type], key);
    return { item: undefined, event: NO_EVENT, events: [], columns, row: { kind: "row", ...row } };
  }
}

function fieldValue(list: readonly Scalar[]): FieldValue | undefined {
  return list.length > 1 ? list : list[0];
}

class UniqueCountStage<T> implements Stage<T> {
  readonly ended = false;
  readonly #groups: Groups<T>;

  constructor(keys: KeyReader) {
    this.#groups = new Groups(keys, "unique_count");
  }

  push(entry: Entry<T>): void {
    this.#groups.add(entry);
  }

  finish(emit: Emit<T>): void {
    const { total } = this.#groups;
    // The order of the map is that of first appearance, and sorting is stable.
    for (const { first, count } of this.#groups.list().sort((a, b) => a.count - b.count)) {
      const figures: [number, FieldValue][] = [
        [COLUMN_IDS.count, BigInt(count)],
        [COLUMN_IDS.percent, count / total],
      ];
      const row = first.row === undefined ? undefined : { ...first.row, count, percent: count / total };
      emit({ ...first, row, columns: new Map([...first.columns, ...figures]) });
    }
  }
}

/** The elements of each part of a key; none is null. */
type Key = readonly (readonly Scalar[])[];

/** A key as it is shown and as it is compared: folded when the dialect ignores case. */
interface ReadKey {
  readonly shown: Key;
  readonly compared: Key;
}

class KeyReader {
  readonly #evaluators: readonly ExpressionEvaluator[];
  readonly #folded: boolean;

  constructor(keys: readonly ValueNode[], folded: boolean) {
    this.#evaluators = keys.map((node) => compileExpression({ node }));
    this.#folded = folded;
  }

  read<T>(entry: Entry<T>): ReadKey {
    const scope = scopeOf(entry);
    const shown = this.#evaluators.map((evaluator) => evaluator.values(scope));
    if (!this.#folded) return { shown, compared: shown };
    const fold = (value: Scalar): Scalar => (typeof value === "string" ? foldText(value) : value);
    return { shown, compared: shown.map((part) => part.map(fold)) };
  }
}

/** A key as text: equal for equal keys, different for different ones. */
function textOf({ compared }: ReadKey): string {
  return JSON.stringify(compared.map((part) => part.map(elementText)));
}

function elementText(value: Scalar): string {
  // 7 and 7.0 are one number; no text begins like a number's.
  if (typeof value === "string") return `"${value}`;
  return typeof value === "number" && Number.isInteger(value) ? String(BigInt(value)) : String(value);
}

/** Part by part, element by element; a part without elements comes first. */
function compareKeys(left: Key, right: Key): number {
  for (const [index, part] of left.entries()) {
    const other = right[index]!;
    for (let at = 0; at < part.length && at < other.length; at++) {
      const order = compareScalars(part[at]!, other[at]!);
      if (order !== 0) return order;
    }
    if (part.length !== other.length) return part.length - other.length;
  }
  return 0;
}

function compareScalars(left: Scalar, right: Scalar): number {
  if (typeof left === "string" || typeof right === "string") return compareText(String(left), String(right));
  return left < right ? -1 : left > right ? 1 : 0;
}
