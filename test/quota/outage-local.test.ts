import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LimitSet } from '../../src/quota/limits.ts';
import { refusal } from '../../src/quota/refusal.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { Gateway, three } from './outage-kit.ts';
import { HOUR, limit, NOON, SECOND } from './suite/kit.ts';

const REQUESTS = limit('requests/minute', 100);
const TOKENS = limit('tokens/minute', 100);
const DAILY = limit('tokens/day', 100);
const USD = limit('usd/month', 1_000_000_000);
const PLACES = limit('concurrent', 6);

describe('on_outage: local', () => {
  describe('the share', () => {
    it('is the limit divided by the gateways that were seen alive', async () => {
      const gateways = three();
      for (const { line } of gateways) line.cut();
      for (const gateway of gateways) assert.equal(await gateway.countUntilRefused(REQUESTS), 33);
    });

    it('is all of it where there is no other gateway, or none was seen at all', async () => {
      for (const alive of [1, 0]) {
        const gateway = new Gateway({ alive });
        gateway.line.cut();
        assert.equal(await gateway.countUntilRefused(REQUESTS), 100);
      }
    });

    it('is one where there are more gateways than there is to share out, and nothing where there is nothing', async () => {
      const gateway = new Gateway({ alive: 3 });
      gateway.line.cut();
      assert.equal(await gateway.countUntilRefused(limit('requests/minute', 2)), 1);
      assert.equal(await gateway.countUntilRefused(limit('requests/hour', 0)), 0);
      assert.equal(await gateway.countUntilRefused(limit('concurrent', 1)), 1);
    });

    it('holds for every limit of a request: all or nothing', async () => {
      const gateway = new Gateway({ alive: 2 });
      gateway.line.cut();
      await gateway.take([REQUESTS, 1], [TOKENS, 50]);
      const standings = await gateway.refused([REQUESTS, 1], [TOKENS, 1]);
      assert.deepEqual(standings, [
        { used: 1, reserved: 0, roomIn: 0, resetsIn: 63 * SECOND, share: 50 },
        { used: 0, reserved: 50, roomIn: 1000, resetsIn: 63 * SECOND, share: 50 },
      ]);
      assert.deepEqual(await gateway.taken(REQUESTS), [1, 0]);
    });

    it('becomes smaller when gateways come during the outage, but no larger when they go', async () => {
      const gateway = new Gateway({ alive: 2 });
      gateway.line.cut();
      await gateway.take([TOKENS, 20]);
      gateway.alive = 4;
      await gateway.refused([TOKENS, 6]);
      gateway.alive = 1;
      await gateway.refused([TOKENS, 6]);
      await gateway.take([TOKENS, 5]);
    });

    it('is what a client is told to wait for only where all of the limit is taken', async () => {
      const gateway = new Gateway({ alive: 2 });
      await gateway.take([DAILY, 20]);
      gateway.line.cut();
      await gateway.take([DAILY, 40]);
      const [share] = await gateway.refused([DAILY, 40]);
      assert.deepEqual([share?.used, share?.reserved, share?.roomIn], [10, 40, 1000]);
      const [all] = await gateway.refused([DAILY, 41]);
      assert.equal(all?.roomIn, 12 * HOUR);
      const [soon] = await gateway.refused([limit('tokens/second', 10), 6], [DAILY, 0]);
      assert.equal(soon?.roomIn, 1000);
    });

    it('is what a client is told to wait for also where what was seen does not count any more', async () => {
      const gateway = new Gateway({ alive: 2 });
      await gateway.take([TOKENS, 90]);
      gateway.clock.now += 63 * SECOND;
      gateway.line.cut();
      await gateway.take([TOKENS, 50]);
      const [standing] = await gateway.refused([TOKENS, 50]);
      assert.equal(standing?.roomIn, 1000);
    });

    it('comes back as its period goes by', async () => {
      const gateway = new Gateway({ alive: 2 });
      gateway.line.cut();
      await gateway.take([TOKENS, 50]);
      gateway.clock.now += 63 * SECOND - 1;
      await gateway.refused([TOKENS, 1]);
      gateway.clock.now += 1;
      await gateway.take([TOKENS, 50]);
    });

    it('is not the same for each tenant only in name', async () => {
      const gateway = new Gateway({ alive: 2 });
      gateway.line.cut();
      assert.equal((await gateway.ask([[TOKENS, 50]], 'ann')).kind, 'admitted');
      assert.equal((await gateway.ask([[TOKENS, 50]], 'bob')).kind, 'admitted');
      assert.equal((await gateway.ask([[TOKENS, 1]], 'bob')).kind, 'refused');
    });

    it('refuses a request that is larger than it, but does not say that it never fits', async () => {
      const gateway = new Gateway({ alive: 2 });
      gateway.line.cut();
      const [larger] = await gateway.refused([TOKENS, 51]);
      assert.equal(larger?.roomIn, 1000);
      const asked = {
        quotas: new LimitSet([TOKENS]),
        demands: [{ limit: TOKENS, amount: 51 }],
        standings: [larger],
      };
      const told = refusal(asked, { wall: NOON, assumed: null, maximum: 'max_completion_tokens' }).error;
      assert.match(told.message, /left: 50 of the 50 that one gateway gives out .* Try again in 1s\.$/);
      assert.equal(told.headers['x-ratelimit-remaining-tokens'], '50');
      const [never] = await gateway.refused([TOKENS, 101]);
      assert.equal(never?.roomIn, null);
      const [place] = await gateway.refused([limit('concurrent', 0), 1]);
      assert.equal(place?.roomIn, null);
    });
  });

  describe('what was last seen', () => {
    it('counts: of 90 taken of 100 each of three gateways counts 30', async () => {
      const gateways = three();
      gateways[0].settle(await gateways[0].take([DAILY, 89]), [89]);
      for (const gateway of gateways) await gateway.take([DAILY, 0]);
      await gateways[0].take([DAILY, 1]);
      for (const { line } of gateways) line.cut();
      assert.deepEqual(await gateways[0].taken(DAILY), [30, 0]);
      for (const gateway of gateways) assert.equal(await gateway.countUntilRefused(DAILY), 3);
    });

    it('is rounded up, so that together they count no less than there is', async () => {
      const gateways = three();
      for (const gateway of gateways) await gateway.take([DAILY, gateway === gateways[0] ? 91 : 0]);
      for (const { line } of gateways) line.cut();
      let passed = 0;
      for (const gateway of gateways) passed += await gateway.countUntilRefused(DAILY);
      assert.equal(passed, 6);
    });

    it('counts also where Redis refused', async () => {
      const [first, second] = three();
      await first.take([DAILY, 90]);
      await second.refused([DAILY, 20]);
      second.line.cut();
      assert.deepEqual(await second.taken(DAILY), [30, 0]);
    });

    it('counts from when it was seen', async () => {
      const gateway = new Gateway();
      await gateway.take([TOKENS, 90]);
      gateway.clock.now += 30 * SECOND;
      await gateway.take([TOKENS, 0]);
      gateway.line.cut();
      gateway.clock.now += 33 * SECOND;
      await gateway.refused([TOKENS, 11]);
      gateway.clock.now += 30 * SECOND;
      await gateway.take([TOKENS, 100]);
    });

    it('does not count where its period is over before the outage begins', async () => {
      const gateway = new Gateway();
      await gateway.take([TOKENS, 90], [DAILY, 90], [limit('tokens/month', 100), 90]);
      gateway.clock.now += 12 * HOUR;
      gateway.line.cut();
      assert.deepEqual(await gateway.taken(TOKENS), [0, 0]);
      assert.deepEqual(await gateway.taken(DAILY), [0, 0]);
      assert.deepEqual(await gateway.taken(limit('tokens/month', 100)), [90, 0]);
    });

    it('counts once, however often it is asked for', async () => {
      const gateway = new Gateway({ alive: 2 });
      await gateway.take([TOKENS, 40]);
      gateway.line.cut();
      for (let i = 0; i < 10; i++) await gateway.take([TOKENS, 3]);
      assert.deepEqual(await gateway.taken(TOKENS), [20, 30]);
      await gateway.refused([TOKENS, 1]);
    });

    it('is less what was given back between then and the outage', async () => {
      const gateway = new Gateway();
      const tickets = [await gateway.take([TOKENS, 80]), await gateway.take([DAILY, 80])] as const;
      gateway.settle(tickets[0], [10]);
      gateway.settle(tickets[1], [85]);
      gateway.line.cut();
      assert.deepEqual(await gateway.taken(TOKENS), [10, 0]);
      assert.deepEqual(await gateway.taken(DAILY), [85, 0]);
    });

    it('is not less the count of a request that is over', async () => {
      const gateway = new Gateway();
      gateway.settle(await gateway.take([REQUESTS, 1]));
      gateway.line.cut();
      assert.deepEqual(await gateway.taken(REQUESTS), [1, 0]);
    });

    it('is not less what was given back of a stretch that did not count any more when it was seen', async () => {
      const gateway = new Gateway();
      const old = await gateway.take([TOKENS, 80]);
      gateway.clock.now += 63 * SECOND;
      await gateway.take([TOKENS, 50]);
      gateway.settle(old, [0]);
      gateway.line.cut();
      assert.deepEqual(await gateway.taken(TOKENS), [50, 0]);
    });

    it('stays as it is when requests that Redis let in end during the outage', async () => {
      const gateway = new Gateway();
      const ticket = await gateway.take([TOKENS, 80]);
      gateway.line.cut();
      assert.deepEqual(await gateway.taken(TOKENS), [80, 0]);
      gateway.settle(ticket, [10]);
      assert.deepEqual(await gateway.taken(TOKENS), [80, 0]);
      gateway.line.mend();
      assert.deepEqual(await gateway.there(TOKENS), [10, 0]);
    });

    it('is nothing where the tenant was not here before', async () => {
      const [first, second] = three();
      await first.take([DAILY, 90]);
      second.line.cut();
      assert.equal(await second.countUntilRefused(DAILY), 33);
    });
  });

  describe('places', () => {
    it('are those of the requests that this process has under way, wherever they were let in', async () => {
      const [first, second] = three();
      const before = [await first.take([PLACES, 1]), await first.take([PLACES, 1])] as const;
      for (let i = 0; i < 4; i++) await second.take([PLACES, 1]);
      await first.refused([PLACES, 1]);
      first.line.cut();
      assert.deepEqual(await first.taken(PLACES), [0, 2]);
      const [standing] = await first.refused([PLACES, 1]);
      assert.equal(standing?.roomIn, null);
      first.settle(before[0]);
      const during = await first.take([PLACES, 1]);
      await first.refused([PLACES, 1]);
      first.settle(during);
      await first.take([PLACES, 1]);
      await first.refused([PLACES, 1]);
    });

    it('are given back where they were taken', async () => {
      const gateway = new Gateway();
      const before = await gateway.take([PLACES, 1]);
      gateway.line.cut();
      const during = await gateway.take([PLACES, 1]);
      gateway.settle(before);
      assert.deepEqual(await gateway.taken(PLACES), [0, 1]);
      gateway.line.mend();
      assert.deepEqual(await gateway.there(PLACES), [0, 0]);
      gateway.settle(during);
      gateway.line.cut();
      assert.deepEqual(await gateway.taken(PLACES), [0, 0]);
    });
  });

  it('is for the tenants whose node is away, and for no others', async () => {
    const gateway = new Gateway({ alive: 2 });
    gateway.line.cut('ann');
    const demands = [[TOKENS, 51]] as const;
    assert.equal((await gateway.ask(demands, 'ann')).kind, 'refused');
    const verdict = await gateway.ask(demands, 'bob');
    assert.ok(verdict.kind === 'admitted' && verdict.ticket.held);
    assert.deepEqual(await gateway.taken(TOKENS, 'bob'), [0, 51]);
  });

  it('shows what is counted here, and marks it', async () => {
    const gateway = new Gateway({ alive: 2 });
    const [there] = await gateway.store.standings('acme', [TOKENS]);
    assert.deepEqual(there, { used: 0, reserved: 0, roomIn: 0, resetsIn: 0 });
    gateway.line.cut();
    await gateway.take([TOKENS, 20], [PLACES, 1]);
    assert.deepEqual(await gateway.store.standings('acme', [TOKENS, PLACES, USD]), [
      { used: 0, reserved: 20, roomIn: 0, resetsIn: 63 * SECOND, share: 50 },
      { used: 0, reserved: 1, roomIn: 0, resetsIn: null, share: 3 },
      { used: 0, reserved: 0, roomIn: 0, resetsIn: 0, share: 500_000_000 },
    ]);
  });

  it('has no ledger to show', async () => {
    const gateway = new Gateway();
    gateway.line.cut();
    await assert.rejects(gateway.store.ledger(['2026-11-22'], null), StateUnavailable);
  });
});
