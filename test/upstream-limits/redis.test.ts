import assert from 'node:assert/strict';
import { after, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../../src/core/clock.ts';
import type { ProviderLimits } from '../../src/providers/settings.ts';
import type { QuotaStore } from '../../src/quota/store.ts';
import { Gateway as OutageGateway } from '../quota/outage-rig.ts';
import { deskOf, lifetimes, openGateway, Time } from '../quota/redis-rig.ts';
import { limit, NOON } from '../quota/suite/kit.ts';
import { HICCUP } from '../support/hiccup.ts';
import { startRedis, until } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';
import { Door } from './kit.ts';

const redis = await startRedis({ after });
beforeEach(() => redis.call('FLUSHALL'));

const LIMITS: ProviderLimits = {
  requests: { limit: 100, per: 'hour' },
  tokens: { limit: 100_000, per: 'hour' },
  concurrent: 100,
};

const doorOf = ({ store }: { store: QuotaStore }, limits: Partial<ProviderLimits>) =>
  new Door(store, systemClock, limits);

describe('limits kept in Redis', () => {
  it('let in exactly as many tries as they say, of all gateways together', async (t) => {
    for (const only of [{ requests: LIMITS.requests }, { concurrent: 100 }, LIMITS]) {
      await redis.call('FLUSHALL');
      const gateways = await Promise.all([1, 2, 3].map(() => openGateway(t, redis.url)));
      const doors = gateways.map((gateway) => doorOf(gateway, only));
      const ends = await Promise.all(
        Array.from({ length: 240 }, (_, i) => (doors[i % 3] as Door).ask({ input: 1, output: 1 })),
      );
      assert.equal(ends.filter((end) => 'leave' in end).length, 100);
    }
  });

  it('count what the tries of another gateway took', async (t) => {
    const [one, other] = [await openGateway(t, redis.url), await openGateway(t, redis.url)];
    const [here, there] = [doorOf(one, LIMITS), doorOf(other, LIMITS)];
    const place = await here.enter(1000, 98_500);
    await there.refused(501, 0);
    place.leave({ input: 1000, output: 500 });
    assert.equal(await one.store.flush(null), true);
    await until(async () => 'leave' in (await there.ask({ input: 98_500, output: 0 })), 'the tokens', 1000);
    await there.refused(1, 0);
  });

  it('give the place of a try to another gateway’s as soon as it is left', async (t) => {
    const [one, other] = [await openGateway(t, redis.url), await openGateway(t, redis.url)];
    const [here, there] = [doorOf(one, { concurrent: 1 }), doorOf(other, { concurrent: 1 })];
    const place = await here.enter();
    assert.equal((await there.refused()).fullForMs, 1000);
    place.leave(null);
    assert.equal(await one.store.flush(null), true);
    await there.enter();
  });

  it('get the places and tokens of a gateway back that died, half a minute later; its requests stay counted', async (t) => {
    const time = new Time(NOON);
    const [dying, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    const limits = { requests: { limit: 5, per: 'hour' }, tokens: LIMITS.tokens, concurrent: 3 } as const;
    for (let i = 0; i < 3; i++) await doorOf(dying, limits).enter(30_000, 0);
    await dying.die();
    const door = () => doorOf(other, limits);
    await time.pass(29_999, [dying]);
    await door().refused();
    await time.pass(1, [dying]);
    for (let i = 0; i < 2; i++) (await door().enter(50_000, 0)).leave(null);
    assert.match((await door().refused()).why, /5 requests per hour/);
  });

  it('keep the places of a gateway that lives for as long as its tries last', async (t) => {
    const time = new Time(NOON);
    const [one, other] = [await time.open(t, redis.url), await time.open(t, redis.url)];
    await doorOf(one, { concurrent: 1 }).enter();
    await time.pass(5 * 60_000);
    await doorOf(other, { concurrent: 1 }).refused();
  });

  it('have nothing to do with the quotas of a tenant of the same name, nor with anybody’s usage', async (t) => {
    const gateway = await openGateway(t, redis.url);
    const door = doorOf(gateway, { requests: { limit: 1, per: 'hour' } });
    (await door.enter()).leave({ input: 5, output: 5 });
    await deskOf(gateway, 'openai').take([limit('requests/hour', 1), 1]);
    await door.refused();
    await deskOf(gateway, 'openai').refused([limit('requests/hour', 1), 1]);
    assert.equal(await gateway.store.flush(null), true);
    const keys = [...(await lifetimes([redis])).keys()].filter((key) => !key.includes('{!}:p'));
    const whose = new Set(keys.map((key) => /\{(.*?)\}:(.)/.exec(key)?.slice(1).join(' ')));
    assert.deepEqual([...whose].sort(), [
      '@openai g',
      '@openai q',
      '@openai r',
      'openai g',
      'openai q',
      'openai r',
    ]);
    assert.deepEqual(await gateway.store.ledger([new Date().toISOString().slice(0, 10)], null), []);
    for (const kept of (await lifetimes([redis])).values()) assert.ok(kept > 0, 'a key is kept for ever');
  });

  it('are kept in a cluster too', async (t) => {
    const cluster = await startRedisCluster(t, { masters: 3, replicas: 0 });
    const settings = { kind: 'cluster', urls: cluster.urls } as const;
    const [one, other] = [await openGateway(t, settings), await openGateway(t, settings)];
    for (const provider of ['openai', 'anthropic', 'bedrock', 'groq']) {
      const doors = [one, other].map(
        ({ store }) => new Door(store, systemClock, { concurrent: 3, tokens: LIMITS.tokens }, provider),
      ) as [Door, Door];
      const place = await doors[0].enter(10, 10);
      await doors[1].enter(10, 10);
      await doors[0].enter(10, 10);
      await doors[1].refused();
      place.leave({ input: 1, output: 1 });
      assert.equal(await one.store.flush(null), true);
      await doors[1].enter(10, 10);
    }
  });
});

describe('while Redis is away', () => {
  const limits = { requests: { limit: 10, per: 'hour' } } as const;

  it('a gateway gives out its share of the limits (local), and what it gave counts when Redis is back', async (t) => {
    const server = await startRedis(t);
    const gateway = await OutageGateway.open(t, 'one', server.url, { mode: 'local', alive: () => 2 });
    await doorOf(gateway, limits).enter();
    await server.call('SAVE');
    await server.stop();
    const door = doorOf(gateway, limits);
    for (let i = 0; i < 4; i++) (await door.enter()).leave(null);
    assert.equal((await door.refused()).fullForMs, 1000);
    await server.start();
    await until(() => gateway.state.isUp('{@openai}'), 'Redis to be back');
    assert.equal(await gateway.store.flush(null), true);
    const after = doorOf(gateway, limits);
    for (let i = 0; i < 5; i++) await after.enter();
    assert.ok(((await after.refused()).fullForMs as number) > 3_000_000);
  });

  for (const mode of ['deny', 'allow'] as const) {
    it(`everything passes, within the timeout (${mode})`, async (t) => {
      const server = await startRedis(t);
      const gateway = await OutageGateway.open(t, 'one', server.url, { mode });
      const door = doorOf(gateway, { requests: { limit: 1, per: 'hour' }, concurrent: 1 });
      await door.enter();
      await server.kill();
      const began = performance.now();
      for (let i = 0; i < 5; i++) await door.enter();
      assert.ok(performance.now() - began < 1000 + HICCUP);
    });
  }
});
