import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { apiError, plain, reset, type Script } from '../support/upstream.ts';
import { ask, onlyLine, openGateway, openUpstream, PacedClock, provider, triesOf, until } from './helpers.ts';

interface Scene {
  retry?: object;
  timeouts?: object;
  clock?: PacedClock;
  chance?: () => number;
}

const BACKOFF = { kind: 'exponential', base: '500ms', factor: 2, max: '8s', jitter: 'none' };

/** Target `a` fails with these answers, in order, then answers well; `b` takes what `a` cannot. */
async function scene(
  t: TestContext,
  failures: Script[],
  { retry, timeouts, clock = new PacedClock(), chance }: Scene,
) {
  const a = await openUpstream(t);
  const b = await openUpstream(t);
  a.enqueue(...failures);
  const gateway = await openGateway(
    t,
    {
      providers: { a: provider(a), b: provider(b) },
      models: { m: { strategy: { mode: 'fallback' }, targets: [{ provider: 'a' }, { provider: 'b' }] } },
      defaults: {
        retry: { attempts: 9, backoff: BACKOFF, ...retry },
        breaker: { consecutive_failures: 100, min_requests: 100 },
        timeouts: timeouts ?? {},
      },
    },
    { clock, ...(chance === undefined ? {} : { chance }) },
  );
  return { a, b, gateway, clock };
}

const times = (count: number, answer: Script): Script[] => new Array(count).fill(answer);
const overloaded = (headers: Record<string, string> = {}) => apiError(503, {}, headers);

describe('The wait before another try', () => {
  it('grows as the backoff says, up to its bound', async (t) => {
    const { gateway, clock, a } = await scene(t, times(6, overloaded()), {});
    assert.equal((await ask(gateway)).status, 200);
    assert.deepEqual(clock.sleeps, [500, 1000, 2000, 4000, 8000, 8000]);
    assert.equal(a.requests.length, 7);
  });

  it('is left to chance by its jitter', async (t) => {
    const draws = [0.5, 0.25, 0];
    const { gateway, clock } = await scene(t, times(3, overloaded()), {
      retry: { backoff: { ...BACKOFF, jitter: 'full' } },
      chance: () => draws.shift() ?? 0.5,
    });
    await ask(gateway);
    assert.deepEqual(clock.sleeps, [250, 250, 0]);
  });

  it('is the same after failures that have no status', async (t) => {
    const { gateway, clock } = await scene(t, [reset(), reset(), plain({ text: '<html>' })], {});
    await ask(gateway);
    assert.deepEqual(clock.sleeps, [500, 1000, 2000]);
  });

  it('has another bound after a status in `max_delay_by_status`, lower or higher', async (t) => {
    const failures = [overloaded(), overloaded(), overloaded(), ...times(3, apiError(500)), overloaded()];
    const { gateway, clock } = await scene(t, failures, {
      retry: { backoff: { ...BACKOFF, max: '3s' }, max_delay_by_status: { 503: '700ms', 500: '6s' } },
    });
    await ask(gateway);
    assert.deepEqual(clock.sleeps, [500, 700, 700, 4000, 6000, 6000, 700]);
  });

  it('is bounded by `max_delay_by_status` only where it is our own, not where it was asked for', async (t) => {
    const { gateway, clock } = await scene(t, [overloaded({ 'retry-after': '5' })], {
      retry: { max_delay_by_status: { 503: '100ms' } },
    });
    await ask(gateway);
    assert.deepEqual(clock.sleeps, [5000]);
  });

  it('is drawn from the last backoff with decorrelated jitter, not from what was asked for', async (t) => {
    const { gateway, clock } = await scene(t, [overloaded({ 'retry-after': '5' }), overloaded()], {
      retry: { backoff: { kind: 'exponential', base: '100ms', max: '8s', jitter: 'decorrelated' } },
    });
    await ask(gateway);
    assert.deepEqual(clock.sleeps, [5000, 350]);
  });

  it('ends when the client leaves, and nothing is tried after it', async (t) => {
    const { gateway, clock, a, b } = await scene(t, times(9, overloaded()), {
      clock: new PacedClock(() => false),
    });
    const leaving = new AbortController();
    const response = gateway.chat({}, {}, leaving.signal);
    response.catch(() => {});
    await a.nextRequest();
    await until(() => clock.pending === 1);
    leaving.abort();
    const line = await onlyLine(gateway);
    assert.equal(line.status, 499);
    assert.equal(line.outcome, 'client_gone');
    assert.deepEqual(triesOf(line), ['a/m overloaded 503']);
    assert.equal(clock.pending, 0);
    assert.equal(b.requests.length, 0);
  });
});

