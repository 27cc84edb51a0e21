/** How a try can end without an answer. The words are those of the log, the metrics and `/admin/upstreams`. */
export type FailureKind =
  | 'invalid_request'
  | 'context_too_long'
  | 'content_filtered'
  | 'target_misconfigured'
  | 'credentials_refused'
  | 'out_of_credit'
  | 'rate_limited'
  | 'overloaded'
  | 'server_error'
  | 'connection_failed'
  | 'timeout'
  | 'broken_body'
  | 'client_gone'
  | 'deadline'
  | 'superseded'
  | 'diverged'
  | 'shutdown';

export type OutcomeKind = 'ok' | FailureKind;

/** The error that an upstream wrote, in OpenAI's fields and cleaned of our keys. `raw` is its whole body if that already had OpenAI's shape. */
export interface UpstreamError {
  message: string;
  type: string | null;
  param: string | null;
  code: string | null;
  raw: string | null;
}

/** How a try failed. */
export interface Failure {
  kind: FailureKind;
  /** The HTTP status that the upstream answered with (or named in an error it sent with status 200); null if it gave none that means anything. */
  status: number | null;
  /** For people: what went wrong, cleaned of keys. */
  message: string;
  /** How long the upstream asked us to wait, in milliseconds; null if it did not say. */
  retryAfterMs: number | null;
  /** What the upstream wrote, if it wrote an error. */
  error: UpstreamError | null;
}

/** In words: "rate limited (HTTP 429)". */
export function describeFailure({ kind, status }: Pick<Failure, 'kind' | 'status'>): string {
  return `${kind.replaceAll('_', ' ')}${status === null ? '' : ` (HTTP ${status})`}`;
}

/** One try, as the log line has it. `outcome` and `ms` of a stream are final when the stream is over. */
export interface TryRecord {
  /** `provider/model`. */
  target: string;
  outcome: OutcomeKind;
  status: number | null;
  /** On the clock's monotonic time: tries of one request may overlap. Not in the log line. */
  startedAt: number;
  ms: number;
}

/** What follows from a failure: one row of the table "Outcomes" in the README. */
export interface OutcomeRule {
  /** Ask the same target again? `other_key`: only with another key of its pool. */
  again: 'no' | 'yes' | 'other_key';
  /** Go on to the next target? */
  next: boolean;
  /** Does the breaker count it against the upstream? `deadline` is decided by how long the try had run. */
  breaker: 'failure' | 'nothing';
  /** The key (or the upstream) is left alone for a while. */
  cooldown: 'none' | 'key' | 'upstream';
}

const NOTHING = { again: 'no', next: false, breaker: 'nothing', cooldown: 'none' } as const;
const TRANSIENT = { again: 'yes', next: true, breaker: 'failure', cooldown: 'none' } as const;
const ACCOUNT = { again: 'other_key', next: true, breaker: 'nothing', cooldown: 'key' } as const;

/** The table of outcomes. Everything that decides what follows from a failure reads it here. */
export const OUTCOME_RULES: Readonly<Record<FailureKind, OutcomeRule>> = {
  invalid_request: NOTHING,
  context_too_long: { ...NOTHING, next: true },
  content_filtered: NOTHING,
  target_misconfigured: { ...NOTHING, next: true },
  credentials_refused: ACCOUNT,
  out_of_credit: ACCOUNT,
  rate_limited: { again: 'yes', next: true, breaker: 'nothing', cooldown: 'upstream' },
  overloaded: TRANSIENT,
  server_error: TRANSIENT,
  connection_failed: TRANSIENT,
  timeout: { ...TRANSIENT, again: 'no' },
  broken_body: TRANSIENT,
  client_gone: NOTHING,
  deadline: NOTHING,
  // Another try of the same request gave content first.
  superseded: NOTHING,
  // What it wrote does not go on from what the client has of the answer already.
  diverged: { ...NOTHING, next: true },
  shutdown: NOTHING,
};

/** It was ended from our side, whatever the upstream did: that says nothing of it. */
export function isOurEnd({ kind }: { kind: FailureKind }): boolean {
  return kind === 'client_gone' || kind === 'shutdown' || kind === 'superseded';
}

/** The request itself was at fault. That says nothing of the upstream, and its words may quote the prompt. */
export function isClientsFault({ kind }: { kind: FailureKind }): boolean {
  return kind === 'invalid_request' || kind === 'context_too_long' || kind === 'content_filtered';
}
