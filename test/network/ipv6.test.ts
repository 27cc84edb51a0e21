import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { describe, it, type TestContext } from 'node:test';
import { chatBody } from '../server/helpers.ts';
import { startProcess } from '../support/process.ts';
import { startRedis } from '../support/redis.ts';
import { startRedisCluster } from '../support/redis-cluster.ts';

const hasIt = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));
const skip = hasIt ? false : 'this machine has no IPv6';

const ANSWER = {
  choices: [{ index: 0, message: { role: 'assistant', content: 'Hi' }, finish_reason: 'stop' }],
};

/** An upstream at `[::1]`, and which hosts it was asked as. */
async function startUpstream(t: TestContext) {
  const hosts: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    hosts.push(request.headers.host);
    response.setHeader('content-type', 'application/json').end(JSON.stringify(ANSWER));
  });
  server.listen(0, '::1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { host: `[::1]:${(server.address() as AddressInfo).port}`, hosts };
}

describe('a gateway that has IPv6 alone', { skip }, () => {
  const stores: Record<string, (t: TestContext) => Promise<string | string[]>> = {
    'one Redis': async (t) => {
      const { port } = await startRedis(t, { config: { bind: '127.0.0.1 ::1' } });
      return `redis://[::1]:${port}`;
    },
    // Whose nodes know each other, and tell of each other, by these addresses.
    'a cluster': async (t) => {
      const announced = { bind: '127.0.0.1 ::1', 'cluster-announce-ip': '::1' };
      const { nodes } = await startRedisCluster(t, { masters: 3, replicas: 0, config: announced });
      return nodes.slice(0, 1).map(({ port }) => `redis://[::1]:${port}`);
    },
  };
  for (const [what, start] of Object.entries(stores)) {
    it(`serves clients and operators, and reaches its upstreams and ${what}`, async (t) => {
      const [upstream, redis] = [await startUpstream(t), await start(t)];
      const config = {
        providers: { a: { adapter: 'vllm', base_url: `http://${upstream.host}/v1` } },
        models: { m: { provider: 'a' } },
        state: { redis, on_outage: 'deny', command_timeout: '10s' },
        tenants: [{ id: 'anonymous', quotas: [{ limit: 100, of: 'requests', per: 'month' }] }],
      };
      const gateway = startProcess(t, config, {
        args: ['--config', 'CONFIG', '--listen', '[::1]:0', '--admin', '[::1]:0'],
        // Nobody listens there: this machine is not asked by way of a proxy.
        env: { HTTP_PROXY: 'http://127.0.0.1:9' },
      });
      const { listen, admin } = await gateway.listening();
      assert.match(listen, /^http:\/\/\[::1\]:\d+$/);
      const response = await fetch(`${listen}/v1/chat/completions`, { method: 'POST', body: chatBody() });
      assert.equal(response.status, 200, await response.clone().text());
      assert.equal(response.headers.get('x-ratelimit-remaining-requests'), '99');
      assert.deepEqual(upstream.hosts, [upstream.host]);
      assert.equal((await fetch(`${admin}/admin/upstreams`)).status, 200);
      const page = await fetch(`${admin}/admin/upstreams`, { headers: { origin: 'http://[::1]:1' } });
      assert.equal(page.status, 401);
    });
  }
});
