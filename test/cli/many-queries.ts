// Child of the Endgame test: runs the query command once for each argument list of standard input, in one process. Between two runs it
// writes a line that no query prints.
import { writeSync } from "node:fs";
import { query } from "../../src/cli/query.ts";

for (const argv of JSON.parse(await Bun.stdin.text()) as string[][]) {
  const code = await query(argv);
  writeSync(1, `exit ${code}\n`);
}
