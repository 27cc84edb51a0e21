import type { Clock, Timer } from '../core/clock.ts';
import type { Failure } from '../core/outcome.ts';
import type { TimeoutSettings } from '../resilience/settings.ts';
import { plainFailure } from './transport-failure.ts';

/** Whose bounds they are. */
export interface TimerOwner {
  timerWentOff(): void;
}

/**
 * One timer for all the bounds of a try. It is not moved with every byte: it goes off at what was due when it was set, and the try then says what is due
 * now.
 */
export class BoundsTimer {
  readonly #clock: Clock;
  readonly #owner: TimerOwner;
  #timer: Timer | null = null;
  /** When it goes off, on the clock's time. */
  #at = 0;

  constructor(clock: Clock, owner: TimerOwner) {
    this.#clock = clock;
    this.#owner = owner;
  }

  /** It goes off at `at`, or before. */
  set(at: number, now = this.#clock.now()): void {
    if (this.#timer !== null && this.#at <= at) return;
    this.#timer?.cancel();
    this.#at = at;
    this.#timer = this.#clock.schedule(Math.max(0, at - now), () => {
      this.#timer = null;
      this.#owner.timerWentOff();
    });
  }

  clear(): void {
    this.#timer?.cancel();
  }
}

class AttemptOver extends Error {}

/** Tells undici to let go; nobody sees it. One for all: a stack trace each would cost more than the try's own work. */
export const OVER = new AttemptOver('the try is over');

/** When a try must be over, on the clock's time. */
export interface AttemptBounds {
  timeouts: TimeoutSettings;
  /** Of the whole request. */
  deadline: number;
  startedAt: number;
  attemptEnd: number;
}

/** Which of the bounds was reached. */
export function whatIsOver(
  now: number,
  { timeouts, deadline, startedAt, attemptEnd }: AttemptBounds,
  { queued, awaitsFirstToken }: { queued: boolean; awaitsFirstToken: boolean },
): Failure {
  if (now >= deadline) return plainFailure('deadline', 'the time for the whole request was over');
  if (queued) return plainFailure('timeout', `no free connection within ${Math.round(now - startedAt)} ms`);
  if (awaitsFirstToken && now >= startedAt + timeouts.firstToken)
    return plainFailure('timeout', `no first token within ${timeouts.firstToken} ms`);
  if (now >= attemptEnd) return plainFailure('timeout', `no whole answer within ${timeouts.attempt} ms`);
  return plainFailure('broken_body', `silent for ${timeouts.idle} ms`);
}
