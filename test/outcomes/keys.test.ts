import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { apiError, chatAnswer, Gate, pauseUntil, type Script, type Upstream } from '../support/upstream.ts';
import {
  ask,
  keysSeen,
  onlyLine,
  openGateway,
  openUpstream,
  PacedClock,
  provider,
  rowOf,
  triesOf,
} from './helpers.ts';

/** One target with a pool of keys, `m`, and another model of the same provider, `n`. */
async function scene(t: TestContext, keys: string[], settings: object = {}) {
  const clock = new PacedClock();
  const a = await openUpstream(t);
  const gateway = await openGateway(
    t,
    {
      providers: { a: provider(a, ...keys) },
      models: { m: { provider: 'a' }, n: { provider: 'a' } },
      defaults: { retry: { backoff: { base: '100ms', jitter: 'none' } }, ...settings },
    },
    { clock },
  );
  return { a, gateway, clock };
}

/** Answers each key in its own way, those that are not named well. */
function byKey(upstream: Upstream, answers: Record<string, Script>): void {
  upstream.reply(({ headers }) => {
    const key = headers['authorization']?.replace('Bearer ', '') ?? '';
    return answers[key] ?? chatAnswer();
  });
}

const limited = (seconds: number) => apiError(429, {}, { 'retry-after': String(seconds) });
const at = (ms: number) => new Date(Date.UTC(2026, 10, 22, 9) + ms).toISOString();

describe('A pool of keys', () => {
  it('is used in turn', async (t) => {
    const { a, gateway } = await scene(t, ['key-1', 'key-2', 'key-3']);
    for (let i = 0; i < 7; i++) await ask(gateway);
    assert.deepEqual(keysSeen(a), ['key-1', 'key-2', 'key-3', 'key-1', 'key-2', 'key-3', 'key-1']);
  });

  it('has its turn for each model', async (t) => {
    const { a, gateway } = await scene(t, ['key-1', 'key-2']);
    for (const model of ['m', 'n', 'n', 'm']) await ask(gateway, { model });
    assert.deepEqual(keysSeen(a), ['key-1', 'key-1', 'key-2', 'key-2']);
  });

  it('gives another key at once after a 429, whatever `attempts` says; the one that was refused has its own cooldown', async (t) => {
    const { a, gateway, clock } = await scene(t, ['key-1', 'key-2'], { retry: { attempts: 0 } });
    a.enqueue(limited(60));
    const seen = await ask(gateway);
    assert.equal(seen.status, 200);
    assert.equal(seen.headers.get('x-spillway-attempts'), '2');
    assert.deepEqual(triesOf(await onlyLine(gateway)), ['a/m rate_limited 429', 'a/m ok 200']);
    assert.deepEqual(keysSeen(a), ['key-1', 'key-2']);
    assert.deepEqual(clock.sleeps, []);
    assert.equal((await rowOf(gateway, 'a/m#1')).cooldown_until, at(60_000));
    assert.equal((await rowOf(gateway, 'a/m#2')).cooldown_until, null);

    for (let i = 0; i < 3; i++) await ask(gateway);
    assert.deepEqual(keysSeen(a).slice(2), ['key-2', 'key-2', 'key-2']);

    clock.advance(60_000);
    await ask(gateway);
    await ask(gateway);
    assert.deepEqual(keysSeen(a).slice(5).sort(), ['key-1', 'key-2']);
    assert.equal((await rowOf(gateway, 'a/m#1')).cooldown_until, null);
  });

  for (const status of [401, 402, 403]) {
    it(`gives another key at once after a ${status}, and the operator a word in the log`, async (t) => {
      const { a, gateway, clock } = await scene(t, ['key-1', 'key-2']);
      a.enqueue(apiError(status, { message: 'no' }));
      const seen = await ask(gateway);
      assert.equal(seen.status, 200);
      assert.deepEqual(keysSeen(a), ['key-1', 'key-2']);
      assert.deepEqual(clock.sleeps, []);
      assert.equal((await rowOf(gateway, 'a/m#1')).cooldown_until, at(300_000));
      const errors = gateway.logs.filter(({ level }) => level === 'error').map(({ fields }) => fields);
      const outcome = status === 402 ? 'out_of_credit' : 'credentials_refused';
      assert.deepEqual(errors, [{ upstream: 'a/m#1', outcome, status, error: 'no' }]);
    });
  }

  it('gives no other key after a failure that is not about the key', async (t) => {
    const { a, gateway } = await scene(t, ['key-1', 'key-2']);
    a.enqueue(apiError(503), apiError(500));
    await ask(gateway);
    assert.deepEqual(keysSeen(a), ['key-1', 'key-1', 'key-1']);
  });

  it('has every key asked once when each is refused', async (t) => {
    const { a, gateway } = await scene(t, ['key-1', 'key-2', 'key-3']);
    a.reply(() => apiError(401));
    const seen = await ask(gateway);
    assert.equal(seen.status, 502);
    assert.equal(seen.error?.code, 'upstream_auth_error');
    assert.equal(seen.headers.get('x-should-retry'), 'false');
    assert.ok(seen.error?.message.includes('a/m: 3 tries, credentials refused (HTTP 401)'));
    assert.deepEqual(keysSeen(a), ['key-1', 'key-2', 'key-3']);
  });

  it('has the key asked again that asked for the shortest wait', async (t) => {
    for (const [first, second, again] of [
      [8, 2, 'key-2'],
      [2, 8, 'key-1'],
    ] as const) {
      const { a, gateway, clock } = await scene(t, ['key-1', 'key-2']);
      a.enqueue(limited(first), limited(second));
      assert.equal((await ask(gateway)).status, 200);
      assert.deepEqual(keysSeen(a), ['key-1', 'key-2', again]);
      assert.deepEqual(clock.sleeps, [2000]);
    }
  });

  it('does not have a key asked again that was refused, however soon the other wants to wait', async (t) => {
    const { a, gateway, clock } = await scene(t, ['key-1', 'key-2']);
    byKey(a, { 'key-1': apiError(401) });
    a.enqueue(apiError(401), limited(2));
    assert.equal((await ask(gateway)).status, 200);
    assert.deepEqual(keysSeen(a), ['key-1', 'key-2', 'key-2']);
    assert.deepEqual(clock.sleeps, [2000]);
  });

  it('tells the client the shortest wait of its keys', async (t) => {
    const { a, gateway } = await scene(t, ['key-1', 'key-2']);
    a.enqueue(limited(20), limited(50));
    const seen = await ask(gateway);
    assert.equal(seen.status, 429);
    assert.equal(seen.headers.get('retry-after'), '20');
    assert.equal(seen.headers.get('retry-after-ms'), '20000');
    assert.equal(seen.headers.get('x-should-retry'), null);
  });
});

