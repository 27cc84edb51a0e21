/** Three headers that tell how one quota stands, as OpenAI's SDKs know them. */
export interface Trio {
  kind: 'requests' | 'tokens';
  limit: string;
  remaining: string;
  reset: string;
}

export const TRIOS: readonly Trio[] = (['requests', 'tokens'] as const).map((kind) => ({
  kind,
  limit: `x-ratelimit-limit-${kind}`,
  remaining: `x-ratelimit-remaining-${kind}`,
  reset: `x-ratelimit-reset-${kind}`,
}));
