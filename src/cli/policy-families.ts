// What the kernel decided by policies, as metrics.
import { type MetricFamily, metricBy } from "#core";
import type { PolicyStatus } from "#ebpf";

type Counts = NonNullable<PolicyStatus["counts"]>["exec"];

const HELP: Readonly<Record<keyof Counts, readonly [name: string, help: string]>> = {
  acted: ["kestrel_policy_acted_total", "Acts denied, or whose process was killed, in the kernel"],
  monitored: ["kestrel_policy_monitored_total", "Acts a policy in the kernel matched without acting"],
  spared: ["kestrel_policy_spared_total", "Acts left alone in the kernel: protected programs and processes"],
  undecided: ["kestrel_policy_undecided_total", "Acts the kernel could not decide and let pass"],
  busy: ["kestrel_policy_busy_total", "Acts let pass because too many were being decided at one time"],
  unreported: ["kestrel_policy_unreported_total", "Acts of the kernel that were not reported"],
};

/** Families by act, of what came of it. */
export function policyFamilies(policies: { status(): PolicyStatus }): readonly MetricFamily[] {
  const { counts } = policies.status();
  return Object.entries(HELP).map(([count, [name, help]]) => {
    const byAct = Object.fromEntries(Object.entries(counts ?? {}).map(([act, of]) => [act, of[count as keyof typeof of]]));
    return metricBy({ type: "counter", name, help }, "act", byAct);
  });
}
