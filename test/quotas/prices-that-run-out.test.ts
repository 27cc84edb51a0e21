import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gate, pauseUntil } from '../support/upstream.ts';
import { openScene, PROMPT, refused, took } from './kit.ts';

const DOLLARS = { limit: 1, of: 'usd', per: 'day' };
const TOKENS = { limit: 100_000, of: 'tokens', per: 'day' };
/** Known of short prompts alone. */
const prices = { up: { in: 3, out: 11, up_to: 1000 } };
/** What a request of 50 tokens at most reserves. */
const RESERVED = (PROMPT * 3 + 50 * 11) / 1e6;

describe('an answer to a longer prompt than there is a price for', () => {
  it('takes of a quota in dollars what was reserved, though what it cost is unknown', async (t) => {
    const scene = await openScene(t, { prices, quotas: [DOLLARS] });
    const gate = new Gate();
    scene.upstream.enqueue([pauseUntil(gate), took(1001, 20)]);
    const asked = scene.ask({ max_tokens: 50 });
    await gate.reached();
    assert.equal((await scene.quota()).reserved, RESERVED);
    gate.open();
    const seen = await asked;
    assert.equal(seen.status, 200);
    assert.equal(seen.headers.get('x-spillway-cost'), 'unknown');
    const { used, reserved } = await scene.quota();
    assert.deepEqual([used, reserved], [RESERVED, 0]);
    assert.equal((await scene.line(1)).cost_usd, null);
    const [row] = await scene.ledger();
    assert.deepEqual([row?.cost_usd, row?.unpriced_requests], [0, 1]);
  });

  it('is no way to go on for nothing', async (t) => {
    const scene = await openScene(t, { prices, quotas: [{ ...DOLLARS, limit: 2 * RESERVED }] });
    let admitted = 0;
    for (; admitted < 3; admitted++) {
      scene.upstream.enqueue(took(1001, 20));
      const seen = await scene.ask({ max_tokens: 50 });
      if (seen.status === 200) continue;
      refused(seen);
      break;
    }
    assert.ok(admitted >= 1 && admitted <= 2, String(admitted));
  });

  it('takes it beside a quota in tokens, too', async (t) => {
    const scene = await openScene(t, { prices, quotas: [DOLLARS, TOKENS] });
    scene.upstream.enqueue(took(1001, 20));
    await scene.ask({ max_tokens: 50 });
    const { quotas } = await scene.usage();
    assert.deepEqual(
      quotas.map(({ used, reserved }) => [used, reserved]),
      [
        [RESERVED, 0],
        [1021, 0],
      ],
    );
  });

  it('takes nothing in dollars where its target never had a price, and tokens hold the tenant', async (t) => {
    const targets = [
      { provider: 'a', model: 'unpriced' },
      { provider: 'b', model: 'up' },
    ];
    const models = { m: { strategy: { mode: 'fallback' }, targets } };
    const scene = await openScene(t, { prices, models, quotas: [DOLLARS, TOKENS] });
    scene.upstream.enqueue(took(1001, 20));
    await scene.ask({ max_tokens: 50 });
    assert.deepEqual(
      (await scene.usage()).quotas.map(({ used }) => used),
      [0, 1021],
    );
  });

  it('takes what it cost where there is a price after all', async (t) => {
    const scene = await openScene(t, { prices, quotas: [DOLLARS] });
    scene.upstream.enqueue(took(1000, 20));
    await scene.ask({ max_tokens: 50 });
    assert.equal((await scene.quota()).used, (1000 * 3 + 20 * 11) / 1e6);
  });
});

describe('the ledger', () => {
  it('goes by the names under `models`, whatever alias was asked for', async (t) => {
    const scene = await openScene(t, {
      models: { smart: { provider: 'a', model: 'up' } },
      config: { aliases: { clever: 'smart', wise: 'smart' } },
    });
    for (const model of ['smart', 'clever', 'wise', 'm']) await scene.ask({ model });
    assert.deepEqual(
      (await scene.ledger()).map(({ model, requests }) => [model, requests]),
      [
        ['m', 1],
        ['smart', 3],
      ],
    );
  });
});

describe("a request's line in the log", () => {
  it('says why it was refused, and names the quota if one did that', async (t) => {
    const scene = await openScene(t, { keys: { ci: [{ limit: 1, of: 'requests', per: 'minute' }] } });
    await scene.ask();
    await scene.ask();
    await scene.ask({ model: 'nobody' });
    scene.upstream.enqueue(took(1, 1));
    const lines = (await scene.lines(3)) as unknown as Record<string, unknown>[];
    assert.deepEqual(
      lines.map((line) => [line['status'], line['error'], line['quota'], 'error' in line, 'quota' in line]),
      [
        [200, undefined, undefined, false, false],
        [429, 'rate_limit_exceeded', 'key/requests/minute', true, true],
        [404, 'model_not_found', undefined, true, false],
      ],
    );
  });
});
