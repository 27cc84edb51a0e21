import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import type { Permit } from '../../src/resilience/breaker.ts';
import { type Fleet, type Member, startFleet } from './fleet.ts';

type Step =
  | { what: 'ask' | 'burst'; who: number }
  | { what: 'alive' | 'success' | 'failure' | 'release'; which: number }
  | { what: 'advance'; ms: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ what: fc.constant('ask'), who: fc.nat(2) }) },
  // Requests that all fail.
  { weight: 2, arbitrary: fc.record({ what: fc.constant('burst'), who: fc.nat(2) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constantFrom('alive', 'success', 'failure', 'failure', 'release'),
      which: fc.nat(3),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      what: fc.constant('advance'),
      ms: fc.oneof(fc.nat(100), fc.nat(1000), fc.nat(4000), fc.nat(4000)),
    }),
  },
);

/** One way, at most. Milliseconds. */
const SLOWEST = 150;

interface Held {
  permit: Permit;
  member: Member;
  isProbe: boolean;
  /** Changes of state there had been when it began: with the next one, a probe is none any more. */
  changes: number;
  over: boolean;
}

class Run {
  readonly #fleet: Fleet;
  readonly #probes: number;
  readonly #held: Held[] = [];
  readonly #asking: Promise<void>[] = [];
  /** What was found wrong where nobody waits for it. */
  #wrong: unknown = null;
  probed = 0;

  constructor(fleet: Fleet, probes: number) {
    this.#fleet = fleet;
    this.#probes = probes;
  }

  async take(one: Step): Promise<void> {
    switch (one.what) {
      case 'advance':
        await this.#fleet.clock.advanceAsync(one.ms);
        break;
      case 'burst':
        this.#member(one.who).fail();
        break;
      case 'ask':
        this.#asking.push(
          this.#ask(this.#member(one.who)).catch((error) => {
            this.#wrong ??= error;
          }),
        );
        break;
      default: {
        const held = this.#held.filter(({ over }) => !over).at(-1 - one.which);
        if (held === undefined) return;
        held.over = one.what !== 'alive';
        held.permit[one.what]();
      }
    }
    this.#check();
  }

  /** With nothing new, for long enough that all have heard of it. */
  async come(): Promise<void> {
    await this.#fleet.clock.advanceAsync(1000 + 6 * SLOWEST);
    await Promise.all(this.#asking);
    this.#check();
    const isClosed = this.#fleet.members.map(({ breaker }) => breaker.state() === 'closed');
    assert.equal(new Set(isClosed).size, 1, `they differ: ${isClosed}`);
    const waits = this.#fleet.members
      .map(({ breaker }) => breaker.retryAfterMs())
      .filter((ms) => ms !== null);
    // What is over is over, and what is refused for half a second is not the same everywhere.
    const long = waits.filter((ms) => ms > 500);
    if (long.length > 0)
      assert.ok(Math.max(...waits) - Math.min(...waits) < 3 * SLOWEST, `they differ: ${waits}`);
  }

  #member(index: number): Member {
    return this.#fleet.members[index] as Member;
  }

  async #ask(member: Member): Promise<void> {
    const { breaker, transitions } = member;
    if (breaker.needsClaim()) await breaker.claim();
    const isOpen = breaker.state() !== 'closed';
    const wait = breaker.retryAfterMs();
    const permit = breaker.acquire();
    if (permit === null) return;
    assert.ok(wait === null || wait === 0, 'tried while it was open');
    if (isOpen) this.probed += 1;
    this.#held.push({ permit, member, isProbe: isOpen, changes: transitions.length, over: false });
    this.#check();
  }

  #check(): void {
    if (this.#wrong !== null) throw this.#wrong;
    const underWay = this.#held.filter(
      ({ over, isProbe, member, changes }) => !over && isProbe && member.transitions.length === changes,
    );
    assert.ok(underWay.length <= this.#probes, `${underWay.length} probes at a time`);
  }
}

it('three gateways never make more probes than they may, and soon are of one mind, whatever happens and however slow the way is', async () => {
  let probed = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 2 }),
      fc.infiniteStream(fc.nat(SLOWEST)),
      fc.array(step, { minLength: 40, maxLength: 120 }),
      async (halfOpenProbes, delays, steps) => {
        const settings = { halfOpenProbes, openFor: 2_500, maxOpenFor: 10_000 };
        const fleet = startFleet(3, settings, () => delays.next().value as number);
        const run = new Run(fleet, halfOpenProbes);
        for (const one of steps) await run.take(one);
        await run.come();
        probed += run.probed;
        for (const { board } of fleet.members) void board.close();
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(probed > 1000, `hardly tested: ${probed} probes`);
});
