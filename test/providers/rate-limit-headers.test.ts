import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { readRateLimits } from '../../src/providers/rate-limit-headers.ts';

const NOW = Date.UTC(2026, 10, 22, 9);

describe('rate limits in headers', () => {
  it('are read from OpenAI, with durations as Go writes them', () => {
    const headers = {
      'x-ratelimit-limit-requests': '10000',
      'x-ratelimit-remaining-requests': '9999',
      'x-ratelimit-reset-requests': '6ms',
      'x-ratelimit-limit-tokens': '200000',
      'x-ratelimit-remaining-tokens': '50000',
      'x-ratelimit-reset-tokens': '1m30.5s',
    };
    assert.deepEqual(readRateLimits(headers, NOW), [
      { of: 'requests', limit: 10_000, remaining: 9999, resetMs: 6 },
      { of: 'tokens', limit: 200_000, remaining: 50_000, resetMs: 90_500 },
    ]);
  });

  it('are read from Azure, in plain seconds, and where it names no limit', () => {
    const headers = {
      'x-ratelimit-remaining-requests': '7',
      'x-ratelimit-limit-tokens': '1000',
      'x-ratelimit-remaining-tokens': '250',
      'x-ratelimit-reset-tokens': '12',
    };
    assert.deepEqual(readRateLimits(headers, NOW), [
      { of: 'requests', limit: null, remaining: 7, resetMs: null },
      { of: 'tokens', limit: 1000, remaining: 250, resetMs: 12_000 },
    ]);
  });

  it('are not there where Azure says -1, nor where a limit is 0', () => {
    const headers = {
      'x-ratelimit-limit-requests': '-1',
      'x-ratelimit-remaining-requests': '-1',
      'x-ratelimit-limit-tokens': '0',
      'x-ratelimit-remaining-tokens': '0',
      'x-ratelimit-reset-tokens': '-1',
    };
    assert.equal(readRateLimits(headers, NOW), null);
    assert.equal(
      readRateLimits({ 'x-ratelimit-limit-requests': '-1', 'x-ratelimit-remaining-requests': '5' }, NOW),
      null,
    );
  });

  it('are read from Anthropic, whose resets are dates', () => {
    const headers = {
      'anthropic-ratelimit-requests-limit': '4000',
      'anthropic-ratelimit-requests-remaining': '3999',
      'anthropic-ratelimit-requests-reset': '2026-11-22T09:00:00Z',
      'anthropic-ratelimit-tokens-limit': '480000',
      'anthropic-ratelimit-tokens-remaining': '400000',
      'anthropic-ratelimit-tokens-reset': '2026-11-22T09:00:10Z',
      'anthropic-ratelimit-input-tokens-limit': '400000',
      'anthropic-ratelimit-input-tokens-remaining': '380000',
      'anthropic-ratelimit-input-tokens-reset': '2026-11-22T09:00:03Z',
      'anthropic-ratelimit-output-tokens-limit': '80000',
      'anthropic-ratelimit-output-tokens-remaining': '20000',
      'anthropic-ratelimit-output-tokens-reset': '2026-11-22T09:00:45Z',
    };
    assert.deepEqual(readRateLimits(headers, NOW), [
      { of: 'requests', limit: 4000, remaining: 3999, resetMs: 0 },
      { of: 'tokens', limit: 480_000, remaining: 400_000, resetMs: 10_000 },
      { of: 'input-tokens', limit: 400_000, remaining: 380_000, resetMs: 3000 },
      { of: 'output-tokens', limit: 80_000, remaining: 20_000, resetMs: 45_000 },
    ]);
  });

  it('are read where they have no name: seconds, or a moment in milliseconds', () => {
    const limits = (reset: string) =>
      readRateLimits(
        { 'x-ratelimit-limit': '20', 'x-ratelimit-remaining': '5', 'x-ratelimit-reset': reset },
        NOW,
      );
    const wanted = (resetMs: number) => [{ of: 'all', limit: 20, remaining: 5, resetMs }];
    assert.deepEqual(limits('30'), wanted(30_000));
    assert.deepEqual(limits(String(NOW + 1500)), wanted(1500));
    assert.deepEqual(limits(String(NOW - 1500)), wanted(0));
  });

  it('never have more left than there is, and no reset that makes no sense', () => {
    const headers = {
      'x-ratelimit-limit-requests': '10',
      'x-ratelimit-remaining-requests': '50',
      'x-ratelimit-reset-requests': 'soon',
    };
    assert.deepEqual(readRateLimits(headers, NOW), [
      { of: 'requests', limit: 10, remaining: 10, resetMs: null },
    ]);
  });

  it('are not made of what is no number', () => {
    for (const remaining of ['', 'many', '1e9', '0x10', 'Infinity', 'NaN', '1'.repeat(400), '1,000', '5 6']) {
      assert.equal(
        readRateLimits(
          { 'x-ratelimit-limit-requests': '10', 'x-ratelimit-remaining-requests': remaining },
          NOW,
        ),
        null,
        remaining,
      );
    }
    assert.equal(
      readRateLimits({ 'x-ratelimit-limit-requests': 'ten', 'x-ratelimit-remaining-requests': '1' }, NOW),
      null,
    );
    assert.equal(readRateLimits({}, NOW), null);
  });

  it('are sound whatever is sent', () => {
    const text = fc.oneof(fc.string(), fc.integer().map(String), fc.double().map(String));
    fc.assert(
      fc.property(text, text, text, (limit, remaining, reset) => {
        const headers = {
          'x-ratelimit-limit-tokens': limit,
          'x-ratelimit-remaining-tokens': [remaining, '1'],
          'x-ratelimit-reset-tokens': reset,
        };
        for (const said of readRateLimits(headers, NOW) ?? []) {
          assert.ok(said.limit !== null && said.limit > 0 && Number.isFinite(said.limit));
          assert.ok(said.remaining >= 0 && said.remaining <= said.limit);
          assert.ok(said.resetMs === null || (said.resetMs >= 0 && said.resetMs <= 86_400_000));
        }
      }),
    );
  });
});
