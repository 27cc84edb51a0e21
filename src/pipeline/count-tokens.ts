import type { ClientRequest } from '../dialects/dialect.ts';
import type { Target } from '../upstream/registry.ts';
import type { Visit } from '../upstream/visit.ts';

/** A question about tokens that was answered here. */
export interface Estimated {
  kind: 'estimated';
  target: Target;
}

/** Only the maker of the dialect counts tokens in it; for other targets they are estimated, as they are for quotas. */
export function isToEstimate({ dialect }: Pick<ClientRequest, 'dialect'>, { adapter }: Target): boolean {
  return dialect === 'count_tokens' && !adapter.speaks.has('count_tokens');
}

/** Not every host that is like Anthropic's counts. */
export function isToEstimateNow({ dialect }: Pick<ClientRequest, 'dialect'>, end: Visit): boolean {
  const status = end.kind === 'failed' ? end.failure.status : null;
  return dialect === 'count_tokens' && (status === 404 || status === 405);
}
