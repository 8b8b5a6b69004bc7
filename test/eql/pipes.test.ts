// Pipes over a small list of results, in tables: what comes out, in which order, with which figures. Findings about pipes are in errors.txt.
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  compileMatchFilter,
  compileRuleSet,
  createPipeline,
  type Dialect,
  PIPE_KEPT_MAX,
  type PipeKey,
  PipeLimitError,
  type Pipeline,
  type PipeOutput,
  type Pipes,
  type QuerySource,
} from "#eql";
import { type FieldReader, type FieldValue, SchemaRegistry } from "#schema";

const registry = new SchemaRegistry();

function reader(fields: Readonly<Record<string, FieldValue>>): FieldReader {
  const values = new Map(Object.entries(fields).map(([name, value]) => [registry.idOf(name), value]));
  return { category: 0, value: (id) => values.get(id) };
}

const EVENTS: readonly FieldReader[] = [
  reader({ "process.name": "a", "process.pid": 2n, "process.args": ["x", "y"] }),
  reader({ "process.name": "b", "process.pid": 1n, "process.args": "x" }),
  reader({ "process.name": "c", "process.pid": 5n, "process.args": ["x"] }),
  reader({ "process.name": "a", "process.pid": 9n, "process.args": "y" }),
  reader({ "process.name": "A" }),
  reader({ "process.name": "b", "process.pid": 3n }),
  reader({}),
];

/** A sequence's results: three events each, the second result without its first, a missing one. */
const SEQUENCES: readonly (readonly (FieldReader | undefined)[])[] = [
  [EVENTS[0], EVENTS[1], EVENTS[6]],
  [undefined, EVENTS[1], EVENTS[0]],
  [EVENTS[0], EVENTS[2], EVENTS[3]],
];

function compile(text: string, dialect: Dialect): { readonly pipes: Pipes; readonly messages: string } {
  const source: QuerySource = { id: "q", text, dialect, exceptions: [], lenientFields: false, purpose: "query" };
  const [query] = compileRuleSet([source], registry, []).queries;
  return { pipes: query!.pipes, messages: query!.diagnostics.map((item) => item.message).join("; ") };
}

function shownKey(key: PipeKey): string {
  return JSON.stringify(key, (_, value: unknown) => (typeof value === "bigint" ? Number(value) : value));
}

function shown(output: PipeOutput<number>): string {
  const share = output.percent === undefined ? "" : `/${output.percent.toFixed(3)}`;
  if (output.kind === "row") return `${output.key === "totals" ? "totals" : shownKey(output.key)}=${output.count}${share}`;
  return output.count === undefined ? String(output.item) : `${output.item}:${output.count}${share}`;
}

function run(pipeline: Pipeline<number>, results: readonly (readonly (FieldReader | undefined)[])[]): readonly PipeOutput<number>[] {
  const found = results.flatMap((events, index) => (pipeline.ended ? [] : pipeline.push(index + 1, events)));
  return [...found, ...pipeline.finish()];
}

