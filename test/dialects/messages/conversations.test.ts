import assert from 'node:assert/strict';
import { test } from 'node:test';
import type Anthropic from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import { Unsupported } from '../../../src/chat/unsupported.ts';
import { ASK, chatMessages, chatOf } from './kit.ts';

type ChatMessages = OpenAI.Chat.Completions.ChatCompletionMessageParam[];
type Block = Anthropic.ContentBlockParam;

const MARK = { cache_control: { type: 'ephemeral' } } as const;
const HOUR = { cache_control: { type: 'ephemeral', ttl: '1h' } } as const;
const PNG = { type: 'base64', media_type: 'image/png', data: 'iVBORw0=' } as const;

/** What a user's blocks become. */
function userParts(...blocks: Block[]): unknown {
  const [first, ...more] = chatMessages([{ role: 'user', content: blocks }]) as { content: unknown }[];
  assert.equal(more.length, 0);
  return first?.content;
}

function whyNot(body: object): { param: string; message: string } {
  try {
    chatOf({ ...ASK, ...body });
  } catch (error) {
    assert.ok(error instanceof Unsupported, String(error));
    return { param: error.param, message: error.message };
  }
  throw new Error('it was taken');
}

function whyNotBlocks(role: string, ...blocks: unknown[]): string {
  return whyNot({ messages: [{ role, content: blocks }] }).param;
}

test('texts stay texts, and keep their order', () => {
  const expected: ChatMessages = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: 'Hello' },
    { role: 'user', content: 'Who are you?' },
  ];
  const list: Anthropic.MessageParam[] = [
    { role: 'user', content: 'Hi' },
    { role: 'assistant', content: [{ type: 'text', text: 'Hello' }] },
    { role: 'user', content: 'Who are you?' },
  ];
  assert.deepEqual(chatMessages(list, { system: 'Be brief.' }), expected);
});

test('several texts stay several, and their markers stay with them', () => {
  const system: Anthropic.TextBlockParam[] = [
    { type: 'text', text: 'a' },
    { type: 'text', text: 'b', ...HOUR },
  ];
  const content: Anthropic.TextBlockParam[] = [
    { type: 'text', text: 'c' },
    { type: 'text', text: '' },
    { type: 'text', text: 'd', ...MARK },
  ];
  assert.deepEqual(chatMessages([{ role: 'user', content }], { system }), [
    { role: 'system', content: [system[0], system[1]] },
    { role: 'user', content: [content[0], content[2]] },
  ]);
  assert.deepEqual(userParts({ type: 'text', text: 'x', ...MARK }), [{ type: 'text', text: 'x', ...MARK }]);
  const odd = { type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl: '2d', more: 1 } };
  assert.deepEqual(userParts(odd as unknown as Block), [{ type: 'text', text: 'x', ...MARK }]);
  assert.equal(userParts({ type: 'text', text: 'x', cache_control: null }), 'x');
});

test('an empty prompt of the system is none', () => {
  for (const system of ['', [], null]) {
    assert.deepEqual(chatMessages([{ role: 'user', content: 'a' }], { system }), [
      { role: 'user', content: 'a' },
    ]);
  }
});

test('a word of the system in the middle stays there', () => {
  const list: Anthropic.MessageParam[] = [
    { role: 'user', content: 'Hi' },
    { role: 'system', content: [{ type: 'text', text: 'From now on, in French.', ...MARK }] },
    { role: 'system', content: '' },
    { role: 'user', content: 'Go on' },
  ];
  assert.deepEqual(chatMessages(list), [
    { role: 'user', content: 'Hi' },
    { role: 'system', content: [{ type: 'text', text: 'From now on, in French.', ...MARK }] },
    { role: 'user', content: 'Go on' },
  ]);
});

test('the beginning of an answer stays the last message', () => {
  const list: Anthropic.MessageParam[] = [
    { role: 'user', content: 'Sun in Greek?' },
    { role: 'assistant', content: 'The answer is (' },
  ];
  assert.deepEqual(chatMessages(list), list);
});

