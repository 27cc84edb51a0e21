import { ApiError, type ErrorCode } from '../core/errors.ts';
import { type Failure, OUTCOME_RULES } from '../core/outcome.ts';
import type { Visit } from '../upstream/visit.ts';

/** One call to a target that did not answer, in the order of the calls. */
export interface Unanswered {
  /** `provider/model`. */
  target: string;
  end: Exclude<Visit, { kind: 'answered' }>;
}

/** What the client is told when no target answered. */
export type Verdict =
  /** The upstream's own error, passed on. */
  | { kind: 'relayed'; target: string; failure: Failure }
  | { kind: 'own'; error: ApiError }
  /** The client left first: nobody to tell. */
  | { kind: 'client_gone' };

/** Longer waits are not worth a client's patience: it is told not to try again by itself. Milliseconds. */
export const LONGEST_CLIENT_WAIT = 60_000;

/** Weighs all the calls of a request that nothing answered. The order of the rules is the contract's. */
export function judge(model: string, calls: readonly Unanswered[]): Verdict {
  const failures = calls.flatMap(({ target, end }) =>
    end.kind === 'failed' ? [{ target, failure: end.failure }] : [],
  );
  const kinds = failures.map(({ failure }) => failure.kind);
  if (kinds.includes('client_gone')) return { kind: 'client_gone' };
  if (calls.length === 0) {
    const why = `No condition of the model '${model}' matches this request, and it has no default.`;
    return own('invalid_value', why, { shouldRetry: false });
  }
  if (kinds.includes('shutdown')) {
    return own('server_shutting_down', 'This gateway is shutting down; try again.', { retryAfterMs: 1000 });
  }
  const fault = failures.find(({ failure }) => isClientsFault(failure));
  if (fault !== undefined) return clientsFault(fault);

  const story = tellStory(calls);
  const last = kinds.at(-1);
  if (kinds.length > 0 && kinds.every((kind) => kind === 'rate_limited')) {
    const wait = shortestWait(calls);
    return own('upstream_rate_limited', `Every target of '${model}' is rate limited. ${story}`, {
      retryAfterMs: wait,
      shouldRetry: wait > LONGEST_CLIENT_WAIT ? false : null,
    });
  }
  if (last === 'timeout' || last === 'deadline') {
    return own('upstream_timeout', `No target of '${model}' answered in time. ${story}`, {
      shouldRetry: false,
    });
  }
  if (kinds.every((kind) => kind === 'overloaded')) {
    const wait = shortestWait(calls);
    return own('no_healthy_upstream', `No target of '${model}' can take the request now. ${story}`, {
      retryAfterMs: wait,
      shouldRetry: wait > LONGEST_CLIENT_WAIT ? false : null,
    });
  }
  return own(codeOf502(kinds), `No target of '${model}' gave an answer. ${story}`, { shouldRetry: false });
}

function own(
  code: ErrorCode,
  message: string,
  details: { retryAfterMs?: number; shouldRetry?: boolean | null },
): Verdict {
  return { kind: 'own', error: new ApiError(code, message, details) };
}

function isClientsFault({ kind }: Failure): boolean {
  return kind === 'invalid_request' || kind === 'context_too_long' || kind === 'content_filtered';
}

/** Too long is said in one way, whoever said it; the rest in the upstream's own words. */
function clientsFault({ target, failure }: { target: string; failure: Failure }): Verdict {
  if (failure.kind === 'context_too_long') {
    const error = new ApiError('context_length_exceeded', failure.message, {
      param: 'messages',
      shouldRetry: false,
    });
    return { kind: 'own', error };
  }
  return { kind: 'relayed', target, failure };
}

/** All for the same reason that is ours to mend: say which. */
function codeOf502(kinds: readonly Failure['kind'][]): ErrorCode {
  if (kinds.every((kind) => kind === 'credentials_refused')) return 'upstream_auth_error';
  if (kinds.every((kind) => kind === 'out_of_credit')) return 'upstream_out_of_credit';
  return 'upstream_error';
}

/** Milliseconds until the first of the targets may be asked again; a second where none said. */
function shortestWait(calls: readonly Unanswered[]): number {
  const waits = calls.flatMap(({ end }) => {
    const wait = end.kind === 'failed' ? end.failure.retryAfterMs : (end.coolsInMs ?? end.opensInMs);
    return wait === null ? [] : [wait];
  });
  return waits.length === 0 ? 1000 : Math.max(1000, Math.min(...waits));
}

/** "Tried openai/gpt-6-sol: 3 tries, last overloaded (HTTP 503); skipped deepseek/deepseek-flash: breaker open." */
function tellStory(calls: readonly Unanswered[]): string {
  const parts = calls.map(({ target, end }) => {
    if (end.kind === 'skipped') {
      return `${target}: skipped, ${end.coolsInMs === null ? 'its circuit breaker is open' : 'its keys are cooling down'}`;
    }
    const tries = end.tries === 1 ? '1 try' : `${end.tries} tries`;
    const status = end.failure.status === null ? '' : ` (HTTP ${end.failure.status})`;
    return `${target}: ${tries}, ${end.failure.kind.replaceAll('_', ' ')}${status}`;
  });
  return `Tried: ${parts.join('; ')}.`;
}

/** Is it our own fault that this target fails, so that someone must look at the configuration? */
export function concernsOperator({ kind }: Failure): boolean {
  return kind === 'target_misconfigured' || OUTCOME_RULES[kind].cooldown === 'key';
}
