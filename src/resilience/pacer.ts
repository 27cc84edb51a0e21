import type { CancelListener, Cancellation } from '../core/cancellation.ts';
import type { Clock, Timer } from '../core/clock.ts';
import { Lately } from './lately.ts';

/**
 * How the wait for a turn ended. `waitedMs`: it is the try's turn. `fullForMs`: it is not, and one that came then would not have to
 * wait. `cancelled`: nobody wants it any more.
 */
export type Turn = { waitedMs: number } | { fullForMs: number } | { cancelled: true };

/** Nobody waits longer for a turn. Milliseconds. */
export const LONGEST_TURN = 1000;
/** Nor do more than so many wait at a time. */
export const MOST_WAITING = 500;

/** What is left of the rate after a 429. */
const LEFT = 0.5;
/**
 * What each success adds to the rate: a hundredth of the rate that was too high, and no more than a fiftieth of it for each second since
 * the last one. From half to full takes 25 s at least, so the pause that follows a 429 (1 s or more) costs few per cent of the time; and
 * fifty answers at least, so where few are to be had no more than one in fifty is a 429.
 */
const RAISE = { perSuccess: 0.01, perSecond: 0.02 };
/** The same where the rate is a guess, as shares of the rate itself: it doubles in four seconds, or after three answers if those take longer. */
const SEARCH = { perSuccess: 0.25, perSecond: 0.2 };
/** A rate that passes the one that was too high by so much without a 429 shows that it was not. */
const DISPROVED = 1.25;
/** Never fewer than this. Below it the wait is longer than the pause that a 429 brings anyhow. Tries a second. */
const LOWEST = 0.5;
/** After so long without any 429 there is no rate any more. Milliseconds. */
const LIFTED_AFTER = 5 * 60_000;
/** What may go at once of a rate: as many as it gives in this time, and one at least. Makes up for late timers as well. Milliseconds. */
const BURST = 100;
/** Closer than this to its turn a try has it: sums of fractions are never quite what they should be. Milliseconds. */
const CLOSE = 0.001;

/**
 * How often one upstream is asked, by what its 429s say of what it bears. There is no rate until the first. A 429 halves what was
 * actually being sent (additive increase, multiplicative decrease): the many of tries that were under way together count as one, and
 * so do those that follow before anything has succeeded at the new rate, since they tell of an upstream that is shut for the moment, not
 * of a rate. Successes raise it again, slowly; five minutes without a 429 lift it. Where too little was seen to know what was being
 * sent, the rate is a guess, and successes raise it fast.
 *
 * What would exceed the rate waits for its turn, in order, for a second at most. Costs a try that need not wait no promise and no timer.
 * In any stretch of time as many tries go as the rate gives in it, and a tenth of a second's worth (or one) more.
 */
