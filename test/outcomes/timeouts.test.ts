import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { ManualClock } from '../support/manual-clock.ts';
import {
  apiError,
  chatAnswer,
  chatEvents,
  Gate,
  head,
  pauseUntil,
  type Script,
  script,
  silence,
  stream,
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

/** Target `a` behaves so, `b` is well; only the test moves the clock. */
async function scene(
  t: TestContext,
  answer: Script,
  timeouts: object,
  { retry = { attempts: 2 }, forA = {} }: { retry?: object; forA?: object } = {},
) {
  const clock = new ManualClock();
  const a = await openUpstream(t, () => answer);
  const b = await openUpstream(t);
  const gateway = await openGateway(
    t,
    {
      providers: { a: provider(a), b: provider(b) },
      models: {
        m: { strategy: { mode: 'fallback' }, targets: [{ provider: 'a', ...forA }, { provider: 'b' }] },
      },
      defaults: { retry, timeouts, breaker: { consecutive_failures: 1 } },
    },
    { clock },
  );
  /** Lets everything settle, then moves on. */
  const pass = async (ms: number) => {
    await settle();
    clock.advance(ms);
    await settle();
  };
  return { a, b, gateway, clock, pass };
}

describe('`connect`', () => {
  it('bounds how long a connection may take: to fail is to fail to connect, and the next target is asked', async (t) => {
    // Accepts, and never says a word of TLS.
    const sockets = new Set<Socket>();
    const silent = createServer((socket) => sockets.add(socket.on('error', () => {})));
    silent.listen(0, '127.0.0.1');
    await once(silent, 'listening');
    t.after(() => {
      for (const socket of sockets) socket.destroy();
      silent.close();
    });
    const b = await openUpstream(t);
    const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}/v1`;
    const gateway = await openGateway(t, {
      providers: { a: provider({ url }), b: provider(b) },
      models: { m: { strategy: { mode: 'fallback' }, targets: [{ provider: 'a' }, { provider: 'b' }] } },
      defaults: { timeouts: { connect: '30ms' }, retry: { attempts: 1 } },
    });
    const seen = await ask(gateway);
    assert.equal(seen.headers.get('x-spillway-target'), 'b/m');
    assert.deepEqual(triesOf(await onlyLine(gateway)), [
      'a/m connection_failed -',
      'a/m connection_failed -',
      'b/m ok 200',
    ]);
    assert.equal((await rowOf(gateway, 'a/m#1')).last_error, 'connection_failed: no connection in time');
  });
});

describe('`first_token`', () => {
  const silences: [string, Script][] = [
    ['silent from the start', silence()],
    ['silent after its headers', stream([silence()])],
    ['silent after the role', stream([...chatEvents({ content: [], finish: null }), silence()])],
  ];
  for (const [name, answer] of silences) {
    it(`gives a stream up that is ${name}; the same target is not asked again`, async (t) => {
      const { a, b, gateway, pass } = await scene(t, answer, { first_token: '3s', idle: '10s' });
      const seen = ask(gateway, { stream: true });
      const request = await a.nextRequest();
      await pass(2999);
      assert.equal(b.requests.length, 0);
      await pass(1);
      assert.equal((await seen).headers.get('x-spillway-target'), 'b/m');
      await request.closed;
      assert.equal(a.requests.length, 1);
      assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m timeout -', 'b/m ok 200']);
      const upstream = await rowOf(gateway, 'a/m#1');
      assert.equal(upstream.breaker, 'open');
      assert.equal(upstream.last_error, 'timeout: no first token within 3000 ms');
    });
  }

  it('bounds the silence before the first byte, however short `idle` is', async (t) => {
    const { a, b, gateway, pass } = await scene(t, stream([silence()]), { first_token: '9s', idle: '2s' });
    const seen = ask(gateway, { stream: true });
    await a.nextRequest();
    await pass(8999);
    assert.equal(b.requests.length, 0);
    await pass(1);
    assert.equal((await seen).headers.get('x-spillway-target'), 'b/m');
    assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m timeout -', 'b/m ok 200']);
  });

  it('lets a stream begin late behind early headers, and then it may not fall silent', async (t) => {
    const gate = new Gate();
    const late = stream([pauseUntil(gate), ...chatEvents({ content: ['Hel'], finish: null }), silence()]);
    const { a, gateway, pass } = await scene(t, late, { first_token: '9s', idle: '2s' });
    const answer = gateway.chat({ stream: true });
    await a.nextRequest();
    await pass(5000);
    gate.open();
    const response = await answer;
    assert.equal(response.headers.get('x-spillway-target'), 'a/m');
    await pass(2000);
    assert.match(await response.text(), /Hel.*silent for 2000 ms/s);
    assert.equal(a.requests.length, 1);
  });

  it('is not put off by comments, which keep `idle` away', async (t) => {
    const gate = new Gate();
    const comments = Array.from({ length: 5 }, () => [pauseUntil(gate), ': ping'] as const).flat();
    const { a, b, gateway, pass } = await scene(t, stream([...comments, silence()]), {
      first_token: '9s',
      idle: '2500ms',
    });
    const seen = ask(gateway, { stream: true });
    await a.nextRequest();
    for (let second = 2; second <= 8; second += 2) {
      await pass(2000);
      gate.step();
      await settle();
      assert.equal(b.requests.length, 0, `after ${second} s`);
    }
    await pass(1000);
    assert.equal((await seen).headers.get('x-spillway-target'), 'b/m');
    assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m timeout -', 'b/m ok 200']);
  });

  it('is nothing to a plain call', async (t) => {
    const gate = new Gate();
    const { gateway, a, pass } = await scene(t, [pauseUntil(gate), chatAnswer()], { first_token: '3s' });
    const seen = ask(gateway);
    await a.nextRequest();
    await pass(60_000);
    gate.open();
    assert.equal((await seen).headers.get('x-spillway-target'), 'a/m');
  });
});

describe('`idle`', () => {
  const stalls: [string, boolean, Script][] = [
    ['a plain call', false, script(head(200, { 'content-length': '1000' }), write('{'), silence())],
    ['a stream before its first content', true, stream([': hi', silence()])],
  ];
  for (const [name, streaming, answer] of stalls) {
    it(`gives ${name} up when its body stalls; the same target is asked again`, async (t) => {
      const { a, gateway, pass } = await scene(
        t,
        answer,
        { idle: '2s' },
        { retry: { attempts: 1, backoff: { base: '0' } }, forA: { breaker: { consecutive_failures: 9 } } },
      );
      const seen = ask(gateway, { stream: streaming });
      for (let attempt = 1; attempt <= 2; attempt++) {
        await a.waitFor(attempt);
        await pass(1999);
        assert.equal((await rowOf(gateway, 'a/m#1')).in_flight, 1);
        await pass(1);
        await pass(0);
      }
      assert.equal((await seen).headers.get('x-spillway-target'), 'b/m');
      assert.deepEqual(triesOf(await onlyLine(gateway)), [
        'a/m broken_body -',
        'a/m broken_body -',
        'b/m ok 200',
      ]);
      assert.equal((await rowOf(gateway, 'a/m#1')).last_error, 'broken_body: silent for 2000 ms');
    });
  }

  it('is not begun by the headers of a plain answer to a stream either: `first_token` bounds that', async (t) => {
    const early = script(
      head(200, { 'content-type': 'application/json', 'content-length': '99' }),
      silence(),
    );
    const { a, b, gateway, pass } = await scene(t, early, { first_token: '9s', idle: '2s' });
    const seen = ask(gateway, { stream: true });
    await a.nextRequest();
    await pass(8999);
    assert.equal(b.requests.length, 0);
    await pass(1);
    assert.equal((await seen).headers.get('x-spillway-target'), 'b/m');
    assert.equal(a.requests.length, 1);
  });

  it('begins anew with every byte', async (t) => {
    const gate = new Gate();
    const body =
      '{"choices":[{"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"}]}';
    const letters = [...body].flatMap((letter) => [pauseUntil(gate), write(letter)]);
    const answer = script(
      head(200, { 'content-type': 'application/json', 'content-length': String(body.length) }),
      letters,
    );
    const { a, gateway, pass } = await scene(t, answer, { idle: '2s' });
    const seen = ask(gateway);
    await a.nextRequest();
    for (let i = 0; i < 10; i++) {
      await pass(1500);
      gate.step();
    }
    gate.open();
    assert.equal((await seen).headers.get('x-spillway-target'), 'a/m');
  });
});

describe('`attempt`', () => {
  it('bounds a plain call that is not answered; the same target is not asked again', async (t) => {
    const { a, gateway, pass } = await scene(t, silence(), { attempt: '3s' });
    const seen = ask(gateway);
    const request = await a.nextRequest();
    await pass(2999);
    assert.equal(request.aborted, false);
    await pass(1);
    assert.equal((await seen).headers.get('x-spillway-target'), 'b/m');
    await request.closed;
    assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m timeout -', 'b/m ok 200']);
    const upstream = await rowOf(gateway, 'a/m#1');
    assert.equal(upstream.breaker, 'open');
    assert.equal(upstream.last_error, 'timeout: no whole answer within 3000 ms');
  });

  it('bounds a body that comes, but does not end', async (t) => {
    const gate = new Gate();
    const drops = Array.from({ length: 100 }, () => [pauseUntil(gate), write(' ')]);
    const answer = script(head(200, { 'content-length': '1000' }), drops);
    const { a, gateway, pass } = await scene(t, answer, { attempt: '4s', idle: '2s' });
    const seen = ask(gateway);
    await a.nextRequest();
    for (let second = 1; second <= 4; second++) {
      await pass(1000);
      gate.step();
    }
    assert.equal((await seen).headers.get('x-spillway-target'), 'b/m');
    assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m timeout -', 'b/m ok 200']);
  });
});

describe('`total`', () => {
  for (const streaming of [false, true]) {
    it(`ends the request: 504, and nothing is asked any more (${streaming ? 'a stream' : 'a plain call'})`, async (t) => {
      const { a, b, gateway, pass } = await scene(t, silence(), { total: '5s', first_token: '20s' });
      const seen = ask(gateway, { stream: streaming });
      const request = await a.nextRequest();
      await pass(4999);
      assert.equal(request.aborted, false);
      await pass(1);
      const { status, headers, error } = await seen;
      assert.equal(status, 504);
      assert.equal(error?.code, 'upstream_timeout');
      assert.ok(error?.message.includes('a/m: 1 try, deadline'), error?.message);
      assert.equal(headers.get('x-should-retry'), 'false');
      assert.equal(headers.get('x-spillway-attempts'), '1');
      await request.closed;
      assert.equal(a.requests.length, 1);
      assert.equal(b.requests.length, 0);
      assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m deadline -']);
    });
  }

  it('counts against the upstream only if that try had run longer than `first_token`', async (t) => {
    for (const [total, breaker] of [
      [3000, 'closed'],
      [3001, 'open'],
    ] as const) {
      const { a, gateway, pass } = await scene(t, silence(), { total: `${total}ms`, first_token: '3s' });
      const seen = ask(gateway);
      await a.nextRequest();
      await pass(total);
      assert.equal((await seen).status, 504);
      assert.equal((await rowOf(gateway, 'a/m#1')).breaker, breaker);
    }
  });

  it('bounds all tries together, and the time between them', async (t) => {
    const { a, gateway, clock, pass } = await scene(
      t,
      silence(),
      { total: '10s', first_token: '5s' },
      { forA: { breaker: { consecutive_failures: 9 } } },
    );
    a.enqueue(apiError(503, {}, { 'retry-after': '6' }));
    const seen = ask(gateway);
    await a.nextRequest();
    await pass(6000);
    await a.nextRequest();
    await pass(3999);
    assert.equal(gateway.requests.length, 0);
    await pass(1);
    assert.equal((await seen).status, 504);
    assert.equal(clock.now(), 10_000);
    const line = await onlyLine(gateway);
    assert.deepEqual(triesOf(line), ['a/m overloaded 503', 'a/m deadline -']);
    assert.equal(line.ms, 10_000);
    assert.equal(line.gateway_ms, 0);
  });

  it('of a target that is shorter, and over when its turn comes, lets it go unasked', async (t) => {
    const { a, b, gateway, pass } = await scene(
      t,
      [pauseUntil(new Gate())],
      { total: '5s', attempt: '6s' },
      { forA: { timeouts: { total: '60s' } } },
    );
    const seen = ask(gateway);
    await a.nextRequest();
    await pass(6000);
    const { status, error } = await seen;
    assert.equal(status, 504);
    assert.ok(error?.message.includes('a/m: 1 try, timeout; b/m: deadline'), error?.message);
    assert.equal(b.requests.length, 0);
  });
});

describe('A target that timed out', () => {
  it('is not asked again, but another request may ask it', async (t) => {
    const clock = new PacedClock();
    const a = await openUpstream(t);
    a.enqueue(silence());
    const gateway = await openGateway(
      t,
      { providers: { a: provider(a) }, models: { m: { provider: 'a' } } },
      { clock },
    );
    const seen = ask(gateway, { stream: true });
    await a.nextRequest();
    await settle();
    clock.advance(30_000);
    assert.equal((await seen).status, 504);
    assert.equal((await ask(gateway)).status, 200);
    assert.equal(a.requests.length, 2);
  });
});
