// Files of programs on filesystems that never answer hold neither kestrel run nor what it knows of other programs.
import { expect, setDefaultTimeout, test } from "bun:test";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ServedProgram, servesFiles } from "../ebpf/served-program.ts";
import { AgentProcess, type AlertJson, sensorsRun } from "./agent-process.ts";
import { eventually, TempFolder } from "./program.ts";

setDefaultTimeout(120_000);

/** A program that nobody has seen; its hash. */
function newProgram(path: string): string {
  const bytes = Buffer.concat([readFileSync("/bin/true"), Buffer.from(path)]);
  writeFileSync(path, bytes);
  chmodSync(path, 0o755);
  return createHash("sha256").update(bytes).digest("hex");
}

/** Runs the program again and again: on a busy machine its first start may not wait until it is known. */
async function alertOf(agent: AgentProcess, program: string): Promise<AlertJson> {
  return await eventually(
    () => `the alert about ${program}: ${agent.stderr}`,
    () => {
      Bun.spawnSync([program]);
      return agent.printed.find(({ rule, captures }) => rule.id === "my.hash" && captures["process.executable"] === program);
    },
  );
}

test.skipIf(!sensorsRun() || !servesFiles())(
  "two programs on silent filesystems keep no other from being known, nor the agent from ending",
  async () => {
    using folder = new TempFolder();
    const at = (name: string): string => join(folder.path, name);
    mkdirSync(at("layer"));
    const hashes = ["first", "second"].map((name) => newProgram(at(name)));
    const query = `process where event.action == "exec" and process.hash.sha256 in ("${hashes.join('", "')}")`;
    await folder.write("hash.yaml", `id: my.hash\nname: Hash\nseverity: low\nquery: '${query}'\ncapture: [process.executable]\n`);
    await using agent = await AgentProcess.start(at("data"), ["--rules", at("hash.yaml")]);
    // It sees the programs start when they are silent already.
    agent.child.kill("SIGSTOP");
    const script = "read forever </dev/zero";
    await using one = await ServedProgram.start("silent-one", at("silence"), script, at("layer"));
    await using two = await ServedProgram.start("silent-two", at("silence"), script, at("layer"));
    for (const served of [one, two]) served.fallSilent();
    agent.child.kill("SIGCONT");
    await alertOf(agent, at("first"));
    await eventually(
      () => `words about the silent ones: ${agent.stderr}`,
      () => /a filesystem does not answer.*silent-(one|two)/.test(agent.stderr) || undefined,
    );
    await alertOf(agent, at("second"));
    expect(await agent.stop()).toBe(0);
  },
);
