import { Counter } from './counter.ts';
import { DIMENSIONS } from './dimensions.ts';
import type { LedgerRow } from './ledger.ts';
import type { Limit } from './limits.ts';
import { MemoryLedger } from './memory-ledger.ts';
import type { Admission, Demand, QuotaStore, Settlement, Standing, Verdict } from './store.ts';

/** Of one tenant, by the limit's id. */
type Counters = Map<string, Counter>;

/**
 * Counters and tenants looked at, so as to drop empty ones, for each that is made: with three, what is left lying stays below half of what
 * is in use, but for those of one go.
 */
const TIDIED_BY_MAKING = 3;
/** And for each call: where none are made any more, what is left lying goes all the same. */
const TIDIED_BY_CALL = 1 / 8;
/** So many are looked at in one go: it costs less than now and then one. */
const TIDIED_AT_ONCE = 64;

/**
 * Counts in this process, for it alone; a restart forgets everything. How high a limit is, is read from the one handed in with each
 * call: it may be another one each time.
 */
export class MemoryStore implements QuotaStore {
  /** Milliseconds since 1970. May be set back. */
  readonly #wall: () => number;
  /** By tenant. */
  readonly #accounts = new Map<string, Counters>();
  readonly #ledger: MemoryLedger;
  readonly #tidier: Iterator<'next' | 'round', never>;
  /** How many are to be looked at. */
  #toTidy = 0;
  /** The time by which it is done. */
  #tidiedAt = 0;

  constructor({ wall, ledgerDays }: { wall(): number; ledgerDays: number }) {
    this.#wall = wall;
    this.#ledger = new MemoryLedger(ledgerDays);
    this.#tidier = this.#tidyForEver();
  }

  admit({ tenant, id, demands }: Admission): Verdict {
    this.#tidy();
    const account = this.#accountOf(tenant);
    const counters: Counter[] = [];
    // One time for all of them, so that the ticket's is the one that each amount was booked by.
    let at = this.#wall();
    for (const { limit } of demands) {
      const counter = this.#counterOf(account, limit);
      counters.push(counter);
      at = counter.timeAt(at);
    }
    if (!fits(counters, demands, at)) return { kind: 'refused', standings: allOf(counters, at, demands) };
    for (let i = 0; i < demands.length; i++) {
      const { limit, amount } = demands[i] as Demand;
      if (DIMENSIONS[limit.of].booking === 'count') counters[i]?.charge(amount, at);
      else counters[i]?.reserve(amount, at);
    }
    const ticket = { tenant, id, at, demands, held: true, settled: false };
    return { kind: 'admitted', standings: allOf(counters, at), ticket };
  }

  settle({ ticket, used, ledger }: Settlement): void {
    this.#tidy();
    if (ticket.settled === true) return;
    ticket.settled = true;
    const now = this.#wall();
    const { demands } = ticket;
    const account = this.#accountOf(ticket.tenant);
    for (let i = 0; i < demands.length; i++) {
      const { limit, amount } = demands[i] as Demand;
      const { booking } = DIMENSIONS[limit.of];
      // All of it was taken when it was admitted.
      if (booking === 'count' && ticket.held) continue;
      const charged = booking === 'reserve' ? (used[i] ?? 0) : booking === 'count' ? amount : 0;
      const counter = charged > 0 ? this.#counterOf(account, limit) : account.get(limit.id);
      if (counter === undefined) continue;
      // A ticket by another clock must not take the counter into the future.
      const at = Math.min(ticket.at, counter.timeAt(now));
      if (ticket.held) counter.release(amount, at);
      counter.charge(charged, at);
    }
    this.#ledger.add(ticket.tenant, ledger, ticket.at, now);
  }

  async standings(tenant: string, limits: readonly Limit[]): Promise<Standing[]> {
    const counters = this.#accounts.get(tenant);
    const now = this.#wall();
    return limits.map(({ id, per }) => {
      const counter = counters?.get(id) ?? new Counter(per);
      return counter.standing(0, counter.timeAt(now));
    });
  }

  /**
   * Books what is known to have been used before this store was asked, besides what it has counted itself. `at`: when it was used.
   * `concurrent` is left alone: nobody would give it back.
   */
  seed(tenant: string, limit: Limit, amount: number, at: number): void {
    this.#tidy();
    if (limit.per === null) return;
    const counter = this.#counterOf(this.#accountOf(tenant), limit);
    counter.charge(amount, Math.min(at, counter.timeAt(this.#wall())));
  }

  /** Forgets what was taken of a limit, which nobody must hold anything of. */
  forget(tenant: string, { id }: Limit): void {
    this.#accounts.get(tenant)?.delete(id);
  }

  async ledger(days: readonly string[], tenant: string | null): Promise<LedgerRow[]> {
    return this.#ledger.rows(days, tenant, this.#wall());
  }

  async flush(): Promise<boolean> {
    return true;
  }

  async close(): Promise<void> {
    this.#accounts.clear();
  }

  /** Counters kept, empty ones that are yet to be dropped included. */
  get size(): number {
    let size = 0;
    for (const counters of this.#accounts.values()) size += counters.size;
    return size;
  }

  #accountOf(tenant: string): Counters {
    const known = this.#accounts.get(tenant);
    if (known !== undefined) return known;
    const made: Counters = new Map();
    this.#accounts.set(tenant, made);
    this.#toTidy += TIDIED_BY_MAKING;
    return made;
  }

  #counterOf(counters: Counters, { id, per }: Limit): Counter {
    const known = counters.get(id);
    if (known !== undefined) return known;
    const made = new Counter(per);
    counters.set(id, made);
    this.#toTidy += TIDIED_BY_MAKING;
    return made;
  }

  /** Before anything is looked up, since it drops what is looked up. */
  #tidy(): void {
    this.#toTidy += TIDIED_BY_CALL;
    if (this.#toTidy < TIDIED_AT_ONCE) return;
    this.#tidiedAt = this.#wall();
    // Once round is enough, however few there are.
    for (; this.#toTidy > 0; this.#toTidy--) if (this.#tidier.next().value === 'round') break;
    this.#toTidy = 0;
  }

  /** Goes round and round over all counters, one at a step, with the calls of others as its only clock. */
  *#tidyForEver(): Generator<'next' | 'round', never> {
    for (;;) {
      for (const [tenant, counters] of this.#accounts) {
        for (const [id, counter] of counters) {
          if (counter.total(counter.timeAt(this.#tidiedAt)) === 0) counters.delete(id);
          yield 'next';
        }
        if (counters.size === 0) this.#accounts.delete(tenant);
        yield 'next';
      }
      yield 'round';
    }
  }
}

function fits(counters: readonly Counter[], demands: readonly Demand[], now: number): boolean {
  for (let i = 0; i < demands.length; i++) {
    const { limit, amount } = demands[i] as Demand;
    if ((counters[i] as Counter).total(now) + amount > limit.max) return false;
  }
  return true;
}

/** `refused`: the demands that there was no room for. */
function allOf(counters: readonly Counter[], now: number, refused: readonly Demand[] = []): Standing[] {
  return counters.map((counter, place) => {
    const demand = refused[place];
    const roomIn = demand === undefined ? 0 : counter.roomIn(demand.amount, demand.limit.max, now);
    return counter.standing(roomIn, now);
  });
}
