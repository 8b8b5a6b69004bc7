// A sink that keeps records as plain objects and lets a test wait for one. Waiting ends with the record, or with the test's own time limit.
import type { RecordSink } from "#core";
import { RecordView } from "#event";
import type { FieldValue, SchemaRegistry } from "#schema";

type Fields = Readonly<Record<string, FieldValue>>;

/** See the head of this file. */
export class Collector implements RecordSink {
  readonly #registry: SchemaRegistry;
  readonly #records: Fields[] = [];
  /** Who waits for the records to be sent on. */
  #unsent: (() => void)[] = [];
  #waiting: { readonly wanted: (fields: Fields) => boolean; readonly resolve: (fields: Fields) => void }[] = [];

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
  }

  push(bytes: Uint8Array, offset: number): boolean {
    const view = new RecordView().reset(bytes, offset);
    const fields: Record<string, FieldValue> = {};
    for (let index = 0; index < view.fieldCount; index++) {
      fields[this.#registry.byId(view.idAt(index))?.name ?? "?"] = view.valueAt(index);
    }
    this.#records.push(fields);
    this.#waiting = this.#waiting.filter(({ wanted, resolve }) => {
      if (!wanted(fields)) return true;
      resolve(fields);
      return false;
    });
    return true;
  }

  async ready(): Promise<void> {}

  flush(): void {
    for (const resolve of this.#unsent.splice(0)) resolve();
  }

  /** Resolves when the source next says that no more comes for a while. */
  sent(): Promise<void> {
    return new Promise((resolve) => this.#unsent.push(resolve));
  }

  /** The first record that is wanted, now or later. */
  find(wanted: (fields: Fields) => boolean): Promise<Fields> {
    const here = this.#records.find(wanted);
    if (here !== undefined) return Promise.resolve(here);
    return new Promise((resolve) => this.#waiting.push({ wanted, resolve }));
  }

  /** All wanted records so far. */
  all(wanted: (fields: Fields) => boolean): readonly Fields[] {
    return this.#records.filter(wanted);
  }
}
