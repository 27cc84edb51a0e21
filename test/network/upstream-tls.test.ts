import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { createServer } from 'node:tls';
import { AUTHORITY_FILE, ELSEWHERE, SERVER } from '../support/certificates.ts';
import { startGateway } from '../support/gateway.ts';
import { startUpstream } from '../support/upstream.ts';

/** A gateway before an upstream that speaks TLS. */
async function startTls(t: TestContext, tls: { key: string; cert: string }, provider: object) {
  const upstream = await startUpstream({ tls });
  const gateway = await startGateway({
    providers: { a: { adapter: 'vllm', base_url: upstream.url, ...provider } },
    models: { m: { provider: 'a', model: 'up', retry: { attempts: 0 } } },
  });
  t.after(async () => {
    await gateway.close();
    await upstream.close();
  });
  return { upstream, gateway };
}

type Tls = Awaited<ReturnType<typeof startTls>>;

/** Fails unless a request ends with 502 and nothing reached the upstream; returns what operators are told. */
async function refusedBy({ gateway, upstream }: Tls, body: object = {}): Promise<string> {
  const response = await gateway.chat({ ...body });
  assert.equal(response.status, 502);
  const { error } = (await response.json()) as { error: { code: string; message: string } };
  assert.equal(error.code, 'upstream_error');
  assert.match(error.message, /a\/up: 1 try, connection failed/);
  assert.equal(upstream.requests.length, 0);
  const [row] = await gateway.upstreams();
  return row?.last_error ?? '';
}

describe('an upstream over TLS', () => {
  for (const stream of [false, true]) {
    it(`is reached where its authority is named by \`ca\`, ${stream ? 'streamed' : 'plain'}`, async (t) => {
      const { gateway, upstream } = await startTls(t, SERVER, { ca: AUTHORITY_FILE });
      const response = await gateway.chat({ stream });
      const text = await response.text();
      assert.equal(response.status, 200, text);
      assert.match(text, /Hello/);
      assert.equal(upstream.requests.length, 1);
    });
  }

  it('keeps its connection from one request to the next', async (t) => {
    const { gateway, upstream } = await startTls(t, SERVER, { ca: AUTHORITY_FILE });
    for (let i = 0; i < 3; i++) await (await gateway.chat()).text();
    assert.equal(upstream.connections, 1);
  });

  it('is refused where nobody known signed its certificate', async (t) => {
    const error = await refusedBy(await startTls(t, SERVER, {}));
    assert.match(error, /^connection_failed: its certificate .*not trusted.*`ca`/);
  });

  it('is refused where its certificate is for another host', async (t) => {
    const error = await refusedBy(await startTls(t, ELSEWHERE, { ca: AUTHORITY_FILE }));
    assert.match(error, /^connection_failed: its certificate is for another host/);
  });

  it('is refused by name too, to each of many requests at once', async (t) => {
    const server = createServer(ELSEWHERE).on('tlsClientError', () => {});
    let connections = 0;
    server.on('connection', () => connections++).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const ca = AUTHORITY_FILE;
    const breaker = { consecutive_failures: 100, min_requests: 100 };
    const gateway = await startGateway({
      providers: { a: { adapter: 'vllm', base_url: `https://localhost:${port}/v1`, ca, connections: 2 } },
      models: { m: { provider: 'a', model: 'up', retry: { attempts: 0 }, breaker } },
    });
    t.after(async () => {
      await gateway.close();
      server.close();
    });
    const answers = await Promise.all(Array.from({ length: 8 }, () => gateway.chat()));
    assert.deepEqual(
      answers.map(({ status }) => status),
      Array(8).fill(502),
    );
    assert.ok(connections <= 8, `${connections} connections`);
    assert.match((await gateway.upstreams())[0]?.last_error ?? '', /its certificate is for another host/);
  });

  it('is refused where it speaks no TLS at all', async (t) => {
    const upstream = await startUpstream();
    const gateway = await startGateway({
      providers: { a: { adapter: 'vllm', base_url: `https://127.0.0.1:${upstream.port}/v1` } },
      models: { m: { provider: 'a', model: 'up', retry: { attempts: 0 }, timeouts: { connect: '1s' } } },
    });
    t.after(async () => {
      await gateway.close();
      await upstream.close().catch(() => {});
    });
    assert.equal((await gateway.chat()).status, 502);
  });
});