test('pictures go by data or by URL', () => {
  assert.deepEqual(
    userParts(
      { type: 'image', source: PNG, ...MARK },
      { type: 'image', source: { type: 'url', url: 'https://example.com/a.png' } },
    ),
    [
      { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0=' }, ...MARK },
      { type: 'image_url', image_url: { url: 'https://example.com/a.png' } },
    ],
  );
});

test('documents go as files, by data or by URL, with their title for a name', () => {
  const text = Buffer.from('plain – words').toString('base64');
  assert.deepEqual(
    userParts(
      {
        type: 'document',
        source: { type: 'base64', media_type: 'application/pdf', data: 'JVBERg==' },
        title: 'A',
      },
      { type: 'document', source: { type: 'url', url: 'https://example.com/a.pdf' }, ...HOUR },
      { type: 'document', source: { type: 'text', media_type: 'text/plain', data: 'plain – words' } },
      { type: 'document', source: { type: 'content', content: 'plain – words' }, title: null },
    ),
    [
      { type: 'file', file: { filename: 'A', file_data: 'data:application/pdf;base64,JVBERg==' } },
      { type: 'file', file: { file_url: 'https://example.com/a.pdf' }, ...HOUR },
      { type: 'file', file: { file_data: `data:text/plain;base64,${text}` } },
      { type: 'file', file: { file_data: `data:text/plain;base64,${text}` } },
    ],
  );
  const pieces = [
    { type: 'text', text: 'one' },
    { type: 'text', text: 'two' },
  ] as const;
  assert.deepEqual(
    userParts({ type: 'document', source: { type: 'content', content: [...pieces] }, context: 'A list.' }),
    [
      { type: 'text', text: 'A list.' },
      {
        type: 'file',
        file: { file_data: `data:text/plain;base64,${Buffer.from('one\ntwo').toString('base64')}` },
      },
    ],
  );
});

const CALL_A = { type: 'tool_use', id: 'toolu_a', name: 'weather', input: { city: 'Rome' } } as const;
const CALL_B = { type: 'tool_use', id: 'toolu_b', name: 'time', input: {} } as const;

test('calls of tools and their results become tool calls and tool messages, then what the user says', () => {
  const list: Anthropic.MessageParam[] = [
    { role: 'user', content: 'Rome?' },
    {
      role: 'assistant',
      content: [{ type: 'text', text: 'Let me see.' }, CALL_A, { ...CALL_B, caller: { type: 'direct' } }],
    },
    {
      role: 'user',
      content: [
        { type: 'tool_result', tool_use_id: 'toolu_a', content: 'sunny' },
        {
          type: 'tool_result',
          tool_use_id: 'toolu_b',
          content: [{ type: 'text', text: 'noon' }],
          is_error: true,
          ...MARK,
        },
        { type: 'text', text: 'And' },
        { type: 'text', text: 'Paris?' },
      ],
    },
  ];
  assert.deepEqual(chatMessages(list), [
    { role: 'user', content: 'Rome?' },
    {
      role: 'assistant',
      content: 'Let me see.',
      tool_calls: [
        { id: 'toolu_a', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
        { id: 'toolu_b', type: 'function', function: { name: 'time', arguments: '{}' } },
      ],
    },
    { role: 'tool', tool_call_id: 'toolu_a', content: 'sunny' },
    { role: 'tool', tool_call_id: 'toolu_b', content: 'noon', is_error: true, ...MARK },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'And' },
        { type: 'text', text: 'Paris?' },
      ],
    },
  ]);
});

test('a message with nothing but results becomes nothing but tool messages', () => {
  const content: Block[] = [
    { type: 'tool_result', tool_use_id: 'toolu_a' },
    { type: 'tool_result', tool_use_id: 'toolu_b', content: [] },
    {
      type: 'tool_result',
      tool_use_id: 'toolu_c',
      content: [
        { type: 'text', text: 'a map', ...MARK },
        { type: 'image', source: PNG },
        { type: 'document', source: { type: 'url', url: 'https://example.com/a.pdf' } },
      ],
    },
  ];
  assert.deepEqual(chatMessages([{ role: 'user', content }]), [
    { role: 'tool', tool_call_id: 'toolu_a', content: '' },
    { role: 'tool', tool_call_id: 'toolu_b', content: '' },
    {
      role: 'tool',
      tool_call_id: 'toolu_c',
      content: [
        { type: 'text', text: 'a map', ...MARK },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0=' } },
        { type: 'file', file: { file_url: 'https://example.com/a.pdf' } },
      ],
    },
  ]);
});

