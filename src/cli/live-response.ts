// The responder of a running agent with its gate: this machine's processes, what the sensors know of descent, the protect list, the modes people set.
import { readFileSync } from "node:fs";
import { type Clock, cgroupRoot } from "#core";
import { type EbpfSource, kernelDevice } from "#ebpf";
import { createExecJudge, type ExecJudgeOptions } from "#engine";
import { LinuxProcesses, LiveResponder, Protection, protectedPrograms } from "#respond";
import type { Rule } from "#rules";
import { type Arguments, usageError } from "./arguments.ts";
import { kernelAbilities } from "./kernel-abilities.ts";
import { gateSettings, LiveGate, type LiveGateParts } from "./live-gate.ts";
import { PromptTurns } from "./prompt-turns.ts";
import type { ResponseModes } from "./response-modes.ts";
import { Shortfalls } from "./shortfalls.ts";

/** What responding needs of the rest. */
export interface ResponseParts {
  readonly source: EbpfSource;
  readonly modes: ResponseModes;
  readonly clock: Clock;
  readonly compiling: ExecJudgeOptions;
}

/** All that acts. */
export interface LiveResponse {
  readonly responder: LiveResponder;
  readonly gate: LiveGate;
  readonly shortfalls: Shortfalls;
  readonly turns: PromptTurns;
  /** Acts no more. Twice is fine. */
  close(): Promise<void>;
}

/** A responder and a gate that leave the programs of `--protect` alone too: lists of file names and paths, as people type them. */
export function liveResponse(args: Arguments, parts: ResponseParts): LiveResponse {
  const { source, modes, clock, compiling } = parts;
  const { log } = compiling;
  const processes = new LinuxProcesses();
  const programs = protectedPrograms(protectedNames(args));
  const modeOf: LiveGateParts["modeOf"] = (ruleId, own) => modes.given(ruleId) ?? own;
  const protection = new Protection({ processes, programs, ownPid: process.pid });
  const judge: LiveGateParts["judge"] = (rules) => createExecJudge(rules, compiling);
  const gate = new LiveGate(gateSettings(args), { witness: source, judge, protection, programs, clock, log, modeOf });
  const responder = new LiveResponder({
    processes,
    protection,
    lineage: source,
    clock,
    log,
    gate,
    ownPid: process.pid,
    cgroupRoot: cgroupRoot(readFileSync("/proc/self/mounts", "utf8")),
    modeOf,
    usePolicies: (policies) =>
      source.usePolicies({
        policies,
        isEnforced: ({ ruleId, mode }) => modeOf(ruleId, mode) === "enforce",
        protectedFiles: protection.files().map(({ device, inode, runners }) => ({ device: kernelDevice(device), inode, runners })),
        spared: protection.ownLine().map(({ pid, startTick }) => ({ pid, startTick, withHelpers: pid === process.pid })),
      }),
  });
  const modeOfRule = ({ id, mode }: Rule): Rule["mode"] => modeOf(id, mode);
  const shortfalls = new Shortfalls({ abilities: () => kernelAbilities(gate.whyOff), modeOf: modeOfRule, log });
  return {
    responder,
    gate,
    shortfalls,
    turns: new PromptTurns({ source, modeOf: modeOfRule, isRunning: compiling.isRunning }),
    async close() {
      responder.close();
      await gate.close();
    },
  };
}

/** Programs that `--protect` names. */
export function protectedNames(args: Arguments): readonly string[] {
  const names = args.texts("protect").flatMap((text) => text.split(","));
  for (const name of names) {
    if (name === "" || (name.includes("/") && !name.startsWith("/")))
      throw usageError(`Flag "--protect" needs file names or whole paths, not "${name}"`);
  }
  return names;
}
