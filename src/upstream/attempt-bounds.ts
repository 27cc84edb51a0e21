import type { Failure } from '../core/outcome.ts';
import { type AttemptRequest, type AttemptState, awaitsHeaders } from './attempt-request.ts';
import { BoundsTimer, type TimerOwner } from './bounds-timer.ts';
import { plainFailure } from './transport-failure.ts';

/** After every choice has finished: how long to wait for usage, and for the body's end. Milliseconds. */
const LAST_WORDS = 1000;

/** Before its first byte no stream has fallen silent: what has said nothing yet is late, not stalled. */
const NO_BYTE = Number.POSITIVE_INFINITY;

/** A try whose time is bounded. */
export interface Bounded {
  /** Where it stands: which bounds hold goes by that. */
  readonly state: AttemptState;
  /** A bound is reached. `now`: on the clock's time. */
  timeIsOver(now: number): void;
}

/** The bounds on the time of a try, and what they are counted from. */
export class AttemptBounds implements TimerOwner {
  readonly #request: AttemptRequest;
  readonly #bounded: Bounded;
  readonly #timer: BoundsTimer;
  /** When it began, be it by a wait for credentials, less the wait for a free connection. */
  #startedAt: number;
  #watchedFrom = 0;
  /** When its time is over, for what goes on with another try; null = counted from its own start. */
  readonly #endsAt: number | null;
  #lastByteAt = 0;
  /** When the last choice finished; the wait for usage starts here, and then the one for the body's end. */
  #finishedAt: number | null = null;
  /** Content has come, though perhaps nothing that the client lacks. */
  #heard = false;
  #paused = false;

  constructor(request: AttemptRequest, bounded: Bounded, startedAt: number, endsAt: number | null) {
    this.#request = request;
    this.#bounded = bounded;
    this.#timer = new BoundsTimer(request.clock, this);
    this.#startedAt = startedAt;
    this.#endsAt = endsAt;
  }

  /** When the time for this try is over, on the clock's time. */
  get endsAt(): number {
    return this.#endsAt ?? this.#startedAt + this.#request.timeouts.attempt;
  }

  /** Silence is the reader's, not the upstream's. */
  get paused(): boolean {
    return this.#paused;
  }

  /** From now on it is watched. */
  begin(now: number): void {
    this.#watchedFrom = now;
    this.#arm(now);
  }

  /** It waits for nobody's connection any more. */
  sent(): void {
    this.#startedAt += this.#request.clock.now() - this.#watchedFrom;
  }

  /** `streams`: the headers of anything else come when it is done. */
  answered(streams: boolean): void {
    this.#lastByteAt = streams ? NO_BYTE : this.#request.clock.now();
  }

  byteCame(): void {
    this.#lastByteAt = this.#request.clock.now();
  }

  heard(): void {
    this.#heard = true;
  }

  /** Of what was asked for, all has come: what follows is waited for a little. */
  finished(): void {
    this.#finishedAt = this.#request.clock.now();
    this.#arm(this.#finishedAt);
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#lastByteAt = this.#request.clock.now();
    if (this.#finishedAt === null) return;
    this.#finishedAt = this.#lastByteAt;
    this.#arm(this.#finishedAt);
  }

  clear(): void {
    this.#timer.clear();
  }

  timerWentOff(): void {
    const now = this.#request.clock.now();
    if (now < this.#nextDue()) this.#arm(now);
    else this.#bounded.timeIsOver(now);
  }

  /** Which of the bounds was reached. */
  whatIsOver(now: number): Failure {
    const { timeouts, deadline } = this.#request;
    const startedAt = this.#startedAt;
    if (now >= deadline) return plainFailure('deadline', 'the time for the whole request was over');
    if (this.#bounded.state === 'queued')
      return plainFailure('timeout', `no free connection within ${Math.round(now - this.#watchedFrom)} ms`);
    if (this.#awaitsFirstToken() && now >= startedAt + timeouts.firstToken)
      return plainFailure('timeout', `no first token within ${timeouts.firstToken} ms`);
    if (now >= this.endsAt) return plainFailure('timeout', `no whole answer within ${timeouts.attempt} ms`);
    return plainFailure('broken_body', `silent for ${timeouts.idle} ms`);
  }

  /** For the next bound, or for when silence from now on would be too long: so the timer need not be set anew with what comes. */
  #arm(now: number): void {
    const { idle } = this.#request.timeouts;
    if (this.#bounded.state !== 'over') this.#timer.set(Math.min(this.#nextDue(), now + idle), now);
  }

  /** When the next bound is reached, on the clock's time. */
  #nextDue(): number {
    const { timeouts, deadline } = this.#request;
    const { state } = this.#bounded;
    const lastWords = this.#finishedAt === null ? Infinity : this.#finishedAt + LAST_WORDS;
    if (state === 'draining') return lastWords;
    let at = Math.min(this.endsAt, deadline);
    if (this.#awaitsFirstToken()) at = Math.min(at, this.#startedAt + timeouts.firstToken);
    if (!awaitsHeaders(state) && !this.#paused)
      at = Math.min(at, this.#lastByteAt + timeouts.idle, lastWords);
    return at;
  }

  #awaitsFirstToken(): boolean {
    if (this.#request.streaming === null || this.#heard) return false;
    const { state } = this.#bounded;
    return awaitsHeaders(state) || state === 'holding' || this.#lastByteAt === NO_BYTE;
  }
}
