// Where the guest finds the program that the linker put behind it, and the state of the event at hand. The linker writes PROGRAM's words
// (layout: wasm-program.ts); generated code reads `record` and `epoch`.

/** Table of the program's addresses and counts, filled by the linker. */
export const PROGRAM: usize = memory.data(64, 8);
/** First byte behind everything static in the guest; asked by scripts/build-guest.ts. */
export function guestEnd(): usize {
  return __heap_base;
}

/** Number of predicates; predicate p is entry p of the function table. */
export const PREDICATE_COUNT: usize = PROGRAM;
/** Fields that any predicate reads: number of slots and their address. */
export const SLOT_COUNT: usize = PROGRAM + 4;
export const SLOTS: usize = PROGRAM + 8;
/** u32 slot address for each field id below FIELD_COUNT, 0 for fields nobody reads. */
export const FIELD_MAP: usize = PROGRAM + 12;
export const FIELD_COUNT: usize = PROGRAM + 16;
/** Temporary strings of one atom. */
export const ARENA_START: usize = PROGRAM + 20;
export const ARENA_END: usize = PROGRAM + 24;
/** What is kept for one event: folded copies, ids of constants. */
export const KEEP_START: usize = PROGRAM + 28;
export const KEEP_END: usize = PROGRAM + 32;
/** Remembered results of shared conditions: u64 cells of epoch and truth. */
export const MEMO_START: usize = PROGRAM + 36;
export const MEMO_END: usize = PROGRAM + 40;
/** Words of one mask over all predicates (a multiple of 4), the mask being narrowed, and the first mask: every predicate. */
export const MASK_WORDS: usize = PROGRAM + 44;
export const CANDIDATES: usize = PROGRAM + 48;
/** Masks by category id: u32 count, then a mask address for each id below count; the first mask is for ids beyond. */
export const CATEGORY_MASKS: usize = PROGRAM + 52;
/** Guards { u32 slot, u32 folded, u32 address of mask addresses by constant id, 0 }; see guards in index.ts. */
export const GUARDS: usize = PROGRAM + 56;
export const GUARD_COUNT: usize = PROGRAM + 60;

/** Address of the record at hand. */
export let record: usize = 0;
/** Number of the event at hand; stamps whatever is remembered for it. Never 0. */
export let epoch: u32 = 0;

export function setRecord(address: usize): void {
  record = address;
}

export function setEpoch(value: u32): void {
  epoch = value;
}
