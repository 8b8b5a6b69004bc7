// The ladder: for a rule with an action the highest rung it reaches, and why none above. Each rung is one function that either says how it does
// it or why it cannot; `rungOf` takes the first that can. Says what this version really does on a kernel of these abilities.
import type { Rule } from "#rules";
import type { KernelCondition, PolicyAct, PolicyClause, RulePolicy } from "#schema";

/** How early the action comes, the earliest first. */
export const RUNG_NAMES: readonly ["in-kernel", "at-the-gate", "at-once", "after-alert", "none"] = [
  "in-kernel",
  "at-the-gate",
  "at-once",
  "after-alert",
  "none",
];

/** A place on the ladder. */
export type RungName = (typeof RUNG_NAMES)[number];

/** What the kernel lets programs do; why not, where it does not. */
export interface KernelAbilities {
  /** Deny acts: BPF programs as a security module. */
  readonly lsm: Ability;
  /** Deny connections and bound addresses: BPF programs at the root of the control groups. */
  readonly cgroup: Ability;
  /** Hold programs until the agent has spoken: permission events. */
  readonly gate: Ability;
  /** Kill from the programs that see acts. */
  readonly signal: Ability;
}

/** `undefined`: it can; otherwise why not, half a sentence. */
export type Ability = string | undefined;

/** A kernel that can everything. */
export const ANY_KERNEL: KernelAbilities = { lsm: undefined, cgroup: undefined, gate: undefined, signal: undefined };

/** A rule as the rungs see it. */
export interface Climber {
  readonly rule: Pick<Rule, "action" | "mode" | "scope" | "body">;
  /** What the kernel can decide of its condition; undefined for a rule that is not one event query. */
  readonly condition: KernelCondition | undefined;
  /** Why the gate cannot decide it before a program runs; undefined: it can. */
  readonly whyNotAtGate: string | undefined;
  readonly kernel: KernelAbilities;
}

/** A rung's answer: how it carries the action out, with what it leaves to lower rungs; or why it cannot, a sentence each. */
export type RungAnswer = { readonly means: string; readonly leaves: readonly string[] } | { readonly reasons: readonly string[] };

/** What a rule's action comes to. */
export interface Rung {
  readonly action: Exclude<Rule["action"], "alert">;
  readonly mode: Rule["mode"];
  readonly scope: Rule["scope"];
  readonly rung: RungName;
  /** How it is done, in words. */
  readonly means: string;
  /** What of the rule's matches this rung does not reach, a sentence each. */
  readonly leaves: readonly string[];
  /** Why it does not come earlier, one sentence each. */
  readonly whyNotHigher: readonly string[];
}

/** The ladder from the top. */
const LADDER: readonly { readonly name: RungName; readonly climb: (climber: Climber) => RungAnswer }[] = [
  { name: "in-kernel", climb: inKernel },
  { name: "at-the-gate", climb: atTheGate },
  { name: "at-once", climb: atOnce },
  { name: "after-alert", climb: afterAlert },
];

/** The rung of a rule with an action; undefined for one that only alerts. */
export function rungOf(climber: Climber): Rung | undefined {
  const { action, mode, scope } = climber.rule;
  if (action === "alert") return undefined;
  const whyNotHigher = new Set<string>();
  for (const { name, climb } of LADDER) {
    const answer = climb(climber);
    if ("means" in answer) return { action, mode, scope, rung: name, ...answer, whyNotHigher: [...whyNotHigher] };
    for (const reason of answer.reasons) whyNotHigher.add(reason);
  }
  return { action, mode, scope, rung: "none", means: "nothing: only the alert is raised", leaves: [], whyNotHigher: [...whyNotHigher] };
}

/** What the kernel is to decide of a rule; undefined when it can decide nothing, or the action is not the kernel's to carry out. */
export function policyOf(
  rule: Pick<Rule, "id" | "action" | "mode" | "scope">,
  condition: KernelCondition | undefined,
): RulePolicy | undefined {
  const { action } = rule;
  if (action !== "deny" && !(action === "kill" && rule.scope === "process")) return undefined;
  const acts = new Map<PolicyAct, readonly PolicyClause[]>();
  for (const [act, decision] of condition?.acts ?? []) {
    if (decision.kind === "decided" && (action === "deny" || AT_ONCE[act] !== undefined)) acts.set(act, decision.clauses);
  }
  return acts.size === 0 ? undefined : { ruleId: rule.id, action, mode: rule.mode, acts };
}

const ACT_WORDS: Readonly<Record<PolicyAct, string>> = {
  exec: "programs",
  open: "files",
  connect: "connections",
  bind: "bound addresses",
  listen: "listening sockets",
};
/** `undefined`: the act's sensor is a program that may send no signal. */
const AT_ONCE: Readonly<Record<PolicyAct, string | undefined>> = {
  exec: "programs are killed before their first instruction",
  open: "who opens a file is killed before it has the descriptor",
  connect: "who connects is killed as the first packet leaves",
  bind: undefined,
  listen: "who listens is killed before the first connection",
};
/** What can deny an act, the best first. */
const DENIED_BY: Readonly<Record<PolicyAct, readonly ("lsm" | "cgroup")[]>> = {
  exec: ["lsm"],
  open: ["lsm"],
  connect: ["lsm", "cgroup"],
  bind: ["cgroup"],
  listen: ["lsm"],
};
const DENIER_WORDS = { lsm: "an LSM program", cgroup: "a control group program" } as const;
/** Why nothing else denies it, for acts of which one might expect that. */
const NO_OTHER_WAY: Readonly<Partial<Record<PolicyAct, string>>> = { listen: "control groups have no hook for listening" };

