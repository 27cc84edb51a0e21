import type { Cancellation } from '../core/cancellation.ts';
import { sleep } from '../core/cancellation.ts';
import type { Chance, Clock } from '../core/clock.ts';
import type { JsonObject } from '../core/json.ts';
import type { JsonBody } from '../core/json-body.ts';
import { type Failure, OUTCOME_RULES, type OutcomeKind, type TryRecord } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import { chatChanges } from '../providers/openai/request.ts';
import { backoffDelay } from '../resilience/backoff.ts';
import type { Permit } from '../resilience/breaker.ts';
import type { TargetSettings } from '../routing/target.ts';
import { attempt } from './attempt.ts';
import type { ChatStream, Price } from './chat-stream.ts';
import type { Lane, Target } from './registry.ts';
import { plainFailure } from './transport-failure.ts';
import { countsAgainst, type Upstream } from './upstream.ts';

/** What the tries of one request have in common. */
export interface CallContext {
  body: JsonBody;
  streaming: boolean;
  /** The client asked for the usage chunk. */
  wantsUsage: boolean;
  /** Headers of the client's that go on: name, value … */
  passedHeaders: readonly string[];
  /** Unique to the request; each try's own id is made from it. */
  requestId: string;
  /** When the request had come whole, on the clock's monotonic time. */
  startedAt: number;
  cancellation: Cancellation;
  /** Every try of the request, in order. */
  tries: TryRecord[];
  /** Milliseconds slept between tries so far. */
  sleptMs: number;
  clock: Clock;
  chance: Chance;
  redact: Redact;
  events: CallEvents;
  /** What a stream of that target says of its cost; without it, or where it gives null, nothing. */
  priceOf?: (target: TargetSettings) => Price | null;
}

/** What others want to know of the tries. */
export interface CallEvents {
  /** A try is over; of a stream, when its last byte is through. */
  tried(upstream: Upstream, outcome: OutcomeKind, failure: Failure | null): void;
  /** The first content of a stream came this long after the try began. */
  firstToken(upstream: Upstream, ms: number): void;
  retryDenied(upstream: Upstream): void;
  /** A stream that the client had begun to receive broke. */
  interrupted(upstream: Upstream): void;
  /** An event of a stream was dropped because it made no sense. */
  dropped(upstream: Upstream): void;
}

export type Answer =
  | { kind: 'plain'; target: Target; body: Buffer; value: JsonObject }
  | { kind: 'stream'; target: Target; stream: ChatStream };

export type Visit =
  | { kind: 'answered'; answer: Answer }
  /** `readyInMs`: when the target may be asked again, by its keys' cooldowns, its breakers and its own word. */
  | { kind: 'failed'; failure: Failure; tries: number; readyInMs: number }
  /** No key could be used. `coolsInMs`: when one may be again, if it is only cooling down; `opensInMs`: when a breaker lets a probe through. */
  | {
      kind: 'skipped';
      coolsInMs: number | null;
      opensInMs: number | null;
      /** What the cooldown follows from, in words; null if it is a breaker that stands in the way. */
      why: string | null;
    };

/** Calls one target, and again as its retry settings, its keys, the breakers and the clock allow. */
export function visit(target: Target, context: CallContext): Promise<Visit> {
  return new Visitor(target, context).run();
}

/** Waits between tries, on the request's account. False: the request is over. */
export async function pause(context: CallContext, ms: number): Promise<boolean> {
  const from = context.clock.now();
  const passed = await sleep(context.clock, ms, context.cancellation);
  context.sleptMs += context.clock.now() - from;
  return passed;
}

/** Why a wait was broken off. */
export function cancelledFailure({ cancellation }: CallContext): Failure {
  return cancellation.reason === 'client_gone'
    ? plainFailure('client_gone', 'the client went away')
    : plainFailure('shutdown', 'the gateway is shutting down');
}

class Visitor {
  readonly #target: Target;
  readonly #context: CallContext;
  readonly #deadline: number;
  /** Keys that this visit has used, with when each may be asked again (on the clock's time; Infinity: not by this request). */
  readonly #used = new Map<Lane, number>();
  #retries = 0;
  #tries = 0;
  #lastDelay: number | null = null;
  #body: Buffer[] | null = null;

  constructor(target: Target, context: CallContext) {
    this.#target = target;
    this.#context = context;
    this.#deadline = context.startedAt + target.settings.timeouts.total;
  }

