// Command lines: flags by name with types, `--flag value` and `--flag=value`. A wrong flag is a usage error that names the nearest right one.
import { parseArgs } from "node:util";
import { KestrelError, messageOf } from "#core";
import { nearestName } from "#schema";

/** Exit codes of every command. */
export const EXIT = {
  ok: 0,
  /** check or test found something. */
  findings: 1,
  /** Wrong flags, arguments or files. */
  usage: 2,
  /** This machine, kernel or user cannot run the command. */
  cannotRun: 3,
} as const;

/** One flag: text (`once` or `many`), or a switch. */
export type FlagKind = "switch" | "text" | "texts";

/** Parsed command line. */
export interface Arguments {
  readonly positionals: readonly string[];
  /** Value of a text flag. */
  text(name: string): string | undefined;
  /** Values of a flag that may be repeated. */
  texts(name: string): readonly string[];
  /** Whether a switch was given. */
  has(name: string): boolean;
  /** Value of a text flag as a whole number within bounds. */
  number(name: string, fallback: number, range: { readonly least: number; readonly most: number }): number;
}

/** A mistake in the command line; cli prints it with a pointer to --help and exits 2. */
export function usageError(message: string): KestrelError {
  return new KestrelError("usage", message);
}

/** Parses `argv` against the flags a command knows. */
export function parseArguments(argv: readonly string[], flags: Readonly<Record<string, FlagKind>>): Arguments {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, kind]) => [
      name,
      kind === "switch" ? { type: "boolean" as const } : { type: "string" as const, multiple: kind === "texts" },
    ]),
  );
  for (const argument of argv) {
    if (argument === "--") break;
    const name = /^--([^=]+)/.exec(argument)?.[1];
    if (name === undefined || Object.hasOwn(flags, name)) continue;
    const nearest = nearestName(name, Object.keys(flags));
    throw usageError(`Unknown flag "--${name}"${nearest === undefined ? "" : `, did you mean "--${nearest}"?`}`);
  }
  const words = withValues(argv, flags);
  let parsed: { readonly values: Readonly<Record<string, unknown>>; readonly positionals: readonly string[] };
  try {
    parsed = parseArgs({ args: words, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw usageError(messageOf(error).split(". To specify")[0] as string);
  }
  const { values, positionals } = parsed;
  return {
    positionals,
    text: (name) => values[name] as string | undefined,
    texts: (name) => (values[name] as string[] | undefined) ?? [],
    has: (name) => values[name] === true,
    number(name, fallback, { least, most }) {
      const value = values[name] as string | undefined;
      if (value === undefined) return fallback;
      const number = Number(value);
      if (!/^\d+$/.test(value) || number < least || number > most) {
        throw usageError(`Flag "--${name}" needs a whole number from ${least} to ${most}, not "${value}"`);
      }
      return number;
    },
  };
}

/** Words that begin with a dash behind a flag that wants a text: a number is its value, anything else is said in words of our own. */
function withValues(argv: readonly string[], flags: Readonly<Record<string, FlagKind>>): string[] {
  const words: string[] = [];
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] as string;
    if (word === "--") return [...words, ...argv.slice(index)];
    const name = word.slice(2);
    const kind = word.startsWith("--") && Object.hasOwn(flags, name) ? flags[name] : undefined;
    const value = kind === undefined || kind === "switch" ? undefined : argv[++index];
    if (value === undefined || value === "-" || !value.startsWith("-")) words.push(word, ...(value === undefined ? [] : [value]));
    else if (/^-\d/.test(value)) words.push(`${word}=${value}`);
    else throw usageError(`Flag "${word}" has no value before "${value}"; if that is the value, write "${word}=${value}"`);
  }
  return words;
}

/** For commands that take flags only. */
export function refusePositionals({ positionals: [first] }: Arguments, advice = ""): void {
  if (first !== undefined) throw usageError(`Unexpected argument "${first}"${advice}`);
}
