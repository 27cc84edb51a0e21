import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../support/manual-clock.ts';
import { startProcess } from '../support/process.ts';
import { RawClient } from '../support/raw-http.ts';
import { apiError, chatAnswer, chatStream, Gate, pauseUntil, startUpstream } from '../support/upstream.ts';
import { chatBody, chatHead, reloadWith, serve } from './helpers.ts';

describe('a reload', () => {
  it('is whole or not at all: a faulty file changes nothing', async (t) => {
    const { gateway, configWith } = await serve(t, {
      auth: 'keys',
      tenants: [{ id: 'acme', keys: [{ id: 'ci', key: 'sw-acme' }] }],
    });
    gateway.changeConfig(
      configWith({
        auth: 'none',
        tenants: [],
        models: { n: { provider: 'a' } },
        server: { max_in_flight: 'many' },
      }),
    );
    const result = await gateway.app.reload();
    assert.ok(!result.ok);
    assert.equal(result.problems.length, 1);
    assert.match(result.problems[0] ?? '', /server\.max_in_flight/);
    assert.deepEqual(gateway.logs, [
      {
        level: 'error',
        message: 'the configuration was not reloaded: the running one stays',
        fields: { problems: result.problems },
      },
    ]);
    assert.equal((await gateway.chat()).status, 401);
    const headers = { authorization: 'Bearer sw-acme' };
    assert.equal((await gateway.chat({}, headers)).status, 200);
    assert.equal((await gateway.chat({ model: 'n' }, headers)).status, 404);
  });

  it('takes over tenants, models, aliases and settings', async (t) => {
    const { gateway, configWith } = await serve(t);
    await reloadWith(
      gateway,
      configWith({
        auth: 'keys',
        tenants: [{ id: 'acme', models: ['alias'], keys: [{ id: 'ci', key: 'sw-acme' }] }],
        aliases: { alias: 'm' },
        admin: { listen: '127.0.0.1:0', token: 'admin-token-0123456789' },
      }),
    );
    assert.equal((await gateway.chat()).status, 401);
    const headers = { authorization: 'Bearer sw-acme' };
    assert.equal((await gateway.chat({ model: 'alias' }, headers)).status, 200);
    assert.equal((await gateway.chat({ model: 'm' }, headers)).status, 403);
    assert.equal((await fetch(`${gateway.admin}/admin/upstreams`)).status, 401);
  });

  it('is refused where it would need a restart, with each key that does', async (t) => {
    const { gateway, configWith } = await serve(t);
    gateway.changeConfig(
      configWith({
        listen: '127.0.0.1:1',
        admin: { listen: '127.0.0.1:2' },
        server: { max_body: '1mb' },
        models: {},
      }),
    );
    const response = await fetch(`${gateway.admin}/admin/reload`, { method: 'POST' });
    assert.equal(response.status, 422);
    const { problems } = (await response.json()) as { problems: string[] };
    assert.deepEqual(problems, [
      'listen cannot change while running: restart instead',
      'admin.listen cannot change while running: restart instead',
      'server.max_body cannot change while running: restart instead',
    ]);
    assert.equal((await gateway.chat()).status, 200);
  });
});

it('a breaker that would stay open longer than it may is found when the file is checked', async (t) => {
  const { gateway, configWith } = await serve(t);
  const breaker = { open_for: '1h' };
  gateway.changeConfig(configWith({ defaults: { breaker }, models: { m: { provider: 'a', breaker } } }));
  const result = await gateway.app.reload();
  assert.ok(!result.ok);
  const lengths = '`open_for` (1h) is longer than `max_open_for` (5m); change one of the two';
  assert.deepEqual(result.problems.map((problem) => problem.replace(/^\S+ /, '')).sort(), [
    `defaults.breaker.open_for: ${lengths}`,
    `models.m.breaker.open_for: ${lengths}`,
  ]);
  assert.equal((await gateway.chat()).status, 200);
});

