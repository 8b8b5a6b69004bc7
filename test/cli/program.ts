// Runs the program as a user does: the built binary when it is newer than every source, the sources otherwise. Says which it runs.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Root of the repository. */
export const ROOT: string = join(import.meta.dir, "..", "..");
/** The recording that the project ships: 74 events, 25 alerts. */
export const RECORDING: string = join(ROOT, "rules", "recordings", "first-alerts.jsonl");
/** The rules that the project ships. */
export const RULES: string = join(ROOT, "rules");
/** Cases the project is measured against; not part of it. */
export const CORPUS: string = join(ROOT, "..", "shared", "corpus", "eql");

const BINARY = join(ROOT, "dist", "kestrel");
/** A program that takes longer hangs. */
const DEADLINE_MS = 50_000;

function newestMs(folder: string): number {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return Math.max(...files.map((file) => statSync(join(folder, file)).mtimeMs));
}

function programCommand(): readonly string[] {
  const fresh = existsSync(BINARY) && ["src", "ffi", "bpf", "rules"].every((name) => newestMs(join(ROOT, name)) < statSync(BINARY).mtimeMs);
  return fresh ? [BINARY] : [process.execPath, join(ROOT, "src", "cli", "main.ts")];
}

/** Command that starts the program. */
export const PROGRAM: readonly string[] = programCommand();

/** What a program left behind. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
  /** Lines of standard output. */
  readonly lines: readonly string[];
}

/** How to run it. */
export interface RunOptions {
  readonly stdin?: string | Uint8Array<ArrayBuffer>;
  readonly cwd?: string;
  /** Command in front of the program, such as `setpriv …`. */
  readonly through?: readonly string[];
  /** Another program instead, for pipes: `sh`. */
  readonly program?: readonly string[];
}

/** Runs the program to its end. Fails when it does not end. */
export async function runKestrel(
  args: readonly string[],
  { stdin, cwd, through = [], program = PROGRAM }: RunOptions = {},
): Promise<Outcome> {
  const child = Bun.spawn([...through, ...program, ...args], {
    stdin: stdin === undefined ? "ignore" : new Blob([stdin]),
    stdout: "pipe",
    stderr: "pipe",
    ...(cwd === undefined ? {} : { cwd }),
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill("SIGKILL");
  }, DEADLINE_MS);
  const [stdout, stderr, code] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text(), child.exited]);
  clearTimeout(timer);
  if (late) throw new Error(`kestrel ${args.join(" ").slice(0, 200)} did not end within ${DEADLINE_MS} ms`);
  return { stdout, stderr, code, lines: stdout.split("\n").filter((line) => line !== "") };
}

let nobody: readonly string[] | null | undefined;

/** Command in front of the program that takes all rights away; undefined, with the reason printed once, where that cannot be done. */
export function asNobody(): readonly string[] | undefined {
  nobody ??= findNobody();
  return nobody ?? undefined;
}

function findNobody(): readonly string[] | null {
  const setpriv = Bun.which("setpriv");
  const skip = (reason: string): null => {
    console.log(`skipped: the program without rights (${reason})`);
    return null;
  };
  if (setpriv === null) return skip("no setpriv here");
  if (process.geteuid?.() !== 0) return skip("only root can give up being root");
  const prefix = [setpriv, "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"];
  const tried = Bun.spawnSync([...prefix, ...PROGRAM, "version"], { stdout: "ignore", stderr: "ignore" });
  return tried.exitCode === 0 ? prefix : skip("another user cannot read this checkout");
}

/** One JSON value a line. */
export function jsonLines<Value>({ lines }: Outcome): Value[] {
  return lines.map((line) => JSON.parse(line) as Value);
}

/** A fresh folder that goes away with `using`. */
export class TempFolder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "kestrel-cli-"));

  /** Writes a file into it and returns the path. */
  async write(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(this.path, name);
    await Bun.write(path, content);
    return path;
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** Asks again and again until there is an answer; fails with `what` after the deadline. */
export async function eventually<Value>(what: () => string, ask: () => Value | undefined | Promise<Value | undefined>): Promise<Value> {
  const endMs = performance.now() + 20_000;
  for (;;) {
    const value = await ask();
    if (value !== undefined) return value;
    if (performance.now() > endMs) throw new Error(`Waited in vain for ${what()}`);
    await Bun.sleep(10);
  }
}

/** Lines of a text file, parsed. */
export function readJsonLines<Value>(path: string): Value[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Value);
}
