// README's table of tricks, made of the acts that real kernels did. A trick that no act of the matrix can show has its test beside this file.
import { EVASIONS, type Evasion } from "./evasions.ts";
import { GATE_TRICKS } from "./gate-tricks.ts";

/** Tricks against the rings themselves: losing is what they are about. */
const FLOODS: readonly Pick<Evasion, "trick" | "how" | "result">[] = [
  {
    trick: "A flood of rare acts (capset, signals, keys) meant to hide one exec",
    result: "seen",
    how: "they fill no more than half of the ring of processes; of the acts themselves some are lost and counted",
  },
  {
    trick: "A flood of processes meant to hide one exec",
    result: "not covered",
    how: "what does not fit in the ring of processes is lost, but counted as `ring-full` in status and metrics",
  },
];

/** The table in Markdown, with its head. */
export function evasionTable(): string {
  const rows = [
    ["Trick", "Result", "Stopped by the gate", "How, or why not"],
    ["---", "---", "---", "---"],
    ...EVASIONS.map((evasion) => [evasion.trick, resultOf(evasion), stoppedAtGate(evasion), evasion.how]),
    ...FLOODS.map(({ trick, how, result }) => [trick, result, "", how]),
  ];
  return rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function resultOf({ result, act }: Evasion): string {
  return act.unseenBy.length === 0 ? result : `${result}; not by ${act.unseenBy.map((attachment) => `\`${attachment}\``).join(" and ")}`;
}

function stoppedAtGate({ act }: Evasion): string {
  const trick = GATE_TRICKS.find(({ name }) => act.name === `evasion-${name}`);
  return trick === undefined ? "" : trick.stopped ? "yes" : "no";
}
