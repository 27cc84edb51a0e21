/** For tests of outages of a real Redis: gateways as they are put together in the process. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { systemClock } from '../../src/core/clock.ts';
import type { Limit } from '../../src/quota/limits.ts';
import { OutageStore } from '../../src/quota/outage.ts';
import type { ModeChange } from '../../src/quota/outage-mode.ts';
import { RedisStore } from '../../src/quota/redis/store.ts';
import type { Standing, Ticket, Verdict } from '../../src/quota/store.ts';
import { type OpenState, openState } from '../../src/state/connect.ts';
import type { RedisSettings, StateSettings } from '../../src/state/settings.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { until } from '../support/redis.ts';
import { limit, newId } from './suite/kit.ts';

export type Mode = StateSettings['onOutage'];
export type Demands = readonly (readonly [Limit, number])[];

export const TIMEOUT = 250;
/** The timeout, and as much again for what is between it and the answer. Milliseconds. */
export const IN_TIME = 2 * TIMEOUT;
/** While it is known to be away nothing is waited for. Milliseconds. */
export const AT_ONCE = 0;

// Per month, so that nothing leaves by itself while a test runs.
export const REQUESTS = limit('requests/month', 1000);
export const TOKENS = limit('tokens/month', 100_000);
export const USD = limit('usd/month', 1_000_000_000);
export const PLACES = limit('concurrent', 1000);
const ALL = [REQUESTS, TOKENS, USD, PLACES];

interface Opened {
  mode: Mode;
  alive?: () => number;
}

/** A gateway as it is put together in the process, and what is asked of it in tests. */
export class Gateway {
  readonly state: OpenState;
  readonly redis: RedisStore;
  readonly store: OutageStore;
  readonly changes: ModeChange[] = [];
  readonly faults: unknown[] = [];

  private constructor(name: string, redis: RedisSettings, { mode, alive = () => 1 }: Opened) {
    const clock = systemClock;
    this.state = openState(
      { redis, keyPrefix: 'spillway', commandTimeout: TIMEOUT, onOutage: mode },
      { clock, chance: Math.random, gateway: name },
    );
    this.redis = new RedisStore({
      client: this.state,
      keyPrefix: 'spillway',
      gateway: name,
      clock,
      commandTimeout: TIMEOUT,
      ledgerDays: 400,
      onFault: (error) => this.faults.push(error),
    });
    this.store = new OutageStore({
      redis: this.redis,
      client: this.state,
      mode,
      alive,
      onMode: (change) => this.changes.push(change),
    });
  }

  static async open(t: TestContext, name: string, url: string | RedisSettings, opened: Opened) {
    const redis = typeof url === 'string' ? ({ kind: 'single', url } as const) : url;
    const gateway = new Gateway(name, redis, opened);
    t.after(async () => {
      await gateway.store.close();
      await gateway.state.close();
    });
    await gateway.state.started;
    return gateway;
  }

  ask(demands: Demands, tenant = 'acme', id = newId()): Promise<Verdict> {
    return this.store.admit({ tenant, id, demands: demands.map(([limit, amount]) => ({ limit, amount })) });
  }

  async take(...demands: Demands): Promise<Ticket> {
    const verdict = await this.ask(demands);
    assert.ok(verdict.kind === 'admitted', `refused: ${JSON.stringify(verdict.standings)}`);
    return verdict.ticket;
  }

  settle(ticket: Ticket, used = ticket.demands.map(() => 0)): void {
    this.store.settle({ ticket, used, ledger: [] });
  }

  async countUntilRefused(limit: Limit): Promise<number> {
    for (let passed = 0; ; passed++) {
      assert.ok(passed < 10_000, 'nothing is refused');
      if ((await this.ask([[limit, 1]])).kind === 'refused') return passed;
    }
  }

  async isBack(tenant = 'acme'): Promise<void> {
    await until(() => this.state.isUp(`{${tenant}}`), 'Redis to be back');
  }

  async allWritten(): Promise<void> {
    await until(() => this.store.flush(null), 'all to be written back');
  }

  /** Used and reserved, as Redis says. */
  async there(limits: readonly Limit[] = ALL, tenant = 'acme'): Promise<[number, number][]> {
    const standings = await this.redis.standings(tenant, limits);
    return standings.map(({ used, reserved }: Standing) => [used, reserved]);
  }

  /** Waits until that is what Redis says: requests whose answer was lost are given back with the next batch but one. */
  async reaches(sums: [number, number][], limits: readonly Limit[] = ALL): Promise<void> {
    const end = performance.now() + 15_000;
    for (;;) {
      const there = await this.there(limits);
      if (JSON.stringify(there) === JSON.stringify(sums)) return;
      if (performance.now() > end) return assert.deepEqual(there, sums);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** An answer that waits for nothing is there after a few turns of the event loop. */
const SOON = 20;

/**
 * The answer. Fails where it is not there soon after a timer of so many milliseconds has gone off, however late that is on a machine that has other
 * things to do.
 */
export async function answered<Answer>(
  ask: () => Promise<Answer>,
  within: number,
): Promise<Answer | StateUnavailable> {
  const late = async (): Promise<never> => {
    await new Promise((resolve) => setTimeout(resolve, within));
    for (let turn = 0; turn < SOON; turn++) await new Promise(setImmediate);
    return assert.fail(`it was held for more than ${within} ms`);
  };
  const answer = ask().catch((error: unknown) => {
    if (error instanceof StateUnavailable) return error;
    throw error;
  });
  return await Promise.race([answer, late()]);
}
