// An alert that was acknowledged is never missing after SIGKILL, and the database opens without being set aside.
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Store } from "#store";

const KILLS = 8;
const CHILD = Bun.fileURLToPath(import.meta.resolve("./kill-child.ts"));

test(`${KILLS} kills in the middle of writing lose nothing that was acknowledged`, async () => {
  const directory = mkdtempSync(join(tmpdir(), "kestrel-kill-"));
  const path = join(directory, "kestrel.db");
  const acknowledged: string[] = [];
  try {
    for (let round = 0; round < KILLS; round++) {
      const child = Bun.spawn([process.execPath, CHILD, path, String(round * 1_000_000)], {
        stdout: "pipe",
        stderr: "inherit",
      });
      // Killed after a random number of acknowledgements, so at a random moment of the next write.
      const killAt = acknowledged.length + 1 + Math.floor(Math.random() * 200);
      let text = "";
      for await (const bytes of child.stdout) {
        text += Buffer.from(bytes).toString("latin1");
        const lines = text.split("\n");
        text = lines.pop()!;
        acknowledged.push(...lines);
        if (acknowledged.length >= killAt) child.kill("SIGKILL");
      }
      await child.exited;
      const { store, setAside } = Store.open(path);
      expect(setAside).toBeUndefined();
      expect(acknowledged.filter((id) => store.get(id) === undefined)).toEqual([]);
      store.close();
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(KILLS);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
