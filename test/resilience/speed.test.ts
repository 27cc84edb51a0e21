import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Speed } from '../../src/resilience/speed.ts';
import { ManualClock } from '../support/manual-clock.ts';

function start(): {
  clock: ManualClock;
  speed: Speed;
  tries(count: number, ms: number, everyMs?: number): void;
} {
  const clock = new ManualClock(1000);
  const speed = new Speed(clock);
  return {
    clock,
    speed,
    /** One after the other, each of them answered after `ms`. */
    tries(count, ms, everyMs = ms) {
      for (let i = 0; i < count; i++) {
        speed.begun();
        clock.advance(everyMs);
        speed.content(ms);
      }
    },
  };
}

function near(actual: number | null, wanted: number, share = 0.01): void {
  assert.ok(actual !== null && Math.abs(actual - wanted) <= share * wanted, `${actual}, not ${wanted}`);
}

describe('the average', () => {
  it('is not known before anything was observed', () => {
    const { speed } = start();
    assert.equal(speed.average(), null);
    assert.equal(speed.hopefulAverage(), null);
    speed.begun();
    assert.equal(speed.average(), null);
  });

  it('is the mean of what was observed together', () => {
    const { speed } = start();
    speed.content(100);
    speed.content(300);
    near(speed.average(), 200);
  });

  it('weighs what is ten seconds older half as much', () => {
    const { speed, clock } = start();
    speed.content(100);
    clock.advance(10_000);
    speed.content(400);
    near(speed.average(), 300);
  });

  it('stays as it is while nothing is observed, and is forgotten after five minutes', () => {
    const { speed, clock } = start();
    speed.content(100);
    clock.advance(299_000);
    near(speed.average(), 100);
    clock.advance(2000);
    assert.equal(speed.average(), null);
  });

  it('follows a target that slows down within seconds', () => {
    const { speed, tries } = start();
    tries(200, 100);
    tries(10, 1000);
    // Ten observations of a second against the 54 that the last twenty seconds still weigh.
    near(speed.average(), 200, 0.05);
  });

  it('takes a failure for the time it took and ten seconds more, on the account of the answers', () => {
    const { speed } = start();
    for (let i = 0; i < 9; i++) speed.content(100);
    speed.failed(100);
    near(speed.average(), (9 * 100 + 100 + 10_000) / 9);
  });

  it('thinks worse of a failure than of a slow answer, and worse of many than of one', () => {
    const one = start().speed;
    one.failed(5);
    const slow = start().speed;
    slow.content(20_000);
    assert.ok((one.average() ?? 0) > (slow.average() ?? 0));
    near(one.average(), 5 * 10_005);
    const mixed = start().speed;
    mixed.content(100);
    mixed.failed(100);
    const worse = start().speed;
    worse.content(100);
    worse.failed(100);
    worse.failed(100);
    assert.ok((worse.average() ?? 0) > (mixed.average() ?? 0));
  });

  it('forgives: recent failures weigh more than old ones', () => {
    const { speed, tries } = start();
    speed.failed(100);
    tries(100, 100);
    const early = speed.average() ?? 0;
    tries(400, 100);
    assert.ok((speed.average() ?? 0) < early);
    near(speed.average(), 100, 0.1);
  });

  it('forgets that most failed after a minute, and then begins anew', () => {
    const { speed, clock } = start();
    speed.content(100);
    for (let i = 0; i < 20; i++) speed.failed(30_000);
    clock.advance(59_000);
    assert.ok((speed.average() ?? 0) > 100_000);
    clock.advance(2000);
    assert.equal(speed.average(), null);
    speed.content(100);
    near(speed.average(), 100);
  });

  it('sees silence before it ends', () => {
    const { speed, clock, tries } = start();
    tries(20, 100);
    for (let i = 0; i < 10; i++) speed.begun();
    clock.advance(90);
    near(speed.average(), 100);
    clock.advance(2000);
    assert.ok((speed.average() ?? 0) > 500);
  });

  it('does not take many that began just now for slow', () => {
    const { speed, tries } = start();
    tries(20, 100);
    for (let i = 0; i < 1000; i++) speed.begun();
    near(speed.average(), 100);
  });

  it('forgets those that wait once they have ended, however', () => {
    const { speed, clock, tries } = start();
    tries(20, 100);
    for (let i = 0; i < 3; i++) speed.begun();
    clock.advance(50);
    speed.content(50);
    speed.cutShort(50);
    speed.failed(50);
    clock.advance(60_000);
    const average = speed.average() ?? 0;
    assert.ok(average < 2000, `${average}`);
  });

  it('does not go astray where a beginning was not told', () => {
    const { speed, clock } = start();
    for (let i = 0; i < 5; i++) speed.content(100);
    speed.begun();
    clock.advance(100);
    speed.content(100);
    clock.advance(200_000);
    near(speed.average(), 100);
  });
});

