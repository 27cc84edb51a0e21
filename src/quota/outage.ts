import type { StateClient } from '../state/client.ts';
import type { StateSettings } from '../state/settings.ts';
import { StateUnavailable } from '../state/unavailable.ts';
import { Counter } from './counter.ts';
import { DIMENSIONS } from './dimensions.ts';
import type { LedgerRow } from './ledger.ts';
import type { Limit } from './limits.ts';
import { MemoryStore } from './memory-store.ts';
import { KnownAccount } from './outage-known.ts';
import type { ModeChange } from './outage-mode.ts';
import { Recent } from './outage-recent.ts';
import type { Admission, Demand, QuotaStore, Settlement, Standing, Verdict } from './store.ts';

export interface OutageOptions {
  /** What is away at times. It says so at once, but for the first call, which takes `command_timeout` to find out. */
  redis: QuotaStore;
  client: Pick<StateClient, 'time' | 'onChange'>;
  mode: StateSettings['onOutage'];
  /** Gateways seen alive, this one included. */
  alive(): number;
  /** Called when a node goes away or is back: for the log and the metrics. */
  onMode(change: ModeChange): void;
}

/** Tenants whose last standings are remembered; more only where so many have requests under way. */
const TENANTS = 5_000;

/** What a client is told to wait that is refused for the share's sake alone: nobody knows for how long Redis is away. Milliseconds. */
const TRY_AGAIN = 1_000;

/**
 * Redis, and what is done instead while it is away (`on_outage`). Each call is decided by itself: in a cluster only the tenants on
 * the node that failed are affected, and the first call that Redis answers is Redis' again.
 *
 * - `deny`: what has quotas rejects with StateUnavailable.
 * - `allow`: all are admitted. They are counted all the same, so that whoever asks is told what is known here.
 * - `local`: this process lets in its share of each limit, that is the limit divided by the gateways that were seen alive. Of what
 *   Redis last said was taken, it counts its share as taken here; so of 10 that are left of 100 a tenant gets a third from each of
 *   three gateways. `concurrent` counts what this process itself has under way, wherever it was let in.
 *
 * What was let in here is charged to Redis when it has ended and Redis is back, once, and booked when it was let in. Until Redis has
 * it and has told what it says then, the next outage goes on counting where the last one ended, rather too much than too little.
 *
 * What `local` cannot promise: that all gateways together keep to the limit. They do as long as all are cut off at once, know of each
 * other, and have heard the same from Redis. They may let in more where
 * - some still reach Redis, and with it all that is left of a limit;
 * - a gateway started during the outage, which knows neither the others nor what was taken; or the tenant had not come to it before;
 * - gateways that came are not yet known to the others (those that went only make the shares too small);
 * - a limit is lower than the number of gateways, each of which lets in one;
 * - the places of `concurrent` were not spread evenly when it began;
 * - Redis is back, and requests let in here are still under way: Redis hears of them when they end.
 * And what a gateway has not written back when it dies is lost.
 */
export class OutageStore implements QuotaStore {
  readonly #redis: QuotaStore;
  readonly #client: OutageOptions['client'];
  readonly #mode: OutageOptions['mode'];
  readonly #alive: () => number;
  readonly #here: MemoryStore;
  readonly #accounts = new Recent<KnownAccount>(TENANTS, ({ inUse }) => inUse);
  readonly #stopListening: () => void;

  constructor({ redis, client, mode, alive, onMode }: OutageOptions) {
    this.#redis = redis;
    this.#client = client;
    this.#mode = mode;
    this.#alive = alive;
    // By Redis' clock, since what is counted here is booked there.
    this.#here = new MemoryStore({ wall: () => Math.floor(client.time()), ledgerDays: 1 });
    this.#stopListening = client.onChange((change) => onMode({ ...change, mode }));
  }

