import type { Recall, Remember } from '../chat/extensions.ts';
import type { Presenter } from '../chat/presenter.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Chance, Clock } from '../core/clock.ts';
import type { JsonBody } from '../core/json-body.ts';
import type { Failure, OutcomeKind, TryRecord } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import type { Wait } from '../core/waiting.ts';
import type { MediaFetcher } from '../media/media.ts';
import type { Dialect } from '../providers/adapter.ts';
import type { TargetSettings } from '../routing/target.ts';
import type { Continuing } from './continuing/continuing.ts';
import type { ContinueHow } from './continuing/contribution.ts';
import type { Price } from './stream-roles.ts';
import type { Upstream } from './upstream.ts';

/** What a client asks for, as far as targets must know. */
export interface CallRequest {
  dialect: Dialect;
  body: JsonBody;
  streaming: boolean;
  /** The client asked for the usage chunk. */
  wantsUsage: boolean;
  /** Headers of the client's that belong to the dialect, for targets that speak it: name, value … Left out: there are none. */
  readonly headers?: readonly string[];
  /** The same as a chat, for targets that do not speak the dialect. Throws `Unsupported`. */
  chat(): JsonBody;
  /** What the chat lacks of it, by the client's names; left out: nothing. */
  readonly dropped?: readonly string[];
  /** Its answer stays with the host that gives it, or has what a chat has not: to be asked as one where the host speaks the dialect would lose that. */
  readonly isTied?: boolean;
  /** The client's name of a chat's parameter; null: the client sent nothing of the kind. Left out: it is the same. */
  name?(param: string): string | null;
}

/** What the tries of one request have in common. */
export interface CallContext {
  request: CallRequest;
  /** Headers of the client's that go on: name, value … */
  passedHeaders: readonly string[];
  /** Unique to the request; each try's own id is made from it. */
  requestId: string;
  /** When the request had come whole, on the clock's monotonic time. */
  startedAt: number;
  cancellation: Cancellation;
  /** Every try of the request, in order. */
  tries: TryRecord[];
  /** Whose request it is, by the tenant's id. */
  tenant: string;
  /** Waits besides the tries so far: between them, and for what had to be fetched. */
  slept: Wait[];
  clock: Clock;
  chance: Chance;
  redact: Redact;
  events: CallEvents;
  /** What a stream of that target says of its cost; without it, or where it gives null, nothing. */
  priceOf?: (target: TargetSettings) => Price | null;
  /** The most tokens that a try may come to, by estimate. */
  mayTake(): { input: number; output: number };
  /** Puts the chunks of a target that does not speak the client's dialect into its words. A new one for each stream. */
  presenter(): Presenter;
  memory: { remember: Remember; recall: Recall };
  media: MediaFetcher;
  /** A new id, never used before. */
  newId(): string;
  /** The answer that broke and is to be gone on with; null: none has begun. */
  continuing: Continuing | null;
}

/** What others want to know of the tries. */
export interface CallEvents {
  /** A try is over; of a stream, when its last byte is through. */
  tried(upstream: Upstream, outcome: OutcomeKind, failure: Failure | null): void;
  /** The first content of a stream came this long after the try began. */
  firstToken(upstream: Upstream, ms: number): void;
  retryDenied(upstream: Upstream): void;
  /** No try was made: its provider was at a limit, or it would have been too soon for its pace. */
  limited(upstream: Upstream): void;
  /** A stream that the client had begun to receive broke. */
  interrupted(upstream: Upstream): void;
  /** It goes on with a stream that broke. */
  continued(upstream: Upstream, how: ContinueHow): void;
  /** An event of a stream was dropped because it made no sense. */
  dropped(upstream: Upstream): void;
}
