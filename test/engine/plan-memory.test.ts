// What a plan made elsewhere costs the thread that only evaluates it.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { compileHere } from "#engine";
import { SchemaRegistry } from "#schema";

const QUERY = `sequence with maxspan=1m
  [process where process.name regex~ "[ab]+c?"] as first
  [file where file.path regex~ "/tmp/[^/]+" and file.name == first.process.name]`;

/** Runs in a process of its own: makes a plan's evaluators, then says whether the automaton library was loaded. */
const PROBE = `
import { createPlanEvaluator } from "#engine";
const evaluator = await createPlanEvaluator(await Bun.stdin.json());
console.log(evaluator !== undefined, Object.keys(require.cache).some((path) => path.includes("/refa/")));
`;

test("evaluators of a compiled plan with regular expressions do not load the library that makes automata", async () => {
  const rule = {
    id: "a",
    body: { kind: "eql" as const, query: QUERY, dialect: "default" as const },
    action: "alert" as const,
    mode: "monitor" as const,
    scope: "process" as const,
    exceptions: ['file.path regex~ "/tmp/[a-z]+" and process.name : "x*"'],
  };
  const { plans, diagnostics } = await compileHere([rule], new SchemaRegistry(), "wasm");
  expect(diagnostics.flat()).toEqual([]);
  const typed = (_: string, value: unknown) =>
    ArrayBuffer.isView(value) ? [...(value as Uint8Array)] : typeof value === "bigint" ? null : value;
  const probe = Bun.spawn([process.execPath, "-e", PROBE], {
    cwd: join(import.meta.dir, "../.."),
    stdin: new Blob([JSON.stringify(plans[0], typed)]),
    stdout: "pipe",
    stderr: "inherit",
  });
  expect((await new Response(probe.stdout).text()).trim()).toBe("true false");
});
