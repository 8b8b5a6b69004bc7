// A real load for a running agent: files opened for writing, connections on loopback, programs started. Nothing is simulated: each act goes
// through the kernel and its sensors.
import { closeSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

// Of 1,000 events: 60 programs started (fork, exec and exit each), 20 connections, the rest files.
const PROGRAMS = 60;
const EVENTS_OF_PROGRAM = 3;
const CONNECTIONS = 20;
const SHARE = 1000;
const TICK_MS = 20;
const FILE_NAMES = 64;

/** Acts at a steady rate until stopped. */
export class SteadyLoad {
  readonly #directory = mkdtempSync(join(tmpdir(), "kestrel-load-"));
  readonly #server: Server;
  readonly #port: number;
  readonly #perSecond: number;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #startMs = performance.now();
  #acts = 0;
  #events = 0;

  private constructor(server: Server, perSecond: number) {
    this.#server = server;
    this.#port = (server.address() as { port: number }).port;
    this.#perSecond = perSecond;
    this.#timer = setInterval(() => this.#catchUp(), TICK_MS);
  }

  /** Starts acting; `perSecond` counts events, not acts. */
  static async start(perSecond: number): Promise<SteadyLoad> {
    const server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new SteadyLoad(server, perSecond);
  }

  /** Events that the acts so far must have made. */
  get events(): number {
    return this.#events;
  }

  #catchUp(): void {
    const due = ((performance.now() - this.#startMs) / 1000) * this.#perSecond;
    while (this.#events < due) this.#act();
  }

  // The kinds are spread evenly, so that every second looks like every other.
  #act(): void {
    const acts = SHARE - PROGRAMS * (EVENTS_OF_PROGRAM - 1);
    const place = this.#acts++ % acts;
    if ((place * PROGRAMS) % acts < PROGRAMS) {
      Bun.spawnSync(["/bin/true"]);
      this.#events += EVENTS_OF_PROGRAM;
    } else if ((place * CONNECTIONS) % acts < CONNECTIONS) {
      connect(this.#port, "127.0.0.1").on("error", () => undefined);
      this.#events++;
    } else {
      closeSync(openSync(join(this.#directory, `file-${this.#acts % FILE_NAMES}`), "w"));
      this.#events++;
    }
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#server.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const SUBSHELLS = 15_000;
const STARTS = 1_500;
const LONG_STARTS = 500;
const LONG_BYTES = 100_000;

/** Makes at least this many events as fast as this machine does: subshells and programs from one shell, some
 * of them with arguments that take many ring records, files from this process. */
export async function flood(eventCountMin: number): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), "kestrel-flood-"));
  try {
    const times = (count: number, act: string): string => `i=0; while [ $i -lt ${count} ]; do ${act}; i=$((i+1)); done`;
    const long = `long=$(head -c ${LONG_BYTES} /dev/zero | tr '\\0' a)`;
    const script = [times(SUBSHELLS, "(:)"), times(STARTS, "/bin/true"), long, times(LONG_STARTS, "/bin/true $long")].join("; ");
    const shell = Bun.spawn(["/bin/sh", "-c", script], { stdout: "ignore", stderr: "ignore" });
    const files = eventCountMin - SUBSHELLS * 2 - (STARTS + LONG_STARTS) * EVENTS_OF_PROGRAM;
    for (let index = 0; index < files; index++) closeSync(openSync(join(directory, `file-${index % FILE_NAMES}`), "w"));
    await shell.exited;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
