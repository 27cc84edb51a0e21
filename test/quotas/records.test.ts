import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { readExposition } from '../support/exposition.ts';
import { apiError, chatAnswer, chatStream, Gate, pauseUntil, reset } from '../support/upstream.ts';
import { ANSWER, figures, keyOf, openScene, PROMPT, refused, SECOND } from './kit.ts';

const EACH = PROMPT + ANSWER;

describe('a refused request', () => {
  it('has a line in the log with who asked for what, and no cost', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 0, of: 'requests', per: 'day' }] });
    const seen = await scene.ask({ stream: true });
    const line = await scene.line(1);
    const { ms, gateway_ms, time, id, ...rest } = line as typeof line & { time: number };
    assert.equal(id, seen.headers.get('x-request-id'));
    assert.ok(ms >= 0 && gateway_ms >= 0 && time > 0);
    assert.deepEqual(rest, {
      level: 30,
      msg: 'request',
      tenant: 'acme',
      key: 'ci',
      model: 'm',
      target: null,
      status: 429,
      outcome: 'refused',
      stream: true,
      tries: [],
      first_token_ms: null,
      tokens: null,
      cost_usd: null,
      error: 'insufficient_quota',
      quota: 'tenant/requests/day',
    });
  });

  it('is counted by tenant and quota, and among all requests', async (t) => {
    const scene = await openScene(t, {
      models: { smart: { provider: 'a', model: 'up' } },
      config: { aliases: { clever: 'smart' } },
      quotas: [
        { limit: 1, of: 'requests', per: 'minute' },
        { limit: 0, of: 'concurrent', models: ['smart'] },
      ],
      keys: { ci: [], laptop: [{ limit: 10, of: 'tokens', per: 'day' }] },
    });
    await scene.ask();
    for (let i = 0; i < 3; i++) refused(await scene.ask());
    refused(await scene.ask({ model: 'clever' }));
    refused(await scene.ask({}, 'laptop'));
    const { metrics, problems } = readExposition(await scene.gateway.metrics());
    assert.deepEqual(problems, []);
    const refusals = metrics.get('spillway_quota_refusals_total')?.series ?? [];
    assert.deepEqual(refusals.map(({ labels, value }) => [labels['tenant'], labels['quota'], value]).sort(), [
      ['acme', 'key/tokens/day', 1],
      ['acme', 'tenant/concurrent', 1],
      ['acme', 'tenant/requests/minute', 3],
    ]);
    const all = metrics.get('spillway_requests_total')?.series ?? [];
    assert.deepEqual(all.map(({ labels, value }) => [labels['model'], labels['status'], value]).sort(), [
      ['clever', '429', 1],
      ['m', '200', 1],
      ['m', '429', 4],
    ]);
  });

  it('is in no ledger, and reaches no upstream', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1, of: 'requests', per: 'day' }] });
    await scene.ask();
    refused(await scene.ask());
    assert.equal(scene.upstream.requests.length, 1);
    const [row, ...more] = await scene.ledger();
    assert.deepEqual([row?.requests, row?.tries, more.length], [1, 1, 0]);
  });

  it('tells nothing of keys, to the client, in the log or in the metrics', async (t) => {
    const scene = await openScene(t, {
      quotas: [{ limit: 1, of: 'requests', per: 'day' }],
      keys: { ci: [{ limit: 1, of: 'usd', per: 'day' }], laptop: [] },
    });
    const said = [await scene.ask(), await scene.ask(), await scene.ask({}, 'laptop')].map(
      ({ text, headers }) => text + JSON.stringify([...headers]),
    );
    said.push(JSON.stringify(await scene.usage()), JSON.stringify(scene.gateway.logs));
    said.push(JSON.stringify(await scene.lines(3)), await scene.gateway.metrics());
    said.push(JSON.stringify(await scene.ledger()));
    for (const id of ['ci', 'laptop']) {
      const hash = createHash('sha256').update(keyOf(id)).digest('hex');
      for (const text of said) {
        assert.ok(!text.includes(keyOf(id)) && !text.includes(hash), text);
      }
    }
  });
});

describe('the ledger', () => {
  it('has each request once, by key, model and target, and each try', async (t) => {
    const targets = [
      { provider: 'a', model: 'up' },
      { provider: 'b', model: 'up-dear' },
    ];
    const scene = await openScene(t, {
      models: { both: { strategy: { mode: 'fallback' }, targets } },
      config: { aliases: { alias: 'm' } },
      keys: { ci: [], laptop: [] },
      others: { free: [] },
    });
    await scene.ask();
    await scene.ask({ model: 'alias' }, 'laptop');
    await scene.ask({}, 'free');
    scene.upstream.enqueue(apiError(500));
    await scene.ask({ model: 'both' });
    scene.upstream.enqueue(apiError(500));
    scene.second.enqueue(apiError(500));
    await scene.ask({ model: 'both' });
    scene.upstream.enqueue(apiError(400));
    await scene.ask({ model: 'both' });
    const rows = (await scene.ledger()).map((row) =>
      [row.tenant, row.key, row.model, row.target, row.requests, row.tries, row.output_tokens].join(' '),
    );
    assert.deepEqual(rows, [
      `acme ci both a/up 1 3 0`,
      `acme ci both b/up-dear 2 2 ${ANSWER}`,
      `acme ci m a/up 1 1 ${ANSWER}`,
      `acme laptop m a/up 1 1 ${ANSWER}`,
      `free only m a/up 1 1 ${ANSWER}`,
    ]);
  });

  it('says the same as the lines of the log', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1e6, of: 'tokens', per: 'day' }] });
    const gate = new Gate();
    await scene.ask();
    await scene.streamed();
    scene.upstream.enqueue(chatStream({ content: ['abcdefgh', reset()] }));
    await scene.streamed();
    scene.upstream.enqueue(chatAnswer({ usage: null }), apiError(503), pauseUntil(gate));
    await scene.ask();
    await scene.ask();
    const leaving = scene.leaving();
    await gate.reached();
    await leaving.leave();
    const lines = await scene.lines(6);
    const sum = (of: (line: (typeof lines)[number]) => number) =>
      lines.reduce((total, line) => total + of(line), 0);
    const [row, ...more] = await scene.ledger();
    assert.equal(more.length, 0);
    assert.deepEqual(
      [row?.requests, row?.tries, row?.input_tokens, row?.output_tokens, row?.cost_usd.toFixed(9)],
      [
        6,
        sum(({ tries }) => tries.length),
        sum(({ tokens }) => tokens?.input ?? 0),
        sum(({ tokens }) => tokens?.output ?? 0),
        sum(({ cost_usd }) => cost_usd ?? 0).toFixed(9),
      ],
    );
    assert.equal((await scene.quota()).used, (row?.input_tokens ?? 0) + (row?.output_tokens ?? 0));
    await scene.nothingReserved();
  });
});

