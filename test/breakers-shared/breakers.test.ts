import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { A_POLL, asked, settled, startFleet } from './fleet.ts';

/** All know that it is open, and the period is just over. */
async function readyToProbe(...args: Parameters<typeof startFleet>) {
  const fleet = startFleet(...args);
  fleet.members[0].fail();
  await fleet.clock.advanceAsync(10_000);
  return fleet;
}

describe('a breaker that is shared', () => {
  it('opens in the other gateways within a second, for what is left of the period', async () => {
    const fleet = startFleet(3);
    const [first, second] = fleet.members;
    await fleet.clock.advanceAsync(1_000);
    first.fail();
    await fleet.clock.advanceAsync(A_POLL);
    for (const { breaker } of fleet.members) {
      assert.equal(breaker.state(), 'open');
      assert.equal(breaker.opens, 1);
      assert.equal(breaker.acquire(), null);
      assert.equal(breaker.retryAfterMs(), 10_000 - A_POLL);
    }
    assert.match(second.transitions.join(), /^open: opened by another gateway; open for \d{4,5} ms$/);
  });

  it('is not announced again by those that heard of it', async () => {
    const fleet = startFleet(2);
    const [first, second] = fleet.members;
    first.fail();
    await fleet.clock.advanceAsync(5_000);
    assert.deepEqual([first.breaker.opens, second.breaker.opens], [1, 1]);
    assert.equal(first.transitions.length, 1);
  });

  it('is open from the start in a gateway that comes later', async () => {
    const fleet = startFleet(2);
    fleet.members[0].fail();
    await fleet.clock.advanceAsync(1_000);
    const late = fleet.join();
    await settled(fleet);
    assert.equal(late.breaker.retryAfterMs(), 9_000);
  });

  it('lets one probe through in all gateways, and closes everywhere when that succeeds', async () => {
    const fleet = await readyToProbe(3);
    const [first, second, third] = fleet.members as [...typeof fleet.members, never];
    const probe = await asked(fleet, second);
    assert.ok(probe);
    assert.equal(await asked(fleet, first), null);
    assert.equal(await asked(fleet, third), null);
    await fleet.clock.advanceAsync(30_000);
    assert.equal(await asked(fleet, first), null);
    probe.success();
    await fleet.clock.advanceAsync(A_POLL);
    for (const { breaker } of fleet.members) assert.equal(breaker.state(), 'closed');
    assert.equal(first.transitions.at(-1), 'closed: closed by another gateway: a probe succeeded');
    assert.ok(first.breaker.acquire());
  });

  it('opens for twice as long everywhere when the probe fails', async () => {
    const fleet = await readyToProbe(2);
    const [first, second] = fleet.members;
    (await asked(fleet, second))?.failure();
    await fleet.clock.advanceAsync(A_POLL);
    assert.equal(first.breaker.retryAfterMs(), 20_000 - A_POLL);
    await fleet.clock.advanceAsync(20_000 - A_POLL);
    (await asked(fleet, first))?.failure();
    await fleet.clock.advanceAsync(A_POLL);
    assert.equal(second.breaker.retryAfterMs(), 40_000 - A_POLL);
  });

  it('is probed by the same gateway again after the next period', async () => {
    const fleet = await readyToProbe(2);
    const [first] = fleet.members;
    (await asked(fleet, first))?.failure();
    await fleet.clock.advanceAsync(20_000);
    (await asked(fleet, first))?.failure();
    await fleet.clock.advanceAsync(40_000);
    assert.ok(await asked(fleet, first));
  });

  it('asks for a probe only when there is one to be made', async () => {
    const fleet = startFleet(2);
    const [first] = fleet.members;
    assert.equal(first.breaker.needsClaim(), false);
    first.fail();
    assert.equal(first.breaker.needsClaim(), false);
    await fleet.clock.advanceAsync(10_000);
    assert.equal(first.breaker.needsClaim(), true);
    const claimed = first.breaker.claim();
    await settled(fleet);
    await claimed;
    assert.equal(first.breaker.needsClaim(), false);
    assert.ok(first.breaker.acquire());
    assert.equal(first.breaker.needsClaim(), false);
  });

  it('gives no permit for a probe that was not asked for', async () => {
    const fleet = await readyToProbe(2);
    assert.equal(fleet.members[0].breaker.acquire(), null);
    assert.equal(fleet.members[0].breaker.state(), 'open');
  });

  it('does not ask again at once where it was refused', async () => {
    const fleet = await readyToProbe(2);
    const [first, second] = fleet.members;
    await asked(fleet, second);
    await asked(fleet, first);
    assert.equal(first.breaker.needsClaim(), false);
    assert.equal(first.breaker.available(), false);
    assert.equal(first.breaker.retryAfterMs(), 500);
    await fleet.clock.advanceAsync(500);
    assert.equal(first.breaker.needsClaim(), true);
  });

  it('asks once for the requests that come together', async () => {
    const fleet = await readyToProbe(2);
    const [first] = fleet.members;
    const trips = first.link.trips;
    const permits = Promise.all([first.ask(), first.ask(), first.ask()]);
    await settled(fleet);
    assert.deepEqual(
      (await permits).map((permit) => permit !== null),
      [true, false, false],
    );
    assert.equal(first.link.trips - trips, 1);
  });

  it('lets as many probes run at a time as it was told to, over all gateways', async () => {
    const fleet = await readyToProbe(3, { halfOpenProbes: 2 });
    const [first, second, third] = fleet.members as [...typeof fleet.members, never];
    assert.ok(await asked(fleet, first));
    const other = await asked(fleet, second);
    assert.ok(other);
    assert.equal(await asked(fleet, third), null);
    assert.equal(await asked(fleet, first), null);
    other.release();
    await fleet.clock.advanceAsync(500);
    assert.ok(await asked(fleet, third));
  });

  it('gives the place of a probe whose client left to any gateway', async () => {
    const fleet = await readyToProbe(2);
    const [first, second] = fleet.members;
    (await asked(fleet, first))?.release();
    await settled(fleet);
    assert.ok(await asked(fleet, second));
  });

  it('does not wait for ever for the probe of a gateway that died', async () => {
    const fleet = await readyToProbe(2);
    const [first, second] = fleet.members;
    assert.ok(await asked(fleet, first));
    await first.board.close();
    await fleet.clock.advanceAsync(4_900);
    assert.equal(await asked(fleet, second), null);
    await fleet.clock.advanceAsync(600);
    assert.ok(await asked(fleet, second));
  });

  it('keeps the claim of a probe that takes long', async () => {
    const fleet = await readyToProbe(2);
    const [first, second] = fleet.members;
    const probe = await asked(fleet, first);
    await fleet.clock.advanceAsync(60_000);
    assert.equal(await asked(fleet, second), null);
    assert.equal(fleet.redis.claimed('a/up#1'), 1);
    probe?.failure();
    await settled(fleet);
    assert.equal(fleet.redis.claimed('a/up#1'), 0);
  });

  it('forgets a probe of its own where another gateway has decided', async () => {
    const fleet = await readyToProbe(2, { halfOpenProbes: 2 });
    const [first, second] = fleet.members;
    const [slow, fast] = [await asked(fleet, first), await asked(fleet, second)];
    fast?.failure();
    await fleet.clock.advanceAsync(A_POLL);
    assert.equal(first.breaker.state(), 'open');
    slow?.success();
    await fleet.clock.advanceAsync(A_POLL);
    for (const { breaker } of fleet.members) assert.equal(breaker.state(), 'open');
  });

  it('goes by the first word where two probes end before either hears of the other', async () => {
    const fleet = await readyToProbe(2, { halfOpenProbes: 2 });
    const [first, second] = fleet.members;
    const probes = [await asked(fleet, first), await asked(fleet, second)];
    probes[0]?.success();
    probes[1]?.failure();
    await fleet.clock.advanceAsync(A_POLL);
    for (const { breaker } of fleet.members) assert.equal(breaker.state(), 'closed');
  });

  it('stays open for the longer period where two gateways find out at once', async () => {
    const fleet = startFleet(2);
    const [first, second] = fleet.members;
    first.fail();
    fleet.clock.advance(100);
    second.fail();
    await fleet.clock.advanceAsync(A_POLL);
    assert.equal(first.breaker.retryAfterMs(), second.breaker.retryAfterMs());
    assert.equal(first.breaker.retryAfterMs(), 10_000 - A_POLL);
    assert.equal(first.breaker.opens, 1);
  });
});

