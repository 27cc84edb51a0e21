/** What the official SDKs make of an answer that was gone on with: the same as of one that did not break. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { anthropicSdk, ask, CLIENTS, openaiSdk } from '../native/clients.ts';
import { brokenAfter, restAfter, startPair, TOKENS, WHOLE, whole } from './kit.ts';

describe('the official SDKs', () => {
  for (const client of CLIENTS) {
    for (const how of ['again', 'prefill'] as const) {
      it(`have one answer, cut after each token: ${client}, ${how}`, async (t) => {
        const pair = await startPair(t, { targets: [{}, { prefill: how === 'prefill' }] });
        for (let count = 1; count <= TOKENS.length; count++) {
          pair.upstreams[0].enqueue(brokenAfter(count));
          const isGiven = how === 'prefill';
          // White space at the end of what is given is written again.
          const from = isGiven && TOKENS[count - 1]?.trim() === '' ? count - 1 : count;
          pair.upstreams[1].enqueue(isGiven ? restAfter(from) : whole());
          const heard = await ask(pair.gateway, client, 'm', true);
          assert.equal(heard.text, WHOLE);
          assert.equal(heard.stop, { chat: 'stop', messages: 'end_turn', responses: 'completed' }[client]);
          assert.equal(heard.usage.input + heard.usage.output, 29, `after ${count}`);
          if (!isGiven) assert.equal(heard.usage.output, 20);
        }
      });
    }
  }

  it('see the error where nobody goes on', async (t) => {
    const pair = await startPair(t, { targets: [{}] });
    const fail = () => pair.upstreams[0].enqueue(brokenAfter(3), brokenAfter(2));
    fail();
    const completion = openaiSdk(pair.gateway).chat.completions.stream({
      model: 'm',
      messages: [{ role: 'user', content: 'x' }],
    });
    await assert.rejects(completion.finalChatCompletion(), { code: 'stream_interrupted' });
    fail();
    const message = anthropicSdk(pair.gateway).messages.stream({
      model: 'm',
      max_tokens: 100,
      messages: [{ role: 'user', content: 'x' }],
    });
    let text = '';
    message.on('text', (piece) => {
      text += piece;
    });
    await assert.rejects(message.finalMessage(), /interrupted/);
    assert.equal(text, TOKENS.slice(0, 3).join(''));
  });
});
