// Addresses to listen on, and which Host header a browser may send there.
import { isIP } from "node:net";
import { KestrelError } from "#core";

/** Where to listen. */
export interface ListenAddress {
  /** A name or address without brackets. */
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

const FORMS = 'HOST:PORT, for example "127.0.0.1:8490", "[::1]:8490", "localhost:0" or ":8490"';
const HOST_NAME = /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/;

/**
 * Reads `HOST:PORT`. Without a host it is the loopback address: reaching further must be asked for by name. `purpose` is what errors say cannot
 * be done with the address.
 */
export function parseListen(text: string, purpose = "listen on"): ListenAddress {
  const cannot = `Cannot ${purpose} ${JSON.stringify(text)}`;
  const match = /^(?:\[([^[\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  if (match === null) throw new KestrelError("invalid-listen", `${cannot}: expected ${FORMS}`);
  const port = Number(match[3]);
  if (port > 65_535) throw new KestrelError("invalid-listen", `${cannot}: port ${port} is above 65535`);
  const bracketed = match[1];
  if (bracketed !== undefined) {
    if (isIP(bracketed) !== 6) throw new KestrelError("invalid-listen", `${cannot}: "${bracketed}" is not an IPv6 address`);
    return { host: bracketed, port };
  }
  const host = match[2]!;
  if (host === "") return { host: "127.0.0.1", port };
  const looksNumeric = /^[\d.]+$/.test(host);
  if (looksNumeric ? isIP(host) !== 4 : !HOST_NAME.test(host) || host.length > 253)
    throw new KestrelError("invalid-listen", `${cannot}: ${JSON.stringify(host)} is not a host name or an IPv4 address`);
  return { host, port };
}

/** Whether only this machine can reach the address. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost" || host === "::1") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}

/** Whether a Host header names this machine's loopback, whatever the port: a page of another site whose name was rebound to 127.0.0.1 does not. */
export function isLoopbackHostHeader(header: string): boolean {
  const match = /^(?:\[([0-9A-Fa-f:.]*)\]|([^:[\]]+))(?::\d{1,5})?$/.exec(header);
  if (match === null) return false;
  return match[1] === undefined ? isLoopback(match[2]!) : match[1] === "::1";
}
