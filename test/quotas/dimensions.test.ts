import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../outcomes/helpers.ts';
import { apiError, chatAnswer, chatStream, Gate, pauseUntil, reset } from '../support/upstream.ts';
import { ANSWER, DEFAULT_OUTPUT, figures, openScene, PROMPT, refused, took } from './kit.ts';

/** With a maximum, so that what is reserved is told by it: 9 for the prompt and 12 for the answer. */
const SHORT = { max_completion_tokens: ANSWER };

describe('a quota of', () => {
  it('requests admits that many in a minute, whatever their size', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 3, of: 'requests', per: 'minute' }] });
    for (let i = 0; i < 3; i++) assert.equal((await scene.ask()).status, 200);
    refused(await scene.ask());
    assert.equal(scene.upstream.requests.length, 3);
    assert.deepEqual(figures(await scene.quota()), { used: 3, reserved: 0, remaining: 0 });
  });

  it('tokens counts prompts and answers together', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1000, of: 'tokens', per: 'hour' }] });
    scene.upstream.enqueue(took(100, 50));
    await scene.ask({ max_completion_tokens: 60 });
    assert.deepEqual(figures(await scene.quota()), { used: 150, reserved: 0, remaining: 850 });
  });

  it('input_tokens counts prompts alone, and asks nothing of how long the answer may be', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 30, of: 'input_tokens', per: 'hour' }] });
    for (let i = 0; i < 3; i++) assert.equal((await scene.ask({ max_tokens: 100_000 })).status, 200);
    assert.deepEqual(figures(await scene.quota()), { used: 3 * PROMPT, reserved: 0, remaining: 3 });
    refused(await scene.ask());
  });

  it('output_tokens counts answers alone', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 30, of: 'output_tokens', per: 'hour' }] });
    const long = { ...SHORT, messages: [{ role: 'user', content: 'hello '.repeat(1000) }] };
    for (let i = 0; i < 2; i++) assert.equal((await scene.ask(long)).status, 200);
    assert.deepEqual(figures(await scene.quota()), { used: 2 * ANSWER, reserved: 0, remaining: 6 });
    refused(await scene.ask(long));
    assert.equal((await scene.ask({ max_tokens: 6 })).status, 200);
  });

  it('usd counts what answers cost by the table of prices', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 0.001, of: 'usd', per: 'month' }] });
    const cost = (PROMPT * 3 + ANSWER * 11) / 1e6;
    let spent = 0;
    for (; spent + cost <= 0.001; spent += cost) assert.equal((await scene.ask(SHORT)).status, 200);
    refused(await scene.ask(SHORT));
    const { used, remaining } = await scene.quota();
    assert.equal(used.toFixed(9), spent.toFixed(9));
    assert.equal(remaining.toFixed(9), (0.001 - spent).toFixed(9));
  });

  it('concurrent holds a place while an answer is under way, and gives it back', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 2, of: 'concurrent' }] });
    const gate = new Gate();
    scene.upstream.reply(() => [pauseUntil(gate), chatAnswer()]);
    const first = [scene.ask(), scene.ask()];
    await gate.reached(2);
    refused(await scene.ask());
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 2, remaining: 0 });
    gate.step();
    assert.equal((await Promise.race(first)).status, 200);
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 1, remaining: 1 });
    const third = scene.ask();
    await gate.reached(3);
    gate.open();
    for (const answer of [...first, third]) assert.equal((await answer).status, 200);
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 0, remaining: 2 });
  });
});

describe('a place among the concurrent ones', () => {
  const ONE = [{ limit: 1, of: 'concurrent' }];

  it('is held for as long as a stream runs', async (t) => {
    const scene = await openScene(t, { quotas: ONE });
    const gate = new Gate();
    scene.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const reader = await scene.stream();
    await reader.until('Hel');
    refused(await scene.ask());
    gate.open();
    assert.match(await reader.rest(), /\[DONE\]/);
    assert.equal((await scene.ask()).status, 200);
  });

  it('is given back when nothing answered', async (t) => {
    const scene = await openScene(t, { quotas: ONE });
    for (const script of [apiError(500), apiError(400), reset(), apiError(429)]) {
      scene.upstream.enqueue(script);
      assert.notEqual((await scene.ask()).status, 200);
      assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 0, remaining: 1 });
    }
  });

  it('is given back when a stream breaks', async (t) => {
    const scene = await openScene(t, { quotas: ONE });
    scene.upstream.enqueue(chatStream({ content: ['Hel', reset()] }));
    assert.match(await scene.streamed(), /stream_interrupted/);
    assert.equal((await scene.ask()).status, 200);
  });

  it('is given back when the client leaves, before its answer or in the midst of it', async (t) => {
    const scene = await openScene(t, { quotas: ONE });
    const gate = new Gate();
    scene.upstream.enqueue(pauseUntil(gate));
    const leaving = scene.leaving();
    await gate.reached();
    await leaving.leave();
    await scene.lines(1);
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 0, remaining: 1 });

    scene.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const reader = await scene.stream();
    await reader.until('Hel');
    await reader.leave();
    await scene.lines(2);
    assert.equal((await scene.ask()).status, 200);
  });

  it('is not given twice to 50 that come at once', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 7, of: 'concurrent' }] });
    const gate = new Gate();
    scene.upstream.reply(() => [pauseUntil(gate), chatAnswer()]);
    const all = Array.from({ length: 50 }, () => scene.ask());
    await scene.lines(43);
    assert.equal(scene.upstream.requests.length, 7);
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 7, remaining: 0 });
    gate.open();
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 200).length, 7);
    assert.equal(statuses.filter((status) => status === 429).length, 43);
    await scene.nothingReserved();
  });
});

