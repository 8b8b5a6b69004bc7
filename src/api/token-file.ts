// The bearer token's file: 0600, owned by the agent's user, made once. A file that others could have read or planted is refused, never repaired.
import { randomBytes } from "node:crypto";
import { closeSync, constants, fchmodSync, fstatSync, fsyncSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { KestrelError, messageOf } from "#core";

const TOKEN_BYTES = 32;
const TOKEN_TEXT = /^[0-9a-f]{64}\n?$/;

/** A token and whether it was made just now. */
export interface TokenFile {
  readonly token: string;
  readonly created: boolean;
}

/** Reads the token from `path`, or makes it: 32 random bytes in hex. Throws {@link KestrelError} `token-file` naming what is wrong with the file. */
export function loadOrCreateToken(path: string): TokenFile {
  return createToken(path) ?? loadToken(path);
}

function createToken(path: string): TokenFile | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return undefined;
    throw new KestrelError("token-file", `Cannot create the token file "${path}": ${messageOf(error)}`, { cause: error });
  }
  try {
    const token = randomBytes(TOKEN_BYTES).toString("hex");
    // A umask can only take rights away; this gives back what an odd one took from the owner.
    fchmodSync(descriptor, 0o600);
    writeSync(descriptor, `${token}\n`);
    fsyncSync(descriptor);
    return { token, created: true };
  } catch (error) {
    unlinkSync(path);
    throw new KestrelError("token-file", `Cannot write the token file "${path}": ${messageOf(error)}`, { cause: error });
  } finally {
    closeSync(descriptor);
  }
}

function loadToken(path: string): TokenFile {
  const refuse = (why: string): KestrelError => new KestrelError("token-file", `Cannot use the token file "${path}": ${why}`);
  let descriptor: number;
  try {
    // O_NONBLOCK: a planted FIFO must not hold the start; for a regular file it means nothing.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === "ELOOP") throw refuse("it is a symbolic link; remove it and start again");
    throw new KestrelError("token-file", `Cannot read the token file "${path}": ${messageOf(error)}`, { cause: error });
  }
  try {
    const stat = fstatSync(descriptor);
    const user = process.geteuid?.() ?? stat.uid;
    if (!stat.isFile()) throw refuse("it is not a regular file");
    if (stat.uid !== user) throw refuse(`it belongs to user ${stat.uid}, not to user ${user} who runs the agent`);
    if ((stat.mode & 0o077) !== 0)
      throw refuse(`its mode is 0${(stat.mode & 0o777).toString(8)}, so others may know it; remove it and start again to get a new one`);
    const bytes = Buffer.alloc(TOKEN_BYTES * 2 + 2);
    const text = bytes.toString("latin1", 0, readSync(descriptor, bytes, 0, bytes.length, 0));
    if (!TOKEN_TEXT.test(text)) throw refuse("it does not hold 64 hex digits; remove it and start again to get a new one");
    return { token: text.trimEnd(), created: false };
  } finally {
    closeSync(descriptor);
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}
