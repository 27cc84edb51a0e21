import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { AUTHORITY_FILE, SERVER } from '../support/certificates.ts';
import { startGateway } from '../support/gateway.ts';
import { type ProxyOptions, startProxy } from '../support/proxy.ts';
import { until } from '../support/rig.ts';
import { refusedPort, silence, startUpstream } from '../support/upstream.ts';

const KEY = 'sk-Hd83kSl29fLw04mXpQ';
const PASSWORD = 'p@ss-Vn4Kq8Zt1';
const CREDENTIALS = {
  user: 'relay',
  url: `relay:${encodeURIComponent(PASSWORD)}`,
  plain: `relay:${PASSWORD}`,
};
const HEADER_VALUE = 'organisation-77310';

interface Options {
  secure?: boolean;
  /** What the proxy asks for. */
  credentials?: string;
  /** Name the proxy in the environment instead of the provider's settings. */
  env?: (proxy: string) => Record<string, string>;
  /** The upstream's host name, which only the proxy knows. */
  host?: string;
  node?: object;
  provider?: object;
  /** A second target that needs no proxy takes over. */
  second?: boolean;
}

/** A gateway, an upstream with a name that only the proxy can look up, and the proxy between them. */
async function startProxied(t: TestContext, options: Options = {}) {
  const { secure = true, host = 'upstream.test' } = options;
  const upstream = await startUpstream(secure ? { tls: SERVER } : {});
  const second = await startUpstream();
  const proxyOptions: ProxyOptions = { hosts: { 'upstream.test': upstream.port } };
  if (options.credentials !== undefined) proxyOptions.credentials = options.credentials;
  const proxy = await startProxy(proxyOptions);
  const url = `http://${CREDENTIALS.url}@${proxy.host}`;
  const target = { provider: 'a', model: 'up', retry: { attempts: 0 }, ...options.node };
  const gateway = await startGateway(
    {
      providers: {
        a: {
          adapter: 'openai',
          base_url: `${secure ? 'https' : 'http'}://${host}:${upstream.port}/v1`,
          api_key: KEY,
          headers: { 'x-organisation': HEADER_VALUE },
          ...(secure ? { ca: AUTHORITY_FILE } : {}),
          ...(options.env === undefined ? { proxy: url } : {}),
          ...options.provider,
        },
        b: { adapter: 'vllm', base_url: second.url },
      },
      models: {
        m: options.second
          ? { strategy: { mode: 'fallback' }, targets: [target, { provider: 'b', model: 'up' }] }
          : target,
      },
    },
    { env: options.env?.(url) ?? {} },
  );
  t.after(async () => {
    await gateway.close();
    await proxy.close();
    await upstream.close();
    await second.close();
  });
  /** Asks, and fails unless no secret is in anything that anyone may see. */
  async function ask(body: Record<string, unknown> = {}) {
    const response = await gateway.chat(body);
    const text = await response.text();
    await until(() => gateway.requests.length > 0);
    const [row] = await gateway.upstreams();
    const seen = JSON.stringify([text, [...response.headers], gateway.logs, gateway.requests, row]);
    const basic = Buffer.from(CREDENTIALS.plain).toString('base64');
    for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), basic, KEY, HEADER_VALUE]) {
      assert.ok(!seen.includes(secret), `${secret} in ${seen}`);
    }
    return { status: response.status, text, lastError: row?.last_error ?? '' };
  }
  return { gateway, proxy, upstream, second, ask };
}

