import type { Principal } from '../auth/keyring.ts';
import { ApiError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { TryRecord } from '../core/outcome.ts';
import { NANODOLLARS, type Spent, type Usage } from '../core/usage.ts';
import { DIALECTS } from '../dialects/dialects.ts';
import type { ModelPrice } from '../pricing/prices.ts';
import type { Dialect } from '../providers/adapter.ts';
import type { Output } from '../providers/openai/output.ts';
import { type Consumption, DIMENSIONS } from '../quota/dimensions.ts';
import { aged, type Counted, rateLimitHeaders } from '../quota/headers.ts';
import { type LedgerEntry, type LedgerSums, noSums } from '../quota/ledger.ts';
import { type Limit, labelOf } from '../quota/limits.ts';
import { refusal } from '../quota/refusal.ts';
import type { Demand, QuotaStore, Standing, Ticket } from '../quota/store.ts';
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

/** Who spends on what. */
export interface Spender {
  principal: Principal;
  model: LiveModel;
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

/** When a gateway that cannot ask its store is worth another try. Milliseconds. */
const STORE_WAIT = 1000;

export function storeAway(): ApiError {
  const message = 'Your quotas cannot be checked now: the store that counts them is away. Try again shortly.';
  return new ApiError('state_unavailable', message, { retryAfterMs: STORE_WAIT });
}

/** What one request takes from its quotas: reserved before the first try, settled once after the last. */
export class Spending {
  readonly #spender: Spender;
  readonly #live: Live;
  readonly #services: SpendingServices;
  readonly #limits: readonly Limit[];
  readonly #habit: Habit;
  /** With a dollar quota and none of tokens, a target without a price would be free. */
  readonly #needsPrice: boolean;
  /** Was there a price, for what was reserved, of the target that answered? */
  #hadPrice = false;
  /** When it came, in milliseconds since 1970: what it costs is by the prices of that moment. */
  readonly #at: number;
  /** What was reserved, if tokens or money had to be. */
  #most: Consumption = { input: 0, output: 0, cost: 0 };
  #prompt: PromptEstimate | null = null;
  #ticket: Ticket | null = null;
  #standings: readonly Standing[] = [];
  /** When they were so. Milliseconds since 1970. */
  #standingsAt = 0;
  /** The quota that was in the way, if one was. */
  refusedBy: string | null = null;

  constructor(spender: Spender, live: Live, services: SpendingServices) {
    this.#spender = spender;
    this.#live = live;
    this.#services = services;
    this.#at = services.wall();
    const { principal, asked, model } = spender;
    this.#limits = principal.limits.forModel(asked, model.name);
    this.#habit = { tenant: principal.tenant.id, model: model.label };
    this.#needsPrice =
      has(this.#limits, 'usd') &&
      !this.#limits.some(({ of }) => DIMENSIONS[of].errorType === 'tokens' && of !== 'usd');
  }

  /** Takes what the request may come to, from all its quotas or from none. Throws the ApiError that the client is answered with. */
  async reserve(id: string): Promise<void> {
    const { store, wall, refused } = this.#services;
    const { tenant } = this.#spender.principal;
    const demands = this.#demands();
    try {
      const verdict = await store.admit({ tenant: tenant.id, id, demands });
      this.#standings = verdict.standings;
      this.#standingsAt = wall();
      if (verdict.kind === 'admitted') {
        this.#ticket = verdict.ticket;
        return;
      }
    } catch (error) {
      if (!(error instanceof StateUnavailable)) throw error;
      throw storeAway();
    }
    const { body, model, dialect } = this.#spender;
    const maximum = DIALECTS[dialect].maximum ?? 'max_completion_tokens';
    const isNamed = namesMaximum(body) || model.overrides.every(namesMaximum);
    const assumed = isNamed ? null : this.#live.outputTokens;
    const { error, limit } = refusal(demands, this.#standings, { wall: wall(), assumed, maximum });
    this.refusedBy = labelOf(limit);
    refused(tenant.id, limit);
    throw error;
  }

  /** May this request be sent to that target? */
  mayCall(target: TargetSettings): boolean {
    return !this.#needsPrice || this.#hasPrice(target);
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
    this.#hadPrice = has(this.#limits, 'usd') && this.#hasPrice(target);
    const mayBeNought = surely || !this.#writes();
    if (reported !== null && whole && reported.input > 0 && (reported.output > 0 || mayBeNought)) {
      if (this.#prompt !== null) {
        estimator.learn(this.#habit, this.#prompt.tokens, reported.input, this.#prompt.media);
      }
      return { usage: reported, estimated: false, ...this.priced(target, reported) };
    }
    const known = reported ?? NO_USAGE;
    const counted = estimator.outputTokens(this.#habit, passed().characters);
    const input = known.input > 0 ? known.input : this.#input();
    const output = known.output > 0 && whole ? known.output : Math.max(known.output, counted);
    const usage = { ...known, input, output };
    const estimated = input !== known.input || output !== known.output;
    return { usage, estimated, ...this.priced(target, usage) };
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

  /** `x-ratelimit-*`. What the request turned out to take shows already, where that is known; till then all that it holds counts. */
  headers(spent: Spent | 'nothing' | 'unknown'): Headers {
    if (this.#ticket === null || this.#standings.length === 0) return {};
    const { demands } = this.#ticket;
    const age = this.#services.wall() - this.#standingsAt;
    const counted = demands.map(({ limit, amount }, index): Counted => {
      const standing = this.#standings[index] as Standing;
      if (spent === 'unknown' || DIMENSIONS[limit.of].booking !== 'reserve') {
        return { limit, standing: aged(standing, age) };
      }
      const used = standing.used + (spent === 'nothing' ? 0 : amountOf(limit, spent));
      const reserved = standing.reserved - amount;
      return { limit, standing: aged({ ...standing, used, reserved }, age) };
    });
    return rateLimitHeaders(counted);
  }

  /** Books the request: what it took (null: nothing answered it), and every try for the operator. At most once; the store does it in the background. */
  settle(spent: Spent | null, target: string | null, tries: readonly TryRecord[]): void {
    const ticket = this.#ticket;
    if (ticket === null) return;
    this.#ticket = null;
    this.#services.store.settle({
      ticket,
      used: ticket.demands.map((demand) => (spent === null ? 0 : this.#charge(demand, spent))),
      ledger: this.#ledger(spent, target, tries),
    });
  }

  /** What an answer takes of one quota. */
  #charge({ limit, amount }: Demand, spent: Spent): number {
    if (DIMENSIONS[limit.of].booking !== 'reserve') return 0;
    // It was let in for what it might cost, and turned out to be longer than there are prices for: it is not free for that.
    return limit.of === 'usd' && spent.cost === null && this.#hadPrice ? amount : amountOf(limit, spent);
  }

  #demands(): Demand[] {
    const needsTokens = this.#limits.some(({ of }) => DIMENSIONS[of].booking === 'reserve');
    if (needsTokens) this.#most = this.#estimate();
    return this.#limits.map((limit) => ({ limit, amount: DIMENSIONS[limit.of].amount(this.#most) }));
  }

  /** What the request may come to, whichever of its model's targets answers. */
  #estimate(): Consumption {
    const { body, model } = this.#spender;
    const input = this.#input();
    let output = 0;
    if (this.#writes()) {
      for (const overrides of model.overrides) {
        output = Math.max(output, maxOutput(body, this.#live.outputTokens, overrides));
      }
    }
    let cost = 0;
    if (has(this.#limits, 'usd')) {
      for (const price of model.prices) {
        cost = Math.max(cost, price.most(input, output, this.#at) ?? 0);
      }
    }
    return { input, output, cost };
  }

  /** Is there text to be written? */
  #writes(): boolean {
    const { dialect } = this.#spender;
    return dialect !== 'embeddings' && dialect !== 'count_tokens';
  }

  /** Tokens of the prompt, as estimated; for one that asks for nothing else. */
  promptTokens(): number {
    return this.#input();
  }

  /** Tokens of the prompt, as estimated. */
  #input(): number {
    this.#prompt ??= estimatePrompt(this.#spender.body);
    return this.#services.estimator.corrected(this.#habit, this.#prompt.tokens);
  }

  #cost(target: TargetSettings, usage: Usage): number | null {
    const price: ModelPrice | null = this.#live.prices.find(target.provider, target.model);
    return price === null ? null : price.cost(usage, this.#at);
  }

  #ledger(spent: Spent | null, answered: string | null, tries: readonly TryRecord[]): LedgerEntry[] {
    const { principal, model } = this.#spender;
    const rows = new Map<string, LedgerSums>();
    const row = (target: string): LedgerSums => {
      // What clients make up is not a row.
      const name = model.direct && target !== NO_TARGET ? model.label : target;
      let sums = rows.get(name);
      if (sums === undefined) {
        sums = noSums();
        rows.set(name, sums);
      }
      return sums;
    };
    for (const { target } of tries) row(target).tries++;
    const sums = row(answered ?? tries.at(-1)?.target ?? NO_TARGET);
    sums.requests++;
    if (spent !== null) {
      for (const { target, ...part } of spent.parts ?? []) book(row(target), part);
      if (spent.parts === undefined) book(sums, spent);
    }
    const key = principal.key ?? '-';
    const name = model.direct ? model.label : model.name;
    return [...rows].map(([target, sums]) => ({ key, model: name, target, sums }));
  }
}

const NO_USAGE: Usage = { input: 0, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };

/** Of the ledger, for a request that was sent nowhere. */
const NO_TARGET = '-';

function book(sums: LedgerSums, { usage, cost }: Pick<Spent, 'usage' | 'cost'>): void {
  sums.input += usage.input;
  sums.output += usage.output;
  sums.cached += usage.cached;
  sums.cacheWrite += usage.cacheWrite;
  sums.reasoning += usage.reasoning;
  if (cost === null) sums.unpriced++;
  else sums.cost += cost;
}

function has(limits: readonly Limit[], of: Limit['of']): boolean {
  return limits.some((limit) => limit.of === of);
}

function amountOf(limit: Limit, { usage, cost }: Spent): number {
  return DIMENSIONS[limit.of].amount({ input: usage.input, output: usage.output, cost });
}
