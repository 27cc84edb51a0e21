import assert from 'node:assert/strict';
import type { ProviderLimits } from '../../src/providers/settings.ts';
import { MemoryStore } from '../../src/quota/memory-store.ts';
import type { Admission, QuotaStore, Settlement, Verdict } from '../../src/quota/store.ts';
import {
  type NoRoom,
  type Place,
  ProviderLimiter,
  type TokenCount,
} from '../../src/upstream/provider-limits.ts';
import { ManualClock } from '../support/manual-clock.ts';

const NO_LIMITS: ProviderLimits = { requests: null, tokens: null, concurrent: null };

const NOTHING: TokenCount = { input: 0, output: 0 };

let ids = 0;

/** A provider's limits as one gateway keeps them. */
export class Door {
  readonly limiter: ProviderLimiter;

  constructor(
    store: QuotaStore,
    clock: { now(): number },
    limits: Partial<ProviderLimits>,
    provider = 'openai',
  ) {
    this.limiter = new ProviderLimiter(store, { provider, limits: { ...NO_LIMITS, ...limits }, clock });
  }

  ask(want: TokenCount = NOTHING): Promise<Place | NoRoom> {
    ids += 1;
    return this.limiter.enter(want, `try-${ids}`);
  }

  /** Asks, and fails unless there is room. */
  async enter(input = 0, output = 0): Promise<Place> {
    const place = await this.ask({ input, output });
    assert.ok('leave' in place, `full: ${JSON.stringify(place)}`);
    return place;
  }

  /** Asks, and fails unless there is none. */
  async refused(input = 0, output = 0): Promise<NoRoom> {
    const full = await this.ask({ input, output });
    assert.ok('fullForMs' in full, 'there was room');
    return full;
  }
}

/** A store in this process that knows how often it was asked, and a clock that stands still. */
export function setUp(limits: Partial<ProviderLimits>) {
  const clock = new ManualClock(12_345, Date.UTC(2026, 10, 22, 12));
  const memory = new MemoryStore({ wall: () => clock.wall(), ledgerDays: 400 });
  const asked: Admission[] = [];
  const settled: Settlement[] = [];
  const store: QuotaStore = {
    admit: (admission): Verdict => {
      asked.push(admission);
      return memory.admit(admission);
    },
    settle: (settlement) => {
      settled.push(settlement);
      memory.settle(settlement);
    },
    standings: (tenant, of) => memory.standings(tenant, of),
    ledger: (days, tenant) => memory.ledger(days, tenant),
    flush: () => memory.flush(),
    close: () => memory.close(),
  };
  return { clock, store, asked, settled, door: new Door(store, clock, limits) };
}
