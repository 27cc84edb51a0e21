import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../support/manual-clock.ts';
import { exchangeRaw } from '../support/raw-http.ts';
import { apiError, silence } from '../support/upstream.ts';
import { errorIn, refusalOf, serve, shortRefusalOf } from './helpers.ts';

describe('the probes', () => {
  it('say that the process is alive and ready', async (t) => {
    const { gateway } = await serve(t);
    for (const [path, status] of [
      ['/livez', 'alive'],
      ['/readyz', 'ready'],
    ]) {
      const response = await fetch(gateway.admin + path);
      assert.equal(response.status, 200);
      assert.deepEqual(await response.json(), { status });
    }
  });

  it('say that it is not ready while it drains, and alive all the same', async (t) => {
    const { gateway, upstream } = await serve(t);
    upstream.enqueue(silence());
    const left = new AbortController();
    const hanging = gateway.chat({}, {}, left.signal).catch(() => null);
    await upstream.waitFor(1);
    const drained = gateway.app.drain();
    const response = await fetch(`${gateway.admin}/readyz`);
    assert.equal(response.status, 503);
    assert.deepEqual(await response.json(), { status: 'not ready', reason: 'draining' });
    assert.equal((await fetch(`${gateway.admin}/livez`)).status, 200);
    left.abort();
    await hanging;
    await drained;
  });
});

describe('the list of upstreams', () => {
  it('has a row for each key of each target, with just these fields', async (t) => {
    const { gateway, upstream, configWith } = await serve(t);
    gateway.changeConfig(
      configWith({
        providers: {
          pool: { adapter: 'openai', base_url: upstream.url, api_keys: ['sk-first-key', 'sk-second-key'] },
          none: { adapter: 'vllm', base_url: upstream.url },
        },
        models: {
          m: {
            strategy: { mode: 'fallback' },
            targets: [{ provider: 'pool', model: 'x/y' }, { provider: 'none' }],
          },
        },
      }),
    );
    await fetch(`${gateway.admin}/admin/reload`, { method: 'POST' });
    const response = await fetch(`${gateway.admin}/admin/upstreams`);
    assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
    const row = (id: string, provider: string, model: string) => ({
      id,
      provider,
      model,
      breaker: 'closed',
      opens: 0,
      cooldown_until: null,
      in_flight: 0,
      last_error: null,
    });
    const expected = [
      row('pool/x/y#1', 'pool', 'x/y'),
      row('pool/x/y#2', 'pool', 'x/y'),
      row('none/m#1', 'none', 'm'),
    ];
    assert.equal(await response.text(), JSON.stringify({ upstreams: expected }));
  });

  it('shows a request under way, a cooldown and the last error', async (t) => {
    const { gateway, upstream } = await serve(t, {}, { clock: new ManualClock() });
    upstream.enqueue(silence());
    const left = new AbortController();
    const hanging = gateway.chat({}, {}, left.signal).catch(() => null);
    await upstream.waitFor(1);
    assert.equal((await gateway.upstreams())[0]?.in_flight, 1);
    left.abort();
    await hanging;
    await gateway.ended(1);
    assert.equal((await gateway.upstreams())[0]?.last_error, null);

    upstream.enqueue(apiError(429, { message: 'slow down' }, { 'retry-after': '3600' }));
    await gateway.chat();
    const [cooling] = await gateway.upstreams();
    assert.equal(cooling?.cooldown_until, '2026-11-22T10:00:00.000Z');
    assert.equal(cooling?.last_error, 'rate_limited: slow down');
    assert.equal(cooling?.breaker, 'closed');
  });

  it("does not show what was a client's own fault, for it may quote a prompt", async (t) => {
    const { gateway, upstream } = await serve(t);
    upstream.enqueue(apiError(400, { message: 'no such city: Paris' }));
    upstream.enqueue(apiError(400, { message: 'Paris is too much', code: 'context_length_exceeded' }));
    upstream.enqueue(apiError(400, { message: 'Paris is not allowed', code: 'content_policy_violation' }));
    for (let i = 0; i < 3; i++) assert.equal((await gateway.chat()).status, 400);
    assert.equal((await gateway.upstreams())[0]?.last_error, null);
  });

  it('shows an open breaker and how often it opened', async (t) => {
    const { gateway, upstream } = await serve(t, {
      models: {
        m: { provider: 'a', model: 'up', retry: { attempts: 0 }, breaker: { consecutive_failures: 1 } },
      },
    });
    upstream.enqueue(apiError(500, { message: 'out of order' }));
    await gateway.chat();
    const [row] = await gateway.upstreams();
    assert.deepEqual([row?.breaker, row?.opens, row?.in_flight], ['open', 1, 0]);
    assert.equal(row?.last_error, 'server_error: out of order');
  });
});

