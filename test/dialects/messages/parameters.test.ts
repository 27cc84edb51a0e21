import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import { Unsupported } from '../../../src/chat/unsupported.ts';
import { ASK, chatOf, read, TOOL } from './kit.ts';

type Asked = Partial<Anthropic.MessageCreateParams>;

const CHAT = { model: 'smart', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 100 };

/** What these parameters become, besides what every request has. */
function become(asked: Asked): Record<string, unknown> {
  const { model, messages, max_tokens: most, ...more } = chatOf({ ...ASK, ...asked });
  assert.deepEqual({ model, messages, max_tokens: most }, CHAT);
  return more;
}

function dropped(asked: object): readonly string[] | undefined {
  return read({ ...ASK, ...asked }).dropped;
}

function whyNot(asked: object): string {
  try {
    chatOf({ ...ASK, ...asked });
  } catch (error) {
    assert.ok(error instanceof Unsupported, String(error));
    return error.param;
  }
  throw new Error('it was taken');
}

test('a request without more becomes one without more', () => {
  assert.deepEqual(chatOf(ASK), CHAT);
  assert.deepEqual(dropped({}), []);
});

test('it is translated once', () => {
  const request = read(ASK);
  assert.equal(request.chat(), request.chat());
});

test('limits, sampling and stops go on by their names', () => {
  const expected: Partial<OpenAI.Chat.Completions.ChatCompletionCreateParams> = {
    stop: ['END', 'STOP'],
    stream: true,
  };
  assert.deepEqual(become({ stop_sequences: ['END', 'STOP'], stream: true }), expected);
  assert.deepEqual(become({ stop_sequences: [], stream: false }), {});
  // Of the former API: the current types have none of them.
  const sampling = { temperature: 0.5, top_p: 0.9, top_k: 5 };
  assert.deepEqual(become(sampling as Asked), sampling);
  assert.equal(whyNot({ temperature: 'hot' }), 'temperature');
  assert.equal(whyNot({ top_k: [] }), 'top_k');
  assert.equal(whyNot({ stop_sequences: 'END' }), 'stop_sequences');
  assert.equal(whyNot({ stop_sequences: [5] }), 'stop_sequences');
});

test('a request that only fills the cache has no translation', () => {
  assert.equal(whyNot({ max_tokens: 0 }), 'max_tokens');
});

test('tools become functions', () => {
  const schema = TOOL.input_schema;
  const full: Anthropic.Tool = { ...TOOL, type: 'custom', cache_control: { type: 'ephemeral', ttl: '5m' } };
  const bare = { name: 'time', input_schema: { type: 'object' } } as const;
  assert.deepEqual(become({ tools: [full, { ...bare, description: '' }] }), {
    tools: [
      {
        type: 'function',
        function: { name: 'weather', description: 'What the weather is', parameters: schema },
        cache_control: { type: 'ephemeral', ttl: '5m' },
      },
      { type: 'function', function: { name: 'time', parameters: { type: 'object' } } },
    ],
  });
  assert.deepEqual(become({ tools: [], tool_choice: { type: 'auto', disable_parallel_tool_use: true } }), {});
});

