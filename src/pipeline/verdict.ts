import { ApiError, type ErrorCode, LONGEST_CLIENT_WAIT, shuttingDown } from '../core/errors.ts';
import { describeFailure, type Failure, isClientsFault, OUTCOME_RULES } from '../core/outcome.ts';
import type { Visit } from '../upstream/visit.ts';

/** One call to a target that did not answer, in the order of the calls. */
export interface Unanswered {
  /** `provider/model`. */
  target: string;
  end: Exclude<Visit, { kind: 'answered' }> | NotAsked;
}

/**
 * Why a target was not asked. `unpriced`: nobody knows what it would cost, and the tenant has a quota in dollars. `too_small`: it is known to hold no more than
 * one that the request was too long for.
 */
export type NotAsked = { kind: 'unpriced' } | { kind: 'too_small' };

/** What the client is told when no target answered. */
export type NoAnswer =
  /** The upstream's own error, passed on. */
  | { kind: 'relayed'; target: string; failure: Failure }
  | { kind: 'own'; error: ApiError }
  /** The client left first: nobody to tell. */
  | { kind: 'client_gone' };

/** Weighs all the calls of a request that nothing answered. The order of the rules is the contract's. `prompt`: what the client calls it. */
export function judge(model: string, calls: readonly Unanswered[], prompt: string): NoAnswer {
  const failures = calls.flatMap(({ target, end }) =>
    end.kind === 'failed' ? [{ target, failure: end.failure }] : [],
  );
  const kinds = failures.map(({ failure }) => failure.kind);
  if (kinds.includes('client_gone')) return { kind: 'client_gone' };
  if (calls.length === 0) {
    const why = `No condition of the model '${model}' matches this request, and it has no default.`;
    return own('invalid_value', why);
  }
  if (calls.every(({ end }) => end.kind === 'unpriced')) {
    const why = `No target of '${model}' has a price, so its cost cannot be held to your quota in US dollars. The operator can add a price, or a quota of tokens beside it.`;
    return own('model_not_priced', why);
  }
  const unsupported = calls.flatMap(({ end }) => (end.kind === 'unsupported' ? [end] : []));
  const [first] = unsupported;
  if (
    first !== undefined &&
    calls.every(({ end }) => end.kind === 'unsupported' || end.kind === 'unpriced')
  ) {
    const why = `No target of '${model}' can take this request. ${first.message}`;
    return own('unsupported_parameter', why, { param: first.param });
  }
  if (kinds.includes('shutdown')) return { kind: 'own', error: shuttingDown() };
  const fault = failures.find(({ failure }) => isClientsFault(failure));
  if (fault !== undefined) return clientsFault(fault, prompt);

  const story = tellStory(calls);
  const last = kinds.at(-1);
  if (kinds.length > 0 && kinds.every((kind) => kind === 'rate_limited')) {
    const wait = shortestWait(calls);
    return own('upstream_rate_limited', `The targets of '${model}' are rate limited. ${story}`, {
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
      // A request that is larger than the limits of every provider has nothing to wait for.
      ...(wait === Infinity ? {} : { retryAfterMs: wait }),
      shouldRetry: wait > LONGEST_CLIENT_WAIT ? false : null,
    });
  }
  return own(codeOf502(kinds), `No target of '${model}' gave an answer. ${story}`, { shouldRetry: false });
}

function own(
  code: ErrorCode,
  message: string,
  details: { retryAfterMs?: number; shouldRetry?: boolean | null; param?: string } = {},
): NoAnswer {
  return { kind: 'own', error: new ApiError(code, message, details) };
}

/** Too long is said in one way, whoever said it; the rest in the upstream's own words. */
function clientsFault({ target, failure }: { target: string; failure: Failure }, prompt: string): NoAnswer {
  if (failure.kind === 'context_too_long') {
    return own('context_length_exceeded', failure.message, { param: prompt });
  }
  return { kind: 'relayed', target, failure };
}

/** All for the same reason that is ours to mend: say which. */
function codeOf502(kinds: readonly Failure['kind'][]): ErrorCode {
  if (kinds.every((kind) => kind === 'credentials_refused')) return 'upstream_auth_error';
  if (kinds.every((kind) => kind === 'out_of_credit')) return 'upstream_out_of_credit';
  return 'upstream_error';
}

/** No client is called back sooner. Milliseconds. */
const SHORTEST_WAIT = 1000;

/** Milliseconds until the first of the targets may be asked again, by what is last known of each. */
function shortestWait(calls: readonly Unanswered[]): number {
  const known = new Map(calls.map(({ target, end }) => [target, end]));
  const waits = [...known.values()].flatMap((end) => {
    if (end.kind === 'unpriced' || end.kind === 'too_small' || end.kind === 'unsupported') return [];
    if (end.kind === 'failed') return [end.readyInMs];
    return [Math.min(end.coolsInMs ?? Infinity, end.opensInMs ?? Infinity, end.againInMs ?? Infinity)];
  });
  return Math.max(SHORTEST_WAIT, Math.min(...waits));
}

/**
 * "Tried: openai/gpt-6-sol: 3 tries, overloaded (HTTP 503); deepseek/deepseek-flash: skipped, its circuit breaker is open." Each
 * target once: one may be called a second time when its cooldown is over.
 */
function tellStory(calls: readonly Unanswered[]): string {
  const told = new Map<string, { tries: number; how: string }>();
  for (const { target, end } of calls) {
    const before = told.get(target);
    if (end.kind === 'failed') {
      told.set(target, { tries: (before?.tries ?? 0) + end.tries, how: describeFailure(end.failure) });
    } else if (before === undefined) {
      told.set(target, { tries: 0, how: `skipped, ${whySkipped(end)}` });
    }
  }
  const parts = [...told].map(([target, { tries, how }]) => {
    if (tries === 0) return `${target}: ${how}`;
    return `${target}: ${tries === 1 ? '1 try' : `${tries} tries`}, ${how}`;
  });
  return `Tried: ${parts.join('; ')}.`;
}

function whySkipped(end: Exclude<Unanswered['end'], { kind: 'failed' }>): string {
  switch (end.kind) {
    case 'unpriced':
      return 'it has no price, and you have a quota in US dollars';
    case 'too_small':
      return 'it holds no longer prompts than one that this was too long for';
    case 'unsupported':
      return `it cannot take the request: ${end.message.replace(/\.$/, '')}`;
    case 'skipped':
      if (end.full !== undefined) return end.full;
      return end.why === null ? 'its circuit breaker is open' : `its keys are cooling down after: ${end.why}`;
  }
}

/** Is it our own fault that this target fails, so that someone must look at the configuration? */
export function concernsOperator({ kind }: Failure): boolean {
  return kind === 'target_misconfigured' || OUTCOME_RULES[kind].cooldown === 'key';
}
