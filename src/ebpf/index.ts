// Door of the ebpf room: the live source and what doctor tells about this machine. Nothing here knows rules or alerts.

export type { CounterTable, SensorCounts } from "./counters.ts";
export { inspectAbilities } from "./deniers.ts";
export { type DoctorReport, inspectMachine } from "./doctor.ts";
export { ALL_WORDS, SENSOR_WORDS } from "./event-words.ts";
export { type SensorField, sensorFields } from "./field-sources.ts";
export { THREADS as READER_THREADS } from "./file-reader.ts";
export { ftraceIsOff } from "./function-hooks.ts";
export type { Refusal, SensorStatus } from "./loader.ts";
export type { PolicyStatus } from "./policies-in-use.ts";
export { kernelDevice } from "./program-file.ts";
export { serveProgramFiles } from "./reader-service.ts";
export { OPTIONAL_SENSORS } from "./sensors.ts";
export { EbpfSource } from "./source.ts";
export type { EbpfCounts } from "./source-counts.ts";
export type { EbpfOptions } from "./source-options.ts";
export { LATE_FIELDS, type LateFields } from "./write-program.ts";
