/** For tests of outages: a network between a gateway and a store that a test cuts, and gateways at its end. */
import assert from 'node:assert/strict';
import type { LedgerEntry, LedgerRow } from '../../src/quota/ledger.ts';
import type { Limit } from '../../src/quota/limits.ts';
import { MemoryStore } from '../../src/quota/memory-store.ts';
import { OutageStore } from '../../src/quota/outage.ts';
import type { ModeChange } from '../../src/quota/outage-mode.ts';
import type { Admission, QuotaStore, Settlement, Standing, Ticket, Verdict } from '../../src/quota/store.ts';
import type { StateChange } from '../../src/state/client.ts';
import type { StateSettings } from '../../src/state/settings.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { NOON, newId } from './suite/kit.ts';

/** What lies between one gateway and the store that all share: cut for all, or for some tenants. */
export class Line {
  readonly #store: QuotaStore;
  readonly #cut = new Set<string>();
  #listeners: ((change: StateChange) => void)[] = [];
  #queue: Settlement[] = [];
  /** What is settled stays in the queue, though the line is not cut. */
  slow = false;
  /** Questions asked over the line, cut or not. */
  asked = 0;
  /** What the answer to `flush` waits for. */
  flushing: Promise<void> = Promise.resolve();
  /** What is answered instead, if anything. */
  fault: Error | null = null;

  constructor(store: QuotaStore) {
    this.#store = store;
  }

  get queued(): number {
    return this.#queue.length;
  }

  isUp(key: string): boolean {
    return !this.#cut.has('*') && !this.#cut.has(/\{(.*)\}/.exec(key)?.[1] ?? '');
  }

  onChange(listener: (change: StateChange) => void): () => void {
    this.#listeners.push(listener);
    return () => {
      this.#listeners = this.#listeners.filter((one) => one !== listener);
    };
  }

  /** `*`: for all. */
  cut(tenant = '*'): void {
    this.#cut.add(tenant);
    this.#tell({ node: 'redis', up: false, why: 'the test says so' });
  }

  mend(tenant = '*'): void {
    this.#cut.delete(tenant);
    this.deliver();
    this.#tell({ node: 'redis', up: true, why: null });
  }

  /** Hands over what waits and may go. */
  deliver(): void {
    if (this.slow) return;
    const queue = this.#queue;
    this.#queue = [];
    for (const settlement of queue) {
      if (this.#up(settlement.ticket.tenant)) this.#store.settle(settlement);
      else this.#queue.push(settlement);
    }
  }

  /** The store as it is seen from this end. */
  get end(): QuotaStore {
    const reach = <Answer>(tenant: string, ask: () => Promise<Answer>): Promise<Answer> => {
      this.asked += 1;
      if (this.fault !== null) return Promise.reject(this.fault);
      return this.#up(tenant) ? ask() : Promise.reject(new StateUnavailable('the line is cut'));
    };
    return {
      admit: async (admission: Admission): Promise<Verdict> =>
        admission.demands.length === 0
          ? this.#store.admit(admission)
          : reach(admission.tenant, async () => this.#store.admit(admission)),
      settle: (settlement: Settlement): void => {
        this.#queue.push(settlement);
        this.deliver();
      },
      standings: (tenant: string, limits: readonly Limit[]): Promise<Standing[]> =>
        reach(tenant, () => this.#store.standings(tenant, limits)),
      ledger: (days: readonly string[], tenant: string | null): Promise<LedgerRow[]> =>
        reach(tenant ?? '*', () => this.#store.ledger(days, tenant)),
      flush: async (tenant: string | null): Promise<boolean> => {
        const written = !this.#queue.some((one) => tenant === null || one.ticket.tenant === tenant);
        await this.flushing;
        return written;
      },
      close: async (): Promise<void> => {},
    };
  }

  #up(tenant: string): boolean {
    return this.isUp(`{${tenant}}`);
  }

  #tell(change: StateChange): void {
    for (const listener of this.#listeners) listener(change);
  }
}

export interface Setting {
  mode?: StateSettings['onOutage'];
  /** Gateways seen alive. */
  alive?: number;
}

/** One gateway, the line from it, and the store at its other end. */
export class Gateway {
  /** Of all that share a store. Milliseconds since 1970. */
  readonly clock: { now: number };
  readonly shared: MemoryStore;
  readonly line: Line;
  readonly store: OutageStore;
  readonly changes: ModeChange[] = [];
  alive: number;

  constructor({ mode = 'local', alive = 1 }: Setting = {}, beside?: Gateway) {
    this.clock = beside?.clock ?? { now: NOON };
    const wall = () => this.clock.now;
    this.shared = beside?.shared ?? new MemoryStore({ wall, ledgerDays: 400 });
    this.line = new Line(this.shared);
    this.alive = alive;
    const { line } = this;
    this.store = new OutageStore({
      redis: line.end,
      client: { time: wall, onChange: (listener) => line.onChange(listener) },
      mode,
      alive: () => this.alive,
      onMode: (change) => this.changes.push(change),
    });
  }

  ask(demands: readonly (readonly [Limit, number])[], tenant = 'acme'): Promise<Verdict> {
    const taken = demands.map(([limit, amount]) => ({ limit, amount }));
    return this.store.admit({ tenant, id: newId(), demands: taken });
  }

  /** Asks, and fails unless it is admitted. */
  async take(...demands: readonly (readonly [Limit, number])[]): Promise<Ticket> {
    const verdict = await this.ask(demands);
    assert.ok(verdict.kind === 'admitted', `refused: ${JSON.stringify(verdict.standings)}`);
    return verdict.ticket;
  }

  /** Asks, and fails unless it is refused. */
  async refused(...demands: readonly (readonly [Limit, number])[]): Promise<readonly Standing[]> {
    const verdict = await this.ask(demands);
    assert.equal(verdict.kind, 'refused');
    return verdict.standings;
  }

  settle(ticket: Ticket, used = ticket.demands.map(() => 0), ledger: readonly LedgerEntry[] = []): void {
    this.store.settle({ ticket, used, ledger });
  }

  /** Asks for one at a time until it is refused: how many passed. */
  async countUntilRefused(limit: Limit, amount = 1): Promise<number> {
    for (let passed = 0; ; passed++) {
      assert.ok(passed < 10_000, 'nothing is refused');
      if ((await this.ask([[limit, amount]])).kind === 'refused') return passed;
    }
  }

  /** Used and reserved as this gateway says. */
  async taken(limit: Limit, tenant = 'acme'): Promise<[number, number]> {
    const [standing] = await this.store.standings(tenant, [limit]);
    return [standing?.used ?? -1, standing?.reserved ?? -1];
  }

  /** Used and reserved in the store at the other end. */
  async there(limit: Limit, tenant = 'acme'): Promise<[number, number]> {
    const [standing] = await this.shared.standings(tenant, [limit]);
    return [standing?.used ?? -1, standing?.reserved ?? -1];
  }
}

export const ENTRY: LedgerEntry = {
  key: 'ci',
  model: 'smart',
  target: 'a/b',
  sums: {
    requests: 1,
    tries: 1,
    input: 3,
    output: 4,
    cached: 0,
    cacheWrite: 0,
    reasoning: 0,
    cost: 5,
    unpriced: 0,
  },
};

/** Gateways on one store, each with its own line to it, that see each other alive. */
export function three(setting: Setting = {}): [Gateway, Gateway, Gateway] {
  const first = new Gateway({ alive: 3, ...setting });
  return [first, new Gateway({ alive: 3, ...setting }, first), new Gateway({ alive: 3, ...setting }, first)];
}

/** Until what follows from the last answers is done. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