test('results come right after the calls, wherever in the message they stand', () => {
  const content: Block[] = [
    { type: 'text', text: 'Here:' },
    { type: 'tool_result', tool_use_id: 'toolu_a', content: 'sunny' },
  ];
  assert.deepEqual(chatMessages([{ role: 'user', content }]), [
    { role: 'tool', tool_call_id: 'toolu_a', content: 'sunny' },
    { role: 'user', content: 'Here:' },
  ]);
});

test('an answer that only calls tools has no content', () => {
  assert.deepEqual(chatMessages([{ role: 'assistant', content: [CALL_B] }]), [
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'toolu_b', type: 'function', function: { name: 'time', arguments: '{}' } }],
    },
  ]);
});

test('thinking is handed back as it was signed, and told as a text', () => {
  const content: Block[] = [
    { type: 'thinking', thinking: 'First.', signature: 'sig1' },
    { type: 'redacted_thinking', data: 'secret' },
    { type: 'thinking', thinking: 'Then.', signature: 'sig2' },
    CALL_B,
  ];
  const [message] = chatMessages([{ role: 'assistant', content }]) as Record<string, unknown>[];
  assert.equal(message?.['reasoning_content'], 'First.\n\nThen.');
  assert.deepEqual(message?.['thinking_blocks'], content.slice(0, 3));
});

test('thinking that nobody signed is told as a text alone', () => {
  const content: Block[] = [
    { type: 'thinking', thinking: 'Hm.', signature: '' },
    { type: 'text', text: 'Yes' },
  ];
  assert.deepEqual(chatMessages([{ role: 'assistant', content }]), [
    { role: 'assistant', content: 'Yes', reasoning_content: 'Hm.' },
  ]);
});

test('thinking that another model signed comes back with its origin', () => {
  const content: Block[] = [
    { type: 'thinking', thinking: 'Hm.', signature: 'spillway:bedrock:sig' },
    { type: 'redacted_thinking', data: 'spillway:bedrock:data' },
    { type: 'text', text: 'Yes' },
  ];
  const [message] = chatMessages([{ role: 'assistant', content }]) as Record<string, unknown>[];
  assert.deepEqual(message?.['thinking_blocks'], [
    { type: 'thinking', thinking: 'Hm.', signature: 'sig', origin: 'bedrock' },
    { type: 'redacted_thinking', data: 'data', origin: 'bedrock' },
  ]);
});

test('a marker on a call goes to the text before it', () => {
  const marked = { ...CALL_B, ...MARK };
  const said = chatMessages([{ role: 'assistant', content: [{ type: 'text', text: 'See.' }, marked] }]);
  assert.deepEqual((said as { content: unknown }[])[0]?.content, [{ type: 'text', text: 'See.', ...MARK }]);
});

test('the request marks what stands last', () => {
  const user = { role: 'user', content: 'Hi' } as const;
  const last = (list: Anthropic.MessageParam[]) => (chatMessages(list, HOUR) as unknown[]).at(-1);
  assert.deepEqual(last([user]), { role: 'user', content: [{ type: 'text', text: 'Hi', ...HOUR }] });
  const marked: Anthropic.MessageParam = { role: 'user', content: [{ type: 'text', text: 'Hi', ...MARK }] };
  assert.deepEqual(last([marked]), marked);
  const result: Block = { type: 'tool_result', tool_use_id: 'toolu_a', content: 'sunny' };
  assert.deepEqual(last([{ role: 'user', content: [result] }]), {
    role: 'tool',
    tool_call_id: 'toolu_a',
    content: 'sunny',
    ...HOUR,
  });
  const within: Block = { ...result, content: [{ type: 'text', text: 'sunny', ...MARK }] };
  assert.deepEqual(last([{ role: 'user', content: [within] }]), {
    role: 'tool',
    tool_call_id: 'toolu_a',
    content: [{ type: 'text', text: 'sunny', ...MARK }],
  });
  const said: Anthropic.MessageParam[] = [
    { role: 'user', content: 'Before' },
    user,
    { role: 'user', content: '' },
  ];
  assert.deepEqual(chatMessages(said, HOUR), [
    said[0],
    { role: 'user', content: [{ type: 'text', text: 'Hi', ...HOUR }] },
    said[2],
  ]);
  const [first] = chatMessages([user, { role: 'assistant', content: [CALL_B] }], HOUR) as unknown[];
  assert.deepEqual(first, { role: 'user', content: [{ type: 'text', text: 'Hi', ...HOUR }] });
});