  async admit(admission: Admission): Promise<Verdict> {
    let verdict: Verdict;
    try {
      verdict = await this.#redis.admit(admission);
    } catch (error) {
      if (!(error instanceof StateUnavailable)) throw error;
      return await this.#admitHere(admission, error);
    }
    if (this.#mode !== 'deny' && admission.demands.length > 0) this.#remember(admission, verdict);
    return verdict;
  }

  settle(settlement: Settlement): void {
    const { ticket, used } = settlement;
    const account = this.#accounts.get(ticket.tenant);
    if (ticket.held) account?.ended(settlement);
    else {
      const local = account?.open.get(ticket.id);
      account?.open.delete(ticket.id);
      // The ledger is kept in Redis alone.
      if (local !== undefined) this.#here.settle({ ticket: local, used, ledger: [] });
    }
    this.#redis.settle(settlement);
  }

  async standings(tenant: string, limits: readonly Limit[]): Promise<Standing[]> {
    try {
      return await this.#redis.standings(tenant, limits);
    } catch (error) {
      if (!(error instanceof StateUnavailable) || this.#mode === 'deny') throw error;
      const account = this.#accountOf(tenant);
      const shares = limits.map((limit) => this.#shareOf(tenant, account, limit));
      const standings = await this.#here.standings(tenant, limits);
      return standings.map((standing, i) => inView(standing, shares[i] as Share, undefined));
    }
  }

  /** Rejects while Redis is away: figures of one gateway are not to be taken for the whole. */
  ledger(days: readonly string[], tenant: string | null): Promise<LedgerRow[]> {
    return this.#redis.ledger(days, tenant);
  }

  flush(tenant: string | null): Promise<boolean> {
    return this.#redis.flush(tenant);
  }

  async close(): Promise<void> {
    this.#stopListening();
    await Promise.all([this.#redis.close(), this.#here.close()]);
  }

  async #admitHere({ tenant, id, demands }: Admission, away: StateUnavailable): Promise<Verdict> {
    if (this.#mode === 'deny') throw away;
    const account = this.#accountOf(tenant);
    account.owing = true;
    account.tried++;
    const shares = demands.map(({ limit }) => this.#shareOf(tenant, account, limit));
    const asked = demands.map(({ limit, amount }, i): Demand => {
      return { limit: { ...limit, max: (shares[i] as Share).room }, amount };
    });
    const verdict = await this.#here.admit({ tenant, id, demands: asked });
    const standings = verdict.standings.map((standing, i) => {
      return inView(standing, shares[i] as Share, verdict.kind === 'refused' ? demands[i] : undefined);
    });
    if (verdict.kind === 'refused') return { kind: 'refused', standings };
    account.open.set(id, verdict.ticket);
    // By the clock of the node that it is going to be booked on.
    const at = Math.floor(this.#client.time(`{${tenant}}`));
    return { kind: 'admitted', standings, ticket: { tenant, id, at, demands, held: false } };
  }

  /** What Redis said, for the time when it says nothing any more. */
  #remember({ tenant, demands }: Admission, verdict: Verdict): void {
    const account = this.#accountOf(tenant);
    if (account.owing) this.#askWhetherWritten(tenant, account);
    const admitted = verdict.kind === 'admitted';
    const at = admitted ? verdict.ticket.at : this.#client.time();
    for (let i = 0; i < demands.length; i++) {
      const { limit, amount } = demands[i] as Demand;
      account.told(limit, verdict.standings[i] as Standing, at);
      if (admitted && isPlace(limit)) account.occupied(limit, amount);
    }
  }

  /** Until then what was counted here must not be forgotten: Redis' figures are without it. */
  #askWhetherWritten(tenant: string, account: KnownAccount): void {
    if (account.asking || account.open.size > 0) return;
    account.asking = true;
    const { tried } = account;
    void this.#redis.flush(tenant).then((written) => {
      account.asking = false;
      if (written && account.tried === tried) account.owing = false;
    });
  }

  /** Prepares a limit for being counted here. */
  #shareOf(tenant: string, account: KnownAccount, limit: Limit): Share {
    const known = account.of(limit);
    if (known.whole) {
      this.#here.forget(tenant, limit);
      known.seeds = new Counter(limit.per);
      known.gateways = 0;
      known.whole = false;
    }
    // Never fewer than before: what was given out as a share of that many cannot be taken back.
    known.gateways = this.#mode === 'allow' ? 1 : Math.max(1, known.gateways, this.#alive());
    const { gateways, taken, at, seeds, places } = known;
    const now = seeds.timeAt(this.#client.time());
    const missing = Math.ceil(taken / gateways) - seeds.total(now);
    if (missing > 0) {
      seeds.charge(missing, Math.min(at, now));
      this.#here.seed(tenant, limit, missing, at);
    }
    const seeded = seeds.total(now);
    if (this.#mode === 'allow') {
      return { limit, gives: limit.max, room: Number.MAX_SAFE_INTEGER, places, seeded, taken };
    }
    const gives = shareOf(limit.max, gateways);
    return { limit, gives, room: gives - places, places, seeded, taken };
  }

  #accountOf(tenant: string): KnownAccount {
    const known = this.#accounts.get(tenant);
    if (known !== undefined) return known;
    const made = new KnownAccount();
    this.#accounts.set(tenant, made);
    return made;
  }
}

/** A limit as this process enforces it. */
interface Share {
  limit: Limit;
  /** How much of the limit this process gives out. */
  gives: number;
  /** How much of that may be counted in the store here. */
  room: number;
  /** Of places: those that requests let in by Redis occupy. */
  places: number;
  /** What is counted here of what Redis last said was taken; 0 if that no longer counts. And all of that. */
  seeded: number;
  taken: number;
}

/** At least one, and none of none: where there are more gateways than there is to give, tenants would get nothing from any of them. */
function shareOf(max: number, gateways: number): number {
  return Math.min(max, Math.max(1, Math.floor(max / gateways)));
}

/** `refused`: the demand that the standing is of. */
function inView(standing: Standing, share: Share, refused: Demand | undefined): Standing {
  const { used, reserved, roomIn, resetsIn } = standing;
  return {
    used,
    reserved: reserved + share.places,
    roomIn: refused === undefined ? roomIn : roomInAll(standing, share, refused.amount),
    resetsIn,
    share: share.gives,
  };
}

/** What does not fit the share, but the limit as far as is known here, may fit as soon as Redis is back. */
function roomInAll({ used, reserved, roomIn }: Standing, share: Share, amount: number): number | null {
  const { limit, seeded, taken } = share;
  if (isPlace(limit) || amount > limit.max) return roomIn;
  if (roomIn === null) return TRY_AGAIN;
  const all = used + reserved - seeded + (seeded > 0 ? taken : 0);
  return all + amount <= limit.max ? Math.min(roomIn, TRY_AGAIN) : roomIn;
}

function isPlace({ of }: Limit): boolean {
  return DIMENSIONS[of].booking === 'hold';
}
