// The hidden command behind the heartbeat: does, where it harms nobody, what every sensor must count, and ends. Started by kestrel run, which
// leaves out its own acts but not those of its children.
import { chmodSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { EXIT, usageError } from "./arguments.ts";
import { HEARTBEAT } from "./own-command.ts";

/** Runs the command: an empty folder to be made and removed, and where somebody listens. */
export async function heartbeat(argv: readonly string[]): Promise<number> {
  const [folder = "", host = "", port = ""] = argv;
  if (!isAbsolute(folder) || host === "" || !/^\d+$/.test(port))
    throw usageError(`"${HEARTBEAT}" is a part of "kestrel run", which starts it when a sensor is silent`);
  changeFiles(folder);
  await connect(host, Number(port));
  return EXIT.ok;
}

function changeFiles(folder: string): void {
  const at = (name: string): string => join(folder, name);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { mode: 0o700 });
  try {
    writeFileSync(at("made"), "");
    truncateSync(at("made"), 0);
    chmodSync(at("made"), 0o640);
    renameSync(at("made"), at("renamed"));
    linkSync(at("renamed"), at("linked"));
    symlinkSync("renamed", at("symlink"));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What becomes of the connection does not matter: asking for it is the act. */
async function connect(hostname: string, port: number): Promise<void> {
  const ignore = (): void => undefined;
  const socket = await Bun.connect({ hostname, port, socket: { data: ignore, connectError: ignore } }).catch(() => undefined);
  socket?.end();
}
