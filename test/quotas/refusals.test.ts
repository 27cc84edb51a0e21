import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { errorIn } from '../server/helpers.ts';
import { chatAnswer, Gate, pauseUntil } from '../support/upstream.ts';
import {
  DAY,
  headersOf,
  MINUTE,
  openScene,
  PROMPT,
  refused,
  type Scene,
  SECOND,
  START,
  took,
} from './kit.ts';

/** Uses up quotas that one request of this size uses up, and has the next one refused. */
async function refusedSecond(scene: Scene, body: Record<string, unknown> = {}) {
  assert.equal((await scene.ask(body)).status, 200);
  scene.clock.advance(10 * SECOND);
  const seen = await scene.ask(body);
  const { type, code, message } = errorIn(seen.text);
  refused(seen);
  return {
    type,
    code,
    message,
    retry: headersOf(seen, 'retry-after'),
    shouldRetry: seen.headers.get('x-should-retry'),
  };
}

describe('a refusal', () => {
  interface Expected {
    quota: object;
    body?: object;
    type: string;
    code: string;
    shouldRetry: string | null;
    /** Milliseconds. */
    wait: number;
    message: RegExp;
  }
  const TOMORROW = DAY - (START % DAY) - 10 * SECOND;
  const NEXT_MONTH = Date.UTC(2026, 11, 1) - START - 10 * SECOND;
  const CASES: Record<string, Expected> = {
    'by requests per minute': {
      quota: { limit: 1, of: 'requests', per: 'minute' },
      type: 'requests',
      code: 'rate_limit_exceeded',
      shouldRetry: null,
      wait: 53 * SECOND,
      message:
        /^Quota reached: 1 request per minute for this tenant\. Left: 0 \(taken: 1\)\. There is room again in 53s, at 2026-11-22T09:31:03\.000Z\.$/,
    },
    'by tokens per minute': {
      quota: { limit: 40, of: 'tokens', per: 'minute' },
      body: { max_tokens: 30 },
      type: 'tokens',
      code: 'rate_limit_exceeded',
      shouldRetry: null,
      wait: 53 * SECOND,
      message:
        /^Quota reached: 40 tokens per minute for this tenant\. This request may take 39; left: 19 \(taken: 21\)\. There is room again in 53s, at /,
    },
    'by output tokens per hour': {
      quota: { limit: 40, of: 'output_tokens', per: 'hour' },
      body: { max_tokens: 30 },
      type: 'tokens',
      code: 'rate_limit_exceeded',
      shouldRetry: 'false',
      wait: 63 * MINUTE - 10 * SECOND,
      message: /^Quota reached: 40 output tokens per hour .* There is room again in 1h2m50s, at /,
    },
    'by input tokens per hour': {
      quota: { limit: PROMPT, of: 'input_tokens', per: 'hour' },
      type: 'tokens',
      code: 'rate_limit_exceeded',
      shouldRetry: 'false',
      wait: 63 * MINUTE - 10 * SECOND,
      message: /^Quota reached: 9 input tokens per hour for this tenant\. This request may take 9; left: 0 /,
    },
    'by dollars per minute': {
      quota: { limit: 0.0005, of: 'usd', per: 'minute' },
      body: { max_tokens: 40 },
      type: 'insufficient_quota',
      code: 'insufficient_quota',
      shouldRetry: 'false',
      wait: 53 * SECOND,
      message:
        /^Quota reached: 0\.0005 US dollars per minute for this tenant\. This request may take 0\.000476; left: 0\.000341 \(taken: 0\.000159\)\. /,
    },
    'by requests per day': {
      quota: { limit: 1, of: 'requests', per: 'day' },
      type: 'insufficient_quota',
      code: 'insufficient_quota',
      shouldRetry: 'false',
      wait: TOMORROW,
      message: /There is room again in 14h29m50s, at 2026-11-23T00:00:00\.000Z\.$/,
    },
    'by tokens per month': {
      quota: { limit: 40, of: 'tokens', per: 'month' },
      body: { max_tokens: 30 },
      type: 'insufficient_quota',
      code: 'insufficient_quota',
      shouldRetry: 'false',
      wait: NEXT_MONTH,
      message: /There is room again in 206h29m50s, at 2026-12-01T00:00:00\.000Z\.$/,
    },
  };
  for (const [name, { quota, body = {}, wait, ...expected }] of Object.entries(CASES)) {
    it(`${name} says what it is, and when there is room again`, async (t) => {
      const scene = await openScene(t, { quotas: [quota] });
      const { message, retry, ...found } = await refusedSecond(scene, body as Record<string, unknown>);
      const { message: words, ...rest } = expected;
      assert.deepEqual(found, rest);
      assert.deepEqual(retry, { '': String(Math.ceil(wait / 1000)), '-ms': String(wait) });
      assert.match(message, words);
    });
  }

  it('by concurrent says that a place may be free shortly', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1, of: 'concurrent' }] });
    const gate = new Gate();
    scene.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
    const first = scene.ask();
    await gate.reached();
    const seen = await scene.ask();
    const message = refused(seen);
    assert.equal(
      message,
      'Quota reached: 1 request at a time for this tenant. Try again when one of them has ended.',
    );
    const { type, code } = errorIn(seen.text);
    assert.deepEqual([type, code], ['requests', 'rate_limit_exceeded']);
    assert.deepEqual(headersOf(seen, 'retry-after'), { '': '1', '-ms': '1000' });
    assert.equal(seen.headers.get('x-should-retry'), null);
    gate.open();
    await first;
  });

  it('tells what is held by requests under way', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 100, of: 'tokens', per: 'minute' }] });
    await scene.ask({ max_tokens: 10 });
    const gate = new Gate();
    scene.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
    const first = scene.ask({ max_tokens: 41 });
    await gate.reached();
    const message = refused(await scene.ask({ max_tokens: 41 }));
    assert.match(
      message,
      /This request may take 50; left: 29 \(taken: 71, of which 50 are held by requests under way\)\./,
    );
    gate.open();
    await first;
  });

  it('tells a client that names no maximum what that leads to', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 5000, of: 'tokens', per: 'minute' }] });
    scene.upstream.enqueue(took(9, 1000));
    await scene.ask();
    assert.match(
      refused(await scene.ask()),
      /, so an answer of 4096 tokens is assumed: set max_completion_tokens\.$/,
    );
    assert.doesNotMatch(refused(await scene.ask({ max_tokens: 4096 })), /assumed/);
    assert.equal((await scene.ask({ max_tokens: 3900 })).status, 200);
  });

  it('tells of the quota that takes longest to have room, of those that refuse', async (t) => {
    const scene = await openScene(t, {
      quotas: [
        { limit: 1, of: 'requests', per: 'minute' },
        { limit: 1, of: 'requests', per: 'hour' },
        { limit: 9, of: 'requests', per: 'day' },
      ],
      keys: { ci: [{ limit: 1, of: 'requests', per: 'second' }] },
    });
    await scene.ask();
    const seen = await scene.ask();
    assert.match(refused(seen), /1 request per hour for this tenant/);
    assert.equal(seen.headers.get('retry-after-ms'), String(63 * MINUTE));
  });

  it('says retry-after of at least a whole second', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1, of: 'requests', per: 'second' }] });
    await scene.ask();
    scene.clock.advance(900);
    const seen = await scene.ask();
    refused(seen);
    assert.deepEqual(headersOf(seen, 'retry-after'), { '': '1', '-ms': '150' });
  });

  it('may be tried again by the SDK up to a wait of a minute, and not beyond', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1, of: 'requests', per: 'minute' }] });
    await scene.ask();
    const early = await scene.ask();
    assert.equal(early.headers.get('retry-after-ms'), '63000');
    assert.equal(early.headers.get('x-should-retry'), 'false');
    scene.clock.advance(3 * SECOND);
    const later = await scene.ask();
    assert.equal(later.headers.get('retry-after-ms'), '60000');
    assert.equal(later.headers.get('x-should-retry'), null);
  });
});

