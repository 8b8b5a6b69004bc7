// Settings of property tests: a new seed each run, printed with a failure; KESTREL_SEED repeats one.

const seed = Number(process.env["KESTREL_SEED"] ?? Date.now() & 0x7fffffff);
console.log(`event property seed: KESTREL_SEED=${seed}`);

/** Options for `fc.assert`. */
export function propertyOptions(numRuns: number): { seed: number; numRuns: number } {
  return { seed, numRuns };
}
