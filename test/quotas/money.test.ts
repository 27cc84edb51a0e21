import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { FINISH, ROLE, readEvents, text, usage } from '../support/rig.ts';
import { apiError, chatAnswer, chatStream, Gate, pauseUntil, stream } from '../support/upstream.ts';
import { ANSWER, DAY, figures, keyOf, openScene, PROMPT, refused, type Scene, START, took } from './kit.ts';

const DOLLARS = { limit: 1, of: 'usd', per: 'day' };
/** Of the usual answer: 9 tokens at 3 dollars a million, 12 at 11. */
const COST = (PROMPT * 3 + ANSWER * 11) / 1e6;
const ASKS = { stream_options: { include_usage: true } };

async function costMetric({ gateway }: Scene, model = 'm'): Promise<number> {
  const value = await gateway.metric(`spillway_cost_usd_total{tenant="acme",model="${model}"}`);
  return Number((value ?? 0).toFixed(9));
}

/** `usage` of the last chunk that has one, by what the client received. */
function usageOf(events: string): { cost?: number | null } | null | undefined {
  return readEvents(events).chunks.findLast(({ usage }) => usage != null)?.usage as never;
}

describe('what a request costs', () => {
  it('is told with a plain answer, in the log, in the metrics, in the ledger and to its quota alike', async (t) => {
    const scene = await openScene(t, { quotas: [DOLLARS] });
    const seen = await scene.ask();
    assert.equal(seen.headers.get('x-spillway-cost'), '0.000159');
    assert.equal(COST, 0.000159);
    assert.equal((await scene.line(1)).cost_usd, COST);
    assert.equal(await costMetric(scene), COST);
    assert.equal((await scene.quota()).used, COST);
    const [row] = await scene.ledger();
    assert.deepEqual([row?.cost_usd, row?.unpriced_requests], [COST, 0]);
    assert.equal(JSON.parse(seen.text).usage.cost, undefined);
  });

  it('is told in the usage of a stream to a client that asked for that, and to no other', async (t) => {
    const scene = await openScene(t, { quotas: [DOLLARS] });
    assert.equal(usageOf(await scene.streamed(ASKS))?.cost, COST);
    const unasked = await scene.streamed();
    assert.doesNotMatch(unasked, /cost|"usage":\{/);
    assert.equal((await scene.quota()).used, 2 * COST);
    assert.equal(await costMetric(scene), 2 * COST);
    assert.equal((await scene.line(2)).cost_usd, COST);
  });

  it('is less for what came from a cache, and more for what was written to one', async (t) => {
    const scene = await openScene(t, { quotas: [DOLLARS] });
    const details = { cached_tokens: 600, cache_write_tokens: 100 };
    scene.upstream.enqueue(took(1000, 50, { prompt_tokens_details: details }));
    const cost = (300 * 3 + 600 * 0.7 + 100 * 4 + 50 * 11) / 1e6;
    assert.equal((await scene.ask()).headers.get('x-spillway-cost'), String(cost));
    assert.equal((await scene.quota()).used, cost);
    scene.upstream.enqueue(took(1000, 50, { prompt_cache_hit_tokens: 600, prompt_cache_miss_tokens: 400 }));
    await scene.ask();
    assert.equal((await scene.line(2)).cost_usd, (400 * 3 + 600 * 0.7 + 50 * 11) / 1e6);
    const [row] = await scene.ledger();
    assert.deepEqual([row?.cached_tokens, row?.cache_write_tokens], [1200, 100]);
  });

  it('comes with what the cache saved of it, in the log and in the metrics', async (t) => {
    const scene = await openScene(t, { quotas: [DOLLARS] });
    const details = { cached_tokens: 600, cache_write_tokens: 100 };
    scene.upstream.enqueue(took(1000, 50, { prompt_tokens_details: details }));
    await scene.ask();
    const [read, written] = [(600 * 2300) / 1e9, (100 * 1000) / 1e9];
    const line = await scene.line(1);
    assert.deepEqual([line.cache_saved_usd, line.tokens?.cache_write], [0.00128, 100]);
    scene.upstream.enqueue(took(1000, 50, { prompt_tokens_details: { cache_write_tokens: 100 } }));
    await scene.ask();
    assert.equal((await scene.line(2)).cache_saved_usd, -written);
    await scene.ask();
    const plain = await scene.line(3);
    assert.deepEqual(
      [Object.hasOwn(plain, 'cache_saved_usd'), plain.tokens?.cache_write],
      [false, undefined],
    );
    const metric = (name: string) => scene.gateway.metric(`${name}{tenant="acme",model="m"}`);
    assert.equal(await metric('spillway_cache_saved_usd_total'), read);
    assert.equal(await metric('spillway_cache_write_extra_usd_total'), 2 * written);
  });

  it('comes with what the cache saved also where the answer was cut short or counted here', async (t) => {
    const scene = await openScene(t, { quotas: [DOLLARS] });
    scene.upstream.enqueue(took(1000, 0, { prompt_tokens_details: { cached_tokens: 600 } }));
    await scene.ask();
    const line = await scene.line(1);
    assert.deepEqual([line.tokens?.estimated, line.cache_saved_usd], [true, (600 * 2300) / 1e9]);
  });

  it('is estimated where the upstream reports no usage', async (t) => {
    const scene = await openScene(t, { quotas: [DOLLARS] });
    scene.upstream.enqueue(chatAnswer({ content: 'x'.repeat(400), usage: null }));
    const seen = await scene.ask();
    const cost = (PROMPT * 3 + 100 * 11) / 1e6;
    assert.equal(seen.headers.get('x-spillway-cost'), String(cost));
    assert.equal((await scene.quota()).used, cost);
  });

  it('is not said of a stream whose usage is noughts, though it is charged', async (t) => {
    const scene = await openScene(t, { quotas: [DOLLARS] });
    scene.upstream.enqueue(stream([ROLE, text('x'.repeat(400)), FINISH, usage(0, 0)]));
    assert.equal(usageOf(await scene.streamed(ASKS))?.cost, null);
    assert.equal((await scene.quota()).used, (PROMPT * 3 + 100 * 11) / 1e6);
  });

  it('is that of the target that answered, not of those that did not', async (t) => {
    const targets = [
      { provider: 'a', model: 'up-dear' },
      { provider: 'b', model: 'up' },
    ];
    const scene = await openScene(t, {
      quotas: [DOLLARS],
      models: { m: { strategy: { mode: 'fallback' }, targets } },
    });
    scene.upstream.enqueue(apiError(500));
    assert.equal((await scene.ask()).headers.get('x-spillway-cost'), String(COST));
    assert.equal((await scene.quota()).used, COST);
    assert.equal((await scene.ask()).headers.get('x-spillway-cost'), '0.00159');
    const rows = (await scene.ledger()).map(({ target, requests, tries, cost_usd }) => ({
      target,
      requests,
      tries,
      cost_usd,
    }));
    assert.deepEqual(rows, [
      { target: 'a/up-dear', requests: 1, tries: 2, cost_usd: 0.00159 },
      { target: 'b/up', requests: 1, tries: 1, cost_usd: COST },
    ]);
  });

  it('is nothing where nothing answered', async (t) => {
    const scene = await openScene(t, { quotas: [DOLLARS] });
    scene.upstream.enqueue(apiError(500));
    assert.equal((await scene.ask()).headers.get('x-spillway-cost'), null);
    assert.equal((await scene.line(1)).cost_usd, null);
    assert.equal((await scene.quota()).used, 0);
  });

  it('is that of what came, where a stream broke or its client left', async (t) => {
    const scene = await openScene(t, { quotas: [DOLLARS] });
    const gate = new Gate();
    const content = ['x'.repeat(400), pauseUntil(gate), 'never'];
    scene.upstream.enqueue(chatStream({ content }));
    const reader = await scene.stream();
    await reader.until('xxx');
    await reader.leave();
    const cost = (PROMPT * 3 + 100 * 11) / 1e6;
    assert.equal((await scene.line(1)).cost_usd, cost);
    assert.equal((await scene.quota()).used, cost);
  });

  it('is by the prices of when it was asked for, whatever they are by its end', async (t) => {
    const midnight = START - (START % DAY) + DAY;
    const up = {
      periods: [
        { until: '2026-11-23', in: 3, out: 11 },
        { from: '2026-11-23', in: 300, out: 1100 },
      ],
    };
    const scene = await openScene(t, { quotas: [{ ...DOLLARS, per: 'month' }], prices: { up } });
    scene.clock.advance(midnight - START - 1000);
    const gate = new Gate();
    scene.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const reader = await scene.stream(ASKS);
    await reader.until('Hel');
    scene.clock.advance(2000);
    gate.open();
    assert.equal(usageOf(await reader.rest())?.cost, COST);
    assert.equal((await scene.line(1)).cost_usd, COST);
    await scene.ask({ max_tokens: 12 });
    assert.equal((await scene.line(2)).cost_usd, Number((100 * COST).toFixed(9)));
  });

  it('may be by the list that comes with the gateway', async (t) => {
    const shipped = fileURLToPath(new URL('../../config/prices.yaml', import.meta.url));
    const scene = await openScene(t, {
      models: { m: { provider: 'a', model: 'gpt-6-sol' } },
      quotas: [DOLLARS],
      config: { prices: shipped },
    });
    scene.upstream.enqueue(took(1000, 100));
    assert.equal((await scene.ask()).headers.get('x-spillway-cost'), '0.003');
    assert.equal((await scene.quota()).used, 0.003);
  });

  it('is written without an exponent, however little it is', async (t) => {
    const scene = await openScene(t, { prices: { up: { in: 0.0005, out: 0 } } });
    scene.upstream.enqueue(took(2, 1), took(1, 1));
    assert.equal((await scene.ask()).headers.get('x-spillway-cost'), '0.000000001');
    // Half a billionth is rounded up.
    assert.equal((await scene.ask()).headers.get('x-spillway-cost'), '0.000000001');
  });

  it('may be nothing at all', async (t) => {
    const scene = await openScene(t, { quotas: [DOLLARS], prices: { up: { in: 0, out: 0 } } });
    assert.equal((await scene.ask()).headers.get('x-spillway-cost'), '0');
    assert.equal((await scene.line(1)).cost_usd, 0);
    assert.equal(usageOf(await scene.streamed(ASKS))?.cost, 0);
  });
});

describe('a cost that nobody knows', () => {
  const NONE = { prices: {} };

  it('is said to be unknown, everywhere', async (t) => {
    const scene = await openScene(t, { ...NONE, quotas: [{ limit: 10_000, of: 'tokens', per: 'day' }] });
    assert.equal((await scene.ask()).headers.get('x-spillway-cost'), 'unknown');
    assert.equal(usageOf(await scene.streamed(ASKS))?.cost, null);
    for (const { cost_usd, tokens } of await scene.lines(2)) {
      assert.equal(cost_usd, null);
      assert.equal(tokens?.output, ANSWER);
    }
    assert.equal(await costMetric(scene), 0);
    const [row] = await scene.ledger();
    assert.deepEqual([row?.requests, row?.cost_usd, row?.unpriced_requests], [2, 0, 2]);
  });

  it('passes a target over for a tenant with a quota in dollars, and goes on to the next', async (t) => {
    const targets = [
      { provider: 'a', model: 'unpriced' },
      { provider: 'b', model: 'up' },
    ];
    const models = { m: { strategy: { mode: 'fallback' }, targets } };
    const scene = await openScene(t, { models, quotas: [DOLLARS], others: { free: [] } });
    const seen = await scene.ask();
    assert.deepEqual([seen.status, seen.headers.get('x-spillway-target')], [200, 'b/up']);
    assert.equal(seen.headers.get('x-spillway-attempts'), '1');
    assert.equal(scene.upstream.requests.length, 0);
    assert.equal((await scene.ask({}, 'free')).headers.get('x-spillway-target'), 'a/unpriced');
    // And says so where the next one fails.
    scene.second.enqueue(apiError(500));
    const { status, error } = await scene.ask();
    assert.equal(status, 502);
    assert.match(
      error?.message ?? '',
      /a\/unpriced: skipped, it has no price, and you have a quota in US dollars/,
    );
  });

  it('is no way round the quota in a tree that balances load', async (t) => {
    const targets = [
      { provider: 'a', model: 'unpriced', weight: 1000 },
      { provider: 'b', model: 'up' },
    ];
    const models = { m: { strategy: { mode: 'loadbalance' }, targets } };
    const scene = await openScene(t, { models, quotas: [DOLLARS] });
    for (let i = 0; i < 5; i++) {
      assert.equal((await scene.ask()).headers.get('x-spillway-target'), 'b/up');
    }
    assert.equal((await scene.quota()).used, Number((5 * COST).toFixed(9)));
  });

  it('refuses the request where no target has a price, and it pays no more than its count', async (t) => {
    const scene = await openScene(t, {
      ...NONE,
      quotas: [DOLLARS, { limit: 5, of: 'requests', per: 'minute' }],
    });
    for (const stream of [false, true]) {
      const seen = await scene.ask({ stream });
      assert.equal(seen.status, 403);
      assert.deepEqual(
        [seen.error?.type, seen.error?.code, seen.error?.param],
        ['permission_error', 'model_not_priced', null],
      );
      assert.match(seen.error?.message ?? '', /'m'/);
      assert.equal(seen.headers.get('x-should-retry'), 'false');
      assert.equal(seen.headers.get('x-spillway-attempts'), '0');
    }
    assert.equal(scene.upstream.requests.length, 0);
    const { quotas } = await scene.usage();
    assert.deepEqual(
      quotas.map(({ used, reserved }) => [used, reserved]),
      [
        [0, 0],
        [2, 0],
      ],
    );
    assert.deepEqual((await scene.line(1)).tries, []);
  });

  for (const dimension of ['tokens', 'input_tokens', 'output_tokens']) {
    it(`is allowed where a quota of ${dimension} holds the tenant as well`, async (t) => {
      const scene = await openScene(t, {
        ...NONE,
        quotas: [DOLLARS, { limit: 10_000, of: dimension, per: 'day' }],
      });
      assert.equal((await scene.ask()).status, 200);
      const [dollars, tokens] = (await scene.usage()).quotas;
      assert.equal(dollars?.used, 0);
      assert.ok((tokens?.used ?? 0) > 0);
    });
  }

  for (const quota of [
    { limit: 10_000, of: 'requests', per: 'day' },
    { limit: 1, of: 'concurrent' },
    { limit: 10_000, of: 'tokens', per: 'day', models: ['other'] },
  ]) {
    it(`is not allowed by a quota that holds no tokens of it: ${JSON.stringify(quota)}`, async (t) => {
      const scene = await openScene(t, {
        ...NONE,
        models: { other: { provider: 'a', model: 'up' } },
        quotas: [DOLLARS, quota],
      });
      assert.equal((await scene.ask()).error?.code, 'model_not_priced');
    });
  }

  it("is no matter to a dollar quota for other models, nor to another key's", async (t) => {
    const scene = await openScene(t, {
      ...NONE,
      models: { other: { provider: 'a', model: 'up' } },
      quotas: [{ ...DOLLARS, models: ['other'] }],
      keys: { ci: [], laptop: [DOLLARS] },
    });
    assert.equal((await scene.ask()).status, 200);
    assert.equal((await scene.ask({ model: 'other' })).status, 403);
    assert.equal((await scene.ask({}, 'laptop')).status, 403);
  });

  it('is that of a time, or a length, that the list says nothing of', async (t) => {
    const scene = await openScene(t, {
      prices: { up: { until: '2026-11-23', in: 3, out: 11, up_to: 1000 } },
      quotas: [{ ...DOLLARS, per: 'month' }],
    });
    assert.equal((await scene.ask()).status, 200);
    const long = { messages: [{ role: 'user', content: 'x'.repeat(8000) }] };
    assert.equal((await scene.ask(long)).error?.code, 'model_not_priced');
    scene.clock.advance(DAY);
    assert.equal((await scene.ask()).error?.code, 'model_not_priced');
    assert.equal(scene.upstream.requests.length, 1);
  });

  it('of a prompt that turned out to be longer than there are prices for is what was reserved', async (t) => {
    const scene = await openScene(t, { prices: { up: { in: 3, out: 11, up_to: 1000 } }, quotas: [DOLLARS] });
    scene.upstream.enqueue(took(5000, 12));
    assert.equal((await scene.ask({ max_tokens: 100 })).headers.get('x-spillway-cost'), 'unknown');
    assert.equal((await scene.quota()).used, (PROMPT * 3 + 100 * 11) / 1e6);
  });

  it('has no price among direct models that are made up', async (t) => {
    const scene = await openScene(t, {
      config: { direct_models: true },
      quotas: [DOLLARS],
    });
    assert.equal((await scene.ask({ model: 'a/up' })).headers.get('x-spillway-cost'), String(COST));
    assert.equal((await scene.ask({ model: 'a/made-up' })).error?.code, 'model_not_priced');
    const rows = (await scene.ledger()).map(({ model, target, cost_usd }) => [model, target, cost_usd]);
    assert.deepEqual(rows, [
      ['a/*', '-', 0],
      ['a/*', 'a/*', COST],
    ]);
  });
});

describe('a limit in dollars', () => {
  it('refuses what may cost more than is left, and lets in what may not', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 0.001, of: 'usd', per: 'day' }] });
    scene.upstream.enqueue(took(PROMPT, 75));
    await scene.ask({ max_tokens: 80 });
    assert.deepEqual(figures(await scene.quota()), { used: 0.000852, reserved: 0, remaining: 0.000148 });
    // 9 tokens at 4 dollars a million and 10 at 11 are 0.000146; with 11, 0.000157.
    assert.match(refused(await scene.ask({ max_tokens: 11 })), /may take 0\.000157; left: 0\.000148 /);
    assert.equal((await scene.ask({ max_tokens: 10 })).status, 200);
  });

  it('holds across keys of a tenant', async (t) => {
    const scene = await openScene(t, {
      quotas: [{ limit: 0.0002, of: 'usd', per: 'day' }],
      keys: { ci: [], laptop: [] },
    });
    assert.equal((await scene.ask({ max_tokens: 12 })).status, 200);
    refused(await scene.ask({ max_tokens: 12 }, 'laptop'));
    const response = await scene.gateway.chat(
      { max_tokens: 12 },
      { authorization: `Bearer ${keyOf('laptop')}` },
    );
    assert.equal(response.headers.get('x-should-retry'), 'false');
  });
});
