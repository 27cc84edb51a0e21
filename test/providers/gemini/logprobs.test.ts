import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { plain, sse, streamed } from '../kit.ts';
import { choiceOf, json, prepare, whole } from './kit.ts';

describe('how likely tokens were', () => {
  const result = {
    chosenCandidates: [{ token: 'é', logProbability: -0.5 }],
    topCandidates: [
      {
        candidates: [
          { token: 'é', logProbability: -0.5 },
          { token: 'x', logProbability: -2 },
          { token: 5 as never },
        ],
      },
    ],
  };
  const expected = {
    content: [
      {
        token: 'é',
        logprob: -0.5,
        bytes: [0xc3, 0xa9],
        top_logprobs: [
          { token: 'é', logprob: -0.5, bytes: [0xc3, 0xa9] },
          { token: 'x', logprob: -2, bytes: [0x78] },
        ],
      },
    ],
    refusal: null,
  };
  const answer = json(whole([{ text: 'é' }], { finishReason: 'STOP', logprobsResult: result }));

  it('is told beside the text, whole and streamed', () => {
    const reading = plain(prepare({}), answer);
    assert.ok(reading.kind === 'answer');
    assert.deepEqual((reading.value['choices'] as JsonObject[])[0]?.['logprobs'], expected);
    const { chunks } = streamed(prepare({}), [sse([{ data: answer }])]);
    const told = chunks.flatMap((chunk) =>
      (chunk['choices'] as JsonObject[]).filter((one) => one['logprobs']),
    );
    assert.deepEqual(
      told.map(({ delta, logprobs }) => ({ delta, logprobs })),
      [{ delta: { content: 'é' }, logprobs: expected }],
    );
  });

  it('is left out where it makes no sense', () => {
    for (const logprobsResult of [5, {}, { chosenCandidates: [5, { token: 1 }] }]) {
      const odd = whole([{ text: 'x' }], { finishReason: 'STOP', logprobsResult: logprobsResult as never });
      assert.equal(choiceOf(odd)['logprobs'], null);
    }
  });
});
