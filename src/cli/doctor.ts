// kestrel doctor: what this machine lets Kestrel see, and why not more.
import { inspectMachine } from "#ebpf";
import { whyNoGate } from "#respond";
import { EXIT, parseArguments, refusePositionals } from "./arguments.ts";

type Report = ReturnType<typeof inspectMachine>;

/** Runs the command. */
export async function doctor(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, { json: "switch" });
  refusePositionals(args);
  const report = inspectMachine();
  const refused = whyNoGate();
  const gate = { available: refused === undefined, reason: refused ?? "" };
  console.log(args.has("json") ? JSON.stringify({ ...report, gate }) : reportText(report, gate.reason));
  return report.error === undefined ? EXIT.ok : EXIT.cannotRun;
}

function reportText(report: Report, whyNotGate: string): string {
  const lines = [
    `kernel        ${report.kernel}, BTF ${report.btf ? "present" : "missing"}`,
    `libbpf        ${report.libbpf}`,
    `capabilities  ${report.capabilities.join(" ") || "none"}`,
    ...(report.missingCapabilities.length === 0 ? [] : [`missing       ${report.missingCapabilities.join(" ")}`]),
    `cgroup v2     ${report.cgroupRoot ?? "not mounted"}`,
    `exec gate     ${whyNotGate === "" ? "programs can be denied before they run" : whyNotGate}`,
    ...Object.entries(report.limits).map(([name, value]) => `limit         ${name}: ${value}`),
    "",
  ];
  for (const { sensor, attachment, refused } of report.sensors) {
    lines.push(`sensor ${sensor.padEnd(8)} ${attachment ?? "off"}`);
    for (const refusal of refused) lines.push(`       ${"".padEnd(8)} refused ${refusal.attachment}: ${refusal.reason}`);
  }
  if (report.error === undefined) lines.push("", "A running agent attaches of these only the ones whose events an armed rule can match.");
  if (report.error !== undefined) lines.push("", `No sensor can run here: ${report.error}`);
  lines.push("", "Not covered:", ...report.notCovered.map((text) => `  ${text}`));
  return lines.join("\n");
}
