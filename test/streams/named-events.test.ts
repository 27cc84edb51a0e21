import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { startGateway } from '../support/gateway.ts';
import { startUpstream, stream } from '../support/upstream.ts';

const event = (type: string, members: object) =>
  `event: ${type}\ndata: ${JSON.stringify({ type, ...members })}`;

const usage = { input_tokens: 5, output_tokens: 3 };
const BEGIN = event('message_start', {
  message: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'x',
    content: [],
    stop_reason: null,
    usage,
  },
});
const BLOCK = event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } });
const text = (piece: string) =>
  event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: piece } });
const END = [
  event('content_block_stop', { index: 0 }),
  event('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage }),
  event('message_stop', {}),
];

describe('a relayed stream of named events', () => {
  const asked = async (t: TestContext, events: string[]) => {
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const gateway = await startGateway({
      providers: { p: { adapter: 'anthropic', base_url: upstream.url, api_key: 'sk-a' } },
      models: { m: { provider: 'p', model: 'claude-opus-5-5' } },
    });
    t.after(() => gateway.close());
    upstream.enqueue(stream(events, { done: false }));
    const messages = [{ role: 'user', content: 'hi' }];
    const response = await fetch(`${gateway.url}/messages`, {
      method: 'POST',
      body: JSON.stringify({ model: 'm', max_tokens: 5, stream: true, messages }),
    });
    return response.text();
  };

  it('goes on without a damaged piece', async (t) => {
    const received = await asked(t, [
      BEGIN,
      BLOCK,
      text('Hel'),
      'event: content_block_delta\ndata: {"type":"content_bl',
      text('lo'),
      ...END,
    ]);
    assert.match(received, /"Hel"[\s\S]*"lo"[\s\S]*message_stop/);
    assert.doesNotMatch(received, /event: error/);
  });

  it('breaks where an event is damaged that others build on', async (t) => {
    const second = 'event: content_block_start\ndata: {"type":"content_block_st';
    const received = await asked(t, [BEGIN, BLOCK, text('Hel'), second, text('lo'), ...END]);
    assert.match(received, /"Hel"[\s\S]*event: error/);
    assert.doesNotMatch(received, /message_stop|"lo"/);
  });
});
