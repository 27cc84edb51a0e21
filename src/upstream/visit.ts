import type { Presenter } from '../chat/presenter.ts';
import { sleep } from '../core/cancellation.ts';
import { type Failure, OUTCOME_RULES } from '../core/outcome.ts';
import { Unsupported } from '../providers/adapter.ts';
import { backoffDelay } from '../resilience/backoff.ts';
import type { Answer } from './answer.ts';
import type { AttemptEnd } from './attempt-request.ts';
import type { CallContext } from './call.ts';
import { type Entered, enter, enterAtOnce, type Full, leave } from './entry.ts';
import { OneTry } from './one-try.ts';
import type { Call } from './prepare-call.ts';
import { mayBeFetchedWhole, prepareFor, prepareWhole, WHOLE_FOR } from './prepare-whole.ts';
import type { Lane, Target } from './registry.ts';
import { goneFailure, plainFailure } from './transport-failure.ts';

export type Visit =
  | { kind: 'answered'; answer: Answer }
  /** `readyInMs`: when the target may be asked again, by its keys' cooldowns, its breakers and its own word. */
  | { kind: 'failed'; failure: Failure; tries: number; readyInMs: number }
  /** The target cannot take the request: nothing was sent. */
  | { kind: 'unsupported'; param: string; message: string }
  /** No key could be used. `coolsInMs`: when one may be again, if it is only cooling down; `opensInMs`: when a breaker lets a probe through. */
  | {
      kind: 'skipped';
      coolsInMs: number | null;
      opensInMs: number | null;
      /** What the cooldown follows from, in words; null if it is a breaker that stands in the way. */
      why: string | null;
      /** It is no cooldown, but a limit that has been reached: which, in words. */
      full?: string;
      /** It has been waited for as long as it may be; another request may find room after so long. */
      againInMs?: number;
    };

/** Calls one target, and again as its retry settings, its keys, the breakers and the clock allow. */
export function visit(target: Target, context: CallContext): Promise<Visit> {
  return new Visitor(target, context).run();
}

/** Waits between tries, on the request's account. False: the request is over. */
export async function pause(context: CallContext, ms: number): Promise<boolean> {
  const from = context.clock.now();
  const passed = await sleep(context.clock, ms, context.cancellation);
  context.slept.push({ startedAt: from, ms: context.clock.now() - from });
  return passed;
}

/** Why a wait was broken off. */
export function cancelledFailure({ cancellation }: CallContext): Failure {
  return goneFailure(cancellation.reason ?? 'shutdown');
}

class Visitor {
  readonly #target: Target;
  readonly #context: CallContext;
  readonly #deadline: number;
  /** Keys that failed in this visit, with when each may be asked again (on the clock's time; Infinity: not by this request). Null: none has. */
  #used: Map<Lane, number> | null = null;
  #retries = 0;
  #tries = 0;
  #lastDelay: number | null = null;
  #call: Call | null = null;
  /** How the last try failed; null: none has been made. */
  #last: Failure | null = null;
  /** No stream could be had: this try asks for the whole answer, and is the last. */
  #lastResort = false;

  constructor(target: Target, context: CallContext) {
    this.#target = target;
    this.#context = context;
    this.#deadline = context.startedAt + target.settings.timeouts.total;
  }

