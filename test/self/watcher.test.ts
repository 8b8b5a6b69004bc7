// What comes of findings: one alert for each that is new, none while it lasts or soon again, and a watch that cannot look.
import { expect, test } from "bun:test";
import { type AgentNotice, type Finding, MockClock, type Watch } from "#core";
import { Watcher } from "#self";

interface Bench {
  readonly watcher: Watcher;
  readonly clock: MockClock;
  readonly notices: AgentNotice[];
  readonly logged: string[];
}

function bench(watch: Pick<Watch, "kind" | "look">): Bench {
  const clock = new MockClock(1_780_000_000_000_000_000n);
  const notices: AgentNotice[] = [];
  const logged: string[] = [];
  const watcher = new Watcher({
    watches: [{ name: "thing", title: "Thing", ...watch }],
    clock,
    everyMs: 5000,
    raise: (notice) => notices.push(notice),
    log: { write: (level, message) => void logged.push(`${level} ${message}`) },
  });
  return { watcher, clock, notices, logged };
}

const finding = (subject: string, message = `${subject} is wrong`): Finding => ({ subject, message });

test("a state is told once while it lasts, and as over", () => {
  let found: readonly Finding[] = [];
  const { watcher, clock, notices, logged } = bench({ kind: "state", look: () => found });
  watcher.start();
  found = [{ ...finding("a"), facts: { "process.pid": 7 } }];
  clock.advance(20_000);
  expect(notices).toEqual([
    {
      ruleId: "kestrel.self.thing",
      ruleName: "Thing",
      severity: "high",
      tags: ["attack.defense_evasion", "attack.t1562.001"],
      message: "a is wrong",
      captures: { "kestrel.self.subject": "a", "process.pid": 7 },
    },
  ]);
  expect(watcher.statuses()).toEqual([{ name: "thing", title: "Thing", findings: ["a is wrong"], count: 1 }]);
  found = [finding("b")];
  clock.advance(5000);
  expect(notices.map(({ message }) => message)).toEqual(["a is wrong", "b is wrong"]);
  expect(logged).toEqual(["error a is wrong", "error b is wrong", "info no longer so"]);
  watcher.close();
  found = [finding("c")];
  clock.advance(60_000);
  expect(notices.length).toBe(2);
});

test("what comes and goes is told again only after a while, and counted", () => {
  let look = 0;
  const { watcher, clock, notices } = bench({ kind: "state", look: () => (look++ % 2 === 0 ? [finding("a")] : []) });
  watcher.start();
  clock.advance(595_000);
  expect(notices.length).toBe(1);
  clock.advance(10_000);
  expect(notices.length).toBe(2);
  const values = Object.fromEntries(watcher.metrics().map(({ name, samples }) => [name, samples[0]?.value]));
  expect(values).toEqual({
    kestrel_self_findings_total: 61,
    kestrel_self_findings_present: 0,
    kestrel_self_findings_held_back_total: 59,
  });
});

test("each moment is news of its own subject", () => {
  let found: readonly Finding[] = [finding("back")];
  const { watcher, clock, notices } = bench({ kind: "moment", look: () => found });
  watcher.start();
  expect(watcher.statuses()[0]).toMatchObject({ findings: [], count: 1 });
  found = [finding("forward")];
  clock.advance(5000);
  found = [];
  clock.advance(5000);
  expect(notices.map(({ message }) => message)).toEqual(["back is wrong", "forward is wrong"]);
});

test("a watch that cannot look is a finding, and the others go on", () => {
  let fails = true;
  const { watcher, clock, notices } = bench({
    kind: "state",
    look: () => {
      if (fails) throw new Error("EACCES");
      return [];
    },
  });
  watcher.start();
  clock.advance(5000);
  expect(notices.map(({ ruleName, message }) => [ruleName, message])).toEqual([
    ["Self-defence cannot look", 'Self-defence cannot look at "thing": EACCES'],
  ]);
  fails = false;
  clock.advance(5000);
  expect(watcher.statuses()[0]?.findings).toEqual([]);
});

test("subjects without end are not remembered without end", () => {
  let next = 0;
  const { watcher, clock, notices } = bench({ kind: "moment", look: () => Array.from({ length: 300 }, () => finding(String(next++))) });
  watcher.start();
  clock.advance(50_000);
  expect(notices.length).toBe(3300);
  next = 0;
  clock.advance(5000);
  // The first ones were forgotten, so they are news again.
  expect(notices.length).toBe(3600);
});
