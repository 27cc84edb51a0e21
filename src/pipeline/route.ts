import type { Recall, Remember } from '../chat/extensions.ts';
import type { Presenter } from '../chat/presenter.ts';
import type { Cancellation } from '../core/cancellation.ts';
import type { Chance, Clock } from '../core/clock.ts';
import type { TryRecord } from '../core/outcome.ts';
import type { Redact } from '../core/redact.ts';
import { type Wait, waitedMs } from '../core/waiting.ts';
import { DIALECTS } from '../dialects/dialects.ts';
import type { MediaFetcher } from '../media/media.ts';
import type { Hedges } from '../routing/hedge.ts';
import type { Measures } from '../routing/measures.ts';
import type { Facts } from '../routing/query.ts';
import type { TargetSettings } from '../routing/target.ts';
import type { CachedNode } from '../routing/tree.ts';
import { type CallResult, type Walking, walk } from '../routing/walk.ts';
import type { Answer } from '../upstream/answer.ts';
import type { CallContext, CallEvents, CallRequest } from '../upstream/call.ts';
import type { Continuing } from '../upstream/continuing/continuing.ts';
import { TargetMeasures } from '../upstream/measures.ts';
import type { Target } from '../upstream/registry.ts';
import type { Price } from '../upstream/stream-roles.ts';
import { cancelledFailure, pause, type Visit, visit } from '../upstream/visit.ts';
import { answerEstimate, answerPlain, answerStream, answerWithoutAnswer } from './answer.ts';
import { answerKept } from './answer-kept.ts';
import { CacheLookups, type Found, letGo } from './cached.ts';
import { apart, passedHeaders } from './call-context.ts';
import { ContextSizes } from './context-sizes.ts';
import type { Going } from './continue-answer.ts';
import { type Estimated, isToEstimate, isToEstimateNow } from './count-tokens.ts';
import { dialectHeaders } from './dialect-headers.ts';
import type { Exchange } from './exchange.ts';
import { requestFacts, stickyValue } from './facts.ts';
import type { Job } from './job.ts';
import type { Live } from './live.ts';
import type { Services } from './services.ts';
import type { Spending } from './spending.ts';
import type { Unanswered } from './verdict.ts';

/** What a walk may end with. */
type Ended = Answer | Estimated | Found;

/** Of a walk that looks for somebody to go on with an answer that broke. */
interface Rest {
  skip(target: Target): boolean;
  continuing: Continuing;
  /** A failure of its own has ended it. */
  ended: boolean;
}

const SKIPPED = { kind: 'skipped', coolsInMs: null } as const;

/**
 * One request's way through its model's tree, from the first target to the answer: what its tries have in common, and the story of them. It is one object
 * for all who ask something of the request on its way.
 */
export class Router implements Walking<Target, Ended>, CallContext, Going {
  readonly request: CallRequest;
  readonly passedHeaders: readonly string[];
  readonly requestId: string;
  readonly startedAt: number;
  readonly tenant: string;
  readonly cancellation: Cancellation;
  readonly memory: { remember: Remember; recall: Recall };
  readonly tries: TryRecord[] = [];
  readonly slept: Wait[] = [];
  readonly continuing = null;
  readonly #client: Exchange;
  /** What is answered to, in the place of the client where others may share the answer. */
  readonly #to: Exchange;
  readonly #live: Live;
  readonly #services: Services;
  readonly #job: Job;
  /** Null: nowhere in the tree answers are kept. */
  readonly #lookups: CacheLookups | null;
  readonly #unanswered: Unanswered[] = [];
  readonly #sizes = new ContextSizes();
  /** What the walk that is under way is for; null: the first one, which looks for an answer. */
  #rest: Rest | null = null;

  constructor(client: Exchange, live: Live, services: Services, job: Job) {
    const { id, principal, request, model, entry } = job;
    const { forwardHeaders } = live;
    const { clock, replay } = services;
    this.#lookups = model.keeps
      ? new CacheLookups({ exchange: client, job, forwardHeaders, clock, cache: replay.cache })
      : null;
    this.#client = client;
    this.#to = this.#lookups?.exchange ?? client;
    this.#live = live;
    this.#services = services;
    this.#job = job;
    const headers = dialectHeaders(client, request.dialect);
    // Not a copy, which would ask for what is found out only where it is asked for (`dropped`, `isTied`).
    this.request = headers === null ? request : Object.assign(request, { headers });
    this.passedHeaders = passedHeaders(client, forwardHeaders, request.streaming);
    this.requestId = id;
    this.startedAt = client.readAt;
    this.tenant = principal.tenant.id;
    this.cancellation = this.#to.cancellation;
    this.memory = services.memory.forTenant(this.tenant);
    entry.tries = this.tries;
  }

