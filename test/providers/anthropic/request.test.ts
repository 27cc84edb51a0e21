import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { anthropic } from '../../../src/providers/anthropic/adapter.ts';
import { type AskChanges, askFor } from '../kit.ts';
import { expectSent, type Sent, STRICTEST, send, USER } from './kit.ts';

/** Of an image, as short as base64 goes. */
const DATA = 'iVBORw0KGgo=';

function expectMessages(messages: JsonObject[], expected: Sent['messages'], changes: AskChanges = {}) {
  return expectSent({ messages }, { messages: expected }, changes);
}

function refuses(body: JsonObject, param: string, changes: AskChanges = {}) {
  assert.throws(
    () => send(body, changes),
    (error) =>
      error instanceof Error && error.name === 'Unsupported' && 'param' in error && error.param === param,
    param,
  );
}

const user = (content: JsonObject[] | string): JsonObject => ({ role: 'user', content });
const ephemeral = { type: 'ephemeral' } as const;

describe('System messages', () => {
  it('at the beginning are the prompt', () => {
    expectSent({ messages: [{ role: 'system', content: 'Be brief.' }, USER] }, { system: 'Be brief.' });
    expectSent(
      {
        messages: [
          { role: 'developer', content: 'Be brief.' },
          { role: 'system', content: [{ type: 'text', text: 'Be kind.' }] },
          USER,
        ],
      },
      { system: 'Be brief.\nBe kind.' },
    );
  });

  it('are blocks where one of them is marked for the cache', () => {
    expectSent(
      {
        messages: [
          {
            role: 'system',
            content: [{ type: 'text', text: 'Long', cache_control: { type: 'ephemeral', ttl: '1h' } }],
          },
          { role: 'system', content: 'Short' },
          USER,
        ],
      },
      {
        system: [
          { type: 'text', text: 'Long', cache_control: { type: 'ephemeral', ttl: '1h' } },
          { type: 'text', text: 'Short' },
        ],
      },
    );
  });

  const later = [
    user('A'),
    { role: 'system', content: 'Now in French.' },
    { role: 'assistant', content: 'B' },
    user('C'),
  ];

  it('that come later stay after a turn of the user, where the model takes them', () => {
    const expected: Sent['messages'] = [
      { role: 'user', content: 'A' },
      { role: 'system', content: 'Now in French.' },
      { role: 'assistant', content: 'B' },
      { role: 'user', content: 'C' },
    ];
    expectMessages(later, expected, { capabilities: { laterSystem: true } });
  });

  it('that come after an answer follow what the user says next', () => {
    const messages = [
      user('A'),
      { role: 'assistant', content: 'B' },
      { role: 'system', content: 'S' },
      user('C'),
    ];
    const capabilities = { laterSystem: true };
    expectMessages(
      messages,
      [
        { role: 'user', content: 'A' },
        { role: 'assistant', content: 'B' },
        { role: 'user', content: 'C' },
        { role: 'system', content: 'S' },
      ],
      { capabilities },
    );
    const answers = [...messages.slice(0, 3), { role: 'assistant', content: 'D' }, user('C')];
    expectSent(
      { messages: answers },
      {
        system: 'S',
        messages: [
          { role: 'user', content: 'A' },
          {
            role: 'assistant',
            content: [
              { type: 'text', text: 'B' },
              { type: 'text', text: 'D' },
            ],
          },
          { role: 'user', content: 'C' },
        ],
      },
      { capabilities },
    );
  });

  it('that come later join the prompt elsewhere, and turns that come to stand beside each other are one', () => {
    expectSent(
      { messages: [{ role: 'system', content: 'P' }, ...later.slice(0, 2), user('C')] },
      {
        system: 'P\nNow in French.',
        messages: [
          {
            role: 'user',
            content: [
              { type: 'text', text: 'A' },
              { type: 'text', text: 'C' },
            ],
          },
        ],
      },
    );
  });

  it('that part turns of the assistant or results of tools leave them as one', () => {
    const thought = (text: string) => ({ type: 'thinking', thinking: text, signature: text });
    const call = (id: string) => ({ id, type: 'function', function: { name: 'f', arguments: '{}' } });
    const system = { role: 'system', content: 'S' };
    const messages = [
      USER,
      { role: 'assistant', content: 'A', thinking_blocks: [thought('1')], tool_calls: [call('a')] },
      system,
      { role: 'assistant', thinking_blocks: [thought('2')], tool_calls: [call('b')] },
      { role: 'tool', tool_call_id: 'a', content: 'R' },
      system,
      { role: 'tool', tool_call_id: 'b', content: 'R' },
    ];
    const { sent } = send({ messages });
    assert.deepEqual(sent['messages'], [
      USER,
      {
        role: 'assistant',
        content: [
          thought('1'),
          thought('2'),
          { type: 'text', text: 'A' },
          { type: 'tool_use', id: 'a', name: 'f', input: {} },
          { type: 'tool_use', id: 'b', name: 'f', input: {} },
        ],
      },
      {
        role: 'user',
        content: [
          { type: 'tool_result', tool_use_id: 'a', content: 'R' },
          { type: 'tool_result', tool_use_id: 'b', content: 'R' },
        ],
      },
    ]);
  });

  it('that end the conversation after an answer, or are all of it, are said by the user', () => {
    const ending = [user('A'), { role: 'assistant', content: 'B' }, { role: 'system', content: 'Sum up.' }];
    for (const laterSystem of [true, false]) {
      expectMessages(
        ending,
        [
          { role: 'user', content: 'A' },
          { role: 'assistant', content: 'B' },
          { role: 'user', content: 'Sum up.' },
        ],
        { capabilities: { laterSystem } },
      );
      expectMessages([{ role: 'system', content: 'Go.' }], [{ role: 'user', content: 'Go.' }], {
        capabilities: { laterSystem },
      });
    }
  });
});

