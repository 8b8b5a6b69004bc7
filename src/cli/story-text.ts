// Stories of events as lines for people and as JSON. Pure.
import type { Json } from "#core";
import { dayText, timeText } from "./event-words.ts";
import type { RunOutcome } from "./explain-events.ts";
import { chainText } from "./near-misses.ts";
import type { Note, Story } from "./plan-story.ts";

/** Lines of stories, a line with the date before the first of each day. */
export class StoryText {
  #day = "";

  /** Lines of the next story. */
  lines({ event, timeNs, notes }: Story): readonly string[] {
    const day = dayText(timeNs);
    const dayLine = day === this.#day ? [] : [`── ${day} ──`];
    this.#day = day;
    const keys = new Set(notes.map((note) => note.key).filter((key) => key !== ""));
    const shared = keys.size === 1 ? [...keys][0] : undefined;
    const subject = event === undefined ? "time passes" : `#${event.seq}  ${event.subject}`;
    const head = `${timeText(timeNs)}  ${subject}${shared === undefined ? "" : `  [${shared}]`}`;
    return [...dayLine, head, ...notes.map((note) => `              ${noteText(note, shared === undefined)}`)];
  }
}

function noteText({ place, key, text }: Note, withKey: boolean): string {
  return `${place === "" ? "" : `${place}: `}${text}${withKey && key !== "" ? `  [${key}]` : ""}`;
}

/** What the end of the log brings, as lines. `places`: what the counts of `met` are of. */
export function endingLines(outcome: RunOutcome, places: readonly string[]): readonly string[] {
  const { events, matches, met, untold, pending, nearMisses } = outcome;
  const counts = places.length < 2 ? "" : `; ${places.map((place, index) => `${place} met by ${met[index] ?? 0}`).join(", ")}`;
  return [
    `${events} ${events === 1 ? "event" : "events"}, ${matches} ${matches === 1 ? "match" : "matches"}${counts}`,
    ...[...untold].map(([what, count]) => `${count} not shown: not ${what} (--all shows them)`),
    ...(pending.length === 0
      ? []
      : ["still under way", ...pending.map(({ sequence, key, text }) => pendingLine(chainText(sequence), key, text))]),
    ...nearMisses.map((sentence) => `closest: ${sentence}`),
  ];
}

function pendingLine(chain: string, key: string, text: string): string {
  return `  ${chain}${key === "" ? "" : `  [${key}]`}  ${text}`;
}

/** A story as JSON. */
export function storyJson({ event, timeNs, notes }: Story): Json {
  return {
    time: `${dayText(timeNs)}T${timeText(timeNs)}Z`,
    event: event?.seq ?? null,
    subject: event?.subject ?? null,
    notes: notes.map(({ kind, place, key, sequence, text }) => ({ kind, place, key, sequence: [...sequence], text })),
  };
}

/** The end as JSON. */
export function endingJson({ events, matches, met, untold, pending, nearMisses }: RunOutcome): Json {
  return {
    events,
    matches,
    met: [...met],
    untold: [...untold.values()].reduce((sum, count) => sum + count, 0),
    pending: pending.map(({ sequence, key, text }) => ({ sequence: [...sequence], key, text })),
    nearMisses: [...nearMisses],
  };
}
