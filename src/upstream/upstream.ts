import type { Chance, Clock } from '../core/clock.ts';
import {
  describeFailure,
  type Failure,
  type FailureKind,
  isClientsFault,
  OUTCOME_RULES,
} from '../core/outcome.ts';
import type { BreakerBoard, Word } from '../resilience/board.ts';
import { Breaker } from '../resilience/breaker.ts';
import { Pacer } from '../resilience/pacer.ts';
import { RetryBudget } from '../resilience/retry-budget.ts';
import type { BreakerSettings, RetryBudgetSettings } from '../resilience/settings.ts';
import { Speed } from '../resilience/speed.ts';
import { Headroom } from './headroom.ts';

/** A key that was refused, or whose account is empty, is left alone this long. Milliseconds. */
const REFUSED_KEY_COOLDOWN = 5 * 60 * 1000;

/** After a 429 that names no wait: this, doubling with each in a row. Milliseconds. */
const FIRST_COOLDOWN = 1000;
const LONGEST_UNASKED_COOLDOWN = 60 * 1000;

/** Of an error that an upstream wrote, as much as is kept for `/admin/upstreams`. Characters. */
const LONGEST_LAST_ERROR = 500;

/** One key of a provider's pool. All upstreams that use it share its cooldown. */
export class ProviderKey {
  /** From 1, as in the ids of upstreams. */
  number: number;
  readonly secret: string | null;
  cooldownUntil = 0;
  cooldownWhy = '';

  constructor(number: number, secret: string | null) {
    this.number = number;
    this.secret = secret;
  }
}

/** What guards an upstream under one node's settings. Nodes with the same settings share it. */
export interface Guard {
  breaker: Breaker;
  budget: RetryBudget;
}

export type OnTransition = (upstream: Upstream, to: 'closed' | 'open' | 'half_open', why: string) => void;

/** What a target talks to: one provider, one of its keys, one model. Outlives a reload that does not concern it. */
export class Upstream {
  readonly provider: string;
  readonly model: string;
  readonly key: ProviderKey;
  /** The model's name in metrics: `*` for one that a client may make up. */
  readonly modelLabel: string;
  inFlight = 0;
  /** Where it is asked less often after 429s; null: it is not. */
  pacer: Pacer | null = null;
  lastError: string | null = null;
  /** Apart, for an answer that comes whole comes later than the first word of one that is streamed. */
  readonly speed: { readonly stream: Speed; readonly plain: Speed };
  /** What is left of its provider's rate limits, as far as anybody has looked. */
  readonly headroom: Headroom;
  readonly #clock: Clock;
  readonly #breakers: BySettings<BreakerSettings, Breaker>;
  readonly #budgets: BySettings<RetryBudgetSettings, RetryBudget>;
  #cooldownUntil = 0;
  #cooldownWhy = '';
  /** Cooldowns in a row that no word of the upstream's bounded, and when the last began. */
  #unaskedCooldowns = 0;
  #unaskedAt = Number.NEGATIVE_INFINITY;