  async run(): Promise<Visit> {
    if (this.#context.clock.now() >= this.#deadline) {
      return this.#failed(plainFailure('deadline', 'the time for the whole request was over'));
    }
    let lane = this.#freshLane();
    if (lane === null) return this.#skipped();
    let last: Failure | null = null;
    for (;;) {
      const permit = lane.guard.breaker.acquire();
      if (permit === null) return last === null ? this.#skipped() : this.#failed(last);
      const end: Answer | Failure = await this.#try(lane, permit);
      if (!('message' in end)) return { kind: 'answered', answer: end };
      last = end;
      const next = await this.#next(lane, last);
      if (next === null) return this.#failed(last);
      if ('message' in next) return this.#failed(next);
      lane = next;
    }
  }

  #failed(failure: Failure): Visit {
    const lanes = this.#target.lanes.map(({ upstream }) =>
      Math.max(upstream.cooldownLeft(), upstream.opensIn()),
    );
    // A 429 is about one key, and its cooldown says it already; any other wait that was asked for is about the host.
    const asked = failure.kind === 'rate_limited' ? 0 : (failure.retryAfterMs ?? 0);
    return { kind: 'failed', failure, tries: this.#tries, readyInMs: Math.max(asked, Math.min(...lanes)) };
  }

  #skipped(): Visit {
    let coolsInMs: number | null = null;
    let opensInMs: number | null = null;
    let why: string | null = null;
    for (const { upstream } of this.#target.lanes) {
      if (!upstream.admits()) {
        opensInMs = Math.min(opensInMs ?? Infinity, upstream.opensIn());
      } else if (coolsInMs === null || upstream.cooldownLeft() < coolsInMs) {
        coolsInMs = upstream.cooldownLeft();
        why = upstream.cooldownWhy;
      }
    }
    return { kind: 'skipped', coolsInMs, opensInMs, why };
  }

  /** The next key in turn that can be used and has not been in this visit; null if there is none. */
  #freshLane(): Lane | null {
    const { lanes } = this.#target;
    for (let i = 0; i < lanes.length; i++) {
      const index = (this.#target.nextLane + i) % lanes.length;
      const lane = lanes[index] as Lane;
      if (this.#used.has(lane) || lane.upstream.cooldownLeft() > 0 || !lane.upstream.admits()) continue;
      this.#target.nextLane = (index + 1) % lanes.length;
      return lane;
    }
    return null;
  }

  /** After a failure: the key to ask next, once any wait is over; null to leave this target; a failure if that ends the request. */
  async #next(lane: Lane, failure: Failure): Promise<Lane | Failure | null> {
    const { retry } = this.#target.settings;
    const rule = OUTCOME_RULES[failure.kind];
    if (rule.cooldown !== 'none') {
      const other = this.#freshLane();
      if (other !== null) return other;
    }
    if (rule.again !== 'yes' || this.#retries >= retry.attempts) return null;
    if (failure.status !== null && !retry.onStatusCodes.includes(failure.status)) return null;
    const again = this.#laneToAskAgain(lane, failure);
    if (again === null) return null;
    const wait = this.#waitBefore(again, failure);
    if (wait === null) return null;
    if (!again.guard.budget.tryRetry()) {
      this.#context.events.retryDenied(again.upstream);
      return null;
    }
    this.#retries++;
    if (await pause(this.#context, wait)) return this.#laneToAskAgain(again, failure);
    return cancelledFailure(this.#context);
  }

  /**
   * The same key, or after a 429 the one that may be asked soonest; another one where other requests have meanwhile opened the
   * breaker, or been told to leave the key alone.
   */
  #laneToAskAgain(lane: Lane, failure: Failure): Lane | null {
    let best = lane;
    if (failure.kind === 'rate_limited') {
      for (const [other, readyAt] of this.#used) {
        if (readyAt < (this.#used.get(best) ?? Infinity) && other.upstream.admits()) best = other;
      }
    } else if (lane.upstream.cooldownLeft() > 0) return this.#freshLane();
    return best.upstream.admits() ? best : this.#freshLane();
  }

  /** Milliseconds to wait, or null if that is too long. */
  #waitBefore(lane: Lane, failure: Failure): number | null {
    const { retry } = this.#target.settings;
    const { clock, chance } = this.#context;
    const bound = failure.status === null ? undefined : retry.maxDelayByStatus[String(failure.status)];
    const backoff = backoffDelay(retry.backoff, this.#retries + 1, this.#lastDelay, chance, bound);
    const asked = retry.respectRetryAfter ? this.#askedToWait(lane, failure) : 0;
    if (asked > retry.maxRetryAfter) return null;
    this.#lastDelay = backoff;
    const wait = Math.max(backoff, asked);
    return clock.now() + wait < this.#deadline ? wait : null;
  }

  /** Milliseconds until the upstream wants to be asked again, by its own word or, after a 429 without one, by its cooldown. */
  #askedToWait(lane: Lane, failure: Failure): number {
    const asked = (this.#used.get(lane) ?? 0) - this.#context.clock.now();
    return Math.max(0, asked, failure.kind === 'rate_limited' ? lane.upstream.cooldownLeft() : 0);
  }

  async #try(lane: Lane, permit: Permit): Promise<Answer | Failure> {
    const { upstream, guard } = lane;
    const { clock, events, tries } = this.#context;
    if (!this.#used.has(lane)) guard.budget.request();
    this.#tries++;
    const startedAt = clock.now();
    const record: TryRecord = { target: this.#target.settings.id, outcome: 'ok', status: null, ms: 0 };
    tries.push(record);
    upstream.inFlight++;
    const over = (failure: Failure | null, heldUp = false) => {
      upstream.inFlight--;
      record.ms = clock.now() - startedAt;
      if (failure === null) {
        permit.success();
        upstream.succeeded();
      } else {
        record.outcome = failure.kind;
        const { firstToken } = this.#target.settings.timeouts;
        if (!heldUp && countsAgainst(failure.kind, record.ms, firstToken)) permit.failure();
        else permit.release();
        if (!heldUp && failure.kind !== 'client_gone' && failure.kind !== 'shutdown')
          upstream.failed(failure, startedAt);
      }
      events.tried(upstream, record.outcome, failure);
    };
    const end = await this.#send(lane, upstream, over);
    switch (end.kind) {
      case 'plain':
        record.status = 200;
        over(null);
        return { kind: 'plain', target: this.#target, body: end.body, value: end.value };
      case 'stream':
        record.status = 200;
        permit.alive();
        events.firstToken(upstream, clock.now() - startedAt);
        return { kind: 'stream', target: this.#target, stream: end.stream };
      case 'failed':
        record.status = end.failure.status;
        over(end.failure, end.heldUp);
        this.#used.set(
          lane,
          OUTCOME_RULES[end.failure.kind].cooldown === 'key'
            ? Infinity
            : clock.now() + (end.failure.retryAfterMs ?? 0),
        );
        return end.failure;
    }
  }

  #send(lane: Lane, upstream: Upstream, over: (failure: Failure | null, heldUp: boolean) => void) {
    const { body, streaming, wantsUsage, clock, cancellation, redact, events, requestId, tries } =
      this.#context;
    const { settings, dispatcher, origin, path, quirks } = this.#target;
    const params = { model: settings.model, overrideParams: settings.overrideParams, quirks };
    this.#body ??= body.with(chatChanges(body, streaming, params));
    const choices = Object.hasOwn(settings.overrideParams, 'n')
      ? settings.overrideParams['n']
      : body.value['n'];
    const stream = streaming
      ? {
          choices: typeof choices === 'number' && choices > 1 ? choices : 1,
          wantsUsage,
          price: this.#context.priceOf?.(settings) ?? null,
        }
      : null;
    return attempt({
      dispatcher,
      origin,
      path,
      headers: this.#headers(lane, this.#body, `${requestId}-${tries.length}`),
      body: this.#body,
      streaming: stream,
      timeouts: settings.timeouts,
      deadline: this.#deadline,
      clock,
      cancellation,
      redact,
      dropped: () => events.dropped(upstream),
      streamOver: (failure, heldUp) => {
        if (failure !== null && failure.kind !== 'client_gone') events.interrupted(upstream);
        over(failure, heldUp);
      },
    });
  }

  #headers(lane: Lane, body: readonly Buffer[], tryId: string): string[] {
    const headers = [...lane.headers, 'x-request-id', tryId];
    const { passedHeaders } = this.#context;
    // The provider's own headers win, and none goes out twice.
    for (let at = 0; at < passedHeaders.length; at += 2) {
      const name = passedHeaders[at] as string;
      if (!hasHeader(headers, name)) headers.push(name, passedHeaders[at + 1] as string);
    }
    if (!hasHeader(headers, 'user-agent')) headers.push('user-agent', 'spillway');
    if (body.length > 1)
      headers.push('content-length', String(body.reduce((sum, part) => sum + part.length, 0)));
    return headers;
  }
}

/** `headers`: name, value, name, value … Names in lower case. */
function hasHeader(headers: readonly string[], name: string): boolean {
  for (let at = 0; at < headers.length; at += 2) if (headers[at] === name) return true;
  return false;
}
