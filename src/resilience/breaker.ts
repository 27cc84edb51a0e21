import type { Chance, Clock } from '../core/clock.ts';
import type { BoardPlace, Word } from './board.ts';
import { RecentTries } from './recent-tries.ts';
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
  success(now?: number): void;
  failure(now?: number): void;
  /** Nothing was learned (the client left, say): gives a probe's place back and counts nothing. */
  release(): void;
}

type PermitEnd = 'success' | 'failure' | 'release';

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

/** After a claim that was refused: how long the board is not asked again, unless there is news. Milliseconds. */
const REFUSED_FOR = 500;

/**
 * The breaker of one upstream: keeps requests away from one that fails.
 *
 * Closed, it opens on the failure that makes `consecutiveFailures` in a row, or that finds at least `minRequests` tries in the
 * window with `failureRate` of them failed (a success never opens it). Open, it refuses for `openFor` ms, doubled for each
 * probe that fails up to `maxOpenFor`, then ±10 %: at most 1.1 × `maxOpenFor`, so that the longest periods differ too.
 * Then up to `halfOpenProbes` requests at a time are let through; the first to succeed closes it, the first to fail opens it again.
 *
 * With a place on the board of all gateways it also opens and closes as they do, and each probe must be claimed there first:
 * `if (breaker.needsClaim()) await breaker.claim()`, then `acquire`. While the board cannot be reached it goes on by itself.
 */
export class Breaker {
  readonly #settings: BreakerSettings;
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #onTransition: (to: BreakerState, why: string) => void;
  readonly #place: BoardPlace | null;
  /** A new object at every change of state: a permit is of this state if it holds this very object. */
  #state: Closed | Open | HalfOpen;
  #opens = 0;
  /** The board's last word that was heard. */
  #seen = 0;
  /** Times that it opened or closed by what was found out here. */
  #said = 0;
  /** Probes that the board has granted and nobody has begun. */
  #claims = 0;
  #claiming: Promise<void> | null = null;
  /** On the clock's time: before that, a probe would only be refused again. */
  #refusedUntil = Number.NEGATIVE_INFINITY;

