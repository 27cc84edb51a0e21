import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { apiError, reset, type Script, type Upstream } from '../support/upstream.ts';
import { openGateway, openUpstream, provider, read, settle } from './helpers.ts';

/** No breaker says no within these tests. */
const NO_BREAKER = { consecutive_failures: 1_000_000, min_requests: 1_000_000 };
const TOTAL = 12_000;

/** Sends requests as the test says, and lets time pass when nothing else happens any more. */
class Load {
  readonly statuses: number[] = [];
  readonly #clock: ManualClock;
  readonly #gateway: TestGateway;
  readonly #dead: Upstream;
  #sent = 0;

  constructor(gateway: TestGateway, dead: Upstream, clock: ManualClock) {
    this.#gateway = gateway;
    this.#dead = dead;
    this.#clock = clock;
  }

  send(count: number): void {
    for (let i = 0; i < count; i++) {
      this.#sent++;
      void read(this.#gateway.chat()).then(({ status }) => this.statuses.push(status));
    }
  }

  async pass(ms: number): Promise<void> {
    await this.#quiet();
    this.#clock.advance(ms);
  }

  async drain(): Promise<void> {
    while (this.statuses.length < this.#sent) await this.pass(200);
  }

  /** Every request is over or between two tries: for some turns of the event loop nothing has moved. */
  async #quiet(): Promise<void> {
    const moved = () => `${this.statuses.length} ${this.#dead.requests.length} ${this.#clock.pending}`;
    let before = '';
    for (let still = 0; still < 8; still++) {
      await settle(1);
      if (moved() !== before || this.#dead.inFlight > 0) still = 0;
      before = moved();
    }
  }
}

async function outage(t: TestContext, answer: () => Script) {
  const clock = new ManualClock();
  const dead = await openUpstream(t, answer);
  let seed = 1;
  const chance = () => {
    seed = (seed * 16_807) % 2_147_483_647;
    return seed / 2_147_483_647;
  };
  const gateway = await openGateway(
    t,
    {
      providers: { a: provider(dead) },
      models: { m: { provider: 'a', retry: { attempts: 5 } } },
      defaults: { breaker: NO_BREAKER, timeouts: { total: `${TOTAL}ms` } },
    },
    { clock, chance },
  );
  return { dead, gateway, clock, load: new Load(gateway, dead, clock) };
}

describe('In a total outage', () => {
  for (const [name, answer, status] of [
    ['overloaded', () => apiError(503), 503],
    ['gone', () => reset(), 502],
  ] as const) {
    it(`at 50 requests a second, an upstream that is ${name} sees at most 1.3 tries a request`, async (t) => {
      const { dead, gateway, load } = await outage(t, answer);
      for (let fifth = 0; fifth < 5 * 8; fifth++) {
        load.send(10);
        await load.pass(200);
      }
      await load.drain();

      assert.equal(load.statuses.length, 400);
      assert.deepEqual(new Set(load.statuses), new Set([status]));
      assert.ok(dead.requests.length <= 1.3 * 400, `${dead.requests.length} tries for 400 requests`);
      assert.ok(dead.requests.length > 400, 'nothing was ever tried again');
      const lines = await gateway.ended(400);
      assert.ok(lines.every(({ ms }) => ms <= TOTAL));
    });
  }

  it('a burst of hundreds costs at most 1.3 tries a request, and none waits beyond its deadline', async (t) => {
    const { dead, gateway, load } = await outage(t, () => apiError(503, {}, { 'retry-after': '5' }));
    load.send(300);
    await load.drain();

    assert.deepEqual(new Set(load.statuses), new Set([503]));
    assert.ok(dead.requests.length <= 1.3 * 300, `${dead.requests.length} tries for 300 requests`);
    const lines = await gateway.ended(300);
    assert.ok(lines.every(({ ms }) => ms < TOTAL));
    const waited = lines.filter(({ tries }) => tries.length > 1);
    assert.ok(waited.length > 0 && waited.every(({ ms }) => ms >= 5000));
    assert.equal(await gateway.metric('spillway_in_flight'), 0);
  });
});
