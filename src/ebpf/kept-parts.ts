// Parts of records that many events share, packed: of the processes and of the parents seen last. Invariant: a part is given only while everything
// it was made of is the same, which its stamp tells: values that are compared one by one.
import type { PackedFields } from "#event";

/** What a part was made of. */
export type Stamp = readonly unknown[];

/** Packed parts, by number; one that is missing is to be made. */
export type Parts = (PackedFields | undefined)[];

interface Kept {
  readonly stamp: Stamp;
  readonly parts: Parts;
}

/** Owners whose parts are kept, those that came first forgotten: some 5 KB each. */
const KEPT_MAX = 128;

/** See the head of this file. */
export class KeptParts {
  readonly #kept = new Map<object, Kept>();

  /** The parts of an owner that were made under the same stamp; without any, an empty list to be filled. */
  of(owner: object, stamp: Stamp): Parts {
    const kept = this.#kept.get(owner);
    if (kept !== undefined && isSame(kept.stamp, stamp)) return kept.parts;
    const parts: Parts = [];
    this.#kept.set(owner, { stamp, parts });
    if (this.#kept.size > KEPT_MAX) this.#forgetOldest();
    return parts;
  }

  #forgetOldest(): void {
    const oldest = this.#kept.keys().next();
    if (oldest.done !== true) this.#kept.delete(oldest.value);
  }
}

function isSame(a: Stamp, b: Stamp): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}
