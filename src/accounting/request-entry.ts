import type { Principal } from '../auth/keyring.ts';
import type { OutcomeKind, TryRecord } from '../core/outcome.ts';
import type { Spent } from '../core/usage.ts';

/** All that is known of one request when it is over. */
export interface RequestEntry {
  /** What the client sees as `x-request-id`: letters, digits, `.`, `_` and `-`. */
  id: string;
  principal: Principal | null;
  /** The name that was asked for; null where none could be read. */
  model: string | null;
  /** The same for metrics: a name of the configuration, or one word for all others. */
  modelLabel: string;
  /** `provider/model` that answered. */
  target: string | null;
  /** What the client was answered with; 499 if it had left before. */
  status: number;
  outcome: OutcomeKind | 'refused' | 'unanswered';
  stream: boolean;
  tries: readonly TryRecord[];
  firstTokenMs: number | null;
  /** Milliseconds with upstreams, between tries, and for the client's body. */
  waitedMs: number;
  startedAt: number;
  /** What the answer took; null if there was none. */
  spent: Spent | null;
  /** How it was answered by a node that keeps answers; left out: it came by none. */
  cache?: 'hit' | 'miss' | 'shared';
  /** It was given the answer that an earlier request with its `Idempotency-Key` had. */
  replayed?: true;
  /** Of a request that was refused: the code of the error, and the quota that was in the way. */
  error?: string;
  quota?: string;
  prompt?: string;
  answer?: string;
  /** It has no line of its own in the log: one for many tells how many there were. */
  isAddedUp?: true;
}