describe('Messages of the user', () => {
  it('are text, or blocks of text, without blank ones', () => {
    expectMessages(
      [
        user([
          { type: 'text', text: 'A' },
          { type: 'text', text: ' \n' },
        ]),
      ],
      [{ role: 'user', content: 'A' }],
    );
    expectMessages(
      [user('A'), user([{ type: 'text', text: 'B' }])],
      [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'A' },
            { type: 'text', text: 'B' },
          ],
        },
      ],
    );
    refuses({ messages: [] }, 'messages');
  });

  it('begin a conversation that an answer begins', () => {
    expectMessages(
      [{ role: 'assistant', content: 'Welcome.' }, USER],
      [
        { role: 'user', content: '.' },
        { role: 'assistant', content: 'Welcome.' },
        { role: 'user', content: 'Hello' },
      ],
    );
  });

  it('bring images as data and by URL', () => {
    const image = (url: string) => user([{ type: 'image_url', image_url: { url, detail: 'high' } }]);
    for (const type of ['image/jpeg', 'image/png', 'image/gif', 'image/webp'] as const) {
      expectMessages(
        [image(`data:${type};base64,${DATA}`)],
        [
          {
            role: 'user',
            content: [{ type: 'image', source: { type: 'base64', media_type: type, data: DATA } }],
          },
        ],
      );
    }
    assert.match(
      JSON.stringify(send({ messages: [image(`data:image/jpg;base64,${DATA}`)] })),
      /"image\/jpeg"/,
    );
    expectMessages(
      [image('https://a.test/b.png')],
      [{ role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'https://a.test/b.png' } }] }],
    );
    refuses({ messages: [image(`data:image/tiff;base64,${DATA}`)] }, 'messages[0].content[0]');
    refuses({ messages: [image('http://a.test/b.png')] }, 'messages[0].content[0]');
    refuses({ messages: [image('gs://a/b.png')] }, 'messages[0].content[0]');
  });

  it('has pictures by http fetched, which Anthropic does not do', () => {
    assert.equal(anthropic.fetches?.('http://a.test/b.png'), true);
    assert.equal(anthropic.fetches?.('https://a.test/b.png'), false);
  });

  it('bring files', () => {
    const file = (filename: string | undefined, file_data: string) =>
      user([{ type: 'file', file: { ...(filename === undefined ? {} : { filename }), file_data } }]);
    expectMessages(
      [file('a.pdf', `data:application/pdf;base64,${DATA}`)],
      [
        {
          role: 'user',
          content: [
            {
              type: 'document',
              source: { type: 'base64', media_type: 'application/pdf', data: DATA },
              title: 'a.pdf',
            },
          ],
        },
      ],
    );
    const text = Buffer.from('Grüße').toString('base64');
    for (const type of ['text/plain', 'text/csv', 'application/json']) {
      expectMessages(
        [file(undefined, `data:${type};base64,${text}`)],
        [
          {
            role: 'user',
            content: [
              { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'Grüße' } },
            ],
          },
        ],
      );
    }
    expectMessages(
      [file('b.png', `data:image/png;base64,${DATA}`)],
      [
        {
          role: 'user',
          content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: DATA } }],
        },
      ],
    );
    expectMessages(
      [user([{ type: 'file', file: { filename: 'c.pdf', file_url: 'https://a.test/c.pdf' } }])],
      [
        {
          role: 'user',
          content: [
            { type: 'document', source: { type: 'url', url: 'https://a.test/c.pdf' }, title: 'c.pdf' },
          ],
        },
      ],
    );
    refuses({ messages: [file('a.zip', `data:application/zip;base64,${DATA}`)] }, 'messages[0].content[0]');
    refuses({ messages: [file('a.txt', 'data:text/plain;base64,//79')] }, 'messages[0].content[0]');
    refuses({ messages: [user([{ type: 'file', file: { file_id: 'file-1' } }])] }, 'messages[0].content[0]');
  });

  it('bring no sound, and nothing that the model does not read', () => {
    const audio = [{ type: 'input_audio', input_audio: { data: DATA, format: 'wav' } }];
    refuses({ messages: [user(audio)] }, 'messages[0].content[0]');
    const image = [
      { type: 'text', text: 'A' },
      { type: 'image_url', image_url: { url: 'https://a.test/b.png' } },
    ];
    refuses({ messages: [user(image)] }, 'messages[0].content[1]', {
      capabilities: { input: new Set(['file']) },
    });
    send({ messages: [user(image)] }, { capabilities: { input: new Set(['image']) } });
  });
});

