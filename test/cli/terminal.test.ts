// What people read of an alert on a terminal.
import { expect, test } from "bun:test";
import type { Alert, Json } from "#core";
import { alertText } from "../../src/cli/terminal.ts";

function alertOf(events: readonly { readonly [key: string]: Json }[]): Alert {
  return {
    id: "0".repeat(32),
    kind: "rule",
    timeNs: 1_700_000_000_500_000_000n,
    seq: 1n,
    ruleId: "r",
    ruleName: "Rule",
    severity: "high",
    tags: [],
    message: "",
    captures: {},
    events,
    ancestry: [],
  };
}

const run = (second: number, command: string, more: { readonly [key: string]: Json } = {}): { readonly [key: string]: Json } => ({
  "@timestamp": `2023-11-14T22:13:${String(second).padStart(2, "0")}.000Z`,
  process: { command_line: command },
  ...more,
});

test("a sequence shows each event with how long after the first it came", () => {
  const text = alertText(alertOf([run(20, "curl x", { file: { path: "/tmp/x" } }), run(22, "sh /tmp/x\u001b[31m")]), false);
  expect(text).toBe(`2023-11-14 22:13:20.500  HIGH  Rule
    event 1   +0.000 s  curl x → /tmp/x
    event 2   +2.000 s  sh /tmp/x\\x1b[31m
    command   sh /tmp/x\\x1b[31m
    rule      r
`);
});

test("the program is shown where the command line names another one", () => {
  const shown = (process: { readonly [key: string]: Json }): readonly string[] =>
    alertText(alertOf([{ process }]), false)
      .split("\n")
      .filter((line) => /^ {4}(command|program) /.test(line))
      .map((line) => line.trim());
  expect(shown({ executable: "/tmp/x\u001b", command_line: "/usr/sbin/sshd -D" })).toEqual([
    "command   /usr/sbin/sshd -D",
    "program   /tmp/x\\x1b",
  ]);
  expect(shown({ executable: "/tmp/x", command_line: "/tmp/xy" })).toEqual(["command   /tmp/xy", "program   /tmp/x"]);
  expect(shown({ executable: "/tmp/x", command_line: "/tmp/x y" })).toEqual(["command   /tmp/x y"]);
  expect(shown({ executable: "/tmp/x" })).toEqual(["command   /tmp/x"]);
});

test("what was done to what is shown", () => {
  const shown = (event: { readonly [key: string]: Json }): readonly string[] =>
    alertText(alertOf([{ process: { command_line: "x" }, ...event }]), false)
      .split("\n")
      .filter((line) => /^ {4}(?!command|rule)/.test(line))
      .map((line) => line.trim());
  const target = { process: { name: "sshd", executable: "/usr/sbin/sshd", pid: 812 } };
  expect(shown({ event: { action: "ptrace_attach" }, Target: target })).toEqual([
    "action    ptrace_attach",
    "target    /usr/sbin/sshd (812)",
  ]);
  expect(shown({ Target: { process: { name: "a\u001b" } } })).toEqual(["target    a\\x1b"]);
  expect(shown({ Target: { process: { pid: 5 } } })).toEqual(["target    5"]);
  expect(shown({ event: { action: "exec" } })).toEqual([]);
  expect(shown({ destination: { ip: "10.0.0.1", port: 53 }, dns: { question: { name: "x.test" } } })).toEqual([
    "address   10.0.0.1:53",
    "question  x.test",
  ]);
  expect(shown({ destination: { ip: "fd00::1", port: 22 } })).toEqual(["address   [fd00::1]:22"]);
});

test("an event of a sequence says what it touched", () => {
  const question = run(21, "dig", { destination: { ip: "10.0.0.1", port: 53 }, dns: { question: { name: "x.test" } } });
  const text = alertText(alertOf([run(20, "gdb", { Target: { process: { name: "sshd", pid: 8 } } }), question]), false);
  expect(text).toContain("gdb → sshd (8)\n");
  expect(text).toContain("dig → x.test\n");
});

test("a long one shows its first and last events", () => {
  const lines = alertText(alertOf(Array.from({ length: 60 }, (_, index) => run(index, `c${index}`))), false).split("\n");
  const shown = lines.flatMap((line) => /(?:s {2}|… )(c?\d+)/.exec(line)?.[1] ?? []);
  expect(shown).toEqual(["c0", "c1", "c2", "c3", "52", "c56", "c57", "c58", "c59"]);
});

test("what was done stands first", () => {
  const base = {
    action: "kill",
    mode: "enforce",
    scope: "tree",
    means: "sigkill",
    targetPid: 7,
    latencyNs: 31_234_567n,
    reason: "",
  } as const;
  for (const [response, text] of [
    [{ ...base, outcome: "done", processCount: 1 }, "killed process 7 (sigkill) 31.2 ms after the event"],
    [
      { ...base, outcome: "done", processCount: 3, reason: "a\u001bb" },
      "killed 3 processes of 7 (sigkill) 31.2 ms after the event: a\\x1bb",
    ],
    [{ ...base, mode: "monitor", outcome: "would", processCount: 1, reason: "m" }, "would have killed process 7 (sigkill): m"],
    [{ ...base, outcome: "gone", processCount: 0, reason: "ended" }, "not killed (gone): ended"],
  ] as const) {
    const lines = alertText({ ...alertOf([run(20, "x")]), response }, false).split("\n");
    expect(lines[1]).toBe(`    response  ${text}`);
  }
});

test("a single event is not listed", () => {
  expect(alertText(alertOf([run(1, "id")]), false)).not.toContain("event 1");
});
