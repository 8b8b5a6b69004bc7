// What `run` and `record` let the operator say about what events carry: which environment variables.
import type { EbpfOptions } from "#ebpf";
import { type Arguments, type FlagKind, usageError } from "./arguments.ts";

/** Flags of every command that starts the sensors. */
export const ENRICHMENT_FLAGS: Readonly<Record<string, FlagKind>> = { env: "texts" };

const NAME_LENGTH_MAX = 256;

/** The settings of the sensors behind these flags. */
export function enrichmentOptions(args: Arguments): Pick<EbpfOptions, "variables"> {
  const variables = args.texts("env").flatMap((names) => names.split(","));
  for (const name of variables) {
    if (name === "" || name.length > NAME_LENGTH_MAX || /[=\0]/.test(name)) {
      throw usageError(`"${name}" is no name of an environment variable; write --env NAME,…`);
    }
  }
  return { variables };
}
