// Counters and gauges by name and labels. Plain numbers read at scrape time: the hot path owns its own counters and is asked for them.

/** One measured value with its labels. */
export interface MetricSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric family in the Prometheus sense. Names follow its conventions: `kestrel_events_total`, `kestrel_memory_bytes`. */
export interface MetricFamily {
  readonly name: string;
  readonly type: "counter" | "gauge";
  readonly help: string;
  readonly samples: readonly MetricSample[];
}

/** A family with one sample and no labels. */
export function metric(type: MetricFamily["type"], name: string, help: string, value: number): MetricFamily {
  return { name, type, help, samples: [{ labels: {}, value }] };
}

/** A family with one sample for each key of `values`, under the label `label`. */
export function metricBy(
  family: Pick<MetricFamily, "type" | "name" | "help">,
  label: string,
  values: Readonly<Record<string, number>>,
): MetricFamily {
  return { ...family, samples: Object.entries(values).map(([key, value]) => ({ labels: { [label]: key }, value })) };
}
