// What live tests share: whether this kernel lets the sensors run, a source for a group of tests, programs made of C or run as they are.
import { afterAll, beforeAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EbpfOptions, EbpfSource, inspectMachine } from "#ebpf";
import { type FieldValue, SchemaRegistry } from "#schema";
import { Collector } from "./collector.ts";

/** Fields of a record by name. */
export type Fields = Readonly<Record<string, FieldValue>>;

/** Why no sensor can run here; `undefined`: they can. */
export const refusal: string | undefined = inspectMachine().error;

/** A program that was run. */
interface Run {
  readonly pid: number;
  readonly events: readonly Fields[];
  readonly output: string;
}

/** A source that runs for the group of tests around the call, with a folder of its own. */
export interface LiveSource {
  readonly source: EbpfSource;
  readonly folder: string;
  readonly collector: Collector;
  /** Runs a program to its end and returns its pid, its records of one category, as they came, and what it printed. */
  run(command: readonly string[], category: string): Promise<Run>;
  /** Compiles a program that needs no library. */
  compile(name: string, source: string, ...flags: readonly string[]): string;
}

/** Starts the sensors before the tests of a group and stops them behind. */
export function liveSource(options: Omit<EbpfOptions, "registry"> = {}): LiveSource {
  const registry = new SchemaRegistry();
  const source = new EbpfSource({ registry, ...options });
  const collector = new Collector(registry);
  const folder = mkdtempSync(join(tmpdir(), "kestrel-live-"));
  beforeAll(() => source.start(collector));
  afterAll(async () => {
    await source.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    source,
    folder,
    collector,
    run: async (command, category) => {
      // On a machine that starts many programs an earlier one had the same number.
      const earlier = new Set(collector.all(() => true));
      const { pid, stdout } = Bun.spawn([...command], { cwd: folder, stdin: "ignore", stdout: "pipe", stderr: "inherit" });
      const output = await new Response(stdout).text();
      const isOurs = (fields: Fields): boolean => fields["process.pid"] === BigInt(pid) && !earlier.has(fields);
      await collector.find((fields) => isOurs(fields) && fields["event.action"] === "end");
      const isWanted = (fields: Fields): boolean => isOurs(fields) && (fields["event.category"] as readonly string[]).includes(category);
      return { pid, events: collector.all(isWanted), output };
    },
    compile: (name, text, ...flags) => {
      const program = join(folder, name);
      const command = ["clang", "-O1", "-static", "-nostdlib", "-fno-stack-protector", ...flags, "-x", "c", "-", "-o", program];
      const compiled = Bun.spawnSync(command, { stdin: Buffer.from(text) });
      if (compiled.exitCode !== 0) throw new Error(compiled.stderr.toString());
      return program;
    },
  };
}
