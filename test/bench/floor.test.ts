// The empty programs of the floor stand where those of the sensors do: the same number at each place, whatever file has a program's source.
import { expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync } from "node:fs";
import { cgroupRoot } from "#core";
import { LoadedSensors } from "../../src/ebpf/loader.ts";
import { SENSORS } from "../../src/ebpf/sensors.ts";
import { refusal } from "../ebpf/live.ts";
import { Floor, placesOf } from "./floor.ts";

setDefaultTimeout(60_000);

/** What the kernel says of links but for their own numbers and those of their programs, in order. */
function placesOfLinks(fds: readonly number[]): readonly string[] {
  const own = /^(pos|flags|mnt_id|ino|link_id|prog_tag|prog_id):/;
  return fds
    .map((fd) =>
      readFileSync(`/proc/self/fdinfo/${fd}`, "utf8")
        .split("\n")
        .filter((line) => line !== "" && !own.test(line))
        .join(" "),
    )
    .sort();
}

for (const { name, attachments } of SENSORS) {
  for (const attachment of attachments) {
    test(`every program of ${name} by ${attachment.name} has a place`, () => {
      const places = placesOf(new Map([[name, attachment.name]]));
      const calls = attachment.programs.filter(({ at }) => at === "calls").length;
      expect(places).toHaveLength(attachment.programs.length - calls + Math.min(calls, 1));
      expect(places.filter((place) => !/^(raw_tp|fentry|fexit|cgroup\w*)\/\w+$/.test(place))).toEqual([]);
    });
  }
}

if (refusal !== undefined) console.log(`skipped: the floor beside the sensors (${refusal})`);
test.skipIf(refusal !== undefined)("the floor has an empty program for each that the agent attaches, and at the same place", () => {
  const sensors = LoadedSensors.load({
    processRingBytes: 1 << 16,
    activityRingBytes: 1 << 16,
    agentPid: process.pid,
    cgroupRoot: cgroupRoot(readFileSync("/proc/self/mounts", "utf8")),
  });
  try {
    const expected = placesOfLinks(sensors.links.map(({ fd }) => fd));
    using floor = new Floor(new Map(sensors.statuses.map(({ sensor, attachment = "" }) => [sensor, attachment])));
    expect(expected.length).toBeGreaterThan(SENSORS.length);
    expect(placesOfLinks(floor.linkFds)).toEqual(expected);
  } finally {
    sensors.close();
  }
});
