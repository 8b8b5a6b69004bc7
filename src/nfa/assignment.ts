// Which event goes to which step of a sample: a complete assignment of distinct events, the earliest possible event for the first step, then
// for the second, and so on.

/** `candidates[step]` are the events that fit, earliest first. The chosen event of each step, or undefined when not all can have one. */
export function assignEvents(candidates: readonly (readonly number[])[]): readonly number[] | undefined {
  const chosen: number[] = [];
  if (!isPossible(candidates, chosen)) return undefined;
  for (const fitting of candidates) {
    // The whole can be done, so one of them can always be chosen.
    for (const event of fitting) {
      if (chosen.includes(event)) continue;
      chosen.push(event);
      if (isPossible(candidates, chosen)) break;
      chosen.pop();
    }
  }
  return chosen;
}

/** Whether the steps after the chosen ones can have distinct events that are not chosen: a matching by augmenting paths. */
function isPossible(candidates: readonly (readonly number[])[], chosen: readonly number[]): boolean {
  const stepOf = new Map<number, number>();
  const find = (step: number, tried: Set<number>): boolean => {
    for (const event of candidates[step]!) {
      if (tried.has(event) || chosen.includes(event)) continue;
      tried.add(event);
      const holder = stepOf.get(event);
      if (holder !== undefined && !find(holder, tried)) continue;
      stepOf.set(event, step);
      return true;
    }
    return false;
  };
  for (let step = chosen.length; step < candidates.length; step++) if (!find(step, new Set())) return false;
  return true;
}
