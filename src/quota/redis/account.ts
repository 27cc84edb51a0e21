import type { Timer } from '../../core/clock.ts';
import { StateUnavailable } from '../../state/unavailable.ts';
import type { Settlement } from '../store.ts';
import { Admissions, type Holder } from './admissions.ts';
import { argumentsOf, type Batch, Pending } from './pending.ts';
import { SCRIPTS } from './scripts.ts';
import type { Shared } from './shared.ts';

/** A lease that was not renewed for this long is renewed by the next admission; by the clock itself after half of it. Milliseconds. */
const RENEW = 10_000;

/** A batch that failed is sent again after this, doubled each time up to the most; at once when Redis is back. Milliseconds. */
const RETRY = { first: 100, most: 5_000 };

/** A batch on its way: its number, and how many settlements are applied when it is. */
type Sent = Batch & { number: number; covers: number };

interface Waiter {
  /** Settlements that it waits for. */
  settled: number;
  resolve(applied: boolean): void;
}

/**
 * All that this gateway has under way for one tenant: what it holds, and what is still to be booked. One batch of settlements at a
 * time is on its way; what comes meanwhile goes with the next.
 */
export class Account implements Holder {
  readonly tenant: string;
  /** Of all scripts: the counters, what is held here, who holds anything. */
  readonly keys: readonly [string, string, string];
  readonly admissions: Admissions;
  readonly #shared: Shared;
  /** Admitted, or asked for, and not yet settled: when, by the time that amounts are booked by. */
  readonly #held = new Map<string, number>();
  /** Admissions of which nobody knows whether they happened: until when they could, by Redis' own clock. */
  readonly #doubtful = new Map<string, number>();
  /** They are left alone until then, by the clock. */
  #cancelsFrom = Number.NEGATIVE_INFINITY;
  readonly #pending = new Pending();
  /** Days of ledgers that are written, but could not be noted in the index. */
  readonly #unlisted = new Set<string>();
  /** Sent and not yet answered, or to be sent again. */
  #batch: Sent | null = null;
  #sending = false;
  #failures = 0;
  #retry: Timer | null = null;
  /** In the clock's monotonic milliseconds. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  /** Settlements taken on, and those of them that Redis has. */
  #settled = 0;
  #applied = 0;
  #waiters: Waiter[] = [];
  #closed = false;

  constructor(tenant: string, shared: Shared) {
    const { keys, gateway } = shared;
    this.tenant = tenant;
    this.keys = [keys.counters(tenant), keys.records(tenant, gateway), keys.leases(tenant)];
    this.#shared = shared;
    this.admissions = new Admissions(this, shared);
  }

  /** Is nothing under way, and no lease to be remembered? */
  get isIdle(): boolean {
    return !this.#isBusy && this.#sinceRenewal >= RENEW && this.#waiters.length === 0;
  }

  /** Has anything been settled that Redis is not known to have? */
  get isOwing(): boolean {
    return this.#applied !== this.#settled;
  }