/** Before the act: it is refused, and the caller gets EPERM. */
function inKernel(climber: Climber): RungAnswer {
  const { rule, condition, kernel } = climber;
  const reasons = whyUndecided(climber);
  if (rule.action !== "deny")
    return { reasons: rule.action === "kill" ? reasons : [...reasons, "only a denial is carried out before the act"] };
  const denied: string[] = [];
  const leaves: string[] = [];
  for (const [act, decision] of condition?.acts ?? []) {
    if (decision.kind === "undecided") continue;
    const { means, reason } = denialOf(act, kernel);
    if (means !== undefined) denied.push(`${ACT_WORDS[act]} by ${means}`);
    else if (AT_ONCE[act] !== undefined && kernel.signal === undefined) leaves.push(`${AT_ONCE[act]}: ${reason}`);
    else leaves.push(`${ACT_WORDS[act]} are only alerted on: ${reason}`);
  }
  if (denied.length === 0) return { reasons: [...reasons, ...leaves.map((leave) => leave.slice(leave.indexOf(": ") + 2))] };
  return { means: denied.join(", "), leaves: [...leaves, ...reasons, ...others(climber)] };
}

function denialOf(act: PolicyAct, kernel: KernelAbilities): { readonly means?: string; readonly reason: string } {
  const means = DENIED_BY[act].find((one) => kernel[one] === undefined);
  if (means !== undefined) return { means: DENIER_WORDS[means], reason: "" };
  return { reason: [...DENIED_BY[act].map((one) => kernel[one]), NO_OTHER_WAY[act] ?? []].flat().join("; ") };
}

/** Before a program runs: it waits for what the rules say. */
function atTheGate({ rule, condition, whyNotAtGate, kernel }: Climber): RungAnswer {
  if (rule.action !== "deny") return { reasons: [] };
  const reason = whyNotAtGate ?? kernel.gate;
  if (reason !== undefined) return { reasons: [`at the gate: ${reason}`] };
  const seesOthers = condition === undefined || condition.matchesOthers || [...condition.acts.keys()].some((act) => act !== "exec");
  return {
    means: "programs wait for the agent's verdict (fanotify)",
    leaves: ["programs run from memory are only alerted on", ...(seesOthers ? ["events of other kinds are only alerted on"] : [])],
  };
}

/** As the act happens: the sensor's program kills who did it. */
function atOnce(climber: Climber): RungAnswer {
  const { rule, condition, kernel } = climber;
  const reasons = whyUndecided(climber);
  if (rule.action === "suspend") return { reasons: [...reasons, "programs in the kernel only kill"] };
  if (rule.action === "kill" && rule.scope === "tree") return { reasons: [...reasons, "only the agent knows the tree of a process"] };
  const decided = [...(condition?.acts ?? [])].flatMap(([act, decision]) => (decision.kind === "decided" ? act : []));
  const killed = decided.flatMap((act) => AT_ONCE[act] ?? []);
  const left = [...reasons, ...decided.flatMap((act) => (AT_ONCE[act] === undefined ? `${ACT_WORDS[act]}: their sensor cannot kill` : []))];
  if (killed.length === 0) return { reasons: left };
  if (kernel.signal !== undefined) return { reasons: [...left, kernel.signal] };
  return { means: `a signal from the sensor: ${killed.join(", ")}`, leaves: [...left, ...others(climber)] };
}

function others({ rule, condition }: Climber): readonly string[] {
  if (condition?.matchesOthers !== true) return [];
  return [rule.action === "kill" ? "events of other kinds are acted on after the alert" : "events of other kinds are only alerted on"];
}

/** Why the kernel cannot decide acts that the rule matches. */
function whyUndecided({ rule, condition }: Climber): readonly string[] {
  if (rule.body.kind !== "eql") return [`a ${rule.body.kind === "lua" ? "Lua" : "Wasm"} rule runs in the agent`];
  if (condition === undefined) return ["a rule over several events is decided in the agent"];
  if (condition.acts.size === 0) return ["it matches no start of a program, opened file, connection or bound socket"];
  const actsOf = new Map<string, Set<string>>();
  for (const [act, decision] of condition.acts) {
    for (const { text, reason } of decision.kind === "decided" ? [] : decision.parts) {
      const why = `\`${oneLine(text)}\`: ${reason}`;
      actsOf.set(why, (actsOf.get(why) ?? new Set()).add(ACT_WORDS[act]));
    }
  }
  return [...actsOf].map(([why, acts]) => `${[...acts].join(", ")}: ${why}`);
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ").trim();
  return line.length > EXCERPT_LENGTH_MAX ? `${line.slice(0, EXCERPT_LENGTH_MAX)}…` : line;
}

const EXCERPT_LENGTH_MAX = 120;

/** After the alert: the agent finds the process again and signals it. */
function afterAlert({ rule }: Climber): RungAnswer {
  switch (rule.action) {
    case "kill":
      return { means: "SIGKILL through a pidfd", leaves: [] };
    case "suspend":
      return { means: "freeze of its control group where that is its own, otherwise SIGSTOP through a pidfd", leaves: [] };
    default:
      return { reasons: ["what has happened cannot be denied"] };
  }
}
