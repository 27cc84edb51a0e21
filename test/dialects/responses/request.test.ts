import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type OpenAI from 'openai';
import { readConversation } from '../../../src/chat/read-conversation.ts';
import { sealReasoning } from '../../../src/chat/sealed-reasoning.ts';
import { ApiError } from '../../../src/core/errors.ts';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { responses } from '../../../src/dialects/responses/responses.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { type CreateParams, messagesOf, read, toChat } from './kit.ts';

type ChatMessage = OpenAI.ChatCompletionMessageParam;

function refused(body: unknown): { code: string; param: string | null } {
  try {
    responses.read(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return { code: error.code, param: error.param };
  }
  assert.fail('it was taken');
}

function unsupported(params: CreateParams | JsonObject): string {
  const request = read(params);
  try {
    request.chat();
  } catch (error) {
    assert.ok(error instanceof Unsupported, String(error));
    assert.match(error.message, /^[A-Z'].*\.$/, 'it is a sentence');
    return error.param;
  }
  assert.fail('it was translated');
}

describe('a request of the responses API is read', () => {
  it('knows the model, whether it streams, and that usage is always told', () => {
    const request = read({ model: 'smart', input: 'Hi', stream: true });
    assert.equal(request.dialect, 'responses');
    assert.equal(request.model, 'smart');
    assert.equal(request.streaming, true);
    assert.equal(request.wantsUsage, true);
    assert.equal(read({ model: 'smart', input: 'Hi', stream: null }).streaming, false);
  });

  it('names the field that is wrong', () => {
    const cases: [unknown, string, string | null][] = [
      ['', 'invalid_json', null],
      ['{"model":', 'invalid_json', null],
      ['[]', 'invalid_value', null],
      [{ input: 'x' }, 'missing_required_parameter', 'model'],
      [{ model: null, input: 'x' }, 'missing_required_parameter', 'model'],
      [{ model: '', input: 'x' }, 'invalid_value', 'model'],
      [{ model: 5, input: 'x' }, 'invalid_value', 'model'],
      [{ model: 'm' }, 'missing_required_parameter', 'input'],
      [{ model: 'm', input: null }, 'missing_required_parameter', 'input'],
      [{ model: 'm', input: 5 }, 'invalid_value', 'input'],
      [{ model: 'm', input: {} }, 'invalid_value', 'input'],
      [{ model: 'm', input: [] }, 'invalid_value', 'input'],
      [{ model: 'm', input: [{ role: 'user', content: 'x' }, 'x'] }, 'invalid_value', 'input[1]'],
      [{ model: 'm', input: [[]] }, 'invalid_value', 'input[0]'],
      [{ model: 'm', input: 'x', stream: 'yes' }, 'invalid_value', 'stream'],
      [{ model: 'm', input: 'x', stream_options: true }, 'invalid_value', 'stream_options'],
      [{ model: 'm', input: 'x', max_output_tokens: '5' }, 'invalid_value', 'max_output_tokens'],
    ];
    for (const [body, code, param] of cases) {
      assert.deepEqual(refused(body), { code, param }, JSON.stringify(body));
    }
  });

  it('leaves to a host that keeps answers what only that one can judge', () => {
    const kept = [
      { previous_response_id: 'resp_1' },
      { conversation: 'conv_1' },
      { prompt: { id: 'pmpt_1' } },
    ];
    for (const state of kept) {
      assert.equal(read({ model: 'm', ...state }).model, 'm');
      assert.equal(read({ model: 'm', input: [], ...state }).model, 'm');
    }
    assert.equal(read({ model: 'm', input: [{ type: 'from_the_future' }] }).model, 'm');
  });
});

describe('parameters become those of chat completions', () => {
  const rows: [string, Partial<CreateParams> | JsonObject, JsonObject][] = [
    ['temperature and top_p', { temperature: 0, top_p: 0.5 }, { temperature: 0, top_p: 0.5 }],
    ['the limit of tokens', { max_output_tokens: 16 }, { max_completion_tokens: 16 }],
    ['effort', { reasoning: { effort: 'high', summary: 'auto' } }, { reasoning_effort: 'high' }],
    ['verbosity', { text: { verbosity: 'low' } }, { verbosity: 'low' }],
    ['plain text', { text: { format: { type: 'text' } } }, {}],
    ['JSON', { text: { format: { type: 'json_object' } } }, { response_format: { type: 'json_object' } }],
    [
      'a schema',
      { text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true } } },
      {
        response_format: {
          type: 'json_schema',
          json_schema: { name: 'n', schema: { type: 'object' }, strict: true },
        },
      },
    ],
    ['who asks', { user: 'u', safety_identifier: 's' }, { user: 'u', safety_identifier: 's' }],
    ['metadata', { metadata: { a: 'b' } }, { metadata: { a: 'b' } }],
    ['the tier', { service_tier: 'flex' }, { service_tier: 'flex' }],
    ['the cache key', { prompt_cache_key: 'k' }, { prompt_cache_key: 'k' }],
    ['log probabilities', { top_logprobs: 3 }, { logprobs: true, top_logprobs: 3 }],
    ['log probabilities by include', { include: ['message.output_text.logprobs'] }, { logprobs: true }],
    ['no log probabilities', { top_logprobs: 0 }, {}],
    ['a stream', { stream: true }, { stream: true, stream_options: { include_usage: true } }],
    ['no stream', { stream: false }, {}],
    [
      'what is not in the API, for hosts that know it',
      { top_k: 4, stop: ['x'], seed: 1 },
      { top_k: 4, stop: ['x'], seed: 1 },
    ],
    [
      'what needs no word of chat',
      {
        max_tool_calls: 3,
        include: ['reasoning.encrypted_content'],
        stream_options: { include_obfuscation: false },
        background: false,
        temperature: null,
        user: null,
        previous_response_id: null,
        context_management: null,
        tools: [],
        tool_choice: 'auto',
        parallel_tool_calls: true,
      },
      {},
    ],
  ];
  for (const [name, params, expected] of rows) {
    it(name, () => {
      const { messages, model, ...rest } = toChat({ model: 'm', input: 'Hi', ...params } as CreateParams);
      assert.deepEqual(rest, expected);
      assert.equal(model, 'm');
      assert.deepEqual(messages, [{ role: 'user', content: 'Hi' }]);
    });
  }

  it('names what is left out', () => {
    const dropped = (params: JsonObject) => read({ model: 'm', input: 'x', ...params }).dropped;
    assert.deepEqual(
      dropped({
        store: true,
        truncation: 'auto',
        context_management: [{ type: 'compaction' }],
        access_programs: { cyber: 'standard' },
        image: { context_compression: 'enabled' },
        reasoning: { mode: 'pro', context: 'all_turns', summary: 'auto', effort: 'low' },
      }),
      [
        'store',
        'truncation',
        'context_management',
        'access_programs',
        'image',
        'reasoning.mode',
        'reasoning.context',
      ],
    );
    assert.deepEqual(
      dropped({
        store: false,
        truncation: 'disabled',
        context_management: null,
        reasoning: { mode: 'standard', context: 'auto', summary: 'auto' },
        include: ['reasoning.encrypted_content'],
        stream_options: { include_obfuscation: false },
        max_tool_calls: 3,
      }),
      [],
    );
  });

  it('is made once', () => {
    const request = read({ model: 'm', input: 'Hi' });
    assert.equal(request.chat(), request.chat());
  });

  it('refuses what a target without the API cannot do, by the name that the client knows', () => {
    const rows: [JsonObject, string][] = [
      [{ previous_response_id: 'resp_1' }, 'previous_response_id'],
      [{ conversation: { id: 'conv_1' } }, 'conversation'],
      [{ prompt: { id: 'p' } }, 'prompt'],
      [{ background: true }, 'background'],
      [{ instructions: 5 }, 'instructions'],
      [{ text: { format: { type: 'grammar' } } }, 'text.format'],
      [{ tools: {} }, 'tools'],
      [{ tools: [5] }, 'tools[0]'],
      [{ tools: [{ type: 'function' }] }, 'tools[0].name'],
      ...[
        'web_search',
        'file_search',
        'code_interpreter',
        'mcp',
        'image_generation',
        'computer',
        'local_shell',
        'custom',
        'namespace',
      ].map((type): [JsonObject, string] => [
        { tools: [{ type: 'function', name: 'f', parameters: null, strict: null }, { type }] },
        'tools[1]',
      ]),
      [{ tool_choice: { type: 'web_search' } }, 'tool_choice'],
      [{ tool_choice: 'sometimes' }, 'tool_choice'],
      [
        { tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'mcp' }] } },
        'tool_choice.tools[0]',
      ],
    ];
    for (const [params, param] of rows) {
      assert.equal(unsupported({ model: 'm', input: 'x', ...params }), param, JSON.stringify(params));
    }
  });

  it('refuses what chat would nest too deeply to be read', () => {
    let schema = '{}';
    for (let level = 0; level < 508; level++) schema = `{"a":${schema}}`;
    const tool = `{"type":"function","name":"f","parameters":${schema}}`;
    const request = responses.read(Buffer.from(`{"model":"m","input":"x","tools":[${tool}]}`));
    assert.throws(() => request.chat(), Unsupported);
  });
});

