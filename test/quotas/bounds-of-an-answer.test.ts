import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chatAnswer, Gate, pauseUntil } from '../support/upstream.ts';
import { figures, openScene, PROMPT, refused, took } from './kit.ts';

const TOKENS = { limit: 100_000, of: 'tokens', per: 'day' };

describe('a bound of the answer that is no number', () => {
  for (const name of ['max_tokens', 'max_completion_tokens', 'n']) {
    for (const value of ['5', '', true, false, [5], { value: 5 }]) {
      it(`is refused with its name, before anything is counted or sent: ${name} ${JSON.stringify(value)}`, async (t) => {
        const scene = await openScene(t, { quotas: [{ limit: 5, of: 'requests', per: 'day' }, TOKENS] });
        for (const stream of [false, true]) {
          const { status, error } = await scene.ask({ stream, [name]: value });
          assert.equal(status, 400);
          assert.deepEqual(
            [error?.type, error?.code, error?.param],
            ['invalid_request_error', 'invalid_value', name],
          );
          assert.equal(error?.message, `Invalid '${name}': expected a number.`);
        }
        assert.equal(scene.upstream.requests.length, 0);
        for (const { used, reserved } of (await scene.usage()).quotas)
          assert.deepEqual([used, reserved], [0, 0]);
        assert.deepEqual(await scene.ledger(), []);
        const line = (await scene.line(2)) as { error?: string; quota?: string };
        assert.deepEqual([line.error, line.quota], ['invalid_value', undefined]);
      });
    }

    it(`may be null, which is none: ${name}`, async (t) => {
      const scene = await openScene(t, { quotas: [TOKENS] });
      assert.equal((await scene.ask({ [name]: null })).status, 200);
    });

    it(`goes on to the upstream as it came, if it is a number: ${name}`, async (t) => {
      const scene = await openScene(t, { quotas: [TOKENS] });
      for (const value of [-1, 0, 1.5, 3]) {
        assert.equal((await scene.ask({ [name]: value })).status, 200);
        assert.equal(scene.upstream.requests.at(-1)?.json()[name], value);
      }
    });
  }
});

describe('two bounds of the answer', () => {
  it('are reserved by the higher one, whichever it is', async (t) => {
    for (const [max_tokens, max_completion_tokens] of [
      [400, 1],
      [1, 400],
    ]) {
      const scene = await openScene(t, { quotas: [TOKENS] });
      const gate = new Gate();
      scene.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
      const asked = scene.ask({ max_tokens, max_completion_tokens });
      await gate.reached();
      assert.equal((await scene.quota()).reserved, PROMPT + 400);
      gate.open();
      assert.equal((await asked).status, 200);
    }
  });

  it('are no way round a quota by naming a low one beside a high one', async (t) => {
    const scene = await openScene(t, { quotas: [{ ...TOKENS, limit: 100 }] });
    const message = refused(await scene.ask({ max_completion_tokens: 1, max_tokens: 1_000_000 }));
    assert.match(message, /^This request may take 1000009 tokens, which the quota never admits/);
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 0, remaining: 100 });
  });
});

describe('a bound that the configuration sets', () => {
  it('is reserved, and a client that names none is not told of another one', async (t) => {
    const scene = await openScene(t, {
      models: { short: { provider: 'a', model: 'up', override_params: { max_tokens: 50 } } },
      quotas: [{ ...TOKENS, limit: 20 }],
    });
    const message = refused(await scene.ask({ model: 'short' }));
    assert.match(message, /^This request may take 59 tokens/);
    assert.doesNotMatch(message, /assumed/);
    assert.match(refused(await scene.ask()), /an answer of 4096 tokens is assumed/);
  });
});

describe('what tenants teach the gateway', () => {
  it('refuses another tenant nothing beyond twice its own estimate, and nothing once it has had answers', async (t) => {
    const ESTIMATE = 7 + 101;
    const prompt = { messages: [{ role: 'user', content: 'x'.repeat(404) }], max_tokens: 1 };
    const scene = await openScene(t, {
      quotas: [{ limit: 1e9, of: 'tokens', per: 'day' }],
      others: { beta: [{ limit: 3 * ESTIMATE, of: 'tokens', per: 'day' }] },
    });
    for (let i = 0; i < 20; i++) {
      scene.upstream.enqueue(took(8 * ESTIMATE, 1));
      assert.equal((await scene.ask(prompt)).status, 200);
    }
    const gate = new Gate();
    scene.upstream.enqueue([pauseUntil(gate), took(ESTIMATE, 1)]);
    const first = scene.ask(prompt, 'beta');
    await gate.reached();
    const { reserved } = await scene.quota(0, 'beta');
    assert.ok(reserved > ESTIMATE && reserved <= 2 * ESTIMATE + 1, String(reserved));
    gate.open();
    assert.equal((await first).status, 200);
    assert.equal((await scene.quota(0, 'beta')).used, ESTIMATE + 1);
    // By its own experience now: what is left would not do for twice as much.
    scene.upstream.enqueue(took(ESTIMATE, 1));
    assert.equal((await scene.ask(prompt, 'beta')).status, 200);
  });
});
