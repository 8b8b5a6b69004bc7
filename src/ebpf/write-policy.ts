// What a record says of the policies that decided its act in the kernel.
import type { FieldWriter } from "./field-writer.ts";
import type { PolicyFacts } from "./kernel-policies.ts";

/** The kestrel.policy fields. */
export function writePolicy({ id, builder }: FieldWriter, { matched, acted, means, spared, latencyNs }: PolicyFacts): void {
  builder.keywords(id.policyMatched, matched);
  if (acted.length > 0) builder.keywords(id.policyActed, acted);
  builder.keyword(id.policyMeans, means);
  builder.bool(id.policySpared, spared);
  builder.i64Number(id.policyLatency, latencyNs);
}