describe('tools become those of chat completions', () => {
  it('nests functions', () => {
    const parameters = { type: 'object', properties: { city: { type: 'string' } } };
    const chat = toChat({
      model: 'm',
      input: 'x',
      parallel_tool_calls: false,
      tools: [
        { type: 'function', name: 'weather', description: 'Tells it', parameters, strict: true },
        { type: 'function', name: 'now', parameters: null, strict: null },
        {
          type: 'function',
          name: 'kept',
          parameters: {},
          strict: false,
          cache_control: { type: 'ephemeral' },
        },
      ] as OpenAI.Responses.Tool[],
    });
    assert.deepEqual(chat['tools'], [
      {
        type: 'function',
        function: { name: 'weather', description: 'Tells it', parameters, strict: true },
      },
      { type: 'function', function: { name: 'now' } },
      {
        type: 'function',
        function: { name: 'kept', parameters: {}, strict: false },
        cache_control: { type: 'ephemeral' },
      },
    ]);
    assert.equal(chat['parallel_tool_calls'], false);
  });

  it('knows each way to choose', () => {
    const tools: OpenAI.Responses.Tool[] = [{ type: 'function', name: 'f', parameters: {}, strict: null }];
    const named = { type: 'function', function: { name: 'f' } };
    const rows: [CreateParams['tool_choice'], Json | undefined][] = [
      ['none', 'none'],
      ['auto', 'auto'],
      ['required', 'required'],
      [{ type: 'function', name: 'f' }, named],
      [
        { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'f' }] },
        { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [named] } },
      ],
      [
        { type: 'allowed_tools', mode: 'auto', tools: [] },
        { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [] } },
      ],
    ];
    for (const [choice, expected] of rows) {
      const chat = toChat({ model: 'm', input: 'x', tools, tool_choice: choice as 'auto' });
      assert.deepEqual(chat['tool_choice'], expected satisfies Json | undefined);
    }
    assert.equal('tool_choice' in toChat({ model: 'm', input: 'x', tools }), false);
  });
});

