import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI, { RateLimitError } from 'openai';
import { keyOf, openScene, type Scene } from './kit.ts';

const HELLO = { model: 'm', messages: [{ role: 'user' as const, content: 'hello' }] };

interface Client {
  openai: OpenAI;
  /** When each call was sent, on the real clock; `x-stainless-retry-count` of it beside. */
  calls: { at: number; retry: string | null }[];
}

/**
 * The official SDK as an application sets it up, its retries included. `before` runs before each call that is not the first, `answered` when one has
 * been answered.
 */
function sdk(scene: Scene, before: () => void = () => {}, answered: () => void = () => {}): Client {
  const calls: Client['calls'] = [];
  const openai = new OpenAI({
    baseURL: scene.gateway.url,
    apiKey: keyOf('ci'),
    fetch: async (url, init) => {
      if (calls.length > 0) before();
      calls.push({
        at: performance.now(),
        retry: new Headers(init?.headers as Record<string, string>).get('x-stainless-retry-count'),
      });
      const response = await fetch(url, init);
      answered();
      return response;
    },
  });
  return { openai, calls };
}

async function rateLimitError(call: Promise<unknown>): Promise<RateLimitError> {
  const error = await call.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof RateLimitError, String(error));
  return error;
}

describe('the official SDK', () => {
  it('waits for as long as a refusal says, and then has its answer', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1, of: 'requests', per: 'second' }] });
    await scene.ask();
    // Timers fire in the order in which they are due, however busy the machine is.
    let tooLate = false;
    const { openai, calls } = sdk(
      scene,
      () => scene.clock.advance(1250),
      () => {
        const timer = setTimeout(() => {
          tooLate = calls.length === 1;
        }, 1500);
        t.after(() => clearTimeout(timer));
      },
    );
    const { id } = await openai.chat.completions.create(HELLO);
    assert.ok(id);
    assert.deepEqual(
      calls.map(({ retry }) => retry),
      ['0', '1'],
    );
    // 1,050 ms were asked for. By itself it would wait for 375 to 500, and by the whole seconds beside for two.
    const waited = (calls[1]?.at ?? 0) - (calls[0]?.at ?? 0);
    assert.ok(waited >= 1040 && !tooLate, `waited for ${waited} ms`);
  });

  const FINAL: Record<string, [quota: object, expected: [code: string, type: string]]> = {
    'a budget is used up': [
      { limit: 0.0003, of: 'usd', per: 'minute' },
      ['insufficient_quota', 'insufficient_quota'],
    ],
    'the day is used up': [
      { limit: 1, of: 'requests', per: 'day' },
      ['insufficient_quota', 'insufficient_quota'],
    ],
    'the wait is longer than a minute': [
      { limit: 1, of: 'requests', per: 'hour' },
      ['rate_limit_exceeded', 'requests'],
    ],
    'it could never fit': [
      { limit: 5, of: 'input_tokens', per: 'minute' },
      ['rate_limit_exceeded', 'tokens'],
    ],
  };
  for (const [name, [quota, expected]] of Object.entries(FINAL)) {
    it(`throws RateLimitError at once where ${name}`, async (t) => {
      const scene = await openScene(t, { quotas: [quota] });
      const body = { ...HELLO, max_tokens: 20 };
      await scene.ask(body);
      const { openai, calls } = sdk(scene);
      const error = await rateLimitError(openai.chat.completions.create(body));
      assert.equal(calls.length, 1);
      assert.deepEqual([error.status, error.code, error.type], [429, ...expected]);
      assert.match(error.message, /quota/i);
      assert.match(error.requestID ?? '', /./);
      assert.match(error.headers.get('x-should-retry') ?? '', /^false$/);
    });
  }

  it('throws RateLimitError for a stream as for a plain answer', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1, of: 'requests', per: 'day' }] });
    const { openai, calls } = sdk(scene);
    const stream = await openai.chat.completions.create({ ...HELLO, stream: true });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    assert.equal(text, 'Hello from upstream.');
    await rateLimitError(openai.chat.completions.create({ ...HELLO, stream: true }));
    assert.equal(calls.length, 2);
  });

  it('sees how much is left, and what it cost', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 100, of: 'requests', per: 'minute' }] });
    const { openai } = sdk(scene);
    const { response } = await openai.chat.completions.create(HELLO).withResponse();
    assert.equal(response.headers.get('x-ratelimit-remaining-requests'), '99');
    assert.equal(response.headers.get('x-spillway-cost'), '0.000159');
    const stream = await openai.chat.completions.create({
      ...HELLO,
      stream: true,
      stream_options: { include_usage: true },
    });
    let usage: object | null | undefined;
    for await (const chunk of stream) usage = chunk.usage ?? usage;
    assert.deepEqual(usage, {
      prompt_tokens: 9,
      completion_tokens: 12,
      total_tokens: 21,
      cost: 0.000159,
    });
  });
});
