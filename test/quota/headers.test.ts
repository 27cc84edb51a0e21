import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Asked, type Counted, leftAfter, rateLimitHeaders } from '../../src/quota/headers.ts';
import { LimitSet } from '../../src/quota/limits.ts';
import type { Standing } from '../../src/quota/store.ts';
import { limit } from './suite/kit.ts';

const TOKENS = limit('tokens/minute', 100);

function standing(changes: Partial<Standing>): Standing {
  return { used: 0, reserved: 0, roomIn: 0, resetsIn: 0, ...changes };
}

function asked(counted: readonly Counted[]): Asked {
  return {
    quotas: new LimitSet(counted.map(({ limit }) => limit)),
    demands: counted.map(({ limit }) => ({ limit, amount: 1 })),
    standings: counted.map(({ standing }) => standing),
  };
}

describe('what is left of a quota', () => {
  it('is what is neither used nor held, until all is back', () => {
    const taken = standing({ used: 30, reserved: 20, resetsIn: 1000 });
    assert.deepEqual(leftAfter(TOKENS, taken, 0), { remaining: 50, resetsIn: 1000 });
    assert.deepEqual(leftAfter(TOKENS, taken, 400), { remaining: 50, resetsIn: 600 });
    assert.deepEqual(leftAfter(TOKENS, taken, 999), { remaining: 50, resetsIn: 1 });
    assert.deepEqual(leftAfter(TOKENS, taken, 1000), { remaining: 100, resetsIn: 0 });
  });

  it('does not change by a clock that was set back', () => {
    const taken = standing({ used: 30, resetsIn: 1000 });
    assert.deepEqual(leftAfter(TOKENS, taken, -400), { remaining: 70, resetsIn: 1000 });
  });

  it('is all of it, and back at once, where nothing is taken', () => {
    // What the request itself held may have been given back since.
    const given = standing({ reserved: 0, resetsIn: 1000 });
    assert.deepEqual(leftAfter(TOKENS, given, 10), { remaining: 100, resetsIn: 0 });
  });

  it('is nothing where more was taken than there is', () => {
    const over = standing({ used: 130, resetsIn: 1000 });
    assert.equal(leftAfter(TOKENS, over, 10).remaining, 0);
  });

  it('stays as it is where time brings nothing back', () => {
    const held = standing({ reserved: 60, resetsIn: null });
    assert.deepEqual(leftAfter(TOKENS, held, 5000), { remaining: 40, resetsIn: 0 });
  });

  it('is of the share, where this process gives out only that', () => {
    const taken = standing({ used: 30, resetsIn: 1000, share: 50 });
    assert.deepEqual(leftAfter(TOKENS, taken, 10), { remaining: 20, resetsIn: 990 });
    assert.deepEqual(leftAfter(TOKENS, taken, 1000), { remaining: 50, resetsIn: 0 });
  });
});

describe('the headers of a refusal', () => {
  it('tell of the quota of their kind with the least left, the first of those with the same', () => {
    const counted = [
      { limit: limit('requests/minute', 10), standing: standing({ used: 4, resetsIn: 1000 }) },
      { limit: limit('requests/day', 7), standing: standing({ used: 2, resetsIn: 2000 }) },
      { limit: limit('requests/hour', 5), standing: standing({ resetsIn: 0 }) },
      { limit: limit('usd/day', 5), standing: standing({ used: 5, resetsIn: 3000 }) },
      { limit: limit('concurrent', 1), standing: standing({ reserved: 1, resetsIn: null }) },
    ];
    assert.deepEqual(rateLimitHeaders(asked(counted)), {
      'x-ratelimit-limit-requests': '7',
      'x-ratelimit-remaining-requests': '5',
      'x-ratelimit-reset-requests': '2s',
    });
    assert.equal(rateLimitHeaders(asked(counted.toReversed()))['x-ratelimit-limit-requests'], '5');
    assert.deepEqual(rateLimitHeaders(asked(counted.slice(3))), {});
  });
});
