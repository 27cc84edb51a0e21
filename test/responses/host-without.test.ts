import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import { apiError, chatAnswer, htmlPage } from '../support/upstream.ts';
import { relayed } from './kit.ts';

const nothingThere = () => apiError(404, { message: 'Not Found' });

describe('a host that says it is like OpenAI, and has no responses', () => {
  it('is asked for a chat at once, and for nothing else from then on', async (t) => {
    const { client, native, gateway } = await relayed(t);
    native.enqueue(nothingThere(), chatAnswer({ content: 'Hi' }), chatAnswer({ content: 'Hi again' }));
    for (const expected of ['Hi', 'Hi again']) {
      const answer = await client.responses.create({ model: 'native', input: 'Hello' });
      assert.equal(answer.output_text, expected);
    }
    assert.deepEqual(
      native.requests.map(({ path }) => path),
      ['/v1/responses', '/v1/chat/completions', '/v1/chat/completions'],
    );
    const [first, second] = await gateway.ended(2);
    assert.deepEqual([first?.tries.length, second?.tries.length], [2, 1]);
  });

  it('is told by a page as well', async (t) => {
    const { client, native } = await relayed(t);
    native.enqueue(htmlPage(404), chatAnswer({ content: 'Hi' }));
    const answer = await client.responses.create({ model: 'native', input: 'Hello' });
    assert.equal(answer.output_text, 'Hi');
  });

  it('is not one whose model is missing', async (t) => {
    const { client, native } = await relayed(t);
    native.enqueue(nothingThere(), nothingThere(), nothingThere(), nothingThere());
    for (let i = 0; i < 2; i++) {
      await assert.rejects(client.responses.create({ model: 'native', input: 'Hello' }), OpenAI.APIError);
    }
    assert.deepEqual(
      native.requests.map(({ path }) => path.split('/')[2]),
      ['responses', 'chat', 'responses', 'chat'],
    );
  });

  it('is asked in vain for what only responses can say', async (t) => {
    const { client, native } = await relayed(t);
    native.enqueue(nothingThere());
    await assert.rejects(
      client.responses.create({ model: 'native', input: 'Hello', previous_response_id: 'resp_1' }),
      (error) => error instanceof OpenAI.BadRequestError && error.param === 'previous_response_id',
    );
  });
});
