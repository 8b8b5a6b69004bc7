// Child of the kill test: each commit brings one alert, writes its number into every row of the state, and is then acknowledged. Marks on
// the way say that a commit is half done.
import { writeSync } from "node:fs";
import type { StateRow } from "#core";
import { Store } from "#store";
import { alertOf } from "./alert.ts";

const ROWS = 400;
// Large enough that a commit is many pages, and SQLite writes some of them before its end.
const VALUE_BYTES = 1500;

const [path] = process.argv.slice(2) as [string];
const { store } = Store.open(path);
for (let number = store.alertCount + 1; ; number++) {
  const rows = Array.from({ length: ROWS }, (_, index): StateRow => {
    const value = Buffer.alloc(VALUE_BYTES);
    value.writeUInt32LE(number);
    // A third of the rows go with every commit and come back with the next.
    return {
      owner: `rule.${index % 4}`,
      key: Buffer.from([index & 255, index >> 8]),
      get value() {
        if (index % 100 === 99) writeSync(1, "half\n");
        return index % 3 === number % 3 ? undefined : value;
      },
    };
  });
  store.commit([alertOf(number)], { cleared: number % 5 === 0 ? ["rule.0"] : [], rows }, String(number));
  writeSync(1, `${number}\n`);
}
