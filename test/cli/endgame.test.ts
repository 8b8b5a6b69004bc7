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

/** Prints of many queries, one after another in one program: the ids of each. */
async function idsOfAll(
  argumentLists: readonly (readonly string[])[],
): Promise<{ readonly found: readonly number[][]; readonly stderr: string }> {
  const { stdout, stderr } = await runKestrel([join(import.meta.dir, "many-queries.ts")], {
    stdin: JSON.stringify(argumentLists),
    program: [process.execPath],
    cwd: ROOT,
  });
  const outputs = stdout.split(/^exit /m).slice(0, -1);
  // What stands before the first line break is the exit code of the query before.
  const found = outputs.map((text, index) => {
    const lines = index === 0 ? text : text.slice(text.indexOf("\n") + 1);
    return idsOf(lines.split("\n").filter((line) => line !== ""));
  });
  return { found, stderr };
}

/** Where a query over several events, or with pipes, must give something else in the default dialect: ids of the query, ids it gives. */
const DEFAULT_DIFFERS: Readonly<Record<string, readonly (readonly [id: number, ids: readonly number[]])[]>> = {
  "Equality: `==`, `!=`: case-sensitive, no wildcards": [
    [41, []],
    [104, []],
  ],
  "Sets: `in` (verbatim, no wildcards), case-sensitive": [
    [43, [34, 48]],
    [44, [3, 48]],
  ],
  "Strings order by code point": [[65, [92, 96, 95, 91]]],
  "Without `?` an unknown field is a compile error": [
    [5, []],
    [67, []],
    [68, []],
    [70, []],
  ],
  "Strings: `'…'` is Endgame's": [[165, []]],
  "Join: – (clear error)": [
    [106, []],
    [112, []],
    [113, []],
    [115, []],
  ],
  "Endgame computes join keys, Elasticsearch takes fields": [[91, []]],
  "Lineage asks for process.entity_id, which these events do not have": [
    [55, []],
    [123, []],
    [124, []],
    [128, []],
    [133, []],
  ],
};

test.skipIf(!present)("in the default dialect the same events come, but where EQL.md says otherwise", async () => {
  const cases = readJsonLines<Case>(QUERIES).filter(({ query }) => /\||\b(?:sequence|join|of)\b/.test(query));
  expect(cases.length).toBeGreaterThan(40);
  const spelled = cases.map(({ query }) => {
    const quoted = query.includes('"') ? query : query.replaceAll("'", '"');
    return quoted.replace(/(?<![=!<>]|maxspan)=(?!=)/g, "==");
  });
  const flags = FLAGS.filter((flag) => flag !== "--dialect" && flag !== "endgame");
  const { found } = await idsOfAll(spelled.map((query) => [query, EVENTS, ...flags]));
  const differs = new Map(Object.values(DEFAULT_DIFFERS).flat());
  expect(Object.fromEntries(cases.map(({ id }, index) => [id, found[index]]))).toEqual(
    Object.fromEntries(cases.map(({ id, expected_event_ids }) => [id, [...(differs.get(id) ?? expected_event_ids)]])),
  );
});

test.skipIf(!present)("every query gives exactly the expected events", async () => {
  const cases = readJsonLines<Case>(QUERIES);
  expect(cases.length).toBe(120);
  const { found, stderr } = await idsOfAll(cases.map((endgame) => argumentsOf(endgame)));
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