describe('A key that was refused', () => {
  it('is left alone by every model for five minutes after a 401 or a 402', async (t) => {
    for (const status of [401, 402]) {
      const { a, gateway, clock } = await scene(t, ['key-1', 'key-2']);
      byKey(a, { 'key-1': apiError(status) });
      await ask(gateway);
      for (const model of ['m', 'n', 'n']) assert.equal((await ask(gateway, { model })).status, 200);
      assert.deepEqual(keysSeen(a), ['key-1', 'key-2', 'key-2', 'key-2', 'key-2']);
      assert.equal((await rowOf(gateway, 'a/n#1')).cooldown_until, at(300_000));

      clock.advance(299_999);
      await ask(gateway, { model: 'n' });
      assert.deepEqual(keysSeen(a).slice(5), ['key-2']);
      clock.advance(1);
      await ask(gateway, { model: 'n' });
      assert.deepEqual(keysSeen(a).slice(6), ['key-1', 'key-2']);
    }
  });

  it('is left alone by that model only after a 403, and after a 429', async (t) => {
    for (const answer of [apiError(403), limited(300)]) {
      const { a, gateway } = await scene(t, ['key-1', 'key-2']);
      a.enqueue(answer);
      await ask(gateway);
      await ask(gateway);
      await ask(gateway, { model: 'n' });
      assert.deepEqual(keysSeen(a), ['key-1', 'key-2', 'key-2', 'key-1']);
      assert.equal((await rowOf(gateway, 'a/m#1')).cooldown_until, at(300_000));
      assert.equal((await rowOf(gateway, 'a/n#1')).cooldown_until, null);
    }
  });
});

describe('The cooldown after a 429 that says nothing of its length', () => {
  const cooldown = async (gateway: Awaited<ReturnType<typeof scene>>['gateway'], clock: PacedClock) => {
    const { cooldown_until: until } = await rowOf(gateway, 'a/m#1');
    return until === null ? null : Date.parse(until) - clock.wall();
  };

  it('is a second, and doubles with each in a row, up to a minute', async (t) => {
    const { a, gateway, clock } = await scene(t, ['key-1'], { retry: { attempts: 0 } });
    a.reply(() => apiError(429));
    for (const expected of [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]) {
      await ask(gateway);
      assert.equal(await cooldown(gateway, clock), expected);
      clock.advance(expected);
    }
    a.enqueue(chatAnswer());
    await ask(gateway);
    await ask(gateway);
    assert.equal(await cooldown(gateway, clock), 1000, 'an answer ends the row');
  });

  it('does not double for tries that were under way together', async (t) => {
    const { a, gateway, clock } = await scene(t, ['key-1'], { retry: { attempts: 0 } });
    const together = new Gate();
    a.reply(() => [pauseUntil(together), apiError(429)]);
    const seen = Array.from({ length: 20 }, () => ask(gateway));
    await a.waitFor(20);
    together.open();
    for (const { status } of await Promise.all(seen)) assert.equal(status, 429);
    assert.equal(await cooldown(gateway, clock), 1000);
  });
});
