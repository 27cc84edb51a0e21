import { EFFORTS, type Effort, type ModelCapabilities } from '../../capabilities/capabilities.ts';
import type { Json } from '../../core/json.ts';

/** What is asked for as an effort, if it is one that anyone knows. */
export function readEffort(value: Json | undefined): Effort | null {
  return EFFORTS.find((effort) => effort === value) ?? null;
}

/** The effort that a model takes and that is nearest to the one asked for, rather more than less; null if it takes none at all. */
export function nearestEffort(asked: Effort, { efforts }: Pick<ModelCapabilities, 'efforts'>): Effort | null {
  if (efforts === null || efforts.includes(asked)) return asked;
  const wanted = EFFORTS.indexOf(asked);
  let best: Effort | null = null;
  for (const effort of efforts) {
    const distance = Math.abs(EFFORTS.indexOf(effort) - wanted);
    const least = best === null ? Infinity : Math.abs(EFFORTS.indexOf(best) - wanted);
    if (distance < least || (distance === least && EFFORTS.indexOf(effort) > wanted)) best = effort;
  }
  return best;
}
