import type { Clock, Timer } from '../../core/clock.ts';
import type { StateClient } from '../../state/client.ts';
import { StateUnavailable } from '../../state/unavailable.ts';
import { dayOf, type LedgerRow } from '../ledger.ts';
import type { Limit } from '../limits.ts';
import type { Admission, QuotaStore, Settlement, Standing, Ticket, Verdict } from '../store.ts';
import { Account } from './account.ts';
import { DayIndex } from './day-index.ts';
import { Keys } from './keys.ts';
import { rowsOf } from './rows.ts';
import { SCRIPTS } from './scripts.ts';
import type { Shared } from './shared.ts';

export interface RedisStoreOptions {
  client: StateClient;
  keyPrefix: string;
  /** Names this process' life: random, so that no other, before or after it, has the same. */
  gateway: string;
  clock: Clock;
  /** How long one command may take. Milliseconds. */
  commandTimeout: number;
  /** How long usage is kept. Days. */
  ledgerDays: number;
  /** Told of what goes wrong though Redis is there: an answer that is an error, say. */
  onFault(error: unknown): void;
  /** For tests: the time to go by instead of Redis' own. Milliseconds since 1970. */
  time?: () => number;
}

const DAY = 86_400_000;

/** How often leases and leftovers are looked after, as long as there are any. Milliseconds. */
const TICK = 5_000;

/** Hashes read at the same time. */
const READERS = 32;

/** Made in this process so far. */
let stores = 0;

/** Counts in Redis, for all gateways together: see `scripts.ts` for how, and `account.ts` for what is under way. */
export class RedisStore implements QuotaStore {
  /** What it is called in Redis: numbers of batches begin anew with every store, so no two may share a name. */
  readonly name: string;
  readonly #shared: Shared;
  readonly #accounts = new Map<string, Account>();
  /** Admitted without any demand, and not yet settled: when. */
  readonly #undemanding = new Map<string, number>();
  /** Accounts with something to be sent at the end of this turn, together with what else comes in it. */
  readonly #toSend = new Set<Account>();
  #sender: NodeJS.Immediate | null = null;
  #ticker: Timer | null = null;
  readonly #stopListening: () => void;
  #closed = false;

