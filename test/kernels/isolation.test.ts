// Isolation at the root of all control groups, under every kernel that was fetched: only in emulated machines, never here.
import { expect, test } from "bun:test";
import { PROGRAM } from "../cli/program.ts";
import { checkNames, judgeChecks } from "./checks.ts";
import { missingTool } from "./initramfs.ts";
import { makeIsolationImage, noWire } from "./isolation.ts";
import { ALL_KERNELS, boot, fetchedRelease } from "./machine.ts";

const GOOD = `${checkNames("isolation")
  .map((name) => `@@ check ${name} ok`)
  .join("\n")}\n@@ done 30\n`;

test("a good transcript has no failure, and each fault of one has", () => {
  expect(checkNames("isolation").length).toBeGreaterThan(15);
  expect(judgeChecks("isolation", GOOD).failures).toEqual([]);
  expect(judgeChecks("isolation", GOOD.replace("@@ check cut ok", "@@ check cut failed: word")).failures).toEqual(["cut failed: word"]);
  expect(judgeChecks("isolation", GOOD.replace("@@ check cut ok\n", "")).failures).toEqual(["cut was not done"]);
  expect(judgeChecks("isolation", GOOD.replace(/@@ done.*\n/, "@@ log why\n")).failures).toEqual([
    "the machine did not come to its end: why",
  ]);
});

/** Each cut is waited for, and the agent starts twice. */
const DEADLINE_MS = 600_000;

const reason = missingTool() ?? (PROGRAM.length > 1 ? "dist/kestrel is older than the sources" : undefined);

for (const kernel of ALL_KERNELS) {
  const release = fetchedRelease(kernel);
  if (release === undefined) continue;
  const skipped = reason ?? noWire(kernel);
  if (skipped !== undefined) console.log(`skipped: isolation of a machine under Linux ${kernel.series} (${skipped})`);
  test.skipIf(skipped !== undefined)(
    `Linux ${kernel.series}: the whole machine is isolated, over the agent's death`,
    async () => {
      const { results, console: words, seconds } = await boot(kernel, makeIsolationImage(kernel), DEADLINE_MS);
      const { passed, failures } = judgeChecks("isolation", results);
      console.log(`isolation under ${release}: ${passed.length} checks passed in ${seconds.toFixed(0)} s`);
      if (failures.length > 0) console.log(words);
      expect(failures).toEqual([]);
    },
    DEADLINE_MS + 30_000,
  );
}
