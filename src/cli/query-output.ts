// Results of `kestrel query` through its pipes to lines: the line an event came from, unchanged, or one value of it. Records without a line, of
// `.klog` files and of queries over several events, are encoded.
import { type Json, stringifyJson } from "#core";
import { createPipeline, type PipeOutput, type Pipes } from "#eql";
import { encodeJson, type JsonObject, type JsonValue, parseJson, RecordView } from "#event";
import type { SchemaRegistry } from "#schema";
import { valuesAt } from "./infer-schema.ts";
import type { LineWriter } from "./output.ts";

/** How results are printed. */
export interface OutputOptions {
  readonly registry: SchemaRegistry;
  /** Only the values of this field. */
  readonly idField: string | undefined;
  readonly json: boolean;
  readonly writer: LineWriter;
}

/** One event of a result; undefined stands for one that must not be. */
interface ResultEvent {
  readonly view: RecordView;
  readonly line: Uint8Array | undefined;
}

type Result = readonly (ResultEvent | undefined)[];
type Figures = Readonly<Record<string, Json>>;

/** See the head of this file. */
export class QueryOutput {
  readonly #options: OutputOptions;
  readonly #pipeline: ReturnType<typeof createPipeline<Result>>;

  constructor(pipes: Pipes, options: OutputOptions) {
    this.#options = options;
    this.#pipeline = createPipeline<Result>(pipes);
  }

  /** Nothing more will be printed whatever comes. */
  get ended(): boolean {
    return this.#pipeline.ended;
  }

  /** A matching event. The view may be used again afterwards. */
  event(view: RecordView, line: Uint8Array | undefined): void {
    if (this.ended) return;
    const kept = this.#pipeline.keepsEvents ? new RecordView().reset(view.copy(), 0) : view;
    this.#print(this.#pipeline.push([{ view: kept, line }], [kept]));
  }

  /** A result of several events. */
  events(records: readonly (Uint8Array | undefined)[]): void {
    if (this.ended) return;
    const result = records.map((bytes) => (bytes === undefined ? undefined : { view: new RecordView().reset(bytes, 0), line: undefined }));
    this.#print(
      this.#pipeline.push(
        result,
        result.map((event) => event?.view),
      ),
    );
  }

  /** There are no more. */
  finish(): void {
    this.#print(this.#pipeline.finish());
  }

  #print(outputs: readonly PipeOutput<Result>[]): void {
    const { json, writer } = this.#options;
    for (const output of outputs) {
      const texts = this.#textsOf(output);
      if (json) writer.line(`{"events":[${texts.join()}]}`);
      else for (const text of texts) writer.line(text);
    }
  }

  #textsOf(output: PipeOutput<Result>): readonly string[] {
    const { count, percent } = output;
    const share: Figures = percent === undefined ? {} : { percent };
    if (output.kind === "row") return [this.#rowText({ count: BigInt(output.count), ...share, key: output.key })];
    if (count === undefined) return output.item.map((event) => this.#eventText(event));
    const figures = { count: BigInt(count), ...share };
    return output.item.map((event, index) => (index === 0 ? this.#countedText(event, figures) : this.#eventText(event)));
  }

  // A row is no event: asked for another field than its own, it says what it has.
  #rowText(row: Figures): string {
    const { idField } = this.#options;
    return stringifyJson(idField !== undefined && Object.hasOwn(row, idField) ? (row[idField] as Json) : row);
  }

  // The figures stand beside the event's own fields.
  #countedText(event: ResultEvent | undefined, figures: Figures): string {
    const { idField } = this.#options;
    if (idField !== undefined) return Object.hasOwn(figures, idField) ? this.#rowText(figures) : this.#eventText(event);
    return stringifyJson({ ...(event === undefined ? {} : this.#objectOf(event)), ...figures });
  }

  #eventText(event: ResultEvent | undefined): string {
    if (event === undefined) return "null";
    const { registry, idField } = this.#options;
    if (idField !== undefined) return stringifyJson(fieldValue(this.#objectOf(event), idField));
    return event.line === undefined ? stringifyJson(encodeJson(event.view, registry)) : textOf(event.line);
  }

  #objectOf({ view, line }: ResultEvent): JsonObject {
    const parsed = line === undefined ? { value: encodeJson(view, this.#options.registry) } : parseJson(textOf(line));
    return "value" in parsed ? (parsed.value as JsonObject) : {};
  }
}

/** The value of a field as the event has it; a list of them where lists of objects lie on the way; null when it has none. */
function fieldValue(event: JsonObject, field: string): JsonValue {
  const found = valuesAt(event, field.split("."));
  return found.length > 1 ? found : (found[0] ?? null);
}

function textOf(line: Uint8Array): string {
  return new TextDecoder().decode(line).trim();
}
