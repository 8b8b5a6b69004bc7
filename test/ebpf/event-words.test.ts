// What sensors call their events, where rules read more into a word than it says.
import { expect, test } from "bun:test";
import { SENSOR_WORDS } from "../../src/ebpf/event-words.ts";

test('nothing but the end of a process is the end of one: until [process where event.type == "end"] means that', () => {
  const ends = Object.entries(SENSOR_WORDS).flatMap(([sensor, words]) =>
    words.filter(([category, type]) => category === "process" && type === "end").map(([, , action]) => `${sensor} ${action}`),
  );
  expect(ends).toEqual(["exit end"]);
});