describe('requests under way', () => {
  it('finish on what they began with: model, tenant and upstream, though all are gone from the file', async (t) => {
    const { gateway, upstream, configWith } = await serve(t, {
      auth: 'keys',
      tenants: [{ id: 'old', keys: [{ id: 'ci', key: 'sw-old' }] }],
    });
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }), [
      pauseUntil(gate),
      chatAnswer(),
    ]);
    const headers = { authorization: 'Bearer sw-old' };
    const streamed = await gateway.chat({ stream: true }, headers);
    const plain = gateway.chat({}, headers);
    await upstream.waitFor(2);
    const other = await startUpstream();
    t.after(() => other.close());
    await reloadWith(
      gateway,
      configWith({
        tenants: [{ id: 'new', keys: [{ id: 'ci', key: 'sw-new' }] }],
        providers: { b: { adapter: 'vllm', base_url: other.url } },
        models: { n: { provider: 'b' } },
      }),
    );
    assert.equal((await gateway.chat({}, headers)).status, 401);
    gate.open();
    assert.match(await streamed.text(), /"lo".*\[DONE\]/s);
    assert.equal((await plain).status, 200);
    const lines = await gateway.ended(3);
    assert.deepEqual(lines.map(({ tenant, target }) => [tenant, target]).slice(1), [
      ['old', 'a/up'],
      ['old', 'a/up'],
    ]);
  });

  it('go on to the next target of the tree they began with, though its provider is gone from the file', async (t) => {
    const second = await startUpstream();
    t.after(() => second.close());
    const first = await startUpstream();
    t.after(() => first.close());
    const { gateway, configWith } = await serve(t, {
      providers: {
        a: { adapter: 'vllm', base_url: first.url },
        b: { adapter: 'vllm', base_url: second.url },
      },
      models: {
        m: {
          retry: { attempts: 0 },
          strategy: { mode: 'fallback' },
          targets: [{ provider: 'a' }, { provider: 'b' }],
        },
      },
    });
    const gate = new Gate();
    first.enqueue([pauseUntil(gate), apiError(500)]);
    // So that its pool of sockets has been used.
    first.enqueue(apiError(500));
    const answer = gateway.chat();
    await first.waitFor(1);
    assert.equal((await gateway.chat()).headers.get('x-spillway-target'), 'b/m');
    await reloadWith(
      gateway,
      configWith({
        providers: { a: { adapter: 'vllm', base_url: first.url } },
        models: { m: { provider: 'a' } },
      }),
    );
    gate.open();
    const response = await answer;
    assert.equal(response.status, 200, await response.text());
    assert.equal(response.headers.get('x-spillway-target'), 'b/m');
  });

  it('that were still sending their body are served by the configuration they began with', async (t) => {
    const { gateway, configWith } = await serve(t, { direct_models: true });
    const body = chatBody();
    const direct = chatBody({ model: 'a/any' });
    const clients: [RawClient, string, number][] = [];
    for (const [text, status] of [
      [body, 200],
      [direct, 404],
    ] as const) {
      const client = await RawClient.connect(gateway.origin);
      const asked = chatHead({ 'content-length': text.length, expect: '100-continue' });
      await client.send(asked);
      // It has been let in by then.
      assert.equal((await client.response()).status, 100);
      clients.push([client, text, status]);
    }
    await reloadWith(gateway, configWith({ models: {}, providers: {}, direct_models: false }));
    for (const [client, text, status] of clients) {
      await client.send(text);
      assert.equal((await client.response()).status, status);
      client.destroy();
    }
  });
});

