import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Conversation, Part, Turn } from '../../src/chat/conversation.ts';
import type { Recall } from '../../src/chat/extensions.ts';
import { readConversation } from '../../src/chat/read-conversation.ts';
import { Unsupported } from '../../src/chat/unsupported.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { HICCUP } from '../support/hiccup.ts';

const nothing: Recall = () => null;

function read(request: JsonObject, recall: Recall = nothing): Conversation {
  return readConversation({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...request }, recall);
}

function turnsOf(messages: Json[], recall: Recall = nothing): Turn[] {
  return read({ messages }, recall).turns;
}

/** The parameter that is blamed. */
function refusedFor(request: JsonObject): string {
  try {
    read(request);
  } catch (error) {
    assert.ok(error instanceof Unsupported, String(error));
    assert.match(error.message, /^[A-Z].*\.$/s, 'a sentence for the client');
    return error.param;
  }
  return assert.fail('nothing was refused');
}

function partOf(part: JsonObject): Part {
  const [turn] = turnsOf([{ role: 'user', content: [part] }]);
  assert.ok(turn?.role === 'user' && turn.parts[0] !== undefined);
  return turn.parts[0];
}

describe('messages become turns', () => {
  it('leading system and developer messages are the system text, later ones stand where they were', () => {
    const { system, turns } = read({
      messages: [
        { role: 'system', content: 'a' },
        { role: 'developer', content: [{ type: 'text', text: 'b' }] },
        { role: 'user', content: 'hi' },
        { role: 'system', content: 'c' },
        { role: 'assistant', content: 'yes' },
      ],
    });
    assert.deepEqual(
      system.map(({ text }) => text),
      ['a', 'b'],
    );
    assert.deepEqual(
      turns.map(({ role }) => role),
      ['user', 'system', 'assistant'],
    );
  });

  it('messages of one role in a row are one turn, in their order', () => {
    const turns = turnsOf([
      { role: 'user', content: 'a' },
      { role: 'user', content: [{ type: 'text', text: 'b' }] },
      { role: 'assistant', content: 'c' },
      { role: 'assistant', content: 'd' },
    ]);
    assert.deepEqual(
      turns.map((turn) =>
        turn.role === 'system' ? [] : turn.parts.map((part) => (part as { text: string }).text),
      ),
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    );
  });

  it('results of several tools and the text behind them are one turn of the user, with the names of the tools', () => {
    const call = (id: string, name: string) => ({
      id,
      type: 'function',
      function: { name, arguments: '{"x":1}' },
    });
    const turns = turnsOf([
      { role: 'user', content: 'go' },
      { role: 'assistant', content: null, tool_calls: [call('1', 'add'), call('2', 'sub')] },
      { role: 'tool', tool_call_id: '1', content: 'one' },
      { role: 'tool', tool_call_id: '2', content: [{ type: 'text', text: 'two' }], is_error: true },
      { role: 'user', content: 'and now?' },
    ]);
    const [, assistant, user] = turns;
    assert.ok(assistant?.role === 'assistant' && user?.role === 'user' && turns.length === 3);
    assert.deepEqual(
      assistant.calls.map(({ id, name, input }) => [id, name, input]),
      [
        ['1', 'add', { x: 1 }],
        ['2', 'sub', { x: 1 }],
      ],
    );
    assert.deepEqual(
      user.results.map(({ callId, name, isError }) => [callId, name, isError]),
      [
        ['1', 'add', false],
        ['2', 'sub', true],
      ],
    );
    assert.equal((user.parts[0] as { text: string }).text, 'and now?');
  });

  it('empty texts are left out, and turns with nothing in them', () => {
    const turns = turnsOf([
      { role: 'user', content: '' },
      { role: 'assistant', content: '' },
      {
        role: 'user',
        content: [
          { type: 'text', text: '' },
          { type: 'text', text: 'x' },
        ],
      },
    ]);
    assert.equal(turns.length, 1);
    const around = turnsOf([
      { role: 'assistant', content: 'a' },
      { role: 'user', content: '' },
      { role: 'assistant', content: 'b' },
    ]);
    assert.equal(around.length, 1, 'what is left are turns that follow each other');
    assert.deepEqual((turns[0] as { parts: Part[] }).parts.length, 1);
  });

  it('what was a function call before tools is one of a tool', () => {
    const turns = turnsOf([
      { role: 'assistant', content: null, function_call: { name: 'add', arguments: '{}' } },
      { role: 'function', name: 'add', content: '3' },
    ]);
    const [assistant, user] = turns;
    assert.ok(assistant?.role === 'assistant' && user?.role === 'user');
    assert.equal(assistant.calls[0]?.id, 'add');
    assert.deepEqual([user.results[0]?.callId, user.results[0]?.name], ['add', 'add']);
  });

  it('arguments that are blank are none, and what is no object is kept in one', () => {
    const input = (args: Json) => {
      const made = { id: '1', type: 'function', function: { name: 'f', arguments: args } };
      const [turn] = turnsOf([{ role: 'assistant', tool_calls: [made] }]);
      assert.ok(turn?.role === 'assistant');
      return turn.calls[0]?.input;
    };
    assert.deepEqual(input(''), {});
    assert.deepEqual(input(' '), {});
    assert.deepEqual(input('{"a":[1]}'), { a: [1] });
    assert.deepEqual(input({ a: 1 }), { a: 1 });
    assert.deepEqual(input('{"a":'), { arguments: '{"a":' });
    assert.deepEqual(input('[1]'), { arguments: '[1]' });
  });

  it('refuses what has no form, and names it', () => {
    assert.equal(refusedFor({ messages: ['hi'] }), 'messages[0]');
    assert.equal(refusedFor({ messages: [{ role: 'robot', content: 'x' }] }), 'messages[0].role');
    assert.equal(refusedFor({ messages: [{ role: 'user', content: 5 }] }), 'messages[0].content');
    assert.equal(
      refusedFor({ messages: [{ role: 'user', content: [{ type: 'video' }] }] }),
      'messages[0].content[0]',
    );
    assert.equal(refusedFor({ messages: [{ role: 'tool', content: 'x' }] }), 'messages[0].tool_call_id');
    const custom = { id: '1', type: 'custom', custom: { name: 'f', input: 'x' } };
    assert.equal(
      refusedFor({ messages: [{ role: 'assistant', tool_calls: [custom] }] }),
      'messages[0].tool_calls[0]',
    );
    const image = { type: 'image_url', image_url: { url: 'https://x.example/a.png' } };
    assert.equal(refusedFor({ messages: [{ role: 'system', content: [image] }] }), 'messages[0].content[0]');
  });
});

