import type { Dispatcher } from 'undici';
import type { Presenter } from '../chat/presenter.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Clock } from '../core/clock.ts';
import { type Failure, isOurEnd, type TryRecord } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import type { Credentials } from '../credentials/credentials.ts';
import type { AnswerReader } from '../providers/adapter.ts';
import type { WireHeaders } from '../providers/retry-after.ts';
import type { Permit } from '../resilience/breaker.ts';
import type { TimeoutSettings } from '../resilience/settings.ts';
import type { Answer } from './answer.ts';
import { LazyFacts } from './answer-facts.ts';
import { attempt } from './attempt.ts';
import type { AttemptEnd, AttemptRequest, Authorized } from './attempt-request.ts';
import { authorize, inTime } from './authorize.ts';
import type { CallContext } from './call.ts';
import { type Entered, type Took, tokensOf } from './entry.ts';
import type { Call } from './prepare-call.ts';
import type { Lane, Target } from './registry.ts';
import type { BegunStream, StreamWishes } from './stream-roles.ts';
import { plainFailure } from './transport-failure.ts';
import { headersOf, type Sending, wishesOf } from './try-request.ts';
import { countsAgainst, type Upstream } from './upstream.ts';
import { Watch } from './watch.ts';
import { PLAIN_ANSWER, type PlainAnswer } from './whole-answer.ts';
import { tellWhole } from './whole-stream.ts';

/** What one try is made of. */
export interface TryOptions {
  target: Target;
  context: CallContext;
  call: Call;
  lane: Lane;
  permit: Permit;
  /** What it holds of its provider's limits and of the sockets. */
  entered: Entered;
  /** What chunks are put into words by; null where the answer is relayed. */
  presenter: Presenter | null;
  /** When the whole request is over, on the clock's time. */
  deadline: number;
  /** Now, on the clock's time. */
  startedAt: number;
}

const NOTHING: readonly never[] = [];

/** One try of a visit: what is sent, and what all that want to know of it are told. Made when it begins. */
export class OneTry implements Sending, AttemptRequest {
  readonly target: Target;
  readonly context: CallContext;
  call: Call;
  readonly presenter: Presenter | null;
  headers: readonly string[];
  readonly deadline: number;
  readonly path: string;
  readonly reader: AnswerReader;
  readonly streaming: StreamWishes | null;
  readonly lane: Lane;
  readonly #upstream: Upstream;
  readonly #permit: Permit;
  readonly #entered: Entered;
  readonly #record: TryRecord;
  readonly #watch: Watch;
  #took: Took | null = null;
  #holdsSocket = true;

