// The exec gate on every mount of a machine, under Linux 6.1: only in an emulated one, never here.
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROGRAM } from "../cli/program.ts";
import { checkNames, judgeChecks, makeCheckImage } from "./checks.ts";
import { missingTool } from "./initramfs.ts";
import { ALL_KERNELS, boot, fetchedRelease } from "./machine.ts";

/** The agent starts twice, and a deadline passes twice. */
const DEADLINE_MS = 600_000;

/** Rules that ask for the parent are for the gate, whatever the kernel can decide itself. */
const RULES: readonly (readonly [id: string, condition: string])[] = [
  ["denied", 'process.executable : "*/denied/busybox"'],
  ["denied-script", 'process.Ext.script == "/tmp/script"'],
];

const kernel = ALL_KERNELS.find(({ series }) => series === "6.1")!;
const release = fetchedRelease(kernel);
const reason =
  missingTool() ??
  (PROGRAM.length > 1 ? "dist/kestrel is older than the sources" : undefined) ??
  (release === undefined ? "not fetched: scripts/fetch-kernel.sh says why" : undefined);
if (reason !== undefined) console.log(`skipped: every mount at the gate under Linux 6.1 (${reason})`);

function writeRules(tree: string): void {
  const rules = RULES.map(([id, condition]) => ({
    ...{ id, action: "deny", mode: "enforce" },
    query: `process where event.action == "exec" and ${condition} and process.parent.executable == "/bin/busybox"`,
  }));
  writeFileSync(join(tree, "rules", "gate.json"), JSON.stringify(rules));
}

test.skipIf(reason !== undefined)(
  "Linux 6.1: programs of every mount are held, and nothing hangs",
  async () => {
    expect(checkNames("gate").length).toBeGreaterThan(20);
    const { results, console: words, seconds } = await boot(kernel, makeCheckImage("gate", writeRules), DEADLINE_MS);
    const { passed, failures } = judgeChecks("gate", results);
    console.log(`the gate under ${release}: ${passed.length} checks passed in ${seconds.toFixed(0)} s`);
    if (failures.length > 0) console.log(words);
    expect(failures).toEqual([]);
  },
  DEADLINE_MS + 30_000,
);
