// Entry point of the binary: picks the command, prints errors for people, sets the exit code. Nothing else exits, except a reader of
// program files, whose threads may never end.
import { KestrelError, messageOf } from "#core";
import { nearestName } from "#schema";
import { EXIT } from "./arguments.ts";
import { COMMANDS, overview } from "./help.ts";
import { GATEKEEPER, HEARTBEAT, READER } from "./own-command.ts";

type Command = (argv: readonly string[]) => Promise<number>;

// Loaded on demand, so that `kestrel version` opens no native library and starts at once.
const LOADERS: Readonly<Record<string, () => Promise<Command>>> = {
  run: async () => (await import("./run.ts")).run,
  replay: async () => (await import("./replay.ts")).replay,
  query: async () => (await import("./query.ts")).query,
  explain: async () => (await import("./explain.ts")).explain,
  check: async () => (await import("./check.ts")).check,
  test: async () => (await import("./test.ts")).test,
  doctor: async () => (await import("./doctor.ts")).doctor,
  record: async () => (await import("./record.ts")).record,
  isolate: async () => (await import("./isolate.ts")).isolate,
  rules: async () => (await import("./rules.ts")).rules,
  schema: async () => (await import("./schema.ts")).schema,
  version: async () => (await import("./version.ts")).version,
};
/** Parts of other commands that are processes of their own. */
const HIDDEN: typeof LOADERS = {
  [HEARTBEAT]: async () => (await import("./heartbeat.ts")).heartbeat,
  [GATEKEEPER]: async () => (await import("./gatekeeper.ts")).gatekeeper,
  [READER]: async () => (await import("./reader.ts")).reader,
};

async function main(argv: readonly string[]): Promise<number> {
  const [name = "", ...rest] = argv;
  if (name === "" || name === "help" || name === "--help" || name === "-h") {
    return help(name, rest);
  }
  const command = name === "--version" || name === "-V" ? "version" : name;
  return runCommand(command, rest);
}

async function runCommand(name: string, rest: readonly string[]): Promise<number> {
  const load = Object.hasOwn(LOADERS, name) ? LOADERS[name] : Object.hasOwn(HIDDEN, name) ? HIDDEN[name] : undefined;
  if (load === undefined) return unknownCommand(name);
  if (rest.includes("--help") || rest.includes("-h")) {
    console.log(COMMANDS[name]?.text);
    return EXIT.ok;
  }
  try {
    return await (await load())(rest);
  } catch (error) {
    return explain(error, name);
  }
}

function help(asked: string, [command, surplus]: readonly string[]): number {
  if (surplus !== undefined) {
    console.error(`kestrel: Unexpected argument "${surplus}"\nSee "kestrel --help"`);
    return EXIT.usage;
  }
  if (asked === "help" && command !== undefined) {
    if (!Object.hasOwn(COMMANDS, command)) return unknownCommand(command);
    console.log(COMMANDS[command]?.text);
    return EXIT.ok;
  }
  if (asked === "") {
    console.error(overview());
    return EXIT.usage;
  }
  console.log(overview());
  return EXIT.ok;
}

function unknownCommand(name: string): number {
  const nearest = nearestName(name, Object.keys(LOADERS));
  console.error(`kestrel: unknown command "${name}"${nearest === undefined ? "" : `, did you mean "${nearest}"?`}\n\n${overview()}`);
  return EXIT.usage;
}

/** Errors about what was given rather than about this machine. */
const USAGE_CODES: ReadonlySet<string> = new Set([
  "usage",
  "bad-schema-file",
  "invalid-listen",
  "token-required",
  "no-input",
  "bad-query",
  "replay-changed",
  "too-many-files",
]);

function explain(error: unknown, command: string): number {
  if (error instanceof Error && error.name === "EventFileError") {
    console.error(`kestrel: ${error.message}`);
    return EXIT.usage;
  }
  if (!(error instanceof KestrelError)) {
    const native = error instanceof Error && error.name === "NativeError";
    console.error(
      native
        ? `kestrel: ${messageOf(error)}`
        : `kestrel: internal error, please report it: ${error instanceof Error ? (error.stack ?? messageOf(error)) : String(error)}`,
    );
    return EXIT.cannotRun;
  }
  console.error(`kestrel: ${error.message}${error.code === "usage" ? `\nSee "kestrel ${command} --help"` : ""}`);
  return USAGE_CODES.has(error.code) ? EXIT.usage : EXIT.cannotRun;
}

process.exitCode = await main(process.argv.slice(2));
