// What the shipped rules need of the sensors, so that a rule which by oversight wants everything does not get in unseen.
import { expect, setDefaultTimeout, test } from "bun:test";
import { ALL_WORDS } from "#ebpf";
import { mergedDemand, passesTests } from "#schema";
import { enabledRules, loadBook } from "../../src/cli/rule-book.ts";

setDefaultTimeout(60_000);
/** Kinds of events of one rule: those of a program, and all ways to make or change a file. */
const KINDS_MAX = ALL_WORDS.length / 3;

test("a shipped rule names what it is about: no one wants most of what sensors see", async () => {
  const request = { paths: [], uploaded: [], extraFields: [], backend: "wasm", words: ALL_WORDS, cacheDirectory: undefined } as const;
  const { entries, compiled } = await loadBook(request);
  const rules = enabledRules(entries);
  expect(rules.length).toBeGreaterThan(70);
  const wanted = rules.map(({ id }, index) => ({ id, actions: compiled.demands[index]?.map(({ words }) => words[2]) ?? [] }));
  expect(wanted.filter(({ actions }) => actions.length > KINDS_MAX)).toEqual([]);
  expect(wanted.filter(({ actions }) => actions.includes("exec")).length).toBeGreaterThan(40);
  // A record of every fork would be a third of all that programs cause.
  expect(wanted.filter(({ actions }) => actions.includes("fork"))).toEqual([]);
  // Most connections of a machine are to itself.
  const connections = mergedDemand(compiled.demands).find(({ words }) => words[2] === "connection_attempted");
  const loopback = { path: undefined, user: "0", port: "443", address: "00000000000000000000ffff7f000001", group: undefined };
  expect(passesTests(connections?.tests, loopback)).toBe(false);
  expect(passesTests(connections?.tests, { ...loopback, address: "00000000000000000000ffff08080808" })).toBe(true);
  // Rules about logins, which no sensor sees, want nothing of them.
  expect(wanted.filter(({ actions }) => actions.length === 0).map(({ id }) => id)).toContain("kestrel.password-guessed");
});
