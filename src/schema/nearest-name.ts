// The nearest known name to a misspelt one: by edit distance (a swap of neighbours counts once), or as the end or beginning of a known name.

const NAME_LENGTH_MAX = 128;

/** The best suggestion among `names`, or none that is near enough. */
export function nearestName(name: string, names: Iterable<string>): string | undefined {
  if (name.length === 0 || name.length > NAME_LENGTH_MAX) return undefined;
  const wanted = name.toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 4)) + 1;
  let related: string | undefined;
  for (const candidate of names) {
    const known = candidate.toLowerCase();
    if (known === wanted) return candidate;
    if (Math.abs(known.length - wanted.length) < bestDistance) {
      const distance = editDistance(wanted, known, bestDistance);
      if (distance < bestDistance) {
        best = candidate;
        bestDistance = distance;
      }
    }
    if ((known.endsWith(`.${wanted}`) || known.startsWith(`${wanted}.`)) && (related === undefined || candidate.length < related.length)) {
      related = candidate;
    }
  }
  return best ?? related;
}

/** Damerau-Levenshtein distance (optimal string alignment); anything from `limit` on may come back as `limit`. */
function editDistance(left: string, right: string, limit: number): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, i) => i);
  for (let i = 1; i <= left.length; i++) {
    const row = [i];
    for (let j = 1; j <= right.length; j++) {
      const cost = left[i - 1] === right[j - 1] ? 0 : 1;
      let value = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost);
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]) value = Math.min(value, beforeLast[j - 2]! + 1);
      row.push(value);
    }
    if (Math.min(...row) >= limit) return limit;
    beforeLast = last;
    last = row;
  }
  return last[right.length]!;
}
