// What the shipped rules need of the sensors, so that a rule which by oversight wants everything does not get in unseen.
import { expect, setDefaultTimeout, test } from "bun:test";
import { ALL_WORDS } from "#ebpf";
import { mergedDemand } from "#schema";
import { enabledRules, loadBook } from "../../src/cli/rule-book.ts";

setDefaultTimeout(60_000);

test("the shipped rules want programs, ends, written and watched files, changes and connections, nothing else", async () => {
  const request = { paths: [], uploaded: [], extraFields: [], backend: "wasm", words: ALL_WORDS, cacheDirectory: undefined } as const;
  const { entries, compiled } = await loadBook(request);
  const rules = enabledRules(entries);
  expect(rules.length).toBeGreaterThan(70);
  const actions = mergedDemand(compiled.demands).map(({ words }) => words[2]);
  const wanted = ["connection_attempted", "creation", "end", "exec", "link", "mode_change", "modification", "open", "owner_change"];
  expect(actions.toSorted()).toEqual([...wanted, "rename", "symlink"]);
  // Rules about logins, which no sensor sees, want nothing of them.
  const idle = rules.filter((_, index) => compiled.demands[index]?.length === 0).map(({ id }) => id);
  expect(idle.toSorted()).toEqual(["kestrel.new-account-logs-in", "kestrel.password-guessed", "kestrel.passwords-sprayed"]);
});
