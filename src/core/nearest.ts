/** Names longer than this are no slip of the pen, and comparing them costs time. */
const LONGEST = 100;

/**
 * The name that somebody most likely meant: the one that takes the fewest letters added, left out, changed or swapped,
 * where case, `-`, `_` and spaces do not count. Null if none is near: more than 45 % of the letters would have to change.
 */
export function nearest(wanted: string, names: Iterable<string>): string | null {
  if (wanted.length > LONGEST) return null;
  let best: string | null = null;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const name of names) {
    if (name.length > LONGEST) continue;
    const [a, b] = [plain(wanted), plain(name)];
    const most = Math.max(1, Math.floor(Math.max(a.length, b.length) * 0.45));
    const distance = editDistance(a, b);
    // A name that shares no letter is never what was meant, however short.
    if (distance <= most && distance < Math.max(a.length, b.length, 1) && distance < bestDistance) {
      best = name;
      bestDistance = distance;
    }
  }
  return best;
}

function plain(name: string): string {
  return name.toLowerCase().replaceAll(/[-_ ]/g, '');
}

/** Optimal string alignment: Levenshtein's distance with neighbours swapped counting as one. */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = (last[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      let least = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, change);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, (beforeLast[j - 2] ?? 0) + 1);
      }
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
