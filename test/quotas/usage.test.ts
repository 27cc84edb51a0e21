import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { read } from '../outcomes/helpers.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { chatAnswer, chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import { ANSWER, figures, HOUR, keyOf, openScene, PROMPT, took } from './kit.ts';

describe('GET /v1/usage', () => {
  it('is to the letter what was promised', async (t) => {
    const clock = new ManualClock(0, Date.UTC(2026, 10, 22, 8, 58));
    const scene = await openScene(t, { clock, quotas: [{ limit: 1_000_000, of: 'tokens', per: 'hour' }] });
    scene.upstream.enqueue(took(20, 10));
    await scene.ask();
    const headers = { authorization: `Bearer ${keyOf('ci')}` };
    const seen = await read(fetch(`${scene.gateway.url}/usage`, { headers }));
    assert.equal(seen.status, 200);
    assert.match(seen.headers.get('content-type') ?? '', /^application\/json/);
    assert.match(seen.headers.get('x-request-id') ?? '', /./);
    assert.equal(
      seen.text,
      '{"tenant":"acme","key":"ci","quotas":[{"of":"tokens","per":"hour","limit":1000000,"scope":"tenant","models":null,"used":30,"reserved":0,"remaining":999970,"resets_at":"2026-11-22T10:00:00.000Z"}]}',
    );
  });

  it("lists the tenant's quotas before the key's own, each in the order of the file", async (t) => {
    const scene = await openScene(t, {
      models: { smart: { provider: 'a', model: 'up' } },
      quotas: [
        { limit: 100, of: 'requests', per: 'minute' },
        { limit: 50.25, of: 'usd', per: 'day' },
        { limit: 8, of: 'concurrent' },
      ],
      keys: {
        ci: [
          { limit: 7, of: 'output_tokens', per: 'month', models: ['smart', 'm'] },
          { limit: 9, of: 'input_tokens', per: 'second' },
        ],
        laptop: [{ limit: 1, of: 'requests', per: 'day' }],
      },
    });
    const { quotas } = await scene.usage();
    assert.deepEqual(
      quotas.map(({ limit, of, per, scope, models }) => [limit, of, per, scope, models]),
      [
        [100, 'requests', 'minute', 'tenant', null],
        [50.25, 'usd', 'day', 'tenant', null],
        [8, 'concurrent', null, 'tenant', null],
        [7, 'output_tokens', 'month', 'key', ['smart', 'm']],
        [9, 'input_tokens', 'second', 'key', null],
      ],
    );
    for (const quota of quotas) {
      assert.deepEqual(figures(quota), { used: 0, reserved: 0, remaining: quota.limit });
      assert.deepEqual(Object.keys(quota), [
        'of',
        'per',
        'limit',
        'scope',
        'models',
        'used',
        'reserved',
        'remaining',
        'resets_at',
      ]);
    }
  });

  it("shows a key what others have used of its tenant's quotas, and nothing of theirs", async (t) => {
    const scene = await openScene(t, {
      quotas: [{ limit: 100, of: 'requests', per: 'minute' }],
      keys: { ci: [{ limit: 10, of: 'requests', per: 'day' }], laptop: [] },
      others: { rival: [{ limit: 3, of: 'requests', per: 'hour' }] },
    });
    for (let i = 0; i < 2; i++) await scene.ask();
    await scene.ask({}, 'rival');
    const own = await scene.usage();
    assert.deepEqual([own.tenant, own.key], ['acme', 'ci']);
    assert.deepEqual(
      own.quotas.map(({ scope, used }) => [scope, used]),
      [
        ['tenant', 2],
        ['key', 2],
      ],
    );
    const { key, quotas } = await scene.usage('laptop');
    assert.equal(key, 'laptop');
    assert.deepEqual(
      quotas.map(({ scope, used }) => [scope, used]),
      [['tenant', 2]],
    );
    const rival = await scene.usage('rival');
    assert.deepEqual([rival.tenant, rival.quotas.map(({ used }) => used)], ['rival', [1]]);
  });

  it('tells dollars in dollars, and what is reserved while requests are under way', async (t) => {
    const scene = await openScene(t, {
      quotas: [
        { limit: 1, of: 'usd', per: 'day' },
        { limit: 10_000, of: 'tokens', per: 'hour' },
        { limit: 3, of: 'concurrent' },
        { limit: 5, of: 'requests', per: 'minute' },
      ],
    });
    await scene.ask();
    const gate = new Gate();
    scene.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const reader = await scene.stream({ max_tokens: 100 });
    await reader.until('Hel');
    const paid = (PROMPT * 3 + ANSWER * 11) / 1e6;
    const held = (PROMPT * 4 + 100 * 11) / 1e6;
    const during = (await scene.usage()).quotas;
    assert.deepEqual(during.map(figures), [
      { used: paid, reserved: held, remaining: (1e9 - paid * 1e9 - held * 1e9) / 1e9 },
      { used: 21, reserved: 109, remaining: 10_000 - 130 },
      { used: 0, reserved: 1, remaining: 2 },
      { used: 2, reserved: 0, remaining: 3 },
    ]);
    gate.open();
    await reader.rest();
    const { quotas } = await scene.usage();
    assert.deepEqual(
      quotas.map(({ used, reserved }) => [used, reserved]),
      [
        [2 * paid, 0],
        [42, 0],
        [0, 0],
        [2, 0],
      ],
    );
  });

  it('says when all that is taken is back: now, if nothing is; with the calendar; nobody knows, of those under way', async (t) => {
    const scene = await openScene(t, {
      quotas: [
        { limit: 10, of: 'requests', per: 'hour' },
        { limit: 10, of: 'requests', per: 'month' },
        { limit: 10, of: 'concurrent' },
      ],
    });
    const resets = async () => (await scene.usage()).quotas.map(({ resets_at }) => resets_at);
    const december = '2026-12-01T00:00:00.000Z';
    assert.deepEqual(await resets(), ['2026-11-22T09:30:00.000Z', december, null]);
    await scene.ask();
    assert.deepEqual(await resets(), ['2026-11-22T10:33:00.000Z', december, null]);
    scene.clock.advance(HOUR / 2);
    await scene.ask();
    assert.equal((await resets())[0], '2026-11-22T11:03:00.000Z');
  });

  it('knows of each answer as soon as it has come', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1e6, of: 'tokens', per: 'day' }] });
    let used = 0;
    for (let i = 1; i <= 30; i++) {
      scene.upstream.enqueue(took(i, 2 * i));
      await scene.ask();
      used += 3 * i;
      assert.deepEqual(figures(await scene.quota()), { used, reserved: 0, remaining: 1e6 - used });
    }
  });

  it('takes nothing from the quotas that it tells of', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1, of: 'requests', per: 'day' }] });
    for (let i = 0; i < 5; i++) assert.equal((await scene.quota()).used, 0);
    assert.equal((await scene.ask()).status, 200);
    assert.equal((await scene.quota()).remaining, 0);
  });

  it('is of `anonymous` where no key is asked for', async (t) => {
    const tenants = [{ id: 'anonymous', quotas: [{ limit: 2, of: 'requests', per: 'minute' }] }];
    const scene = await openScene(t, { config: { auth: 'none', tenants } });
    await scene.gateway.chat();
    assert.equal((await scene.gateway.chat({}, { authorization: 'Bearer whatever' })).status, 200);
    assert.equal((await scene.gateway.chat()).status, 429);
    const usage = await scene.usage('nobody');
    assert.deepEqual([usage.tenant, usage.key], ['anonymous', null]);
    assert.deepEqual(usage.quotas.map(figures), [{ used: 2, reserved: 0, remaining: 0 }]);
    const series = 'spillway_quota_refusals_total{tenant="anonymous",quota="tenant/requests/minute"}';
    assert.equal(await scene.gateway.metric(series), 1);
  });

  it('is told to nobody without a key', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 2, of: 'requests', per: 'minute' }] });
    for (const headers of [{}, { authorization: 'Bearer sw-wrong' }]) {
      const seen = await read(fetch(`${scene.gateway.url}/usage`, { headers }));
      assert.deepEqual([seen.status, seen.error?.code], [401, 'invalid_api_key']);
      assert.doesNotMatch(seen.text, /acme|requests/);
    }
  });

  it('shows an overrun as it is, with nothing left', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 100, of: 'output_tokens', per: 'hour' }] });
    scene.upstream.enqueue(chatAnswer({ usage: { prompt_tokens: 9, completion_tokens: 450 } }));
    await scene.ask({ max_tokens: 100 });
    assert.deepEqual(figures(await scene.quota()), { used: 450, reserved: 0, remaining: 0 });
  });
});
