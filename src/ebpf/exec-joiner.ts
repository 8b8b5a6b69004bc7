// Puts the arguments of an exec together: the first bytes come with the exec's record, the rest in records behind it. Invariant: bounded
// in number and in time, and the order of one process's events is kept; a lost piece only makes the arguments end early.
import type { ArgsEvent, ExecEvent, KernelEvent } from "./kernel-event.ts";

/** Bytes of arguments the kernel side sends for one exec. */
export const ARGS_BYTES_MAX: number = 256 << 10;
/** Most execs that wait for more arguments at one time. */
export const PENDING_MAX = 32;
/** How long one waits, in nanoseconds of boot time. Its pieces are sent without a pause, so this passes only when one was lost. */
export const PENDING_NS_MAX = 200_000_000n;

/** An event that is whole. */
export type WholeEvent = Exclude<KernelEvent, ArgsEvent>;

interface Pending {
  readonly exec: ExecEvent;
  readonly bytes: Uint8Array;
  length: number;
}

/** See the head of this file. */
export class ExecJoiner {
  readonly #pending = new Map<number, Pending>();
  /** Pieces that fitted no waiting exec. */
  strays = 0;

  /** Execs that wait for more. */
  get size(): number {
    return this.#pending.size;
  }

  /** Takes the next event in the kernel's order and gives what is whole now to `out`, in order. */
  take(event: KernelEvent, out: (event: WholeEvent) => void): void {
    const pending = this.#pending.get(event.actor.pid);
    if (event.kind === "args") {
      if (pending === undefined || event.offset !== pending.length || event.actor.timeNs !== pending.exec.actor.timeNs) {
        this.strays++;
        return;
      }
      const piece = event.args.subarray(0, pending.bytes.byteLength - pending.length);
      pending.bytes.set(piece, pending.length);
      pending.length += piece.byteLength;
      if (pending.length >= pending.bytes.byteLength || piece.byteLength === 0) this.#finish(pending, out);
      return;
    }
    if (pending !== undefined) this.#finish(pending, out);
    if (event.kind !== "exec" || !isIncomplete(event)) {
      out(event);
      return;
    }
    const bytes = new Uint8Array(Math.min(event.argsSize, ARGS_BYTES_MAX));
    bytes.set(event.args);
    this.#pending.set(event.actor.pid, { exec: event, bytes, length: event.args.byteLength });
    if (this.#pending.size > PENDING_MAX) {
      const oldest = this.#pending.values().next();
      if (oldest.done !== true) this.#finish(oldest.value, out);
    }
  }

  /** Gives up on pieces of execs older than PENDING_NS_MAX; on all of them when `nowNs` is not given. */
  expire(out: (event: WholeEvent) => void, nowNs?: bigint): void {
    for (const pending of [...this.#pending.values()]) {
      if (nowNs === undefined || pending.exec.actor.timeNs + PENDING_NS_MAX < nowNs) this.#finish(pending, out);
    }
  }

  #finish(pending: Pending, out: (event: WholeEvent) => void): void {
    this.#pending.delete(pending.exec.actor.pid);
    out({ ...pending.exec, args: pending.bytes.subarray(0, pending.length) });
  }
}

/** Whether more bytes are on their way. A first piece that could not be read has no successors worth waiting for. */
function isIncomplete(event: ExecEvent): boolean {
  return event.args.byteLength > 0 && event.args.byteLength < Math.min(event.argsSize, ARGS_BYTES_MAX);
}
