// The one JSON form of an alert: fixed keys, exact integers, and back again.
import { expect, test } from "bun:test";
import { type Alert, type AlertResponse, decodeAlert, encodeAlert, type Json, stringifyJson } from "#core";
import { parseJson } from "#event";

const ALERT: Alert = {
  id: "0123456789abcdef0123456789abcdef",
  kind: "rule",
  timeNs: 1_700_000_000_123_456_789n,
  seq: 42n,
  ruleId: "kestrel.exec-from-shm",
  ruleName: "Program run from shared memory",
  severity: "high",
  tags: ["attack.execution", "attack.t1059.004", "attack.command_and_control", "attack.T1071", "linux"],
  message: "x ran from /dev/shm",
  captures: { "process.hash.sha256": null, inode: 18_446_744_073_709_551_615n },
  ancestry: [{ pid: 1, name: "init", executable: "/sbin/init" }],
  events: [{ process: { pid: 7, name: "x", args: ["x", "\u0000 ü"] } }],
};

const RESPONSE: AlertResponse = {
  action: "kill",
  mode: "enforce",
  scope: "tree",
  outcome: "done",
  means: "sigkill",
  targetPid: 7,
  processCount: 3,
  latencyNs: 12_345_678n,
  reason: "",
};

function read(text: string): Json {
  const parsed = parseJson(text);
  if ("problem" in parsed) throw new Error(parsed.problem);
  return parsed.value;
}

test("one line of JSON, keys in order, threat from the tags", () => {
  expect(stringifyJson(encodeAlert(ALERT))).toBe(
    '{"id":"0123456789abcdef0123456789abcdef","@timestamp":"2023-11-14T22:13:20.123456789Z","kind":"rule","severity":"high",' +
      '"rule":{"id":"kestrel.exec-from-shm","name":"Program run from shared memory",' +
      '"tags":["attack.execution","attack.t1059.004","attack.command_and_control","attack.T1071","linux"]},' +
      '"threat":{"framework":"MITRE ATT&CK","tactic":{"id":["TA0002","TA0011"],"name":["Execution","Command and Control"]},' +
      '"technique":{"id":["T1059.004","T1071"]}},"message":"x ran from /dev/shm",' +
      '"captures":{"process.hash.sha256":null,"inode":18446744073709551615},' +
      '"ancestry":[{"pid":1,"name":"init","executable":"/sbin/init"}],' +
      '"events":[{"process":{"pid":7,"name":"x","args":["x","\\u0000 ü"]}}],"seq":42}',
  );
});

test("text and back is the same alert, whatever the numbers", () => {
  for (const alert of [
    ALERT,
    { ...ALERT, response: RESPONSE },
    { ...ALERT, seq: (1n << 64n) - 1n, tags: [], kind: "quarantine" as const },
    { ...ALERT, timeNs: -1n },
  ]) {
    expect(decodeAlert(read(stringifyJson(encodeAlert(alert))))).toEqual(alert);
  }
});

test("a response is one object behind the message", () => {
  expect(stringifyJson(encodeAlert({ ...ALERT, response: RESPONSE }))).toContain(
    '"message":"x ran from /dev/shm","response":{"action":"kill","mode":"enforce","scope":"tree","outcome":"done","means":"sigkill",' +
      '"target_pid":7,"process_count":3,"latency_ns":12345678,"reason":""},"captures":',
  );
});

for (const [key, value] of [
  ["action", "alert"],
  ["mode", null],
  ["scope", "all"],
  ["outcome", "maybe"],
  ["means", 9],
  ["target_pid", -1],
  ["process_count", 1.5],
  ["latency_ns", "5"],
  ["reason", undefined],
] as const) {
  test(`no response: ${key} ${JSON.stringify(value)}`, () => {
    const encoded = encodeAlert({ ...ALERT, response: RESPONSE });
    const response = { ...(encoded["response"] as Record<string, Json>), [key]: value } as Json;
    expect(decodeAlert({ ...encoded, response })).toBeUndefined();
  });
}

test("tags that only look like ATT&CK say nothing", () => {
  const encoded = encodeAlert({ ...ALERT, tags: ["attack.", "attack.constructor", "attack.t99", "execution"] });
  expect(encoded["threat"]).toBeUndefined();
});

for (const [key, value] of [
  ["id", 5],
  ["@timestamp", "yesterday"],
  ["kind", "other"],
  ["severity", "deadly"],
  ["rule", null],
  ["rule", { id: "a", name: "b", tags: [1] }],
  ["message", null],
  ["captures", []],
  ["ancestry", [{ pid: "1", name: "", executable: "" }]],
  ["events", ["x"]],
  ["seq", 1.5],
] as readonly (readonly [string, Json])[]) {
  test(`no alert: ${key} ${JSON.stringify(value)}`, () => {
    expect(decodeAlert({ ...encodeAlert(ALERT), [key]: value })).toBeUndefined();
  });
}

test("no alert: not even an object", () => {
  for (const value of [null, 1, "x", []]) expect(decodeAlert(value)).toBeUndefined();
});
