import type { Chance, Clock } from '../core/clock.ts';
import type { BreakerSettings } from './settings.ts';

export type BreakerState = 'closed' | 'open' | 'half_open';

/**
 * Leave to make one try. Whoever holds it must end it with exactly one of `success`, `failure` and `release`, or a half-open
 * breaker waits for it for ever; the first of the three counts, later ones do nothing. A permit from before the breaker's last
 * change of state has no effect at all.
 */
export interface Permit {
  /** The first content arrived. A probe closes the breaker now, so that a long stream does not hold it half-open; how the try ends still counts. */
  alive(): void;
  success(): void;
  failure(): void;
  /** Nothing was learned (the client left, say): gives a probe's place back and counts nothing. */
  release(): void;
}

type Verdict = 'success' | 'failure' | 'release';

interface Closed {
  readonly kind: 'closed';
  readonly tries: RecentTries;
}
interface Open {
  readonly kind: 'open';
  /** In the clock's monotonic milliseconds. */
  readonly until: number;
  /** Openings since it was last closed, starting at 1: each doubles the period. */
  readonly openings: number;
}
interface HalfOpen {
  readonly kind: 'half_open';
  readonly openings: number;
  /** Probes under way. */
  probes: number;
}

/** Open periods vary by this share in both directions, so that gateways that opened together do not probe together. */
const JITTER = 0.1;

/**
 * The breaker of one upstream: keeps requests away from one that fails.
 *
 * Closed, it opens on the failure that makes `consecutiveFailures` in a row, or that finds at least `minRequests` tries in the
 * window with `failureRate` of them failed (a success never opens it). Open, it refuses for `openFor` ms, doubled for each
 * probe that fails up to `maxOpenFor`, then ±10 %: at most 1.1 × `maxOpenFor`, so that the longest periods differ too.
 * Then up to `halfOpenProbes` requests at a time are let through; the first to succeed closes it, the first to fail opens it again.
 */
export class Breaker {
  readonly #settings: BreakerSettings;
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #onTransition: (to: BreakerState, why: string) => void;
  /** A new object at every change of state: a permit is of this state if it holds this very object. */
  #state: Closed | Open | HalfOpen;
  #opens = 0;

  /** Times are milliseconds. `onTransition` is told each change of state and why, in words, and must not throw. Throws a RangeError naming a setting that makes no sense. */
  constructor(
    settings: BreakerSettings,
    clock: Clock,
    chance: Chance,
    onTransition: (to: BreakerState, why: string) => void,
  ) {
    refuseNonsense(settings);
    this.#settings = settings;
    this.#clock = clock;
    this.#chance = chance;
    this.#onTransition = onTransition;
    this.#state = this.#newlyClosed();
  }

  /** Times it opened since it was made, a failed probe's included. */
  get opens(): number {
    return this.#opens;
  }

  /** As of the last transition: an open breaker whose time is over reads `open` until somebody takes a probe. */
  state(): BreakerState {
    return this.#state.kind;
  }

  /** While open: milliseconds until a probe is allowed, 0 once it is. Otherwise null. */
  retryAfterMs(): number | null {
    return this.#state.kind === 'open' ? Math.max(0, this.#state.until - this.#clock.now()) : null;
  }

  /** Would `acquire` give a permit now? */
  available(): boolean {
    switch (this.#state.kind) {
      case 'closed':
        return true;
      case 'open':
        return this.#clock.now() >= this.#state.until;
      case 'half_open':
        return this.#state.probes < this.#settings.halfOpenProbes;
    }
  }

