import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import type { Chance } from '../../src/core/clock.ts';
import { Breaker, type BreakerState, type Permit } from '../../src/resilience/breaker.ts';
import type { BreakerSettings } from '../../src/resilience/settings.ts';
import { ManualClock } from '../support/manual-clock.ts';

interface ModelPermit {
  era: number;
  over: boolean;
}

/** The breaker's rules over plain lists of everything that happened. An era is the time between two transitions. */
class Model {
  state: BreakerState = 'closed';
  transitions: BreakerState[] = [];
  era = 0;
  permits: ModelPermit[] = [];
  ends: { at: number; failed: boolean }[] = [];
  reopenings = 0;
  openUntil = 0;
  readonly settings: BreakerSettings;
  readonly clock: ManualClock;
  readonly chance: Chance;

  constructor(settings: BreakerSettings, clock: ManualClock, chance: Chance) {
    this.settings = settings;
    this.clock = clock;
    this.chance = chance;
  }

  get available(): boolean {
    if (this.state === 'open') return this.clock.now() >= this.openUntil;
    const underWay = this.permits.filter((permit) => permit.era === this.era && !permit.over);
    return this.state === 'closed' || underWay.length < this.settings.halfOpenProbes;
  }

  acquire(): ModelPermit | null {
    if (!this.available) return null;
    if (this.state === 'open') this.enter('half_open');
    const permit = { era: this.era, over: false };
    this.permits.push(permit);
    return permit;
  }

  alive(permit: ModelPermit): void {
    if (permit.over || permit.era !== this.era || this.state !== 'half_open') return;
    this.enter('closed');
    permit.era = this.era;
  }

  end(permit: ModelPermit, how: 'success' | 'failure' | 'release'): void {
    if (how === 'success') this.alive(permit);
    const counts = !permit.over && permit.era === this.era && how !== 'release';
    permit.over = true;
    if (!counts) return;
    if (this.state === 'half_open') {
      this.reopenings += 1;
      this.open();
      return;
    }
    this.ends.push({ at: this.clock.now(), failed: how === 'failure' });
    if (how === 'failure' && this.isTooMuch()) {
      this.reopenings = 0;
      this.open();
    }
  }

  isTooMuch(): boolean {
    const inARow = this.ends.length - 1 - this.ends.findLastIndex((end) => !end.failed);
    const slot = (at: number) => Math.floor(at / (this.settings.window / 10));
    const recent = this.ends.filter((end) => slot(end.at) > slot(this.clock.now()) - 10);
    const failed = recent.filter((end) => end.failed).length;
    return (
      inARow >= this.settings.consecutiveFailures ||
      (recent.length >= this.settings.minRequests && failed / recent.length >= this.settings.failureRate)
    );
  }

  open(): void {
    let period = this.settings.openFor;
    for (let i = 0; i < this.reopenings; i++) period = Math.min(2 * period, this.settings.maxOpenFor);
    this.openUntil = this.clock.now() + period * (0.9 + 0.2 * this.chance());
    this.enter('open');
  }

  enter(state: BreakerState): void {
    this.state = state;
    this.transitions.push(state);
    this.era += 1;
    this.ends = [];
  }
}

type Step =
  | { what: 'acquire' }
  | { what: 'alive' | 'success' | 'failure' | 'release'; which: number }
  | { what: 'advance'; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ what: fc.constant('acquire') }) },
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constantFrom('alive', 'success', 'success', 'failure', 'failure', 'failure', 'release'),
      which: fc.nat(7),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      what: fc.constant('advance'),
      // Within a slot, a few slots on, and out of any window.
      ms: fc.oneof(
        { weight: 4, arbitrary: fc.nat(150) },
        { weight: 4, arbitrary: fc.nat(1500) },
        fc.nat(20_000),
      ),
    }),
  },
);
const settings: fc.Arbitrary<BreakerSettings> = fc.record({
  window: fc.constantFrom(1000, 3333, 10_000),
  minRequests: fc.integer({ min: 1, max: 12 }),
  failureRate: fc.constantFrom(0, 0.5, 0.7, 1),
  consecutiveFailures: fc.constantFrom(1, 3, 8, 1000),
  openFor: fc.integer({ min: 1, max: 500 }),
  maxOpenFor: fc.integer({ min: 500, max: 3000 }),
  halfOpenProbes: fc.integer({ min: 1, max: 3 }),
  share: fc.constant(false),
});

it('a breaker does what the plain model of its rules does, whatever happens in whatever order', () => {
  const reached = { open: 0, half_open: 0, closed: 0 };
  fc.assert(
    fc.property(settings, fc.array(step, { minLength: 40, maxLength: 300 }), (breakerSettings, steps) => {
      const clock = new ManualClock(777);
      const transitions: BreakerState[] = [];
      const breaker = new Breaker(breakerSettings, clock, sequence(), (to) => {
        transitions.push(to);
        reached[to] += 1;
      });
      const model = new Model(breakerSettings, clock, sequence());
      const held: { real: Permit; model: ModelPermit }[] = [];
      for (const one of steps) {
        if (one.what === 'advance') clock.advance(one.ms);
        else if (one.what === 'acquire') {
          const [real, expected] = [breaker.acquire(), model.acquire()];
          assert.equal(real === null, expected === null);
          if (real !== null && expected !== null) held.push({ real, model: expected });
        } else {
          // Counted from the newest, so that permits of all ages come up.
          const permit = held.at(-1 - one.which);
          if (permit === undefined) continue;
          permit.real[one.what]();
          if (one.what === 'alive') model.alive(permit.model);
          else model.end(permit.model, one.what);
        }
        assert.equal(breaker.state(), model.state);
        assert.equal(breaker.available(), model.available);
        const wait = model.state === 'open' ? Math.max(0, model.openUntil - clock.now()) : null;
        assert.ok(Math.abs((breaker.retryAfterMs() ?? -1) - (wait ?? -1)) < 1e-6);
      }
      assert.deepEqual(transitions, model.transitions);
      assert.equal(breaker.opens, transitions.filter((to) => to === 'open').length);
    }),
    { numRuns: 1000 },
  );
  assert.ok(Math.min(...Object.values(reached)) > 100, `hardly tested: ${JSON.stringify(reached)}`);
});

/** The same chances for the breaker and its model. */
function sequence(): Chance {
  let drawn = 0;
  return () => (drawn++ * 0.618) % 1;
}
