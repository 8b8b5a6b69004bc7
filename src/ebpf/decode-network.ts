// Records of the network sensors as values; see decode.ts.
import { parseDnsMessage } from "./dns-message.ts";
import type { DnsEvent, Ends, FlowEvent, UnixEvent } from "./kernel-event.ts";
import { copyOf, decodeActor, pathOf } from "./record-bytes.ts";
import { Dns, Flow, UnixConnect } from "./wire.ts";

const AF_INET = 2;
const AF_INET6 = 10;

/** What was done with a socket; `undefined`: of an address family that is not told. */
export function decodeFlow(record: Buffer, kind: FlowEvent["kind"]): FlowEvent | undefined {
  const ends = decodeEnds(record);
  return ends === undefined ? undefined : { kind, actor: decodeActor(record), ...ends };
}

/** A DNS message; `undefined`: of an address family that is not told. */
export function decodeDns(record: Buffer): DnsEvent | undefined {
  const ends = decodeEnds(record);
  if (ends === undefined) return undefined;
  const message = parseDnsMessage(copyOf(record, Dns.Size, record.readUInt16LE(Dns.MessageBytes)));
  return { kind: "dns", actor: decodeActor(record), ...ends, isAnswer: record.readUInt16LE(Dns.IsAnswer) !== 0, message };
}

/** A connection to a local socket. */
export function decodeUnix(record: Buffer): UnixEvent {
  const pathBytes = record.readUInt16LE(UnixConnect.PathBytes);
  const path = pathBytes === 0 ? undefined : pathOf(record, UnixConnect.Size, UnixConnect.Size + pathBytes);
  const nameEnd = UnixConnect.Name + Math.min(record.readUInt16LE(UnixConnect.NameBytes), UnixConnect.Size - UnixConnect.Name);
  const name = path === undefined ? record.toString("utf8", UnixConnect.Name, nameEnd).replaceAll("\0", "@") : "";
  return { kind: "unix", actor: decodeActor(record), path, name };
}

/** Both ends, which are at the same place in every record that has them. */
function decodeEnds(record: Buffer): Ends | undefined {
  const family = record.readUInt16LE(Flow.Family);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const addressBytes = family === AF_INET ? 4 : 16;
  return {
    source: copyOf(record, Flow.Source, addressBytes),
    destination: copyOf(record, Flow.Destination, addressBytes),
    protocol: record.readUInt16LE(Flow.Protocol),
    sourcePort: record.readUInt16LE(Flow.SourcePort),
    destinationPort: record.readUInt16LE(Flow.DestinationPort),
  };
}