  /** Leave for one try, or null if the upstream is to be left alone. */
  acquire(): Permit | null {
    if (this.#state.kind === 'closed') return new HeldPermit(this, this.#state);
    if (!this.available()) return null;
    const probing = this.#state.kind === 'half_open' ? this.#state : this.#halfOpen(this.#state.openings);
    probing.probes += 1;
    return new HeldPermit(this, probing);
  }

  /** For permits: the first content came to a try that was begun in `held`. Gives the state that the try belongs to from now on. */
  answered(held: Closed | HalfOpen): Closed | HalfOpen {
    return held === this.#state && held.kind === 'half_open' ? this.#close() : held;
  }

  /** For permits: a try that belongs to `held` has ended. */
  settle(held: Closed | HalfOpen, verdict: Verdict): void {
    if (held !== this.#state) return;
    if (held.kind === 'half_open') this.#settleProbe(held, verdict);
    else if (verdict === 'success') held.tries.success(this.#clock.now());
    else if (verdict === 'failure') this.#countFailure(held.tries);
  }

  #settleProbe(held: HalfOpen, verdict: Verdict): void {
    if (verdict === 'success') this.#close().tries.success(this.#clock.now());
    else if (verdict === 'failure') this.#open(held.openings + 1, 'a probe failed');
    else held.probes -= 1;
  }

  #countFailure(tries: RecentTries): void {
    tries.failure(this.#clock.now());
    const { consecutiveFailures, minRequests, failureRate } = this.#settings;
    if (tries.failuresInARow >= consecutiveFailures) {
      this.#open(1, `${tries.failuresInARow} failures in a row`);
    } else if (tries.total >= minRequests && tries.failures / tries.total >= failureRate) {
      this.#open(1, `${tries.failures} of the last ${tries.total} tries failed`);
    }
  }

  #newlyClosed(): Closed {
    return { kind: 'closed', tries: new RecentTries(this.#settings.window, this.#clock.now()) };
  }

  #close(): Closed {
    const closed = this.#newlyClosed();
    this.#state = closed;
    this.#onTransition('closed', 'a probe succeeded');
    return closed;
  }

  #open(openings: number, why: string): void {
    const { openFor, maxOpenFor } = this.#settings;
    const period =
      Math.min(openFor * 2 ** (openings - 1), maxOpenFor) * (1 - JITTER + 2 * JITTER * this.#chance());
    this.#state = { kind: 'open', until: this.#clock.now() + period, openings };
    this.#opens += 1;
    this.#onTransition('open', `${why}; open for ${Math.round(period)} ms`);
  }

  #halfOpen(openings: number): HalfOpen {
    const halfOpen: HalfOpen = { kind: 'half_open', openings, probes: 0 };
    this.#state = halfOpen;
    this.#onTransition('half_open', 'the open period is over');
    return halfOpen;
  }
}

class HeldPermit implements Permit {
  readonly #breaker: Breaker;
  /** The state that the try belongs to; null once it has ended. */
  #held: Closed | HalfOpen | null;

  constructor(breaker: Breaker, held: Closed | HalfOpen) {
    this.#breaker = breaker;
    this.#held = held;
  }

  alive(): void {
    if (this.#held !== null) this.#held = this.#breaker.answered(this.#held);
  }

  success(): void {
    this.#end('success');
  }

  failure(): void {
    this.#end('failure');
  }

  release(): void {
    this.#end('release');
  }

  #end(verdict: Verdict): void {
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#breaker.settle(held, verdict);
  }
}

const SLOTS = 10;

/** How the tries of the window went, in ten slots: a slot that is leaving takes all its tries along, so the window is nine to ten tenths of its length. */
class RecentTries {
  total = 0;
  failures = 0;
  /** Since the last success, however long ago they were. */
  failuresInARow = 0;
  readonly #slotMs: number;
  readonly #totals = new Float64Array(SLOTS);
  readonly #failures = new Float64Array(SLOTS);
  /** Number of the slot being counted, since the clock's start. */
  #current: number;

  constructor(windowMs: number, now: number) {
    this.#slotMs = windowMs / SLOTS;
    this.#current = Math.floor(now / this.#slotMs);
  }

  success(now: number): void {
    this.#count(now, this.#totals);
    this.total += 1;
    this.failuresInARow = 0;
  }

  failure(now: number): void {
    this.#count(now, this.#totals);
    this.#count(now, this.#failures);
    this.total += 1;
    this.failures += 1;
    this.failuresInARow += 1;
  }

  #count(now: number, counts: Float64Array): void {
    const current = Math.floor(now / this.#slotMs);
    if (current > this.#current) this.#moveTo(current);
    const slot = this.#current % SLOTS;
    counts[slot] = (counts[slot] ?? 0) + 1;
  }

  #moveTo(current: number): void {
    const first = Math.max(this.#current + 1, current - SLOTS + 1);
    for (let i = first; i <= current; i++) {
      const slot = i % SLOTS;
      this.total -= this.#totals[slot] ?? 0;
      this.failures -= this.#failures[slot] ?? 0;
      this.#totals[slot] = 0;
      this.#failures[slot] = 0;
    }
    this.#current = current;
  }
}

function refuseNonsense(settings: BreakerSettings): void {
  const { window, minRequests, failureRate, consecutiveFailures, openFor, maxOpenFor, halfOpenProbes } =
    settings;
  for (const [name, ms] of Object.entries({ window, openFor, maxOpenFor })) {
    if (!(ms > 0 && Number.isFinite(ms)))
      throw new RangeError(`${name} must be milliseconds above 0, got ${ms}`);
  }
  for (const [name, count] of Object.entries({ minRequests, consecutiveFailures, halfOpenProbes })) {
    if (!(Number.isInteger(count) && count >= 1)) {
      throw new RangeError(`${name} must be a whole number of 1 or more, got ${count}`);
    }
  }
  if (!(failureRate >= 0 && failureRate <= 1)) {
    throw new RangeError(`failureRate must be between 0 and 1, got ${failureRate}`);
  }
  if (maxOpenFor < openFor)
    throw new RangeError(`maxOpenFor (${maxOpenFor}) must not be below openFor (${openFor})`);
}