  constructor(options: TryOptions) {
    const { target, context, call, lane, startedAt } = options;
    const { request, clock, tries, requestId, newId, memory } = context;
    const tryId = `${requestId}-${tries.length + 1}`;
    const { settings } = target;
    this.target = target;
    this.context = context;
    this.call = call;
    this.presenter = options.presenter;
    this.deadline = options.deadline;
    this.lane = lane;
    this.#upstream = lane.upstream;
    this.#permit = options.permit;
    this.#entered = options.entered;
    this.headers = headersOf(lane, call, context, tryId);
    this.path = `${target.basePath}${call.prepared.path}`;
    this.reader = call.prepared.answer(new LazyFacts(settings.model, clock, newId, memory.remember));
    this.streaming = request.streaming && call.whole !== true ? wishesOf(this) : null;
    this.#record = { target: settings.id, outcome: 'ok', status: null, ms: 0, startedAt };
    tries.push(this.#record);
    lane.upstream.inFlight++;
    this.#watch = new Watch(lane.upstream, request.streaming, startedAt);
  }

  get dispatcher(): Dispatcher {
    return this.#entered.socket.dispatcher;
  }

  get origin(): string {
    return this.target.origin;
  }

  get body(): readonly Buffer[] {
    return this.call.prepared.body;
  }

  get timeouts(): TimeoutSettings {
    return this.target.settings.timeouts;
  }

  get clock(): Clock {
    return this.context.clock;
  }

  get cancellation(): Cancellation {
    return this.context.cancellation;
  }

  get redact(): Redact {
    return this.context.redact;
  }

  /** Sends it, with what authorizes it. Rejects for a mistake, and none of the upstream's: then see `abandon`. */
  send(): Promise<AttemptEnd> {
    const { credentials } = this.lane;
    const { startedAt } = this.#record;
    const end = credentials === null ? attempt(this, this, startedAt) : this.#sendAuthorized(credentials);
    return this.context.request.streaming ? end.then((ended) => this.#asAsked(ended)) : end;
  }

  /** It could not be sent, or told: what it holds is given back all the same. */
  abandon(): void {
    if (this.#holdsSocket) this.socketFree();
    const failure = plainFailure('connection_failed', 'a mistake ended the call');
    this.#over(failure, true, this.clock.now());
  }

  /** Takes note of how it ended, or of its answer's beginning. */
  ended(end: AttemptEnd): Answer | Failure {
    const { target, context, call } = this;
    const { relayed, prepared } = call;
    switch (end.kind) {
      case 'plain': {
        this.#record.status = 200;
        this.#took = { usage: end.answer.usage, passed: end.answer.output };
        const now = context.clock.now();
        this.#watch.answered(now);
        this.#over(null, false, now);
        return { kind: 'plain', target, relayed, dropped: prepared.dropped, answer: end.answer };
      }
      case 'stream': {
        // One that is told of a whole answer has not said so yet.
        if (this.#took === null) this.streamBegun(end.stream);
        // It will not be sent again, and the stream may last.
        this.call = { ...call, prepared: { ...prepared, body: NOTHING } };
        this.headers = NOTHING;
        const { presenter } = this;
        return {
          kind: 'stream',
          target,
          relayed,
          dropped: prepared.dropped,
          stream: end.stream,
          presenter,
        };
      }
      case 'failed':
        this.#record.status = end.failure.status;
        this.#over(end.failure, end.heldUp, context.clock.now());
        return end.failure;
    }
  }

  said(headers: WireHeaders): void {
    if (this.target.readsHeadroom) this.#upstream.headroom.read(headers);
  }

  socketFree(): void {
    this.#holdsSocket = false;
    this.#entered.socket.giveBack();
  }

  dropped(): void {
    this.context.events.dropped(this.#upstream);
  }

  streamBegun(stream: BegunStream): void {
    const { clock, events } = this.context;
    const { how } = this.call;
    this.#record.status = 200;
    this.#permit.alive();
    this.#took = stream;
    const now = clock.now();
    this.#watch.answered(now);
    events.firstToken(this.#upstream, now - this.#record.startedAt);
    if (how !== null) events.continued(this.#upstream, how);
  }

  streamOver(failure: Failure | null, heldUp: boolean): void {
    if (failure !== null && failure.kind !== 'client_gone' && failure.kind !== 'superseded')
      this.context.events.interrupted(this.#upstream);
    this.#over(failure, heldUp, this.context.clock.now());
  }

  reauthorize(body: readonly Buffer[]): Promise<Authorized | { failure: Failure }> | null {
    const { credentials } = this.lane;
    return credentials === null ? null : this.#authorize(credentials, body);
  }

  #authorize(credentials: Credentials, body: readonly Buffer[]): Promise<Authorized | { failure: Failure }> {
    const { origin, path, headers, redact } = this;
    return inTime(authorize(credentials, { origin, path, headers, body }, redact), this);
  }

  async #sendAuthorized(credentials: Credentials): Promise<AttemptEnd> {
    const { body } = this;
    const authorized = await this.#authorize(credentials, body);
    if (!('failure' in authorized))
      return attempt(this, { body, ...authorized }, this.#record.startedAt, this.clock.now());
    this.socketFree();
    return { kind: 'failed', failure: authorized.failure, heldUp: false };
  }

  /** To a client that wants a stream, a whole answer is told as one: it was asked for so, or the host has no streams. */
  #asAsked(ended: AttemptEnd): AttemptEnd {
    return ended.kind === 'plain' ? this.#told(ended.answer) : ended;
  }

  #told(answer: PlainAnswer): AttemptEnd {
    const { call, context, deadline } = this;
    // In other words than those of chat it cannot be told, nor where the client has the beginning of another one.
    if ((call.relayed && context.request.dialect !== 'chat') || context.continuing !== null) {
      return { kind: 'failed', failure: plainFailure('broken_body', PLAIN_ANSWER), heldUp: false };
    }
    const { clock, cancellation } = context;
    const over = (failure: Failure | null) => this.#over(failure, false, clock.now());
    return tellWhole(answer, { wishes: wishesOf(this), clock, cancellation, deadline, over });
  }

  /** `heldUp`: it ran out of time through no fault of the upstream's. */
  #over(failure: Failure | null, heldUp: boolean, now: number): void {
    const upstream = this.#upstream;
    const record = this.#record;
    upstream.inFlight--;
    record.ms = now - this.#record.startedAt;
    if (failure === null) {
      this.#permit.success(now);
      upstream.succeeded();
    } else {
      record.outcome = failure.kind;
      const counts = !heldUp && countsAgainst(failure.kind, record.ms, this.timeouts.firstToken);
      if (counts) this.#permit.failure(now);
      else this.#permit.release();
      if (!heldUp && !isOurEnd(failure)) upstream.failed(failure, this.#record.startedAt);
      this.#watch.failed(failure, counts, now);
    }
    this.#entered.place?.leave(this.#took === null ? null : tokensOf(this.#took, this.context));
    this.context.events.tried(upstream, record.outcome, failure);
  }
}