describe('Calls and results', () => {
  const call = (id: string, name: string, text: string) => ({
    id,
    type: 'function',
    function: { name, arguments: text },
  });
  const tools = [{ type: 'function', function: { name: 'f' } }];
  const sentTools = [{ name: 'f', input_schema: { type: 'object' as const, properties: {} } }];

  it('are blocks, and the results of one turn come in one message before what the user says', () => {
    const messages = [
      USER,
      { role: 'assistant', content: 'So', tool_calls: [call('a', 'f', '{"x":1}'), call('b', 'f', '')] },
      { role: 'tool', tool_call_id: 'b', content: 'B' },
      { role: 'tool', tool_call_id: 'a', content: [{ type: 'text', text: 'A' }], is_error: true },
      user('And?'),
    ];
    expectSent(
      { messages, tools },
      {
        messages: [
          { role: 'user', content: 'Hello' },
          {
            role: 'assistant',
            content: [
              { type: 'text', text: 'So' },
              { type: 'tool_use', id: 'a', name: 'f', input: { x: 1 } },
              { type: 'tool_use', id: 'b', name: 'f', input: {} },
            ],
          },
          {
            role: 'user',
            content: [
              { type: 'tool_result', tool_use_id: 'b', content: 'B' },
              { type: 'tool_result', tool_use_id: 'a', content: 'A', is_error: true },
              { type: 'text', text: 'And?' },
            ],
          },
        ],
        tools: sentTools,
      },
    );
  });

  it('bring images and files, nothing at all, or an error without a word', () => {
    const results = [
      {
        role: 'tool',
        tool_call_id: 'a',
        content: [{ type: 'image_url', image_url: { url: 'https://a.test/' } }],
      },
      { role: 'tool', tool_call_id: 'b', content: '' },
      { role: 'tool', tool_call_id: 'c', content: ' ', is_error: true },
    ];
    const calls = ['a', 'b', 'c'].map((id) => call(id, 'f', '{}'));
    const { sent } = send({ messages: [USER, { role: 'assistant', tool_calls: calls }, ...results], tools });
    const expected = [
      {
        type: 'tool_result',
        tool_use_id: 'a',
        content: [{ type: 'image', source: { type: 'url', url: 'https://a.test/' } }],
      },
      { type: 'tool_result', tool_use_id: 'b' },
      { type: 'tool_result', tool_use_id: 'c', content: 'The tool failed.', is_error: true },
    ] satisfies Sent['messages'][number]['content'];
    assert.deepEqual((sent['messages'] as JsonObject[])[2]?.['content'], expected);
  });

  it('keep ids that Anthropic takes, and make others so that calls and results still match', () => {
    const ids = ['functions.f:0', 'functions_f_0', 'functions.f:0'];
    const messages = [
      USER,
      { role: 'assistant', tool_calls: ids.slice(0, 2).map((id) => call(id, 'f', '{}')) },
      ...ids.slice(0, 2).map((id) => ({ role: 'tool', tool_call_id: id, content: id })),
    ];
    const text = JSON.stringify(send({ messages, tools }).sent);
    assert.deepEqual(text.match(/"(?:tool_use_)?id":"[^"]*"/g), [
      '"id":"functions_f_0"',
      '"id":"functions_f_0_2"',
      '"tool_use_id":"functions_f_0"',
      '"tool_use_id":"functions_f_0_2"',
    ]);
  });

  it('name the tools that were called where a request has none, and allow no call', () => {
    const messages = [
      USER,
      { role: 'assistant', tool_calls: [call('a', 'f', '{}'), call('b', 'f', '{}')] },
      { role: 'tool', tool_call_id: 'a', content: 'A' },
      { role: 'tool', tool_call_id: 'b', content: 'B' },
    ];
    const { sent } = send({ messages });
    assert.deepEqual(sent['tools'], sentTools);
    assert.deepEqual(sent['tool_choice'], { type: 'none' });
  });
});

