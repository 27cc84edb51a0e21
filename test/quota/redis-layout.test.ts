import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { startRedis } from '../support/redis.ts';
import { openRig } from './redis-rig.ts';
import { Desk, limit, NOON } from './suite/kit.ts';

const redis = await startRedis({ after });

const UNPACK = `return cjson.encode(cmsgpack.unpack(redis.call('HGET', KEYS[1], ARGV[1])))`;

async function unpacked(key: string, field: string): Promise<unknown> {
  return JSON.parse(String(await redis.call('EVAL', UNPACK, 1, key, field)));
}

it('What stands in Redis is of the form that gateways of other versions read and write', async (t) => {
  const { prefix, ...rig } = await openRig(t, [redis], redis.url);
  await rig.setTime(NOON);
  const desk = new Desk(rig);
  const [requests, tokens, places] = [
    limit('requests/minute', 9),
    limit('tokens/day', 999),
    limit('concurrent', 3),
  ];
  const first = await desk.take([requests, 1], [tokens, 300], [places, 1]);
  const sums = { requests: 1, tries: 2, input: 3, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
  const entry = {
    key: 'ci',
    model: 'a "b"',
    target: 'c/d',
    sums: { ...sums, cost: 9_007_199_254_740_991, unpriced: 0 },
  };
  await desk.settle(first, [0, 20, 0], [entry]);
  const second = await desk.take([requests, 1], [tokens, 50], [places, 1]);

  const counters = `${prefix}:{acme}:q`;
  const today = NOON - (NOON % 86_400_000);
  assert.deepEqual(await unpacked(counters, 'tenant/requests/minute'), [60_000, NOON, 2, 0]);
  assert.deepEqual(await unpacked(counters, 'tenant/tokens/day'), [86_400_000, today, 20, 50]);
  assert.deepEqual(await unpacked(counters, 'tenant/concurrent'), [0, 0, 0, 1]);
  const [held] = (await redis.call('KEYS', `${prefix}:{acme}:r:*`)) as string[];
  assert.deepEqual(await unpacked(String(held), second.id), [
    ...[NOON, 'tenant/requests/minute', NOON, 1, 1],
    ...['tenant/tokens/day', today, 2, 50],
    ...['tenant/concurrent', 0, 2, 1],
  ]);
  assert.deepEqual((await redis.client.hkeys(String(held))).sort(), ['#lease', '#seq', second.id].sort());
  assert.deepEqual(await redis.client.hgetall(`${prefix}:{acme}:usage:2026-11-22`), {
    '["ci","a \\"b\\"","c/d","requests"]': '1',
    '["ci","a \\"b\\"","c/d","tries"]': '2',
    '["ci","a \\"b\\"","c/d","input"]': '3',
    '["ci","a \\"b\\"","c/d","cost"]': '9007199254740991',
  });
});
