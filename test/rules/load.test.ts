// Files, folders and globs: what is read, in which order, and that one broken file never keeps the others from loading.
import { expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { loadRules, RULE_FILE_BYTES_MAX, RULE_WASM_BYTES_MAX } from "#rules";

const WASM = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** A folder with these files that goes away with the test. */
function folderOf(files: Readonly<Record<string, string | Uint8Array>>): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "kestrel-rules-"));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), content);
  }
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const rule = (id: string): string => `id: ${id}\nquery: process where true\n`;

test("a folder is read to its depths, sorted, without dot files and what holds no rules", async () => {
  using folder = folderOf({
    "b.yaml": rule("b"),
    "a/z.yml": rule("z"),
    "a/c.json": JSON.stringify({ id: "c", query: "process where true" }),
    "a/settings.json": '{"level": 3}',
    "list.jsonl": '\n{"id": "l1", "query": "process where true"}\n',
    "recording.jsonl": '{"event": {"category": ["process"]}}\n',
    "pack.toml": '[rule]\nid = "t"\nquery = "process where true"\n',
    "tool.toml": "[tool]\nx = 1\n",
    "e.eql": "process where true",
    ".hidden.yaml": rule("hidden"),
    ".git/x.yaml": rule("git"),
    "README.md": "# no rule",
  });
  symlinkSync("a", join(folder.path, "loop"));
  const { rules, files, problems } = await loadRules([folder.path]);
  expect(problems).toEqual([]);
  expect(rules.map(({ id }) => id)).toEqual(["c", "z", "b", "e", "l1", "t"]);
  expect(files.map(({ path, format, ruleCount }) => [relative(folder.path, path), format, ruleCount])).toEqual([
    ["a/c.json", "json", 1],
    ["a/z.yml", "yaml", 1],
    ["b.yaml", "yaml", 1],
    ["e.eql", "eql", 1],
    ["list.jsonl", "jsonl", 1],
    ["pack.toml", "toml", 1],
  ]);
});

test("globs, and a file named twice is read once", async () => {
  using folder = folderOf({ "a/one.yaml": rule("one"), "b/two.yaml": rule("two"), "b/three.yml": rule("three"), "b/note.txt": "" });
  const ids = async (...paths: string[]): Promise<string[]> => (await loadRules(paths)).rules.map(({ id }) => id);
  expect(await ids(join(folder.path, "*/*.yaml"))).toEqual(["one", "two"]);
  expect(await ids(join(folder.path, "**/*.{yaml,yml}"))).toEqual(["one", "three", "two"]);
  expect(await ids(join(folder.path, "b/two.yaml"), folder.path)).toEqual(["two", "one", "three"]);
});

test("a folder without rules is a problem, once; one that was read already is none", async () => {
  using folder = folderOf({ "settings.json": '{"level": 3}', "notes/README.md": "# no rule", "good/one.yaml": rule("one") });
  const problems = async (...paths: string[]): Promise<string[]> =>
    (await loadRules(paths.map((path) => join(folder.path, path)))).problems.map(({ diagnostic }) => diagnostic.message);
  expect(await problems("notes")).toEqual([expect.stringContaining(`"${join(folder.path, "notes")}" holds no rules: `)]);
  rmSync(join(folder.path, "good"), { recursive: true });
  expect(await problems("", "notes")).toHaveLength(2);
  using whole = folderOf({ "a/one.yaml": rule("one") });
  expect((await loadRules([whole.path, join(whole.path, "a")])).problems).toEqual([]);
});

test("broken rules are reported with file and place, the others load", async () => {
  using folder = folderOf({
    "1-good.yaml": rule("good"),
    "2-syntax.yaml": "id: [\n",
    "3-query.yaml": "id: broken\nquery: process where\n",
    "4-latin1.yaml": Uint8Array.of(0x69, 0x64, 0x3a, 0x20, 0xe9),
    "5-json.json": '{"id": ',
    "6-again.yaml": rule("good"),
    "7-last.yaml": rule("last"),
  });
  const { rules, entries, problems } = await loadRules([folder.path]);
  expect(rules.map(({ id }) => id)).toEqual(["good", "last"]);
  expect(entries.length).toBe(7);
  const by = (name: string): string => problems.find(({ file }) => file.endsWith(name))?.diagnostic.message ?? "";
  expect(by("2-syntax.yaml")).not.toBe("");
  expect(by("3-query.yaml")).not.toBe("");
  expect(by("4-latin1.yaml")).toContain("is not UTF-8");
  expect(by("5-json.json")).toContain("end of the text");
  expect(by("6-again.yaml")).toBe(
    `Rule id "good" at ${join(folder.path, "6-again.yaml")}:1 is already used at ${join(folder.path, "1-good.yaml")}:1`,
  );
});