describe('parts', () => {
  it('an image is its data or its URL', () => {
    const image = (url: string) => {
      const part = partOf({ type: 'image_url', image_url: { url, detail: 'low' } });
      assert.ok(part.kind === 'image');
      return part.source;
    };
    assert.deepEqual(image('data:image/JPEG;base64,AAAA'), {
      kind: 'data',
      mediaType: 'image/jpeg',
      data: 'AAAA',
    });
    assert.deepEqual(image('data:;base64,AAAA'), { kind: 'data', mediaType: 'image/png', data: 'AAAA' });
    assert.deepEqual(image('https://x.example/a.png'), { kind: 'url', url: 'https://x.example/a.png' });
    assert.deepEqual(image('data:image/svg+xml,h%C3%A9'), {
      kind: 'data',
      mediaType: 'image/svg+xml',
      data: 'aMOp',
    });
    for (const url of ['nowhere', '', 'data:image/png', 'data:image/svg+xml,%']) {
      assert.throws(() => image(url), Unsupported, url);
    }
    for (const url of [
      'data:text/html;base64,AAAA',
      'data:application/octet-stream;base64,AAAA',
      'data:x,a',
    ]) {
      assert.throws(
        () => image(url),
        { name: 'Unsupported', message: /no image/, param: 'messages[0].content[0]' },
        url,
      );
    }
  });

  it('a data URL has data, in base64 if it says so', () => {
    const data = (text: string) => {
      const part = partOf({ type: 'image_url', image_url: { url: `data:image/png;base64,${text}` } });
      assert.ok(part.kind === 'image' && part.source.kind === 'data');
      return part.source.data;
    };
    for (const text of [
      'AAAA',
      'AA==',
      'AAA=',
      'AA',
      '+/+/',
      '-_-_',
      'AAAA\r\nBBBB\r\n',
      'AA==\r\n',
      ' AAAA',
    ]) {
      assert.equal(data(text), text);
    }
    const wrong = [
      '@@@',
      'AAAA@',
      '=',
      '==',
      'AA===',
      'AA==AA',
      'A=AA',
      'AA= =',
      ' ',
      '\n',
      'é',
      '%41',
      '"',
      'AA==\0',
    ];
    const long = 'A'.repeat(300_000);
    for (const text of [
      ...wrong,
      `@${long}`,
      `${long}@`,
      `${long}==AA`,
      `=${long}`,
      `AA=${'\n'.repeat(15)}@`,
      '\n'.repeat(300_000),
    ]) {
      const refused = { name: 'Unsupported', message: /not base64/, param: 'messages[0].content[0]' };
      assert.throws(() => data(text), refused, JSON.stringify(text.slice(0, 20)));
    }
    assert.equal(data(`${long}==`).length, 300_002);
    for (const url of ['data:image/png;base64,', 'data:image/png,', 'data:,']) {
      const empty = { name: 'Unsupported', message: /no data/, param: 'messages[0].content[0]' };
      assert.throws(() => partOf({ type: 'image_url', image_url: { url } }), empty, url);
      assert.throws(() => partOf({ type: 'file', file: { file_data: url } }), empty, url);
    }
  });

  it('however large a data URL is, looking at it takes next to no time', () => {
    for (const text of ['A', '\n', '=', ' A', 'A='].map((one) => one.repeat(20_000_000 / one.length))) {
      const url = `data:image/png;base64,AAAA${text}`;
      const from = performance.now();
      try {
        partOf({ type: 'image_url', image_url: { url } });
      } catch (error) {
        assert.ok(error instanceof Unsupported);
      }
      assert.ok(performance.now() - from < HICCUP);
    }
  });

  it('a file is its data with a type by its URL or its name, or a URL', () => {
    const file = (members: JsonObject) => {
      const part = partOf({ type: 'file', file: members });
      assert.ok(part.kind === 'file');
      return [part.name, part.source];
    };
    assert.deepEqual(file({ filename: 'a.pdf', file_data: 'data:application/pdf;base64,AA' }), [
      'a.pdf',
      { kind: 'data', mediaType: 'application/pdf', data: 'AA' },
    ]);
    assert.deepEqual(file({ filename: 'a.csv', file_data: 'AA' })[1], {
      kind: 'data',
      mediaType: 'text/csv',
      data: 'AA',
    });
    assert.deepEqual(file({ filename: 'constructor', file_data: 'AA' })[1], {
      kind: 'data',
      mediaType: 'application/pdf',
      data: 'AA',
    });
    assert.deepEqual(file({ file_url: 'https://x.example/a.pdf' }), [
      null,
      { kind: 'url', url: 'https://x.example/a.pdf' },
    ]);
    assert.throws(() => file({ file_id: 'file-1' }), Unsupported);
  });

  it('audio is its data and its format', () => {
    const part = partOf({ type: 'input_audio', input_audio: { data: 'AA', format: 'mp3' } });
    assert.ok(part.kind === 'audio');
    assert.deepEqual([part.format, part.data], ['mp3', 'AA']);
    assert.throws(() => partOf({ type: 'input_audio' }), Unsupported);
  });

  it('cache marks stand on parts, tools, results and whole messages', () => {
    const mark = { type: 'ephemeral' };
    const { system, turns, tools } = read({
      messages: [
        { role: 'system', content: [{ type: 'text', text: 'a', cache_control: mark }] },
        { role: 'user', content: 'b', cache_control: { ...mark, ttl: '1h' } },
        { role: 'tool', tool_call_id: '1', content: 'c', cache_control: mark },
      ],
      tools: [{ type: 'function', function: { name: 'f' }, cache_control: { ...mark, ttl: 'x' } }],
    });
    const [user] = turns;
    assert.ok(user?.role === 'user');
    assert.deepEqual(
      [system[0]?.cache, user.parts[0]?.cache, user.results[0]?.cache, tools[0]?.cache],
      [{ ttl: null }, { ttl: '1h' }, { ttl: null }, { ttl: null }],
    );
  });
});

