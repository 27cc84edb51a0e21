import type { Principal } from '../auth/keyring.ts';
import { type ApiError, storeAway } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { TryRecord } from '../core/outcome.ts';
import { NANODOLLARS, type Spent, type Usage } from '../core/usage.ts';
import { DIALECTS } from '../dialects/dialects.ts';
import type { ModelPrice } from '../pricing/prices.ts';
import type { Dialect } from '../providers/adapter.ts';
import type { Output } from '../providers/openai/output.ts';
import { type Consumption, type DimensionRule, NOTHING } from '../quota/dimensions.ts';
import { writeRateLimits } from '../quota/headers.ts';
import { type Limit, type LimitSet, labelOf } from '../quota/limits.ts';
import { refusal } from '../quota/refusal.ts';
import type { Demand, QuotaStore, Standing, Ticket, Verdict } from '../quota/store.ts';
import type { TargetSettings } from '../routing/target.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import {
  type Estimator,
  estimatePrompt,
  type Habit,
  maxOutput,
  namesMaximum,
  type PromptEstimate,
} from './estimate.ts';
import type { Headers } from './exchange.ts';
import { ledgerRows } from './ledger-rows.ts';
import type { Live, LiveModel } from './live.ts';

/** What spending needs besides the configuration. */
export interface SpendingServices {
  store: QuotaStore;
  estimator: Estimator;
  /** Milliseconds since 1970. */
  wall(): number;
  /** A request was refused because of this quota. */
  refused(tenant: string, limit: Limit): void;
}

/** Of the configuration: what tokens cost, and how many are reserved where a request names no maximum. */
type Rates = Pick<Live, 'prices' | 'outputTokens'>;

/** Who spends on what. */
export interface Spender {
  principal: Principal;
  model: Pick<LiveModel, 'name' | 'label' | 'direct' | 'prices' | 'overrides'>;
  /** The name that the client sent. */
  asked: string;
  dialect: Dialect;
  body: JsonObject;
}

/** What is known of what an answer took. */
export interface Told {
  /** By the upstream; null: nothing. */
  reported: Usage | null;
  /** A nought that it reports is one. */
  surely: boolean;
  passed(): Output;
  /** It came to its end; of one that did not, what was reported may be from its beginning. */
  whole: boolean;
}

export const QUOTAS_AWAY = 'Your quotas cannot be checked now: the store that counts them is away.';

/** What one request takes from its quotas: reserved before the first try, settled once after the last. */
export class Spending {
  readonly #principal: Principal;
  readonly #model: Spender['model'];
  readonly #dialect: Dialect;
  /** Empty when it has been let go of. */
  #body: JsonObject;
  readonly #live: Rates;
  readonly #services: SpendingServices;
  readonly #quotas: LimitSet;
  readonly #habit: Habit;
  /** Was there a price, for what was reserved, of the target that answered? */
  #hadPrice = false;
  /** When it was reserved, in milliseconds since 1970: what it costs is by the prices of that moment. */
  #at = 0;
  /** What was reserved, if tokens or money had to be. */
  #most: Consumption = { input: 0, output: 0, cost: 0 };
  #prompt: PromptEstimate | null = null;
  #ticket: Ticket | null = null;
  #standings: readonly Standing[] = [];
  /** When they were so. Milliseconds since 1970. */
  #standingsAt = 0;
  /** The quota that was in the way, if one was. */
  refusedBy: string | null = null;

  constructor(spender: Spender, live: Rates, services: SpendingServices) {
    const { principal, asked, model, dialect, body } = spender;
    this.#principal = principal;
    this.#model = model;
    this.#dialect = dialect;
    this.#body = body;
    this.#live = live;
    this.#services = services;
    this.#quotas = principal.limits.forModel(asked, model.name);
    this.#habit = services.estimator.habit(principal.tenant.id, model.label);
  }

