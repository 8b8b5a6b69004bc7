// The public Linux rules, where the corpus is beside the repository.
import { existsSync, readFileSync } from "node:fs";
import type { QuerySource } from "../../src/eql/query.ts";

const CORPUS = `${import.meta.dir}/../../../shared/corpus/eql/elastic-linux-rules.jsonl`;

/** All rules as sources, unknown fields allowed; empty without the corpus. */
export function corpusSources(): readonly QuerySource[] {
  if (!existsSync(CORPUS)) return [];
  const lines = readFileSync(CORPUS, "utf8").trim().split("\n");
  return lines.map((line, index) => {
    const { query } = JSON.parse(line) as { query: string };
    return { id: `rule-${index}`, text: query, dialect: "default", exceptions: [], lenientFields: true };
  });
}