export class Pacer {
  readonly #clock: Clock;
  readonly #sent: Lately;
  /** Tries a second; null: as many as come. */
  #rate: number | null = null;
  /** The rate that was too high: what is added to it is a share of this. */
  #tooHigh = 0;
  /** When the rate was last halved, and when the last 429 came. On the clock's time. */
  #halvedAt = Number.NEGATIVE_INFINITY;
  #refusedAt = Number.NEGATIVE_INFINITY;
  /** Little was seen when the rate was set, or what was seen has proved wrong: it is searched for, not kept to. */
  #guessed = false;
  /** Has anyone had to wait, or to be refused, since the rate was set? */
  #heldUp = false;
  /** Has a try succeeded that began after the rate was halved? */
  #proven = true;
  #raisedAt = Number.NEGATIVE_INFINITY;
  /** When the next try would go if there were no bursts: each moves it on by one interval. */
  #next = Number.NEGATIVE_INFINITY;
  /** In the order in which they came. */
  readonly #waiting: Waiter[] = [];
  /** For the first of them. */
  #timer: Timer | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#sent = new Lately(clock.now());
  }

  /** Tries a second; null: as many as come. */
  get rate(): number | null {
    this.#liftWhenDue(this.#clock.now());
    return this.#rate;
  }

  /** Tries that wait for their turn. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** What a try that came now would have to wait, if that were allowed. Milliseconds; 0: nothing. */
  get waitMs(): number {
    const now = this.#clock.now();
    this.#liftWhenDue(now);
    return this.#waitOf(this.#waiting.length, now);
  }

  /**
   * The turn of one try: null = now, and no promise is made. Otherwise it waits, up to `limitMs` and never longer than a second; what
   * would take longer is refused at once. Whoever was given a turn and does not use it gives it back.
   */
  turn(limitMs: number, cancellation: Cancellation): Promise<Turn> | null {
    const now = this.#clock.now();
    this.#liftWhenDue(now);
    const wait = this.#waitOf(this.#waiting.length, now);
    if (wait <= CLOSE && this.#waiting.length === 0) {
      this.#go(now);
      return null;
    }
    if (cancellation.reason !== null) return Promise.resolve({ cancelled: true });
    this.#heldUp = true;
    if (wait > Math.min(limitMs, LONGEST_TURN) || this.#waiting.length >= MOST_WAITING) {
      return Promise.resolve({ fullForMs: wait });
    }
    return new Promise((resolve) => {
      const until = now + Math.min(limitMs, LONGEST_TURN);
      const waiter = new Waiter({ since: now, until, cancellation, resolve, pacer: this });
      this.#waiting.push(waiter);
      cancellation.add(waiter);
      this.#timer ??= this.#clock.schedule(wait, this.#release);
    });
  }

  /** A turn that was given at `givenAt`, on the clock's time, was not used. */
  giveBack(givenAt: number): void {
    this.#sent.takeBack(this.#clock.now());
    // Those of before a 429 were given at another rate, and are counted no more.
    if (this.#rate === null || givenAt <= this.#refusedAt) return;
    this.#next -= 1000 / this.#rate;
    this.#reschedule();
  }

  /**
   * A try that began at `startedAt` (on the clock's time) ended in a 429. `pauseMs`: for how long the upstream is left alone now; after
   * that they go one by one, without a burst.
   */
  refused(startedAt: number, pauseMs = 0): void {
    const now = this.#clock.now();
    this.#liftWhenDue(now);
    this.#refusedAt = now;
    // Those of before the rate was halved were sent at another one.
    if (startedAt > this.#halvedAt && this.#proven) this.#halve(now);
    if (this.#rate === null) return;
    const askedFrom = now + pauseMs;
    this.#next = Math.max(this.#next, askedFrom + this.#allowance());
    // What is measured, and what is added, is for the time in which the upstream is asked.
    this.#sent.restart(askedFrom);
    this.#raisedAt = askedFrom;
    this.#dismiss(now);
    this.#reschedule();
  }

  /** The upstream has begun to answer a try that began at `startedAt`, on the clock's time. */
  succeeded(startedAt: number): void {
    if (this.#rate === null || startedAt <= this.#halvedAt) return;
    const now = this.#clock.now();
    this.#proven = true;
    const seconds = Math.max(0, now - this.#raisedAt) / 1000;
    if (this.#rate > this.#tooHigh * DISPROVED) this.#guessed = true;
    const { perSuccess, perSecond } = this.#guessed ? SEARCH : RAISE;
    this.#rate += (this.#guessed ? this.#rate : this.#tooHigh) * Math.min(perSuccess, perSecond * seconds);
    this.#raisedAt = Math.max(this.#raisedAt, now);
  }

  /** For those who wait: this one was cancelled. */
  leave(waiter: Waiter): void {
    const index = this.#waiting.indexOf(waiter);
    if (index < 0) return;
    this.#waiting.splice(index, 1);
    waiter.end({ cancelled: true });
    // The turn of whoever is first is the same, whoever it is.
    if (this.#waiting.length === 0) this.#stopTimer();
  }

  #halve(now: number): void {
    const known = this.#sent.isKnown(now);
    // While the rate doubles within seconds, what was sent in these is less than it was in the end.
    const lags = this.#guessed && this.#heldUp;
    const sent = this.#rate === null || (known && !lags) ? this.#sent.rate(now) : Infinity;
    this.#tooHigh = Math.max(LOWEST, Math.min(this.#rate ?? Infinity, sent));
    // What was held up was sent at the rate, which is then known to be too high, however few they were.
    this.#guessed = !known && !this.#heldUp;
    this.#heldUp = false;
    this.#rate = Math.max(LOWEST, this.#tooHigh * LEFT);
    this.#halvedAt = now;
    this.#proven = false;
  }

  #liftWhenDue(now: number): void {
    if (this.#rate === null || now - this.#refusedAt < LIFTED_AFTER) return;
    this.#rate = null;
    this.#proven = true;
    this.#stopTimer();
    for (const waiter of this.#waiting.splice(0)) this.#admit(waiter, now);
  }

  /** Gives everyone their turn whose time has come. An arrow, so that no timer needs a function of its own. */
  readonly #release = (): void => {
    this.#timer = null;
    const now = this.#clock.now();
    this.#liftWhenDue(now);
    while (this.#waiting.length > 0 && this.#waitOf(0, now) <= CLOSE) {
      this.#admit(this.#waiting.shift() as Waiter, now);
    }
    this.#reschedule();
  };

  #admit(waiter: Waiter, now: number): void {
    this.#go(now);
    waiter.end({ waitedMs: now - waiter.since });
  }

  /** Those whose turn would now come too late for them are told so at once; the others move up. */
  #dismiss(now: number): void {
    let kept = 0;
    for (const waiter of this.#waiting.splice(0)) {
      const wait = this.#waitOf(kept, now);
      if (now + wait > waiter.until) waiter.end({ fullForMs: wait });
      else {
        this.#waiting.push(waiter);
        kept++;
      }
    }
  }

  /** Until the turn of one who has so many before it. Milliseconds. */
  #waitOf(before: number, now: number): number {
    if (this.#rate === null) return 0;
    return Math.max(0, this.#next + (before * 1000) / this.#rate - this.#allowance() - now);
  }

  /** By how much a try may be early: the burst but for the try itself. Milliseconds. */
  #allowance(): number {
    return this.#rate === null ? 0 : Math.max(0, BURST - 1000 / this.#rate);
  }

  #go(now: number): void {
    this.#sent.add(now);
    if (this.#rate !== null) this.#next = Math.max(this.#next, now) + 1000 / this.#rate;
  }

  /** When the first of those who wait has its turn may have changed. */
  #reschedule(): void {
    this.#stopTimer();
    if (this.#waiting.length === 0) return;
    this.#timer = this.#clock.schedule(this.#waitOf(0, this.#clock.now()), this.#release);
  }

  #stopTimer(): void {
    this.#timer?.cancel();
    this.#timer = null;
  }
}

class Waiter implements CancelListener {
  /** When it came, and until when it waits. On the clock's time. */
  readonly since: number;
  readonly until: number;
  readonly #cancellation: Cancellation;
  readonly #resolve: (turn: Turn) => void;
  readonly #pacer: Pacer;

  constructor(of: {
    since: number;
    until: number;
    cancellation: Cancellation;
    resolve(turn: Turn): void;
    pacer: Pacer;
  }) {
    this.since = of.since;
    this.until = of.until;
    this.#cancellation = of.cancellation;
    this.#resolve = of.resolve;
    this.#pacer = of.pacer;
  }

  cancelled(): void {
    this.#pacer.leave(this);
  }

  end(turn: Turn): void {
    this.#cancellation.remove(this);
    this.#resolve(turn);
  }
}
