/** A wait: when it began, on the clock's monotonic time, and how long it was, in milliseconds. A try is one. */
export interface Wait {
  startedAt: number;
  ms: number;
}

/** How long at least one of them was going on, in milliseconds: where two overlap, the time counts once. */
export function waitedMs(tries: readonly Wait[], slept: readonly Wait[]): number {
  const [only] = tries;
  if (tries.length === 1 && slept.length === 0 && only !== undefined) return only.ms;
  const waits = [...tries, ...slept].sort((a, b) => a.startedAt - b.startedAt);
  let sum = 0;
  let countedTo = Number.NEGATIVE_INFINITY;
  for (const { startedAt, ms } of waits) {
    const from = Math.max(startedAt, countedTo);
    const to = startedAt + ms;
    if (to <= from) continue;
    sum += to - from;
    countedTo = to;
  }
  return sum;
}
