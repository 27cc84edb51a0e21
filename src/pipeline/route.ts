import type { Cancellation } from '../core/cancellation.ts';
import type { Chance, Clock } from '../core/clock.ts';
import { waitedMs } from '../core/waiting.ts';
import type { Hedges } from '../routing/hedge.ts';
import type { Measures } from '../routing/measures.ts';
import type { Facts } from '../routing/query.ts';
import type { CachedNode } from '../routing/tree.ts';
import { type CallResult, type Walking, walk } from '../routing/walk.ts';
import type { Answer } from '../upstream/answer.ts';
import type { CallContext } from '../upstream/call.ts';
import type { Continuing } from '../upstream/continuing/continuing.ts';
import { targetMeasures } from '../upstream/measures.ts';
import type { Target } from '../upstream/registry.ts';
import { cancelledFailure, pause, visit } from '../upstream/visit.ts';
import { answerEstimate, answerPlain, answerStream, answerWithoutAnswer } from './answer.ts';
import { answerKept } from './answer-kept.ts';
import { CacheLookups, type CacheOptions, type Found, letGo } from './cached.ts';
import { callContext } from './call-context.ts';
import { ContextSizes } from './context-sizes.ts';
import type { Going } from './continue-answer.ts';
import { type Estimated, isToEstimate, isToEstimateNow } from './count-tokens.ts';
import type { Exchange } from './exchange.ts';
import { requestFacts, stickyValue } from './facts.ts';
import type { Job } from './job.ts';
import type { Live } from './live.ts';
import type { Services } from './services.ts';
import type { Unanswered } from './verdict.ts';

/** Walks the model's tree until a target answers, or an answer is found that is kept, and brings it to the client. */
export function route(exchange: Exchange, live: Live, services: Services, job: Job): Promise<void> {
  if (!job.model.keeps) return routeTo(exchange, exchange, live, services, job, null);
  const lookups = new CacheLookups(cacheOptions(exchange, live, services, job));
  return routeTo(lookups.exchange, exchange, live, services, job, lookups).finally(() => lookups.end());
}

function cacheOptions(exchange: Exchange, live: Live, services: Services, job: Job): CacheOptions {
  const { clock, replay } = services;
  return { exchange, job, forwardHeaders: live.forwardHeaders, clock, cache: replay.cache };
}

/** `to`: what is answered to, in the place of `client` where others may share the answer. */
async function routeTo(
  to: Exchange,
  client: Exchange,
  live: Live,
  services: Services,
  job: Job,
  lookups: CacheLookups | null,
): Promise<void> {
  const { entry, spending } = job;
  const context = callContext(to, live, services, job);
  entry.tries = context.tries;
  const router = new Router(to, services, job, context, lookups);
  const answer = await router.walk();
  try {
    if (answer === null) {
      answerWithoutAnswer(to, job, router.unanswered);
      return;
    }
    if (answer.kind === 'kept') {
      await answerKept(client, answer, live, services, job);
      return;
    }
    lookups?.answering(answer.target);
    if (answer.kind === 'estimated') answerEstimate(to, answer.target, job);
    else if (answer.kind === 'plain') answerPlain(to, live, services, answer, job);
    else {
      const { cancellation, tries } = context;
      const again: Going['again'] = async (skip, continuing) => {
        let hasEnded = false;
        const ended = () => {
          hasEnded = true;
        };
        const found = await router.walk({ skip, continuing, ended });
        if (hasEnded) return 'ended';
        if (found === null || found.kind === 'estimated' || found.kind === 'kept') return null;
        lookups?.answering(found.target);
        return found;
      };
      await answerStream(to, live, services, answer, job, { again, cancellation, tries, spending });
    }
  } finally {
    entry.waitedMs += waitedMs(context.tries, context.slept);
  }
}

/** What a walk may end with. */
type Ended = Answer | Estimated | Found;

/** Of a walk that looks for somebody to go on with an answer that broke. */
interface Rest {
  skip(target: Target): boolean;
  continuing: Continuing;
  /** A failure of its own has ended it. */
  ended(): void;
}

