import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import {
  apiError,
  chatAnswer,
  Gate,
  pauseUntil,
  reset,
  type Script,
  silence,
  stream,
} from '../support/upstream.ts';
import {
  ask,
  keysSeen,
  lineOf,
  openGateway,
  openUpstream,
  PacedClock,
  provider,
  rowOf,
  settle,
  triesOf,
  until,
} from './helpers.ts';

interface Scene {
  breaker?: object;
  retry?: object;
  keys?: string[];
  clock?: PacedClock;
  chance?: () => number;
}

/** Target `a` fails until the test heals it, `b` is well. `alone` is target `a` by itself. */
async function scene(t: TestContext, failure: Script, options: Scene = {}) {
  const { breaker = {}, retry = { attempts: 0 }, keys = [], clock = new PacedClock(), chance } = options;
  const a = await openUpstream(t, () => failure);
  const b = await openUpstream(t);
  const gateway = await openGateway(
    t,
    {
      providers: { a: provider(a, ...keys), b: provider(b) },
      models: {
        m: { strategy: { mode: 'fallback' }, targets: [{ provider: 'a' }, { provider: 'b' }] },
        alone: { provider: 'a', model: 'm' },
        other: { strategy: { mode: 'fallback' }, targets: [{ provider: 'a' }, { provider: 'b' }] },
      },
      defaults: { retry, breaker },
    },
    { clock, ...(chance === undefined ? {} : { chance }) },
  );
  const heal = () => a.reply(() => chatAnswer());
  const tried = async (count: number) => {
    const before = a.requests.length;
    for (let i = 0; i < count; i++) assert.equal((await ask(gateway)).status, 200);
    return a.requests.length - before;
  };
  return { a, b, gateway, clock, heal, tried };
}

const STATE = 'spillway_breaker_state{upstream="a/m#1"}';
const transitions = (to: string) => `spillway_breaker_transitions_total{upstream="a/m#1",to="${to}"}`;