describe('where a token is set', () => {
  const config = { admin: { listen: '127.0.0.1:0', token: 'admin-token-0123456789' } };

  it('it is asked for, and nothing else will do', async (t) => {
    const { gateway } = await serve(t, config);
    const asked: [method: string, path: string][] = [
      ['GET', '/admin/upstreams'],
      ['POST', '/admin/reload'],
    ];
    for (const [method, path] of asked) {
      const wrong = [
        '',
        'Bearer',
        'Bearer admin-token-012345678',
        'Basic admin-token-0123456789',
        'admin-token-0123456789',
      ];
      for (const authorization of wrong) {
        const headers = authorization === '' ? {} : { authorization };
        const response = await fetch(gateway.admin + path, { method, headers });
        assert.equal(response.headers.get('www-authenticate'), 'Bearer');
        assert.deepEqual(await shortRefusalOf(response), {
          status: 401,
          type: 'invalid_request_error',
          code: 'invalid_api_key',
          param: null,
        });
      }
      const headers = { authorization: 'Bearer admin-token-0123456789' };
      assert.equal((await fetch(gateway.admin + path, { method, headers })).status, 200);
    }
    assert.equal(gateway.logs.filter(({ message }) => message === 'reloaded').length, 1);
  });

  it('the probes and the metrics stay open', async (t) => {
    const { gateway } = await serve(t, config);
    for (const path of ['/livez', '/readyz', '/metrics']) {
      assert.equal((await fetch(gateway.admin + path)).status, 200, path);
    }
  });

  it("a client's key is no token, and the token no client's key", async (t) => {
    const tenants = [{ id: 'acme', keys: [{ id: 'ci', key: 'sw-acme' }] }];
    const { gateway } = await serve(t, { ...config, auth: 'keys', tenants });
    const asClient = { authorization: 'Bearer sw-acme' };
    assert.equal((await fetch(`${gateway.admin}/admin/upstreams`, { headers: asClient })).status, 401);
    assert.equal((await gateway.chat({}, { authorization: 'Bearer admin-token-0123456789' })).status, 401);
  });
});

describe('where no token is set', () => {
  const ask = (request: string, ...headers: string[]) =>
    `${[`${request} HTTP/1.1`, ...headers, 'content-length: 0'].join('\r\n')}\r\n\r\n`;

  it('this machine is answered, by whichever of its own names it asks', async (t) => {
    const { gateway } = await serve(t);
    for (const host of ['localhost', 'gateway.localhost:9090', '127.0.0.1:9090', '[::1]:9090', '10.1.2.3']) {
      const answer = await exchangeRaw(gateway.admin, ask('GET /admin/upstreams', `host: ${host}`));
      assert.equal(answer.status, 200, host);
    }
  });

  it('a web page in a browser on it is not, and neither is a name that was made to lead here', async (t) => {
    const { gateway } = await serve(t);
    const requests = [
      ask('POST /admin/reload', 'host: 127.0.0.1:9090', 'origin: https://page.example'),
      ask('POST /admin/tenants', 'host: localhost:9090', 'origin: null'),
      ask('POST /admin/reload', 'host: page.example:9090', 'origin: http://page.example:9090'),
      ask('GET /admin/upstreams', 'host: page.example:9090'),
      ask('GET /admin/upstreams', 'host: localhost.page.example'),
      ask('GET /admin/upstreams', 'host: 127.0.0.1.page.example'),
    ];
    for (const request of requests) {
      const answer = await exchangeRaw(gateway.admin, request);
      assert.equal(answer.status, 401, request);
      assert.match(errorIn(answer.body).message, /`admin\.token`/);
    }
    assert.deepEqual(gateway.logs, []);
    const scraped = await exchangeRaw(gateway.admin, ask('GET /metrics', 'host: gateway.example:9090'));
    assert.equal(scraped.status, 200);
  });
});