test('a tool is strict where chat can be as strict', () => {
  const closed = {
    type: 'object',
    properties: {
      city: { type: 'string' },
      days: {
        type: 'array',
        items: { type: 'object', properties: {}, required: [], additionalProperties: false },
      },
    },
    required: ['city', 'days'],
    additionalProperties: false,
  } as const;
  const strictOf = (schema: object, strict = true) => {
    const asked = { tools: [{ ...TOOL, strict, input_schema: schema }] };
    const [tool] = chatOf({ ...ASK, ...asked })['tools'] as { function: { strict?: boolean } }[];
    const isStrict = tool?.function.strict === true;
    assert.deepEqual(dropped(asked), strict && !isStrict ? ['strict'] : []);
    return isStrict;
  };
  assert.equal(strictOf(closed), true);
  assert.equal(strictOf(closed, false), false);
  assert.equal(strictOf({ ...closed, required: ['city'] }), false);
  assert.equal(strictOf({ ...closed, additionalProperties: true }), false);
  assert.equal(strictOf({ ...closed, allOf: [] }), false);
  const open = {
    ...closed,
    properties: { city: { type: 'object', properties: { a: {} } } },
    required: ['city'],
  };
  assert.equal(strictOf(open), false);
  const inList = {
    ...closed,
    properties: { city: { type: 'array', items: { type: 'object' } } },
    required: ['city'],
  };
  assert.equal(strictOf(inList), false);
  const choice = {
    ...closed,
    properties: { city: { anyOf: [{ type: 'string' }, { type: 'object' }] } },
    required: ['city'],
  };
  assert.equal(strictOf(choice), false);
  assert.equal(strictOf({ ...closed, $defs: { a: { type: 'object' } } }), false);
  assert.equal(strictOf({ ...closed, $defs: { a: { type: 'string' } } }), true);
  assert.equal(strictOf({ ...closed, definitions: { a: { type: 'object' } } }), false);
  const untyped = { ...closed, properties: { city: { properties: {} } }, required: ['city'] };
  assert.equal(strictOf(untyped), false);
  const perhaps = { ...closed, properties: { city: { type: ['object', 'null'] } }, required: ['city'] };
  assert.equal(strictOf(perhaps), false);
  assert.equal(strictOf({ type: 'string' }), false);
  let deep: object = { type: 'string' };
  for (let level = 0; level < 100; level++) {
    deep = { type: 'object', properties: { a: deep }, required: ['a'], additionalProperties: false };
  }
  assert.equal(strictOf(deep), false);
});

test('tools that only Anthropic has are named', () => {
  const search: Anthropic.WebSearchTool20250305 = { type: 'web_search_20250305', name: 'web_search' };
  assert.equal(whyNot({ tools: [TOOL, search] }), 'tools[1]');
  assert.equal(whyNot({ tools: [{ type: 'bash_20250124', name: 'bash' }] }), 'tools[0]');
  assert.equal(whyNot({ tools: [{ type: 'computer_20260801', name: 'computer' }] }), 'tools[0]');
  assert.equal(whyNot({ tools: ['weather'] }), 'tools[0]');
  assert.equal(whyNot({ tools: {} }), 'tools');
  assert.equal(whyNot({ tools: [{ ...TOOL, name: '' }] }), 'tools[0].name');
  assert.equal(whyNot({ tools: [{ name: 'a' }] }), 'tools[0].input_schema');
});

test('the choice of tools in other words', () => {
  const choice = (asked: Anthropic.ToolChoice) => {
    const { tools, ...more } = become({ tools: [TOOL], tool_choice: asked });
    assert.ok(Array.isArray(tools));
    return more;
  };
  assert.deepEqual(choice({ type: 'auto' }), { tool_choice: 'auto' });
  assert.deepEqual(choice({ type: 'any', disable_parallel_tool_use: false }), { tool_choice: 'required' });
  assert.deepEqual(choice({ type: 'none' }), { tool_choice: 'none' });
  assert.deepEqual(choice({ type: 'tool', name: 'weather', disable_parallel_tool_use: true }), {
    tool_choice: { type: 'function', function: { name: 'weather' } },
    parallel_tool_calls: false,
  });
  assert.deepEqual(choice({ type: 'auto', disable_parallel_tool_use: true }), {
    tool_choice: 'auto',
    parallel_tool_calls: false,
  });
  assert.deepEqual(choice({ type: 'any', disable_parallel_tool_use: true }), {
    tool_choice: 'required',
    parallel_tool_calls: false,
  });
  assert.equal(whyNot({ tools: [TOOL], tool_choice: 'auto' }), 'tool_choice');
  assert.equal(whyNot({ tools: [TOOL], tool_choice: { type: 'all' } }), 'tool_choice.type');
  assert.equal(whyNot({ tools: [TOOL], tool_choice: { type: 'tool' } }), 'tool_choice.name');
});

test('names that are too long for chat become short ones, wherever they stand', () => {
  const name = `mcp__${'server_'.repeat(12)}__do`;
  const chat = chatOf({
    ...ASK,
    tools: [
      { ...TOOL, name },
      { ...TOOL, name: `${name}ne` },
    ],
    tool_choice: { type: 'tool', name },
    messages: [{ role: 'assistant', content: [{ type: 'tool_use', id: 'a', name, input: {} }] }],
  });
  const tools = chat['tools'] as { function: { name: string } }[];
  const short = tools[0]?.function.name ?? '';
  assert.match(short, /^mcp__server_\w{52}$/);
  assert.notEqual(tools[1]?.function.name, short);
  assert.deepEqual(chat['tool_choice'], { type: 'function', function: { name: short } });
  const [message] = chat['messages'] as { tool_calls: { function: { name: string } }[] }[];
  assert.equal(message?.tool_calls[0]?.function.name, short);
  const longest = 'a'.repeat(64);
  const [kept] = become({ tools: [{ ...TOOL, name: longest }] })['tools'] as typeof tools;
  assert.equal(kept?.function.name, longest);
});

