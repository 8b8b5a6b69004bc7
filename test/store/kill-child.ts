// Child of the kill test: stores alerts one by one and in batches, and acknowledges each on standard output once it is stored.
import { writeSync } from "node:fs";
import { readAlert, Store, StoreSink } from "#store";
import { alertOf } from "./alert.ts";

const [path, first] = process.argv.slice(2) as [string, string];
const { store } = Store.open(path);
const sink = new StoreSink(store);
sink.subscribe(({ json }) => {
  writeSync(1, `${readAlert(json)?.id}\n`);
});
for (let number = Number(first); ; number += 4) {
  sink.take([alertOf(number)]);
  sink.take([alertOf(number + 1), alertOf(number + 2), alertOf(number + 3)]);
}