describe('A wait that the upstream asks for', () => {
  const google = { error: { code: 503, message: 'busy', details: [{ retryDelay: '3.5s' }] } };
  const asked: [string, Script, number][] = [
    ['`retry-after` in seconds', overloaded({ 'retry-after': '3' }), 3000],
    ['`retry-after` with a fraction', overloaded({ 'retry-after': '1.25' }), 1250],
    ['`retry-after` as a date', overloaded({ 'retry-after': 'Sun, 22 Nov 2026 09:00:06 GMT' }), 6000],
    ['`retry-after-ms`', overloaded({ 'retry-after-ms': '750', 'retry-after': '1' }), 750],
    ["Google's retry delay", plain({ status: 503, json: google }), 3500],
    [
      'the reset of a limit that is used up',
      apiError(429, {}, { 'x-ratelimit-remaining-tokens': '0', 'x-ratelimit-reset-tokens': '7.66s' }),
      7660,
    ],
    ['`retry-after` of a 429', apiError(429, {}, { 'retry-after': '2' }), 2000],
    ['`max_retry_after` to the millisecond', overloaded({ 'retry-after': '10' }), 10_000],
  ];
  for (const [name, answer, ms] of asked) {
    it(`is waited for: ${name}`, async (t) => {
      const { gateway, clock, b } = await scene(t, [answer], {});
      assert.equal((await ask(gateway)).headers.get('x-spillway-target'), 'a/m');
      assert.deepEqual(clock.sleeps, [ms]);
      assert.equal(b.requests.length, 0);
    });
  }

  it('does not shorten the backoff', async (t) => {
    const { gateway, clock } = await scene(
      t,
      [overloaded({ 'retry-after': '0' }), overloaded({ 'retry-after-ms': '3' })],
      {},
    );
    await ask(gateway);
    assert.deepEqual(clock.sleeps, [500, 1000]);
  });

  for (const nonsense of ['soon', '-1', '', '5 minutes']) {
    it(`is not there if it makes no sense: ${JSON.stringify(nonsense)}`, async (t) => {
      const { gateway, clock } = await scene(
        t,
        [overloaded({ 'retry-after': nonsense, 'retry-after-ms': nonsense })],
        {},
      );
      assert.equal((await ask(gateway)).headers.get('x-spillway-target'), 'a/m');
      assert.deepEqual(clock.sleeps, [500]);
    });
  }

  for (const long of ['10.001', '99999999999', 'Sun, 22 Nov 2026 09:10:00 GMT']) {
    it(`is not waited for beyond \`max_retry_after\`: the next target is tried at once (${long})`, async (t) => {
      for (const status of [429, 503]) {
        const { gateway, clock, a, b } = await scene(t, [apiError(status, {}, { 'retry-after': long })], {});
        assert.equal((await ask(gateway)).headers.get('x-spillway-target'), 'b/m');
        assert.deepEqual(clock.sleeps, []);
        assert.equal(a.requests.length, 1);
        assert.equal(b.requests.length, 1);
      }
    });
  }

  it('is not heeded where `respect_retry_after` is false, however long', async (t) => {
    const failures = [overloaded({ 'retry-after': '3' }), apiError(429, {}, { 'retry-after': '3600' })];
    const { gateway, clock, b } = await scene(t, failures, { retry: { respect_retry_after: false } });
    assert.equal((await ask(gateway)).headers.get('x-spillway-target'), 'a/m');
    assert.deepEqual(clock.sleeps, [500, 1000]);
    assert.equal(b.requests.length, 0);
  });
});

describe('A wait beyond what is left of `total`', () => {
  it('is not begun: the next target has the time that is left', async (t) => {
    const { gateway, a } = await scene(t, times(9, overloaded({ 'retry-after': '8' })), {
      timeouts: { total: '23s' },
      clock: new PacedClock((ms) => ms === 8000),
    });
    const seen = await ask(gateway);
    assert.equal(seen.headers.get('x-spillway-target'), 'b/m');
    assert.equal(seen.headers.get('x-spillway-attempts'), '4');
    assert.equal(a.requests.length, 3);
    assert.equal((await onlyLine(gateway)).ms, 16_000);
  });

  it('is not begun if it would end in the very moment that `total` does', async (t) => {
    const { gateway, clock, a } = await scene(t, times(9, overloaded({ 'retry-after': '8' })), {
      timeouts: { total: '8s' },
      clock: new PacedClock(() => false),
    });
    assert.equal((await ask(gateway)).headers.get('x-spillway-target'), 'b/m');
    assert.equal(a.requests.length, 1);
    assert.equal(clock.now(), 0);
  });
});

describe('Tries', () => {
  it('have an id each upstream, and none is given twice', async (t) => {
    const { gateway, a, b } = await scene(
      t,
      [overloaded(), overloaded(), overloaded({ 'retry-after': '60' })],
      {},
    );
    await ask(gateway);
    const ids = [...a.requests, ...b.requests].map(({ headers }) => headers['x-request-id']);
    assert.equal(ids.length, 4);
    assert.equal(new Set(ids).size, 4);
    assert.ok(ids.every((id) => id !== undefined && id !== ''));
  });
});
