// A real load for a running agent: files written, renamed, removed, programs started, connections and servers on the loopback, memory files.
// Nothing is simulated: each act goes through the kernel and its sensors.
import { chmodSync, closeSync, mkdtempSync, openSync, renameSync, rmSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { closeFd, sealedMemoryFile } from "#ffi/libc";

const TICK_MS = 20;
const FILE_NAMES = 64;
const EVENTS_OF_PROGRAM = 3;

/** What a load is made of: a kind of act, how many of 1,000 acts are of it, and the events one must make. */
interface Kind {
  readonly share: number;
  readonly events: number;
  readonly act: (place: Place, turn: number) => void;
}

/** Where a load acts. */
interface Place {
  readonly directory: string;
  readonly port: number;
}

/** Every kind of event that a machine at work makes, most of them files. */
const KINDS: readonly Kind[] = [
  { share: 60, events: 3, act: () => void Bun.spawnSync(["/bin/true"]) },
  { share: 20, events: 1, act: ({ port }) => void connect(port, "127.0.0.1").on("error", () => undefined) },
  { share: 20, events: 2, act: () => void createServer().listen(0, "127.0.0.1").close() },
  { share: 60, events: 2, act: writeAndRename },
  {
    share: 30,
    events: 3,
    act: writeAndRemove,
  },
  { share: 10, events: 1, act: () => closeFd(sealedMemoryFile("kestrel-load", new Uint8Array(1))) },
  { share: 800, events: 1, act: write },
];

function fileOf({ directory }: Place, turn: number): string {
  return join(directory, `file-${turn % FILE_NAMES}`);
}

function write(place: Place, turn: number): void {
  closeSync(openSync(fileOf(place, turn), "w"));
}

function writeAndRename(place: Place, turn: number): void {
  write(place, turn);
  renameSync(fileOf(place, turn), `${fileOf(place, turn)}.renamed`);
}

function writeAndRemove(place: Place, turn: number): void {
  write(place, turn);
  chmodSync(fileOf(place, turn), 0o600);
  unlinkSync(fileOf(place, turn));
}

/** Acts at a steady rate until stopped. */
export class SteadyLoad {
  readonly #directory = mkdtempSync(join(tmpdir(), "kestrel-load-"));
  readonly #server: Server;
  readonly #place: Place;
  readonly #perSecond: number;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #startMs = performance.now();
  /** Of each kind, what it is owed: the kinds are spread evenly, so that every second looks like every other. */
  readonly #owed = KINDS.map(() => 0);
  #acts = 0;
  #events = 0;

  private constructor(server: Server, perSecond: number) {
    this.#server = server;
    this.#place = { directory: this.#directory, port: (server.address() as { port: number }).port };
    this.#perSecond = perSecond;
    this.#timer = setInterval(() => this.#catchUp(), TICK_MS);
  }

  /** Starts acting; `perSecond` counts events, not acts. */
  static async start(perSecond: number): Promise<SteadyLoad> {
    const server = createServer((socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return new SteadyLoad(server, perSecond);
  }

  /** Events that the acts so far must have made, where every sensor is in use. */
  get events(): number {
    return this.#events;
  }

  #catchUp(): void {
    const due = ((performance.now() - this.#startMs) / 1000) * this.#perSecond;
    while (this.#events < due) this.#act();
  }

  #act(): void {
    let next = 0;
    for (const [index, { share }] of KINDS.entries()) {
      this.#owed[index]! += share;
      if (this.#owed[index]! > this.#owed[next]!) next = index;
    }
    this.#owed[next]! -= 1000;
    const { act, events } = KINDS[next]!;
    act(this.#place, this.#acts++);
    this.#events += events;
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