  constructor(options: RedisStoreOptions) {
    const { client, clock, gateway, ledgerDays, commandTimeout, time } = options;
    stores += 1;
    this.name = `${gateway}.${stores}`;
    const keys = new Keys(options.keyPrefix);
    const now = (key?: string) => Math.floor(time?.() ?? client.time(key));
    let batches = 0;
    this.#shared = {
      client,
      clock,
      keys,
      index: new DayIndex(client, clock, keys, ledgerDays),
      gateway: this.name,
      ledgerDays,
      commandTimeout,
      time: now,
      handed: time === undefined ? () => '' : () => `${now()}`,
      nextNumber: () => ++batches,
      onFault: (error) => options.onFault(error),
      asUnavailable: (error) => {
        if (error instanceof StateUnavailable) return error;
        options.onFault(error);
        return new StateUnavailable('Redis answers with errors', { cause: error });
      },
    };
    this.#stopListening = client.onChange(({ up }) => this.#changed(up));
  }

  admit(admission: Admission): Promise<Verdict> {
    const { tenant, id, demands } = admission;
    const { client, time } = this.#shared;
    const account = this.#accountOf(tenant);
    const [key] = account.keys;
    // There is nothing to be asked, and nothing is held: it is settled for its ledger's sake alone.
    if (demands.length === 0) {
      const at = this.#undemanding.get(id) ?? time(key);
      this.#undemanding.set(id, at);
      return Promise.resolve({
        kind: 'admitted',
        standings: [],
        ticket: { tenant, id, at, demands, held: true },
      });
    }
    if (this.#closed || !client.isUp(key)) return Promise.reject(new StateUnavailable('Redis is away'));
    const { isOwing } = account;
    const verdict = this.#ask(account, admission);
    return isOwing ? this.#afterSettling(account, admission, verdict) : verdict;
  }

  settle(settlement: Settlement): void {
    const { ticket } = settlement;
    const account = this.#accountOf(ticket.tenant);
    if (!this.#isFirst(ticket, account)) return;
    account.settle(settlement);
    this.#sendSoon(account);
  }

  async standings(tenant: string, limits: readonly Limit[]): Promise<Standing[]> {
    if (limits.length === 0) return [];
    const { client, keys, handed } = this.#shared;
    const args = [handed(), ...limits.map(({ id }) => id)];
    const asked = client.run(SCRIPTS.standings, [keys.counters(tenant), keys.leases(tenant)], args);
    const numbers = (await this.#answer(asked)) as number[];
    return limits.map(({ per }, i) => {
      const [used = 0, reserved = 0, resetsIn = 0] = numbers.slice(3 * i, 3 * i + 3);
      return { used, reserved, roomIn: 0, resetsIn: per === null ? null : resetsIn };
    });
  }

  async ledger(days: readonly string[], tenant: string | null): Promise<LedgerRow[]> {
    const { index, time, ledgerDays } = this.#shared;
    const oldest = dayOf(time() - ledgerDays * DAY);
    const rows: LedgerRow[] = [];
    for (const day of new Set(days)) {
      if (day < oldest) continue;
      const tenants = tenant === null ? await this.#answer(index.tenants(day)) : [tenant];
      for (let i = 0; i < tenants.length; i += READERS) {
        const some = tenants.slice(i, i + READERS).map((one) => this.#rows(day, one));
        rows.push(...(await Promise.all(some)).flat());
      }
    }
    return rows;
  }

  async flush(tenant: string | null): Promise<boolean> {
    this.#send();
    const accounts = tenant === null ? [...this.#accounts.values()] : [this.#accounts.get(tenant)];
    const applied = await Promise.all(accounts.map((account) => account?.flush() ?? true));
    return applied.every((all) => all);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening();
    this.#ticker?.cancel();
    if (this.#sender !== null) clearImmediate(this.#sender);
    for (const account of this.#accounts.values()) account.close();
    this.#accounts.clear();
  }

  #ask(account: Account, admission: Admission): Promise<Verdict> {
    const verdict = account.admissions.ask(admission);
    this.#sendSoon(account);
    return verdict;
  }

  /**
   * Settlements wait for the batch before them, so that a client that asks as soon as it was answered may come before what its last
   * request held is given back. Nobody is refused for the sake of that: they ask again after it.
   */
  async #afterSettling(account: Account, admission: Admission, asked: Promise<Verdict>): Promise<Verdict> {
    const verdict = await asked;
    if (verdict.kind === 'admitted' || !(await account.flush())) return verdict;
    return this.#ask(account, admission).catch(() => verdict);
  }

  /** Settles a ticket as far as its being settled twice goes. False for the second time. */
  #isFirst(ticket: Ticket, account: Account): boolean {
    if (ticket.held)
      return ticket.demands.length > 0 ? account.drops(ticket.id) : this.#undemanding.delete(ticket.id);
    if (ticket.settled === true) return false;
    ticket.settled = true;
    return true;
  }

  async #rows(day: string, tenant: string): Promise<LedgerRow[]> {
    const { client, keys } = this.#shared;
    return rowsOf(day, tenant, await this.#answer(client.command('HGETALL', keys.usage(tenant, day))));
  }

  /** Rejects with StateUnavailable, whatever goes wrong. */
  async #answer<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      throw this.#shared.asUnavailable(error);
    }
  }

  #accountOf(tenant: string): Account {
    const known = this.#accounts.get(tenant);
    if (known !== undefined) return known;
    const made = new Account(tenant, this.#shared);
    this.#accounts.set(tenant, made);
    if (!this.#closed) this.#ticker ??= this.#shared.clock.schedule(TICK, () => this.#tick());
    return made;
  }

  #sendSoon(account: Account): void {
    this.#toSend.add(account);
    this.#sender ??= setImmediate(() => this.#send());
  }

  /** All that came in this turn, of all accounts, leaves in one write to each node. */
  #send(): void {
    this.#sender = null;
    for (const account of this.#toSend) {
      // In this order: what has ended makes room for what begins.
      account.send();
      account.admissions.send();
    }
    this.#toSend.clear();
  }

  #tick(): void {
    for (const [tenant, account] of this.#accounts) {
      account.tick();
      if (account.isIdle) this.#accounts.delete(tenant);
    }
    this.#ticker = this.#accounts.size === 0 ? null : this.#shared.clock.schedule(TICK, () => this.#tick());
  }

  #changed(up: boolean): void {
    for (const account of this.#accounts.values()) {
      // Back: what waits is sent at once. Gone: nobody waits for what it would take.
      if (up) account.send();
      else if (!this.#shared.client.isUp(account.keys[0])) account.release();
    }
  }
}
