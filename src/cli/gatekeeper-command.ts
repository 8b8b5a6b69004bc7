// How this program starts itself as a gatekeeper. Apart from the command itself, so that naming it loads nothing.

/** Name of the hidden command. */
export const GATEKEEPER = "gatekeeper";

/** Command line that starts this same program as a gatekeeper. */
export function gatekeeperCommand(): readonly string[] {
  return Bun.main.startsWith("/$bunfs/") ? [process.execPath, GATEKEEPER] : [process.execPath, Bun.main, GATEKEEPER];
}
