// Metrics of the sensors and their records, from what status says of them.
import type { AgentStatus } from "#api";
import type { MetricFamily } from "#core";

/** One sample a sensor and one a kind of records and outcome. */
export function sensorFamilies({ sensors, records }: Pick<AgentStatus, "sensors" | "records">): readonly MetricFamily[] {
  return [
    {
      name: "kestrel_sensor_state",
      type: "gauge",
      help: "1 for the state a sensor is in: on, fallback, unused (no rule can match its events), off (refused)",
      samples: sensors.map(({ name, state }) => ({ labels: { sensor: name, state }, value: 1 })),
    },
    {
      name: "kestrel_sensor_records_total",
      type: "counter",
      help: "Records by kind: produced; of these dropped by a full ring; filtered beside them, since no rule can match them",
      samples: records.flatMap(({ kind, produced, dropped, filtered }) => [
        { labels: { kind, outcome: "produced" }, value: produced },
        { labels: { kind, outcome: "dropped" }, value: dropped },
        { labels: { kind, outcome: "filtered" }, value: filtered },
      ]),
    },
  ];
}
