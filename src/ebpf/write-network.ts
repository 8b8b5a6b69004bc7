// The network fields of a record: addresses, ports, protocol.
import type { FieldWriter } from "./field-writer.ts";
import type { FlowEvent } from "./kernel-event.ts";

const TRANSPORTS = new Map<number, string>([
  [1, "icmp"],
  [6, "tcp"],
  [17, "udp"],
  [58, "ipv6-icmp"],
  [132, "sctp"],
  [136, "udplite"],
]);
const MAPPED_V4_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** Both ends of what was done with a socket, as far as they are known, and which way it goes. */
export function writeFlow(fields: FieldWriter, event: FlowEvent): void {
  const { id, builder } = fields;
  const destination = unmapped(event.destination);
  const source = unmapped(event.source);
  if (source.some((byte) => byte !== 0)) builder.ipBytes(id.sourceIp, source, 0, source.byteLength === 4 ? 4 : 16);
  if (event.sourcePort !== 0) builder.i64Number(id.sourcePort, event.sourcePort);
  builder.ipBytes(id.destinationIp, destination, 0, destination.byteLength === 4 ? 4 : 16);
  builder.i64Number(id.destinationPort, event.destinationPort);
  fields.text(id.networkTransport, TRANSPORTS.get(event.protocol));
  builder.keyword(id.networkDirection, event.kind === "connect" || event.kind === "send" ? "egress" : "ingress");
  builder.keyword(id.networkType, destination.byteLength === 4 ? "ipv4" : "ipv6");
  builder.keyword(id.networkIanaNumber, String(event.protocol));
}

/** The IPv4 address inside `::ffff:a.b.c.d`, which an IPv6 socket uses to reach IPv4; any other address as it is. */
function unmapped(address: Uint8Array): Uint8Array {
  const mapped = address.byteLength === 16 && MAPPED_V4_PREFIX.every((byte, index) => address[index] === byte);
  return mapped ? address.slice(12) : address;
}
