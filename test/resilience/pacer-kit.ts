/** A pacer, and short words for what tests do with it. */
import assert from 'node:assert/strict';
import { type CancelListener, Cancellation } from '../../src/core/cancellation.ts';
import type { Timer } from '../../src/core/clock.ts';
import { LONGEST_TURN, Pacer, type Turn } from '../../src/resilience/pacer.ts';
import { ManualClock } from '../support/manual-clock.ts';

const START = 12_345;

export function setUp() {
  const clock = new ManualClock(START);
  return { clock, pacer: new Pacer(clock) };
}

/** Lets promises run. */
export const settle = () => new Promise(setImmediate);

/** Takes turns that must be had at once. */
export function go(pacer: Pacer, times = 1): void {
  for (let i = 0; i < times; i++) {
    assert.equal(pacer.turn(LONGEST_TURN, new Cancellation()), null, `turn ${i + 1} is not had at once`);
  }
}

/** After so many tries in each of the last seconds, one of them is refused; the upstream is left alone for a second. */
export function setUpRefused(perSecond: number, pauseMs = 1000) {
  const parts = setUp();
  const { clock, pacer } = parts;
  for (let i = 0; i < perSecond * 2; i++) {
    clock.advance(1000 / perSecond);
    go(pacer);
  }
  pacer.refused(clock.now(), pauseMs);
  return parts;
}

export interface Asked {
  /** Null: it still waits. */
  turn: Turn | null;
  cancellation: Cancellation;
}

/** Takes a turn, and notes how it ended. */
export function ask(pacer: Pacer, limitMs = LONGEST_TURN, cancellation = new Cancellation()): Asked {
  const asked: Asked = { turn: null, cancellation };
  const turn = pacer.turn(limitMs, cancellation);
  if (turn === null) asked.turn = { waitedMs: 0 };
  else
    void turn.then((how) => {
      asked.turn = how;
    });
  return asked;
}

/** Null: it was not its turn, or not yet. */
export function waited({ turn }: Asked): number | null {
  return turn !== null && 'waitedMs' in turn ? turn.waitedMs : null;
}

/** Null: it was not refused. */
export function fullFor({ turn }: Asked): number | null {
  return turn !== null && 'fullForMs' in turn ? turn.fullForMs : null;
}

export function askTimes(pacer: Pacer, times: number): Asked[] {
  return Array.from({ length: times }, () => ask(pacer));
}

export const waits = ({ turn }: Asked) => turn === null;

/** Close enough, where fractions were summed up. */
export function near(actual: number | null, expected: number): void {
  assert.ok(actual !== null && Math.abs(actual - expected) < expected / 25, `${actual}, not ${expected}`);
}

/** Knows how many listen to it. */
export class CountingCancellation extends Cancellation {
  listening = 0;

  override add(listener: CancelListener): void {
    this.listening++;
    super.add(listener);
  }

  override remove(listener: CancelListener): void {
    this.listening--;
    super.remove(listener);
  }
}

/** Its timers go off too late. */
export class LateClock extends ManualClock {
  late = 0;

  override schedule(ms: number, fn: () => void): Timer {
    return super.schedule(ms + this.late, fn);
  }
}
