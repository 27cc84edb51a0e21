/** Minutes of a week that begins on Monday. */
const DAY = 24 * 60;
const WEEK = 7 * DAY;
/** The first of January 1970 was a Thursday. */
const EPOCH_DAY = 3;
const MINUTE_MS = 60_000;

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Day = (typeof DAYS)[number];

/** A stretch of the day: it begins `start` minutes after midnight and lasts `length`, into the next day if need be. */
export interface DaySpan {
  start: number;
  length: number;
}

/** Minutes of the week, the last one not included. Never over the end of the week. */
export interface WeekSpan {
  start: number;
  end: number;
}

/** `9-12`, `09:30-12:00`, `22-6` (over midnight), `0-24`; null for anything else. */
export function parseHours(text: string): DaySpan | null {
  const match = /^(\d{1,2})(?::(\d\d))?\s*-\s*(\d{1,2})(?::(\d\d))?$/.exec(text.trim());
  if (match === null) return null;
  const [, fromHour, fromMinute = '0', untilHour, untilMinute = '0'] = match;
  if (Number(fromMinute) > 59 || Number(untilMinute) > 59) return null;
  const start = Number(fromHour) * 60 + Number(fromMinute);
  const end = Number(untilHour) * 60 + Number(untilMinute);
  if (start >= DAY || end > DAY || start === end) return null;
  return { start, length: end > start ? end - start : end + DAY - start };
}

/** Those hours of those days; a stretch over midnight belongs to the day that it begins on. */
export function weekSpans(days: readonly Day[], hours: readonly DaySpan[]): WeekSpan[] {
  const spans: WeekSpan[] = [];
  for (const day of days) {
    for (const { start, length } of hours) {
      const begin = DAYS.indexOf(day) * DAY + start;
      const end = begin + length;
      spans.push({ start: begin, end: Math.min(end, WEEK) });
      if (end > WEEK) spans.push({ start: 0, end: end - WEEK });
    }
  }
  return spans;
}

export function overlap(a: readonly WeekSpan[], b: readonly WeekSpan[]): boolean {
  return a.some(({ start, end }) => b.some((other) => start < other.end && other.start < end));
}

export function isIn(spans: readonly WeekSpan[], minute: number): boolean {
  return spans.some(({ start, end }) => start <= minute && minute < end);
}

/** `2026-12-01` (its first moment, UTC) or an instant such as `2026-12-01T08:00:00+08:00` in milliseconds since 1970; null for anything else. */
export function parseInstant(text: string): number | null {
  const match = /^(\d{4}-\d\d-\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?$/.exec(
    text,
  );
  const [, date = '', hour = '0', minute = '0', second = '0'] = match ?? [];
  if (match === null || Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return null;
  // `Date` takes the 31st of November for the first of December.
  const midnight = Date.parse(date);
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== date) return null;
  const instant = Date.parse(text);
  return Number.isNaN(instant) ? null : instant;
}

/** Is there such a time zone? `Asia/Shanghai`, `UTC`, `+08:00`. */
export function isZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/** Reads the clock and the calendar of one time zone. */
export class ZoneCalendar {
  readonly #format: Intl.DateTimeFormat;
  /** The minute that was asked for last, and the zone's distance from UTC in it, in minutes: the next question is mostly about the same. */
  #minute = Number.NaN;
  #offset = 0;

  constructor(zone: string) {
    this.#format = new Intl.DateTimeFormat('en-US', { timeZone: zone, timeZoneName: 'longOffset' });
  }

  /** The minute of the week, from Monday. */
  minuteOfWeek(at: number): number {
    const minute = Math.floor(at / MINUTE_MS);
    if (minute !== this.#minute) {
      this.#offset = this.#offsetAt(minute * MINUTE_MS);
      this.#minute = minute;
    }
    const sinceMonday = (minute + this.#offset + EPOCH_DAY * DAY) % WEEK;
    return sinceMonday < 0 ? sinceMonday + WEEK : sinceMonday;
  }

  #offsetAt(at: number): number {
    const parts = this.#format.formatToParts(at);
    const name = parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
    // `GMT+08:00`, and plain `GMT` for none.
    const match = /([+-])(\d\d):(\d\d)/.exec(name);
    if (match === null) return 0;
    const minutes = Number(match[2]) * 60 + Number(match[3]);
    return match[1] === '-' ? -minutes : minutes;
  }
}
