// Child of the full-disk test: writes blocks until the file may not grow any more, then goes on for a while, and says what it counted.
import { EventFileError, KlogWriter, RecordBuilder } from "#event";
import { SchemaRegistry } from "#schema";

const writer = KlogWriter.open(process.argv[2] as string, new SchemaRegistry(), { compress: false, blockRecords: 3 });
const builder = new RecordBuilder();
const failures: string[] = [];
for (let number = 0; number < 300; number++) {
  builder.begin(3, BigInt(number));
  builder.i64Number(105, number);
  builder.keyword(100, "x".repeat(200));
  try {
    writer.append(builder.bytes, 0, builder.finish());
  } catch (error) {
    if (!(error instanceof EventFileError)) throw error;
    failures.push(`${error.code}: ${error.message}`);
    // The record itself was not taken: it is offered again.
    writer.append(builder.bytes, 0, builder.finish());
  }
}
try {
  writer.close();
} catch (error) {
  failures.push(String(error));
}
console.log(JSON.stringify({ written: writer.recordsWritten, lost: writer.recordsLost, size: writer.sizeBytes, failures }));