test('how hard to think, in one word', () => {
  const effort = (thinking: Anthropic.ThinkingConfigParam | undefined, asked?: 'low' | 'xhigh' | 'max') => {
    const request: Asked = {
      ...(thinking && { thinking }),
      ...(asked && { output_config: { effort: asked } }),
    };
    const { reasoning_effort: word, ...more } = become(request);
    assert.deepEqual(Object.keys(more), []);
    return word;
  };
  assert.equal(effort(undefined), undefined);
  assert.equal(effort(undefined, 'xhigh'), 'xhigh');
  assert.equal(effort({ type: 'adaptive' }), 'high');
  assert.equal(effort({ type: 'adaptive' }, 'low'), 'low');
  assert.equal(effort({ type: 'disabled' }), 'none');
  assert.equal(effort({ type: 'disabled' }, 'max'), 'none');
  assert.equal(effort({ type: 'between_tools' }), 'none');
  assert.equal(effort({ type: 'enabled', budget_tokens: 4000 }, 'max'), 'max');
  const budgets: [number, string][] = [
    [1024, 'low'],
    [4096, 'low'],
    [4097, 'medium'],
    [16_384, 'medium'],
    [16_385, 'high'],
    [31_999, 'high'],
    [32_001, 'xhigh'],
    [40_960, 'xhigh'],
    [40_961, 'max'],
    [1e9, 'max'],
  ];
  for (const [budget, word] of budgets)
    assert.equal(effort({ type: 'enabled', budget_tokens: budget }), word);
  assert.equal(whyNot({ thinking: 'much' }), 'thinking');
  assert.equal(whyNot({ thinking: { type: 'deep' } }), 'thinking.type');
  assert.equal(whyNot({ thinking: { type: 'enabled' } }), 'thinking.budget_tokens');
  assert.equal(whyNot({ output_config: { effort: 'medium-rare' } }), 'output_config.effort');
  assert.equal(whyNot({ output_config: 'high' }), 'output_config');
});

test('a schema of the answer becomes a format of the response', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'string' } },
    required: ['a'],
    additionalProperties: false,
  };
  const format = { type: 'json_schema', schema } as const;
  const strict = {
    response_format: { type: 'json_schema', json_schema: { name: 'answer', schema, strict: true } },
  };
  assert.deepEqual(become({ output_config: { format } }), strict);
  // What it was called before.
  assert.deepEqual(become({ output_format: format } as Asked), strict);
  const open = { type: 'object', properties: { a: { type: 'string' } }, additionalProperties: false };
  assert.deepEqual(become({ output_config: { format: { type: 'json_schema', schema: open } } }), {
    response_format: { type: 'json_schema', json_schema: { name: 'answer', schema: open } },
  });
  assert.deepEqual(become({ output_config: { format: null } }), {});
  assert.equal(whyNot({ output_config: { format: { type: 'xml' } } }), 'output_config.format');
  assert.equal(whyNot({ output_config: { format: { type: 'json_schema' } } }), 'output_config.format');
});

test('the user goes on by an id that hosts take', () => {
  assert.deepEqual(become({ metadata: { user_id: 'user_01-A' } }), { user: 'user_01-A' });
  assert.deepEqual(become({ metadata: { user_id: null } }), {});
  assert.deepEqual(become({ metadata: { user_id: '' } }), {});
  for (const id of ['{"device_id":"ab"}', 'a'.repeat(65), 'me@example.com']) {
    const hash = createHash('sha256').update(id).digest('hex');
    assert.deepEqual(become({ metadata: { user_id: id } }), { user: hash });
  }
});

