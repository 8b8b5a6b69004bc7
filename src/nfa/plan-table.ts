// A plan as numbers: its positive steps, runs written out, are stages; missing steps are bits of the gaps between stages. A partial match at
// stage s has s events and waits for the next.
import { type KeyPart, planSlots, type RulePlan } from "#schema";
import { NONE } from "./slots.ts";
import { type SpanWords, spanWords } from "./time-words.ts";

/** How the slots that share it make their keys. */
export interface KeySpec {
  readonly parts: readonly KeyPart[];
  /** A slot that has it; key parts with expressions are asked for by slot. */
  readonly slot: number;
  /** Slots that share it. */
  readonly bits: number;
}

/** See the file's opening. Masks have bit s for slot s of `planSlots`. */
export interface PlanTable {
  readonly plan: RulePlan;
  readonly stageCount: number;
  /** Step of each stage. */
  readonly stageSteps: Int32Array;
  /** First stage of each step, NONE for missing steps. */
  readonly firstStages: Int32Array;
  /** Missing steps between stage s - 1 and stage s, for 0 < s < stageCount. */
  readonly gapBits: Uint32Array;
  readonly leadingBits: number;
  readonly trailingBits: number;
  readonly missingBits: number;
  readonly positiveBits: number;
  readonly untilSlot: number;
  readonly untilBit: number;
  readonly lineageSlot: number;
  readonly lineageBits: number;
  readonly linkBit: number;
  /** Slots whose events change state under a key. */
  readonly keyedBits: number;
  /** Slots whose events can leave something under a key that has nothing. */
  readonly openingBits: number;
  readonly forkBits: number;
  readonly residualBits: number;
  readonly keySpecs: readonly KeySpec[];
  /** Keyed slots as an event's keys are read: positive steps from the last, since results under several keys come in the order of its keys. */
  readonly keyOrder: readonly number[];
  /** The result: a stage, or NONE for a missing event's place. */
  readonly places: readonly number[];
  readonly span: SpanWords | undefined;
}

/** Bit of a slot, as an unsigned word. */
export function slotBit(slot: number): number {
  return slot === NONE ? 0 : (1 << slot) >>> 0;
}

/** Lowest slot of a word that is not 0. */
export function lowestSlot(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

/** Highest slot of a word that is not 0. */
export function highestSlot(bits: number): number {
  return 31 - Math.clz32(bits);
}

/** The table of a plan; `ttlNs` stands in for a maxspan. */
export function tableOf(plan: RulePlan, ttlNs: bigint | undefined): PlanTable {
  const { steps } = plan;
  const stageSteps = steps.flatMap((step, slot) => (step.missing ? [] : new Array<number>(step.runs).fill(slot)));
  const untilSlot = plan.until === undefined ? NONE : steps.length;
  const lineageSlot = steps.length + (plan.until === undefined ? 0 : 1);
  const slots = planSlots(plan).length;
  const bitsOf = (isIn: (slot: number) => boolean): number => {
    let bits = 0;
    for (let slot = 0; slot < slots; slot++) if (isIn(slot)) bits |= 1 << slot;
    return bits >>> 0;
  };
  const first = stageSteps[0] ?? 0;
  const last = stageSteps.at(-1) ?? 0;
  const isMissing = (slot: number): boolean => steps[slot]?.missing === true;
  const gapBits = Uint32Array.from({ length: stageSteps.length + 1 }, (_, stage) => {
    const before = stageSteps[stage - 1];
    const after = stageSteps[stage];
    if (before === undefined || after === undefined) return 0;
    return bitsOf((slot) => isMissing(slot) && slot > before && slot < after);
  });
  return {
    plan,
    stageCount: stageSteps.length,
    stageSteps: Int32Array.from(stageSteps),
    firstStages: Int32Array.from(steps, (_, slot) => stageSteps.indexOf(slot)),
    gapBits,
    leadingBits: bitsOf((slot) => isMissing(slot) && slot < first),
    trailingBits: bitsOf((slot) => isMissing(slot) && slot > last),
    missingBits: bitsOf(isMissing),
    positiveBits: bitsOf((slot) => slot < steps.length && !isMissing(slot)),
    untilSlot,
    untilBit: slotBit(untilSlot),
    lineageSlot,
    lineageBits: bitsOf((slot) => slot >= lineageSlot && slot < lineageSlot + plan.lineages.length),
    linkBit: plan.identity === undefined ? 0 : slotBit(slots - 1),
    keyedBits: bitsOf((slot) => slot < lineageSlot),
    openingBits: bitsOf((slot) => {
      if (steps[slot] === undefined) return false;
      return isMissing(slot) ? slot < first : slot === first || plan.kind !== "sequence";
    }),
    forkBits: bitsOf((slot) => steps[slot]?.fork === true),
    residualBits: bitsOf((slot) => residualOf(plan, slot, lineageSlot) !== undefined),
    keySpecs: keySpecs(plan),
    keyOrder: Array.from({ length: lineageSlot }, (_, slot) => slot).sort(
      (one, other) => Number(one === untilSlot || isMissing(one)) - Number(other === untilSlot || isMissing(other)) || other - one,
    ),
    places: placesOf(plan),
    span: spanWords(plan.maxspanNs ?? ttlNs),
  };
}

function residualOf(plan: RulePlan, slot: number, lineageSlot: number): unknown {
  if (slot >= lineageSlot) return plan.lineages[slot - lineageSlot]?.residual;
  return (plan.steps[slot] ?? plan.until)?.residual;
}

function keySpecs(plan: RulePlan): readonly KeySpec[] {
  const specs: { parts: readonly KeyPart[]; slot: number; bits: number; name: string }[] = [];
  const keyed = plan.until === undefined ? plan.steps : [...plan.steps, plan.until];
  for (const [slot, { keys }] of keyed.entries()) {
    const isPlain = keys.every((part) => part.expression === undefined);
    const name = isPlain ? keys.map((part) => `${part.fieldId}${part.nullJoins ? "?" : ""}`).join() : `slot ${slot}`;
    const known = specs.find((spec) => spec.name === name);
    if (known !== undefined) known.bits = (known.bits | (1 << slot)) >>> 0;
    else specs.push({ parts: keys, slot, bits: (1 << slot) >>> 0, name });
  }
  return specs;
}

function placesOf(plan: RulePlan): readonly number[] {
  const places: number[] = [];
  let stage = 0;
  for (const { missing, runs } of plan.steps) {
    for (let run = 0; run < runs; run++) places.push(missing ? NONE : stage++);
  }
  return places;
}
