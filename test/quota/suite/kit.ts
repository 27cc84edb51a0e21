import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { Dimension } from '../../../src/quota/dimensions.ts';
import type { LedgerEntry } from '../../../src/quota/ledger.ts';
import type { Limit } from '../../../src/quota/limits.ts';
import type { Period } from '../../../src/quota/periods.ts';
import type { QuotaStore, Standing, Ticket, Verdict } from '../../../src/quota/store.ts';

/** A store to be tested, with nothing in it. */
export interface Rig {
  store: QuotaStore;
  /** Sets the store's clock, milliseconds since 1970. However far it jumps, gateways that live keep their leases. */
  setTime(ms: number): void | Promise<void>;
  now(): number;
  /** A second gateway on the same state; null for a store that is one process's own. */
  another: (() => Promise<QuotaStore>) | null;
  /** What it is asked again under the same id it takes once: its answers may get lost. Left out: nobody asks it again. */
  isAskedAgain?: true;
  /** Ends a gateway without a word. What it had reserved is given back from `leaseMs` later. */
  crash?(store: QuotaStore): Promise<void>;
  leaseMs?: number;
}

export type OpenRig = (t: TestContext) => Promise<Rig>;

/** The beginning of a part of every period that slides. */
export const NOON = Date.UTC(2026, 10, 22, 12);

export const SECOND = 1_000;
export const MINUTE = 60_000;
export const HOUR = 3_600_000;
export const DAY = 86_400_000;

/** `limit('tokens/minute', 100)`; `models`, if any, tells it apart from others of the kind. */
export function limit(what: string, max: number, models: readonly string[] | null = null): Limit {
  const [of, per] = what.split('/') as [Dimension, Period | undefined];
  const id = `tenant/${what}${models === null ? '' : `/${models.join(',')}`}`;
  return { id, of, per: per ?? null, scope: 'tenant', models: models && new Set(models), max };
}

type Taken = readonly (readonly [Limit, number])[];

let ids = 0;

/** Given only once, whichever store or test asks. */
export function newId(): string {
  ids += 1;
  return `request-${ids}`;
}

/** A rig at a time, and short words for what tests do with it. Everything of tenant `acme`, unless said otherwise. */
export class Desk {
  readonly rig: Rig;
  readonly store: QuotaStore;
  readonly tenant: string;

  constructor(rig: Rig, store = rig.store, tenant = 'acme') {
    this.rig = rig;
    this.store = store;
    this.tenant = tenant;
  }

  static async at(time: number, open: OpenRig, t: TestContext): Promise<Desk> {
    const rig = await open(t);
    await rig.setTime(time);
    return new Desk(rig);
  }

  /** The same rig, asked for another tenant. */
  of(tenant: string): Desk {
    return new Desk(this.rig, this.store, tenant);
  }

  /** The same rig, asked by another gateway. */
  by(store: QuotaStore): Desk {
    return new Desk(this.rig, store, this.tenant);
  }

  async time(ms: number): Promise<void> {
    await this.rig.setTime(ms);
  }

  async ask(demands: Taken, id = newId()): Promise<Verdict> {
    const taken = demands.map(([of, amount]) => ({ limit: of, amount }));
    return this.store.admit({ tenant: this.tenant, id, demands: taken });
  }

  /** Asks, and fails unless it is admitted. */
  async take(...demands: Taken): Promise<Ticket> {
    const verdict = await this.ask(demands);
    assert.ok(verdict.kind === 'admitted', `refused: ${JSON.stringify(verdict.standings)}`);
    return verdict.ticket;
  }

  /** Asks, and fails unless it is refused. */
  async refused(...demands: Taken): Promise<readonly Standing[]> {
    const verdict = await this.ask(demands);
    assert.equal(verdict.kind, 'refused');
    return verdict.standings;
  }

  /** Until it is applied. */
  async settle(
    ticket: Ticket,
    used: readonly number[] = ticket.demands.map(() => 0),
    ledger: readonly LedgerEntry[] = [],
  ): Promise<void> {
    this.store.settle({ ticket, used, ledger });
    assert.equal(await this.store.flush(ticket.tenant), true);
  }

  /** Takes and uses just that: for what is only a preparation. */
  async use(of: Limit, amount: number): Promise<void> {
    await this.settle(await this.take([of, amount]), [of.of === 'requests' ? 0 : amount]);
  }

  async standing(of: Limit): Promise<Standing> {
    const [standing] = await this.store.standings(this.tenant, [of]);
    assert.ok(standing);
    return standing;
  }

  /** `[used, reserved]`. */
  async taken(of: Limit): Promise<[number, number]> {
    const { used, reserved } = await this.standing(of);
    return [used, reserved];
  }
}
