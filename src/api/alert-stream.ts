// Server-sent events for alerts. Each client first reads what it missed from the store, then follows; no alert is skipped or doubled between the two.
// A client's queue is bounded: one that does not keep up is disconnected and counted, and catches up from the store when it comes back.
import type { Clock, MetricFamily } from "#core";
import { metric, metricBy } from "#core";
import type { AlertReader, StoredAlert } from "./ports.ts";

/** Media type of a stream. */
export const STREAM_MEDIA_TYPE = "text/event-stream";
/** Most clients at a time. */
const STREAM_CLIENTS_MAX = 64;
/** Most alerts waiting for one client. */
const STREAM_QUEUE_MAX = 1024;
/** Most characters waiting for one client; a single larger alert still passes. */
const STREAM_QUEUE_CHARS_MAX: number = 8 << 20;
/** A comment is sent after this time without an alert, so that both sides notice a dead connection. */
const HEARTBEAT_MS = 15_000;
/** A client that takes nothing for this many heartbeats is disconnected. */
const STALLED_BEATS_MAX = 4;
/** Alerts read from the store at a time while catching up. */
const CATCH_UP_PAGE = 100;

/** Why a client was disconnected by the server. */
type DropReason = "queue-full" | "stalled" | "store-failed";

/** All open alert streams. */
export class AlertStreams {
  readonly #reader: AlertReader;
  readonly #clock: Clock;
  readonly #clients = new Set<StreamClient>();
  readonly #dropped: Record<DropReason, number> = { "queue-full": 0, stalled: 0, "store-failed": 0 };
  #sent = 0;
  #refused = 0;
  #unsubscribe: (() => void) | undefined;

  constructor(reader: AlertReader, clock: Clock) {
    this.#reader = reader;
    this.#clock = clock;
  }

  /** A new client's bytes, from the alert after `lastPosition` or, without it, from now. Undefined: too many clients. */
  open(lastPosition: number | undefined): ReadableStream<Uint8Array> | undefined {
    if (this.#clients.size >= STREAM_CLIENTS_MAX) {
      this.#refused++;
      return undefined;
    }
    const latest = this.#reader.latestPosition();
    // A position from the future is one of a store that was replaced since: start from now rather than never sending anything.
    const from = lastPosition === undefined || lastPosition > latest ? latest : lastPosition;
    const client = new StreamClient(this.#reader, this.#clock, from, {
      sent: () => {
        this.#sent++;
      },
      closed: (self, reason) => {
        this.#clients.delete(self);
        if (reason !== undefined) this.#dropped[reason]++;
        if (this.#clients.size > 0) return;
        this.#unsubscribe?.();
        this.#unsubscribe = undefined;
      },
    });
    this.#clients.add(client);
    this.#unsubscribe ??= this.#reader.subscribe((alert) => {
      for (const each of [...this.#clients]) each.offer(alert);
    });
    return client.stream;
  }

  /** Ends every stream. */
  close(): void {
    for (const client of [...this.#clients]) client.close();
  }

  /** Counters for `/metrics`. */
  metrics(): readonly MetricFamily[] {
    return [
      metric("gauge", "kestrel_api_stream_clients", "Open alert streams.", this.#clients.size),
      metric("counter", "kestrel_api_stream_alerts_total", "Alerts sent to alert streams.", this.#sent),
      metric("counter", "kestrel_api_stream_refused_total", "Alert streams refused because too many were open.", this.#refused),
      metricBy(
        { type: "counter", name: "kestrel_api_stream_dropped_total", help: "Alert streams ended because the client did not keep up." },
        "reason",
        this.#dropped,
      ),
    ];
  }
}

interface ClientEvents {
  sent(): void;
  closed(client: StreamClient, reason: DropReason | undefined): void;
}

/** One connection. Bytes move only when the connection asks (`pull`), so what waits is in the queue, where it is counted. */
class StreamClient {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #reader: AlertReader;
  readonly #clock: Clock;
  readonly #events: ClientEvents;
  readonly #encoder = new TextEncoder();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #position: number;
  #greeted = false;
  #catchingUp = true;
  #queue: StoredAlert[] = [];
  #queuedChars = 0;
  #wake: (() => void) | undefined;
  #beatDue = false;
  #stalledBeats = 0;
  #cancelBeat: (() => void) | undefined;
  #closed = false;

  constructor(reader: AlertReader, clock: Clock, position: number, events: ClientEvents) {
    this.#reader = reader;
    this.#clock = clock;
    this.#position = position;
    this.#events = events;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pull(),
        cancel: () => this.#end(undefined),
      },
      { highWaterMark: 0 },
    );
    this.#scheduleBeat();
  }

  /** Takes a live alert. While catching up it is left to the store, which has it already. */
  offer(alert: StoredAlert): void {
    if (this.#closed || this.#catchingUp || alert.position <= this.#position) return;
    if (
      this.#queue.length >= STREAM_QUEUE_MAX ||
      (this.#queue.length > 0 && this.#queuedChars + alert.json.length > STREAM_QUEUE_CHARS_MAX)
    ) {
      this.#drop("queue-full");
      return;
    }
    this.#queue.push(alert);
    this.#queuedChars += alert.json.length;
    this.#wake?.();
  }

  close(): void {
    this.#drop(undefined);
  }

  async #pull(): Promise<void> {
    while (!this.#closed) {
      this.#stalledBeats = 0;
      const text = this.#nextText();
      if (text === undefined) {
        this.#drop("store-failed");
        return;
      }
      if (text !== "") {
        this.#controller?.enqueue(this.#encoder.encode(text));
        return;
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  /** What to send now; empty when there is nothing, undefined when the store cannot be read. */
  #nextText(): string | undefined {
    if (!this.#greeted) {
      this.#greeted = true;
      return `retry: 2000\nevent: ready\nid: ${this.#position}\ndata: {}\n\n`;
    }
    let alerts: readonly StoredAlert[];
    if (this.#catchingUp) {
      try {
        alerts = this.#reader.after(this.#position, CATCH_UP_PAGE);
      } catch {
        return undefined;
      }
      // A short page means the store has no more at this very moment; alerts from here on are offered. Nothing runs in between.
      if (alerts.length < CATCH_UP_PAGE) this.#catchingUp = false;
    } else {
      alerts = this.#queue;
      this.#queue = [];
      this.#queuedChars = 0;
    }
    let text = "";
    for (const alert of alerts) {
      this.#position = alert.position;
      this.#events.sent();
      text += `event: alert\nid: ${alert.position}\ndata: ${alert.json}\n\n`;
    }
    if (text === "" && this.#beatDue) text = ": still here\n\n";
    this.#beatDue = false;
    return text;
  }

  #scheduleBeat(): void {
    this.#cancelBeat = this.#clock.after(HEARTBEAT_MS, () => {
      // No pull is waiting: the connection has not taken what it was given.
      if (this.#wake === undefined && ++this.#stalledBeats >= STALLED_BEATS_MAX) {
        this.#drop("stalled");
        return;
      }
      this.#beatDue = true;
      this.#wake?.();
      this.#scheduleBeat();
    });
  }

  #drop(reason: DropReason | undefined): void {
    if (this.#closed) return;
    this.#end(reason);
    this.#controller?.close();
  }

  #end(reason: DropReason | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#cancelBeat?.();
    this.#wake?.();
    this.#events.closed(this, reason);
  }
}