test('blocks that only Anthropic knows are named where they stand', () => {
  const at = 'messages[0].content[1]';
  const text = { type: 'text', text: 'a' };
  for (const type of ['search_result', 'container_upload', 'server_tool_use', 'toString', 7]) {
    assert.equal(whyNotBlocks('user', text, { type }), at);
    assert.equal(whyNotBlocks('assistant', text, { type }), at);
  }
  for (const type of ['server_tool_use', 'web_search_tool_result', 'code_execution_tool_result', 'image']) {
    assert.equal(whyNotBlocks('assistant', text, { type, source: PNG }), at);
  }
  assert.equal(whyNotBlocks('user', text, { type: 'thinking', thinking: 'a', signature: 'b' }), at);
  assert.equal(whyNotBlocks('user', text, { type: 'tool_use', id: 'a', name: 'b', input: {} }), at);
  const reference = { type: 'tool_reference', tool_name: 'a' };
  assert.equal(
    whyNotBlocks('user', { type: 'tool_result', tool_use_id: 'a', content: [reference] }),
    'messages[0].content[0].content[0]',
  );
  assert.equal(
    whyNotBlocks('user', { type: 'image', source: { type: 'file', file_id: 'f' } }),
    'messages[0].content[0].source',
  );
  assert.equal(
    whyNotBlocks('user', { type: 'document', source: { type: 'file', file_id: 'f' } }),
    'messages[0].content[0].source',
  );
  assert.equal(whyNot({ system: [{ type: 'image', source: PNG }] }).param, 'system[0]');
  assert.match(whyNot({ system: [{ type: 'image', source: PNG }] }).message, /'image'/);
});

test('what is malformed is named where it stands, whatever it is', () => {
  assert.equal(whyNotBlocks('user', 'a text'), 'messages[0].content[0]');
  assert.equal(whyNotBlocks('user', null), 'messages[0].content[0]');
  assert.equal(whyNotBlocks('user', { type: 'text' }), 'messages[0].content[0].text');
  assert.equal(whyNotBlocks('user', { type: 'image' }), 'messages[0].content[0].source');
  assert.equal(
    whyNotBlocks('user', { type: 'image', source: { type: 'url' } }),
    'messages[0].content[0].source.url',
  );
  const noData = { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: 5 } };
  assert.equal(whyNotBlocks('user', noData), 'messages[0].content[0].source.data');
  assert.equal(whyNotBlocks('user', { type: 'tool_result' }), 'messages[0].content[0].tool_use_id');
  assert.equal(whyNotBlocks('assistant', { ...CALL_A, id: '' }), 'messages[0].content[0].id');
  assert.equal(whyNotBlocks('assistant', { ...CALL_A, name: null }), 'messages[0].content[0].name');
  for (const input of [undefined, null, 'x', []]) {
    assert.equal(whyNotBlocks('assistant', { ...CALL_A, input }), 'messages[0].content[0].input');
  }
  assert.equal(whyNot({ messages: [{ role: 'developer', content: 'a' }] }).param, 'messages[0].role');
  assert.equal(whyNot({ system: 5 }).param, 'system');
});

test('names of prototypes are names like others', () => {
  const content = JSON.parse(
    '[{"type":"tool_use","id":"a","name":"__proto__","input":{"__proto__":{"x":1}}}]',
  );
  const [message] = chatMessages([{ role: 'assistant', content }]) as {
    tool_calls: { function: unknown }[];
  }[];
  assert.deepEqual(message?.tool_calls[0]?.function, {
    name: '__proto__',
    arguments: '{"__proto__":{"x":1}}',
  });
});