describe('a request that could never fit', () => {
  const CASES: Record<string, [quota: object, body: object, message: RegExp]> = {
    'of tokens': [
      { limit: 100, of: 'tokens', per: 'minute' },
      { max_tokens: 92 },
      /^This request may take 101 tokens, which the quota never admits: 100 tokens per minute for this tenant\. Shorten the prompt, or ask for less with max_completion_tokens\.$/,
    ],
    'by its default length': [
      { limit: 1000, of: 'output_tokens', per: 'hour' },
      {},
      /^This request may take 4096 output tokens, which the quota never admits: 1000 output tokens per hour for this tenant\. It names no maximum, so an answer of 4096 tokens is assumed: set max_completion_tokens\.$/,
    ],
    'of input tokens': [
      { limit: 5, of: 'input_tokens', per: 'hour' },
      {},
      /^This request may take 9 input tokens, which the quota never admits: 5 input tokens per hour for this tenant\. Shorten the prompt\.$/,
    ],
    'of output tokens': [
      { limit: 10, of: 'output_tokens', per: 'hour' },
      { max_completion_tokens: 11 },
      /^This request may take 11 output tokens, .*\. Ask for less with max_completion_tokens\.$/,
    ],
    'of dollars': [
      { limit: 0.00000001, of: 'usd', per: 'day' },
      { max_tokens: 1 },
      /^This request may take 0\.000047 US dollars, which the quota never admits: 0\.00000001 US dollars per day/,
    ],
    'of requests, where none is allowed': [
      { limit: 0, of: 'requests', per: 'day' },
      {},
      /^The quota admits nothing: 0 requests per day for this tenant\.$/,
    ],
    'of a place, where there is none': [
      { limit: 0, of: 'concurrent' },
      {},
      /^The quota admits nothing: 0 requests at a time for this tenant\.$/,
    ],
  };
  for (const [name, [quota, body, message]] of Object.entries(CASES)) {
    it(`says so, and that trying again is no use: ${name}`, async (t) => {
      const scene = await openScene(t, { quotas: [quota] });
      const seen = await scene.ask(body as Record<string, unknown>);
      assert.match(refused(seen), message);
      assert.equal(seen.headers.get('x-should-retry'), 'false');
      assert.deepEqual(headersOf(seen, 'retry-after'), {});
      assert.equal((await scene.quota()).used, 0);
    });
  }

  it('is told before quotas that merely have no room now', async (t) => {
    const scene = await openScene(t, {
      quotas: [
        { limit: 1, of: 'requests', per: 'month' },
        { limit: 100, of: 'tokens', per: 'second' },
      ],
    });
    await scene.ask({ max_tokens: 10 });
    assert.match(refused(await scene.ask({ max_tokens: 1000 })), /never admits: 100 tokens per second/);
  });

  it('is refused though nothing was taken yet, and fits where it asks for less', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 20, of: 'tokens', per: 'day' }] });
    assert.match(refused(await scene.ask({ max_tokens: 12 })), /never admits/);
    scene.upstream.enqueue(took(9, 2));
    assert.equal((await scene.ask({ max_tokens: 11 })).status, 200);
  });
});