  /** Nothing is waited for before the first try is sent where nothing need be. */
  async run(): Promise<Visit> {
    const now = this.#context.clock.now();
    if (now >= this.#deadline) {
      return this.#failed(plainFailure('deadline', 'the time for the whole request was over'));
    }
    let lane = this.#freshLane();
    if (lane === null) return this.#skipped();
    const preparing = this.#prepare();
    const unable = preparing instanceof Promise ? await preparing : preparing;
    if (unable !== null) return unable;
    for (;;) {
      const one: OneTry | Visit = this.#beginAtOnce(lane) ?? (await this.#beginInTurn(lane));
      if (!(one instanceof OneTry)) return one;
      let sent: AttemptEnd;
      try {
        sent = await one.send();
      } catch (error) {
        one.abandon();
        throw error;
      }
      const end = one.ended(sent);
      if (!('message' in end)) {
        if (this.#lastResort) this.#target.wholeUntil = this.#context.clock.now() + WHOLE_FOR;
        return { kind: 'answered', answer: end };
      }
      const before = this.#last;
      this.#last = end;
      this.#noteUse(one.lane, end);
      if (this.#lastResort && before !== null) return this.#failed(whatWasWrong(before, end));
      lane = one.lane;
      const reworded = this.#reword(end);
      if (reworded !== null) {
        const unable = await reworded;
        if (unable !== null) return unable;
        continue;
      }
      const next: Lane | Failure =
        (await this.#next(lane, end)) ?? (await this.#fetchWhole(lane, end)) ?? end;
      if ('message' in next) return this.#failed(next);
      lane = next;
    }
  }

  /** A try that need not wait for anything; null: see `#beginInTurn`. */
  #beginAtOnce(lane: Lane): OneTry | null {
    const { breaker } = lane.guard;
    if (breaker.needsClaim()) return null;
    const entered = enterAtOnce(this.#target, lane, this.#context);
    return entered === null ? null : this.#begin(lane, entered);
  }

  /** A try as soon as there is room for it, or why there is none. */
  async #beginInTurn(first: Lane): Promise<OneTry | Visit> {
    for (let lane: Lane | null = first; lane !== null; lane = this.#freshLane()) {
      const entered = await enter(this.#target, lane, this.#context, this.#deadline);
      switch (entered.kind) {
        case 'cancelled':
          return this.#failed(cancelledFailure(this.#context));
        case 'full':
          this.#context.events.limited(lane.upstream);
          return this.#last === null ? this.#full(entered) : this.#failed(this.#last);
        case 'entered': {
          const { breaker } = lane.guard;
          if (breaker.needsClaim()) await breaker.claim();
          return this.#begin(lane, entered) ?? this.#nobody();
        }
      }
    }
    return this.#nobody();
  }

  /** No key can be used now. */
  #nobody(): Visit {
    return this.#last === null ? this.#skipped() : this.#failed(this.#last);
  }

  /** Where the target may only have been asked in words that it does not know: asks in others, as `#prepare` does. Null: it knew them. */
  #reword(failure: Failure): Promise<Visit | null> | null {
    if (this.#isSpokenInVain(failure)) {
      this.#target.lacks.add(this.#context.request.dialect);
      return Promise.resolve(this.#prepare());
    }
    return this.#isPrefillRefused(failure) ? Promise.resolve(this.#prepare(true)) : null;
  }

  /** It cannot go on from the beginning of an answer, but may give all of it. Where others gave another one already, that is not worth asking for. */
  #isPrefillRefused({ kind }: Failure): boolean {
    const { continuing } = this.#context;
    return kind === 'invalid_request' && this.#call?.how === 'prefill' && continuing?.diverged === false;
  }

  /** Puts the request into the target's words; null if that went well. `again`: as `prepareCall` has it. */
  #prepare(again = false): Visit | null | Promise<Visit | null> {
    try {
      const call = prepareFor(this.#target, this.#context, again);
      if (call instanceof Promise) return this.#whenPrepared(call);
      this.#call = call;
      return null;
    } catch (error) {
      return this.#unable(error);
    }
  }

  async #whenPrepared(preparing: Promise<Call>): Promise<Visit | null> {
    try {
      this.#call = await preparing;
      return null;
    } catch (error) {
      return this.#unable(error);
    }
  }

  #unable(error: unknown): Visit {
    if (!(error instanceof Unsupported)) throw error;
    // It may only be what was to be fetched that was given up.
    if (this.#context.cancellation.reason !== null) return this.#failed(cancelledFailure(this.#context));
    return { kind: 'unsupported', param: error.param, message: error.message };
  }

  /** Many a host that says it is like OpenAI has no responses. It is not asked for them again, but for a chat. */
  #isSpokenInVain({ status }: Failure): boolean {
    const { adapter, provider, lacks } = this.#target;
    const { dialect } = this.#context.request;
    if (dialect !== 'responses' || lacks.has(dialect) || this.#call?.relayed !== true) return false;
    // Of Azure's classic API, only later versions have them.
    const mayLack = provider.apiVersion !== null || provider.baseUrl !== adapter.baseUrl(provider);
    return mayLack && (status === 404 || status === 405);
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

  #full({ readyInMs, againInMs, why }: Full): Visit {
    const skipped = { kind: 'skipped', coolsInMs: readyInMs, opensInMs: null, why: null, full: why } as const;
    return againInMs === undefined ? skipped : { ...skipped, againInMs };
  }