  /** Walks the tree until a target answers, or an answer is found that is kept; null: there is none. */
  find(): Promise<Ended | null> {
    return walk<Target, Ended>(this.#job.model.tree, this);
  }

  /** Brings to the client what was found: a promise where that takes its time. */
  bring(found: Ended | null): Promise<void> | undefined {
    const job = this.#job;
    if (found === null) {
      answerWithoutAnswer(this.#to, job, this.#unanswered);
      return undefined;
    }
    if (found.kind === 'kept') return answerKept(this.#client, found, this.#live, this.#services, job);
    this.#lookups?.answering(found.target);
    if (found.kind === 'stream') return answerStream(this.#to, this.#live, this.#services, found, job, this);
    if (found.kind === 'plain') answerPlain(this.#to, this.#live, this.#services, found, job);
    else answerEstimate(this.#to, found.target, job);
    return undefined;
  }

  /** The request is over, whatever came of it. */
  end(): void {
    this.#job.entry.waitedMs += waitedMs(this.tries, this.slept);
    this.#lookups?.end();
  }

  /** One walk after the other, never two at a time. */
  async again(skip: (target: Target) => boolean, continuing: Continuing): Promise<Answer | 'ended' | null> {
    const rest: Rest = { skip, continuing, ended: false };
    this.#rest = rest;
    const found = await this.find();
    if (rest.ended) return 'ended';
    if (found === null || found.kind === 'estimated' || found.kind === 'kept') return null;
    this.#lookups?.answering(found.target);
    return found;
  }

  get clock(): Clock {
    return this.#services.clock;
  }

  get chance(): Chance {
    return this.#services.chance;
  }

  get hedges(): Hedges {
    return this.#services.hedges;
  }

  get redact(): Redact {
    return this.#services.redact;
  }

  get events(): CallEvents {
    return this.#services.events;
  }

  get media(): MediaFetcher {
    return this.#services.media;
  }

  get newId(): () => string {
    return this.#services.newId;
  }

  get spending(): Spending {
    return this.#job.spending;
  }

  mayTake(): { input: number; output: number } {
    return this.spending.mayTake();
  }

  priceOf(target: TargetSettings): Price {
    return this.spending.priceOf(target);
  }

  presenter(): Presenter {
    const { request } = this.#job;
    const created = Math.floor(this.clock.wall() / 1000);
    return DIALECTS[request.dialect].presenter(request, this.newId(), created);
  }

  facts(): Facts {
    const { principal, request } = this.#job;
    return requestFacts(principal, request.body.value, this.#client.header('x-spillway-metadata'));
  }

  get measures(): Measures<Target> {
    const { request, spending } = this.#job;
    const cost = (target: Target) => spending.mayCost(target.settings);
    return new TargetMeasures({ streaming: request.streaming, cost });
  }

  stickyValue(name: string): string | null {
    const { principal, request } = this.#job;
    return stickyValue(name, principal, request.body.value, this.#client);
  }

  hedged(what: 'started' | 'won'): void {
    this.#services.hedged(this.#job.model.label, what);
  }

  lookUp(node: CachedNode<Target>, cancellation: Cancellation): Promise<Found | null> {
    if (this.#rest !== null || this.#lookups === null) return Promise.resolve(null);
    return this.#lookups.lookUp(node, cancellation);
  }

  discard(answer: Ended): void {
    if (answer.kind === 'kept') letGo(answer);
    else if (answer.kind === 'stream') answer.stream.letGo();
  }

  ended(): void {
    if (this.#rest !== null) this.#rest.ended = true;
  }

  call(target: Target, cancellation: Cancellation): Promise<CallResult<Ended>> {
    if (this.#rest?.skip(target) === true) return Promise.resolve(SKIPPED);
    const { request, spending } = this.#job;
    const why = spending.mayCall(target.settings) ? this.#sizes.inTheWay(target) : 'unpriced';
    if (why !== null) {
      this.#unanswered.push({ target: target.settings.id, end: { kind: why } });
      return Promise.resolve(SKIPPED);
    }
    if (isToEstimate(request, target)) return Promise.resolve(estimated(target));
    return visit(target, this.#contextFor(cancellation)).then((end) => this.#visited(target, end));
  }

  /** What comes of a call, by how the visit to its target ended. */
  #visited(target: Target, end: Visit): CallResult<Ended> {
    if (end.kind === 'answered') return end;
    // Another one has decided how the request ends: this is no part of why nobody answered.
    if (end.kind === 'failed' && end.failure.kind === 'superseded') return end;
    if (isToEstimateNow(this.#job.request, end)) return estimated(target);
    this.#unanswered.push({ target: target.settings.id, end });
    if (end.kind === 'unsupported') return SKIPPED;
    if (end.kind === 'failed') this.#sizes.failed(target, end.failure);
    return end;
  }

  /** What runs beside something else can be ended by itself. */
  #contextFor(cancellation: Cancellation): CallContext {
    const rest = this.#rest;
    if (rest === null && cancellation === this.cancellation) return this;
    return apart(this, cancellation, rest?.continuing ?? null);
  }

  async waitFor({ settings }: Target, ms: number, waited: number): Promise<boolean> {
    const deadline = this.startedAt + settings.timeouts.total;
    if (ms + waited > settings.retry.maxRetryAfter || this.clock.now() + ms >= deadline) return false;
    if (await pause(this, ms)) return true;
    const failure = cancelledFailure(this);
    this.#unanswered.push({ target: settings.id, end: { kind: 'failed', failure, tries: 0, readyInMs: 0 } });
    return false;
  }
}

function estimated(target: Target): CallResult<Ended> {
  return { kind: 'answered', answer: { kind: 'estimated', target } };
}