describe('what was learnt of upstreams', () => {
  const BREAKER = { consecutive_failures: 1, open_for: '5m' };
  const node = (changes: object = {}) => ({
    m: { provider: 'a', model: 'up', retry: { attempts: 0 }, breaker: BREAKER, ...changes },
  });

  it('is kept where it did not change: an open breaker', async (t) => {
    const { gateway, upstream, configWith } = await serve(t, { models: node() });
    upstream.enqueue(apiError(500));
    await gateway.chat();
    assert.equal((await gateway.upstreams())[0]?.breaker, 'open');
    await reloadWith(
      gateway,
      configWith({ models: { ...node(), n: { provider: 'a' } }, aliases: { x: 'm' } }),
    );
    const rows = await gateway.upstreams();
    assert.deepEqual(
      rows.map(({ id, breaker, opens, last_error }) => [id, breaker, opens, last_error]),
      [
        ['a/up#1', 'open', 1, 'server_error: upstream says 500'],
        ['a/n#1', 'closed', 0, null],
      ],
    );
    assert.equal((await gateway.chat()).status, 503);
    assert.equal(upstream.requests.length, 1);
  });

  it('is kept where it did not change: a cooldown', async (t) => {
    const { gateway, upstream, configWith } = await serve(t, {}, { clock: new ManualClock() });
    upstream.enqueue(apiError(429, {}, { 'retry-after': '60' }));
    await gateway.chat();
    const before = (await gateway.upstreams())[0]?.cooldown_until;
    assert.equal(before, '2026-11-22T09:01:00.000Z');
    await reloadWith(gateway, configWith({ aliases: { x: 'm' } }));
    assert.equal((await gateway.upstreams())[0]?.cooldown_until, before);
  });

  it('is kept where it did not change: the sockets', async (t) => {
    const { gateway, upstream, configWith } = await serve(t);
    await (await gateway.chat()).text();
    await reloadWith(
      gateway,
      configWith({ aliases: { x: 'm' }, models: { m: { provider: 'a' }, n: { provider: 'a' } } }),
    );
    await (await gateway.chat()).text();
    await (await gateway.chat({ model: 'n' })).text();
    assert.equal(upstream.connections, 1);
  });

  it('is kept for a model that is reached directly', async (t) => {
    const { gateway, upstream, configWith } = await serve(t, {
      direct_models: true,
      defaults: { breaker: BREAKER, retry: { attempts: 0 } },
    });
    upstream.enqueue(apiError(500));
    await gateway.chat({ model: 'a/direct' });
    await reloadWith(gateway, configWith({ aliases: { x: 'm' } }));
    const row = (await gateway.upstreams()).find(({ id }) => id === 'a/direct#1');
    assert.equal(row?.breaker, 'open');
    assert.equal((await gateway.chat({ model: 'a/direct' })).status, 503);
  });

  it('is forgotten where the key changed, so that a new key is tried at once', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const providers = (key: string) => ({ a: { adapter: 'openai', base_url: upstream.url, api_key: key } });
    const { gateway, configWith } = await serve(t, { providers: providers('sk-old-key') });
    upstream.enqueue(apiError(401));
    assert.equal((await gateway.chat()).status, 502);
    assert.equal((await gateway.chat()).status, 503);
    assert.equal(upstream.requests.length, 1);
    await reloadWith(gateway, configWith({ providers: providers('sk-new-key') }));
    const [row] = await gateway.upstreams();
    assert.deepEqual([row?.cooldown_until, row?.last_error, row?.opens], [null, null, 0]);
    assert.equal((await gateway.chat()).status, 200);
    assert.equal(upstream.requests[1]?.headers['authorization'], 'Bearer sk-new-key');
  });

  it('is forgotten where the host changed', async (t) => {
    const { gateway, upstream, configWith } = await serve(t, { models: node() });
    upstream.enqueue(apiError(500));
    await gateway.chat();
    const other = await startUpstream();
    t.after(() => other.close());
    await reloadWith(gateway, configWith({ providers: { a: { adapter: 'vllm', base_url: other.url } } }));
    assert.equal((await gateway.upstreams())[0]?.breaker, 'closed');
    assert.equal((await gateway.chat()).status, 200);
    assert.equal(other.requests.length, 1);
  });

  it('does not show a breaker that nothing uses any more, after its settings changed', async (t) => {
    const { gateway, upstream, configWith } = await serve(t, { models: node() });
    upstream.enqueue(apiError(500));
    await gateway.chat();
    await reloadWith(gateway, configWith({ models: node({ breaker: { consecutive_failures: 5 } }) }));
    assert.equal((await gateway.upstreams())[0]?.breaker, 'closed');
    assert.equal(await gateway.metric('spillway_breaker_state{upstream="a/up#1"}'), 0);
    assert.equal((await gateway.chat()).status, 200);
  });

  it('is gone from the list and from the metrics with the model', async (t) => {
    const { gateway, configWith } = await serve(t);
    await gateway.chat();
    await reloadWith(gateway, configWith({ models: { n: { provider: 'a', model: 'other' } } }));
    assert.deepEqual(
      (await gateway.upstreams()).map(({ id }) => id),
      ['a/other#1'],
    );
    assert.doesNotMatch(await gateway.metrics(), /spillway_breaker_state\{upstream="a\/up#1"\}/);
  });

  it('begins anew, with a name in the metrics, where a tree comes to name what was reached directly', async (t) => {
    const { gateway, configWith } = await serve(t, { direct_models: true });
    await gateway.chat({ model: 'a/special' });
    await reloadWith(gateway, configWith({ models: { m: { provider: 'a', model: 'special' } } }));
    await gateway.chat();
    const series = 'spillway_attempts_total{provider="a",model="special",outcome="ok"}';
    assert.equal(await gateway.metric(series), 1);
  });
});

describe('a process that gets SIGHUP', () => {
  it('reads its file again: a good one is taken over, a faulty one is told of', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const config = (models: object) => ({
      version: 1,
      listen: '127.0.0.1:0',
      admin: { listen: '127.0.0.1:0' },
      auth: 'none',
      providers: { a: { adapter: 'vllm', base_url: upstream.url } },
      models,
    });
    const gateway = startProcess(t, config({ m: { provider: 'a' } }));
    const { listen } = await gateway.listening();
    const chat = async (model: string) =>
      (await fetch(`${listen}/v1/chat/completions`, { method: 'POST', body: chatBody({ model }) })).status;

    gateway.writeConfig(config({ n: { provider: 'a' } }));
    gateway.child.kill('SIGHUP');
    assert.equal((await gateway.line('reloaded'))['models'], 1);
    assert.deepEqual([await chat('m'), await chat('n')], [404, 200]);

    gateway.writeConfig(config({ o: { provider: 'nobody' } }));
    gateway.child.kill('SIGHUP');
    const line = await gateway.line('the configuration was not reloaded: the running one stays');
    assert.equal(line.level, 50);
    assert.match(String(line['problems']), /spillway\.yaml:\d+:\d+: models\.o\.provider/);
    assert.deepEqual([await chat('n'), await chat('o')], [200, 404]);
  });

  it('keeps the addresses of its command line', async (t) => {
    const config = (listen: string) => ({
      version: 1,
      listen,
      admin: { listen: '127.0.0.1:0' },
      auth: 'none',
      providers: { a: { adapter: 'vllm', base_url: 'http://127.0.0.1:9/v1' } },
      models: { m: { provider: 'a' } },
    });
    const args = ['--config', 'CONFIG', '--listen', '127.0.0.1:0'];
    const gateway = startProcess(t, config('127.0.0.1:1'), { args });
    await gateway.listening();
    gateway.writeConfig(config('127.0.0.1:2'));
    gateway.child.kill('SIGHUP');
    await gateway.line('reloaded');
  });
});
