import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../src/core/json.ts';
import { readUsage } from '../../src/providers/openai/chunk.ts';

test('usage has what was read from a cache and what was written to one, as parts of the prompt', () => {
  assert.deepEqual(
    readUsage({
      prompt_tokens: 100,
      completion_tokens: 50,
      total_tokens: 150,
      prompt_tokens_details: { cached_tokens: 60, cache_write_tokens: 30 },
      completion_tokens_details: { reasoning_tokens: 20 },
    }),
    { input: 100, output: 50, cached: 60, cacheWrite: 30, reasoning: 20 },
  );
  assert.deepEqual(readUsage({ prompt_tokens: 9, completion_tokens: 1, prompt_cache_hit_tokens: 8 }), {
    input: 9,
    output: 1,
    cached: 8,
    cacheWrite: 0,
    reasoning: 0,
  });
});

test('reasoning that a host counts beside the completion is part of the output all the same', () => {
  // As xAI reports it: the total is the sum of all three.
  const beside = readUsage({
    prompt_tokens: 10_120,
    completion_tokens: 1499,
    total_tokens: 14_428,
    prompt_tokens_details: { cached_tokens: 128 },
    completion_tokens_details: { reasoning_tokens: 2809 },
  });
  assert.deepEqual(beside, { input: 10_120, output: 4308, cached: 128, cacheWrite: 0, reasoning: 2809 });
  const within = {
    prompt_tokens: 500,
    completion_tokens: 500,
    completion_tokens_details: { reasoning_tokens: 200 },
  };
  assert.equal(readUsage({ ...within, total_tokens: 1000 }).output, 500);
  assert.equal(readUsage(within).output, 500);
});

test('what cannot be is not believed: parts are never more than their whole, and every number is a count', () => {
  const any = fc.oneof(
    fc.integer({ min: -5, max: 100 }),
    fc.double(),
    fc.constantFrom<JsonObject[string]>(null, 'many', true, {}, [], 1e300, 1.5, -1),
  );
  const details = fc.option(
    fc.dictionary(fc.constantFrom('cached_tokens', 'cache_write_tokens', 'reasoning_tokens'), any),
    { nil: undefined },
  );
  const reported = fc.record({
    prompt_tokens: any,
    completion_tokens: any,
    total_tokens: any,
    prompt_cache_hit_tokens: any,
    prompt_tokens_details: details,
    completion_tokens_details: details,
  });
  fc.assert(
    fc.property(reported, (usage) => {
      const { input, output, cached, cacheWrite, reasoning } = readUsage(usage as JsonObject);
      for (const count of [input, output, cached, cacheWrite, reasoning]) {
        assert.ok(Number.isSafeInteger(count) && count >= 0);
      }
      assert.ok(cached + cacheWrite <= input);
      assert.ok(reasoning <= output);
    }),
    { numRuns: 3000 },
  );
});
