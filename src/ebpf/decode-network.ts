// Records of the network sensors as values; see decode.ts.
import type { ConnectEvent } from "./kernel-event.ts";
import { copyOf, decodeActor } from "./record-bytes.ts";
import { Connect } from "./wire.ts";

const AF_INET = 2;
const AF_INET6 = 10;

/** A connection that was asked for; `undefined`: of an address family that is not told. */
export function decodeConnect(record: Buffer): ConnectEvent | undefined {
  const family = record.readUInt16LE(Connect.Family);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const addressBytes = family === AF_INET ? 4 : 16;
  return {
    kind: "connect",
    actor: decodeActor(record),
    source: copyOf(record, Connect.Source, addressBytes),
    destination: copyOf(record, Connect.Destination, addressBytes),
    protocol: record.readUInt16LE(Connect.Protocol),
    sourcePort: record.readUInt16LE(Connect.SourcePort),
    destinationPort: record.readUInt16LE(Connect.DestinationPort),
  };
}