  get #isBusy(): boolean {
    const isOwed = this.#batch !== null || !this.#pending.isEmpty;
    return isOwed || this.#held.size + this.#doubtful.size + this.#unlisted.size > 0;
  }

  get #sinceRenewal(): number {
    return this.#shared.clock.now() - this.#renewedAt;
  }

  /** Is to be told `renewed` or `notRenewed` by whoever was told to renew. When the oldest request was admitted; null = the lease is fresh. */
  get toRenew(): number | null {
    return this.#sinceRenewal >= RENEW ? this.#oldest() : null;
  }

  renewed(): void {
    this.#renewedAt = this.#shared.clock.now();
  }

  notRenewed(): void {
    this.#renewedAt = Number.NEGATIVE_INFINITY;
  }

  /** An admission is about to be asked for, or was given. */
  holds(id: string, at: number): void {
    this.#held.set(id, at);
  }

  /** It was refused, or is about to be settled. False if it was not held. */
  drops(id: string): boolean {
    return this.#held.delete(id);
  }

  /** Whether it was given cannot be known: it is undone when it can no longer happen, at `notAfter` by Redis' own clock. */
  doubts(id: string, notAfter: number): void {
    this.#held.delete(id);
    this.#doubtful.set(id, notAfter);
  }

  /** It goes with the next `send`. */
  settle(settlement: Settlement): void {
    this.#pending.add(settlement);
    if (!this.#pending.isEmpty) this.#settled += 1;
  }

  /** Sends what there is, unless something is on its way. */
  send(): void {
    if (this.#sending || this.#closed) return;
    this.#retry?.cancel();
    this.#retry = null;
    this.#batch ??= this.#next();
    if (this.#batch === null) return;
    if (this.#shared.client.isUp(this.keys[0])) void this.#deliver(this.#batch);
    else this.release();
  }

  /** When all settled so far is applied (true), or Redis is away. */
  flush(): Promise<boolean> {
    if (!this.isOwing) return Promise.resolve(true);
    if (this.#closed || !this.#shared.client.isUp(this.keys[0])) return Promise.resolve(false);
    this.send();
    return new Promise((resolve) => {
      this.#waiters.push({ settled: this.#settled, resolve });
    });
  }

  /** Every now and then: renews the lease, and sends what nothing else sends. */
  tick(): void {
    if (this.#retry === null) this.send();
    for (const day of this.#unlisted) void this.#list(day);
    if (!this.#isBusy || this.#sinceRenewal < RENEW / 2 || !this.#shared.client.isUp(this.keys[0])) return;
    this.renewed();
    const { client, gateway } = this.#shared;
    const args = [this.#shared.handed(), gateway, this.#oldest()];
    client.run(SCRIPTS.renew, this.keys, args).catch((error: unknown) => {
      this.notRenewed();
      this.#report(error);
    });
  }

  /** Nobody is to wait any longer. */
  release(): void {
    for (const { resolve } of this.#waiters.splice(0)) resolve(false);
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.admissions.close();
    this.release();
  }

  #next(): Sent | null {
    const batch = this.#pending.take(this.#overdue());
    if (batch === null) return null;
    const covers = batch.complete ? this.#settled : this.#applied;
    return { ...batch, number: this.#shared.nextNumber(), covers };
  }

  /** Those of the doubtful that can no longer happen. */
  #overdue(): Map<string, number> {
    const overdue = new Map<string, number>();
    const { client, clock } = this.#shared;
    if (this.#doubtful.size === 0 || clock.now() < this.#cancelsFrom) return overdue;
    const now = client.time(this.keys[0]);
    for (const [id, notAfter] of this.#doubtful) if (notAfter < now) overdue.set(id, notAfter);
    return overdue;
  }

  async #deliver(batch: Sent): Promise<void> {
    this.#sending = true;
    let answer: unknown = null;
    let listed = false;
    try {
      const { client, keys, handed, index, ledgerDays } = this.#shared;
      const [counters, records] = this.keys;
      // Before the first lines of a day are written, so that there is no ledger that nobody finds, even if this process dies.
      if (batch.day !== null && !index.has(batch.day, this.tenant)) {
        await this.#list(batch.day);
        listed = true;
      }
      const usage = batch.day === null ? counters : keys.usage(this.tenant, batch.day);
      const args = [handed(), batch.number, ...argumentsOf(batch, ledgerDays)];
      answer = await client.run(SCRIPTS.settle, [counters, records, usage], args);
    } catch (error) {
      this.#report(error);
    }
    this.#sending = false;
    if (this.#closed) return;
    // The first lines of a day, though it was listed long before: Redis has lost the others, and maybe the list.
    if (answer === 2 && batch.day !== null && !listed) void this.#list(batch.day);
    if (answer === 0 || answer === 1 || answer === 2) this.#done(batch);
    else if (answer === -1) this.#tooEarly(batch);
    else this.#again();
  }

  /** Nothing was applied, of no try: so it may become another one. By the clock of this node, it is not yet time to undo anything. */
  #tooEarly(batch: Sent): void {
    this.#cancelsFrom = this.#shared.clock.now() + RETRY.most;
    const { releases, charges, rows } = batch;
    if (releases.length + charges.length + rows.length === 0) this.#batch = null;
    else this.#batch = { ...batch, cancels: [], notBefore: 0 };
    this.send();
  }

  #done(batch: Sent): void {
    this.#batch = null;
    this.#failures = 0;
    for (const id of batch.cancels) this.#doubtful.delete(id);
    this.#applied = batch.covers;
    const waiting = this.#waiters;
    this.#waiters = waiting.filter(({ settled }) => settled > this.#applied);
    for (const { settled, resolve } of waiting) if (settled <= this.#applied) resolve(true);
    this.send();
  }

  #again(): void {
    this.release();
    const wait = Math.min(RETRY.first * 2 ** this.#failures, RETRY.most);
    this.#failures += 1;
    this.#retry = this.#shared.clock.schedule(wait, () => this.send());
  }

  /** Notes a day in the index. Where that cannot be reached the lines do not wait, since limits would wait with them: later, then. */
  async #list(day: string): Promise<void> {
    try {
      await this.#shared.index.add(day, this.tenant, this.#shared.time(this.keys[0]));
      this.#unlisted.delete(day);
    } catch (error) {
      this.#unlisted.add(day);
      this.#report(error);
    }
  }

  #oldest(): number {
    let oldest = this.#shared.time(this.keys[0]);
    for (const at of this.#held.values()) oldest = Math.min(oldest, at);
    return oldest;
  }

  /** That Redis is away is said by others. */
  #report(error: unknown): void {
    if (!this.#closed && !(error instanceof StateUnavailable)) this.#shared.onFault(error);
  }
}
