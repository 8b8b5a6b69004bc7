// Records of the network sensors as values; see decode.ts.
import type { FlowEvent } from "./kernel-event.ts";
import { copyOf, decodeActor } from "./record-bytes.ts";
import { Flow } from "./wire.ts";

const AF_INET = 2;
const AF_INET6 = 10;

/** What was done with a socket; `undefined`: of an address family that is not told. */
export function decodeFlow(record: Buffer, kind: FlowEvent["kind"]): FlowEvent | undefined {
  const family = record.readUInt16LE(Flow.Family);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const addressBytes = family === AF_INET ? 4 : 16;
  return {
    kind,
    actor: decodeActor(record),
    source: copyOf(record, Flow.Source, addressBytes),
    destination: copyOf(record, Flow.Destination, addressBytes),
    protocol: record.readUInt16LE(Flow.Protocol),
    sourcePort: record.readUInt16LE(Flow.SourcePort),
    destinationPort: record.readUInt16LE(Flow.DestinationPort),
  };
}