  /** The next key in turn that can be used and has not been in this visit, where there is a choice one that need not wait; null if there is none. */
  #freshLane(): Lane | null {
    const { lanes } = this.#target;
    let best = -1;
    let shortest = Infinity;
    for (let i = 0; i < lanes.length && shortest > 0; i++) {
      const index = (this.#target.nextLane + i) % lanes.length;
      const lane = lanes[index] as Lane;
      if (this.#used?.has(lane) || lane.upstream.cooldownLeft() > 0 || !lane.upstream.admits()) continue;
      const wait = lane.upstream.pacer?.waitMs ?? 0;
      if (wait >= shortest) continue;
      best = index;
      shortest = wait;
    }
    if (best < 0) return null;
    this.#target.nextLane = (best + 1) % lanes.length;
    return lanes[best] as Lane;
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
   * A host may have no room for streams and still some for whole answers: when streams are not worth another try, one is made for that.
   * Answers like `#next`.
   */
  async #fetchWhole(lane: Lane, failure: Failure): Promise<Lane | Failure | null> {
    const context = this.#context;
    const { respectRetryAfter, maxRetryAfter } = this.#target.settings.retry;
    if (!mayBeFetchedWhole(failure, this.#call, context)) return null;
    const again = this.#laneToAskAgain(lane, failure);
    const wait = respectRetryAfter ? this.#askedToWait(lane, failure) : 0;
    if (again === null || wait > maxRetryAfter || context.clock.now() + wait >= this.#deadline) return null;
    const call = await prepareWhole(this.#target, context);
    if (call === null) return null;
    if (!again.guard.budget.tryRetry()) {
      context.events.retryDenied(again.upstream);
      return null;
    }
    if (wait > 0 && !(await pause(context, wait))) return cancelledFailure(context);
    this.#call = call;
    this.#lastResort = true;
    return this.#laneToAskAgain(again, failure);
  }

  /**
   * The same key, or after a 429 the one that may be asked soonest; another one where other requests have meanwhile opened the
   * breaker, or been told to leave the key alone.
   */
  #laneToAskAgain(lane: Lane, failure: Failure): Lane | null {
    let best = lane;
    if (failure.kind === 'rate_limited') {
      for (const [other, readyAt] of this.#used ?? []) {
        if (readyAt < (this.#used?.get(best) ?? Infinity) && other.upstream.admits()) best = other;
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
    const asked = (this.#used?.get(lane) ?? 0) - this.#context.clock.now();
    return Math.max(0, asked, failure.kind === 'rate_limited' ? lane.upstream.cooldownLeft() : 0);
  }

  /** What was begun is told by one to its end. */
  #presenter(): Presenter {
    return this.#context.continuing?.presenter ?? this.#context.presenter();
  }

  /** Null: its breaker lets nobody through, and nothing is held any more. */
  #begin(lane: Lane, entered: Entered): OneTry | null {
    const permit = lane.guard.breaker.acquire();
    if (permit === null) {
      leave(entered);
      return null;
    }
    const context = this.#context;
    const call = this.#call as Call;
    const startedAt = context.clock.now();
    if (this.#used === null || !this.#used.has(lane)) lane.guard.budget.request(startedAt);
    this.#tries++;
    try {
      return new OneTry({
        target: this.#target,
        context,
        call,
        lane,
        permit,
        entered,
        // What a stream that failed has begun to tell is not the beginning of the next one.
        presenter: call.relayed ? null : this.#presenter(),
        deadline: this.#deadline,
        startedAt,
      });
    } catch (error) {
      permit.release();
      leave(entered);
      throw error;
    }
  }

  /** A key that was refused is not asked again by this request. */
  #noteUse(lane: Lane, { kind, status, retryAfterMs }: Failure): void {
    // Not the dialect was missing, then, but the model or all of the host.
    if (status === 404) this.#target.lacks.clear();
    this.#used ??= new Map();
    const isRefused = OUTCOME_RULES[kind].cooldown === 'key';
    this.#used.set(lane, isRefused ? Infinity : this.#context.clock.now() + (retryAfterMs ?? 0));
  }
}

/** A whole answer was asked for in place of a stream. Where that was not to be had either, it is want of room all the same. */
function whatWasWrong(ofStream: Failure, ofWhole: Failure): Failure {
  return OUTCOME_RULES[ofWhole.kind].breaker === 'failure' ? ofStream : ofWhole;
}