describe("a provider's proxy", () => {
  for (const stream of [false, true]) {
    it(`tunnels to an upstream with TLS, ${stream ? 'streamed' : 'plain'}`, async (t) => {
      const { proxy, upstream, ask } = await startProxied(t, { credentials: CREDENTIALS.plain });
      const { status, text } = await ask({ stream });
      assert.equal(status, 200, text);
      assert.match(text, /Hello/);
      assert.deepEqual(
        proxy.requests.map(({ method, target }) => `${method} ${target}`),
        [`CONNECT upstream.test:${upstream.port}`],
      );
    });
  }

  it('sees nothing of the request in a tunnel, and the upstream nothing of the proxy', async (t) => {
    const { proxy, upstream, ask } = await startProxied(t, { credentials: CREDENTIALS.plain });
    await ask();
    const [connect] = proxy.requests;
    assert.deepEqual(Object.keys(connect?.headers ?? {}).sort(), [
      'connection',
      'host',
      'proxy-authorization',
    ]);
    const { headers } = await upstream.nextRequest();
    assert.equal(headers['authorization'], `Bearer ${KEY}`);
    assert.equal(headers['x-organisation'], HEADER_VALUE);
    assert.equal(headers['host'], `upstream.test:${upstream.port}`);
    assert.equal(headers['proxy-authorization'], undefined);
  });

  it('is asked for one tunnel for many requests, one after the other', async (t) => {
    const { proxy, ask } = await startProxied(t);
    for (let i = 0; i < 3; i++) assert.equal((await ask()).status, 200);
    assert.equal(proxy.requests.length, 1);
  });

  it('is asked for as many tunnels at once as `connections` says', async (t) => {
    const { proxy, ask } = await startProxied(t, { provider: { connections: 2 } });
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask()));
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(proxy.requests.length, 2);
  });

  it('gets requests for an upstream without TLS whole, with the URL', async (t) => {
    const { proxy, upstream, ask } = await startProxied(t, {
      secure: false,
      credentials: CREDENTIALS.plain,
      provider: { connections: 2 },
    });
    const answers = await Promise.all([ask(), ask({ stream: true }), ask(), ask()]);
    for (const { status, text } of answers) assert.equal(status, 200, text);
    for (const { method, target } of proxy.requests) {
      assert.equal(`${method} ${target}`, `POST http://upstream.test:${upstream.port}/v1/chat/completions`);
    }
    assert.ok(proxy.openSockets <= 2, `${proxy.openSockets} sockets`);
    const { headers, path } = await upstream.nextRequest();
    assert.equal(path, '/v1/chat/completions');
    assert.equal(headers['host'], `upstream.test:${upstream.port}`);
    assert.equal(headers['authorization'], `Bearer ${KEY}`);
    assert.equal(headers['proxy-authorization'], undefined);
  });

  it('still has the upstream prove who it is', async (t) => {
    const { ask, upstream } = await startProxied(t, { provider: { ca: '' } });
    const { status, lastError } = await ask();
    assert.equal(status, 502);
    assert.match(lastError, /^connection_failed: its certificate .*not trusted/);
    assert.equal(upstream.requests.length, 0);
  });

  it('is left with no connection when the client leaves', async (t) => {
    const { gateway, upstream, proxy } = await startProxied(t, { secure: false });
    upstream.reply(() => silence());
    const leaves = new AbortController();
    const asked = gateway.chat({}, {}, leaves.signal).catch(() => null);
    const { closed } = await upstream.nextRequest();
    leaves.abort();
    await asked;
    await closed;
    await until(() => proxy.openSockets === 0);
  });
});

describe('a proxy that fails', () => {
  for (const secure of [true, false]) {
    const how = secure ? 'a tunnel' : 'a request that it passes on';

    it(`with 502 for ${how}: tried again, then 502`, async (t) => {
      const { proxy, ask } = await startProxied(t, {
        secure,
        node: { retry: { attempts: 2, backoff: { base: '1ms' } } },
      });
      proxy.mood = 502;
      const { status, text, lastError } = await ask();
      assert.equal(status, 502);
      assert.match(text, /"code":"upstream_error"/);
      assert.match(text, /a\/up: 3 tries, /);
      assert.match(
        lastError,
        secure ? /^connection_failed: refused by the proxy with HTTP 502/ : /^server_error/,
      );
      assert.equal(proxy.requests.length, 3);
    });

    it(`with 407 for ${how}: the operator's business, and the next target's`, async (t) => {
      const { gateway, proxy, ask, second } = await startProxied(t, {
        secure,
        second: true,
        credentials: 'other:credentials',
        node: { retry: { attempts: 2, backoff: { base: '1ms' } } },
      });
      const { status, lastError } = await ask();
      assert.equal(status, 200);
      assert.equal(second.requests.length, 1);
      assert.match(lastError, /^target_misconfigured: .*407/);
      assert.equal(proxy.requests.length, 1);
      assert.ok(
        gateway.logs.some(({ level, fields }) => level === 'error' && fields['upstream'] === 'a/up#1'),
      );
    });

    it(`with 407 for ${how} and nobody else to ask: 502`, async (t) => {
      const { ask } = await startProxied(t, { secure, credentials: 'other:credentials' });
      const { status, text } = await ask();
      assert.equal(status, 502);
      assert.match(text, /"code":"upstream_error"/);
    });

    it(`by hanging up on ${how}`, async (t) => {
      const { proxy, ask, second } = await startProxied(t, { secure, second: true });
      proxy.mood = 'hang_up';
      const { status, lastError } = await ask();
      assert.equal(status, 200);
      assert.equal(second.requests.length, 1);
      assert.match(lastError, /^connection_failed: /);
    });

    it(`by being away, for ${how}`, async (t) => {
      const proxy = `http://${CREDENTIALS.url}@127.0.0.1:${await refusedPort()}`;
      const { ask, second } = await startProxied(t, { secure, second: true, provider: { proxy } });
      const { status, lastError } = await ask();
      assert.equal(status, 200);
      assert.equal(second.requests.length, 1);
      assert.equal(lastError, 'connection_failed: proxy: connection refused');
    });
  }

  it('by silence when asked for a tunnel: given up when the time to connect is over', async (t) => {
    const { proxy, ask, second } = await startProxied(t, {
      second: true,
      node: { timeouts: { connect: '200ms' } },
    });
    proxy.mood = 'silent';
    const { status, lastError } = await ask();
    assert.equal(status, 200);
    assert.equal(second.requests.length, 1);
    assert.equal(lastError, 'connection_failed: no connection in time');
    await until(() => proxy.openSockets === 0);
  });
});

