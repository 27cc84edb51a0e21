/** Two gateways under load for some seconds, with faults of Redis and clients that leave, all by chance; and what is left of it. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startRedis, until } from '../support/redis.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { apiError, chatAnswer, chatStream, reset } from '../support/upstream.ts';
import { type Member, type Quota, settled, startFleet, tenant } from './kit.ts';

/** How long it lasts. `SOAK_SECONDS` asks for more, and for all modes. */
const SECONDS = Number(process.env['SOAK_SECONDS'] ?? 3);
const MODES = process.env['SOAK_SECONDS'] === undefined ? ['local', 'deny'] : ['local', 'deny', 'allow'];
/** Clients of each gateway. */
const CLIENTS = 8;
const TIMEOUT = 250;
const TENANTS = ['t0', 't1', 't2'];

/** A number that chance gives, the same for the same seed (mulberry32). */
function chances(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

for (const mode of MODES) {
  it(`on_outage: ${mode}: at the end nothing is reserved, and what is used is what was charged`, async (t) => {
    const seed = Number(process.env['SOAK_SEED'] ?? Date.now() % 1_000_000);
    t.diagnostic(`SOAK_SEED=${seed}`);
    const chance = chances(seed);
    const redis = await startRedis(t, { config: { appendonly: 'yes', appendfsync: 'no' } });
    const proxies = [await startTcpProxy(t, redis.port), await startTcpProxy(t, redis.port)] as const;
    const quotas = [
      { limit: 1_000_000, of: 'requests', per: 'hour' },
      { limit: 20_000_000, of: 'tokens', per: 'hour' },
      { limit: 10_000_000, of: 'output_tokens', per: 'day' },
      { limit: 100, of: 'usd', per: 'month' },
      { limit: CLIENTS, of: 'concurrent' },
    ];
    const { members, upstream } = await startFleet(t, {
      count: 2,
      state: { redis: '${REDIS_URL}', command_timeout: `${TIMEOUT}ms`, on_outage: mode },
      env: (number) => ({ REDIS_URL: proxies[number]?.url ?? '' }),
      tenants: TENANTS.map((id) => tenant(id, quotas)),
    });
    const texts = ['One ', 'two ', 'three.'];
    upstream.reply((request) => {
      const drawn = chance();
      const usage = { prompt_tokens: 9, completion_tokens: 1 + Math.floor(chance() * 50) };
      const wait = () => delay(chance() * 30);
      if (drawn < 0.05) return [wait, apiError(500)];
      if (drawn < 0.1) return [wait, reset()];
      if (request.json()['stream'] !== true) return [wait, chatAnswer({ usage })];
      if (drawn < 0.2) return chatStream({ content: ['One ', wait, 'two ', reset()] });
      return chatStream({ content: texts.flatMap((text) => [text, wait]), usage });
    });

    const statuses: Record<string, number> = {};
    const ends = performance.now() + SECONDS * 1000;
    const clients = Array.from({ length: 2 * CLIENTS }, async (_, number) => {
      const member = members[number % 2] as Member;
      while (performance.now() < ends) {
        const of = TENANTS[Math.floor(chance() * TENANTS.length)] as string;
        const leaves = chance() < 0.15 ? AbortSignal.timeout(Math.ceil(chance() * 40)) : undefined;
        const body = { stream: chance() < 0.5, max_tokens: 100 };
        const status = await member.chat(of, body, leaves).then(
          (seen) => seen.status,
          () => 'left or cut',
        );
        statuses[status] = (statuses[status] ?? 0) + 1;
        await delay(5 + chance() * 10);
      }
    });

    const faults: ((proxy: TcpProxy) => Promise<void> | void)[] = [
      async () => {
        redis.freeze();
        await delay(chance() * 3 * TIMEOUT);
        redis.thaw();
      },
      (proxy) => proxy.cut(),
      async ({ toClient }) => {
        toClient.delay = chance() * 2 * TIMEOUT;
        await delay(chance() * 500);
        toClient.delay = 0;
      },
      async ({ toServer }) => {
        toServer.hold();
        await delay(chance() * 3 * TIMEOUT);
        toServer.release();
      },
      async (proxy) => {
        proxy.refuses = true;
        proxy.cut();
        await delay(chance() * 500);
        proxy.refuses = false;
      },
      async () => {
        await redis.kill();
        await delay(chance() * 200);
        await redis.start();
      },
    ];
    let count = 0;
    while (performance.now() < ends) {
      await delay(chance() * 400);
      const fault = faults[Math.floor(chance() * faults.length)];
      await fault?.(proxies[Math.floor(chance() * 2)] as TcpProxy);
      count++;
    }
    await Promise.all(clients);
    const usual = ['200', '429', '502', ...(mode === 'deny' ? ['503'] : []), 'left or cut'];
    assert.deepEqual(
      Object.keys(statuses).filter((status) => !usual.includes(status)),
      [],
    );
    t.diagnostic(`${count} faults; ${JSON.stringify(statuses)}`);

    await until(
      async () => (await Promise.all(members.map((member) => member.storeUp()))).every(Boolean),
      'Redis to be back',
    );
    const [a, b] = members as [Member, Member];
    for (const of of TENANTS) {
      // All by themselves, as both are alive: nothing here waits for a lease to end.
      const used = await settled(a, of);
      await until(async () => same(await a.usage(of), await b.usage(of)), 'both to say the same');
      const sums = await b.sums(of);
      assert.deepEqual(await a.sums(of), sums);
      assert.deepEqual(
        { ...(await settled(b, of)), requests: 0 },
        {
          requests: 0,
          tokens: sums.input_tokens + sums.output_tokens,
          output_tokens: sums.output_tokens,
          usd: sums.cost_usd,
          concurrent: 0,
        },
      );
      assert.equal(used['requests'], sums.requests, of);
    }
    for (const member of members) {
      assert.equal(member.process.stderr, '');
      assert.deepEqual(
        member.said(/./).filter(({ level }) => level >= 50),
        [],
      );
      assert.equal(await member.metric('spillway_in_flight'), 0);
    }
  });
}

function same(one: readonly Quota[], other: readonly Quota[]): boolean {
  const figures = (quotas: readonly Quota[]) =>
    JSON.stringify(quotas.map(({ of, used, reserved }) => [of, used, reserved]));
  return figures(one) === figures(other);
}
