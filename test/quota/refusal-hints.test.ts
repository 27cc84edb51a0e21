import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { LimitSet } from '../../src/quota/limits.ts';
import { refusal } from '../../src/quota/refusal.ts';
import { limit, NOON } from './suite/kit.ts';

/** As some dialect calls it. */
const MAXIMUM = 'max_of_the_dialect';

/** The end of the message: what comes after the quota and its times. `taken` null: it could never fit. */
function hintOf(what: string, max: number, amount: number, taken: number | null, assumed: number | null) {
  const of = limit(what, max);
  const standing = {
    used: taken ?? 0,
    reserved: 0,
    roomIn: taken === null ? null : 30_000,
    resetsIn: 30_000,
  };
  const asked = { quotas: new LimitSet([of]), demands: [{ limit: of, amount }], standings: [standing] };
  const { error } = refusal(asked, { wall: NOON, assumed, maximum: MAXIMUM });
  const fact =
    taken === null
      ? /^(?:This request may take [^:]*: |The quota admits nothing: )[^.]*(?:\.\d[^.]*)?\./
      : /^Quota reached: .* There is room again in 30s, at 2026-11-22T12:00:30\.000Z\./;
  assert.match(error.message, fact);
  return error.message.replace(fact, '');
}

const ASSUMED = ' It names no maximum, so an answer of 4096 tokens is assumed: set max_of_the_dialect.';

describe('a refusal of a request that names no maximum', () => {
  for (const what of ['tokens/minute', 'output_tokens/minute', 'usd/minute']) {
    it(`says what was assumed, and what to set: ${what}`, () => {
      assert.equal(hintOf(what, 4000, 4105, null, 4096), ASSUMED);
      assert.equal(hintOf(what, 5000, 4105, 2000, 4096), ASSUMED);
    });
  }

  for (const what of ['requests/minute', 'concurrent']) {
    it(`does not where that is no matter: ${what}`, () => {
      assert.equal(hintOf(what, 0, 1, null, 4096), '');
      if (what !== 'concurrent') assert.equal(hintOf(what, 1, 1, 1, 4096), '');
    });
  }

  it('tells of the prompt alone where that alone is counted', () => {
    assert.equal(hintOf('input_tokens/minute', 5, 9, null, 4096), ' Shorten the prompt.');
    assert.equal(hintOf('input_tokens/minute', 9, 9, 9, 4096), '');
  });

  it('does not where nothing at all is admitted', () => {
    for (const what of ['tokens/minute', 'input_tokens/minute', 'output_tokens/minute', 'usd/minute']) {
      assert.equal(hintOf(what, 0, 4105, null, 4096), '');
    }
  });
});

describe('a refusal of a request that names its maximum', () => {
  const BOTH = ' Shorten the prompt, or ask for less with max_of_the_dialect.';
  for (const [what, hint] of [
    ['tokens/minute', BOTH],
    ['usd/minute', BOTH],
    ['input_tokens/minute', ' Shorten the prompt.'],
    ['output_tokens/minute', ' Ask for less with max_of_the_dialect.'],
  ] as const) {
    it(`says how it might fit, if it never does as it is: ${what}`, () => {
      assert.equal(hintOf(what, 10, 20, null, null), hint);
      assert.equal(hintOf(what, 100, 20, 90, null), '');
    });
  }
});
