import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { formatReset } from '../../src/quota/headers.ts';
import { PacedClock, type Seen } from '../outcomes/helpers.ts';
import { apiError, chatAnswer, chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import { ANSWER, HOUR, headersOf, MINUTE, openScene, PROMPT, refused, SECOND } from './kit.ts';

const EACH = PROMPT + ANSWER;
const REQUESTS = { limit: 100, of: 'requests', per: 'minute' };
const TOKENS = { limit: 1_000_000, of: 'tokens', per: 'hour' };

/** `x-ratelimit-*` of an answer. */
function rates(seen: Pick<Seen, 'headers'>): Record<string, string> {
  return headersOf(seen, 'x-ratelimit-');
}

describe('x-ratelimit headers', () => {
  it('are on a plain answer, with what it turned out to take', async (t) => {
    const scene = await openScene(t, { quotas: [REQUESTS, TOKENS] });
    await scene.ask();
    assert.deepEqual(rates(await scene.ask()), {
      'limit-requests': '100',
      'remaining-requests': '98',
      'reset-requests': '1m3s',
      'limit-tokens': '1000000',
      'remaining-tokens': String(1_000_000 - 2 * EACH),
      'reset-tokens': '1h3m0s',
    });
  });

  it('are on a stream, with all that it may take', async (t) => {
    const scene = await openScene(t, { quotas: [REQUESTS, TOKENS] });
    await scene.ask();
    const reader = await scene.stream({ max_tokens: 500 });
    assert.deepEqual(rates(reader.response), {
      'limit-requests': '100',
      'remaining-requests': '98',
      'reset-requests': '1m3s',
      'limit-tokens': '1000000',
      'remaining-tokens': String(1_000_000 - EACH - PROMPT - 500),
      'reset-tokens': '1h3m0s',
    });
    await reader.rest();
  });

  it('are on a refusal, with what was left', async (t) => {
    const scene = await openScene(t, { quotas: [REQUESTS, { ...TOKENS, limit: 5000 }] });
    await scene.ask();
    const seen = await scene.ask({ max_tokens: 4989 });
    refused(seen);
    assert.deepEqual(rates(seen), {
      'limit-requests': '100',
      'remaining-requests': '99',
      'reset-requests': '1m3s',
      'limit-tokens': '5000',
      'remaining-tokens': String(5000 - EACH),
      'reset-tokens': '1h3m0s',
    });
  });

  for (const [upstream, status] of [
    [500, 502],
    [503, 503],
    [429, 429],
    [400, 400],
    [401, 502],
  ] as const) {
    it(`are on a failure (${upstream} upstream): the request counts, its tokens do not`, async (t) => {
      const scene = await openScene(t, { quotas: [REQUESTS, TOKENS] });
      scene.upstream.enqueue(apiError(upstream));
      const seen = await scene.ask();
      assert.equal(seen.status, status);
      assert.deepEqual(rates(seen), {
        'limit-requests': '100',
        'remaining-requests': '99',
        'reset-requests': '1m3s',
        'limit-tokens': '1000000',
        'remaining-tokens': '1000000',
        'reset-tokens': '0s',
      });
    });
  }

  it('are on a failure of several tries once, and never those of the upstream', async (t) => {
    const scene = await openScene(t, {
      clock: new PacedClock(),
      quotas: [REQUESTS],
      config: { defaults: { retry: { attempts: 2, backoff: { base: '1s', jitter: 'none' } } } },
    });
    const headers = { 'x-ratelimit-limit-tokens': '7', 'x-ratelimit-remaining-requests': '7' };
    scene.upstream.reply(() => apiError(500, {}, headers));
    const failed = await scene.ask();
    assert.equal(failed.status, 502);
    assert.deepEqual(Object.keys(rates(failed)).sort(), [
      'limit-requests',
      'remaining-requests',
      'reset-requests',
    ]);
    assert.equal(rates(failed)['remaining-requests'], '99');
    scene.upstream.reply(() => chatAnswer({ headers }));
    assert.equal(rates(await scene.ask())['remaining-requests'], '98');
  });

  it('stand not where there is no quota of the kind', async (t) => {
    const scene = await openScene(t, {
      quotas: [
        { limit: 10, of: 'concurrent' },
        { limit: 1, of: 'usd', per: 'day' },
        { limit: 10_000, of: 'output_tokens', per: 'day' },
        { limit: 10_000, of: 'input_tokens', per: 'day' },
      ],
      others: { free: [] },
    });
    for (const key of ['ci', 'free']) {
      assert.deepEqual(rates(await scene.ask({}, key)), {});
      assert.deepEqual(rates((await scene.stream({}, key)).response), {});
    }
  });

  it('stand not where the quota is for other models', async (t) => {
    const scene = await openScene(t, {
      models: { smart: { provider: 'a', model: 'up' } },
      quotas: [{ ...REQUESTS, models: ['smart'] }],
    });
    assert.deepEqual(rates(await scene.ask()), {});
    assert.equal(rates(await scene.ask({ model: 'smart' }))['remaining-requests'], '99');
  });

  it('tell of the quota of their kind with the least left, whosever it is', async (t) => {
    const scene = await openScene(t, {
      quotas: [
        { limit: 100, of: 'requests', per: 'minute' },
        { limit: 1000, of: 'requests', per: 'day' },
        { limit: 50_000, of: 'tokens', per: 'hour' },
      ],
      keys: {
        ci: [
          { limit: 20, of: 'requests', per: 'hour' },
          { limit: 10_000, of: 'tokens', per: 'minute' },
        ],
        laptop: [],
      },
    });
    const own = rates(await scene.ask());
    assert.deepEqual([own['limit-requests'], own['remaining-requests']], ['20', '19']);
    assert.deepEqual([own['limit-tokens'], own['reset-tokens']], ['10000', '1m3s']);
    const others = rates(await scene.ask({}, 'laptop'));
    assert.deepEqual([others['limit-requests'], others['remaining-requests']], ['100', '98']);
    assert.equal(others['remaining-tokens'], String(50_000 - 2 * EACH));
  });

  it('never say less than nothing, after an answer that was longer than it might', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 50, of: 'tokens', per: 'hour' }] });
    scene.upstream.enqueue(
      chatAnswer({ usage: { prompt_tokens: 100, completion_tokens: 100 } }),
      chatAnswer(),
    );
    assert.equal(rates(await scene.ask({ max_tokens: 10 }))['remaining-tokens'], '0');
  });

  it('tell how it is when they are sent, not when the request came', async (t) => {
    const scene = await openScene(t, {
      quotas: [
        { limit: 10, of: 'requests', per: 'minute' },
        { limit: 5000, of: 'tokens', per: 'second' },
      ],
    });
    const gate = new Gate();
    scene.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
    const slow = scene.ask();
    await gate.reached();
    scene.clock.advance(20 * SECOND);
    gate.open();
    assert.deepEqual(rates(await slow), {
      'limit-requests': '10',
      'remaining-requests': '9',
      'reset-requests': '43s',
      // Of tokens per second, all are back.
      'limit-tokens': '5000',
      'remaining-tokens': '5000',
      'reset-tokens': '0s',
    });
  });

  it('hold for a stream that broke as for one that did not', async (t) => {
    const scene = await openScene(t, { quotas: [REQUESTS] });
    scene.upstream.enqueue(chatStream({ content: ['Hel'], finish: null, done: false }));
    const reader = await scene.stream();
    assert.match(await reader.rest(), /stream_interrupted/);
    assert.equal(rates(reader.response)['remaining-requests'], '99');
  });
});

describe('a duration in these headers', () => {
  const CASES: readonly [ms: number, text: string][] = [
    [0, '0s'],
    [0.2, '1ms'],
    [12, '12ms'],
    [999, '999ms'],
    [999.5, '1s'],
    [1000, '1s'],
    [1001, '2s'],
    [59_000, '59s'],
    [59_001, '1m0s'],
    [6 * MINUTE, '6m0s'],
    [HOUR, '1h0m0s'],
    [HOUR + 2 * MINUTE + 3 * SECOND, '1h2m3s'],
    [744 * HOUR, '744h0m0s'],
  ];
  for (const [ms, text] of CASES) {
    it(`of ${ms} ms is ${text}`, () => {
      assert.equal(formatReset(ms), text);
    });
  }
});
