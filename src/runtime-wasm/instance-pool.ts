// A bounded set of things that are dear to make and used one at a time, such as module instances. Who finds none free waits its turn, up to
// a time limit; the queue of waiters is bounded too. Time comes from a Clock.
import { type Cancel, type Clock, KestrelError } from "#core";

/** Options of {@link InstancePool}. */
export interface PoolOptions<T> {
  /** Most items alive at once. */
  readonly sizeMax: number;
  /** Most callers waiting at once. */
  readonly waitersMax: number;
  readonly clock: Clock;
  readonly make: () => T;
  readonly dispose: (item: T) => void;
}

interface Waiter<T> {
  readonly give: (item: T) => void;
  readonly fail: (error: Error) => void;
  readonly cancelTimer: Cancel;
}

/** The pool. Items are made when first needed. */
export class InstancePool<T> {
  readonly #options: PoolOptions<T>;
  readonly #idle: T[] = [];
  readonly #used = new Set<T>();
  #waiters: Waiter<T>[] = [];
  #closed = false;

  constructor(options: PoolOptions<T>) {
    if (!(Number.isInteger(options.sizeMax) && options.sizeMax > 0)) {
      throw new KestrelError("bad-option", `Pool size must be a positive integer, got ${options.sizeMax}`);
    }
    this.#options = options;
  }

  /** Items in use and free. */
  get counts(): { readonly used: number; readonly idle: number; readonly waiting: number } {
    return { used: this.#used.size, idle: this.#idle.length, waiting: this.#waiters.length };
  }

  /** A free item, a new one, or `undefined` when all are in use. What `make` throws comes through. */
  tryAcquire(): T | undefined {
    if (this.#closed) throw closedError();
    let item = this.#idle.pop();
    if (item === undefined) {
      if (this.#used.size >= this.#options.sizeMax) return undefined;
      item = this.#options.make();
    }
    this.#used.add(item);
    return item;
  }

  /** Waits for an item. Rejects with KestrelError `pool-timeout` when none came free in time, `pool-full` when too many wait already. */
  async acquire(timeoutMs: number): Promise<T> {
    const item = this.tryAcquire();
    if (item !== undefined) return item;
    if (this.#waiters.length >= this.#options.waitersMax) {
      throw new KestrelError("pool-full", `All ${this.#options.sizeMax} instances are in use and ${this.#waiters.length} callers wait`);
    }
    return new Promise<T>((give, fail) => {
      const cancelTimer = this.#options.clock.after(timeoutMs, () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        fail(new KestrelError("pool-timeout", `No instance came free within ${timeoutMs} ms`));
      });
      const waiter: Waiter<T> = { give, fail, cancelTimer };
      this.#waiters.push(waiter);
    });
  }

  /** Gives an item back for the next user. */
  release(item: T): void {
    if (!this.#used.delete(item)) throw new KestrelError("not-acquired", "Released something that is not in use");
    if (this.#closed) {
      this.#options.dispose(item);
      return;
    }
    this.#idle.push(item);
    this.#serve();
  }

  /** Gives up an item that is broken; the next user gets a new one. */
  discard(item: T): void {
    if (!this.#used.delete(item)) throw new KestrelError("not-acquired", "Discarded something that is not in use");
    this.#options.dispose(item);
    if (!this.#closed) this.#serve();
  }

  /** Disposes free items, refuses waiters; items in use are disposed when they come back. Twice is fine. */
  close(): void {
    this.#closed = true;
    for (const item of this.#idle.splice(0)) this.#options.dispose(item);
    for (const waiter of this.#waiters.splice(0)) {
      waiter.cancelTimer();
      waiter.fail(closedError());
    }
  }

  #serve(): void {
    const waiter = this.#waiters[0];
    if (waiter === undefined) return;
    try {
      const item = this.tryAcquire();
      if (item === undefined) return;
      this.#waiters.shift();
      waiter.cancelTimer();
      waiter.give(item);
    } catch (error) {
      this.#waiters.shift();
      waiter.cancelTimer();
      waiter.fail(error instanceof Error ? error : new KestrelError("pool", String(error)));
    }
  }
}

function closedError(): KestrelError {
  return new KestrelError("closed", "Instance pool is closed");
}
