// Door of the event room: building, reading and checking records, and their two file forms (JSON lines, `.klog`).
export { entryTypeOf, RecordBuilder } from "./builder.ts";
export { formatDate, parseDate } from "./date.ts";
export { type JsonProblem, type JsonValue, parseJson } from "./exact-json.ts";
export { canonicalIp, formatIp, parseIp } from "./ip.ts";
export { isUtf8, repairUtf8 } from "./utf8.ts";
export { validateRecord } from "./validate.ts";
export { RecordView, recordSize, setRecordSeq } from "./view.ts";
