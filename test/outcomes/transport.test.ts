import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import {
  apiError,
  chatAnswer,
  close,
  head,
  plain,
  reset,
  type Script,
  script,
  silence,
  write,
} from '../support/upstream.ts';
import {
  ask,
  onlyLine,
  openGateway,
  openUpstream,
  PacedClock,
  provider,
  rowOf,
  settle,
  triesOf,
} from './helpers.ts';

async function scene(t: TestContext, answer?: Script, retry: object = { attempts: 0 }) {
  const clock = new PacedClock();
  const a = await openUpstream(t, answer && (() => answer));
  const gateway = await openGateway(
    t,
    { providers: { a: provider(a) }, models: { m: { provider: 'a', retry } } },
    { clock },
  );
  return { a, gateway, clock };
}

const tooLong = { error: { message: 'prompt is too long', type: 'x', param: null, code: null } };

describe('A connection', () => {
  it('is used again after an answer, and after an error', async (t) => {
    const { a, gateway } = await scene(t);
    a.enqueue(chatAnswer(), apiError(400), apiError(503), chatAnswer());
    for (let i = 0; i < 5; i++) await ask(gateway);
    assert.equal(a.connections, 1);
  });

  it('that the upstream closed while it was idle costs no try', async (t) => {
    for (const how of ['fin', 'reset'] as const) {
      const { a, gateway } = await scene(t);
      await ask(gateway);
      a.dropConnections(how);
      await settle();
      assert.equal((await ask(gateway)).status, 200);
      assert.equal(a.connections, 2);
    }
  });

  it('is not used again after a try that was given up', async (t) => {
    const { a, gateway, clock } = await scene(t);
    a.enqueue(script(head(200, { 'content-length': '100' }), silence()));
    const stalled = ask(gateway);
    const request = await a.nextRequest();
    await settle();
    clock.advance(30_000);
    assert.equal((await stalled).status, 502);
    await request.closed;
    assert.equal((await ask(gateway)).status, 200);
    assert.equal(a.connections, 2);
  });

  it('may be closed with the answer', async (t) => {
    const body = '{"choices":[{"index":0,"message":{"role":"assistant","content":"x"}}]}';
    const { gateway } = await scene(
      t,
      script(head(200, { 'content-type': 'application/json', connection: 'close' }), write(body), close()),
    );
    const seen = await ask(gateway);
    assert.equal(seen.status, 200);
    assert.equal(seen.text, body);
  });
});

describe('An answer', () => {
  it('may be announced by others with a status of 1xx', async (t) => {
    const { gateway } = await scene(
      t,
      script(head(102), head(103, { link: '</x>; rel=preload' }), chatAnswer()),
    );
    assert.equal((await ask(gateway)).status, 200);
    assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m ok 200']);
  });

  it('with another status of 2xx is one all the same, if it is whole', async (t) => {
    const { gateway } = await scene(t, plain({ status: 201, json: { choices: [{ index: 0 }] } }));
    assert.equal((await ask(gateway)).status, 200);
    const empty = await scene(t, head(204));
    assert.equal((await ask(empty.gateway)).status, 502);
  });

  it('may come compressed, though it was not asked for so', async (t) => {
    for (const encoding of ['gzip', 'br', 'deflate', 'zstd'] as const) {
      const { gateway } = await scene(t, chatAnswer({ encoding }));
      const seen = await ask(gateway);
      assert.equal(seen.headers.get('content-encoding'), null);
      assert.ok(seen.text.includes('Hello from upstream.'));
    }
  });

  const damaged: [string, Script][] = [
    ['damaged', plain({ text: 'this is no gzip', headers: { 'content-encoding': 'gzip' } })],
    ['cut short', plain({ json: { choices: [] }, encoding: 'gzip', contentLength: 12 })],
    ['in a coding that nobody knows', plain({ text: 'x', headers: { 'content-encoding': 'rot13' } })],
  ];
  for (const [name, answer] of damaged) {
    it(`that is ${name} is a broken body, plain or streamed, and asked for again`, async (t) => {
      for (const streaming of [false, true]) {
        const { gateway } = await scene(t, answer, { attempts: 1 });
        assert.equal((await ask(gateway, { stream: streaming })).status, 502);
        assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m broken_body -', 'a/m broken_body -']);
      }
    });
  }

  it('with two lengths is no HTTP', async (t) => {
    const { gateway } = await scene(t, script(head(200, { 'content-length': ['2', '3'] }), write('{} ')));
    assert.equal((await ask(gateway)).status, 502);
    assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m connection_failed -']);
  });
});

describe('An error', () => {
  it('is read though it is compressed', async (t) => {
    for (const encoding of ['gzip', 'br', 'deflate', 'zstd'] as const) {
      const { gateway } = await scene(t, plain({ status: 400, json: tooLong, encoding }));
      assert.equal((await ask(gateway)).error?.code, 'context_length_exceeded');
    }
  });

  it('has the outcome of its status if its body cannot be read', async (t) => {
    const bodies: Script[] = [
      plain({ status: 503, text: 'no gzip', headers: { 'content-encoding': 'gzip' } }),
      plain({ status: 503, text: 'x', headers: { 'content-encoding': 'rot13' } }),
      script(head(503, { 'content-length': '100' }), write('{"err'), reset()),
      plain({ status: 503, text: 'x'.repeat(3 * 1024 * 1024) }),
    ];
    for (const answer of bodies) {
      const { gateway } = await scene(t, answer);
      assert.equal((await ask(gateway)).status, 503);
      assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m overloaded 503']);
    }
  });

  it('that never ends is read no further than its first megabyte', async (t) => {
    const endless: Script = async (exchange) => {
      for (;;) await exchange.write(Buffer.alloc(256 * 1024, 0x20));
    };
    const { a, gateway } = await scene(t, script(head(429, {}), endless));
    assert.equal((await ask(gateway)).status, 429);
    await (await a.nextRequest()).closed;
    const upstream = await rowOf(gateway, 'a/m#1');
    assert.equal(upstream.last_error, 'rate_limited: HTTP 429');
  });
});
