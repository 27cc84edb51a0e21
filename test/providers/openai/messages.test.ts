import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NOTHING_KNOWN } from '../../../src/capabilities/capabilities.ts';
import type { ThinkingBlock } from '../../../src/chat/extensions.ts';
import { JsonBody } from '../../../src/core/json-body.ts';
import { openaiHost } from '../../../src/providers/openai/adapter.ts';
import { HOST_PRESETS, type HostName } from '../../../src/providers/presets.ts';
import { type AskOptions, HELLO, PROVIDER, prepare, sent, textOf } from './helpers.ts';

const BLOCKS: ThinkingBlock[] = [
  { type: 'thinking', thinking: 'Two calls.', signature: 'c2ln' },
  { type: 'redacted_thinking', data: 'ZGF0YQ==' },
];

const CALL = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } };

/** A tool loop as a client has it that keeps all that our answers carry. */
const LOOP: Readonly<Record<string, unknown>>[] = [
  {
    role: 'system',
    content: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
  },
  ...HELLO,
  {
    role: 'assistant',
    content: null,
    refusal: null,
    annotations: [],
    reasoning_content: 'Two calls.',
    thinking_blocks: BLOCKS,
    tool_calls: [{ ...CALL, extra_content: { google: { thought_signature: 'Zw==' } } }],
    extra_content: { google: { thought_signature: 'aA==' } },
  },
  {
    role: 'tool',
    tool_call_id: 'call_1',
    content: 'no',
    is_error: true,
    cache_control: { type: 'ephemeral' },
  },
];
const TOOLS = [
  { type: 'function', function: { name: 'f' }, cache_control: { type: 'ephemeral', ttl: '1h' } },
];

const BARE_SYSTEM = { role: 'system', content: [{ type: 'text', text: 'Be brief.' }] };
const BARE_TOOL = { role: 'tool', tool_call_id: 'call_1', content: 'no' };
const ASKED = { role: 'assistant', content: null, refusal: null, annotations: [], tool_calls: [CALL] };
const { refusal: _, annotations: __, ...CLOSED } = ASKED;

function messagesFor(messages: unknown, options: AskOptions): unknown {
  return sent({ model: 'up', messages }, options).body['messages'];
}

