import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { JsonObject } from '../../src/core/json.ts';
import { startGateway } from '../support/gateway.ts';
import { plain, startUpstream } from '../support/upstream.ts';

const CLAUDE = {
  id: 'msg_1',
  type: 'message',
  role: 'assistant',
  model: 'claude-opus-4-6',
  content: [{ type: 'text', text: 'Hi' }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 5, output_tokens: 1 },
};

async function open(t: TestContext, target: object) {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const gateway = await startGateway({
    providers: {
      a: { adapter: 'anthropic', base_url: upstream.url, api_key: 'sk-a' },
      o: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-o' },
    },
    models: { m: target },
  });
  t.after(() => gateway.close());
  return { upstream, gateway };
}

describe('a target that bounds its answers', () => {
  const limits = [
    ['max_tokens', 'max_completion_tokens'],
    ['max_completion_tokens', 'max_tokens'],
  ] as const;
  for (const [own, clients] of limits) {
    it(`by ${own} does so for clients that say ${clients}`, async (t) => {
      const override = { override_params: { [own]: 55 } };
      const claude = await open(t, { provider: 'a', model: 'claude-opus-4-6', ...override });
      claude.upstream.enqueue(plain({ json: CLAUDE }));
      await claude.gateway.chat({ [clients]: 5000 });
      assert.equal(claude.upstream.requests[0]?.json<JsonObject>()['max_tokens'], 55);

      const host = await open(t, { provider: 'o', model: 'some-model', ...override });
      await host.gateway.chat({ [clients]: 5000 });
      const sent = host.upstream.requests[0]?.json<JsonObject>() ?? {};
      assert.deepEqual([sent[own], sent[clients]], [55, undefined]);
    });
  }

  it('by both names is taken at its word', async (t) => {
    const override_params = { max_tokens: 5, max_completion_tokens: 6 };
    const { upstream, gateway } = await open(t, { provider: 'o', model: 'some-model', override_params });
    await gateway.chat({ max_tokens: 5000 });
    const sent = upstream.requests[0]?.json<JsonObject>() ?? {};
    assert.deepEqual([sent['max_tokens'], sent['max_completion_tokens']], [5, 6]);
  });
});

describe("one of OpenAI's models", () => {
  const loop = [
    { role: 'user', content: [{ type: 'text', text: 'hi', cache_control: { type: 'ephemeral' } }] },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'hm',
      tool_calls: [
        {
          id: 'c',
          type: 'function',
          function: { name: 'f', arguments: '{}' },
          extra_content: { google: { thought_signature: 'g' } },
        },
      ],
    },
    { role: 'tool', tool_call_id: 'c', content: 'done' },
  ];
  const carried = /cache_control|reasoning_content|extra_content/;

  it('is asked in nothing but its own words, wherever it is', async (t) => {
    const { upstream, gateway } = await open(t, { provider: 'o', model: 'gpt-4o' });
    await gateway.chat({ messages: loop });
    assert.doesNotMatch(upstream.requests[0]?.body.toString() ?? '', carried);
  });

  it('is not every model at a host that is like OpenAI', async (t) => {
    const { upstream, gateway } = await open(t, { provider: 'o', model: 'gemini-3.8-flash' });
    await gateway.chat({ messages: loop });
    assert.match(upstream.requests[0]?.body.toString() ?? '', carried);
  });
});