describe('what a model must be handed back', () => {
  const blocks = [
    { type: 'thinking', thinking: 'hm', signature: 's1' },
    { type: 'redacted_thinking', data: 'd1', origin: 'bedrock' },
  ];
  const calls = [
    {
      id: 'c1',
      type: 'function',
      function: { name: 'f', arguments: '{}' },
      extra_content: { google: { thought_signature: 'g1' } },
    },
  ];

  it('is read from the message', () => {
    const [turn] = turnsOf([
      {
        role: 'assistant',
        content: null,
        thinking_blocks: blocks,
        reasoning_content: 'hm',
        tool_calls: calls,
      },
    ]);
    assert.ok(turn?.role === 'assistant');
    assert.deepEqual(turn.thinking, blocks);
    assert.equal(turn.reasoning, 'hm');
    assert.equal(turn.calls[0]?.thoughtSignature, 'g1');
  });

  it('and from memory where the client lost it, but never over what it sent', () => {
    const recall: Recall = (id) =>
      id === 'c1'
        ? {
            thinkingBlocks: [{ type: 'thinking', thinking: 'kept', signature: 's' }],
            thoughtSignatures: { c1: 'kept' },
          }
        : null;
    const bare = [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } }];
    const [lost] = turnsOf([{ role: 'assistant', tool_calls: bare }], recall);
    assert.ok(lost?.role === 'assistant');
    assert.deepEqual(lost.thinking, [{ type: 'thinking', thinking: 'kept', signature: 's' }]);
    assert.equal(lost.calls[0]?.thoughtSignature, 'kept');
    const [own] = turnsOf([{ role: 'assistant', thinking_blocks: blocks, tool_calls: calls }], recall);
    assert.ok(own?.role === 'assistant');
    assert.deepEqual(own.thinking, blocks);
    assert.equal(own.calls[0]?.thoughtSignature, 'g1');
  });

  it('is not made of what has another form', () => {
    const wrong = [{ type: 'thinking', thinking: 'x' }, { type: 'redacted_thinking' }, 'x', null];
    const [turn] = turnsOf([{ role: 'assistant', content: 'x', thinking_blocks: wrong }]);
    assert.ok(turn?.role === 'assistant');
    assert.deepEqual(turn.thinking, []);
  });
});

