// How this program starts itself with another command. Apart from the commands, so that naming one loads nothing.

/** Name of the hidden command behind the exec gate. */
export const GATEKEEPER = "gatekeeper";
/** Name of the hidden command that does what every sensor must count. */
export const HEARTBEAT = "heartbeat";
/** Name of the hidden command that reads the files of programs. */
export const READER = "reader";

/** Command line that starts this same program. */
export function ownCommand(...args: readonly string[]): readonly string[] {
  return Bun.main.startsWith("/$bunfs/") ? [process.execPath, ...args] : [process.execPath, Bun.main, ...args];
}
