/** How a target is tried again. All times in milliseconds. */
export interface RetrySettings {
  /** Retries after the first try on the same target; 0 = none. */
  attempts: number;
  onStatusCodes: readonly number[];
  backoff: BackoffSettings;
  /** Upper bound of our own backoff after that status, in place of `backoff.max`. */
  maxDelayByStatus: Readonly<Record<string, number>>;
  respectRetryAfter: boolean;
  maxRetryAfter: number;
  budget: RetryBudgetSettings;
}

export interface BackoffSettings {
  kind: 'exponential' | 'linear' | 'constant';
  base: number;
  /** Growth of `exponential`: base × factor^(n-1). */
  factor: number;
  max: number;
  jitter: 'full' | 'equal' | 'decorrelated' | 'none';
}

export interface RetryBudgetSettings {
  /** Share of an upstream's requests that may be retries, 0 to 1 (or more, for no bound worth the name). */
  ratio: number;
  /** Retries a second that are always allowed. */
  minPerSecond: number;
}

/** Bounds of a try and of a request, in milliseconds. */
export interface TimeoutSettings {
  connect: number;
  firstToken: number;
  idle: number;
  attempt: number;
  total: number;
}

export interface BreakerSettings {
  window: number;
  minRequests: number;
  /** 0 to 1. */
  failureRate: number;
  consecutiveFailures: number;
  openFor: number;
  maxOpenFor: number;
  halfOpenProbes: number;
  /** What one gateway finds out of the upstream counts for all. */
  share: boolean;
}
