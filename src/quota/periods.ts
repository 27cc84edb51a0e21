/**
 * The stretches of time that quotas are counted in. A sliding one is kept in parts of a twentieth: an amount counts until the part
 * that it was taken in lies a whole stretch back. So no stretch, wherever it begins, admits more than the limit, and an amount is
 * back after 1 to 1.05 stretches. A calendar period (UTC) is one part by itself.
 */
export type Period = 'second' | 'minute' | 'hour' | 'day' | 'month';

/** Milliseconds of the sliding ones. */
const STRETCHES: Readonly<Partial<Record<Period, number>>> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
};

/** Parts to a sliding stretch: what is taken comes back at most a twentieth too late. */
const PARTS = 20;

export const PERIODS: readonly Period[] = ['second', 'minute', 'hour', 'day', 'month'];

/** A part of a period, which amounts are booked in. Times are the store's, in milliseconds since 1970. */
export interface Part {
  /** When it began: its name in the store. */
  start: number;
  /** When the next one begins. */
  end: number;
  /** From when what was taken in it no longer counts. */
  freeAt: number;
}

/** For what is not per any period: it never comes back by itself. */
const FOR_EVER: Part = { start: 0, end: Number.MAX_SAFE_INTEGER, freeAt: Number.MAX_SAFE_INTEGER };

/** The part that `at` falls in. `period` null: of `concurrent`. */
export function partAt(period: Period | null, at: number): Part {
  if (period === null) return FOR_EVER;
  const stretch = STRETCHES[period];
  if (stretch !== undefined) {
    const length = stretch / PARTS;
    const start = Math.floor(at / length) * length;
    return { start, end: start + length, freeAt: start + length + stretch };
  }
  const date = new Date(at);
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
  const [start, end] =
    period === 'day'
      ? [Date.UTC(year, month, day), Date.UTC(year, month, day + 1)]
      : [Date.UTC(year, month, 1), Date.UTC(year, month + 1, 1)];
  return { start, end, freeAt: end };
}
