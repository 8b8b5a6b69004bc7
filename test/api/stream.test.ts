// The alert stream: what comes, in which order, after which interruptions, and what a slow client costs.
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { type MemoryAlerts, makeAlert, makeApi, type TestApi } from "./fixture.ts";

const HEARTBEAT_MS = 15_000;

/** Reads a stream's text piece by piece. */
class Reader {
  readonly #reader: { read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>; cancel(): Promise<void> };
  readonly #decoder = new TextDecoder();
  text = "";

  constructor(response: Response) {
    this.#reader = response.body!.getReader();
  }

  /** Takes the next piece; false at the end. */
  async next(): Promise<boolean> {
    const { done, value } = await this.#reader.read();
    if (!done) this.text += this.#decoder.decode(value, { stream: true });
    return !done;
  }

  /** Reads until `count` alerts came; their ids. */
  async alerts(count: number): Promise<number[]> {
    while (this.positions().length < count && (await this.next()));
    return this.positions();
  }

  positions(): number[] {
    return [...this.text.matchAll(/^event: alert\nid: (\d+)\ndata: (.+)\n\n/gm)].map(([, id, data]) => {
      expect(() => JSON.parse(data!)).not.toThrow();
      return Number(id);
    });
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

async function open({ ask }: TestApi, lastId?: number): Promise<Reader> {
  const response = await ask("/v1/alerts/stream", lastId === undefined ? {} : { headers: { "last-event-id": String(lastId) } });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = new Reader(response);
  await reader.next();
  return reader;
}

function addMany(alerts: MemoryAlerts, from: number, to: number): void {
  for (let number = from; number <= to; number++) alerts.add(makeAlert(number));
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

const metricOf = async ({ ask }: TestApi, name: string): Promise<number> => {
  const line = (await (await ask("/metrics")).text()).split("\n").find((text) => text.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
};

describe("a stream", () => {
  test("starts now and says where it is", async () => {
    const all = makeApi();
    addMany(all.alerts, 1, 5);
    const reader = await open(all);
    expect(reader.text).toBe("retry: 2000\nevent: ready\nid: 5\ndata: {}\n\n");
    addMany(all.alerts, 6, 7);
    expect(await reader.alerts(2)).toEqual([6, 7]);
    expect(reader.text).toContain('"start":9007199254740993');
    await reader.cancel();
    expect(all.alerts.listenerCount).toBe(0);
  });

  test("that comes back gets what it missed, then follows", async () => {
    const all = makeApi();
    addMany(all.alerts, 1, 350);
    const reader = await open(all, 120);
    expect(await reader.alerts(230)).toEqual(range(121, 350));
    addMany(all.alerts, 351, 352);
    expect(await reader.alerts(232)).toEqual(range(121, 352));
  });

  test("that names a position of an older store starts now instead of staying silent", async () => {
    const all = makeApi();
    addMany(all.alerts, 1, 2);
    const reader = await open(all, 999);
    addMany(all.alerts, 3, 3);
    expect(await reader.alerts(1)).toEqual([3]);
  });

  test.each(["", "abc", "-1", "1.5", "9".repeat(16)])("refuses the position %j", async (lastId) => {
    const response = await makeApi().ask("/v1/alerts/stream", { headers: { "last-event-id": lastId } });
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([400, "invalid-header"]);
  });

  test("gives each alert once and in order, however storing, reading and reconnecting interleave", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(fc.nat(150), fc.constantFrom("read", "reconnect" as const)), { maxLength: 25 }), async (steps) => {
        const all = makeApi();
        let reader = await open(all);
        let seen: number[] = [];
        const last = (): number => seen.at(-1) ?? 0;
        for (const step of steps) {
          if (typeof step === "number") {
            addMany(all.alerts, all.alerts.stored.length + 1, all.alerts.stored.length + step);
          } else if (step === "reconnect") {
            seen = [...seen, ...reader.positions()];
            await reader.cancel();
            reader = await open(all, last());
          } else if (seen.length + reader.positions().length < all.alerts.stored.length) {
            await reader.next();
          }
        }
        await reader.alerts(all.alerts.stored.length - seen.length);
        expect([...seen, ...reader.positions()]).toEqual(range(1, all.alerts.stored.length));
        await reader.cancel();
      }),
      { numRuns: 40, verbose: 1 },
    );
  });

  test("shows it is alive while nothing happens", async () => {
    const all = makeApi();
    const reader = await open(all);
    for (const beat of [1, 2, 3]) {
      const waiting = reader.next();
      // The read has reached the stream before time moves.
      await Promise.resolve();
      all.clock.advance(HEARTBEAT_MS);
      await waiting;
      expect(reader.text.match(/^: still here$/gm)).toHaveLength(beat);
    }
  });
});

describe("a client that does not keep up", () => {
  test("is cut off at the queue's limit, counted, and complete after it comes back", async () => {
    const all = makeApi();
    const slow = await open(all);
    // The first alert is taken; from then on the queue fills.
    addMany(all.alerts, 1, 1);
    expect(await slow.alerts(1)).toEqual([1]);
    addMany(all.alerts, 2, 1030);
    while (await slow.next());
    expect(all.alerts.listenerCount).toBe(0);
    expect(await metricOf(all, 'kestrel_api_stream_dropped_total{reason="queue-full"}')).toBe(1);
    const again = await open(all, slow.positions().at(-1));
    await again.alerts(1030 - slow.positions().length);
    expect([...slow.positions(), ...again.positions()]).toEqual(range(1, 1030));
  });

  test("does not slow the others", async () => {
    const all = makeApi();
    const slow = await open(all);
    addMany(all.alerts, 1, 1);
    await slow.alerts(1);
    const quick = await open(all, 0);
    for (let number = 2; number <= 1200; number += 100) {
      addMany(all.alerts, number, Math.min(1200, number + 99));
      await quick.alerts(Math.min(1200, number + 99));
    }
    expect(quick.positions()).toEqual(range(1, 1200));
  });

  test("and takes nothing for a minute is cut off", async () => {
    const all = makeApi();
    await open(all);
    for (let beat = 0; beat < 4; beat++) all.clock.advance(HEARTBEAT_MS);
    expect(await metricOf(all, 'kestrel_api_stream_dropped_total{reason="stalled"}')).toBe(1);
    expect(await metricOf(all, "kestrel_api_stream_clients")).toBe(0);
  });
});

test("a store that cannot be read ends the stream, counted, and nothing else", async () => {
  const all = makeApi();
  addMany(all.alerts, 1, 5);
  const reader = await open(all, 1);
  all.alerts.after = () => {
    throw new Error("disk I/O error");
  };
  expect(await reader.next()).toBe(false);
  expect(all.alerts.listenerCount).toBe(0);
  expect(await metricOf(all, 'kestrel_api_stream_dropped_total{reason="store-failed"}')).toBe(1);
});

test("only so many streams are open at a time", async () => {
  const all = makeApi();
  const readers = await Promise.all(Array.from({ length: 64 }, () => open(all)));
  const refused = await all.ask("/v1/alerts/stream");
  expect([refused.status, ((await refused.json()) as { code: string }).code]).toEqual([503, "too-many-streams"]);
  await readers[0]!.cancel();
  await open(all);
  expect(await metricOf(all, "kestrel_api_stream_refused_total")).toBe(1);
});

test("closing the API ends every stream", async () => {
  const all = makeApi();
  const readers = await Promise.all([open(all), open(all)]);
  const ends = readers.map((reader) => reader.next());
  all.api.close();
  expect(await Promise.all(ends)).toEqual([false, false]);
  expect(all.alerts.listenerCount).toBe(0);
});
