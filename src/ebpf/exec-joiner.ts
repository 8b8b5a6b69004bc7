// Puts arguments and environment of an exec together: the first bytes come with the exec's record, the rest in records behind it, those of
// the arguments first. Invariant: bounded in number and in time, and the order of one process's events is kept; a lost piece only makes the
// arguments or the environment end early.
import type { ArgsEvent, ExecEvent, KernelEvent } from "./kernel-event.ts";
import { Flag } from "./wire.ts";

/** Bytes of arguments the kernel side sends for one exec. */
export const ARGS_BYTES_MAX: number = 256 << 10;
/** The same of its environment. */
const ENV_BYTES_MAX: number = 64 << 10;
/** Most execs that wait for more arguments at one time. */
export const PENDING_MAX = 32;
/** How long one waits, in nanoseconds of boot time. Its pieces are sent without a pause, so this passes only when one was lost. */
export const PENDING_NS_MAX = 200_000_000n;

/** An event that is whole. */
export type WholeEvent = Exclude<KernelEvent, ArgsEvent>;

/** Bytes that come in pieces. */
interface Pieces {
  readonly bytes: Uint8Array;
  length: number;
}

interface Pending {
  readonly exec: ExecEvent;
  readonly args: Pieces;
  readonly env: Pieces;
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
      const pieces = event.isEnv ? pending?.env : pending?.args;
      if (pending === undefined || event.offset !== pieces?.length || event.actor.timeNs !== pending.exec.actor.timeNs) {
        this.strays++;
        return;
      }
      if (!append(pieces, event.args) || (isWhole(pending.args) && isWhole(pending.env))) this.#finish(pending, out);
      return;
    }
    if (pending !== undefined) this.#finish(pending, out);
    if (event.kind !== "exec" || !isIncomplete(event)) {
      out(event);
      return;
    }
    const args = begun(event.args, Math.min(event.argsSize, ARGS_BYTES_MAX));
    const env = begun(event.env, Math.min(event.envSize, ENV_BYTES_MAX));
    this.#pending.set(event.actor.pid, { exec: event, args, env });
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
    out({ ...pending.exec, args: taken(pending.args), env: taken(pending.env) });
  }
}

/** Whether more bytes are on their way. What could not be read from its beginning has no more worth waiting for. */
function isIncomplete({ actor, args, argsSize, env, envSize }: ExecEvent): boolean {
  const moreArgs = args.byteLength > 0 && args.byteLength < Math.min(argsSize, ARGS_BYTES_MAX);
  const isEnvUnreadable = env.byteLength === 0 && (actor.flags & Flag.ReadFailed) !== 0;
  return moreArgs || (!isEnvUnreadable && env.byteLength < Math.min(envSize, ENV_BYTES_MAX));
}

function begun(first: Uint8Array, size: number): Pieces {
  const bytes = new Uint8Array(Math.max(size, first.byteLength));
  bytes.set(first);
  return { bytes, length: first.byteLength };
}

/** False when the piece is empty: there will be no more. */
function append(pieces: Pieces, piece: Uint8Array): boolean {
  const fitting = piece.subarray(0, pieces.bytes.byteLength - pieces.length);
  pieces.bytes.set(fitting, pieces.length);
  pieces.length += fitting.byteLength;
  return piece.byteLength > 0;
}

function isWhole({ bytes, length }: Pieces): boolean {
  return length >= bytes.byteLength;
}

function taken({ bytes, length }: Pieces): Uint8Array {
  return bytes.subarray(0, length);
}
