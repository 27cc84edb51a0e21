import assert from 'node:assert/strict';
import { it } from 'node:test';
import fc from 'fast-check';
import { Cancellation } from '../../src/core/cancellation.ts';
import { LONGEST_TURN, MOST_WAITING, Pacer, type Turn } from '../../src/resilience/pacer.ts';
import { ManualClock } from '../support/manual-clock.ts';

interface Asked {
  number: number;
  limitMs: number;
  cameAt: number;
  cancellation: Cancellation;
  turn: Turn | null;
}

/** A turn that was had, and the highest rate since the turn before it; null: for a time there was none. */
interface Had {
  at: number;
  rate: number | null;
}

/** A pacer, and all that was asked of it. */
class Run {
  readonly clock = new ManualClock(12_345.678);
  readonly pacer = new Pacer(this.clock);
  readonly asked: Asked[] = [];
  /** In the order in which they were had. */
  readonly order: number[] = [];
  readonly had: Had[] = [];
  lastStarted = 0;
  /** Of the turns since the last one had. */
  #highest: number | null = 0;

  async step(op: Op): Promise<void> {
    this.note();
    switch (op.kind) {
      case 'ask':
        for (let i = 0; i < op.times; i++) this.#ask(op.limitMs);
        break;
      case 'pass':
        await this.clock.advanceAsync(op.ms);
        break;
      case 'refused':
        this.pacer.refused(this.clock.now() - op.ago, op.pauseMs);
        break;
      case 'succeeded':
        this.pacer.succeeded(this.clock.now() - op.ago);
        break;
      case 'cancel':
        this.asked[op.which % Math.max(1, this.asked.length)]?.cancellation.cancel('client_gone');
        break;
    }
    this.note();
    await new Promise(setImmediate);
  }

  /** The rate may have changed: a turn may come by the old one or the new. */
  note(): void {
    const { rate } = this.pacer;
    if (rate === null) this.#highest = null;
    else if (this.#highest !== null) this.#highest = Math.max(this.#highest, rate);
  }

  #ask(limitMs: number): void {
    const asked: Asked = {
      number: this.asked.length,
      limitMs,
      cameAt: this.clock.now(),
      cancellation: new Cancellation(),
      turn: null,
    };
    this.asked.push(asked);
    const turn = this.pacer.turn(limitMs, asked.cancellation);
    if (turn === null) this.#has(asked, 0);
    else {
      void turn.then((how) => {
        asked.turn = how;
        if ('waitedMs' in how) this.#has(asked, how.waitedMs);
      });
    }
  }

  #has(asked: Asked, waitedMs: number): void {
    asked.turn = { waitedMs };
    this.order.push(asked.number);
    this.note();
    this.had.push({ at: asked.cameAt + waitedMs, rate: this.#highest });
    this.#highest = this.pacer.rate;
  }
}

type Op =
  | { kind: 'ask'; times: number; limitMs: number }
  | { kind: 'pass'; ms: number }
  | { kind: 'refused'; ago: number; pauseMs: number }
  | { kind: 'succeeded'; ago: number }
  | { kind: 'cancel'; which: number };

const ops: fc.Arbitrary<Op[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('ask' as const),
        times: fc.integer({ min: 1, max: 40 }),
        limitMs: fc.oneof(fc.constant(60_000), fc.integer({ min: 0, max: 1200 })),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant('pass' as const),
        ms: fc.oneof(fc.double({ min: 0, max: 200, noNaN: true }), fc.integer({ min: 0, max: 3000 })),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant('refused' as const),
        ago: fc.integer({ min: 0, max: 500 }),
        pauseMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 2000 })),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        kind: fc.constant('succeeded' as const),
        ago: fc.integer({ min: 0, max: 500 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('cancel' as const), which: fc.nat(1000) }),
    },
    {
      weight: 0.2 * 5,
      arbitrary: fc.constant({ kind: 'pass' as const, ms: 310_000 }),
    },
  ),
  { minLength: 5, maxLength: 80 },
);

it('in no stretch of time do more go than the rate gives and a tenth of a second’s worth (or one) more, in the order in which they came, and nobody is forgotten', async () => {
  await fc.assert(
    fc.asyncProperty(ops, async (steps) => {
      const run = new Run();
      for (const step of steps) {
        await run.step(step);
        assert.ok(run.pacer.waiting <= MOST_WAITING);
        assert.ok(run.pacer.rate === null || run.pacer.rate >= 0.5);
        assert.equal(run.clock.pending, run.pacer.waiting === 0 ? 0 : 1);
      }
      await run.step({ kind: 'pass', ms: LONGEST_TURN + 1 });
      assert.equal(run.pacer.waiting, 0);
      assert.equal(run.clock.pending, 0);
      assert.deepEqual(
        run.order,
        run.order.toSorted((a, b) => a - b),
        'the order changed',
      );
      for (const { turn, limitMs } of run.asked) {
        assert.ok(turn !== null, 'one was forgotten');
        if ('waitedMs' in turn) assert.ok(turn.waitedMs <= Math.min(limitMs, LONGEST_TURN) + 0.01);
      }
      for (const [from, first] of run.had.entries()) {
        let highest = 0;
        for (let to = from + 1; to < run.had.length; to++) {
          const { at, rate } = run.had[to] as Had;
          if (rate === null) break;
          highest = Math.max(highest, rate);
          const most = (highest * (at - first.at)) / 1000 + Math.max(1, highest / 10);
          assert.ok(to - from + 1 <= most + 0.001 * highest + 1e-6, `${to - from + 1} went, ${most} may`);
        }
      }
    }),
    { numRuns: 300 },
  );
});
