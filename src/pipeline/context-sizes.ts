import type { Failure } from '../core/outcome.ts';
import type { Target } from '../upstream/registry.ts';

/** What a request has turned out to be too long for: what is known to hold no more is not asked. */
export class ContextSizes {
  /** Tokens: the largest known context that it did not fit in. */
  #tooSmall = 0;

  failed({ capabilities }: Target, { kind }: Failure): void {
    if (kind === 'context_too_long') this.#tooSmall = Math.max(this.#tooSmall, capabilities.context ?? 0);
  }

  /** Null: the target may hold it. */
  inTheWay({ capabilities }: Target): 'too_small' | null {
    return capabilities.context !== null && capabilities.context <= this.#tooSmall ? 'too_small' : null;
  }
}
