import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  DAYS,
  isIn,
  isZone,
  parseHours,
  parseInstant,
  weekSpans,
  ZoneCalendar,
} from '../../src/pricing/calendar.ts';

const minute = (day: (typeof DAYS)[number], hour: number, minutes = 0) =>
  DAYS.indexOf(day) * 1440 + hour * 60 + minutes;

describe('hours', () => {
  it('are a stretch of the day, over midnight if it ends before it begins', () => {
    assert.deepEqual(parseHours('9-12'), { start: 540, length: 180 });
    assert.deepEqual(parseHours('09:30-12:15'), { start: 570, length: 165 });
    assert.deepEqual(parseHours('22-6'), { start: 1320, length: 480 });
    assert.deepEqual(parseHours('16:30-24:00'), { start: 990, length: 450 });
    assert.deepEqual(parseHours('0-24'), { start: 0, length: 1440 });
  });

  it('are nothing else', () => {
    for (const text of [
      '',
      '9',
      '9-9',
      '24-6',
      '9-25',
      '9:60-10',
      '24:00-24:00',
      '9-12-14',
      'nine-ten',
      '-1-3',
      '0-24:01',
    ]) {
      assert.equal(parseHours(text), null, text);
    }
  });

  it('over midnight belong to the day that they begin on, and the week goes round', () => {
    const spans = weekSpans(['sun'], [{ start: 1320, length: 480 }]);
    for (const [at, wanted] of [
      [minute('sun', 21, 59), false],
      [minute('sun', 22), true],
      [minute('mon', 0), true],
      [minute('mon', 5, 59), true],
      [minute('mon', 6), false],
      [minute('sun', 0), false],
    ] as const) {
      assert.equal(isIn(spans, at), wanted, String(at));
    }
  });
});

describe('a date', () => {
  it('is its first moment in UTC, an instant says its own distance', () => {
    assert.equal(parseInstant('2026-12-01'), Date.UTC(2026, 11, 1));
    assert.equal(parseInstant('2026-12-01T00:00:00+08:00'), Date.UTC(2026, 10, 30, 16));
    assert.equal(parseInstant('2026-12-01T08:30Z'), Date.UTC(2026, 11, 1, 8, 30));
    assert.equal(parseInstant('2028-02-29'), Date.UTC(2028, 1, 29));
  });

  it('is nothing that is not in the calendar, and no time without a zone', () => {
    for (const text of [
      '2026-02-29',
      '2026-11-31',
      '2026-13-01',
      '2026-00-10',
      '2026-12-01T00:00',
      '2026-12-01T24:00Z',
      '2026-12-01T10:60Z',
      '2026-12-01T10:00+8',
      '2026-12-01T10:00+99:00',
      '01.12.2026',
      'tomorrow',
      '2026-12-01 10:00Z',
      '',
    ]) {
      assert.equal(parseInstant(text), null, text);
    }
  });
});

/** The same by another way: the words that the zone itself has for that time. */
function byWords(zone: string, at: number): number {
  const format = new Intl.DateTimeFormat('en-GB', {
    timeZone: zone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const parts = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
  return minute(
    (parts['weekday'] ?? '').toLowerCase() as (typeof DAYS)[number],
    Number(parts['hour']),
    Number(parts['minute']),
  );
}

describe('the clock of a time zone', () => {
  const zones = ['UTC', ...Intl.supportedValuesOf('timeZone'), '+08:00', '-03:30'];

  it('says what the zone says, in every zone, before and after its clocks are changed', () => {
    const calendars = new Map<string, ZoneCalendar>();
    const at = fc.integer({ min: Date.UTC(2024, 0, 1), max: Date.UTC(2032, 0, 1) });
    fc.assert(
      fc.property(fc.constantFrom(...zones), fc.array(at, { minLength: 1, maxLength: 5 }), (zone, times) => {
        const calendar = calendars.get(zone) ?? new ZoneCalendar(zone);
        calendars.set(zone, calendar);
        for (const time of times) assert.equal(calendar.minuteOfWeek(time), byWords(zone, time), zone);
      }),
      { numRuns: 2000 },
    );
  });

  it('goes from minute to minute as Berlin turns its clocks', () => {
    const calendar = new ZoneCalendar('Europe/Berlin');
    const change = Date.UTC(2026, 9, 25, 1);
    assert.equal(calendar.minuteOfWeek(change - 1), minute('sun', 2, 59));
    assert.equal(calendar.minuteOfWeek(change), minute('sun', 2, 0));
    const spring = Date.UTC(2027, 2, 28, 1);
    assert.equal(calendar.minuteOfWeek(spring - 1), minute('sun', 1, 59));
    assert.equal(calendar.minuteOfWeek(spring), minute('sun', 3, 0));
  });

  it('goes from minute to minute where the clocks are turned by half an hour, and at half past', () => {
    const calendar = new ZoneCalendar('Australia/Lord_Howe');
    const change = Date.UTC(2026, 9, 3, 15, 30);
    assert.equal(calendar.minuteOfWeek(change - 1), minute('sun', 1, 59));
    assert.equal(calendar.minuteOfWeek(change), minute('sun', 2, 30));
  });

  it('knows which zones there are', () => {
    for (const zone of ['Asia/Shanghai', 'UTC', '+08:00']) assert.ok(isZone(zone), zone);
    for (const zone of ['Asia/Beijing', 'CST+8', '', 'Nowhere']) assert.ok(!isZone(zone), zone);
  });
});