describe("the environment's proxies", () => {
  const both = (url: string) => ({ HTTPS_PROXY: url, HTTP_PROXY: url });

  it('HTTPS_PROXY is for upstreams with TLS', async (t) => {
    const { ask, proxy } = await startProxied(t, { env: (url) => ({ HTTPS_PROXY: url }) });
    assert.equal((await ask()).status, 200);
    assert.equal(proxy.requests[0]?.method, 'CONNECT');
  });

  it('HTTP_PROXY is for those without', async (t) => {
    const { ask, proxy } = await startProxied(t, { secure: false, env: (url) => ({ HTTP_PROXY: url }) });
    assert.equal((await ask()).status, 200);
    assert.equal(proxy.requests[0]?.method, 'POST');
  });

  it('small letters and an address without http:// do as well', async (t) => {
    const env = (url: string) => ({ https_proxy: url.replace('http://', '') });
    const { ask, proxy } = await startProxied(t, { env, credentials: CREDENTIALS.plain });
    assert.equal((await ask()).status, 200);
    assert.equal(proxy.requests.length, 1);
  });

  for (const host of ['127.0.0.1', 'localhost']) {
    it(`are not for ${host}`, async (t) => {
      const { ask, proxy } = await startProxied(t, { host, env: both });
      assert.equal((await ask()).status, 200);
      assert.equal(proxy.requests.length, 0);
    });
  }

  for (const exempt of ['upstream.test', '.test', '*.test', 'other.test, UPSTREAM.test', '*']) {
    it(`are not for what NO_PROXY=${exempt} means`, async (t) => {
      const { ask, proxy } = await startProxied(t, { env: (url) => ({ ...both(url), NO_PROXY: exempt }) });
      // Nobody but the proxy can look it up.
      const { status, lastError } = await ask();
      assert.equal(status, 502);
      assert.match(lastError, /host name/);
      assert.equal(proxy.requests.length, 0);
    });
  }

  for (const exempt of ['stream.test', 'upstream.test:1', '*.upstream.test', 'x.upstream.test']) {
    it(`are for what NO_PROXY=${exempt} does not mean`, async (t) => {
      const { ask } = await startProxied(t, { env: (url) => ({ ...both(url), NO_PROXY: exempt }) });
      assert.equal((await ask()).status, 200);
    });
  }

  it("do not take the place of the provider's own", async (t) => {
    const away = `http://127.0.0.1:${await refusedPort()}`;
    const { proxy } = await startProxied(t);
    const { ask } = await startProxied(t, {
      env: () => ({ HTTPS_PROXY: away }),
      provider: { proxy: `http://${proxy.host}` },
      host: '127.0.0.1',
    });
    assert.equal((await ask()).status, 200);
    assert.equal(proxy.requests.length, 1);
  });

  it('are refused at the start where they are none, without their password', async () => {
    const config = {
      providers: { a: { adapter: 'vllm', base_url: 'http://127.0.0.1:1/v1' } },
      models: { m: { provider: 'a', model: 'up' } },
    };
    for (const url of [`socks5://${CREDENTIALS.url}@127.0.0.1:1`, `http://${CREDENTIALS.url}@:x`]) {
      await assert.rejects(startGateway(config, { env: { HTTPS_PROXY: url } }), (error: Error) => {
        assert.match(error.message, /^HTTPS_PROXY: expected the URL of an HTTP proxy/);
        return !String(error.stack).includes(CREDENTIALS.url);
      });
    }
  });
});
