import type { Failure } from '../core/outcome.ts';
import type { TimeoutSettings } from '../resilience/settings.ts';
import { plainFailure } from './transport-failure.ts';

/** The try is over: undici is to let go of it. */
export class AttemptOver extends Error {}

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