describe('what only some answers carry', () => {
  const details = [
    {
      type: 'reasoning.text',
      text: 'Two calls.',
      signature: 'c2ln',
      format: 'anthropic-claude-v1',
      index: 0,
    },
    { type: 'reasoning.encrypted', data: 'ZGF0YQ==', format: 'anthropic-claude-v1', index: 1 },
  ];
  const { thinking_blocks: ___, extra_content: ____, ...kept } = LOOP[2] as Record<string, unknown>;
  const expected: Partial<Record<HostName, unknown[]>> = {
    openai: [BARE_SYSTEM, ...HELLO, ASKED, BARE_TOOL],
    groq: [BARE_SYSTEM, ...HELLO, CLOSED, BARE_TOOL],
    mistral: [BARE_SYSTEM, ...HELLO, CLOSED, BARE_TOOL],
    deepseek: [BARE_SYSTEM, ...HELLO, { ...ASKED, reasoning_content: 'Two calls.' }, BARE_TOOL],
    xai: [BARE_SYSTEM, ...HELLO, { ...ASKED, reasoning_content: 'Two calls.' }, BARE_TOOL],
    together: [BARE_SYSTEM, ...HELLO, { ...ASKED, reasoning: 'Two calls.' }, BARE_TOOL],
    openrouter: [
      LOOP[0],
      ...HELLO,
      { ...kept, tool_calls: [CALL], reasoning_details: details },
      { ...BARE_TOOL, cache_control: { type: 'ephemeral' } },
    ],
    ollama: [LOOP[0], ...HELLO, { ...LOOP[2], reasoning: 'Two calls.' }, LOOP[3]],
    vllm: LOOP,
  };

  for (const adapter of Object.keys(HOST_PRESETS) as HostName[]) {
    it(`is left out, or renamed, as the host wants it: ${adapter}`, () => {
      const before = JSON.stringify(LOOP);
      const { body, dropped } = sent(
        { model: 'up', messages: LOOP, tools: TOOLS },
        { adapter, strict: true },
      );
      assert.deepEqual(body['messages'], expected[adapter]);
      const marked = ['openrouter', 'ollama', 'vllm'].includes(adapter);
      assert.deepEqual(body['tools'], marked ? TOOLS : [{ type: 'function', function: { name: 'f' } }]);
      assert.deepEqual(dropped, []);
      assert.equal(JSON.stringify(LOOP), before);
    });

    it(`changes nothing where it is not there: ${adapter}`, () => {
      const messages = [
        { role: 'system', content: 'x' },
        ...HELLO,
        { role: 'user', content: [{ type: 'text', text: 'reasoning_content thinking_blocks' }] },
        { role: 'assistant', content: 'Hi' },
        { role: 'user', content: 'cache_control' },
      ];
      const body = JSON.stringify({ model: 'up', messages, tools: [CALL], tool_choice: 'auto' }, null, 1);
      assert.equal(textOf(prepare(body, { adapter })), body);
    });
  }

  it("stays at a host that only says it is like OpenAI, but for what is nobody's but ours", () => {
    const theirs = LOOP.map(
      ({ thinking_blocks: _blocks, is_error: _error, reasoning_content: text, ...rest }) =>
        // What was signed for another model is not told unsigned either.
        _blocks === undefined && text !== undefined ? { ...rest, reasoning_content: text } : rest,
    );
    const at = (baseUrl: string) =>
      sent({ model: 'up', messages: LOOP, tools: TOOLS }, { provider: { baseUrl } }).body;
    for (const other of [
      'https://llm.example.com/v1',
      'http://127.0.0.1:1/v1',
      'https://notapi.openai.com/v1',
      'x',
    ]) {
      assert.deepEqual(at(other), { model: 'up', messages: theirs, tools: TOOLS }, other);
    }
    for (const own of ['https://api.openai.com/v1', 'https://eu.api.openai.com/v1']) {
      assert.deepEqual(at(own)['messages'], expected.openai, own);
    }
  });

  it('is found under names with escapes', () => {
    const body = '{"model":"up","messages":[{"role":"assistant","content":"a","\\u0069s_error":true}]}';
    assert.deepEqual(messagesFor(JSON.parse(body).messages, {}), [{ role: 'assistant', content: 'a' }]);
    assert.ok(!textOf(prepare(body)).includes('s_error'));
  });

  it('is found in messages that the target itself adds', () => {
    const own = [{ role: 'user', content: 'own', is_error: false }];
    const { body } = sent({ model: 'up', messages: HELLO }, { overrideParams: { messages: own } });
    assert.deepEqual(body['messages'], [{ role: 'user', content: 'own' }]);
  });

  it('is no reason to fail where messages make no sense', () => {
    const odd = [null, 1, 'x', [], {}, { content: [null, 1, []] }, { tool_calls: [null, 5] }, { role: {} }];
    const made = [...odd, { role: 'assistant', tool_calls: [{ id: 5 }], thinking_blocks: [1, {}, null] }];
    for (const adapter of Object.keys(HOST_PRESETS) as HostName[]) {
      const seen = messagesFor(made, { adapter }) as unknown[];
      assert.deepEqual(seen.slice(0, odd.length - 1), odd.slice(0, -1));
      messagesFor('text', { adapter });
      messagesFor({}, { adapter });
    }
  });
});

describe('a developer message', () => {
  it('is a system message where the host does not know the role', () => {
    const messages = [{ role: 'developer', content: 'Be brief.' }, ...HELLO];
    const knows: HostName[] = ['openai', 'openrouter', 'xai'];
    for (const adapter of Object.keys(HOST_PRESETS) as HostName[]) {
      const role = knows.includes(adapter) ? 'developer' : 'system';
      assert.deepEqual(
        messagesFor(messages, { adapter }),
        [{ role, content: 'Be brief.' }, ...HELLO],
        adapter,
      );
    }
  });
});