describe('while Redis is away', () => {
  it('a breaker goes on by itself', async () => {
    const fleet = startFleet(2);
    const [first, second] = fleet.members;
    await settled(fleet);
    for (const { link } of fleet.members) link.cut = true;
    first.fail();
    await fleet.clock.advanceAsync(10_000);
    assert.equal(second.breaker.state(), 'closed');
    assert.equal(first.breaker.needsClaim(), false);
    const probe = first.breaker.acquire();
    assert.ok(probe);
    assert.equal(first.breaker.acquire(), null);
    probe.failure();
    assert.equal(first.breaker.retryAfterMs(), 20_000);
  });

  it('a claim that gets no answer is granted', async () => {
    const fleet = await readyToProbe(2, {}, () => 50);
    // What its own word took to come back.
    await fleet.clock.advanceAsync(100);
    const [first] = fleet.members;
    const permit = first.ask();
    fleet.clock.advance(20);
    first.link.cut = true;
    await fleet.clock.advanceAsync(200);
    assert.ok(await permit);
    assert.equal(first.breaker.state(), 'half_open');
  });

  it('what was found out is told when it is back, if it still counts', async () => {
    const fleet = startFleet(2);
    const [first, second] = fleet.members;
    await settled(fleet);
    first.link.cut = true;
    first.fail();
    await fleet.clock.advanceAsync(4_000);
    first.link.cut = false;
    await fleet.clock.advanceAsync(2 * A_POLL);
    assert.equal(second.breaker.state(), 'open');
    assert.equal(second.breaker.retryAfterMs(), first.breaker.retryAfterMs());
  });

  it('a recovery is told as well', async () => {
    const fleet = await readyToProbe(2);
    const [first, second] = fleet.members;
    first.link.cut = true;
    first.breaker.acquire()?.success();
    await fleet.clock.advanceAsync(1_000);
    assert.equal(second.breaker.state(), 'open');
    first.link.cut = false;
    await fleet.clock.advanceAsync(2 * A_POLL);
    assert.equal(second.breaker.state(), 'closed');
  });

  it('the last word is told where an earlier one was still on its way', async () => {
    const fleet = await readyToProbe(2, {}, () => 50);
    const [first, second] = fleet.members;
    await fleet.clock.advanceAsync(100);
    const asking = first.ask();
    await fleet.clock.advanceAsync(100);
    (await asking)?.success();
    fleet.clock.advance(10);
    first.fail();
    // The answer to the first word comes at 100, that to the second would at 110.
    await fleet.clock.advanceAsync(95);
    first.link.cut = true;
    fleet.redis.forgetAll();
    await fleet.clock.advanceAsync(1_000);
    first.link.cut = false;
    await fleet.clock.advanceAsync(2_000);
    assert.equal(first.breaker.state(), 'open');
    assert.ok((second.breaker.retryAfterMs() ?? 0) > 0);
  });

  it('an opening whose period has passed meanwhile is not told', async () => {
    const fleet = startFleet(2);
    const [first, second] = fleet.members;
    await settled(fleet);
    first.link.cut = true;
    first.fail();
    await fleet.clock.advanceAsync(10_000);
    first.link.cut = false;
    await fleet.clock.advanceAsync(1_000);
    assert.equal(second.breaker.state(), 'closed');
    // The probe that follows is everybody's business again.
    (await asked(fleet, first))?.failure();
    await fleet.clock.advanceAsync(A_POLL);
    assert.equal(second.breaker.state(), 'open');
  });
});

it('a Redis that lost everything lets one gateway probe, and hears of what comes of it', async () => {
  const fleet = await readyToProbe(2);
  const [first, second] = fleet.members;
  fleet.redis.forgetAll();
  const probe = await asked(fleet, first);
  assert.ok(probe);
  assert.equal(await asked(fleet, second), null);
  await fleet.clock.advanceAsync(20_000);
  assert.equal(await asked(fleet, second), null);
  probe.success();
  await fleet.clock.advanceAsync(A_POLL);
  assert.equal(second.breaker.state(), 'closed');
});