/** One request's way through the tree, and the story of it. */
class Router implements Walking<Target, Ended> {
  readonly unanswered: Unanswered[] = [];
  readonly clock: Clock;
  readonly chance: Chance;
  readonly hedges: Hedges;
  readonly cancellation: Cancellation;
  readonly #exchange: Exchange;
  readonly #services: Services;
  readonly #job: Job;
  readonly #context: CallContext;
  readonly #lookups: CacheLookups | null;
  readonly #sizes = new ContextSizes();
  /** What the walk that is under way is for; null: the first one, which looks for an answer. */
  #rest: Rest | null = null;

  constructor(
    exchange: Exchange,
    services: Services,
    job: Job,
    context: CallContext,
    lookups: CacheLookups | null,
  ) {
    this.clock = services.clock;
    this.chance = services.chance;
    this.hedges = services.hedges;
    this.cancellation = context.cancellation;
    this.#exchange = exchange;
    this.#services = services;
    this.#job = job;
    this.#context = context;
    this.#lookups = lookups;
  }

  /** One walk after the other, never two at a time. */
  walk(rest: Rest | null = null): Promise<Ended | null> {
    this.#rest = rest;
    return walk<Target, Ended>(this.#job.model.tree, this);
  }

  facts(): Facts {
    const { principal, request } = this.#job;
    return requestFacts(principal, request.body.value, this.#exchange.header('x-spillway-metadata'));
  }

  get measures(): Measures<Target> {
    const { request, spending } = this.#job;
    const cost = (target: Target) => spending.mayCost(target.settings);
    return targetMeasures({ streaming: request.streaming, cost });
  }

  stickyValue(name: string): string | null {
    const { principal, request } = this.#job;
    return stickyValue(name, principal, request.body.value, this.#exchange);
  }

  hedged(_label: string, what: 'started' | 'won'): void {
    this.#services.hedged(this.#job.model.label, what);
  }

  lookUp(node: CachedNode<Target>, cancellation: Cancellation): Promise<Found | null> {
    if (this.#rest !== null || this.#lookups === null) return Promise.resolve(null);
    return this.#lookups.lookUp(node, cancellation);
  }

  discard(answer: Ended): void {
    if (answer.kind === 'kept') letGo(answer);
  }

  ended(): void {
    this.#rest?.ended();
  }

  async call(target: Target, cancellation: Cancellation): Promise<CallResult<Ended>> {
    const { request, spending } = this.#job;
    const { id } = target.settings;
    const rest = this.#rest;
    if (rest?.skip(target) === true) return { kind: 'skipped', coolsInMs: null };
    const why = spending.mayCall(target.settings) ? this.#sizes.inTheWay(target) : 'unpriced';
    if (why !== null) {
      this.unanswered.push({ target: id, end: { kind: why } });
      return { kind: 'skipped', coolsInMs: null };
    }
    if (isToEstimate(request, target)) return { kind: 'answered', answer: { kind: 'estimated', target } };
    const end = await visit(target, this.#contextFor(cancellation, rest));
    if (end.kind === 'answered') return end;
    // Another one has decided how the request ends: this is no part of why nobody answered.
    if (end.kind === 'failed' && end.failure.kind === 'superseded') return end;
    if (isToEstimateNow(request, end)) return { kind: 'answered', answer: { kind: 'estimated', target } };
    this.unanswered.push({ target: id, end });
    if (end.kind === 'unsupported') return { kind: 'skipped', coolsInMs: null };
    if (end.kind === 'failed') this.#sizes.failed(target, end.failure);
    return end;
  }

  /** What runs beside something else can be ended by itself. */
  #contextFor(cancellation: Cancellation, rest: Rest | null): CallContext {
    const context = this.#context;
    if (rest === null && cancellation === context.cancellation) return context;
    return { ...context, cancellation, continuing: rest?.continuing ?? null };
  }

  async waitFor({ settings }: Target, ms: number, waited: number): Promise<boolean> {
    const context = this.#context;
    const deadline = context.startedAt + settings.timeouts.total;
    if (ms + waited > settings.retry.maxRetryAfter || context.clock.now() + ms >= deadline) return false;
    if (await pause(context, ms)) return true;
    const failure = cancelledFailure(context);
    this.unanswered.push({ target: settings.id, end: { kind: 'failed', failure, tries: 0, readyInMs: 0 } });
    return false;
  }
}
