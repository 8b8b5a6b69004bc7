// The routes that are not JSON in, JSON out, and so not in the contract: their paths and words, for the app that serves them and for OpenAPI.

/** One route beside the contract. All are GET. */
export interface PlainRoute {
  readonly path: string;
  readonly summary: string;
  readonly description: string;
  readonly mediaType: string;
  /** Served to anyone who can connect. */
  readonly open: boolean;
  /** Error statuses beside those that any request may get. */
  readonly errors: readonly number[];
  /** Request header fields it reads. */
  readonly headers: Readonly<Record<string, string>>;
}

function plain(path: string, mediaType: string, summary: string, description: string): PlainRoute {
  return { path, summary, description, mediaType, open: false, errors: [], headers: {} };
}

/** Every plain route. */
export const PLAIN_ROUTES: Readonly<Record<"stream" | "metrics" | "openapi" | "health" | "page", PlainRoute>> = {
  stream: {
    ...plain(
      "/v1/alerts/stream",
      "text/event-stream",
      "Follow alerts",
      "Server-sent events. First one of type ready, then one of type alert for each alert, whose data is the alert and whose id is its position. " +
        "A client that comes back with Last-Event-ID gets what it missed. A client that does not keep up is disconnected.",
    ),
    errors: [400, 503],
    headers: { "last-event-id": "Id of the last message seen; without it the stream starts now." },
  },
  metrics: plain("/metrics", "text/plain", "Metrics", "The agent's counters in the Prometheus text format."),
  openapi: plain("/openapi.json", "application/json", "This description", "OpenAPI 3.1, made from the contract the server runs."),
  health: {
    ...plain("/healthz", "application/json", "Is the agent up", "200 while rules are armed, 503 while starting or draining."),
    open: true,
    errors: [503],
  },
  page: { ...plain("/", "text/html", "The page", "Live alerts in a browser. Holds no data itself: it asks for the token."), open: true },
};
