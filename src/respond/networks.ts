// Networks that an isolated machine may still talk to: text in, canonical value out, and what the kernel's longest match must be told so that
// a narrow network has what the wide ones around it have. No names of hosts: an isolated machine has nobody to ask for their addresses.
import { isIPv4, isIPv6 } from "node:net";
import { KestrelError } from "#core";
import { Allow } from "./isolation-map.ts";

/** One permission: everything between this machine and a network, or only one port of one side. */
export interface AllowedNetwork {
  /** Canonical, with its prefix: `10.0.0.5/32`, `fd00::/8`. */
  readonly network: string;
  /** Port of the other side. */
  readonly port?: number;
  /** Port of this machine. */
  readonly ownPort?: number;
}

/** A network as the kernel's map takes it. */
export interface NetworkEntry {
  /** 128-bit address, IPv4 as ::ffff:a.b.c.d. */
  readonly address: Uint8Array;
  /** Of 128. */
  readonly prefixBits: number;
  /** Empty: everything may pass. Bit {@link Allow.OwnPort}: a port of this machine. */
  readonly ports: readonly number[];
}

const IP4_BITS = 32;
const IP6_BITS = 128;
const PORT_MAX = 65_535;

/** Reads `ADDRESS`, `ADDRESS/BITS`, `ADDRESS/BITS:PORT`, and for IPv6 with a port `[ADDRESS/BITS]:PORT`. KestrelError `bad-network`. */
export function parseAllowed(text: string): AllowedNetwork {
  const [, bracketed, bracketPort] = /^\[([^\]]*)\](?::(.*))?$/.exec(text) ?? [];
  if (bracketed !== undefined) return withPort(canonicalNetwork(bracketed, text), bracketPort, text);
  const [, plain, port] = /^([^:]+):([^:]*)$/.exec(text) ?? [];
  return plain === undefined ? { network: canonicalNetwork(text, text) } : withPort(canonicalNetwork(plain, text), port, text);
}

function withPort(network: string, port: string | undefined, text: string): AllowedNetwork {
  if (port === undefined) return { network };
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > PORT_MAX)
    throw bad(text, `"${port}" is not a port from 1 to ${PORT_MAX}`);
  return { network, port: Number(port) };
}

/** The one text of a network. KestrelError `bad-network` for what is none, or names every address. */
function canonicalNetwork(text: string, whole: string): string {
  const [, address = "", bits] = /^([^/]*)(?:\/(.*))?$/.exec(text) ?? [];
  if (!isIPv4(address) && (!isIPv6(address) || address.includes("%"))) {
    throw bad(whole, `"${address}" is not an IPv4 or IPv6 address; names cannot be looked up once the machine is isolated`);
  }
  const width = isIPv4(address) ? IP4_BITS : IP6_BITS;
  if (bits !== undefined && (!/^\d{1,3}$/.test(bits) || Number(bits) > width))
    throw bad(whole, `"${bits}" is not a prefix length from 1 to ${width}`);
  const prefix = bits === undefined ? width : Number(bits);
  if (prefix === 0) throw bad(whole, "it names every address, and nothing would be isolated");
  const bytes = bytesOf(address);
  if (width === IP6_BITS && isMapped(bytes)) throw bad(whole, "write an IPv4 address as such, not inside an IPv6 one");
  const network = `${textOf(masked(bytes, prefix))}/${prefix}`;
  if (!bytes.every((byte, index) => byte === masked(bytes, prefix)[index]))
    throw bad(
      whole,
      `the address has bits behind its prefix: write ${network} for the network, or leave the prefix out for the one address`,
    );
  return network;
}

function bad(text: string, why: string): KestrelError {
  return new KestrelError("bad-network", `Cannot allow "${text}": ${why}`);
}

/** Whether one canonical network holds an address, given as text. */
export function holds(network: string, address: string): boolean {
  const plain = address.replace(/%.*$/, "").replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, "");
  if (!isIPv4(plain) && !isIPv6(plain)) return false;
  const bits = isIPv4(plain) ? IP4_BITS : IP6_BITS;
  return covers(entryOf(network), entryOf(`${textOf(bytesOf(plain))}/${bits}`));
}

/** What the kernel's map must hold for these permissions. KestrelError `bad-network` when there are more than it takes. */
export function entriesOf(allowed: readonly AllowedNetwork[]): readonly NetworkEntry[] {
  const networks = new Map(allowed.map(({ network }) => [network, entryOf(network)]));
  if (networks.size > Allow.NetworksMax)
    throw new KestrelError("bad-network", `Cannot allow ${networks.size} networks: at most ${Allow.NetworksMax}; name wider ones`);
  return [...networks].map(([text, entry]) => {
    const around = allowed.filter(({ network }) => covers(networks.get(network) as NetworkEntry, entry));
    if (around.some(({ port, ownPort }) => port === undefined && ownPort === undefined)) return entry;
    const ports = [...new Set(around.map(({ port, ownPort = 0 }) => port ?? ownPort | Allow.OwnPort))];
    if (ports.length > Allow.PortsMax)
      throw bad(text, `${ports.length} ports are allowed with it, at most ${Allow.PortsMax} can be; allow it whole`);
    return { ...entry, ports };
  });
}

function covers(wide: NetworkEntry, narrow: NetworkEntry): boolean {
  if (wide.prefixBits > narrow.prefixBits) return false;
  return masked(narrow.address, wide.prefixBits).every((byte, index) => byte === wide.address[index]);
}

function entryOf(network: string): NetworkEntry {
  const [address = "", bits = "0"] = network.split("/");
  const bytes = bytesOf(address);
  if (bytes.length === 16) return { address: bytes, prefixBits: Number(bits), ports: [] };
  const mapped = new Uint8Array(16);
  mapped.set([0xff, 0xff], 10);
  mapped.set(bytes, 12);
  return { address: mapped, prefixBits: Number(bits) + IP6_BITS - IP4_BITS, ports: [] };
}

function masked(bytes: Uint8Array, bits: number): Uint8Array {
  return bytes.map((byte, index) => byte & ~(0xff >> Math.min(8, Math.max(0, bits - index * 8))) & 0xff);
}

function isMapped(bytes: Uint8Array): boolean {
  return bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
}

/** Four or sixteen bytes of a valid address. */
function bytesOf(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split("."), Number);
  const [head = "", tail] = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => `${word(a, b)}:${word(c, d)}`).split("::");
  const words = (text: string): number[] => (text === "" ? [] : text.split(":").map((part) => Number.parseInt(part, 16)));
  const [first, last] = [words(head), tail === undefined ? [] : words(tail)];
  const all = [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
  return Uint8Array.from(all.flatMap((value) => [value >> 8, value & 0xff]));
}

function word(high: string, low: string): string {
  return (Number(high) * 256 + Number(low)).toString(16);
}

function textOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const words = Array.from({ length: 8 }, (_, index) => (((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0)).toString(16));
  // The URL parser writes the one short form of RFC 5952.
  return new URL(`http://[${words.join(":")}]/`).hostname.slice(1, -1);
}
