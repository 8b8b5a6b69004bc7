// The API on a socket: Bun's server, only on loopback unless there is a token, stopped without cutting answers off.
import type { Clock } from "#core";
import { KestrelError, messageOf } from "#core";
import { STREAM_MEDIA_TYPE } from "./alert-stream.ts";
import { type Api, type ApiOptions, createApi } from "./app.ts";
import { BODY_BYTES_MAX } from "./bind.ts";
import { isLoopback, type ListenAddress, parseListen } from "./listen.ts";

/** Shortest token that may guard an address beyond loopback. */
const TOKEN_LENGTH_MIN = 32;
/** How long a connection may stay silent. */
const IDLE_TIMEOUT_SECONDS = 60;
/** How long a stop waits for answers under way. */
const DRAIN_MS = 3000;

/** What to serve and where. */
export interface ServerOptions extends Omit<ApiOptions, "loopbackOnly"> {
  /** `HOST:PORT`; port 0 is any free one. */
  readonly listen: string;
}

/** A running server. */
export interface RunningServer {
  readonly host: string;
  readonly port: number;
  /** Address of the page, for example `http://127.0.0.1:8490/`. */
  readonly url: string;
  /** Ends streams, lets answers under way finish, closes. Twice is fine. */
  stop(): Promise<void>;
}

/**
 * Starts serving. Throws {@link KestrelError}: `invalid-listen`, `token-required` (an address beyond loopback without a token),
 * `address-in-use`, `cannot-listen`.
 */
export function startServer(options: ServerOptions): RunningServer {
  const address = parseListen(options.listen);
  const loopbackOnly = isLoopback(address.host);
  if (!loopbackOnly && (options.token === undefined || options.token.length < TOKEN_LENGTH_MIN)) {
    const want = options.token === undefined ? "a token" : `a token of at least ${TOKEN_LENGTH_MIN} characters`;
    throw new KestrelError(
      "token-required",
      `Cannot listen on "${options.listen}" without ${want}: the address can be reached from other machines`,
    );
  }
  const api = createApi({ ...options, loopbackOnly });
  const server = listen(address, options.listen, api);
  const port = server.port ?? address.port;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  let stopped: Promise<void> | undefined;
  return {
    host: address.host,
    port,
    url: `http://${host}:${port}/`,
    stop: () => {
      api.close();
      stopped ??= drain(server, options.clock);
      return stopped;
    },
  };
}

type BunServer = ReturnType<typeof Bun.serve>;

function listen(address: ListenAddress, text: string, api: Api): BunServer {
  try {
    return Bun.serve({
      hostname: address.host,
      port: address.port,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      // The app answers 413 itself from its own limit; this one only bounds what Bun takes in.
      maxRequestBodySize: 2 * BODY_BYTES_MAX,
      development: false,
      // Outside development Bun shares the port by default: a second agent, or another program of this user, would take some of the requests.
      reusePort: false,
      async fetch(request, server) {
        const response = await api.fetch(request, { caller: server.requestIP(request)?.address ?? "" });
        // Bun counts only what the client sends as activity (measured: a stream written to every second is cut); the stream looks after itself.
        if (response.headers.get("content-type") === STREAM_MEDIA_TYPE) server.timeout(request, 0);
        return response;
      },
    });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "EADDRINUSE")
      throw new KestrelError(
        "address-in-use",
        `Cannot listen on "${text}": the port is in use (EADDRINUSE); choose another, or 0 for any`,
        {
          cause: error,
        },
      );
    throw new KestrelError("cannot-listen", `Cannot listen on "${text}": ${messageOf(error)}`, { cause: error });
  }
}

async function drain(server: BunServer, clock: Clock): Promise<void> {
  let cancel = (): void => undefined;
  const deadline = new Promise<void>((resolve) => {
    cancel = clock.after(DRAIN_MS, resolve);
  });
  await Promise.race([server.stop(false), deadline]);
  cancel();
  await server.stop(true);
}