describe('a reload', () => {
  const limit = (max: number, of = 'requests', per = 'hour') => [{ limit: max, of, per }];

  it('keeps what was used, under a limit that is lower or higher now', async (t) => {
    const scene = await openScene(t, { quotas: limit(5) });
    for (let i = 0; i < 3; i++) await scene.ask();
    await scene.reload({ quotas: limit(2) });
    assert.deepEqual(figures(await scene.quota()), { used: 3, reserved: 0, remaining: 0 });
    assert.match(refused(await scene.ask()), /2 requests per hour .* Left: 0 \(taken: 3\)/);
    await scene.reload({ quotas: limit(4) });
    assert.equal((await scene.ask()).status, 200);
    refused(await scene.ask());
    await scene.reload({ quotas: limit(100) });
    assert.deepEqual(figures(await scene.quota()), { used: 4, reserved: 0, remaining: 96 });
  });

  it('keeps what was used of quotas that stand elsewhere in the file now', async (t) => {
    const models = { smart: { provider: 'a', model: 'up' } };
    const requests = { limit: 10, of: 'requests', per: 'hour', models: ['smart', 'm'] };
    const tokens = { limit: 50_000, of: 'tokens', per: 'day' };
    const scene = await openScene(t, { models, quotas: [requests, tokens] });
    await scene.ask();
    const turned = { ...requests, models: ['m', 'smart'] };
    await scene.reload({ quotas: [{ limit: 3, of: 'concurrent' }, tokens, turned] });
    const { quotas } = await scene.usage();
    assert.deepEqual(
      quotas.map(({ used }) => used),
      [0, EACH, 1],
    );
  });

  it('does not let go of what requests under way hold, nor settle it twice', async (t) => {
    const quotas = [
      { limit: 10_000, of: 'tokens', per: 'day' },
      { limit: 5, of: 'concurrent' },
    ];
    const scene = await openScene(t, { quotas });
    const gate = new Gate();
    scene.upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const reader = await scene.stream({ max_tokens: 100 });
    await reader.until('Hel');
    await scene.reload({
      quotas: [
        { limit: 50, of: 'tokens', per: 'day' },
        { limit: 1, of: 'concurrent' },
      ],
    });
    const during = (await scene.usage()).quotas.map(figures);
    assert.deepEqual(during, [
      { used: 0, reserved: 109, remaining: 0 },
      { used: 0, reserved: 1, remaining: 0 },
    ]);
    refused(await scene.ask({ max_tokens: 1 }));
    gate.open();
    await reader.rest();
    assert.deepEqual((await scene.usage()).quotas.map(figures), [
      { used: EACH, reserved: 0, remaining: 50 - EACH },
      { used: 0, reserved: 0, remaining: 1 },
    ]);
  });

  it('holds requests to quotas that are new, and to those that are gone no more', async (t) => {
    const scene = await openScene(t, { quotas: limit(1) });
    await scene.ask();
    await scene.reload({ quotas: [], keys: { ci: limit(2) } });
    for (let i = 0; i < 2; i++) assert.equal((await scene.ask()).status, 200);
    assert.match(refused(await scene.ask()), /2 requests per hour for this key/);
    await scene.reload({ quotas: [], keys: { ci: [] } });
    for (let i = 0; i < 3; i++) assert.equal((await scene.ask()).status, 200);
  });

  it('changes prices for what comes, not for what is under way', async (t) => {
    const scene = await openScene(t, { quotas: limit(1, 'usd', 'day') });
    const gate = new Gate();
    scene.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
    const early = scene.ask({ max_tokens: 12 });
    await gate.reached();
    await scene.reload({ prices: { up: { in: 1000, out: 1000 } } });
    const late = scene.ask({ max_tokens: 12 });
    assert.equal((await late).headers.get('x-spillway-cost'), '0.021');
    gate.open();
    assert.equal((await early).headers.get('x-spillway-cost'), '0.000159');
    assert.equal((await scene.quota()).used, 0.021159);
    await scene.reload({ prices: {} });
    assert.equal((await scene.ask()).error?.code, 'model_not_priced');
  });

  it('that is faulty changes neither quotas nor prices', async (t) => {
    const scene = await openScene(t, { quotas: limit(1) });
    await scene.ask();
    await assert.rejects(scene.reload({ quotas: limit(-1), prices: { up: { in: 1000, out: 1000 } } }));
    refused(await scene.ask());
    scene.clock.advance(64 * 60 * SECOND);
    assert.equal((await scene.ask()).headers.get('x-spillway-cost'), '0.000159');
  });
});
