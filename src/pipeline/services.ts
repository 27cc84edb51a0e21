import type { Book } from '../accounting/book.ts';
import type { Keyring } from '../auth/keyring.ts';
import type { ReasoningMemory } from '../chat/reasoning-memory.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Chance, Clock } from '../core/clock.ts';
import type { Redact } from '../core/redact.ts';
import type { MediaFetcher } from '../media/media.ts';
import type { Claims } from '../replay/claims.ts';
import type { StreamLogs } from '../replay/stream-log.ts';
import type { Hedges } from '../routing/hedge.ts';
import type { CallEvents } from '../upstream/call.ts';
import type { CacheServices } from './cached.ts';
import type { DetachedWork } from './detached-work.ts';
import type { SpendingServices } from './spending.ts';

/** What a request needs besides the configuration. */
export interface Services {
  clock: Clock;
  chance: Chance;
  redact: Redact;
  book: Book;
  events: CallEvents;
  memory: ReasoningMemory;
  media: MediaFetcher;
  hedges: Hedges;
  /** A second target was asked beside a silent one; it answered first. `model`: its name in metrics. */
  hedged(model: string, what: 'started' | 'won'): void;
  /** What is kept of answers, to be given again. */
  replay: { claims: Claims; cache: CacheServices; streams: StreamLogs };
  detached: DetachedWork;
  /** Cancelled when the process takes no more requests; those under way may end. */
  draining: Cancellation;
  /** Of the configuration that is at work now, whichever a request began with. */
  keyring(): Keyring;
  spending: SpendingServices;
  /** A new id, never used before: for tries, and for clients that bring none. */
  newId(): string;
}
