// Sequences in kestrel run, on this machine's own kernel: over restarts and kills, and an event that does not come.
import { Database } from "bun:sqlite";
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { AgentProcess, type AlertJson, sensorsRun } from "./agent-process.ts";
import { eventually, TempFolder } from "./program.ts";

setDefaultTimeout(120_000);

let markers = 0;

/** A word that no other program on this machine uses. */
function newMarker(): string {
  return `kestrel-sequence-${process.pid}-${++markers}`;
}

/** The step of a program that is started with a word. */
function started(word: string): string {
  return `[process where event.action == "exec" and process.args == "${word}"]`;
}

function ruleText(id: string, query: string): string {
  return `id: ${id}\nname: Rule ${id}\nseverity: low\nquery: ${JSON.stringify(query)}\n`;
}

async function start(word: string): Promise<void> {
  await Bun.spawn(["/bin/true", word], { stdout: "ignore" }).exited;
}

/** Longer than a restart with its checkpoint takes. */
const SPAN_MS = 5000;

/** Rules about one marker, a data folder, and agents that come and go on it. */
class Place extends TempFolder {
  readonly marker: string = newMarker();
  readonly data: string = join(this.path, "data");
  #rules = "";

  async agent(): Promise<AgentProcess> {
    const { marker } = this;
    if (this.#rules === "") {
      this.#rules = join(this.path, "rules");
      const word = (suffix: string): string => started(`${marker}-${suffix}`);
      for (const [id, query] of [
        ["pair", `sequence with maxspan=30m ${word("first")} ${word("second")}`],
        ["sentinel", `sequence with maxspan=30m ${word("last-1")} ${word("last-2")}`],
        ["absent", `sequence with maxspan=${SPAN_MS}ms ${word("job")} !${word("job-end")}`],
        ["ended", `sequence with maxspan=${SPAN_MS}ms ${word("job-begun")} !${word("job-end")}`],
      ] as const)
        await this.write(`rules/${id}.yaml`, ruleText(id, query));
    }
    return AgentProcess.start(this.data, ["--rules", this.#rules]);
  }

  act(...suffixes: readonly string[]): Promise<void> {
    return suffixes.reduce((before, suffix) => before.then(() => start(`${this.marker}-${suffix}`)), Promise.resolve());
  }

  /** Waits until the pending sequence of a rule is in the database: a row whose kind is 1. */
  async kept(ruleId: string): Promise<void> {
    const database = new Database(join(this.data, "kestrel.db"), { readonly: true });
    try {
      const query = database.query<{ readonly count: number }, [string]>(
        "SELECT count(*) AS count FROM state_rows WHERE owner = ? AND substr(key, 1, 1) = x'01'",
      );
      await eventually(
        () => `a checkpoint with the sequence of ${ruleId}`,
        () => (query.get(ruleId)?.count ?? 0) > 0 || undefined,
      );
    } finally {
      database.close();
    }
  }

  /** Acts last; when that alerts, everything before has been decided. */
  async settled(agent: AgentProcess): Promise<void> {
    await this.act("last-1", "last-2");
    await alertOf(agent, "sentinel");
  }
}

function alertsOf(alerts: readonly AlertJson[], ruleId: string): readonly AlertJson[] {
  return alerts.filter(({ rule }) => rule.id === ruleId);
}

function alertOf(agent: AgentProcess, ruleId: string): Promise<AlertJson> {
  return eventually(
    () => `an alert of ${ruleId}: ${agent.stderr}`,
    () => alertsOf(agent.printed, ruleId)[0],
  );
}

const RESTARTS: Readonly<Record<string, (place: Place, agent: AgentProcess, ruleId: string) => Promise<unknown>>> = {
  SIGTERM: (_, agent) => agent.stop(),
  "SIGKILL after a checkpoint": (place, agent, ruleId) => place.kept(ruleId).then(() => agent.kill()),
};

describe.skipIf(!sensorsRun())("kestrel run", () => {
  for (const [name, restart] of Object.entries(RESTARTS)) {
    test(`a sequence that began before it ended by ${name} is completed by the next one, once`, async () => {
      using place = new Place();
      {
        await using agent = await place.agent();
        await place.act("first");
        await restart(place, agent, "pair");
        expect(alertsOf(agent.printed, "pair")).toEqual([]);
      }
      await using agent = await place.agent();
      expect(agent.stderr).not.toMatch(/left out|set aside/);
      // The second time there is nothing that waits.
      await place.act("second", "second");
      const alert = await alertOf(agent, "pair");
      expect(alert.events.map(({ process }) => process?.command_line)).toEqual([
        `/bin/true ${place.marker}-first`,
        `/bin/true ${place.marker}-second`,
      ]);
      await place.settled(agent);
      expect(alertsOf(agent.printed, "pair").length).toBe(1);
      expect(alertsOf(await agent.listed(), "pair").length).toBe(1);
      expect(await agent.stop()).toBe(0);
    });

    test(`an event that does not come alerts after its span, also when it ended by ${name} meanwhile`, async () => {
      using place = new Place();
      {
        await using agent = await place.agent();
        await place.act("job");
        await restart(place, agent, "absent");
        expect(alertsOf(agent.printed, "absent")).toEqual([]);
      }
      await using agent = await place.agent();
      await alertOf(agent, "absent");
      await place.settled(agent);
      expect(alertsOf(await agent.listed(), "absent").length).toBe(1);
    });
  }

  test("a sequence that alerted before a SIGKILL does not alert again", async () => {
    using place = new Place();
    {
      await using agent = await place.agent();
      await place.act("first");
      await place.kept("pair");
      await place.act("second");
      await alertOf(agent, "pair");
      await agent.kill();
    }
    await using agent = await place.agent();
    await place.act("second");
    await place.settled(agent);
    expect(alertsOf(agent.printed, "pair")).toEqual([]);
    expect(alertsOf(await agent.listed(), "pair").length).toBe(1);
  });

  test("an event that does not come alerts after its span, never before, and not when it comes", async () => {
    using place = new Place();
    await using agent = await place.agent();
    await place.act("job-begun", "job-end", "job");
    const { events } = await alertOf(agent, "absent");
    const nowMs = Date.now();
    const [job] = events as readonly { readonly "@timestamp"?: string }[];
    const afterMs = nowMs - Date.parse(job?.["@timestamp"] ?? "");
    expect(events.length).toBe(1);
    expect(afterMs).toBeGreaterThan(SPAN_MS);
    console.log(`the alert came ${Math.round(afterMs - SPAN_MS)} ms after the span of ${SPAN_MS} ms`);
    await place.settled(agent);
    expect(alertsOf(agent.printed, "ended")).toEqual([]);
    expect(alertsOf(agent.printed, "absent").length).toBe(1);
  });
});