describe('input becomes messages', () => {
  it('puts the instructions first', () => {
    const { messages } = toChat({ model: 'm', instructions: 'Be brief.', input: 'Hi' });
    assert.deepEqual(messages, [
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'Hi' },
    ] satisfies ChatMessage[]);
    assert.deepEqual(toChat({ model: 'm', instructions: null, input: 'Hi' })['messages'], [
      { role: 'user', content: 'Hi' },
    ]);
  });

  it('knows messages with a type and without, and each role', () => {
    const messages = messagesOf([
      { role: 'developer', content: 'Be brief.' },
      { type: 'message', role: 'system', content: [{ type: 'input_text', text: 'And kind.' }] },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
      { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Well?' }] },
    ]);
    assert.deepEqual(messages, [
      { role: 'system', content: 'Be brief.' },
      { role: 'system', content: 'And kind.' },
      { role: 'user', content: 'Hi' },
      { role: 'assistant', content: 'Hello' },
      { role: 'user', content: 'Well?' },
    ] satisfies ChatMessage[]);
  });

  it('knows each kind of part', () => {
    const [message] = messagesOf([
      {
        role: 'user',
        content: [
          { type: 'input_text', text: 'Look', prompt_cache_breakpoint: { mode: 'explicit' } },
          { type: 'input_image', image_url: 'https://x.test/a.png', detail: 'high' },
          { type: 'input_image', image_url: 'data:image/png;base64,AA==', detail: 'auto', file_id: null },
          { type: 'input_file', file_data: 'data:application/pdf;base64,AA==', filename: 'a.pdf' },
          { type: 'input_file', file_url: 'https://x.test/a.pdf' },
          { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } } as never,
        ],
      },
    ]);
    assert.deepEqual(message?.['content'], [
      { type: 'text', text: 'Look', prompt_cache_breakpoint: { mode: 'explicit' } },
      { type: 'image_url', image_url: { url: 'https://x.test/a.png', detail: 'high' } },
      { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==', detail: 'auto' } },
      { type: 'file', file: { file_data: 'data:application/pdf;base64,AA==', filename: 'a.pdf' } },
      { type: 'file', file: { file_url: 'https://x.test/a.pdf' } },
      { type: 'input_audio', input_audio: { data: 'AA==', format: 'wav' } },
    ]);
  });

  it('keeps a single text in a list where a mark for the cache is on it', () => {
    const cache_control = { type: 'ephemeral' };
    const [message] = messagesOf([
      { role: 'user', content: [{ type: 'input_text', text: 'Long', cache_control }] },
    ]);
    assert.deepEqual(message?.['content'], [{ type: 'text', text: 'Long', cache_control }]);
  });

  it('makes one message of what an assistant thought, said and called, in whatever order', () => {
    const said = {
      type: 'message',
      id: 'msg_1',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_text', text: 'Let me see.', annotations: [] }],
    };
    const calls = ['a', 'b'].map((id) => ({
      type: 'function_call',
      id: `fc_${id}`,
      call_id: id,
      name: 'look',
      arguments: `{"at":"${id}"}`,
    }));
    const thought = { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'Hm.' }] };
    const outputs = ['b', 'a'].map((id) => ({
      type: 'function_call_output',
      call_id: id,
      output: `saw ${id}`,
    }));
    const expected = [
      {
        role: 'assistant',
        content: 'Let me see.',
        reasoning_content: 'Hm.',
        tool_calls: ['a', 'b'].map((id) => ({
          id,
          type: 'function',
          function: { name: 'look', arguments: `{"at":"${id}"}` },
        })),
      },
      { role: 'tool', tool_call_id: 'b', content: 'saw b' },
      { role: 'tool', tool_call_id: 'a', content: 'saw a' },
    ];
    for (const items of [
      [thought, said, ...calls],
      [said, ...calls, thought],
      [...calls, thought, said],
    ]) {
      assert.deepEqual(messagesOf([...items, ...outputs] as JsonObject[]), expected);
    }
  });

  it('takes outputs of tools as texts and as lists', () => {
    const call = { type: 'function_call', call_id: 'a', name: 'f', arguments: '{}' };
    const outputs: [Json, Json][] = [
      ['', ''],
      [[], ''],
      [[{ type: 'input_text', text: 'one' }], 'one'],
      [
        [
          { type: 'input_text', text: 'one' },
          { type: 'input_image', image_url: 'https://x.test/a.png' },
        ],
        [
          { type: 'text', text: 'one' },
          { type: 'image_url', image_url: { url: 'https://x.test/a.png' } },
        ],
      ],
    ];
    for (const [output, content] of outputs) {
      const messages = messagesOf([call, { type: 'function_call_output', call_id: 'a', output }]);
      assert.deepEqual(messages[1], { role: 'tool', tool_call_id: 'a', content });
    }
  });

  it('keeps the mark for the cache on a tool’s output', () => {
    const cache_control = { type: 'ephemeral', ttl: '1h' };
    const messages = messagesOf([{ type: 'function_call_output', call_id: 'a', output: 'x', cache_control }]);
    assert.deepEqual(messages, [{ role: 'tool', tool_call_id: 'a', content: 'x', cache_control }]);
  });

  it('keeps what was said apart from what was refused, and messages apart from each other', () => {
    const messages = messagesOf([
      {
        type: 'message',
        role: 'assistant',
        content: [
          { type: 'output_text', text: 'One' },
          { type: 'output_text', text: ' two' },
          { type: 'refusal', refusal: 'No.' },
        ],
      },
      { role: 'assistant', content: 'Three' },
    ]);
    assert.deepEqual(messages, [{ role: 'assistant', content: 'One two\n\nThree', refusal: 'No.' }]);
  });

  it('hands on what was sealed here, and drops what a provider encrypted', () => {
    const block = { type: 'thinking', thinking: 'Hm.', signature: 'sig' };
    const sealed = sealReasoning({
      thinkingBlocks: [block],
      callSignatures: new Map([
        ['a', 'sa'],
        ['__proto__', 'sp'],
      ]),
      textSignature: 'st',
    });
    const call = (id: string) => ({ type: 'function_call', call_id: id, name: 'f', arguments: '{}' });
    const from = (encrypted: Json) =>
      messagesOf([
        { type: 'reasoning', id: 'rs_1', summary: [], encrypted_content: encrypted },
        call('a'),
        call('b'),
        call('__proto__'),
      ])[0];
    const plain = (id: string) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } });
    const google = (signature: string) => ({ google: { thought_signature: signature } });
    assert.deepEqual(from(sealed), {
      role: 'assistant',
      content: null,
      thinking_blocks: [block],
      tool_calls: [
        { ...plain('a'), extra_content: google('sa') },
        plain('b'),
        { ...plain('__proto__'), extra_content: google('sp') },
      ],
      extra_content: google('st'),
    });
    const bare = {
      role: 'assistant',
      content: null,
      tool_calls: [plain('a'), plain('b'), plain('__proto__')],
    };
    for (const foreign of ['gAAAAABo', null, 5, '', sealed.slice(0, 30), `${sealed.slice(0, 20)}!!`]) {
      assert.deepEqual(from(foreign), bare, String(foreign));
    }
  });

  it('takes the thought itself before its summary, and divides foreign ones into paragraphs', () => {
    const thought = (item: JsonObject) =>
      messagesOf([
        { type: 'reasoning', id: 'rs', summary: [], ...item },
        { role: 'assistant', content: 'x' },
      ])[0]?.['reasoning_content'];
    const summary = [
      { type: 'summary_text', text: 'one' },
      { type: 'summary_text', text: 'two' },
    ];
    assert.equal(thought({ summary }), 'one\n\ntwo');
    assert.equal(thought({ summary, content: [{ type: 'reasoning_text', text: 'raw' }] }), 'raw');
    assert.equal(thought({ summary, content: null }), 'one\n\ntwo');
    const ours = sealReasoning({ thinkingBlocks: [], callSignatures: new Map(), textSignature: null });
    assert.equal(thought({ summary, encrypted_content: ours }), 'onetwo');
    assert.equal(thought({}), undefined);
    const two = messagesOf([
      { type: 'reasoning', id: 'rs_1', summary, encrypted_content: ours },
      { type: 'reasoning', id: 'rs_2', summary, encrypted_content: ours },
      { role: 'assistant', content: 'x' },
    ]);
    assert.equal(two[0]?.['reasoning_content'], 'onetwo\n\nonetwo');
  });

  it('leaves out an assistant who said nothing', () => {
    const items = [
      { type: 'reasoning', id: 'rs', summary: [{ type: 'summary_text', text: 'Hm' }] },
      { role: 'assistant', content: '' },
      { role: 'user', content: 'Well?' },
    ];
    assert.deepEqual(messagesOf(items), [{ role: 'user', content: 'Well?' }]);
  });

  it('refuses what cannot be said in chat, and says where it stands', () => {
    const user = { role: 'user', content: 'x' };
    const part = (content: JsonObject) => [
      user,
      { role: 'user', content: [{ type: 'input_text', text: 'x' }, content] },
    ];
    const rows: [JsonObject[], string][] = [
      [[user, { type: 'item_reference', id: 'msg_1' }], 'input[1]'],
      [[user, { id: 'msg_1' }], 'input[1]'],
      [[user, { type: 'item_reference', id: 'msg_1', role: 'user' }], 'input[1]'],
      [[user, { type: 'custom_tool_call', call_id: 'a', name: 'f', input: 'x' }], 'input[1]'],
      [[user, { type: 'web_search_call', id: 'ws_1', status: 'completed' }], 'input[1]'],
      [[user, { type: 'mcp_call', id: 'x' }], 'input[1]'],
      [[user, { type: 'compaction', encrypted_content: 'x' }], 'input[1]'],
      [[user, { type: 5 }], 'input[1]'],
      [[{ role: 'tool', content: 'x' }], 'input[0].role'],
      [[{ type: 'message', content: 'x' }], 'input[0].role'],
      [[{ role: 'user', content: 5 }], 'input[0].content'],
      [[{ role: 'user' }], 'input[0].content'],
      [[{ role: 'assistant', content: {} }], 'input[0].content'],
      [[{ role: 'assistant', content: [{ type: 'input_image', image_url: 'x' }] }], 'input[0].content[0]'],
      [[{ role: 'assistant', content: ['x'] }], 'input[0].content[0]'],
      [part({ type: 'input_image', file_id: 'file_1', detail: 'auto' }), 'input[1].content[1]'],
      [part({ type: 'input_file', file_id: 'file_1' }), 'input[1].content[1]'],
      [part({ type: 'input_video' }), 'input[1].content[1]'],
      [part({ type: 'input_text' }), 'input[1].content[1].text'],
      [[{ type: 'function_call', name: 'f', arguments: '' }], 'input[0].call_id'],
      [[{ type: 'function_call', call_id: 'a', arguments: '' }], 'input[0].name'],
      [[{ type: 'function_call', call_id: 'a', name: 'f' }], 'input[0].arguments'],
      [
        [{ type: 'function_call', call_id: 'a', name: 'f', arguments: '', namespace: 'n' }],
        'input[0].namespace',
      ],
      [[{ type: 'function_call_output', output: 'x' }], 'input[0].call_id'],
      [[{ type: 'function_call_output', call_id: 'a' }], 'input[0].output'],
      [[{ type: 'function_call_output', call_id: 'a', output: [{ type: 'x' }] }], 'input[0].output[0]'],
    ];
    for (const [input, param] of rows) {
      assert.equal(unsupported({ model: 'm', input }), param, JSON.stringify(input));
    }
  });

  it('is read by the reader of chat completions', () => {
    const chat = toChat({
      model: 'm',
      instructions: 'Be brief.',
      input: [
        {
          role: 'user',
          content: [
            { type: 'input_text', text: 'Look' },
            { type: 'input_file', file_url: 'https://x.test/a.pdf' },
          ],
        },
        { type: 'function_call', call_id: 'a', name: 'f', arguments: '{"x":1}' },
        { type: 'function_call_output', call_id: 'a', output: 'y' },
      ],
      tools: [{ type: 'function', name: 'f', parameters: { type: 'object' }, strict: null }],
      tool_choice: { type: 'function', name: 'f' },
      text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' } } },
      reasoning: { effort: 'low' },
      max_output_tokens: 9,
    });
    const conversation = readConversation(chat, () => null);
    assert.deepEqual(
      conversation.turns.map(({ role }) => role),
      ['user', 'assistant', 'user'],
    );
    assert.deepEqual(conversation.toolChoice, { kind: 'named', name: 'f' });
    assert.equal(conversation.responseFormat.kind, 'schema');
    assert.equal(conversation.reasoningEffort, 'low');
    assert.equal(conversation.maxTokens, 9);
    assert.deepEqual(conversation.others, {});
  });
});
