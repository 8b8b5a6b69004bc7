// The 25 public sequence scenarios, exact. The file is read beside the repository; without it the tests are skipped.
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { planOf, runOf, type TestEvent } from "./fixture.ts";

const FILE = `${import.meta.dir}/../../../shared/corpus/eql/sequences.series-spec`;

interface Scenario {
  readonly name: string;
  readonly stages: readonly string[];
  readonly expected: readonly string[];
}

function scenarios(): readonly Scenario[] {
  const lines = readFileSync(FILE, "utf8")
    .split("\n")
    .filter((line) => !line.startsWith("//"));
  const found: Scenario[] = [];
  for (let at = 0; at < lines.length; ) {
    const name = (lines[at++] ?? "").trim();
    if (name === "") continue;
    const stages: string[] = [];
    while (lines[at] !== ";") stages.push(lines[at++] as string);
    at++;
    const expected: string[] = [];
    while (lines[at] !== ";") expected.push((lines[at++] as string).trim());
    at++;
    found.push({ name, stages, expected });
  }
  return found;
}

/** Events in time order; an event of row N meets predicate N. A padding event meets none. */
function streamOf(stages: readonly string[]): readonly (TestEvent & { readonly text: string })[] {
  return stages
    .flatMap((line, stage) =>
      [...line.matchAll(/(?:(\w)\|)?([A-Z])(\d+)/g)].map(([, key, letter, time]) => ({
        letters: letter === "X" ? "x" : String.fromCharCode(97 + stage),
        time: Number(time),
        keys: [[key ?? "none"]],
        text: `${letter}${time}`,
      })),
    )
    .sort((first, second) => first.time - second.time);
}

if (!existsSync(FILE)) {
  console.log(`skipped: series-spec (${FILE} is not there)`);
} else {
  const all = scenarios();
  test("there are 25 scenarios", () => expect(all.length).toBe(25));
  describe("series-spec", () => {
    for (const { name, stages, expected } of all) {
      test(name, () => {
        const events = streamOf(stages);
        const plan = planOf(`sequence by 0 ${stages.map((_, stage) => `[${String.fromCharCode(97 + stage)}]`).join(" ")}`);
        const texts = new Map(events.map((event) => [`${event.letters}${event.time}`, event.text]));
        const results = runOf(plan, events).map((result) =>
          result
            .split(" ")
            .map((word) => texts.get(word))
            .join(" "),
        );
        expect(results).toEqual(expected.map((line) => line.replace(/\w\|/g, "")));
      });
    }
  });
}
