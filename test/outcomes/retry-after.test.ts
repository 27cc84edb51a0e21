import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json } from '../../src/core/json.ts';
import { readRetryAfter, type WireHeaders } from '../../src/providers/retry-after.ts';

const NOW = Date.UTC(2026, 10, 22, 9);
const DAY = 24 * 60 * 60 * 1000;

const wait = (headers: WireHeaders, body?: Json) => readRetryAfter(headers, body, NOW);
const inGoogle = (...retryDelays: Json[]): Json => ({
  error: {
    code: 429,
    details: [
      { '@type': 'type.googleapis.com/google.rpc.QuotaFailure' },
      ...retryDelays.map((retryDelay) => ({
        '@type': 'type.googleapis.com/google.rpc.RetryInfo',
        retryDelay,
      })),
    ],
  },
});

function each(cases: [string, number | null][], read: (text: string) => number | null): void {
  for (const [text, expected] of cases) assert.equal(read(text), expected, JSON.stringify(text));
}

const NONSENSE = [
  '',
  ' ',
  'soon',
  'soon 5',
  'in 5 minutes',
  '-1',
  '-0.5',
  'NaN',
  'Infinity',
  '1e3',
  '0x10',
  '5 5',
  '1,5',
  '5s5',
];

describe('The wait that an upstream asks for', () => {
  it('is read from `retry-after` as seconds, with or without a fraction', () => {
    each(
      [
        ['0', 0],
        ['1', 1000],
        ['  7 ', 7000],
        ['1.5', 1500],
        ['0.2', 200],
        ['120', 120_000],
      ],
      (text) => wait({ 'retry-after': text }),
    );
  });

  it('is read from `retry-after` as a date, by the clock on the wall; a date that has passed is no wait', () => {
    each(
      [
        ['Sun, 22 Nov 2026 09:00:05 GMT', 5000],
        ['Sunday, 22-Nov-26 09:00:05 GMT', 5000],
        ['2026-11-22T09:01:00Z', 60_000],
        ['2026-11-22T10:01:00+01:00', 60_000],
        ['Sun, 22 Nov 2026 08:00:00 GMT', 0],
        ['Wed, 21 Oct 2015 07:28:00 GMT', 0],
        ['Sun, 32 Nov 2026 09:00:05 GMT', null],
      ],
      (text) => wait({ 'retry-after': text }),
    );
  });

  it('is read from `retry-after-ms`, which goes before all others', () => {
    each(
      [
        ['250', 250],
        ['12.5', 12.5],
        ['0', 0],
      ],
      (text) => wait({ 'retry-after-ms': text, 'retry-after': '9' }, inGoogle('8s')),
    );
  });

  it("is read from the body's retry delay, after the headers", () => {
    each(
      [
        ['34s', 34_000],
        ['34.5s', 34_500],
        ['0s', 0],
        ['1m5s', 65_000],
      ],
      (text) => wait({}, inGoogle(text)),
    );
    assert.equal(wait({ 'retry-after': '2' }, inGoogle('34s')), 2000);
  });

  it('is read from the reset of a limit that has nothing left, the longest of them', () => {
    const exhausted = { 'x-ratelimit-remaining-requests': '0', 'x-ratelimit-remaining-tokens': '0' };
    each(
      [
        ['12ms', 12],
        ['7.66s', 7660],
        ['6m0s', 360_000],
        ['1h2m3s', 3_723_000],
        ['2m59.56s', 179_560],
        ['20', 20_000],
        ['0', 0],
        ['2026-11-22T09:00:30Z', 30_000],
        [String(NOW / 1000 + 15), 15_000],
        [String(NOW + 15_000), 15_000],
        [String(NOW - 15_000), 0],
      ],
      (text) => wait({ ...exhausted, 'x-ratelimit-reset-requests': text }),
    );
    assert.equal(
      wait({ ...exhausted, 'x-ratelimit-reset-requests': '1s', 'x-ratelimit-reset-tokens': '6m0s' }),
      360_000,
    );
    assert.equal(wait({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '5' }), 5000);
  });

  it("is read from Anthropic's limits, each with a moment of its own", () => {
    for (const limit of ['requests', 'tokens', 'input-tokens', 'output-tokens']) {
      const headers = (remaining: string) => ({
        [`anthropic-ratelimit-${limit}-remaining`]: remaining,
        [`anthropic-ratelimit-${limit}-reset`]: '2026-11-22T09:00:30Z',
      });
      assert.equal(wait(headers('0')), 30_000, limit);
      assert.equal(wait(headers('1000')), null, limit);
      assert.equal(wait({ ...headers('0'), 'retry-after': '7' }), 7000, limit);
    }
  });

  it('is not the reset of a limit that has something left, or of which nothing is known', () => {
    assert.equal(wait({ 'x-ratelimit-remaining-requests': '3', 'x-ratelimit-reset-requests': '9s' }), null);
    assert.equal(wait({ 'x-ratelimit-reset-requests': '9s' }), null);
    assert.equal(
      wait({
        'x-ratelimit-remaining-requests': '13',
        'x-ratelimit-reset-requests': '24h0m0s',
        'x-ratelimit-remaining-tokens': '-1',
        'x-ratelimit-reset-tokens': '7.66s',
      }),
      7660,
    );
  });

  it('is never longer than a day', () => {
    const huge = '9'.repeat(400);
    assert.equal(wait({ 'retry-after': '99999999999' }), DAY);
    assert.equal(wait({ 'retry-after-ms': '1e99' }), null);
    assert.equal(wait({ 'retry-after-ms': '99999999999' }), DAY);
    assert.equal(wait({ 'retry-after': 'Tue, 22 Nov 2050 09:00:00 GMT' }), DAY);
    assert.equal(wait({}, inGoogle('99999999999s')), DAY);
    assert.equal(wait({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': '9'.repeat(20) }), DAY);
    assert.equal(wait({ 'retry-after': huge }), null, 'more than a number can hold is nonsense');
  });

  it('is nothing where no one said a word', () => {
    assert.equal(wait({}), null);
    for (const body of [
      null,
      1,
      'x',
      [],
      {},
      { error: null },
      { error: { details: {} } },
      { error: { details: [null, 1, 'x'] } },
    ]) {
      assert.equal(wait({}, body), null);
    }
  });

  it('is nothing where what was said makes no sense, and then the next place is asked', () => {
    for (const text of NONSENSE) {
      assert.equal(wait({ 'retry-after': text }), null, JSON.stringify(text));
      assert.equal(wait({ 'retry-after-ms': text }), null, JSON.stringify(text));
      assert.equal(wait({}, inGoogle(text)), null, JSON.stringify(text));
      assert.equal(
        wait({ 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': text }),
        null,
        JSON.stringify(text),
      );
      assert.equal(wait({ 'retry-after-ms': text, 'retry-after': '3' }), 3000, JSON.stringify(text));
      assert.equal(wait({ 'retry-after': text }, inGoogle('4s')), 4000, JSON.stringify(text));
    }
    assert.equal(wait({}, inGoogle(5, null, '6s')), 6000);
  });

  it('is the first of several headers of a name', () => {
    assert.equal(wait({ 'retry-after': ['3', '9'] }), 3000);
    assert.equal(wait({ 'retry-after': [] }), null);
  });
});
