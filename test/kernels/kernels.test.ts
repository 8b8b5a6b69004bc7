// The judge of the kernel matrix, and one kernel of it for real: Linux 6.1, where the best attachments are accepted. The whole matrix is
// `bun run test:kernels`.
import { expect, test } from "bun:test";
import { PROGRAM } from "../cli/program.ts";
import { ACTS } from "./acts.ts";
import { actHere, refusedHere } from "./here.ts";
import { makeInitramfs, missingTool } from "./initramfs.ts";
import { ALL_KERNELS, boot, fetchedRelease } from "./machine.ts";
import { RUNGS } from "./rungs.ts";
import { matrixText, passed, rungsText } from "./table.ts";
import { HERE, judge } from "./verdict.ts";

const BEST: Readonly<Record<string, string>> = {
  act: "fexit/security + raw_tp/sys_exit",
  file: "fexit/path_openat",
  change: "fexit/security_path + fexit/vfs",
  attribute: "fexit/chown_common + fexit/vfs_setxattr",
  credential: "fentry/commit_creds",
  memory: "fexit/security_mmap_file + fexit/security_file_mprotect",
  connect: "fentry/security_socket_connect",
  accept: "fentry/security_sock_graft",
  unix: "fentry/security_unix_stream_connect",
};
const NO_FTRACE: Readonly<Record<string, string>> = {
  file: "raw_tp/sys_exit",
  act: "raw_tp/sys_exit",
  attribute: "raw_tp/sys_exit",
  credential: "raw_tp/sys_exit",
  memory: "raw_tp/sys_exit",
  connect: "raw_tp/inet_sock_set_state + cgroup/connect",
  accept: "raw_tp/sys_exit",
  unix: "raw_tp/sys_exit",
};
const NO_CGROUP: Readonly<Record<string, string>> = {
  file: "raw_tp/sys_exit",
  act: "raw_tp/sys_exit",
  attribute: "raw_tp/sys_exit",
  credential: "raw_tp/sys_exit",
  memory: "raw_tp/sys_exit",
  connect: "raw_tp/inet_sock_set_state",
  accept: "raw_tp/sys_exit",
  unix: "raw_tp/sys_exit",
  bind: "raw_tp/inet_sock_set_state",
  send: "off",
  dns: "off",
};

/** What a machine writes when everything is as it must be. */
function goodTranscript(): string {
  const sensors = [...new Set(ACTS.map(({ sensor }) => sensor))];
  const passText = (name: string, attachments: Readonly<Record<string, string>>): string[] => [
    `@@ pass ${name}`,
    `@@ doctor ${JSON.stringify({ sensors: sensors.map((sensor) => ({ sensor, attachment: attachments[sensor] ?? "raw_tp/x", refused: [] })) })}`,
    ...ACTS.map(({ name: act }) => `@@ act 00-${act} 0 `),
    "@@ exit 0",
    "@@ log kestrel: armed",
    ...ACTS.filter(({ alerts, unseenBy, sensor }) => alerts === 1 && !unseenBy.includes(attachments[sensor] ?? "")).map(
      ({ name: act }) => `@@ alert ${JSON.stringify({ rule: { id: act } })}`,
    ),
  ];
  const passes = [...passText("preferred", BEST), ...passText("without-ftrace", NO_FTRACE), ...passText("without-cgroup", NO_CGROUP)];
  const rungs = RUNGS.flatMap(({ name, ends, floor }) => [
    `@@ latency ${name} ${ends} 400000 9000000`,
    `@@ latency ${name}.floor ${floor.ends} 300000 8000000`,
    `@@ told ${name}`,
  ]);
  return [...passes, ...rungs, "@@ hooks replaced EPERM 400000 9000000", "@@ done 20.1", ""].join("\n");
}

function failuresIn(results: string): readonly string[] {
  const { rows, failures } = judge(results);
  return [...failures, ...rows.flatMap((row) => row.failures)];
}

test("a good transcript has no failure, and says what the fallbacks do not cover", () => {
  expect(failuresIn(goodTranscript())).toEqual([]);
  const gaps = (name: string, pass: number): readonly string[] | undefined =>
    judge(goodTranscript()).rows.filter(({ sensor }) => sensor === name)[pass]?.notCovered;
  expect(gaps("file", 0)).toEqual([]);
  expect(judge(goodTranscript()).rungs.map(({ rung }) => rung)).toEqual([...RUNGS]);
  for (const pass of [1, 2]) expect(gaps("file", pass)).toContain("file-io-uring");
  expect(gaps("connect", 0)).toContain("evasion-fast-open");
  expect(gaps("connect", 1)).toEqual([]);
  expect(gaps("connect", 2)).toContain("connect-udp");
  expect([0, 1].map((pass) => gaps("send", pass))).toEqual([[], []]);
  expect(gaps("send", 2)).toContain("send-stream");
});

