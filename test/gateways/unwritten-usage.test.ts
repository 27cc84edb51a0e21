/** What a gateway says that ends while Redis is away. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { startGateway } from '../support/gateway.ts';
import { startRedis, until } from '../support/redis.ts';
import { startUpstream } from '../support/upstream.ts';

const LOST =
  'Redis is away: what was used meanwhile and not yet written there is in no ledger and in no quota';

async function open(t: TestContext) {
  const redis = await startRedis(t);
  const upstream = await startUpstream();
  const gateway = await startGateway({
    state: { redis: redis.url, on_outage: 'allow', command_timeout: '250ms' },
    providers: { a: { adapter: 'vllm', base_url: upstream.url } },
    models: { m: { provider: 'a', model: 'up' } },
    tenants: [{ id: 'anonymous', quotas: [{ limit: 1000, of: 'requests', per: 'day' }] }],
  });
  t.after(async () => {
    await gateway.close();
    await upstream.close();
  });
  const up = () => gateway.metric('spillway_state_store_up');
  return {
    redis,
    ask: async () => assert.equal((await gateway.chat()).status, 200),
    /** Resolves when all that was used so far is. */
    written: async () => assert.equal((await fetch(`${gateway.url}/usage`)).status, 200),
    ofRedis: async (value: number) =>
      until(async () => (await up()) === value, 'the gateway to notice how Redis is'),
    /** Ends the gateway; returns its errors. */
    async end() {
      await gateway.app.drain();
      return gateway.logs.filter(({ level }) => level === 'error').map(({ message }) => message);
    },
  };
}

describe('a gateway that ends', () => {
  it('says once that usage is lost which it could not write while Redis was away', async (t) => {
    const { redis, ask, ofRedis, end } = await open(t);
    await ask();
    await redis.kill();
    await ofRedis(0);
    for (let i = 0; i < 5; i++) await ask();
    assert.deepEqual(await end(), [LOST]);
  });

  it('says nothing where all is written, though Redis is away by then', async (t) => {
    const { redis, ask, written, ofRedis, end } = await open(t);
    await ask();
    await written();
    await redis.kill();
    await ofRedis(0);
    assert.deepEqual(await end(), []);
  });

  it('says nothing where Redis is there, or is back', async (t) => {
    const { redis, ask, ofRedis, end } = await open(t);
    await ask();
    await redis.kill();
    await ofRedis(0);
    await ask();
    await redis.start();
    await ofRedis(1);
    await ask();
    assert.deepEqual(await end(), []);
  });
});