  /**
   * Takes what the request may come to, from all its quotas or from none. Throws the ApiError that the client is answered with, or rejects
   * with it: a promise only where the store has to be waited for.
   */
  reserve(id: string): Promise<void> | undefined {
    const { store, wall } = this.#services;
    this.#at = wall();
    if (this.#quotas.reserves) this.#most = this.#estimate();
    const demands = this.#quotas.demands(this.#most);
    const verdict = store.admit({ tenant: this.#principal.tenant.id, id, demands });
    if (verdict instanceof Promise) return this.#awaited(verdict, demands);
    this.#decided(verdict, demands, this.#at);
    return undefined;
  }

  async #awaited(verdict: Promise<Verdict>, demands: readonly Demand[]): Promise<void> {
    let decided: Verdict;
    try {
      decided = await verdict;
    } catch (error) {
      if (!(error instanceof StateUnavailable)) throw error;
      throw storeAway(QUOTAS_AWAY);
    }
    this.#decided(decided, demands, this.#services.wall());
  }

  #decided(verdict: Verdict, demands: readonly Demand[], now: number): void {
    this.#standings = verdict.standings;
    this.#standingsAt = now;
    if (verdict.kind === 'refused') throw this.#refusal(demands);
    this.#ticket = verdict.ticket;
  }

  #refusal(demands: readonly Demand[]): ApiError {
    const { wall, refused } = this.#services;
    const { tenant } = this.#principal;
    const maximum = DIALECTS[this.#dialect].maximum ?? 'max_completion_tokens';
    const isNamed = namesMaximum(this.#body) || this.#model.overrides.every(namesMaximum);
    const assumed = isNamed ? null : this.#live.outputTokens;
    const asked = { quotas: this.#quotas, demands, standings: this.#standings };
    const { error, limit } = refusal(asked, { wall: wall(), assumed, maximum });
    this.refusedBy = labelOf(limit);
    refused(tenant.id, limit);
    return error;
  }

  /** May this request be sent to that target? */
  mayCall(target: TargetSettings): boolean {
    return !this.#quotas.needsPrices || this.#hasPrice(target);
  }

  #hasPrice({ provider, model }: TargetSettings): boolean {
    const { input, output } = this.#most;
    return this.#live.prices.find(provider, model)?.most(input, output, this.#at) != null;
  }

  /** The most that the request may cost there, in nanodollars; null: nobody knows. */
  mayCost({ provider, model }: TargetSettings): number | null {
    const { input, output } = this.mayTake();
    return this.#live.prices.find(provider, model)?.most(input, output, this.#at) ?? null;
  }

  /** The most tokens that a try may come to. */
  mayTake(): { input: number; output: number } {
    return this.#most.input > 0 ? this.#most : this.#estimate();
  }

  /** Dollars by usage, for what a stream says of itself. */
  priceOf(target: TargetSettings): (usage: Usage) => number | null {
    return (usage) => {
      // Nobody's prompt is nothing: what it took is not known yet.
      const cost = usage.input === 0 ? null : this.#cost(target, usage);
      return cost === null ? null : cost / NANODOLLARS;
    };
  }

  /**
   * What an answer took: by the upstream's word, or by what passed where it gave none, or nought for something.
   */
  spent(target: TargetSettings, { reported, surely, passed, whole }: Told): Spent {
    const { estimator } = this.#services;
    this.#hadPrice = this.#quotas.boundsMoney && this.#hasPrice(target);
    const mayBeNought = surely || !this.#writes();
    if (reported !== null && whole && reported.input > 0 && (reported.output > 0 || mayBeNought)) {
      if (this.#prompt !== null) {
        estimator.learn(this.#habit, this.#prompt.tokens, reported.input, this.#prompt.media);
      }
      return this.#spentOn(target, reported, false);
    }
    const known = reported ?? NO_USAGE;
    const counted = estimator.outputTokens(this.#habit, passed().characters);
    const input = known.input > 0 ? known.input : this.promptTokens();
    const output = known.output > 0 && whole ? known.output : Math.max(known.output, counted);
    const usage = { ...known, input, output };
    const estimated = input !== known.input || output !== known.output;
    return this.#spentOn(target, usage, estimated);
  }

  #spentOn(target: TargetSettings, usage: Usage, estimated: boolean): Spent {
    const { cost, cacheSaved } = this.priced(target, usage);
    return cacheSaved === undefined ? { usage, estimated, cost } : { usage, estimated, cost, cacheSaved };
  }

  /** Tokens of output, of which nobody but us has counted them. */
  outputTokens({ characters }: Output): number {
    return this.#services.estimator.outputTokens(this.#habit, characters);
  }

  /** What that many tokens cost there, in nanodollars. */
  priced(target: TargetSettings, usage: Usage): Pick<Spent, 'cost' | 'cacheSaved'> {
    const cost = this.#cost(target, usage);
    if (usage.cached <= 0 && usage.cacheWrite <= 0) return { cost };
    const saved = this.#live.prices.find(target.provider, target.model)?.cacheSaved(usage, this.#at);
    return saved == null ? { cost } : { cost, cacheSaved: saved };
  }

  /** Takes note of what a whole stream reported for what passed: so are those counted that report nothing. */
  learnFrom(passed: Output, reported: Usage): void {
    this.#services.estimator.learnAnswer(this.#habit, passed, reported);
  }

  /**
   * Writes `x-ratelimit-*` into headers: each trio from the quota of its kind with the least left. What the request turned out to take
   * shows already, where that is known; till then all that it holds counts.
   */
  writeHeaders(into: Headers, spent: Spent | 'nothing' | 'unknown'): void {
    const quotas = this.#quotas;
    if (quotas.told.length === 0 || this.#ticket === null) return;
    let taken: Consumption | null = null;
    if (spent !== 'unknown') taken = spent === 'nothing' ? NOTHING : consumptionOf(spent);
    const asked = { quotas, demands: this.#ticket.demands, standings: this.#standings };
    writeRateLimits(into, asked, this.#services.wall() - this.#standingsAt, taken);
  }

  /** Books the request: what it took (null: nothing answered it), and every try for the operator. At most once; the store does it in the background. */
  settle(spent: Spent | null, target: string | null, tries: readonly TryRecord[]): void {
    const ticket = this.#ticket;
    if (ticket === null) return;
    this.#ticket = null;
    const { key } = this.#principal;
    const ledger = ledgerRows({ key, model: this.#model, spent, answered: target, tries });
    this.#services.store.settle({ ticket, used: this.#used(ticket, spent), ledger });
  }

  /** What an answer takes of each quota. */
  #used({ demands }: Ticket, spent: Spent | null): number[] {
    const { rules } = this.#quotas;
    return demands.map((demand, place) => {
      const rule = rules[place] as DimensionRule;
      return spent === null || rule.booking !== 'reserve' ? 0 : this.#charge(demand, rule, spent);
    });
  }

  #charge({ limit, amount }: Demand, rule: DimensionRule, spent: Spent): number {
    // It was let in for what it might cost, and turned out to be longer than there are prices for: it is not free for that.
    return limit.of === 'usd' && spent.cost === null && this.#hadPrice
      ? amount
      : rule.amount(consumptionOf(spent));
  }

  /** What the request may come to, whichever of its model's targets answers. */
  #estimate(): Consumption {
    const model = this.#model;
    const input = this.promptTokens();
    let output = 0;
    if (this.#writes()) {
      for (const overrides of model.overrides) {
        output = Math.max(output, maxOutput(this.#body, this.#live.outputTokens, overrides));
      }
    }
    let cost = 0;
    if (this.#quotas.boundsMoney) {
      for (const price of model.prices) {
        cost = Math.max(cost, price.most(input, output, this.#at) ?? 0);
      }
    }
    return { input, output, cost };
  }

  /** Is there text to be written? */
  #writes(): boolean {
    return this.#dialect !== 'embeddings' && this.#dialect !== 'count_tokens';
  }

  /** Nothing will be reserved any more, nor told of quotas: what is still to be known of the request's body is found out, and the body let go of. */
  letGoOfBody(): void {
    this.promptTokens();
    this.#body = NO_BODY;
    this.#standings = NO_STANDINGS;
  }

  /** Tokens of the prompt, as estimated. */
  promptTokens(): number {
    this.#prompt ??= estimatePrompt(this.#body);
    return this.#services.estimator.corrected(this.#habit, this.#prompt.tokens);
  }

  #cost(target: TargetSettings, usage: Usage): number | null {
    const price: ModelPrice | null = this.#live.prices.find(target.provider, target.model);
    return price === null ? null : price.cost(usage, this.#at);
  }
}

const NO_BODY: JsonObject = {};
const NO_STANDINGS: readonly Standing[] = [];
const NO_USAGE: Usage = { input: 0, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };

function consumptionOf({ usage, cost }: Spent): Consumption {
  return { input: usage.input, output: usage.output, cost };
}
