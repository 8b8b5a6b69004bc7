// All Endgame cases of the corpus (events, sequences, joins, lineage, pipes) through the query command, as a script would ask them.
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { CORPUS, ROOT, readJsonLines, runKestrel } from "./program.ts";

setDefaultTimeout(120_000);

interface Case {
  readonly id: number;
  readonly query: string;
  readonly expected_event_ids: readonly number[];
  readonly case_sensitive?: boolean;
}

const EVENTS = join(CORPUS, "endgame-events.jsonl");
const QUERIES = join(CORPUS, "endgame-queries.jsonl");
const present = existsSync(QUERIES);
if (!present) console.log("skipped: Endgame queries on the command line (no ../shared/corpus)");

const FLAGS = ["--dialect", "endgame", "--category", "event_type", "--timestamp", "timestamp", "--id", "serial_event_id", "--json"];
/** Whole programs started beside the one that runs all queries: the two must agree. */
const SAMPLE = 3;

/** A few cases say that their engine was told to heed case. */
function argumentsOf({ query, case_sensitive }: Case): string[] {
  return [query, EVENTS, ...FLAGS, ...(case_sensitive === true ? ["--case-sensitive"] : [])];
}

function idsOf(lines: readonly string[]): number[] {
  return lines.flatMap((line) => (JSON.parse(line) as { events: number[] }).events);
}

test.skipIf(!present)("every query gives exactly the expected events", async () => {
  const cases = readJsonLines<Case>(QUERIES);
  expect(cases.length).toBe(120);
  const { stdout, stderr } = await runKestrel([join(import.meta.dir, "many-queries.ts")], {
    stdin: JSON.stringify(cases.map((endgame) => argumentsOf(endgame))),
    program: [process.execPath],
    cwd: ROOT,
  });
  const outputs = stdout.split(/^exit /m).slice(0, -1);
  const found = outputs.map((text, index) =>
    // What stands before the first line break is the exit code of the query before.
    idsOf((index === 0 ? text : text.slice(text.indexOf("\n") + 1)).split("\n").filter((line) => line !== "")),
  );
  const wrong = cases.flatMap(({ id, query, expected_event_ids }, index) =>
    JSON.stringify(found[index]) === JSON.stringify(expected_event_ids)
      ? []
      : [`${id}: ${query}: ${found[index]} not ${expected_event_ids}`],
  );
  expect(wrong, stderr).toEqual([]);
  console.log(`Endgame queries on the command line: ${cases.length} exact`);

  for (let number = 0; number < SAMPLE; number++) {
    const one = cases[Math.floor(((number + 0.5) * cases.length) / SAMPLE)] as Case;
    const { query, expected_event_ids } = one;
    const alone = await runKestrel(["query", ...argumentsOf(one)]);
    expect({ query, code: alone.code, ids: idsOf(alone.lines) }).toEqual({ query, code: 0, ids: [...expected_event_ids] });
  }
});