describe('a refusal', () => {
  it('is what the model said, for a host that has no other place for it', () => {
    const messages = [...HELLO, { role: 'assistant', content: null, refusal: 'No.' }];
    assert.deepEqual(messagesFor(messages, { adapter: 'mistral' }), [
      ...HELLO,
      { role: 'assistant', content: 'No.' },
    ]);
    assert.deepEqual(messagesFor(messages, { adapter: 'openai' }), messages);
    const both = [{ role: 'assistant', content: 'Well.', refusal: 'No.' }];
    assert.deepEqual(messagesFor(both, { adapter: 'mistral' }), [{ role: 'assistant', content: 'Well.' }]);
  });
});

describe('what an answer has only because it must be there', () => {
  it('is left out for a host whose schema is closed; what means something is left for the host to judge', () => {
    const empty = { audio: null, function_call: null, tool_calls: null, annotations: null, refusal: null };
    const bare = { role: 'assistant', content: 'x' };
    assert.deepEqual(messagesFor([{ ...bare, ...empty }], { adapter: 'groq' }), [bare]);
    const full = { ...bare, audio: { id: 'a' }, function_call: { name: 'f', arguments: '' }, tool_calls: [] };
    assert.deepEqual(messagesFor([full], { adapter: 'groq' }), [full]);
    assert.deepEqual(messagesFor([{ ...bare, ...empty }], { adapter: 'openai' }), [{ ...bare, ...empty }]);
  });
});

describe('one request for several targets', () => {
  it('is the same for each: none sees what another one changed', () => {
    const body = JsonBody.parse(
      Buffer.from(JSON.stringify({ model: 'smart', messages: LOOP, tools: TOOLS })),
    );
    const before = structuredClone(body.value);
    for (const preset of Object.values(HOST_PRESETS)) {
      openaiHost(preset).prepare({
        dialect: 'chat',
        body,
        streaming: true,
        model: 'up',
        overrideParams: {},
        strict: false,
        cacheMarkers: false,
        capabilities: { ...NOTHING_KNOWN, forcedTools: false, maxCompletionTokens: true },
        provider: { ...PROVIDER, baseUrl: preset.baseUrl },
        recall: () => null,
      });
      assert.deepEqual(body.value, before);
    }
  });
});

describe('thoughts that a tool loop must be handed back', () => {
  const loop = (...members: object[]) => [
    ...HELLO,
    ...members.flatMap((member) => [
      { role: 'assistant', content: 'x', ...member },
      { role: 'user', content: 'go on' },
    ]),
  ];
  const thoughts = (messages: unknown) =>
    (messages as { role: string; reasoning_content?: string }[])
      .filter(({ role }) => role === 'assistant')
      .map(({ reasoning_content }) => reasoning_content);
  const deepseek = (messages: unknown, options: AskOptions = {}) =>
    thoughts(messagesFor(messages, { adapter: 'deepseek', ...options }));

  it('are the least that there can be where another model did not tell its own', () => {
    assert.deepEqual(
      deepseek(loop({ tool_calls: [CALL] }, {}, { reasoning_content: 'mine' }, { reasoning: 'theirs' })),
      [' ', ' ', 'mine', 'theirs'],
    );
  });

  it('are what is remembered of them, where the client lost them', () => {
    const recall = (id: string) =>
      id === 'call_1' ? { thinkingBlocks: BLOCKS, thoughtSignatures: {} } : null;
    assert.deepEqual(deepseek(loop({ tool_calls: [{ id: 'call_0' }, CALL] }), { recall }), ['Two calls.']);
  });

  it('are not made up in a conversation without tools', () => {
    assert.deepEqual(deepseek(loop({}, { tool_calls: [] })), [undefined, undefined]);
  });
});

describe('signed thoughts for OpenRouter', () => {
  it("are not sent twice, nor those of another model's", () => {
    const own = [{ type: 'reasoning.text', text: 'own' }];
    const message = { role: 'assistant', content: 'x', thinking_blocks: BLOCKS };
    const seen = (fields: object) => {
      const [first] = messagesFor([{ ...message, ...fields }], { adapter: 'openrouter' }) as [
        { reasoning_details?: object },
      ];
      return first.reasoning_details;
    };
    assert.deepEqual(seen({ reasoning_details: own }), own);
    assert.equal(
      seen({ thinking_blocks: BLOCKS.map((block) => ({ ...block, origin: 'bedrock' })) }),
      undefined,
    );
  });
});
