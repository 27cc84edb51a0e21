import type { Chance, Clock } from '../core/clock.ts';
import { type Failure, type FailureKind, OUTCOME_RULES } from '../core/outcome.ts';
import { Breaker } from '../resilience/breaker.ts';
import { RetryBudget } from '../resilience/retry-budget.ts';
import type { BreakerSettings, RetryBudgetSettings } from '../resilience/settings.ts';

/** A key that was refused, or whose account is empty, is left alone this long. Milliseconds. */
const REFUSED_KEY_COOLDOWN = 5 * 60 * 1000;

/** After a 429 that names no wait: this, doubling with each in a row. Milliseconds. */
const FIRST_COOLDOWN = 1000;
const LONGEST_UNASKED_COOLDOWN = 60 * 1000;

/** One key of a provider's pool. All upstreams that use it share its cooldown. */
export class ProviderKey {
  /** From 1, as in the ids of upstreams. */
  readonly number: number;
  readonly secret: string | null;
  cooldownUntil = 0;

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
  /** `provider/model#key`. */
  readonly id: string;
  /** The id with what clients may make up left out, for metrics. */
  readonly label: string;
  readonly provider: string;
  readonly model: string;
  readonly key: ProviderKey;
  /** The model's name in metrics: `*` for one that a client may make up. */
  readonly modelLabel: string;
  inFlight = 0;
  lastError: string | null = null;
  readonly #clock: Clock;
  readonly #chance: Chance;
  readonly #onTransition: OnTransition;
  readonly #guards = new Map<string, Guard>();
  #cooldownUntil = 0;
  #unaskedCooldowns = 0;

  constructor(
    identity: { provider: string; model: string; key: ProviderKey; modelLabel: string },
    clock: Clock,
    chance: Chance,
    onTransition: OnTransition,
  ) {
    this.id = `${identity.provider}/${identity.model}#${identity.key.number}`;
    this.label = `${identity.provider}/${identity.modelLabel}#${identity.key.number}`;
    this.provider = identity.provider;
    this.model = identity.model;
    this.key = identity.key;
    this.modelLabel = identity.modelLabel;
    this.#clock = clock;
    this.#chance = chance;
    this.#onTransition = onTransition;
  }

  /** The breaker and the retry budget for nodes with these settings. */
  guard(breaker: BreakerSettings, budget: RetryBudgetSettings): Guard {
    const key = JSON.stringify([breaker, budget]);
    let guard = this.#guards.get(key);
    if (guard === undefined) {
      guard = {
        breaker: new Breaker(breaker, this.#clock, this.#chance, (to, why) =>
          this.#onTransition(this, to, why),
        ),
        budget: new RetryBudget(budget, this.#clock),
      };
      this.#guards.set(key, guard);
    }
    return guard;
  }

  /** Milliseconds until neither the key nor this upstream is cooling down; 0 = now. */
  cooldownLeft(): number {
    return Math.max(0, Math.max(this.#cooldownUntil, this.key.cooldownUntil) - this.#clock.now());
  }

  succeeded(): void {
    this.#unaskedCooldowns = 0;
  }

  /** Takes note of a failure: its words, and the cooldown that follows from it. */
  failed(failure: Failure): void {
    this.lastError = `${failure.kind}: ${failure.message}`;
    const rule = OUTCOME_RULES[failure.kind].cooldown;
    // 403 is often about one model that the key may not use. It must not take the key from all the others.
    if (rule === 'key' && failure.status === 403) this.#coolDown(REFUSED_KEY_COOLDOWN);
    else if (rule === 'key') this.key.cooldownUntil = this.#clock.now() + REFUSED_KEY_COOLDOWN;
    else if (rule === 'upstream') this.#coolDown(failure.retryAfterMs);
  }

  #coolDown(askedMs: number | null): void {
    const unasked = Math.min(
      LONGEST_UNASKED_COOLDOWN,
      FIRST_COOLDOWN * 2 ** Math.min(16, this.#unaskedCooldowns),
    );
    if (askedMs === null) this.#unaskedCooldowns++;
    const until = this.#clock.now() + (askedMs ?? unasked);
    this.#cooldownUntil = Math.max(this.#cooldownUntil, until);
  }

  /** The state that is furthest from healthy, under whichever settings. */
  get breakerState(): 'closed' | 'half_open' | 'open' {
    let worst: 'closed' | 'half_open' | 'open' = 'closed';
    for (const { breaker } of this.#guards.values()) {
      const state = breaker.state();
      if (state === 'open') return 'open';
      if (state === 'half_open') worst = 'half_open';
    }
    return worst;
  }

  /** How often a breaker opened. */
  get opens(): number {
    let opens = 0;
    for (const { breaker } of this.#guards.values()) opens += breaker.opens;
    return opens;
  }
}

/** Does this failure count against the upstream? A request that ran out of time does if the try had been silent for long. */
export function countsAgainst(kind: FailureKind, ranMs: number, firstTokenMs: number): boolean {
  return kind === 'deadline' ? ranMs > firstTokenMs : OUTCOME_RULES[kind].breaker === 'failure';
}
