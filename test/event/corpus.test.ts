// Real logs of other systems: every event comes back as it was, flat or nested, known or unknown.
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { encodeJson, JsonDecoder, parseJson, RecordView, readLines, validateRecord } from "#event";
import { SchemaRegistry } from "#schema";

const CORPUS = join(import.meta.dir, "../../../shared/corpus");
const FILES = ["eql/endgame-events.jsonl", "sigma/art_linux_proc.jsonl", "sigma/regression_win.jsonl"];
const LINES_MAX = 2000;

for (const name of FILES) {
  const path = join(CORPUS, name);
  const present = existsSync(path);
  if (!present) console.log(`skipped: ${name} is not beside this checkout`);
  test.skipIf(!present)(`identity of ${name}`, async () => {
    const registry = new SchemaRegistry();
    const decoder = new JsonDecoder(registry);
    const view = new RecordView();
    let count = 0;
    for await (const { line, number } of readLines(path)) {
      if (count === LINES_MAX) break;
      const size = decoder.decode(line);
      if (typeof size !== "number") throw new Error(`line ${number}: ${size.message}`);
      expect(validateRecord(decoder.builder.bytes, 0, size)).toBeUndefined();
      const parsed = parseJson(line);
      const back: unknown = encodeJson(view.reset(decoder.builder.bytes, 0), registry);
      if ("problem" in parsed) throw new Error(parsed.problem);
      expect(back).toEqual(parsed.value);
      count++;
    }
    expect(count).toBeGreaterThan(10);
  });
}
