import { Book } from '../accounting/book.ts';
import type { Log } from '../accounting/log.ts';
import type { Metrics } from '../accounting/metrics.ts';
import { ReasoningMemory } from '../chat/reasoning-memory.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Chance, Clock } from '../core/clock.ts';
import { MediaFetcher, type MediaOptions } from '../media/media.ts';
import type { DetachedWork } from '../pipeline/detached-work.ts';
import { Estimator } from '../pipeline/estimate.ts';
import type { Services } from '../pipeline/services.ts';
import { labelOf } from '../quota/limits.ts';
import { Hedges } from '../routing/hedge.ts';
import { callEvents } from './call-events.ts';
import type { Current } from './current.ts';
import type { SharedState } from './shared-state.ts';

/** What is there already. */
export interface ServiceParts {
  clock: Clock;
  chance: Chance;
  log: Log;
  metrics: Metrics;
  state: SharedState;
  media: MediaOptions | undefined;
  detached: DetachedWork;
  draining: Cancellation;
  newId(): string;
  current: Current;
}

/** What every request needs besides its configuration. */
export function requestServices(parts: ServiceParts): Services {
  const { clock, chance, log, metrics, state, newId, detached, draining, current } = parts;
  return {
    clock,
    chance,
    redact: (text) => current.redact(text),
    book: new Book(metrics, clock, log),
    events: callEvents(metrics, log, () => current.config.log.requestBodies),
    keyring: () => current.live.keyring,
    newId,
    memory: new ReasoningMemory(clock),
    media: new MediaFetcher(parts.media),
    hedges: new Hedges(),
    replay: state.replay,
    detached,
    draining,
    hedged: (model, result) => {
      metrics.hedges.with({ model, result }).value++;
    },
    spending: {
      store: state.store,
      estimator: new Estimator(),
      wall: () => clock.wall(),
      refused: (tenant, limit) => {
        metrics.quotaRefusals.with({ tenant, quota: labelOf(limit) }).value++;
      },
    },
  };
}