  constructor(
    identity: { provider: string; model: string; key: ProviderKey; modelLabel: string },
    clock: Clock,
    chance: Chance,
    onTransition: OnTransition,
    board: BreakerBoard | null = null,
  ) {
    this.provider = identity.provider;
    this.model = identity.model;
    this.key = identity.key;
    this.modelLabel = identity.modelLabel;
    this.#clock = clock;
    this.speed = { stream: new Speed(clock), plain: new Speed(clock) };
    this.headroom = new Headroom(clock);
    this.#breakers = new BySettings((settings) => {
      const place = settings.share ? (board?.place(() => this.id) ?? null) : null;
      return new Breaker(settings, clock, chance, (to, why) => onTransition(this, to, why), place);
    });
    this.#budgets = new BySettings((settings) => new RetryBudget(settings, clock));
  }

  /** Its configuration says whether it is to be paced; what is known of its pace stays. */
  pace(adaptive: boolean): void {
    this.pacer = adaptive ? (this.pacer ?? new Pacer(this.#clock)) : null;
  }

  /** `provider/model#key`. */
  get id(): string {
    return `${this.provider}/${this.model}#${this.key.number}`;
  }

  /** The id with what clients may make up left out, for metrics. */
  get label(): string {
    return `${this.provider}/${this.modelLabel}#${this.key.number}`;
  }

  /** The breaker and the retry budget for nodes with these settings. */
  guard(breaker: BreakerSettings, budget: RetryBudgetSettings): Guard {
    return { breaker: this.#breakers.get(breaker), budget: this.#budgets.get(budget) };
  }

  /** Does no breaker stand in the way? One that opened under another node's settings does as well: the upstream is the same. */
  admits(): boolean {
    for (const breaker of this.#breakers.values()) if (!breaker.available()) return false;
    return true;
  }

  /** Milliseconds until every breaker lets a probe through; 0 = now. */
  opensIn(): number {
    let wait = 0;
    for (const breaker of this.#breakers.values()) wait = Math.max(wait, breaker.retryAfterMs() ?? 0);
    return wait;
  }

  /** What all gateways together say of it. */
  hear(word: Word): void {
    for (const breaker of this.#breakers.values()) breaker.hear(word);
  }

  /** A new configuration is about to ask for its guards; what it does not ask for does not count any more. */
  renew(): void {
    this.#breakers.renew();
    this.#budgets.renew();
  }

  /** That configuration is not taken over. */
  revert(): void {
    this.#breakers.revert();
    this.#budgets.revert();
  }

  /** Milliseconds until neither the key nor this upstream is cooling down; 0 = now. */
  cooldownLeft(): number {
    const until = Math.max(this.#cooldownUntil, this.key.cooldownUntil);
    // Nearly always nothing is, and the clock need not be asked.
    return until === 0 ? 0 : Math.max(0, until - this.#clock.now());
  }

  /** What the cooldown follows from, such as "rate limited (HTTP 429)". */
  get cooldownWhy(): string {
    return this.key.cooldownUntil > this.#cooldownUntil ? this.key.cooldownWhy : this.#cooldownWhy;
  }

  succeeded(): void {
    this.#unaskedCooldowns = 0;
  }

  /** Takes note of a failure of a try that began at `startedAt` (on the clock's time): its words, and the cooldown that follows from it. */
  failed(failure: Failure, startedAt: number): void {
    if (!isClientsFault(failure))
      this.lastError = `${failure.kind}: ${failure.message}`.slice(0, LONGEST_LAST_ERROR);
    const rule = OUTCOME_RULES[failure.kind].cooldown;
    // 403 is often about one model that the key may not use. It must not take the key from all the others.
    if (rule === 'key' && failure.status === 403) this.#coolDown(failure, REFUSED_KEY_COOLDOWN, startedAt);
    else if (rule === 'key') {
      this.key.cooldownUntil = this.#clock.now() + REFUSED_KEY_COOLDOWN;
      this.key.cooldownWhy = describeFailure(failure);
    } else if (rule === 'upstream') this.#coolDown(failure, failure.retryAfterMs, startedAt);
  }

  #coolDown(failure: Failure, askedMs: number | null, startedAt: number): void {
    const now = this.#clock.now();
    this.#cooldownWhy = describeFailure(failure);
    this.#cooldownUntil = Math.max(
      this.#cooldownUntil,
      now + (askedMs ?? this.#unaskedCooldown(now, startedAt)),
    );
  }

  #unaskedCooldown(now: number, startedAt: number): number {
    // Tries that were under way together are refused together: that is one refusal, not many in a row.
    if (startedAt > this.#unaskedAt) {
      this.#unaskedCooldowns++;
      this.#unaskedAt = now;
    }
    const doublings = Math.min(16, Math.max(0, this.#unaskedCooldowns - 1));
    return Math.min(LONGEST_UNASKED_COOLDOWN, FIRST_COOLDOWN * 2 ** doublings);
  }

  /** The state that is furthest from healthy, under whichever settings. */
  get breakerState(): 'closed' | 'half_open' | 'open' {
    let worst: 'closed' | 'half_open' | 'open' = 'closed';
    for (const breaker of this.#breakers.values()) {
      const state = breaker.state();
      if (state === 'open') return 'open';
      if (state === 'half_open') worst = 'half_open';
    }
    return worst;
  }

  /** How often a breaker opened. */
  get opens(): number {
    let opens = 0;
    for (const breaker of this.#breakers.values()) opens += breaker.opens;
    return opens;
  }
}

/** One of a kind for each set of settings, kept over a reload that asks for the same. */
class BySettings<S extends object, T> {
  readonly #make: (settings: S) => T;
  #known = new Map<string, T>();
  /** Of `#known`: asked for with every try. */
  #values: readonly T[] = [];
  /** Those of the configuration before. */
  #former: ReadonlyMap<string, T> = NONE;

  constructor(make: (settings: S) => T) {
    this.#make = make;
  }

  get(settings: S): T {
    const key = textOf(settings);
    const found = this.#known.get(key) ?? this.#former.get(key) ?? this.#make(settings);
    this.#know(this.#known.set(key, found));
    return found;
  }

  values(): readonly T[] {
    return this.#values;
  }

  renew(): void {
    this.#former = this.#known;
    this.#know(new Map());
  }

  revert(): void {
    this.#know(new Map(this.#former));
  }

  #know(known: Map<string, T>): void {
    this.#known = known;
    this.#values = [...known.values()];
  }
}

/** Nothing was known before. */
const NONE: ReadonlyMap<string, never> = new Map<string, never>();

const texts = new WeakMap<object, string>();

/** One text for each object: what thousands of targets inherit, they share. */
function textOf(settings: object): string {
  const text = texts.get(settings) ?? JSON.stringify(settings);
  texts.set(settings, text);
  return text;
}

/** Does this failure count against the upstream? A request that ran out of time does if the try had been silent for long. */
export function countsAgainst(kind: FailureKind, ranMs: number, firstTokenMs: number): boolean {
  return kind === 'deadline' ? ranMs > firstTokenMs : OUTCOME_RULES[kind].breaker === 'failure';
}