describe('one that was cut short', () => {
  it('says nothing if it was not slow yet', () => {
    const { speed } = start();
    speed.cutShort(900);
    assert.equal(speed.average(), null);
    speed.content(100);
    speed.cutShort(99);
    near(speed.average(), 100);
  });

  it('makes a silent target known that is always cut short', () => {
    const { speed } = start();
    speed.cutShort(2000);
    near(speed.average(), 2000);
  });

  it('leaves what is known as old as it was if it says nothing', () => {
    const { speed, clock } = start();
    speed.content(1000);
    clock.advance(30_000);
    speed.cutShort(10);
    near(speed.hopefulAverage(), 500);
  });

  it('counts as what it was at least if it was slow already', () => {
    const { speed } = start();
    speed.content(100);
    speed.cutShort(500);
    near(speed.average(), 300);
  });

  it('keeps quantiles from sinking when all slow ones are cut short', () => {
    const { speed, clock } = start();
    // One in ten takes ten seconds, and is cut short after 300 ms.
    for (let i = 0; i < 1000; i++) {
      clock.advance(50);
      if (i % 10 === 0) speed.cutShort(300);
      else speed.content(100);
    }
    near(speed.quantile(0.95), 300, 0.05);
    near(speed.quantile(0.85), 100, 0.05);
  });
});

describe('hope', () => {
  it('halves the average for every thirty seconds in which nobody looked', () => {
    const { speed, clock } = start();
    speed.content(1000);
    clock.advance(30_000);
    near(speed.hopefulAverage(), 500);
    clock.advance(60_000);
    near(speed.hopefulAverage(), 125);
    near(speed.average(), 1000);
  });

  it('ends while somebody is looking', () => {
    const { speed, clock } = start();
    speed.content(1000);
    clock.advance(60_000);
    near(speed.hopefulAverage(), 250);
    speed.begun();
    near(speed.hopefulAverage(), 1000);
  });
});

describe('quantiles', () => {
  it('are not known below twenty observations, nor when these were long ago', () => {
    const { speed, clock } = start();
    for (let i = 0; i < 19; i++) speed.content(100);
    assert.equal(speed.quantile(0.5), null);
    speed.content(100);
    near(speed.quantile(0.5), 100, 0.05);
    clock.advance(1000);
    assert.equal(speed.quantile(0.5), null);
    for (let i = 0; i < 21; i++) speed.content(100);
    clock.advance(120_000);
    near(speed.quantile(0.5), 100, 0.05);
    assert.notEqual(speed.quantile(0.5), null);
    clock.advance(120_000);
    assert.equal(speed.quantile(0.5), null);
  });

  it('are within 5 % of what they are', () => {
    const times = fc.array(fc.integer({ min: 1, max: 600_000 }), { minLength: 20, maxLength: 200 });
    fc.assert(
      fc.property(times, fc.constantFrom(0.01, 0.5, 0.75, 0.9, 0.95, 0.99, 1), (durations, share) => {
        const speed = new Speed({ now: () => 5 });
        for (const ms of durations) speed.content(ms);
        const sorted = durations.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(0, Math.ceil(share * sorted.length - 1e-9) - 1)] ?? 0;
        near(speed.quantile(share), exact, 0.05);
      }),
    );
  });

  it('count what is two minutes older half as much', () => {
    const { speed, clock } = start();
    for (let i = 0; i < 60; i++) speed.content(1000);
    clock.advance(120_000);
    for (let i = 0; i < 40; i++) speed.content(100);
    // 30 to 40.
    near(speed.quantile(0.55), 100, 0.05);
    near(speed.quantile(0.6), 1000, 0.05);
  });

  it('leave failures out: they have no time to first content', () => {
    const { speed } = start();
    for (let i = 0; i < 30; i++) speed.content(100);
    for (let i = 0; i < 300; i++) speed.failed(9000);
    near(speed.quantile(0.99), 100, 0.05);
  });

  it('take what is out of bounds for the bounds', () => {
    const { speed } = start();
    for (let i = 0; i < 20; i++) speed.content(0);
    near(speed.quantile(1), 1, 0.05);
    for (let i = 0; i < 10; i++) speed.content(500);
    near(speed.quantile(0.5), 1, 0.05);
    for (let i = 0; i < 100; i++) speed.content(1e12);
    near(speed.quantile(0.9), 600_000, 0.1);
  });

  it('hold after weeks of observations', () => {
    const { speed, clock } = start();
    for (let hour = 0; hour < 24 * 21; hour++) {
      for (let i = 0; i < 30; i++) speed.content(hour % 2 === 0 ? 100 : 900);
      near(speed.quantile(0.5), hour % 2 === 0 ? 100 : 900, 0.05);
      near(speed.average(), hour % 2 === 0 ? 100 : 900);
      clock.advance(3_600_000);
    }
  });
});
