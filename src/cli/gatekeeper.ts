// The hidden command behind the exec gate: the process that the kernel asks before a program runs. Started by kestrel run, spoken to over its pipes, and
// ended with it; a person who starts it by hand is told so.
import { KestrelError } from "#core";
import { Gatekeeper, KeeperChannel } from "#respond";
import { EXIT, usageError } from "./arguments.ts";
import { GATEKEEPER } from "./own-command.ts";

const STDIN = 0;
const STDOUT = 1;
/** Longest wait for the agent's first words. */
const CONFIG_WAIT_MS = 10_000;

/** Runs the command. */
export async function gatekeeper(argv: readonly string[]): Promise<number> {
  if (argv.length > 0 || process.stdin.isTTY)
    throw usageError(`"${GATEKEEPER}" is a part of "kestrel run", which starts it when a rule needs it`);
  // A terminal sends its signals to everybody in the foreground: the agent decides when the gate is given up.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  const channel = new KeeperChannel(STDIN, STDOUT);
  const config = channel.waitForConfig(CONFIG_WAIT_MS);
  if (config === undefined) throw new KestrelError("no-agent", "No agent told the gatekeeper what to do");
  Gatekeeper.run(config, channel);
  return EXIT.ok;
}
