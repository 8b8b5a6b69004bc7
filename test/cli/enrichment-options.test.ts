// Flags about what events carry: names of variables, expressions to take out, and mistakes in them.
import { expect, test } from "bun:test";
import { messageOf } from "#core";
import { parseArguments } from "../../src/cli/arguments.ts";
import { ENRICHMENT_FLAGS, enrichmentOptions } from "../../src/cli/enrichment-options.ts";

const options = (...argv: readonly string[]) => enrichmentOptions(parseArguments(argv, ENRICHMENT_FLAGS));

test("variables, and what is a secret beside the usual: found anywhere, in any of the expressions", async () => {
  expect(await options()).toEqual({ variables: [] });
  expect(await options("--without", "dns,unix", "--without=dns")).toEqual({ variables: [], without: new Set(["dns", "unix"]) });
  expect(await options("--env", "A,B", "--env=C", "--no-redact")).toEqual({ variables: ["A", "B", "C"], redact: false });
  const { isSecret } = await options("--redact", "ACME-[0-9]{4}", "--redact=nüss");
  const texts = ["x ACME-1234 y", "ACME-123", "nüss", "line\nACME-0000\nline", "", "[redacted]"];
  expect(texts.map((text) => isSecret?.(text))).toEqual([true, false, true, true, false, false]);
});

const MISTAKES: readonly (readonly [readonly string[], string])[] = [
  [["--env", "A=1"], '"A=1" is no name'],
  [["--env", "A,,B"], '"" is no name'],
  [["--redact", "("], 'Cannot use --redact "("'],
  [["--redact", "a{9999}"], 'Cannot use --redact "a{9999}"'],
  [["--redact", "a", "--no-redact"], "contradict"],
];
test.each(MISTAKES)("%p", async (argv, message) => {
  const thrown = await options(...argv).catch((error: unknown) => error);
  expect(thrown).toMatchObject({ code: "usage" });
  expect(messageOf(thrown)).toContain(message);
});