describe('parameters', () => {
  it('have their place, whichever way they are written', () => {
    const { maxTokens, stop, user, n, metadata } = read({
      max_tokens: 5,
      max_completion_tokens: 7,
      stop: 'x',
      user: 'u',
      safety_identifier: 's',
      metadata: { a: 'b', c: 1 },
    });
    assert.deepEqual([maxTokens, stop, user, n, metadata], [7, ['x'], 's', 1, { a: 'b' }]);
    assert.deepEqual(read({ stop: ['', 'a'] }).stop, ['a']);
  });

  it('of another type are refused by name, and none is taken for none', () => {
    const wrong: JsonObject = {
      temperature: 'hot',
      top_p: '1',
      top_k: true,
      seed: 's',
      n: 0,
      max_tokens: -5,
      max_completion_tokens: 1.5,
      stop: 5,
      parallel_tool_calls: 'no',
      service_tier: 5,
      user: 5,
      logprobs: 1,
    };
    for (const [name, value] of Object.entries(wrong)) {
      assert.equal(refusedFor({ [name]: value }), name);
      assert.doesNotThrow(() => read({ [name]: null }), name);
    }
    assert.equal(refusedFor({ stop: ['a', 1] }), 'stop');
  });

  it('tools, their choice and the ones that are allowed', () => {
    const tools = ['f', 'g'].map((name) => ({ type: 'function', function: { name, strict: true } }));
    assert.deepEqual(
      read({ tools }).tools.map(({ name, strict, parameters }) => [name, strict, parameters]),
      [
        ['f', true, null],
        ['g', true, null],
      ],
    );
    assert.deepEqual(read({ tool_choice: 'required' }).toolChoice, { kind: 'required' });
    assert.deepEqual(read({ tool_choice: { type: 'function', function: { name: 'f' } } }).toolChoice, {
      kind: 'named',
      name: 'f',
    });
    const allowed = {
      type: 'allowed_tools',
      allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'g' } }] },
    };
    const narrowed = read({ tools, tool_choice: allowed });
    assert.deepEqual(narrowed.toolChoice, { kind: 'required' });
    assert.deepEqual(
      narrowed.tools.map(({ name }) => name),
      ['g'],
    );
    assert.equal(refusedFor({ tools: [{ type: 'custom', custom: { name: 'f' } }] }), 'tools[0]');
    assert.equal(refusedFor({ tools: [{ type: 'function', function: {} }] }), 'tools[0].function.name');
    assert.equal(refusedFor({ tool_choice: 'always' }), 'tool_choice');
  });

  it('formats of the answer', () => {
    const format = (response_format: JsonObject) => read({ response_format }).responseFormat;
    assert.deepEqual(format({ type: 'json_object' }), { kind: 'json' });
    assert.deepEqual(
      format({ type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' }, strict: true } }),
      {
        kind: 'schema',
        name: 'n',
        schema: { type: 'object' },
        strict: true,
      },
    );
    assert.equal(refusedFor({ response_format: { type: 'grammar' } }), 'response_format');
  });

  it('an effort is one of the known words', () => {
    assert.equal(read({ reasoning_effort: 'xhigh' }).reasoningEffort, 'xhigh');
    assert.equal(refusedFor({ reasoning_effort: 'hard' }), 'reasoning_effort');
  });

  it('all others are kept by name, but those that ask for nothing', () => {
    const { others } = read({
      store: true,
      logit_bias: {},
      verbosity: 'low',
      prediction: null,
      stream: true,
    });
    assert.deepEqual(others, { store: true, verbosity: 'low' });
  });
});

