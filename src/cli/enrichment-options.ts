// What `run` and `record` let the operator say about events: which sensors stay off, which environment variables are kept, and which secrets are
// taken out.
import { type EbpfOptions, OPTIONAL_SENSORS, SENSOR_WORDS } from "#ebpf";
import { nearestName } from "#schema";
import { type Arguments, type FlagKind, usageError } from "./arguments.ts";

/** Flags of every command that starts the sensors. */
export const ENRICHMENT_FLAGS: Readonly<Record<string, FlagKind>> = {
  without: "texts",
  env: "texts",
  redact: "texts",
  "no-redact": "switch",
};

const NAME_LENGTH_MAX = 256;

/** The settings of the sensors behind these flags. */
export async function enrichmentOptions(args: Arguments): Promise<Pick<EbpfOptions, "without" | "variables" | "redact" | "isSecret">> {
  const patterns = args.texts("redact");
  const without = switchedOff(args);
  const common = { variables: variablesOf(args), ...(without.size > 0 && { without }) };
  if (!args.has("no-redact")) return { ...common, ...(patterns.length > 0 && { isSecret: await secretTest(patterns) }) };
  if (patterns.length > 0) throw usageError('"--redact" and "--no-redact" contradict each other');
  return { ...common, redact: false };
}

function switchedOff(args: Arguments): NonNullable<EbpfOptions["without"]> {
  const names = args.texts("without").flatMap((text) => text.split(","));
  return new Set(
    names.map((name) => {
      const found = OPTIONAL_SENSORS.find((optional) => optional === name);
      if (found !== undefined) return found;
      if (Object.hasOwn(SENSOR_WORDS, name))
        throw usageError(`Sensor "${name}" cannot be switched off: the table of processes is made of its events`);
      const nearest = nearestName(name, OPTIONAL_SENSORS);
      throw usageError(
        `There is no sensor "${name}"${nearest === undefined ? "; kestrel doctor lists them" : `, did you mean "${nearest}"?`}`,
      );
    }),
  );
}

/** True for a text in which one of the expressions is found. They become tables, so that no text of a watched process takes long. */
async function secretTest(patterns: readonly string[]): Promise<(text: string) => boolean> {
  // Loaded for this flag only: the agent has its rules compiled in another thread to keep the compiler out of its memory.
  const { compileRegex, regexMatches } = await import("#eql");
  const tables = patterns.map((pattern) => {
    const result = compileRegex(`.*(${pattern}).*`, { flavour: "lucene", folded: false });
    if (result.kind === "failed") throw usageError(`Cannot use --redact "${pattern}": ${result.error.message}`);
    return result.table;
  });
  return (text) => tables.some((table) => regexMatches(table, text));
}

function variablesOf(args: Arguments): readonly string[] {
  const variables = args.texts("env").flatMap((names) => names.split(","));
  for (const name of variables) {
    if (name === "" || name.length > NAME_LENGTH_MAX || /[=\0]/.test(name)) {
      throw usageError(`"${name}" is no name of an environment variable; write --env NAME,…`);
    }
  }
  return variables;
}
