import type { ClientRequest } from '../dialects/dialect.ts';
import type { Target } from '../upstream/registry.ts';

/** A question about tokens that was answered here. */
export interface Estimated {
  kind: 'estimated';
  target: Target;
}

/** Only the maker of the dialect counts tokens in it; for other targets they are estimated, as they are for quotas. */
export function isToEstimate({ dialect }: Pick<ClientRequest, 'dialect'>, { adapter }: Target): boolean {
  return dialect === 'count_tokens' && !adapter.speaks.has('count_tokens');
}