describe('quotas of a key', () => {
  it("hold beside its tenant's, and for it alone", async (t) => {
    const scene = await openScene(t, {
      quotas: [{ limit: 5, of: 'requests', per: 'minute' }],
      keys: { ci: [{ limit: 2, of: 'requests', per: 'minute' }], laptop: [] },
    });
    for (let i = 0; i < 2; i++) assert.equal((await scene.ask()).status, 200);
    assert.match(refused(await scene.ask()), /2 requests per minute for this key/);
    for (let i = 0; i < 3; i++) assert.equal((await scene.ask({}, 'laptop')).status, 200);
    assert.match(refused(await scene.ask({}, 'laptop')), /5 requests per minute for this tenant/);
  });

  it('may be wider than what is left of the tenant', async (t) => {
    const scene = await openScene(t, {
      quotas: [{ limit: 1, of: 'requests', per: 'minute' }],
      keys: { ci: [{ limit: 100, of: 'requests', per: 'minute' }] },
    });
    await scene.ask();
    assert.match(refused(await scene.ask()), /1 requests? per minute for this tenant/);
  });

  it('are counted apart from those of keys and tenants with the same names', async (t) => {
    const one = [{ limit: 1, of: 'requests', per: 'minute' }];
    const scene = await openScene(t, { keys: { ci: one, tenant: one }, others: { ci2: one, other: one } });
    for (const key of ['ci', 'tenant', 'ci2', 'other']) {
      assert.equal((await scene.ask({}, key)).status, 200);
      refused(await scene.ask({}, key));
    }
  });
});

describe('quotas that name models', () => {
  const MODELS = {
    smart: { provider: 'a', model: 'up' },
    'name, with a comma': { provider: 'a', model: 'up' },
  };

  it('count these alone', async (t) => {
    const scene = await openScene(t, {
      models: MODELS,
      quotas: [{ limit: 1, of: 'requests', per: 'minute', models: ['smart', 'name, with a comma'] }],
    });
    for (let i = 0; i < 3; i++) assert.equal((await scene.ask()).status, 200);
    assert.equal((await scene.ask({ model: 'smart' })).status, 200);
    const message = refused(await scene.ask({ model: 'name, with a comma' }));
    assert.match(message, /\(models: smart, name, with a comma\)/);
    assert.equal((await scene.quota()).used, 1);
  });

  it('count requests for aliases of them', async (t) => {
    const scene = await openScene(t, {
      models: MODELS,
      config: { aliases: { clever: 'smart', cleverer: 'clever' } },
      quotas: [{ limit: 3, of: 'requests', per: 'minute', models: ['smart'] }],
    });
    for (const model of ['smart', 'clever', 'cleverer']) {
      assert.equal((await scene.ask({ model })).status, 200);
    }
    refused(await scene.ask({ model: 'cleverer' }));
    assert.equal((await scene.ask()).status, 200);
  });

  it('that are aliases count requests by that name alone', async (t) => {
    const scene = await openScene(t, {
      models: MODELS,
      config: { aliases: { clever: 'smart' } },
      quotas: [{ limit: 1, of: 'requests', per: 'minute', models: ['clever'] }],
    });
    for (let i = 0; i < 2; i++) assert.equal((await scene.ask({ model: 'smart' })).status, 200);
    assert.equal((await scene.ask({ model: 'clever' })).status, 200);
    refused(await scene.ask({ model: 'clever' }));
  });

  it('count direct models by the name that was asked for', async (t) => {
    const scene = await openScene(t, {
      config: { direct_models: true },
      quotas: [{ limit: 1, of: 'requests', per: 'minute', models: ['a/up'] }],
    });
    assert.equal((await scene.ask({ model: 'a/other' })).status, 200);
    assert.equal((await scene.ask()).status, 200);
    assert.equal((await scene.ask({ model: 'a/up' })).status, 200);
    refused(await scene.ask({ model: 'a/up' }));
  });

  it('do not hold for direct models by way of their trees', async (t) => {
    const scene = await openScene(t, {
      config: { direct_models: true },
      quotas: [{ limit: 1, of: 'requests', per: 'minute', models: ['m'] }],
    });
    for (let i = 0; i < 2; i++) assert.equal((await scene.ask({ model: 'a/up' })).status, 200);
    assert.equal((await scene.quota()).used, 0);
  });
});