it('whatever is sent, it is read or refused as unsupported, and turns alternate', () => {
  const words = fc.constantFrom(
    'user',
    'assistant',
    'system',
    'tool',
    'text',
    'image_url',
    'function',
    '1',
    '__proto__',
  );
  const names = fc.constantFrom(
    'role',
    'content',
    'type',
    'text',
    'tool_calls',
    'tool_call_id',
    'id',
    'function',
    'name',
    'arguments',
    'image_url',
    'thinking_blocks',
    '__proto__',
  );
  const { tree } = fc.letrec<{ tree: Json }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      words,
      fc.constantFrom(null, true, 0, 1.5, ''),
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(names, tie('tree'), { maxKeys: 5 }) as fc.Arbitrary<Json>,
    ),
  }));
  fc.assert(
    fc.property(fc.array(tree, { maxLength: 6 }), tree, tree, (messages, tools, choice) => {
      let conversation: Conversation;
      try {
        conversation = read({ messages, tools, tool_choice: choice });
      } catch (error) {
        assert.ok(error instanceof Unsupported, String(error));
        return;
      }
      for (const [index, turn] of conversation.turns.entries()) {
        assert.notEqual(turn.role, conversation.turns[index - 1]?.role);
      }
    }),
    { numRuns: 2000 },
  );
});
