// Door of the event room: building, reading and checking records, and their two file forms (JSON lines, `.klog`).
export { RecordBuilder } from "./builder.ts";
export { formatDate, parseDate } from "./date.ts";
export { type JsonValue, parseJson } from "./exact-json.ts";
export { EventFileError } from "./file-error.ts";
export { canonicalIp, formatIp, parseIp } from "./ip.ts";
export { type DecodeProblem, JsonDecoder, type JsonDecoderOptions } from "./json-decoder.ts";
export { encodeJson, type JsonObject } from "./json-encoder.ts";
export { isKlogFile, KlogReader, type KlogSummary } from "./klog-reader.ts";
export { KlogWriter } from "./klog-writer.ts";
export { type LineChunk, type NumberedLine, readLineChunks, readLines } from "./lines.ts";
export type { PackedFields } from "./packed-fields.ts";
export { type PackedKeywords, packKeywords } from "./packed-keywords.ts";
export { parseTimestamp, type TimestampUnit } from "./timestamp.ts";
export { validateRecord } from "./validate.ts";
export { RecordView, recordSize, setRecordSeq } from "./view.ts";
