import type { Chance } from '../core/clock.ts';
import type { BackoffSettings } from './settings.ts';

/**
 * Milliseconds to wait before a retry, between 0 and `max`.
 *
 * `retry` counts from 1, the first retry. `previous` is what this function gave for the retry before, null for the first one
 * (only decorrelated jitter looks at it). `max` takes the place of `settings.max` where the status has a bound of its own.
 * Throws a RangeError for a `retry` that is not a whole number of 1 or more.
 */
export function backoffDelay(
  settings: BackoffSettings,
  retry: number,
  previous: number | null,
  chance: Chance,
  max: number = settings.max,
): number {
  if (!Number.isInteger(retry) || retry < 1) throw new RangeError(`retries count from 1, got ${retry}`);
  if (settings.jitter === 'decorrelated') {
    // Grows by chance alone: each wait is drawn from [base, 3 × the last one], whatever `kind` says.
    const spread = Math.max(0, (previous ?? settings.base) * 3 - settings.base);
    return Math.min(max, settings.base + chance() * spread);
  }
  // The bound comes before the jitter: the other way round, callers that have reached it would all wait exactly `max`.
  const delay = Math.min(max, growth(settings, retry));
  switch (settings.jitter) {
    case 'full':
      return chance() * delay;
    case 'equal':
      return delay / 2 + (chance() * delay) / 2;
    case 'none':
      return delay;
  }
}

/** May be Infinity, never NaN. */
function growth(settings: BackoffSettings, retry: number): number {
  switch (settings.kind) {
    case 'exponential':
      // factor^n overflows to Infinity, and 0 × Infinity is not a number.
      return settings.base === 0 ? 0 : settings.base * settings.factor ** (retry - 1);
    case 'linear':
      return settings.base * retry;
    case 'constant':
      return settings.base;
  }
}
