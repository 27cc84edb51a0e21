import type { Clock } from '../core/clock.ts';
import type { ProviderLimits } from '../providers/settings.ts';
import { DIMENSIONS } from '../quota/dimensions.ts';
import type { Limit } from '../quota/limits.ts';
import type { Period } from '../quota/periods.ts';
import type { Demand, QuotaStore, Standing, Ticket, Verdict } from '../quota/store.ts';
import { StateUnavailable } from '../state/unavailable.ts';

/** Tokens, of the prompt and of the answer. */
export interface TokenCount {
  input: number;
  output: number;
}

/** What one try holds of its provider's limits. */
export interface Place {
  /**
   * The try is over. `used`: what it took, by the provider's word or else as estimated; null: nothing answered it, so its tokens are
   * given back, and its count stays. Later calls do nothing.
   */
  leave(used: TokenCount | null): void;
}

/** There is no room for a try now. */
export interface NoRoom {
  /** Until there may be; null: there never will be, the try is larger than the limit. Milliseconds. */
  fullForMs: number | null;
  /** In words, such as "its provider is at its limit of 500 requests per minute". */
  why: string;
}

/**
 * Once the store has said that a provider is full, it is taken to be for this long at most without asking again. A count that was lost, a
 * limit that another gateway knows better, or tokens that others gave back show after no more than that. Milliseconds.
 */
const BELIEVED = 250;

/** When one of the tries under way at a time will be over, nobody knows; worth a look. Milliseconds. */
const NEXT_PLACE = 1000;

/** What the store has said: no try that takes so many tokens fits before then. */
interface Known {
  /** On the clock's time. */
  readonly until: number;
  readonly askedAgainFrom: number;
  /** Nothing less than this; 0: no try at all. */
  readonly tokens: number;
  readonly why: string;
}

/** What a provider is called where quotas are counted. No tenant can be: their ids have no `@`. */
export function accountOf(provider: string): string {
  return `@${provider}`;
}

/**
 * Holds one provider to its `limits`, over all its keys and models and, through a store in Redis, over all gateways: by the same
 * counters that hold tenants to their quotas, with the same leases. Each try takes a place of its own.
 *
 * Made anew when a configuration is loaded. What was counted stays, as long as a rate is still per the same stretch of time: counters
 * go by what they count and per what, not by how high the limit is.
 */
export class ProviderLimiter {
  readonly #store: QuotaStore;
  readonly #clock: Pick<Clock, 'now'>;
  readonly #account: string;
  readonly #limits: readonly Limit[];
  #known: Known | null = null;