  /**
   * Times are milliseconds. `onTransition` is told each change of state and why, in words, and must not throw. `place`: where this upstream
   * stands on the board; null = nothing is shared. Throws a RangeError naming a setting that makes no sense.
   */
  constructor(
    settings: BreakerSettings,
    clock: Clock,
    chance: Chance,
    onTransition: (to: BreakerState, why: string) => void,
    place: BoardPlace | null = null,
  ) {
    refuseNonsense(settings);
    this.#settings = settings;
    this.#clock = clock;
    this.#chance = chance;
    this.#onTransition = onTransition;
    this.#place = place;
    this.#state = this.#newlyClosed();
    const known = place?.known() ?? null;
    if (known !== null) this.hear(known);
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
    if (this.#state.kind !== 'open') return null;
    return Math.max(0, Math.max(this.#state.until, this.#refusedUntil) - this.#clock.now());
  }

  /** Would `acquire` give a permit now? Of a probe that must be claimed first, as far as one knows before it is. */
  available(): boolean {
    if (this.#state.kind === 'closed') return true;
    const now = this.#clock.now();
    if (now < this.#refusedUntil) return false;
    return this.#state.kind === 'open'
      ? now >= this.#state.until
      : this.#state.probes < this.#settings.halfOpenProbes;
  }

  /** Is there a probe to be made that all gateways together must be asked for? Then `acquire` gives none before `claim`. */
  needsClaim(): boolean {
    const mustAsk = this.#place !== null && this.#state.kind !== 'closed' && this.#claims === 0;
    return mustAsk && this.#place.reachable && this.available();
  }

  /**
   * Asks for a probe: one round trip. Whether it was granted, `acquire` says; whoever asks must call it right after. Never rejects: where the
   * board does not answer, each gateway probes for itself.
   */
  claim(): Promise<void> {
    this.#claiming ??= this.#claim().finally(() => {
      this.#claiming = null;
    });
    return this.#claiming;
  }

  /** Leave for one try, or null if the upstream is to be left alone. */
  acquire(): Permit | null {
    if (this.#state.kind === 'closed') return new HeldPermit(this, this.#state);
    if (!this.available()) return null;
    if (this.#claims > 0) this.#claims -= 1;
    else if (this.#place?.reachable === true) return null;
    const probing = this.#state.kind === 'half_open' ? this.#state : this.#halfOpen(this.#state.openings);
    probing.probes += 1;
    return new HeldPermit(this, probing);
  }

  /** For permits: the first content came to a try that was begun in `held`. Gives the state that the try belongs to from now on. */
  answered(held: Closed | HalfOpen): Closed | HalfOpen {
    return held === this.#state && held.kind === 'half_open' ? this.#close() : held;
  }

  /** For permits: a try that belongs to `held` has ended. */
  settle(held: Closed | HalfOpen, end: PermitEnd, now = this.#clock.now()): void {
    if (held !== this.#state) return;
    if (held.kind === 'half_open') this.#settleProbe(held, end, now);
    else if (end === 'success') held.tries.success(now);
    else if (end === 'failure') this.#countFailure(held.tries, now);
  }

  /** A word of the board: all gateways together have opened or closed it. Words that are not newer than the last one mean nothing. */
  hear(word: Word): void {
    if (this.#place === null || word.seq <= this.#seen) return;
    this.#seen = word.seq;
    const { kind } = this.#state;
    if (word.state === 'closed') {
      if (kind !== 'closed') this.#enter(this.#newlyClosed(), `${byWhom(word)}: a probe succeeded`);
      return;
    }
    // A period that is over is the one that these probes came after.
    if (kind === 'half_open' && word.leftMs <= 0) return;
    const until = this.#clock.now() + word.leftMs;
    const open: Open = { kind: 'open', until, openings: word.openings };
    if (kind === 'open') {
      this.#drop();
      this.#state = open;
    } else {
      this.#opens += 1;
      this.#enter(open, `${byWhom(word)}; open for ${Math.round(word.leftMs)} ms`);
    }
  }

  async #claim(): Promise<void> {
    const asked = this.#state;
    if (this.#place === null || asked.kind === 'closed') return;
    const claim = { probes: this.#settings.halfOpenProbes, openings: asked.openings, after: this.#seen };
    const said = this.#said;
    const { granted, seq } = await this.#place.claim(claim);
    // Meanwhile there may have been news, or a probe of its own has ended: then it was of a state that is over.
    const isSame = seq === null ? this.#state === asked : seq === this.#seen && said === this.#said;
    const stands = isSame && this.#state.kind !== 'closed';
    if (granted && stands) this.#claims += 1;
    else if (granted) this.#place.released();
    else if (stands) this.#refusedUntil = this.#clock.now() + REFUSED_FOR;
  }

  #settleProbe(held: HalfOpen, end: PermitEnd, now: number): void {
    if (end === 'success') this.#close().tries.success(now);
    else if (end === 'failure') this.#open(held.openings + 1, 'a probe failed', this.#seen);
    else {
      held.probes -= 1;
      this.#place?.released();
    }
  }

  #countFailure(tries: RecentTries, now: number): void {
    tries.failure(now);
    const { consecutiveFailures, minRequests, failureRate } = this.#settings;
    if (tries.failuresInARow >= consecutiveFailures) {
      this.#open(1, `${tries.failuresInARow} failures in a row`, null);
    } else if (tries.total >= minRequests && tries.failures / tries.total >= failureRate) {
      this.#open(1, `${tries.failures} of the last ${tries.total} tries failed`, null);
    }
  }

  #newlyClosed(): Closed {
    return { kind: 'closed', tries: new RecentTries(this.#settings.window, this.#clock.now()) };
  }

  #close(): Closed {
    const closed = this.#newlyClosed();
    this.#enter(closed, 'a probe succeeded');
    this.#said += 1;
    this.#place?.closed(this.#seen);
    return closed;
  }

  /** `after`: the word that its probes came after; null: tries were counted. */
  #open(openings: number, why: string, after: number | null): void {
    const { openFor, maxOpenFor } = this.#settings;
    const period =
      Math.min(openFor * 2 ** (openings - 1), maxOpenFor) * (1 - JITTER + 2 * JITTER * this.#chance());
    this.#opens += 1;
    const until = this.#clock.now() + period;
    this.#enter({ kind: 'open', until, openings }, `${why}; open for ${Math.round(period)} ms`);
    this.#said += 1;
    this.#place?.opened({ until, openings, after });
  }

  #halfOpen(openings: number): HalfOpen {
    const halfOpen: HalfOpen = { kind: 'half_open', openings, probes: 0 };
    this.#state = halfOpen;
    this.#onTransition('half_open', 'the open period is over');
    return halfOpen;
  }

  #enter(state: Closed | Open, why: string): void {
    this.#drop();
    this.#state = state;
    this.#onTransition(state.kind, why);
  }

  /** What was claimed or refused was so in a state that is over. */
  #drop(): void {
    this.#claims = 0;
    this.#refusedUntil = Number.NEGATIVE_INFINITY;
  }
}

/** Nodes with other settings of this gateway have breakers of their own for the same upstream. */
function byWhom({ ours, state }: Word): string {
  const what = state === 'open' ? 'opened' : 'closed';
  return ours ? `${what} under other settings` : `${what} by another gateway`;
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

  success(now?: number): void {
    this.#end('success', now);
  }

  failure(now?: number): void {
    this.#end('failure', now);
  }

  release(): void {
    this.#end('release');
  }

  #end(end: PermitEnd, now?: number): void {
    const held = this.#held;
    this.#held = null;
    if (held !== null) this.#breaker.settle(held, end, now);
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
