import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { settle } from '../outcomes/helpers.ts';
import { startGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import {
  apiError,
  chatAnswer,
  chatStream,
  Gate,
  pauseUntil,
  reset,
  type Script,
  script,
  silence,
  startUpstream,
} from '../support/upstream.ts';

const key = (tenant: string) => ({ authorization: `Bearer sw-${tenant}` });
const T1 = key('t1');
const T2 = key('t2');

interface Scene {
  connections: number;
  node?: object;
  strategy?: object;
}

/** Two tenants; `m` is `a/up` and then `b/up`, `alone` is `a/up` by itself. Only `a` has few connections. */
async function scene(t: TestContext, { connections, node = {}, strategy = {} }: Scene) {
  const clock = new ManualClock(1000);
  const a = await startUpstream();
  const b = await startUpstream();
  const provider = { adapter: 'vllm', base_url: a.url, connections };
  const target = { provider: 'a', model: 'up', ...node };
  const config = {
    server: { heartbeat: '0' },
    auth: 'keys',
    tenants: ['t1', 't2'].map((id) => ({ id, keys: [{ id: 'k', key: `sw-${id}` }] })),
    providers: { a: provider, b: { adapter: 'vllm', base_url: b.url } },
    models: {
      m: { strategy: { mode: 'fallback', ...strategy }, targets: [target, { provider: 'b', model: 'up' }] },
      alone: target,
    },
    defaults: { retry: { attempts: 0 }, timeouts: { connect: '5s', total: '1h', attempt: '1h', idle: '1h' } },
  };
  const gateway = await startGateway(config, { clock, chance: () => 0.5 });
  t.after(async () => {
    await gateway.close();
    await a.close();
    await b.close();
  });
  const shows = async (name: string, value: number) => {
    const series = `spillway_upstream_${name}{provider="a"}`;
    while ((await gateway.metric(series)) !== value) await new Promise(setImmediate);
  };
  return { clock, a, b, gateway, shows, config };
}

const status = async (response: Promise<Response>) => {
  const { status } = await response;
  return status;
};

const held = (gate: Gate, answer: Script = chatAnswer()) => script(pauseUntil(gate), answer);

describe('a tenant that has taken every connection to a provider', () => {
  it('is not served before another one, however many of it wait', async (t) => {
    const { a, gateway, shows } = await scene(t, { connections: 10 });
    const gate = new Gate();
    a.reply(() => held(gate));
    const first = Array.from({ length: 30 }, () => gateway.chat({ model: 'alone' }, T1));
    await gate.reached(10);
    await shows('connections', 10);
    await shows('waiting', 20);
    const other = gateway.chat({ model: 'alone', user: 'the other' }, T2);
    await shows('waiting', 21);
    gate.step();
    await gate.reached(11);
    assert.equal(a.requests[10]?.json()['user'], 'the other');
    gate.open();
    assert.equal(await status(other), 200);
    for (const response of first) assert.equal(await status(response), 200);
    await shows('connections', 0);
    await shows('waiting', 0);
  });

  it('takes turns with another one, where there is no connection to keep for it', async (t) => {
    const { a, gateway, shows } = await scene(t, { connections: 1 });
    const gate = new Gate();
    a.reply(() => held(gate));
    const ask = (user: string, headers: Record<string, string>) =>
      gateway.chat({ model: 'alone', user }, headers);
    const asked = [ask('a0', T1)];
    await gate.reached(1);
    for (const [i, user] of ['a1', 'a2', 'a3', 'b1', 'b2'].entries()) {
      asked.push(ask(user, user.startsWith('a') ? T1 : T2));
      await shows('waiting', i + 1);
    }
    gate.open();
    for (const response of asked) assert.equal(await status(response), 200);
    assert.deepEqual(
      a.requests.map((request) => request.json()['user']),
      ['a0', 'a1', 'b1', 'a2', 'b2', 'a3'],
    );
  });

  it('leaves room for others once another one has asked, streams that stay open too', async (t) => {
    const { a, gateway, shows } = await scene(t, { connections: 10 });
    assert.equal(await status(gateway.chat({ model: 'alone' }, T2)), 200);
    const gate = new Gate();
    a.reply(() => chatStream({ content: ['one', pauseUntil(gate), 'two'] }));
    const streams = Array.from({ length: 10 }, () => gateway.chat({ model: 'alone', stream: true }, T1));
    await shows('connections', 9);
    await shows('waiting', 1);
    a.reply(() => chatAnswer());
    assert.equal(await status(gateway.chat({ model: 'alone' }, T2)), 200);
    gate.open();
    for (const response of streams) await (await response).text();
    await shows('connections', 0);
  });
});

describe('a request for which no connection is free in time', () => {
  it('goes to the next target, and without one is told which limit it was', async (t) => {
    const { a, b, gateway, clock, shows } = await scene(t, { connections: 2 });
    const gate = new Gate();
    a.reply(() => held(gate));
    const first = [gateway.chat({ model: 'alone' }, T1), gateway.chat({ model: 'alone' }, T1)];
    await gate.reached(2);
    const elsewhere = gateway.chat({ model: 'm' }, T2);
    const nowhere = gateway.chat({ model: 'alone' }, T2);
    await shows('waiting', 2);
    clock.advance(4_999);
    await settle();
    assert.equal(b.requests.length, 0);
    clock.advance(1);
    const answered = await elsewhere;
    assert.deepEqual([answered.status, answered.headers.get('x-spillway-target')], [200, 'b/up']);
    const refused = await nowhere;
    assert.equal(refused.status, 503);
    assert.deepEqual(
      ['retry-after', 'x-should-retry'].map((name) => refused.headers.get(name)),
      ['1', null],
    );
    const { error } = (await refused.json()) as { error: { code: string; message: string } };
    assert.equal(error.code, 'no_healthy_upstream');
    assert.equal(
      error.message,
      "No target of 'alone' can take the request now. Tried: a/up: skipped, all 2 connections to its provider (`connections`) are in use.",
    );
    assert.equal(a.requests.length, 2);
    const line = gateway.requests.find(({ status }) => status === 503);
    assert.deepEqual([line?.tries, line?.gateway_ms, line?.ms], [[], 0, 5000]);
    assert.equal((await gateway.upstreams())[0]?.breaker, 'closed');
    assert.equal(await gateway.metric('spillway_upstream_limited_total{upstream="a/up#1"}'), 2);
    gate.open();
    for (const response of first) assert.equal(await status(response), 200);
    await shows('connections', 0);
    assert.equal(clock.pending, 0);
  });

  it('asks nobody with a key that was told meanwhile to be left alone', async (t) => {
    const { a, gateway, shows } = await scene(t, { connections: 1 });
    const gate = new Gate();
    a.enqueue(held(gate, apiError(429, {}, { 'retry-after': '100' })));
    const first = gateway.chat({ model: 'alone' }, T1);
    await gate.reached(1);
    const next = gateway.chat({ model: 'm' }, T2);
    await shows('waiting', 1);
    gate.open();
    assert.equal(await status(first), 429);
    assert.equal((await next).headers.get('x-spillway-target'), 'b/up');
    assert.equal(a.requests.length, 1);
    await shows('connections', 0);
  });

  it('is asked of another target beside it where hedges say so, and leaves the line when that one answers', async (t) => {
    const strategy = { hedge: { after: '2s', max_extra: 1 } };
    const { a, gateway, clock, shows } = await scene(t, { connections: 1, strategy });
    const gate = new Gate();
    a.reply(() => held(gate));
    const first = gateway.chat({ model: 'alone' }, T1);
    await gate.reached(1);
    const hedged = gateway.chat({ model: 'm' }, T2);
    await shows('waiting', 1);
    clock.advance(2_000);
    const answered = await hedged;
    assert.deepEqual([answered.status, answered.headers.get('x-spillway-target')], [200, 'b/up']);
    await shows('waiting', 0);
    gate.open();
    assert.equal(await status(first), 200);
    assert.equal(a.requests.length, 1);
    await shows('connections', 0);
  });
});

describe('a connection is free again', () => {
  const ENDS: Record<string, Script> = {
    'a whole answer': chatAnswer(),
    'a stream': chatStream({ content: ['one'] }),
    'an answer that is reset': reset(),
  };
  for (const [what, answer] of Object.entries(ENDS)) {
    it(`after ${what}`, async (t) => {
      const { a, gateway, shows } = await scene(t, { connections: 1 });
      a.reply(() => answer);
      for (let i = 0; i < 3; i++) {
        const asked = await gateway.chat({ model: 'alone', stream: what === 'a stream' }, T1);
        await asked.text();
        await shows('connections', 0);
      }
      assert.equal(a.requests.length, 3);
    });
  }

  it('when a client leaves its stream, and whoever waits has it', async (t) => {
    const { a, gateway, shows } = await scene(t, { connections: 1 });
    a.enqueue(chatStream({ content: ['one', silence()] }));
    a.reply(() => chatAnswer());
    const leaves = new AbortController();
    const open = await gateway.chat({ model: 'alone', stream: true }, T1, leaves.signal);
    assert.equal(open.status, 200);
    const next = gateway.chat({ model: 'alone' }, T2);
    await shows('waiting', 1);
    leaves.abort();
    assert.equal(await status(next), 200);
    await shows('connections', 0);
  });

  it('when more of them are configured: a reload begins with all of these', async (t) => {
    const { a, gateway, shows, config } = await scene(t, { connections: 1 });
    const gate = new Gate();
    a.reply(() => held(gate));
    const first = gateway.chat({ model: 'alone' }, T1);
    await gate.reached(1);
    const { providers } = config;
    gateway.changeConfig({ ...config, providers: { ...providers, a: { ...providers.a, connections: 2 } } });
    const reloaded = await fetch(`${gateway.admin}/admin/reload`, { method: 'POST' });
    assert.equal(reloaded.status, 200);
    const more = [gateway.chat({ model: 'alone' }, T1), gateway.chat({ model: 'alone' }, T1)];
    await gate.reached(3);
    await shows('connections', 2);
    gate.open();
    for (const response of [first, ...more]) assert.equal(await status(response), 200);
    await shows('connections', 0);
  });
});