test("paths that lead nowhere say so", async () => {
  using folder = folderOf({ "a.txt": "x", "huge.yaml": "" });
  truncateSync(join(folder.path, "huge.yaml"), RULE_FILE_BYTES_MAX + 1);
  expect(Bun.spawnSync(["mkfifo", join(folder.path, "pipe.yaml")]).exitCode).toBe(0);
  const messages = async (path: string): Promise<string[]> =>
    (await loadRules([join(folder.path, path)])).problems.map(({ diagnostic }) => diagnostic.message);
  expect((await messages("none.yaml"))[0]).toMatch(/^Cannot read ".*none\.yaml": no such file$/);
  expect((await messages("*.eql"))[0]).toMatch(/^No rule file matches ".*\*\.eql"$/);
  expect((await messages("a.txt"))[0]).toMatch(/its name must end in \.yaml/);
  expect((await messages("huge.yaml"))[0]).toMatch(/more than 4194304 bytes/);
  expect((await messages("pipe.yaml"))[0]).toMatch(/not a regular file/);
});

test("an unreadable file is a problem of its own", async () => {
  if (process.getuid?.() === 0) {
    console.log("skip: root reads every file");
    return;
  }
  using folder = folderOf({ "a.yaml": rule("a"), "b.yaml": rule("b") });
  chmodSync(join(folder.path, "a.yaml"), 0);
  const { rules, problems } = await loadRules([folder.path]);
  expect(rules.map(({ id }) => id)).toEqual(["b"]);
  expect(problems[0]?.diagnostic.message).toContain("permission denied");
});

test("a module is read beside its rule and nowhere else", async () => {
  using outside = folderOf({ "m.wasm": WASM });
  const wasm = (id: string, path: string): string => `id: ${id}\nwasm: ${path}\n`;
  using folder = folderOf({
    "m.wasm": WASM,
    "not.wasm": "text",
    "huge.wasm": "",
    "in/1.yaml": wasm("beside", "n.wasm"),
    "in/n.wasm": WASM,
    "in/2.yaml": wasm("above", "../m.wasm"),
    "in/3.yaml": wasm("outside", relative("/rules/in", join("/rules", "..", "etc/passwd"))),
    "in/4.yaml": wasm("absolute", join(outside.path, "m.wasm")),
    "in/5.yaml": wasm("linked", "link.wasm"),
    "in/6.yaml": wasm("missing", "none.wasm"),
    "in/7.yaml": wasm("text", "../not.wasm"),
    "in/8.yaml": wasm("huge", "../huge.wasm"),
    "in/9.yaml": wasm("folder", "."),
  });
  truncateSync(join(folder.path, "huge.wasm"), RULE_WASM_BYTES_MAX + 1);
  symlinkSync(join(outside.path, "m.wasm"), join(folder.path, "in/link.wasm"));
  const { rules, problems } = await loadRules([folder.path]);
  expect(rules.map(({ id, body }) => [id, body])).toEqual([
    ["beside", { kind: "wasm", bytes: WASM }],
    ["above", { kind: "wasm", bytes: WASM }],
  ]);
  const said = Object.fromEntries(problems.map(({ ruleId, diagnostic }) => [ruleId, diagnostic.message]));
  expect(Object.keys(said).sort()).toEqual(["absolute", "folder", "huge", "linked", "missing", "outside", "text"]);
  expect(said["absolute"]).toContain("outside the rule folder");
  expect(said["linked"]).toContain("outside the rule folder");
  expect(said["missing"]).toContain("no such file");
  expect(said["text"]).toContain("not a Wasm module");
  expect(said["huge"]).toContain("more than");
  expect(said["folder"]).toContain("not a regular file");
  // A rule file named by itself: its own folder is the rule folder.
  const alone = await loadRules([join(folder.path, "in/2.yaml")]);
  expect(alone.problems[0]?.diagnostic.message).toContain("outside the rule folder");
});