const SEQUENCE = "sequence with maxspan=1m ![any where true] [any where true] [any where true] as last";
const sections = readFileSync(fileURLToPath(new URL("./cases/pipes.txt", import.meta.url)), "utf8")
  .split(/^# /m)
  .slice(1);

test("there are cases", () => {
  expect(sections.length).toBe(3);
});

for (const section of sections) {
  const [name = "", ...lines] = section.trimEnd().split("\n");
  describe(name, () => {
    for (const line of lines.filter((text) => text !== "")) {
      test(line, () => {
        const [pipes = "", expected = ""] = line.split(/ ==> ?/);
        // The bare `| true` keeps filters out of the query itself.
        const head = name === "sequence" ? SEQUENCE : "any where true | head 100";
        const compiled = compile(`${head} ${pipes}`, name === "endgame" ? "endgame" : "default");
        expect(compiled.messages).toBe("");
        const results = name === "sequence" ? SEQUENCES : EVENTS.map((event) => [event]);
        expect(run(createPipeline(compiled.pipes), results).map(shown).join(" ")).toBe(expected);
      });
    }
  });
}

test("filters right behind an event query are part of it", () => {
  expect(
    compile("any where true | filter process.pid > 1 | filter process.pid < 5 | head 1 | filter true", "default").pipes.pipes.map(
      ({ kind }) => kind,
    ),
  ).toEqual(["head", "filter"]);
});

describe("a pipeline", () => {
  const pipelineOf = (pipes: string): Pipeline<number> => createPipeline(compile(`any where true ${pipes}`, "default").pipes);
  test("tells when no further result matters", () => {
    const pipeline = pipelineOf("| sort process.pid | head 2");
    run(pipeline, SEQUENCES);
    expect(pipeline.ended).toBe(true);
    const early = pipelineOf("| unique process.name | head 2 | sort process.pid");
    const ended = EVENTS.map((event, index) => {
      early.push(index, [event]);
      return early.ended;
    });
    expect(ended).toEqual([false, true, true, true, true, true, true]);
    expect(pipelineOf("| head 0").ended).toBe(true);
    expect(pipelineOf("| count").ended).toBe(false);
  });
  test("gives results at once where it can", () => {
    expect(pipelineOf("| unique process.name | head 9").push(1, [EVENTS[0]])).toHaveLength(1);
    expect(pipelineOf("").push(1, [EVENTS[0]])).toHaveLength(1);
    expect(pipelineOf("| tail 9").push(1, [EVENTS[0]])).toHaveLength(0);
  });
  test("tells whether events must stay", () => {
    expect(pipelineOf("| unique process.name | head 9 | count user.id").keepsEvents).toBe(false);
    for (const pipes of ["| sort user.id", "| tail 3", "| unique_count user.id"]) expect(pipelineOf(pipes).keepsEvents).toBe(true);
  });
});

test("a pipe keeps a bounded number of results", () => {
  const pipeline = createPipeline<number>(compile("any where true | tail 2000000", "default").pipes);
  const events = [EVENTS[0]];
  for (let count = 0; count < PIPE_KEPT_MAX; count++) pipeline.push(count, events);
  expect(() => pipeline.push(0, events)).toThrow(PipeLimitError);
});

describe("in a rule", () => {
  const rule = (text: string) =>
    compileRuleSet([{ id: "r", text, dialect: "default", exceptions: [], lenientFields: false }], registry, []).queries[0]!;
  test("a filter of an event query is part of its condition", () => {
    const query = rule("process where true | filter process.pid > 3");
    expect([query.diagnostics, query.pipes.pipes, query.plan]).toEqual([[], [], undefined]);
    expect(query.fieldIds).toContain(registry.idOf("process.pid"));
  });
  test("a filter of a sequence is part of its plan", () => {
    const query = rule("sequence [process where true] [file where true] | filter events[1].file.size > 3 | filter true");
    expect([query.diagnostics, query.pipes.pipes]).toEqual([[], []]);
    const filter = compileMatchFilter(query.plan!.filter!);
    const file = reader({ "file.size": 4n });
    expect([filter([EVENTS[0], file]), filter([undefined, file]), filter([file, EVENTS[0]]), filter([])]).toEqual([
      true,
      true,
      false,
      false,
    ]);
    expect(rule("sequence [process where true] [file where true]").plan?.filter).toBeUndefined();
  });
  test("what waits for the end has no effect and says so", () => {
    const pipes = ["head 1", "tail 1", "sort user.id", "unique user.id", "count", "count user.id", "unique_count user.id"];
    for (const pipe of [...pipes, "unique_count user.id | filter count > 3"]) {
      const query = rule(`process where true | ${pipe}`);
      expect([query.ok, query.pipes.pipes]).toEqual([true, []]);
      expect(new Set(query.diagnostics.map(({ severity, code }) => `${severity} ${code}`))).toEqual(
        new Set(["warning pipe-without-effect"]),
      );
    }
  });
});
