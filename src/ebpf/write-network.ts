// The network fields of a record: addresses, ports, protocol, and what DNS messages say.
import type { DnsAnswer } from "./dns-message.ts";
import type { FieldWriter } from "./field-writer.ts";
import type { DnsEvent, Ends, FlowEvent, UnixEvent } from "./kernel-event.ts";
import { writePath } from "./write-file.ts";

const TRANSPORTS = new Map<number, string>([
  [1, "icmp"],
  [6, "tcp"],
  [17, "udp"],
  [58, "ipv6-icmp"],
  [132, "sctp"],
  [136, "udplite"],
]);
const MAPPED_V4_PREFIX = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** What was done with a socket. */
export function writeFlow(fields: FieldWriter, event: FlowEvent): void {
  writeEnds(fields, event, event.kind === "connect" || event.kind === "send" ? "egress" : "ingress");
}

/** A connection to a local socket. */
export function writeUnix(fields: FieldWriter, event: UnixEvent): void {
  const { id, builder } = fields;
  if (event.path !== undefined) writePath(fields, event.path);
  fields.text(id.destinationAddress, event.path ?? event.name);
  builder.keyword(id.networkTransport, "unix");
  builder.keyword(id.networkDirection, "egress");
}

/** A DNS message. What is at the port of DNS and is none has its ends and no fields of DNS. */
export function writeDns(fields: FieldWriter, { message, isAnswer, ...ends }: DnsEvent): void {
  const { id, builder } = fields;
  writeEnds(fields, ends, isAnswer ? "ingress" : "egress");
  if (message === undefined) return;
  const { question, answers } = message;
  builder.keyword(id.networkProtocol, "dns");
  if (question !== undefined) {
    builder.keyword(id.dnsQuestionName, question.name);
    builder.keyword(id.dnsQuestionType, question.type);
    builder.keyword(id.dnsQuestionClass, question.class);
  }
  if (answers.length > 0) writeAnswers(fields, answers);
  if (isAnswer) builder.keyword(id.dnsResponseCode, message.responseCode);
  builder.keyword(id.dnsType, isAnswer ? "answer" : "query");
  builder.keyword(id.dnsId, String(message.id));
  builder.keyword(id.dnsOpCode, message.operation);
  builder.keywords(id.dnsHeaderFlags, message.flags);
  if (message.incomplete) builder.markRecordTruncated();
}

function writeAnswers({ id, builder }: FieldWriter, answers: readonly DnsAnswer[]): void {
  const column = (of: (answer: DnsAnswer) => string): readonly string[] => answers.map(of);
  builder.keywords(
    id.dnsAnswersName,
    column(({ name }) => name),
  );
  builder.keywords(
    id.dnsAnswersData,
    column(({ data }) => data),
  );
  builder.keywords(
    id.dnsAnswersType,
    column(({ type }) => type),
  );
  builder.value(
    id.dnsAnswersTtl,
    "i64",
    answers.map(({ ttl }) => BigInt(ttl)),
  );
  const addresses = answers.flatMap(({ data, isAddress }) => (isAddress ? [data] : []));
  builder.value(id.dnsResolvedIp, "ip", addresses);
}

/** Both ends as far as they are known, and which way it goes. */
function writeEnds(fields: FieldWriter, ends: Ends, direction: "egress" | "ingress"): void {
  const { id, builder } = fields;
  const destination = unmapped(ends.destination);
  const source = unmapped(ends.source);
  if (source.some((byte) => byte !== 0)) builder.ipBytes(id.sourceIp, source, 0, source.byteLength === 4 ? 4 : 16);
  if (ends.sourcePort !== 0) builder.i64Number(id.sourcePort, ends.sourcePort);
  builder.ipBytes(id.destinationIp, destination, 0, destination.byteLength === 4 ? 4 : 16);
  builder.i64Number(id.destinationPort, ends.destinationPort);
  fields.text(id.networkTransport, TRANSPORTS.get(ends.protocol));
  builder.keyword(id.networkDirection, direction);
  builder.keyword(id.networkType, destination.byteLength === 4 ? "ipv4" : "ipv6");
  builder.keyword(id.networkIanaNumber, String(ends.protocol));
}

/** The IPv4 address inside `::ffff:a.b.c.d`, which an IPv6 socket uses to reach IPv4; any other address as it is. */
function unmapped(address: Uint8Array): Uint8Array {
  const mapped = address.byteLength === 16 && MAPPED_V4_PREFIX.every((byte, index) => address[index] === byte);
  return mapped ? address.slice(12) : address;
}
