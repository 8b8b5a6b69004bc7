// Where the public corpus is, and how to skip what needs it: it is not part of the project.
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const FOLDER = fileURLToPath(new URL("../../../shared/corpus/eql/", import.meta.url));

/** Whether the corpus is there; says so once when it is not. */
export const HAS_CORPUS: boolean = existsSync(FOLDER);
if (!HAS_CORPUS) console.log("Skipped: corpus tests, because ../shared/corpus/eql does not exist");

/** Text of a corpus file. */
export function corpusText(name: string): string {
  return readFileSync(`${FOLDER}${name}`, "utf8");
}

/** Values of a JSON-lines corpus file. */
export function corpusLines<T>(name: string): readonly T[] {
  return corpusText(name)
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as T);
}
