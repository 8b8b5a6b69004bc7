// Which sensors `kestrel explain` says a rule needs.
import { expect, test } from "bun:test";
import { SchemaRegistry } from "#schema";
import { neededSensors, neededText } from "../../src/cli/needed-sensors.ts";

test.each([
  ['process where event.type == "start" and event.action == "exec"', "exec"],
  ['process where event.action in ("exec", "ptrace_attach")', "exec; act (ptrace_attach)"],
  [
    'file where event.action == "modification" and file.path like "/etc/*"',
    "file (modification), certain names, users, ports, addresses or containers only; change (modification), certain names, users, ports, addresses or containers only",
  ],
  [
    'network where event.action == "bind" and container.id == null',
    "bind (bind), certain names, users, ports, addresses or containers only",
  ],
  ["authentication where true", "no sensor: its events come from logs"],
  ["any where true", "most sensors; conditions on event.type and event.action would spare some"],
])("%s", (text, wanted) => {
  const source = { id: "r", text, dialect: "default", exceptions: [], lenientFields: false } as const;
  expect(neededText(neededSensors(source, new SchemaRegistry()))).toBe(wanted);
});