test('the tier of service in other words', () => {
  assert.deepEqual(become({ service_tier: 'auto' }), { service_tier: 'auto' });
  assert.deepEqual(become({ service_tier: 'standard_only' }), { service_tier: 'default' });
  assert.deepEqual(become({ service_tier: 'gold' } as unknown as Asked), {});
  assert.deepEqual(dropped({ service_tier: 'gold' }), ['service_tier']);
});

test('what nobody but Anthropic can heed has no translation', () => {
  assert.equal(whyNot({ container: 'container_1' }), 'container');
  assert.equal(
    whyNot({ mcp_servers: [{ type: 'url', name: 'a', url: 'https://example.com' }] }),
    'mcp_servers',
  );
  assert.equal(
    whyNot({ thread: { type: 'continue', previous_message_id: 'msg_1' } }),
    'thread.previous_message_id',
  );
  assert.equal(whyNot({ inference_geo: 'eu' }), 'inference_geo');
  const nothing = { container: null, mcp_servers: [], inference_geo: 'global', thread: null };
  assert.deepEqual(chatOf({ ...ASK, ...nothing }), CHAT);
  assert.deepEqual(dropped(nothing), []);
});

test('what an answer can do without is left out and named', () => {
  const soft = {
    context_management: { edits: [{ type: 'clear_thinking_20251015' }] },
    diagnostics: { previous_message_id: 'msg_1' },
    speed: 'fast',
    betas: ['some-beta'],
    something_new: 1,
  };
  assert.deepEqual(chatOf({ ...ASK, ...soft }), CHAT);
  assert.deepEqual(dropped(soft), Object.keys(soft));
  assert.deepEqual(dropped({ context_management: {}, betas: [], speed: null, something_new: false }), []);
  const deeper = {
    thinking: { type: 'adaptive', display: 'omitted' },
    output_config: { task_budget: { type: 'tokens', total: 5 } },
    tools: [
      {
        ...TOOL,
        input_examples: [{ city: 'Rome' }],
        defer_loading: true,
        allowed_callers: ['code_execution_20260120'],
      },
    ],
    messages: [
      {
        role: 'user',
        content: [
          {
            type: 'document',
            source: { type: 'url', url: 'https://a.b/c.pdf' },
            citations: { enabled: true },
          },
          {
            type: 'image',
            source: { type: 'url', url: 'https://a.b/c.png' },
            transformations: { oversized_image: 'error' },
          },
        ],
      },
      {
        role: 'assistant',
        content: [{ type: 'tool_use', id: 'a', name: 'b', input: {}, cache_control: { type: 'ephemeral' } }],
      },
    ],
  };
  assert.deepEqual([...(dropped(deeper) ?? [])].sort(), [
    'allowed_callers',
    'cache_control',
    'citations',
    'defer_loading',
    'input_examples',
    'output_config.task_budget',
    'thinking.display',
    'transformations',
  ]);
  const usual = {
    tools: [{ ...TOOL, allowed_callers: ['direct'], eager_input_streaming: true, defer_loading: false }],
  };
  assert.deepEqual(dropped(usual), []);
  assert.deepEqual(dropped({ thinking: { type: 'disabled' }, output_config: { effort: 'low' } }), [
    'output_config.effort',
  ]);
});

test('names that no header could carry, or too many, are not named one by one', () => {
  assert.deepEqual(dropped({ 'a\r\nb': 1, é: 1, fine: 1, [`${'x'.repeat(65)}`]: 1 }), ['others', 'fine']);
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`name_${index}`, 1]));
  const names = dropped(many) ?? [];
  assert.equal(names.length, 33);
  assert.deepEqual([names[0], names[31], names[32]], ['name_0', 'name_31', 'others']);
});

test('a request at the edge of what is read, and beyond it in chat, is named', () => {
  const deep = (levels: number) => JSON.parse(`${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`) as object;
  const ask = (levels: number) => ({ ...ASK, tools: [{ ...TOOL, input_schema: deep(levels) }] });
  assert.equal(whyNot(ask(509)), 'messages');
  assert.ok(chatOf(ask(400)));
});

test('names of prototypes among the parameters are left out like others', () => {
  const body = JSON.parse(`{"__proto__":{"a":1},"constructor":1,${JSON.stringify(ASK).slice(1)}`) as object;
  const request = read(body);
  assert.deepEqual(request.chat().value, CHAT);
  assert.deepEqual(request.dropped, ['__proto__', 'constructor']);
});
