// What the sequences of the rules hold and do, as Prometheus metrics.
import { type MetricFamily, type MetricSample, metric } from "#core";
import type { RuleMetrics, SequencerMetrics } from "#nfa";

/** Metric families of the sequencer. Only rules over several events have samples. */
export function sequenceFamilies(metrics: SequencerMetrics): readonly MetricFamily[] {
  const { rules } = metrics;
  const perRule = (type: MetricFamily["type"], name: string, help: string, value: (rule: RuleMetrics) => number): MetricFamily => ({
    type,
    name,
    help,
    samples: rules.map((rule) => ({ labels: { rule: rule.ruleId }, value: value(rule) })),
  });
  const each = (name: string, help: string, samples: (rule: RuleMetrics) => readonly MetricSample[]): MetricFamily => {
    return { type: name.endsWith("_total") ? "counter" : "gauge", name, help, samples: rules.flatMap(samples) };
  };
  return [
    each("kestrel_sequence_partial_matches", "Pending sequences by the number of events they have", ({ ruleId, partialMatches }) =>
      partialMatches.map((value, index) => ({ labels: { rule: ruleId, events: String(index + 1) }, value })),
    ),
    perRule("gauge", "kestrel_sequence_waiting", "Sequences that wait for an event not to come", (rule) => rule.waiting),
    perRule("counter", "kestrel_sequence_completions_total", "Sequences completed", (rule) => rule.completions),
    perRule("counter", "kestrel_sequence_expiries_total", "Pending sequences whose time ran out", (rule) => rule.expiries),
    each("kestrel_sequence_evictions_total", "Pending sequences forgotten for lack of room, by cause", ({ ruleId, evictions }) =>
      Object.entries(evictions).map(([cause, value]) => ({ labels: { rule: ruleId, cause }, value })),
    ),
    perRule("gauge", "kestrel_sequence_longest_chain", "Most events one pending sequence has had", (rule) => rule.longestChain),
    perRule("gauge", "kestrel_sequence_bytes", "Bytes of a rule's sequence state", (rule) => rule.bytes),
    perRule("counter", "kestrel_sequence_keys_cut_total", "Join keys left out because one event had too many", (rule) => rule.keysCut),
    metric("gauge", "kestrel_sequence_state_bytes", "Bytes of all sequence state", metrics.bytes),
    metric("gauge", "kestrel_sequence_buffered", "Events waiting to be put in order", metrics.buffered),
    metric("counter", "kestrel_sequence_late_events_total", "Events that came too late to be put in order", metrics.lateEvents),
    metric("counter", "kestrel_sequence_late_drops_total", "Sequences dropped because a late event completed them", metrics.lateDrops),
    metric("counter", "kestrel_sequence_forced_releases_total", "Events not put in order for lack of room", metrics.forcedReleases),
    metric("gauge", "kestrel_lineage_marks", "Processes remembered for lineage", metrics.lineageMarks),
    metric("counter", "kestrel_lineage_evictions_total", "Processes forgotten for lack of room", metrics.lineageEvictions),
  ];
}
