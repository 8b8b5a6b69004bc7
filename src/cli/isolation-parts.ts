// The isolation switch of a running agent: this machine's control groups and bpffs, the store, and alerts through the engine.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { agentAlert, bpffsRoot, type Clock, cgroupRoot, type Log } from "#core";
import type { Engine } from "#engine";
import { HostIsolation } from "#respond";
import type { Store } from "#store";
import { type Arguments, usageError } from "./arguments.ts";
import { IsolationSwitch } from "./isolation-switch.ts";

const FLAG = "isolation-cgroup";

/** The group that `--isolation-cgroup` names. */
export function isolationGroup(args: Arguments): string | undefined {
  const group = args.text(FLAG);
  // A file that every group of version 2 has, and nothing else.
  if (group !== undefined && !existsSync(join(group, "cgroup.controllers")))
    throw usageError(`Flag "--${FLAG}" needs the folder of a control group (v2), which "${group}" is not`);
  return group;
}

/** A switch for one control group, or without one for the root of all. */
export function isolationSwitch(
  group: string | undefined,
  parts: { readonly store: Store; readonly engine: Pick<Engine, "raise">; readonly clock: Clock; readonly log: Log },
): IsolationSwitch {
  const { store, engine, clock, log } = parts;
  const mounts = readFileSync("/proc/self/mounts", "utf8");
  const cgroup = group ?? cgroupRoot(mounts);
  return new IsolationSwitch({
    isolation: cgroup === undefined ? undefined : new HostIsolation({ cgroup, bpffs: bpffsRoot(mounts) }),
    store,
    raise: (notice) => engine.raise(agentAlert(notice, clock.nowNs())),
    clock,
    log,
  });
}
