// kestrel record: this machine's events to a .klog or JSON-lines file, until a time has passed or a signal comes.

import { openSync } from "node:fs";
import { createLog, messageOf, type RecordSink, SystemClock, stringifyJson } from "#core";
import { EbpfSource } from "#ebpf";
import { encodeJson, RecordView } from "#event";
import type { SchemaRegistry } from "#schema";
import { EXIT, parseArguments, usageError } from "./arguments.ts";
import { ENRICHMENT_FLAGS, enrichmentOptions } from "./enrichment-options.ts";
import { LineWriter } from "./output.ts";
import { ownCommand, READER } from "./own-command.ts";
import { RecordingSink } from "./recording-sink.ts";
import { registryFrom } from "./schema-file.ts";
import { stopSignal } from "./stop-signal.ts";

const SECONDS_MAX = 31_536_000;

/** Runs the command. */
export async function record(argv: readonly string[]): Promise<number> {
  const args = parseArguments(argv, { seconds: "text", json: "switch", ...ENRICHMENT_FLAGS });
  const [path, extra] = args.positionals;
  if (path === undefined || extra !== undefined) throw usageError("Name one file to write, or - for standard output with --json");
  if (path === "-" && !args.has("json")) throw usageError("Standard output takes JSON lines only: add --json");
  const seconds = args.number("seconds", 0, { least: 1, most: SECONDS_MAX });
  const log = createLog("info", (line) => process.stderr.write(`${line}\n`));
  const registry = registryFrom(undefined);
  const counted = new CountingSink();
  const source = new EbpfSource({
    registry,
    clock: new SystemClock(),
    ...(await enrichmentOptions(args)),
    readerCommand: ownCommand(READER),
    onProblem: (problem) => log.write("warn", problem),
  });
  const asJson = args.has("json") || path.endsWith(".jsonl");
  const sink = asJson ? new JsonLinesSink(path, registry, counted) : new RecordingSink(path, { registry, next: counted, log });
  try {
    await source.start(sink);
    log.write("info", `recording to ${path === "-" ? "standard output" : path}${seconds === 0 ? " until SIGINT" : ` for ${seconds} s`}`);
    await stopSignal(seconds === 0 ? undefined : seconds * 1000);
    await source.stop();
  } finally {
    sink.close();
  }
  const losses = Object.entries(source.losses()).filter(([, count]) => count > 0);
  log.write("info", `${counted.records} events${losses.map(([cause, count]) => `, ${count} lost (${cause})`).join("")}`);
  return EXIT.ok;
}

/** Counts what was recorded. */
class CountingSink implements RecordSink {
  records = 0;

  push(): boolean {
    this.records++;
    return true;
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }
}

/** Writes each record as a line of ECS JSON. */
class JsonLinesSink implements RecordSink {
  readonly #writer: LineWriter;
  readonly #registry: SchemaRegistry;
  readonly #next: RecordSink;
  readonly #view = new RecordView();

  constructor(path: string, registry: SchemaRegistry, next: RecordSink) {
    this.#writer = new LineWriter(path === "-" ? 1 : openLines(path));
    this.#registry = registry;
    this.#next = next;
  }

  push(bytes: Uint8Array, offset: number, length: number): boolean {
    this.#writer.line(stringifyJson(encodeJson(this.#view.reset(bytes, offset), this.#registry)));
    return this.#next.push(bytes, offset, length);
  }

  ready(): Promise<void> {
    return this.#next.ready();
  }

  close(): void {
    this.#writer.flush();
  }
}

function openLines(path: string): number {
  try {
    return openSync(path, "a", 0o600);
  } catch (error) {
    throw usageError(`Cannot open ${JSON.stringify(path)}: ${messageOf(error)}`);
  }
}