describe('Messages of the assistant', () => {
  const thinking = { type: 'thinking', thinking: 'Hm', signature: 'sig' };
  const redacted = { type: 'redacted_thinking', data: 'data' };

  it('begin with the thoughts that Claude signed, as they came, and with no others', () => {
    const blocks = [
      { ...thinking, index: 0 },
      { ...redacted, origin: 'anthropic' },
      { ...thinking, origin: 'bedrock' },
      { ...thinking, signature: '' },
      { ...redacted, data: '' },
    ];
    expectMessages(
      [USER, { role: 'assistant', content: 'A', reasoning_content: 'Hm', thinking_blocks: blocks }, USER],
      [
        { role: 'user', content: 'Hello' },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm', signature: 'sig' },
            { type: 'redacted_thinking', data: 'data' },
            { type: 'text', text: 'A' },
          ],
        },
        { role: 'user', content: 'Hello' },
      ],
    );
  });

  it('are left out where they are thoughts and nothing else', () => {
    const { sent } = send({ messages: [USER, { role: 'assistant', thinking_blocks: [thinking] }, USER] });
    assert.doesNotMatch(JSON.stringify(sent), /assistant/);
  });

  it('may end the conversation with calls, of which Anthropic says what is wrong with them', () => {
    const tool_calls = [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }];
    const { sent } = send({ messages: [USER, { role: 'assistant', content: 'So ', tool_calls }] });
    assert.deepEqual((sent['messages'] as JsonObject[])[1]?.['content'], [
      { type: 'text', text: 'So ' },
      { type: 'tool_use', id: 'a', name: 'f', input: {} },
    ]);
  });

  it('are remembered where the client lost their thoughts', () => {
    const messages = [
      USER,
      {
        role: 'assistant',
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'A' },
    ];
    const recall = (id: string) =>
      id === 'a'
        ? {
            thinkingBlocks: [{ type: 'thinking' as const, thinking: 'Hm', signature: 'sig' }],
            thoughtSignatures: {},
          }
        : null;
    const { sent } = send({ messages }, { recall });
    assert.deepEqual((sent['messages'] as JsonObject[])[1]?.['content'], [
      thinking,
      { type: 'tool_use', id: 'a', name: 'f', input: {} },
    ]);
  });

  it('may end the conversation where the model goes on from them, without white space at the end', () => {
    const prefill = { role: 'assistant', content: 'It is \n', thinking_blocks: [thinking] };
    expectMessages(
      [USER, prefill],
      [
        { role: 'user', content: 'Hello' },
        { role: 'assistant', content: 'It is' },
      ],
      { capabilities: { prefill: true } },
    );
    refuses({ messages: [USER, prefill] }, 'messages');
  });
});

