// Door of the guest library, and the driver: walks a batch, finds the predicates that can match each record, calls them, writes hit bits.
// Generated predicates call the other exports; the linker keeps only memory, eval, current and heap_base as exports of the whole module.
import { idsOf, enterRecord, leaveRecord } from "./field";
import { CANDIDATES, CATEGORY_MASKS, GUARD_COUNT, GUARDS, MASK_WORDS, PREDICATE_COUNT } from "./program";

export { cidr } from "./address";
export { allocate, mark, release } from "./arena";
export { fieldIn, fieldIs, fieldLike, fieldRegex, fieldTest, isCategory, textTest, wordsOf } from "./field";
export { fold } from "./fold";
export { between, concat, emptyText, indexOf, length, substring } from "./functions";
export {
  arithmeticFloat,
  arithmeticInt,
  arithmeticNumber,
  compareNumber,
  fits,
  floatOf,
  isNull,
  numberToInt,
  tag,
} from "./number";
export { floatToText, intToText, numberToText, parseNumber } from "./number-text";
export { regexAny, wildcardAny } from "./pattern";
export { epoch, guestEnd, PROGRAM, record } from "./program";
export { compare, equal } from "./text";

/** The predicate being evaluated; -1 outside. */
export let current: i32 = -1;

const HEADER_CATEGORY: usize = 4;

/** Evaluates `count` records from `batch` on; answers the number of hits. */
export function evaluate(batch: usize, count: u32, out: usize): u32 {
  const words = (load<u32>(PREDICATE_COUNT) + 31) >> 5;
  memory.fill(out, 0, (<usize>count * words) << 2);
  let hits: u32 = 0;
  let address = batch;
  // A trap in the last batch left its record's slots behind.
  leaveRecord();
  for (let index: u32 = 0; index < count; ++index) {
    enterRecord(address);
    if (narrow(address)) hits += run(out);
    leaveRecord();
    address += load<u32>(address);
    out += <usize>words << 2;
  }
  current = -1;
  return hits;
}

/**
 * Leaves in CANDIDATES the predicates that this record can satisfy; whether there are any. A predicate that needs a field to equal one of some
 * constants is out when the field has none of them. One mask for each constant holds the predicates that are content with it, one (id 0) those
 * that do not ask; a field of several values lets pass what any of its values does.
 */
function narrow(address: usize): bool {
  const bytes = load<u32>(MASK_WORDS) << 2;
  const candidates = load<u32>(CANDIDATES);
  const categories = load<u32>(CATEGORY_MASKS);
  const category: u32 = load<u16>(address + HEADER_CATEGORY);
  let first = load<u32>(categories + 4);
  if (category < load<u32>(categories)) first = load<u32>(categories + 4 + (category << 2));
  memory.copy(candidates, first, bytes);
  const guards = load<u32>(GUARDS);
  const end = guards + (load<u32>(GUARD_COUNT) << 4);
  for (let guard: usize = guards; guard < end; guard += 16) {
    const slot = load<u32>(guard);
    const masks = load<u32>(guard + 8);
    const count = load<u32>(slot);
    const ids: usize = count == 0 ? 0 : idsOf(slot, load<u32>(guard + 4));
    const mask = count == 0 ? load<u32>(masks) : load<u32>(masks + (load<u32>(ids) << 2));
    let any = i32x4.splat(0);
    for (let at: u32 = 0; at < bytes; at += 16) {
      let allowed = v128.load(mask + at);
      for (let element: u32 = 4; element < count << 2; element += 4) {
        allowed = v128.or(allowed, v128.load(load<u32>(masks + (load<u32>(ids + element) << 2)) + at));
      }
      const left = v128.and(v128.load(candidates + at), allowed);
      v128.store(candidates + at, left);
      any = v128.or(any, left);
    }
    if (!v128.any_true(any)) return false;
  }
  return true;
}

/** Calls the candidates; answers the number of hits. */
function run(out: usize): u32 {
  const words = (load<u32>(PREDICATE_COUNT) + 31) >> 5;
  const candidates = load<u32>(CANDIDATES);
  let hits: u32 = 0;
  for (let word: u32 = 0; word < words; ++word) {
    let left = load<u32>(candidates + (word << 2));
    let set: u32 = 0;
    while (left != 0) {
      const bit = ctz(left);
      left &= left - 1;
      current = <i32>((word << 5) + bit);
      if (call_indirect<i32>(current)) {
        set |= 1 << bit;
        ++hits;
      }
    }
    store<u32>(out + (<usize>word << 2), set);
  }
  return hits;
}
