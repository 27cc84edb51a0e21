import type { Clock, Timer } from '../../core/clock.ts';
import type { StateClient } from '../../state/client.ts';
import { StateUnavailable } from '../../state/unavailable.ts';
import { DIMENSIONS } from '../dimensions.ts';
import { dayOf, type LedgerRow } from '../ledger.ts';
import type { Limit } from '../limits.ts';
import type { Admission, Demand, QuotaStore, Settlement, Standing, Ticket, Verdict } from '../store.ts';
import { Account } from './account.ts';
import { DayIndex } from './day-index.ts';
import { Keys, numberOf, whole } from './keys.ts';
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
  readonly #commandTimeout: number;
  readonly #accounts = new Map<string, Account>();
  /** Admitted without any demand, and not yet settled: when. */
  readonly #undemanding = new Map<string, number>();
  /** Tickets of others that have been booked. */
  readonly #booked = new WeakSet<Ticket>();
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
    this.#commandTimeout = commandTimeout;
    this.#shared = {
      client,
      clock,
      keys,
      index: new DayIndex(client, clock, keys, ledgerDays),
      gateway: this.name,
      ledgerDays,
      time: now,
      handed: time === undefined ? () => '' : () => `${now()}`,
      nextNumber: () => ++batches,
      onFault: (error) => options.onFault(error),
    };
    this.#stopListening = client.onChange(({ up }) => this.#changed(up));
  }

  async admit({ tenant, id, demands }: Admission): Promise<Verdict> {
    const { client, time } = this.#shared;
    const account = this.#accountOf(tenant);
    const [key] = account.keys;
    // There is nothing to be asked, and nothing is held: it is settled for its ledger's sake alone.
    if (demands.length === 0) {
      const at = this.#undemanding.get(id) ?? time(key);
      this.#undemanding.set(id, at);
      return { kind: 'admitted', standings: [], ticket: { tenant, id, at, demands, held: true } };
    }
    if (this.#closed || !client.isUp(key)) throw new StateUnavailable('Redis is away');
    // Late only if Redis' clock is not what it is taken for: it says what it is, so the second time will do.
    let now = client.time(key);
    for (let tries = 0; tries < 2; tries++) {
      const [kind, at = 0, ...numbers] = await this.#ask(account, id, demands, now);
      if (kind === 1) {
        account.holds(id, at);
        return {
          kind: 'admitted',
          standings: standingsOf(demands, numbers),
          ticket: { tenant, id, at, demands, held: true },
        };
      }
      account.drops(id);
      if (kind === 0) return { kind: 'refused', standings: standingsOf(demands, numbers) };
      account.notRenewed();
      now = at;
    }
    throw new StateUnavailable('Redis does not keep time');
  }

  settle(settlement: Settlement): void {
    const { ticket } = settlement;
    const account = this.#accountOf(ticket.tenant);
    if (!this.#isFirst(ticket, account)) return;
    account.settle(settlement);
    this.#toSend.add(account);
    this.#sender ??= setImmediate(() => this.#send());
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

  /** One try of an admission: see `lua-admit.ts`. `now`: by Redis' own clock. */
  async #ask(account: Account, id: string, demands: readonly Demand[], now: number): Promise<number[]> {
    const { client, gateway, handed, time } = this.#shared;
    // As long as the call lasts, and what `now` may be behind by: after that nobody waits for the answer.
    const notAfter = Math.ceil(now + 2 * this.#commandTimeout);
    account.holds(id, time(account.keys[0]));
    const toRenew = account.toRenew;
    if (toRenew !== null) account.renewed();
    const args: (string | number)[] = [handed(), notAfter, gateway, id, toRenew ?? ''];
    for (const { limit, amount } of demands) {
      const place = DIMENSIONS[limit.of].booking === 'count' ? 1 : 2;
      args.push(limit.id, numberOf(limit.per), limit.max, whole(amount), place);
    }
    try {
      return (await client.run(SCRIPTS.admit, account.keys, args)) as number[];
    } catch (error) {
      account.doubts(id, notAfter);
      if (toRenew !== null) account.notRenewed();
      throw this.#asUnavailable(error);
    }
  }

  /** Settles a ticket as far as its being settled twice goes. False for the second time. */
  #isFirst(ticket: Ticket, account: Account): boolean {
    if (ticket.held)
      return ticket.demands.length > 0 ? account.drops(ticket.id) : this.#undemanding.delete(ticket.id);
    if (this.#booked.has(ticket)) return false;
    this.#booked.add(ticket);
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
      throw this.#asUnavailable(error);
    }
  }

  #asUnavailable(error: unknown): StateUnavailable {
    if (error instanceof StateUnavailable) return error;
    this.#shared.onFault(error);
    return new StateUnavailable('Redis answers with errors', { cause: error });
  }

  #accountOf(tenant: string): Account {
    const known = this.#accounts.get(tenant);
    if (known !== undefined) return known;
    const made = new Account(tenant, this.#shared);
    this.#accounts.set(tenant, made);
    if (!this.#closed) this.#ticker ??= this.#shared.clock.schedule(TICK, () => this.#tick());
    return made;
  }

  #send(): void {
    this.#sender = null;
    for (const account of this.#toSend) account.send();
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

function standingsOf(demands: readonly Demand[], numbers: readonly number[]): Standing[] {
  return demands.map(({ limit }, i) => {
    const at = 4 * i;
    const room = numbers[at + 2] ?? 0;
    return {
      used: numbers[at] ?? 0,
      reserved: numbers[at + 1] ?? 0,
      roomIn: room < 0 ? null : room,
      resetsIn: limit.per === null ? null : (numbers[at + 3] ?? 0),
    };
  });
}
