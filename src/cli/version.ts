// kestrel version: the version, the commit it was built from and the runtime inside.
import packageJson from "../../package.json" with { type: "json" };
import { EXIT, parseArguments, refusePositionals } from "./arguments.ts";

declare const KESTREL_COMMIT: string | undefined;

/** Version of this build. */
export const VERSION: string = packageJson.version;

/** Commit of this build, `source` when run from a checkout. */
export const COMMIT: string = typeof KESTREL_COMMIT === "undefined" ? "source" : KESTREL_COMMIT;

declare const KESTREL_BUILD_ID: string | undefined;

/** Different for every build; undefined when run from a checkout, where sources change under the program. */
export const BUILD_ID: string | undefined = typeof KESTREL_BUILD_ID === "undefined" ? undefined : KESTREL_BUILD_ID;

/** Runs the command. */
export async function version(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, { json: "switch" });
  refusePositionals(args);
  const facts = { version: VERSION, commit: COMMIT, bun: Bun.version, arch: process.arch };
  console.log(args.has("json") ? JSON.stringify(facts) : `kestrel ${VERSION} (${COMMIT}, Bun ${Bun.version}, ${process.arch})`);
  return EXIT.ok;
}
