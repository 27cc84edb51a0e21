import { Counter } from './counter.ts';
import { DIMENSIONS } from './dimensions.ts';
import type { LedgerRow } from './ledger.ts';
import type { Limit } from './limits.ts';
import { MemoryLedger } from './memory-ledger.ts';
import type { Admission, Demand, QuotaStore, Settlement, Standing, Ticket, Verdict } from './store.ts';

/** What is kept of one tenant. */
interface Account {
  /** By the limit's id. */
  counters: Map<string, Counter>;
  /** By the request's id: admitted here and not yet settled. */
  held: Map<string, Ticket>;
}

/**
 * Counters looked at, so as to drop empty ones, for each call and for each counter that is made: with more than one, what is left
 * lying stays below twice what is in use.
 */
const TIDIED = 2;

/**
 * Counts in this process, for it alone; a restart forgets everything. How high a limit is, is read from the one handed in with each
 * call: it may be another one each time.
 */
export class MemoryStore implements QuotaStore {
  /** Milliseconds since 1970. May be set back. */
  readonly #wall: () => number;
  readonly #accounts = new Map<string, Account>();
  readonly #ledger: MemoryLedger;
  /** Tickets of others that have been booked. */
  readonly #booked = new WeakSet<Ticket>();
  readonly #tidier: Iterator<void>;
  /** Counters to look at before the next call. */
  #toTidy = 0;

  constructor({ wall, ledgerDays }: { wall(): number; ledgerDays: number }) {
    this.#wall = wall;
    this.#ledger = new MemoryLedger(ledgerDays);
    this.#tidier = this.#tidyForEver();
  }

  async admit({ tenant, id, demands }: Admission): Promise<Verdict> {
    this.#tidy();
    const account = this.#accountOf(tenant);
    const counters = demands.map(({ limit }) => this.#counterOf(account, limit));
    // One time for all of them, so that the ticket's is the one that each amount was booked by.
    const at = counters.reduce((latest, counter) => counter.timeAt(latest), this.#wall());
    const known = account.held.get(id);
    if (known !== undefined) return { kind: 'admitted', standings: allOf(counters, at), ticket: known };
    if (!fits(counters, demands, at)) return { kind: 'refused', standings: allOf(counters, at, demands) };
    for (const [i, { limit, amount }] of demands.entries()) {
      if (DIMENSIONS[limit.of].booking === 'count') counters[i]?.charge(amount, at);
      else counters[i]?.reserve(amount, at);
    }
    const ticket: Ticket = { tenant, id, at, demands, held: true };
    account.held.set(id, ticket);
    return { kind: 'admitted', standings: allOf(counters, at), ticket };
  }

  settle({ ticket, used, ledger }: Settlement): void {
    this.#tidy();
    if (!this.#isFirst(ticket)) return;
    const now = this.#wall();
    const account = this.#accountOf(ticket.tenant);
    for (const [i, { limit, amount }] of ticket.demands.entries()) {
      const { booking } = DIMENSIONS[limit.of];
      const charged =
        booking === 'reserve' ? (used[i] ?? 0) : booking === 'count' && !ticket.held ? amount : 0;
      const counter = charged > 0 ? this.#counterOf(account, limit) : account.counters.get(limit.id);
      if (counter === undefined) continue;
      // A ticket by another clock must not take the counter into the future.
      const at = Math.min(ticket.at, counter.timeAt(now));
      if (ticket.held && booking !== 'count') counter.release(amount, at);
      counter.charge(charged, at);
    }
    this.#ledger.add(ticket.tenant, ledger, ticket.at, now);
  }

  async standings(tenant: string, limits: readonly Limit[]): Promise<Standing[]> {
    const counters = this.#accounts.get(tenant)?.counters;
    const now = this.#wall();
    return limits.map(({ id, per }) => {
      const counter = counters?.get(id) ?? new Counter(per);
      return standingOf(counter, 0, counter.timeAt(now));
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
    this.#accounts.get(tenant)?.counters.delete(id);
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
    for (const { counters } of this.#accounts.values()) size += counters.size;
    return size;
  }

  /** Settles a ticket as far as its being settled twice goes. False for the second time. */
  #isFirst(ticket: Ticket): boolean {
    if (ticket.held) return this.#accounts.get(ticket.tenant)?.held.delete(ticket.id) ?? false;
    if (this.#booked.has(ticket)) return false;
    this.#booked.add(ticket);
    return true;
  }

  #accountOf(tenant: string): Account {
    const known = this.#accounts.get(tenant);
    if (known !== undefined) return known;
    const made: Account = { counters: new Map(), held: new Map() };
    this.#accounts.set(tenant, made);
    return made;
  }

  #counterOf({ counters }: Account, { id, per }: Limit): Counter {
    const known = counters.get(id);
    if (known !== undefined) return known;
    const made = new Counter(per);
    counters.set(id, made);
    this.#toTidy += TIDIED;
    return made;
  }

  /** Before anything is looked up, since it drops what is looked up. */
  #tidy(): void {
    for (this.#toTidy += TIDIED; this.#toTidy > 0; this.#toTidy--) this.#tidier.next();
  }

  /** Goes round and round over all counters, one at a step, with the calls of others as its only clock. */
  *#tidyForEver(): Generator<void, never> {
    for (;;) {
      for (const [tenant, { counters, held }] of this.#accounts) {
        for (const [id, counter] of counters) {
          if (counter.total(counter.timeAt(this.#wall())) === 0) counters.delete(id);
          yield;
        }
        if (counters.size === 0 && held.size === 0) this.#accounts.delete(tenant);
        yield;
      }
      yield;
    }
  }
}

function fits(counters: readonly Counter[], demands: readonly Demand[], now: number): boolean {
  return demands.every(({ limit, amount }, i) => (counters[i]?.total(now) ?? 0) + amount <= limit.max);
}

/** `refused`: the demands that there was no room for. */
function allOf(counters: readonly Counter[], now: number, refused: readonly Demand[] = []): Standing[] {
  return counters.map((counter, i) => {
    const demand = refused[i];
    const roomIn = demand === undefined ? 0 : counter.roomIn(demand.amount, demand.limit.max, now);
    return standingOf(counter, roomIn, now);
  });
}

function standingOf(counter: Counter, roomIn: number | null, now: number): Standing {
  return {
    used: counter.used(now),
    reserved: counter.reserved(now),
    roomIn,
    resetsIn: counter.resetsIn(now),
  };
}