  constructor(
    store: QuotaStore,
    { provider, limits, clock }: { provider: string; limits: ProviderLimits; clock: Pick<Clock, 'now'> },
  ) {
    this.#store = store;
    this.#clock = clock;
    this.#account = accountOf(provider);
    const { requests, tokens, concurrent } = limits;
    this.#limits = [
      ...(requests === null ? [] : [limitOf('requests', requests.per, requests.limit)]),
      ...(tokens === null ? [] : [limitOf('tokens', tokens.per, tokens.limit)]),
      ...(concurrent === null ? [] : [limitOf('concurrent', null, concurrent)]),
    ];
  }

  /** Is there a limit of tokens? Otherwise nobody need estimate any. */
  get countsTokens(): boolean {
    return this.#limits.some(({ of }) => of === 'tokens');
  }

  /**
   * Is it known, without asking, that a try such as the last one refused does not fit now? For choosing among targets: whether there is
   * room only `enter` can say.
   */
  get isFull(): boolean {
    return this.#known !== null && this.#clock.now() < this.#known.askedAgainFrom;
  }

  /**
   * Takes what one try may come to. `id`: ours, never given twice. Takes one round trip, or where it is refused while something was being
   * settled, some more, none longer than the store's own timeout; whoever has been cancelled meanwhile leaves the place again.
   */
  async enter(want: TokenCount, id: string): Promise<Place | NoRoom> {
    const tokens = sum(want);
    const known = this.#knownFor(tokens);
    if (known !== null) return known;
    const demands = this.#limits.map((limit): Demand => ({ limit, amount: amountOf(limit, tokens) }));
    const tooLarge = demands.find(({ limit, amount }) => amount > limit.max);
    if (tooLarge !== undefined) return neverFits(tooLarge);
    let verdict: Verdict;
    try {
      verdict = await this.#store.admit({ tenant: this.#account, id, demands });
    } catch (error) {
      if (!(error instanceof StateUnavailable)) throw error;
      // `on_outage: deny` is about what tenants may use. A provider that is asked too much says so itself.
      return UNCOUNTED;
    }
    if (verdict.kind === 'refused') return this.#learn(demands, verdict.standings);
    return new HeldPlace(this, verdict.ticket);
  }

  /** For places: a try is over. */
  settle(ticket: Ticket, used: TokenCount | null): void {
    const tokens = used === null ? 0 : sum(used);
    this.#store.settle({
      ticket,
      used: ticket.demands.map(({ limit }) => (limit.of === 'tokens' ? tokens : 0)),
      // A ledger is for what tenants used.
      ledger: [],
    });
    // There may be tokens to be had again; requests that were counted stay counted.
    if (this.#known !== null && this.#known.tokens > 0) this.#known = null;
  }

  #knownFor(tokens: number): NoRoom | null {
    const known = this.#known;
    if (known === null || tokens < known.tokens) return null;
    const now = this.#clock.now();
    if (now < known.askedAgainFrom) return { fullForMs: known.until - now, why: known.why };
    this.#known = null;
    return null;
  }

  /** Which of its limits stand in the way, and for how long. */
  #learn(demands: readonly Demand[], standings: readonly Standing[]): NoRoom {
    const now = this.#clock.now();
    let full: { fullForMs: number; why: string } | null = null;
    this.#known = null;
    for (const [i, { limit, amount }] of demands.entries()) {
      const { roomIn } = standings[i] as Standing;
      if (roomIn === 0) continue;
      const fullForMs = roomIn ?? NEXT_PLACE;
      const why = `its provider is at its limit of ${describe(limit)}`;
      if (full === null || fullForMs > full.fullForMs) full = { fullForMs, why };
      if (roomIn === null) continue;
      // Requests come first, and say it of every try.
      this.#known ??= {
        until: now + roomIn,
        askedAgainFrom: now + Math.min(roomIn, BELIEVED),
        tokens: limit.of === 'tokens' ? amount : 0,
        why,
      };
    }
    if (full === null) throw new Error('refused, though every demand fits');
    return full;
  }
}

class HeldPlace implements Place {
  readonly #limiter: ProviderLimiter;
  #ticket: Ticket | null;

  constructor(limiter: ProviderLimiter, ticket: Ticket) {
    this.#limiter = limiter;
    this.#ticket = ticket;
  }

  leave(used: TokenCount | null): void {
    const ticket = this.#ticket;
    this.#ticket = null;
    if (ticket !== null) this.#limiter.settle(ticket, used);
  }
}

/** Of a try that nobody could count. */
const UNCOUNTED: Place = { leave: () => {} };

function limitOf(of: 'requests' | 'tokens' | 'concurrent', per: Period | null, max: number): Limit {
  const id = per === null ? `provider/${of}` : `provider/${of}/${per}`;
  return { id, of, per, scope: 'tenant', models: null, max };
}

function amountOf({ of }: Limit, tokens: number): number {
  return of === 'tokens' ? tokens : 1;
}

/** Whole, and nothing that a provider reports makes it less than nothing or not a number. */
function sum({ input, output }: TokenCount): number {
  return Math.min(counted(input) + counted(output), Number.MAX_SAFE_INTEGER);
}

function counted(tokens: number): number {
  return tokens > 0 ? Math.ceil(tokens) : 0;
}

/** "500 requests per minute". */
function describe({ of, per, max }: Limit): string {
  const { words } = DIMENSIONS[of];
  return `${max} ${max === 1 ? words.replace(/s\b/, '') : words}${per === null ? '' : ` per ${per}`}`;
}

function neverFits({ limit, amount }: Demand): NoRoom {
  const why = `it may take ${amount} tokens, which its provider's limit of ${describe(limit)} never admits`;
  return { fullForMs: null, why };
}
