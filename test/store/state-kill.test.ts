// After SIGKILL at any moment alerts, state and position are of one commit, and no acknowledged commit is missing.
import { expect, test } from "bun:test";
import { Store } from "#store";
import { temp } from "./fixture.ts";

const KILLS = 20;
const CHILD = Bun.fileURLToPath(import.meta.resolve("./state-kill-child.ts"));

test(`${KILLS} kills in the middle of commits: alerts and state stay together`, async () => {
  using dir = temp();
  let commits = 0;
  for (let round = 0; round < KILLS; round++) {
    const child = Bun.spawn([process.execPath, CHILD, dir.database], { stdout: "pipe", stderr: "inherit" });
    // Acknowledgements and marks inside commits alike.
    const killAt = 1 + Math.floor(Math.random() * 50);
    let seen = 0;
    let text = "";
    for await (const bytes of child.stdout) {
      text += Buffer.from(bytes).toString("latin1");
      const lines = text.split("\n");
      text = lines.pop()!;
      seen += lines.length;
      commits = Number(lines.findLast((line) => line !== "half") ?? commits);
      if (seen >= killAt) child.kill("SIGKILL");
    }
    await child.exited;
    const { store, setAside } = Store.open(dir.database);
    expect(setAside).toBeUndefined();
    expect(store.alertCount).toBeGreaterThanOrEqual(commits);
    commits = store.alertCount;
    const state = store.loadState();
    if (commits === 0) {
      expect(state).toBeUndefined();
      store.close();
      continue;
    }
    if (state?.kind !== "saved") throw new Error(`No state: ${JSON.stringify(state)}`);
    expect(state.position).toBe(String(commits));
    const numbers = Array.from(state.rows, ({ value }) => Buffer.from(value).readUInt32LE());
    expect(numbers.length).toBeGreaterThan(200);
    expect(numbers.filter((number) => number !== commits)).toEqual([]);
    store.close();
  }
  expect(commits).toBeGreaterThan(KILLS);
});
