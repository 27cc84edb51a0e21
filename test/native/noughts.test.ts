import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startGateway } from '../support/gateway.ts';
import { plain, startUpstream, stream } from '../support/upstream.ts';

const REFUSAL = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-opus-5-5',
  content: [],
  stop_reason: 'refusal',
  stop_sequence: null,
  stop_details: { type: 'refusal', category: 'cyber', explanation: 'This is not something to help with.' },
  usage: { input_tokens: 1000, output_tokens: 0 },
};

const named = (type: string, event: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...event })}`;

describe('a provider that says that it wrote nothing', () => {
  for (const streaming of [false, true]) {
    it(`is believed, and nobody pays for our words about it${streaming ? ', in a stream' : ''}`, async (t) => {
      const upstream = await startUpstream();
      t.after(() => upstream.close());
      const gateway = await startGateway({
        providers: { a: { adapter: 'anthropic', base_url: upstream.url, api_key: 'sk-a' } },
        models: { m: { provider: 'a', model: 'claude-opus-5-5' } },
      });
      t.after(() => gateway.close());
      const { stop_reason, stop_details, usage, ...begun } = REFUSAL;
      upstream.enqueue(
        streaming
          ? stream(
              [
                named('message_start', { message: { ...begun, stop_reason: null, usage } }),
                named('message_delta', { delta: { stop_reason, stop_details, stop_sequence: null }, usage }),
                named('message_stop', {}),
              ],
              { done: false },
            )
          : plain({ json: REFUSAL }),
      );
      const answer = await gateway.chat({ stream: streaming, stream_options: { include_usage: true } });
      const text = await answer.text();
      assert.match(text, /This is not something to help with/);
      assert.match(text, /"completion_tokens":0/);
      const [line] = await gateway.ended(1);
      assert.deepEqual(line?.tokens, { input: 1000, output: 0, cached: 0, reasoning: 0 });
    });
  }

  it('is not where it is one of the hosts that report noughts for what they did not count', async (t) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const gateway = await startGateway({
      providers: { a: { adapter: 'vllm', base_url: upstream.url } },
      models: { m: { provider: 'a', model: 'up' } },
    });
    t.after(() => gateway.close());
    const message = { role: 'assistant', content: 'twelve characters or some more' };
    const usage = { prompt_tokens: 9, completion_tokens: 0, total_tokens: 9 };
    upstream.enqueue(plain({ json: { choices: [{ index: 0, message, finish_reason: 'stop' }], usage } }));
    await (await gateway.chat()).text();
    const [line] = await gateway.ended(1);
    assert.ok((line?.tokens?.output ?? 0) > 0 && line?.tokens?.estimated === true);
  });
});
