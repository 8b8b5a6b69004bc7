// Bun's server takes every connection it is offered, and each holds a descriptor that the agent needs to follow a process or to kill it. No token is
// asked for before, so whoever can connect could use them all up: the newest connections are cut where there are too many.
import { closeSync, openSync } from "node:fs";
import type { Finding, Watch } from "#core";
import { connectionsAt, descriptorsMax, endConnection } from "#ffi/sockets";

/** Most connections to the API at one time; half of the descriptors that are left, when that is less. */
export const CONNECTIONS_MAX = 256;
const LOOK_EVERY_MS = 100;

/** See the head of this file. */
export class ConnectionLimit implements Watch {
  readonly name = "connections";
  readonly title = "Connections to the API were cut";
  readonly kind = "moment";
  #max = CONNECTIONS_MAX;
  #timer: Timer | undefined;
  /** While the next free descriptor is below this one, there are not too many connections. */
  #enough = 0;
  #cut = 0;

  /** Begins to look. `port`: of the API, in this process. */
  start(port: number): void {
    this.#max = Math.min(CONNECTIONS_MAX, Math.floor((descriptorsMax() - nextDescriptor()) / 2));
    this.#timer = setInterval(() => this.#limit(port), LOOK_EVERY_MS);
  }

  #limit(port: number): void {
    const next = nextDescriptor();
    if (next < this.#enough) return;
    const open = connectionsAt(port, next);
    // The next free descriptor is the lowest, so a number this much higher takes as many more connections at least.
    this.#enough = next + this.#max - open.length;
    for (const fd of open.slice(this.#max)) {
      endConnection(fd);
      this.#cut++;
    }
  }

  look(): readonly Finding[] {
    const cut = this.#cut;
    this.#cut = 0;
    if (cut === 0) return [];
    const message = `${cut} connections to the API were cut: more than ${this.#max} were open`;
    return [{ subject: "api", message, facts: { "kestrel.self.connections": cut } }];
  }

  /** Looks no more. Twice is fine. */
  close(): void {
    clearInterval(this.#timer);
  }
}

/** The lowest descriptor that is free; the limit when none is. */
function nextDescriptor(): number {
  try {
    const fd = openSync("/dev/null", "r");
    closeSync(fd);
    return fd;
  } catch {
    return descriptorsMax();
  }
}