describe('all quotas of a request', () => {
  it('are taken together or not at all, whichever of them refuses', async (t) => {
    const quotas = [
      { limit: 100, of: 'requests', per: 'minute' },
      { limit: 5000, of: 'tokens', per: 'hour' },
      { limit: 5000, of: 'output_tokens', per: 'day' },
      { limit: 2, of: 'concurrent' },
    ];
    const scene = await openScene(t, {
      quotas,
      keys: { ci: [{ limit: 1, of: 'requests', per: 'second' }] },
    });
    assert.equal((await scene.ask(SHORT)).status, 200);
    const after = (await scene.usage()).quotas;
    assert.match(refused(await scene.ask(SHORT)), /per second for this key/);
    assert.deepEqual((await scene.usage()).quotas, after);
    scene.clock.advance(1100);
    assert.match(refused(await scene.ask({ max_tokens: 4999 })), /tokens per hour/);
    const figuresOf = (all: typeof after) => all.slice(0, 4).map(figures);
    const { quotas: now } = await scene.usage();
    assert.deepEqual(figuresOf(now), figuresOf(after));
    assert.equal(now[4]?.used, 0);
  });

  it('hold exactly under 200 requests that come at once', async (t) => {
    const each = PROMPT + ANSWER;
    const scene = await openScene(t, {
      quotas: [
        { limit: 100, of: 'requests', per: 'minute' },
        // Room for 60 and a bit.
        { limit: 60 * each + 7, of: 'tokens', per: 'hour' },
      ],
      keys: { ci: [{ limit: 41, of: 'requests', per: 'hour' }], laptop: [] },
    });
    const gate = new Gate();
    scene.upstream.reply(() => [pauseUntil(gate), chatAnswer()]);
    const all = Array.from({ length: 200 }, (_, i) => scene.ask(SHORT, i % 2 === 0 ? 'ci' : 'laptop'));
    await scene.lines(140);
    const { quotas } = await scene.usage();
    assert.equal(quotas[1]?.reserved, 60 * each);
    gate.open();
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 200).length, 60);
    assert.equal(statuses.filter((status) => status === 429).length, 140);
    assert.equal(scene.upstream.requests.length, 60);
    const [requests, tokens, own] = (await scene.usage()).quotas;
    assert.deepEqual(figures(requests as never), { used: 60, reserved: 0, remaining: 40 });
    assert.deepEqual(figures(tokens as never), { used: 60 * each, reserved: 0, remaining: 7 });
    assert.ok(own !== undefined && own.used <= 41, String(own?.used));
  });

  it('admit as many as fit of 200 that come at once, not one more and not one less', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 100, of: 'requests', per: 'minute' }] });
    const statuses = (await Promise.all(Array.from({ length: 200 }, () => scene.ask()))).map((s) => s.status);
    assert.equal(statuses.filter((status) => status === 200).length, 100);
    assert.equal((await scene.quota()).used, 100);
  });

  it('are nothing to a tenant that has none', async (t) => {
    const scene = await openScene(t, {
      others: { free: [] },
      quotas: [{ limit: 0, of: 'tokens', per: 'day' }],
    });
    refused(await scene.ask());
    assert.equal((await scene.ask({ max_tokens: 1e6 }, 'free')).status, 200);
    assert.deepEqual((await scene.usage('free')).quotas, []);
  });

  it('count what was let in, and nothing that was wrong before it could be', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 10, of: 'requests', per: 'minute' }] });
    assert.equal((await scene.ask({ model: 'nothing' })).status, 404);
    assert.equal((await scene.ask({ messages: [] })).status, 400);
    assert.equal((await scene.ask({ stream: 'yes' })).status, 400);
    assert.equal((await scene.ask({}, 'nobody')).status, 401);
    await until(() => scene.gateway.requests.length === 4);
    assert.equal((await scene.quota()).used, 0);
  });

  it('leave an answer to its default length where the request names none', async (t) => {
    const scene = await openScene(t, {
      quotas: [{ limit: PROMPT + DEFAULT_OUTPUT, of: 'tokens', per: 'hour' }],
    });
    assert.equal((await scene.ask()).status, 200);
    refused(await scene.ask());
    assert.equal((await scene.ask({ max_tokens: 100 })).status, 200);
  });
});