describe('What an answer may be', () => {
  it('has a bound always: what was asked for, what the model can write, or a usual one', () => {
    expectSent({ max_tokens: 100 }, { max_tokens: 100 });
    expectSent({ max_tokens: 100, max_completion_tokens: 200 }, { max_tokens: 200 });
    expectSent({}, { max_tokens: 32_000 });
    const capabilities = { maxOutput: 64_000 };
    expectSent({}, { max_tokens: 64_000 }, { capabilities });
    assert.deepEqual(expectSent({ max_tokens: 1e9 }, { max_tokens: 64_000 }, { capabilities }), []);
  });

  it('is streamed where that is asked for', () => {
    expectSent(
      { stream: true, stream_options: { include_usage: true } },
      { stream: true },
      { streaming: true },
    );
  });

  it('is sampled as asked, within what Anthropic takes', () => {
    assert.deepEqual(expectSent({ temperature: 0.3, top_k: 5 }, { temperature: 0.3, top_k: 5 }), []);
    assert.deepEqual(expectSent({ temperature: 1.7 }, { temperature: 1 }), ['temperature']);
    assert.deepEqual(expectSent({ temperature: -1 }, { temperature: 0 }), []);
    assert.deepEqual(expectSent({ top_p: 0.9 }, { top_p: 0.9 }), []);
    assert.deepEqual(expectSent({ temperature: 0.3, top_p: 0.9 }, { temperature: 0.3 }), ['top_p']);
    assert.deepEqual(expectSent({ temperature: 0.3, top_p: 1 }, { temperature: 0.3 }), []);
    assert.deepEqual(expectSent({ temperature: 1, top_p: 0.9 }, { top_p: 0.9 }), []);
  });

  it('is not sampled by a model that refuses it, which is named unless nothing was asked for', () => {
    const changes = { capabilities: { refuses: STRICTEST.refuses } };
    const hot = { temperature: 0.3, top_p: 0.9, top_k: 5 };
    assert.deepEqual(expectSent(hot, {}, changes), ['temperature', 'top_p', 'top_k']);
    assert.deepEqual(expectSent({ temperature: 1, top_p: 1 }, {}, changes), []);
    for (const [name, value] of Object.entries(hot)) {
      refuses({ [name]: value }, name, { ...changes, strict: true });
    }
    assert.deepEqual(expectSent({ temperature: 1 }, {}, { ...changes, strict: true }), []);
  });

  it('stops at sequences, of which blank ones are left out', () => {
    assert.deepEqual(expectSent({ stop: 'END' }, { stop_sequences: ['END'] }), []);
    assert.deepEqual(expectSent({ stop: ['END', '\n\n'] }, { stop_sequences: ['END'] }), ['stop']);
    assert.deepEqual(expectSent({ stop: '\n' }, {}), ['stop']);
    assert.deepEqual(expectSent({ stop: 'END' }, {}, { capabilities: { refuses: new Set(['stop']) } }), [
      'stop',
    ]);
  });

  it('is served by a tier', () => {
    for (const tier of ['auto', 'priority', 'fast'])
      expectSent({ service_tier: tier }, { service_tier: 'auto' });
    expectSent({ service_tier: 'default' }, { service_tier: 'standard_only' });
    assert.deepEqual(expectSent({ service_tier: 'flex' }, {}), ['service_tier']);
    const changes = { capabilities: { refuses: new Set(['service_tier']) } };
    assert.deepEqual(expectSent({ service_tier: 'priority' }, {}, changes), ['service_tier']);
    // What holds unasked.
    assert.deepEqual(expectSent({ service_tier: 'auto' }, {}, changes), []);
  });

  it('is for a user, but not for one that is named', () => {
    assert.deepEqual(expectSent({ user: 'u-1' }, { metadata: { user_id: 'u-1' } }), []);
    const both = { user: 'u-1', safety_identifier: 's-1' };
    assert.deepEqual(expectSent(both, { metadata: { user_id: 's-1' } }), ['user']);
    const same = { user: 's-1', safety_identifier: 's-1' };
    assert.deepEqual(expectSent(same, { metadata: { user_id: 's-1' } }), []);
    assert.deepEqual(expectSent({ safety_identifier: 'ada@example.com' }, {}), ['safety_identifier']);
    for (const user of ['ada@example.com', '+44 20 7946 0958', 'x'.repeat(257)]) {
      assert.deepEqual(expectSent({ user }, {}), ['user'], user);
    }
  });

  it('is one only, without sound and without functions of old', () => {
    refuses({ n: 2 }, 'n');
    refuses({ audio: { voice: 'alloy', format: 'mp3' } }, 'audio');
    refuses({ modalities: ['text', 'audio'] }, 'modalities');
    refuses({ functions: [{ name: 'f' }] }, 'functions');
    assert.deepEqual(expectSent({ n: 1, modalities: ['text'] }, {}), []);
  });

  it('names what was asked for and has no place', () => {
    const body = {
      seed: 1,
      presence_penalty: 0.5,
      frequency_penalty: 0.5,
      logprobs: true,
      top_logprobs: 3,
      logit_bias: { 50256: -100 },
      verbosity: 'low',
      web_search_options: { search_context_size: 'low' },
      something_new: true,
      metadata: { a: 'b' },
      store: true,
      prompt_cache_key: 'k',
      prompt_cache_retention: '24h',
      prediction: { type: 'content', content: 'x' },
    };
    assert.deepEqual(expectSent(body, {}), Object.keys(body));
    for (const [name, value] of Object.entries(body)) refuses({ [name]: value }, name, { strict: true });
  });

  it('names nothing that asks for nothing', () => {
    const body = {
      presence_penalty: 0,
      frequency_penalty: 0,
      logprobs: false,
      logit_bias: {},
      store: false,
      metadata: {},
      verbosity: 'medium',
      prompt_cache_retention: 'in_memory',
      user: null,
    };
    assert.deepEqual(expectSent(body, {}, { strict: true }), []);
  });

  it('names how closely a picture was to be looked at', () => {
    const url = 'https://a.test/a.png';
    const looked = (detail: string) => ({
      messages: [user([{ type: 'image_url', image_url: { url, detail } }])],
    });
    const messages: Sent['messages'] = [
      { role: 'user', content: [{ type: 'image', source: { type: 'url', url } }] },
    ];
    for (const detail of ['low', 'high', 'original']) {
      assert.deepEqual(expectSent(looked(detail), { messages }), ['image_url.detail']);
      refuses(looked(detail), 'image_url.detail', { strict: true });
    }
    assert.deepEqual(expectSent(looked('auto'), { messages }, { strict: true }), []);
  });

  it("takes over some of Anthropic's own members", () => {
    const own = { inference_geo: 'us', container: 'container_1' };
    assert.deepEqual(expectSent(own, own), []);
  });

  it("is asked for with the target's overrides", () => {
    const changes = { overrideParams: { temperature: 0.1, top_k: 3, seed: null, max_tokens: 7 } };
    assert.deepEqual(
      expectSent({ temperature: 1, seed: 5 }, { temperature: 0.1, top_k: 3, max_tokens: 7 }, changes),
      [],
    );
  });
});