describe('A breaker', () => {
  it('opens after failures in a row, lets one probe through when its time is over, and closes when that succeeds', async (t) => {
    const { gateway, clock, heal, tried } = await scene(t, apiError(500), {
      breaker: { consecutive_failures: 3 },
    });
    assert.equal(await tried(2), 2);
    assert.equal((await rowOf(gateway, 'a/m#1')).breaker, 'closed');
    assert.equal(await gateway.metric(STATE), 0);

    assert.equal(await tried(3), 1);
    const open = await rowOf(gateway, 'a/m#1');
    assert.equal(open.breaker, 'open');
    assert.equal(open.opens, 1);
    assert.equal(open.last_error, 'server_error: upstream says 500');
    assert.equal(open.cooldown_until, null);
    assert.equal(await gateway.metric(STATE), 2);

    clock.advance(9999);
    assert.equal(await tried(1), 0);
    clock.advance(1);
    heal();
    assert.equal(await tried(1), 1);
    assert.equal((await rowOf(gateway, 'a/m#1')).breaker, 'closed');
    assert.equal(await gateway.metric(STATE), 0);
    for (const to of ['open', 'half_open', 'closed']) assert.equal(await gateway.metric(transitions(to)), 1);
    assert.deepEqual(
      gateway.logs
        .filter(({ message }) => message === 'breaker')
        .map(({ level, fields }) => ({ level, ...fields })),
      [
        { level: 'warn', upstream: 'a/m#1', breaker: 'open', why: '3 failures in a row; open for 10000 ms' },
        { level: 'warn', upstream: 'a/m#1', breaker: 'half_open', why: 'the open period is over' },
        { level: 'warn', upstream: 'a/m#1', breaker: 'closed', why: 'a probe succeeded' },
      ],
    );
    assert.equal(await tried(5), 5);
  });

  it('opens at a share of failures among many tries', async (t) => {
    const { a, gateway, tried } = await scene(t, apiError(500), {
      breaker: { consecutive_failures: 100, min_requests: 10, failure_rate: 0.5 },
    });
    let count = 0;
    a.reply(() => (count++ % 2 === 0 ? chatAnswer() : reset()));
    assert.equal(await tried(9), 9);
    assert.equal((await rowOf(gateway, 'a/m#1')).breaker, 'closed');
    assert.equal(await tried(3), 1);
    assert.equal((await rowOf(gateway, 'a/m#1')).breaker, 'open');
  });

  it('stays open twice as long after each probe that fails, up to `max_open_for`, each period a little different', async (t) => {
    const draws = [0, 1, 0.5, 0.5];
    const { gateway, clock, tried } = await scene(t, reset(), {
      breaker: { consecutive_failures: 1, open_for: '10s', max_open_for: '40s' },
      chance: () => draws.shift() ?? 0.5,
    });
    assert.equal(await tried(1), 1);
    for (const period of [9000, 22_000, 40_000, 40_000]) {
      clock.advance(period - 1);
      assert.equal(await tried(1), 0, `before ${period}`);
      clock.advance(1);
      assert.equal(await tried(2), 1, `after ${period}`);
    }
    assert.equal((await rowOf(gateway, 'a/m#1')).opens, 5);
  });

  it('lets no more than `half_open_probes` requests through at a time', async (t) => {
    const { a, b, gateway, clock, tried } = await scene(t, reset(), {
      breaker: { consecutive_failures: 1, half_open_probes: 2 },
    });
    await tried(1);
    clock.advance(10_000);
    const gate = new Gate();
    a.reply(() => [pauseUntil(gate), chatAnswer()]);
    const probes = [ask(gateway), ask(gateway)];
    await a.waitFor(3);
    assert.equal((await rowOf(gateway, 'a/m#1')).breaker, 'half_open');
    assert.equal((await rowOf(gateway, 'a/m#1')).in_flight, 2);
    assert.equal(await gateway.metric(STATE), 1);
    assert.equal(await tried(3), 0);
    assert.equal(b.requests.length, 4);
    gate.open();
    for (const seen of await Promise.all(probes)) assert.equal(seen.headers.get('x-spillway-target'), 'a/m');
    assert.equal(await tried(1), 1);
  });

  for (const streaming of [false, true]) {
    it(`has a probe's place back when the client leaves (${streaming ? 'a stream' : 'a plain call'})`, async (t) => {
      const { a, gateway, clock, heal, tried } = await scene(t, reset(), {
        breaker: { consecutive_failures: 1 },
      });
      await tried(1);
      clock.advance(10_000);
      a.reply(() => (streaming ? stream([': hello', silence()]) : silence()));
      const leaving = new AbortController();
      gateway.chat({ stream: streaming }, {}, leaving.signal).catch(() => {});
      const probe = (await a.waitFor(2))[1];
      assert.equal(await tried(1), 0);
      leaving.abort();
      await probe?.closed;
      await gateway.ended(3);
      assert.equal((await rowOf(gateway, 'a/m#1')).breaker, 'half_open');
      heal();
      assert.equal(await tried(1), 1);
      assert.equal((await rowOf(gateway, 'a/m#1')).breaker, 'closed');
    });
  }

  it("has a probe's place back when the answer says nothing of the upstream's health", async (t) => {
    const { a, gateway, clock, heal, tried } = await scene(t, reset(), {
      breaker: { consecutive_failures: 1 },
    });
    await tried(1);
    clock.advance(10_000);
    a.enqueue(apiError(400), apiError(429, {}, { 'retry-after': '1' }));
    assert.equal((await ask(gateway)).status, 400);
    assert.equal((await ask(gateway)).status, 200);
    clock.advance(1000);
    heal();
    assert.equal(await tried(1), 1);
  });

  it('closes with the first content of a stream, long before its end', async (t) => {
    const { a, gateway, clock, tried } = await scene(t, reset(), { breaker: { consecutive_failures: 1 } });
    await tried(1);
    clock.advance(10_000);
    const gate = new Gate();
    const chunk = (delta: object, finish: string | null) => ({
      choices: [{ index: 0, delta, finish_reason: finish }],
    });
    a.enqueue(stream([chunk({ content: 'a' }, null), pauseUntil(gate), chunk({}, 'stop')]));
    const response = await gateway.chat({ stream: true });
    assert.equal((await rowOf(gateway, 'a/m#1')).breaker, 'closed');
    gate.open();
    await response.text();
  });

  it('counts the tries of one request, and lets none through once it is open', async (t) => {
    const { a, gateway, clock } = await scene(t, reset(), {
      breaker: { consecutive_failures: 2 },
      retry: { attempts: 5, backoff: { base: '100ms', jitter: 'none' } },
    });
    const seen = await ask(gateway);
    assert.equal(seen.headers.get('x-spillway-target'), 'b/m');
    assert.equal(a.requests.length, 2);
    assert.deepEqual(clock.sleeps, [100]);
  });

  it('that other requests opened during a wait lets no retry through', async (t) => {
    const { a, gateway, clock } = await scene(t, apiError(503), {
      breaker: { consecutive_failures: 2 },
      retry: { attempts: 5, backoff: { base: '5s', jitter: 'none' } },
      clock: new PacedClock(() => false),
    });
    const first = ask(gateway);
    await a.waitFor(1);
    await until(() => clock.pending === 1);
    await settle();
    const second = await ask(gateway);
    assert.equal(second.headers.get('x-spillway-target'), 'b/m');
    clock.advance(5000);
    assert.equal((await first).headers.get('x-spillway-target'), 'b/m');
    assert.equal(a.requests.length, 2);
  });

  it('is one for each key and each model', async (t) => {
    const { a, gateway, tried } = await scene(t, reset(), {
      breaker: { consecutive_failures: 1 },
      keys: ['key-1', 'key-2'],
    });
    a.reply(({ headers }) => (headers['authorization'] === 'Bearer key-1' ? reset() : chatAnswer()));
    assert.equal(await tried(4), 4);
    assert.deepEqual(keysSeen(a), ['key-1', 'key-2', 'key-2', 'key-2']);
    assert.equal((await ask(gateway, { model: 'other' })).headers.get('x-spillway-target'), 'b/other');
    assert.deepEqual(keysSeen(a).slice(4), ['key-1']);
  });
});

