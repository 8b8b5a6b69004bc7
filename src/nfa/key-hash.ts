// HalfSipHash-1-3 of a key: seeded, so that who chooses the keys cannot make them collide.

/** Two secret words. */
export interface HashSeed {
  readonly first: number;
  readonly second: number;
}

/** Hash of `bytes[from, to)` and an owner's number. */
export function hashKey(seed: HashSeed, owner: number, bytes: Uint8Array, from: number, to: number): number {
  let v0 = seed.first | 0;
  let v1 = seed.second | 0;
  let v2 = 0x6c796765 ^ seed.first;
  let v3 = 0x74656462 ^ seed.second;
  const length = to - from;
  // The owner is the first word, then whole words of the key, then its last bytes with its length, then three rounds to finish.
  const wholeWords = length >>> 2;
  for (let turn = -1; turn <= wholeWords + 3; turn++) {
    let word = 0;
    if (turn < 0) word = owner;
    else if (turn < wholeWords) {
      const at = from + turn * 4;
      word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    } else if (turn === wholeWords) {
      word = length << 24;
      for (let rest = length & 3, at = to - 1; rest > 0; rest--, at--) word |= bytes[at]! << ((rest - 1) * 8);
    } else if (turn === wholeWords + 1) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}
