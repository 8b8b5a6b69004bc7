// Door of the event room: building, reading and checking records, and their two file forms (JSON lines, `.klog`).
export { entryTypeOf, RecordBuilder } from "./builder.ts";
export { formatDate, parseDate } from "./date.ts";
export { type JsonProblem, type JsonValue, parseJson } from "./exact-json.ts";
export { type EventFileCode, EventFileError } from "./file-error.ts";
export { canonicalIp, formatIp, parseIp } from "./ip.ts";
export { type DecodeProblem, JsonDecoder, type JsonDecoderOptions, LINE_BYTES_MAX } from "./json-decoder.ts";
export { encodeJson, type JsonObject } from "./json-encoder.ts";
export { isKlogFile, type KlogItem, type KlogProblem, KlogReader, type KlogSummary, type RecordBlock, readKlog } from "./klog-reader.ts";
export { KlogWriter, type KlogWriterOptions } from "./klog-writer.ts";
export { type LineChunk, type NumberedLine, readBytes, readLineChunks, readLines, STDIN_NAME } from "./lines.ts";
export type { TimestampUnit } from "./timestamp.ts";
export { isUtf8, repairUtf8 } from "./utf8.ts";
export { validateRecord } from "./validate.ts";
export { RecordView, recordSize, setRecordSeq } from "./view.ts";