describe('An open breaker', () => {
  it('is never waited for: 503 with the time it stays open', async (t) => {
    const { a, gateway, clock } = await scene(t, reset(), {
      breaker: { consecutive_failures: 1, open_for: '2s' },
    });
    await ask(gateway, { model: 'alone' });
    clock.advance(500);
    const seen = await ask(gateway, { model: 'alone' });
    assert.equal(seen.status, 503);
    assert.equal(seen.error?.code, 'no_healthy_upstream');
    assert.equal(seen.headers.get('retry-after'), '2');
    assert.equal(seen.headers.get('retry-after-ms'), '1500');
    assert.equal(seen.headers.get('x-should-retry'), null);
    assert.equal(seen.headers.get('x-spillway-attempts'), '0');
    assert.ok(seen.error?.message.includes('a/m: skipped, its circuit breaker is open'));
    assert.equal(a.requests.length, 1);
    assert.deepEqual(clock.sleeps, []);
  });

  it('for over a minute is told together with `x-should-retry: false`', async (t) => {
    const { gateway } = await scene(t, reset(), { breaker: { consecutive_failures: 1, open_for: '2m' } });
    await ask(gateway, { model: 'alone' });
    const seen = await ask(gateway, { model: 'alone' });
    assert.equal(seen.status, 503);
    assert.equal(seen.headers.get('retry-after'), '120');
    assert.equal(seen.headers.get('x-should-retry'), 'false');
  });

  it('leaves a key that is only cooling down to be waited for', async (t) => {
    const { a, gateway, clock } = await scene(t, reset(), {
      breaker: { consecutive_failures: 1, open_for: '1s' },
      keys: ['key-1', 'key-2'],
    });
    a.enqueue(reset(), apiError(429, {}, { 'retry-after': '3' }));
    assert.equal((await ask(gateway, { model: 'alone' })).status, 502);
    assert.equal((await ask(gateway, { model: 'alone' })).status, 429);
    a.reply(() => chatAnswer());
    assert.equal((await ask(gateway, { model: 'alone' })).status, 200);
    assert.deepEqual(clock.sleeps, [3000]);
  });
});

describe('Twenty requests during an outage of sixty seconds', () => {
  for (const streaming of [false, true]) {
    for (const [name, failure] of [
      ['refuses', apiError(503)],
      ['drops', reset()],
    ] as const) {
      it(`cost an upstream that ${name} every ${streaming ? 'stream' : 'call'} a handful of tries, and the first one after is its own`, async (t) => {
        const { a, gateway, clock } = await scene(t, failure, { retry: {} });
        for (let i = 0; i < 20; i++) {
          const seen = await ask(gateway, { stream: streaming });
          assert.equal(seen.status, 200);
          assert.equal(seen.headers.get('x-spillway-target'), 'b/m');
          clock.advance(3000);
        }
        const during = a.requests.length;
        assert.ok(during <= 10, `${during} tries`);

        a.reply(() =>
          streaming
            ? stream([{ choices: [{ index: 0, delta: { content: 'x' }, finish_reason: 'stop' }] }])
            : chatAnswer(),
        );
        const seen = await ask(gateway, { model: 'alone', stream: streaming });
        assert.equal(seen.status, 503, 'the period is not over');
        clock.advance(Number(seen.headers.get('retry-after-ms')));
        const back = await ask(gateway, { stream: streaming });
        assert.equal(back.headers.get('x-spillway-target'), 'a/m');
        assert.equal(a.requests.length, during + 1);
        assert.equal((await rowOf(gateway, 'a/m#1')).breaker, 'closed');
      });
    }
  }
});

describe('A success', () => {
  it('is what an answer is to the breaker: failures before it are no longer in a row', async (t) => {
    const { a, gateway, heal } = await scene(t, reset(), { breaker: { consecutive_failures: 2 } });
    a.enqueue(reset(), chatAnswer(), reset(), chatAnswer());
    heal();
    for (let i = 0; i < 4; i++) await ask(gateway, { model: 'alone' });
    assert.equal((await rowOf(gateway, 'a/m#1')).opens, 0);
    assert.deepEqual(triesOf(await lineOf(gateway, 1)), ['a/m connection_failed -']);
  });
});