const SPOILED: readonly (readonly [name: string, from: string | RegExp, to: string, failure: string])[] = [
  ["an alert is missing", '@@ alert {"rule":{"id":"file-create"}}\n', "", "file-create raised 0 alerts instead of 1"],
  ["an alert comes twice", /(@@ alert .*"exit-code".*\n)/, "$1$1", "exit-code raised 2 alerts instead of 1"],
  [
    "an alert nobody wanted",
    "@@ exit 0",
    '@@ exit 0\n@@ alert {"rule":{"id":"file-plain-read"}}',
    "file-plain-read raised 1 alerts instead of 0",
  ],
  [
    "io_uring unseen by the best attachment",
    '@@ alert {"rule":{"id":"file-io-uring"}}\n',
    "",
    "file-io-uring raised 0 alerts instead of 1",
  ],
  ["an act fails", "00-fork 0 ", "00-fork 1 no such thing", "fork ended with 1 (no such thing)"],
  ["an act is not done", /@@ act 00-fork.*\n/, "", "preferred: fork was not done"],
  ["the best attachment is refused", '"refused":[]', '"refused":[{"attachment":"lsm/x","reason":"EPERM"}]', "refused lsm/x: EPERM"],
  ["a sensor is off", `"attachment":"${BEST["file"]}",`, "", "the sensor is off"],
  ["a sensor that needs cgroups is off where they are", '"sensor":"send","attachment":"raw_tp/x"', '"sensor":"send"', "the sensor is off"],
  ["no fallback without ftrace", `"${NO_FTRACE["file"]}"`, `"${BEST["file"]}"`, "needs ftrace, which is switched off"],
  ["no fallback without cgroups", `"${NO_CGROUP["connect"]}"`, `"${NO_FTRACE["connect"]}"`, "needs cgroup v2, which is not mounted"],
  [
    "a try gets through",
    "deny-exec EPERM 400000 9000000",
    "deny-exec try 7 ended with 8, others with 1",
    "latency of deny-exec: try 7 ended with 8, others with 1; every try must end with EPERM",
  ],
  ["nothing stops it", "deny-open EPERM", "deny-open passed", "latency of deny-open: passed 400000 9000000; every try must end with EPERM"],
  ["a floor is not measured", /@@ latency kill-open.floor.*\n/, "", "latency of kill-open.floor: nothing; every try must end with passed"],
  ["nobody is told of a rung", "@@ told deny-connect\n", "", "latency of deny-connect: no alert says that it was done"],
  ["nothing stands in", /@@ hooks.*\n/, "", "hooks in functions switched off: nothing"],
  [
    "no denial stands in",
    "hooks replaced EPERM",
    "hooks replaced passed",
    "hooks in functions switched off: replaced passed 400000 9000000",
  ],
  ["doctor fails", /@@ doctor .*/, "@@ doctor oh", "preferred: doctor names no sensor"],
  ["the agent dies", "@@ exit 0", "@@ exit 137", "preferred: the agent ended with 137: kestrel: armed"],
  ["the machine dies", /@@ done.*/, "", "the machine did not come to its end"],
  ["nothing is written", /[\s\S]*/, "", "the machine made these passes: none"],
];
for (const [name, from, to, failure] of SPOILED) {
  test(`the judge sees that ${name}`, () => {
    const spoiled = goodTranscript().replace(from, to);
    expect(spoiled).not.toBe(goodTranscript());
    expect(failuresIn(spoiled)).toContain(failure);
  });
}

const kernel = ALL_KERNELS.find(({ series }) => series === "6.1")!;
const release = fetchedRelease(kernel);
const reason = missingTool() ?? (PROGRAM.length > 1 ? "dist/kestrel is older than the sources" : undefined);
const skipped = reason ?? (release === undefined ? "not fetched: scripts/fetch-kernel.sh says why" : undefined);
if (skipped !== undefined) console.log(`skipped: the sensors under Linux 6.1 (${skipped})`);

const notHere = missingTool() ?? (PROGRAM.length > 1 ? "dist/kestrel is older than the sources" : refusedHere());
if (notHere !== undefined) console.log(`skipped: the acts on this machine's own kernel (${notHere})`);

test.skipIf(notHere !== undefined)(
  "this machine: every act is seen, but for what the attachments in use say they do not cover",
  async () => {
    const transcript = await actHere();
    const entry = { kernel: transcript.release, transcript, verdict: judge(transcript.results, HERE) };
    console.log(matrixText([entry]));
    expect(passed(entry)).toBe(true);
  },
  180_000,
);

test.skipIf(skipped !== undefined)(
  "Linux 6.1: every act is seen by the best attachments, and by the fallbacks what they promise",
  async () => {
    const transcript = await boot(kernel, makeInitramfs(), 600_000);
    const entry = { kernel: release ?? "", transcript, verdict: judge(transcript.results) };
    console.log(`${matrixText([entry])}\n\n${rungsText([entry])}`);
    expect(passed(entry)).toBe(true);
  },
  630_000,
);

test.skipIf(skipped !== undefined)("a machine that does not end is killed at its deadline, and that is a failure", async () => {
  const transcript = await boot(kernel, makeInitramfs(), 500);
  expect(transcript.killed).toBe(true);
  expect(passed({ kernel: release ?? "", transcript, verdict: judge(transcript.results) })).toBe(false);
});