describe('Markers for the prompt cache', () => {
  const marked = (text: string, ttl?: string) => ({
    type: 'text',
    text,
    cache_control: ttl === undefined ? ephemeral : { ...ephemeral, ttl },
  });

  it('stand where the client put them', () => {
    const tools = [{ type: 'function', function: { name: 'f' }, cache_control: ephemeral }];
    const messages = [
      { role: 'system', content: [marked('S')] },
      user([marked('A')]),
      {
        role: 'assistant',
        tool_calls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }],
      },
      { role: 'tool', tool_call_id: 'a', content: 'R', cache_control: ephemeral },
    ];
    assert.deepEqual(
      expectSent(
        { messages, tools },
        {
          system: [{ type: 'text', text: 'S', cache_control: ephemeral }],
          tools: [{ name: 'f', input_schema: { type: 'object', properties: {} }, cache_control: ephemeral }],
          messages: [
            { role: 'user', content: [{ type: 'text', text: 'A', cache_control: ephemeral }] },
            { role: 'assistant', content: [{ type: 'tool_use', id: 'a', name: 'f', input: {} }] },
            {
              role: 'user',
              content: [{ type: 'tool_result', tool_use_id: 'a', content: 'R', cache_control: ephemeral }],
            },
          ],
        },
      ),
      [],
    );
  });

  it('are four at most, the last ones', () => {
    const parts = ['A', 'B', 'C', 'D', 'E', 'F'].map((text) => marked(text));
    const { sent, dropped } = send({ messages: [{ role: 'system', content: [marked('S')] }, user(parts)] });
    assert.deepEqual(dropped, ['cache_control']);
    assert.doesNotMatch(JSON.stringify(sent['system']), /cache_control/);
    const content = (sent['messages'] as JsonObject[])[0]?.['content'] as JsonObject[];
    assert.deepEqual(
      content.map(({ cache_control: control }) => control !== undefined),
      [false, false, true, true, true, true],
    );
  });

  it('are three beside one for the whole request', () => {
    const parts = ['A', 'B', 'C', 'D'].map((text) => marked(text));
    const { sent, dropped } = send({ messages: [user(parts)], cache_control: { ...ephemeral, ttl: '5m' } });
    assert.deepEqual(dropped, ['cache_control']);
    assert.deepEqual(sent['cache_control'], { ...ephemeral, ttl: '5m' });
    assert.equal(JSON.stringify(sent['messages']).split('cache_control').length, 4);
  });

  it('for an hour are not preceded by ones for less', () => {
    const parts = [marked('A'), marked('B', '1h'), marked('C', '5m')];
    const { sent } = send({ messages: [user(parts)] });
    const content = (sent['messages'] as JsonObject[])[0]?.['content'] as JsonObject[];
    assert.deepEqual(
      content.map(({ cache_control: control }) => (control as JsonObject)['ttl']),
      ['1h', '1h', '5m'],
    );
    const whole = send({ messages: [user([marked('A')])], cache_control: { ...ephemeral, ttl: '1h' } });
    assert.deepEqual((whole.sent['messages'] as JsonObject[])[0]?.['content'], [marked('A', '1h')]);
  });

  it('of blank texts go to what stands before them', () => {
    const content = (parts: JsonObject[]) =>
      (send({ messages: [user(parts)] }).sent['messages'] as JsonObject[])[0]?.['content'];
    assert.deepEqual(content([{ type: 'text', text: 'A' }, marked(' ')]), [marked('A')]);
    assert.deepEqual(content([marked('A', '1h'), marked(' ')]), [marked('A', '1h')]);
  });

  it('are placed where the target is to have them and the client placed none', () => {
    const long = 'word '.repeat(3000);
    const body = { messages: [{ role: 'system', content: long }, user(long)] };
    assert.doesNotMatch(JSON.stringify(send(body).sent), /cache_control/);
    const { sent } = send(body, { cacheMarkers: true });
    assert.deepEqual(sent['system'], [{ type: 'text', text: long, cache_control: ephemeral }]);
  });
});

