// What a rule with an action asks of a responder, when, and what becomes of its alert; without a responder nothing but the alert.
import { expect, test } from "bun:test";
import type { AlertResponse, Responder, ResponseRequest } from "#core";
import { alertLine, type Bench, benchOf, luaRule, ruleOf } from "./fixture.ts";

const ANSWER: AlertResponse = {
  action: "kill",
  mode: "enforce",
  scope: "tree",
  outcome: "done",
  means: "sigkill",
  targetPid: 7,
  processCount: 1,
  latencyNs: 5n,
  reason: "",
};

class Recorder implements Responder {
  readonly asked: ResponseRequest[] = [];
  respond(request: ResponseRequest): AlertResponse {
    this.asked.push(request);
    return ANSWER;
  }
}

const ACTION = { action: "kill", scope: "tree", mode: "enforce" } as const;
const RULES = [
  ruleOf("event", 'process where process.name == "x"', { ...ACTION, throttle: { by: [], limit: 1, windowMs: 3_600_000 } }),
  ruleOf("quiet", 'process where process.name == "x"'),
  ruleOf("sequence", 'sequence [process where process.name == "x"] [file where true]', { ...ACTION, action: "suspend", mode: "monitor" }),
  luaRule("lua", 'return event["process.name"] == "y"', { ...ACTION, scope: "process" }),
];

async function play(bench: Bench): Promise<void> {
  await bench.engine.arm(RULES);
  await bench.push(
    { timeMs: 10, fields: { "process.name": "x", "process.pid": 7n, "process.entity_id": "e7" } },
    { timeMs: 20, fields: { "process.name": "x", "process.pid": 8n, "process.entity_id": "e8" } },
    { timeMs: 30, category: "file", fields: { "process.pid": 9n, "process.entity_id": "e9" } },
    { timeMs: 40, fields: { "process.name": "y", "process.pid": 18_446_744_073_709_551_615n } },
  );
  await bench.engine.finish();
}

test("each match of a rule with an action is asked for once, in order, throttle or not", async () => {
  const responder = new Recorder();
  const bench = benchOf({ responder });
  await play(bench);
  const base = { action: "kill", mode: "enforce", scope: "tree" } as const;
  expect(responder.asked.toSorted((a, b) => Number(a.timeNs - b.timeNs))).toEqual([
    { ...base, ruleId: "event", pid: 7, entityId: "e7", timeNs: 10_000_000n },
    { ...base, ruleId: "event", pid: 8, entityId: "e8", timeNs: 20_000_000n },
    { ...base, ruleId: "sequence", action: "suspend", mode: "monitor", pid: 9, entityId: "e9", timeNs: 30_000_000n },
    { ...base, ruleId: "lua", scope: "process", pid: 0, entityId: "", timeNs: 40_000_000n },
  ]);
  const withResponse = bench.alerts.filter((alert) => alert.response !== undefined).map((alert) => alert.ruleId);
  expect(withResponse.toSorted()).toEqual(["event", "event", "lua", "sequence"]);
  expect(bench.alerts.find((alert) => alert.ruleId === "event")?.response).toBe(ANSWER);
  await bench.engine.close();
});

test("without a responder the same alerts come, with the same ids and no response", async () => {
  const [live, replay] = [benchOf({ responder: new Recorder() }), benchOf()];
  await play(live);
  await play(replay);
  expect(live.alerts.length).toBe(6);
  const bare = live.alerts.map(({ response: _response, ...alert }) => alertLine(alert));
  expect(replay.alerts.map(alertLine)).toEqual(bare);
  await live.engine.close();
  await replay.engine.close();
});

test("a responder that has nothing to say leaves the alert as it is", async () => {
  const bench = benchOf({ responder: { respond: () => undefined } });
  await play(bench);
  expect(bench.alerts.some((alert) => "response" in alert)).toBe(false);
  await bench.engine.close();
});

test("what the kernel did is told to the responder, and an act is never without its alert", async () => {
  const responder = new Recorder();
  const bench = benchOf({ responder });
  const rule = ruleOf("k", 'process where event.action == "exec" and process.executable == "/x"', { action: "kill", mode: "enforce" });
  await bench.engine.arm([rule]);
  const noted = {
    "event.action": "exec",
    "kestrel.policy.matched": ["k"],
    "kestrel.policy.means": "bpf_signal",
    "kestrel.policy.latency": 5n,
  };
  await bench.push(
    { timeMs: 10, fields: { ...noted, "process.executable": "/x", "kestrel.policy.acted": ["k"] } },
    // The name the kernel compared is not the one the event has.
    { timeMs: 20, fields: { ...noted, "process.executable": "/renamed", "kestrel.policy.acted": ["k"] } },
    { timeMs: 30, fields: { ...noted, "process.executable": "/x", "kestrel.policy.spared": true } },
    { timeMs: 40, fields: { ...noted, "process.executable": "/renamed" } },
  );
  await bench.engine.finish();
  const kernel = { matched: true, acted: true, spared: false, notStarted: false, means: "bpf_signal", latencyNs: 5n };
  expect(responder.asked.map((request) => [request.timeNs, request.kernel])).toEqual([
    [10_000_000n, kernel],
    [20_000_000n, kernel],
    [30_000_000n, { ...kernel, acted: false, spared: true }],
  ] as never);
  expect(bench.alerts.length).toBe(3);
  expect(bench.engine.counters().actedUnmatched).toBe(1);
  await bench.engine.close();
});
