import { z } from 'zod';
import { choice, count, duration, durationOrZero } from '../schema/kit.ts';
import type { BreakerSettings, RetrySettings, TimeoutSettings } from './settings.ts';

const status = () => count(100, 599);

export const retrySchema = z.strictObject({
  attempts: count(0, 100).prefault(2).describe('retries after the first try, on the same target'),
  on_status_codes: z
    .array(status())
    .prefault([408, 409, 424, 425, 429, 500, 502, 503, 504, 529])
    .describe('the statuses after which the same target is tried again'),
  backoff: z
    .strictObject({
      kind: choice(['exponential', 'linear', 'constant'])
        .prefault('exponential')
        .describe('how the wait grows from retry to retry'),
      base: durationOrZero().prefault('500ms').describe('the wait before the first retry'),
      factor: z.number().min(1).prefault(2).describe('growth of `exponential`'),
      max: durationOrZero().prefault('8s').describe('no backoff is longer'),
      jitter: choice(['full', 'equal', 'decorrelated', 'none'])
        .prefault('full')
        .describe('how much of the wait is left to chance'),
    })
    .prefault({})
    .describe('how long to wait before a retry'),
  max_delay_by_status: z
    .record(
      z.string().regex(/^[1-5]\d\d$/, { error: 'expected a status from 100 to 599 as the key' }),
      durationOrZero(),
    )
    .prefault({})
    .describe('takes the place of `backoff.max` after that status, such as `{ 429: 120s, 503: 64s }`'),
  respect_retry_after: z
    .boolean()
    .prefault(true)
    .describe('wait as long as the upstream asked for, if that is longer'),
  max_retry_after: durationOrZero()
    .prefault('10s')
    .describe('a longer wait that was asked for is not waited for: the next target is tried at once'),
  budget: z
    .strictObject({
      ratio: z.number().min(0).prefault(0.2).describe('retries stay under this share of the requests'),
      min_per_second: z.number().min(0).prefault(5).describe('retries a second that are always allowed'),
    })
    .prefault({})
    .describe('the retry budget of each upstream'),
});

export const timeoutsSchema = z.strictObject({
  connect: duration()
    .prefault('5s')
    .describe('until a connection stands, and as long for one where all are in use'),
  first_token: duration().prefault('30s').describe('streams only: until the first content'),
  idle: duration()
    .prefault('30s')
    .describe('between two pieces of a body; of a stream, from its first byte on'),
  attempt: duration()
    .prefault('5m')
    .describe('one try, start to end; a plain call has no other bound, for its headers come when it is done'),
  total: duration().prefault('10m').describe('the request, all its tries and targets together'),
});

export const breakerSchema = z.strictObject({
  window: duration().prefault('30s').describe('how far back `failure_rate` looks'),
  min_requests: count(1)
    .prefault(20)
    .describe('`failure_rate` says nothing below this many requests in the window'),
  failure_rate: z
    .number()
    .gt(0)
    .max(1)
    .prefault(0.5)
    .describe('the share of failures that opens the breaker; more than 0'),
  consecutive_failures: count(1)
    .prefault(5)
    .describe('as many failures in a row open it at once, whatever the window says'),
  open_for: duration().prefault('10s').describe('how long it stays open; doubled at each failed probe'),
  max_open_for: duration().prefault('5m').describe('it never stays open longer'),
  half_open_probes: count(1)
    .prefault(1)
    .describe('requests let through at a time to see whether it can close'),
  share: z
    .boolean()
    .prefault(false)
    .describe("true: one gateway's discovery opens the others', through `state.redis`"),
});

export function toRetrySettings(file: z.output<typeof retrySchema>): RetrySettings {
  const { backoff, budget } = file;
  return {
    attempts: file.attempts,
    onStatusCodes: file.on_status_codes,
    backoff: {
      kind: backoff.kind,
      base: backoff.base,
      factor: backoff.factor,
      max: backoff.max,
      jitter: backoff.jitter,
    },
    maxDelayByStatus: file.max_delay_by_status,
    respectRetryAfter: file.respect_retry_after,
    maxRetryAfter: file.max_retry_after,
    budget: { ratio: budget.ratio, minPerSecond: budget.min_per_second },
  };
}

export function toTimeoutSettings(file: z.output<typeof timeoutsSchema>): TimeoutSettings {
  return {
    connect: file.connect,
    firstToken: file.first_token,
    idle: file.idle,
    attempt: file.attempt,
    total: file.total,
  };
}

export function toBreakerSettings(file: z.output<typeof breakerSchema>): BreakerSettings {
  return {
    window: file.window,
    minRequests: file.min_requests,
    failureRate: file.failure_rate,
    consecutiveFailures: file.consecutive_failures,
    openFor: file.open_for,
    maxOpenFor: file.max_open_for,
    halfOpenProbes: file.half_open_probes,
    share: file.share,
  };
}