describe("errors on the operators' listener", () => {
  it("have OpenAI's shape too", async (t) => {
    const { gateway } = await serve(t);
    const cases: [method: string, path: string, status: number, code: string, allow: string | null][] = [
      ['GET', '/', 404, 'unknown_url', null],
      ['GET', '/admin', 404, 'unknown_url', null],
      ['GET', '/v1/models', 404, 'unknown_url', null],
      ['POST', '/metrics', 405, 'method_not_allowed', 'GET'],
      ['DELETE', '/livez', 405, 'method_not_allowed', 'GET'],
      ['POST', '/readyz', 405, 'method_not_allowed', 'GET'],
      ['POST', '/admin/upstreams', 405, 'method_not_allowed', 'GET'],
      ['GET', '/admin/reload', 405, 'method_not_allowed', 'POST'],
      ['PROPFIND', '/admin/reload', 405, 'method_not_allowed', 'POST'],
    ];
    for (const [method, path, status, code, allow] of cases) {
      const response = await fetch(gateway.admin + path, { method });
      assert.equal(response.headers.get('allow'), allow, `${method} ${path}`);
      assert.deepEqual(await shortRefusalOf(response), {
        status,
        type: 'invalid_request_error',
        code,
        param: null,
      });
    }
    for (const [bytes, status] of [
      ['hello\r\n\r\n', 400],
      ['GET /%zz HTTP/1.1\r\nhost: a\r\n\r\n', 400],
      [`GET /livez HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ] as const) {
      const response = await exchangeRaw(gateway.admin, bytes);
      assert.equal(response.status, status);
      assert.match(response.headers['x-request-id'] ?? '', /./);
      errorIn(response.body);
    }
    assert.deepEqual(gateway.logs, [], 'something was logged');
  });
});

describe('a reload that is asked for', () => {
  it('is done, and said', async (t) => {
    const { gateway, configWith } = await serve(t);
    gateway.changeConfig(configWith({ models: { n: { provider: 'a' } } }));
    const response = await fetch(`${gateway.admin}/admin/reload`, { method: 'POST' });
    assert.equal(response.status, 200);
    assert.deepEqual(await response.json(), { status: 'reloaded' });
    assert.equal((await gateway.chat({ model: 'n' })).status, 200);
    assert.equal((await gateway.chat({ model: 'm' })).status, 404);
  });

  it('takes no notice of a body', async (t) => {
    const { gateway } = await serve(t);
    for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded']) {
      const init = { method: 'POST', headers: { 'content-type': type }, body: 'x'.repeat(100_000) };
      assert.equal((await fetch(`${gateway.admin}/admin/reload`, init)).status, 200, type);
    }
  });

  it('says everything that is wrong, and the running configuration stays', async (t) => {
    const { gateway, configWith } = await serve(t);
    gateway.changeConfig(configWith({ modells: {}, models: { n: { provider: 'b' } } }));
    const response = await fetch(`${gateway.admin}/admin/reload`, { method: 'POST' });
    const body = (await response.clone().json()) as { error: { message: string }; problems: string[] };
    assert.equal(response.status, 422);
    assert.deepEqual(Object.keys(body), ['error', 'problems']);
    assert.equal(body.problems.length, 2);
    for (const problem of body.problems) assert.ok(body.error.message.includes(problem));
    assert.match(body.problems.join('\n'), /test\.yaml:\d+:\d+.*modells.*did you mean models/);
    assert.match(body.problems.join('\n'), /models\.n\.provider.*no provider.*"?b"?/);
    const [line] = gateway.logs;
    assert.equal(line?.level, 'error');
    assert.deepEqual(line?.fields['problems'], body.problems);
    assert.equal((await gateway.chat()).status, 200);
    assert.equal((await refusalOf(await gateway.chat({ model: 'n' }))).status, 404);
  });
});