describe('A call', () => {
  const headers = (changes: AskChanges = {}) =>
    anthropic.prepare(askFor({ model: 'any', max_tokens: 1, messages: [USER] }, changes));

  it('goes to /v1, whether the base URL says so or not', () => {
    const path = (baseUrl: string, dialect: 'chat' | 'messages' | 'count_tokens') =>
      headers({ dialect, provider: { baseUrl } }).path;
    for (const dialect of ['chat', 'messages'] as const) {
      assert.equal(path('https://api.anthropic.com', dialect), '/v1/messages');
      assert.equal(path('https://proxy.test/anthropic/v1', dialect), '/messages');
    }
    assert.equal(path('https://api.anthropic.com', 'count_tokens'), '/v1/messages/count_tokens');
    assert.equal(path('https://proxy.test/v1', 'count_tokens'), '/messages/count_tokens');
  });

  it('names the version, unless the provider has one of its own, and the key', () => {
    assert.deepEqual(headers().headers, ['anthropic-version', '2023-06-01']);
    const own = { provider: { headers: { 'anthropic-version': '2026-10-21' } } };
    assert.deepEqual(headers(own).headers, []);
    assert.deepEqual(anthropic.keyHeaders('k'), { 'x-api-key': 'k' });
    assert.equal(
      anthropic.baseUrl({ region: null, resource: null, project: null, location: null, apiVersion: null }),
      'https://api.anthropic.com',
    );
    assert.equal(anthropic.needsKey, 'yes');
  });
});
