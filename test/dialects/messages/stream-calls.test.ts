import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messages } from '../../../src/dialects/messages/messages.ts';
import { faultIn } from './grammar.ts';
import { ASK, blocksOf, chunk, eventsIn, piece, present, read, TOOL, told } from './kit.ts';

test('calls of tools are told one after the other', () => {
  const deltas = [
    { content: 'See: ' },
    piece(0, '', { id: 'call_1', name: 'weather' }),
    piece(0, '{"city":'),
    piece(0, '"Rome"}'),
    piece(1, '', { id: 'call_2', name: 'time' }),
    piece(1, '{}'),
  ];
  assert.deepEqual(blocksOf(deltas), [
    { type: 'text', text: 'See: ' },
    { type: 'tool_use', id: 'call_1', name: 'weather', json: '{"city":"Rome"}' },
    { type: 'tool_use', id: 'call_2', name: 'time', json: '{}' },
  ]);
});

test('calls whose pieces come in between each other are put in order', () => {
  const deltas = [
    piece(0, '{"a":', { id: 'call_1', name: 'one' }),
    piece(1, '{"b":', { id: 'call_2', name: 'two' }),
    piece(2, '{"c":', { id: 'call_3', name: 'three' }),
    piece(2, '"}"}'),
    piece(0, '"}'),
    { content: 'a word' },
    piece(1, '2}'),
    { content: ' more' },
    piece(0, '"}'),
  ];
  assert.deepEqual(blocksOf(deltas), [
    { type: 'tool_use', id: 'call_1', name: 'one', json: '{"a":"}"}' },
    { type: 'tool_use', id: 'call_2', name: 'two', json: '{"b":2}' },
    { type: 'tool_use', id: 'call_3', name: 'three', json: '{"c":"}"}' },
    { type: 'text', text: 'a word more' },
  ]);
});

test('what waits for a call is told as soon as the call is whole', () => {
  const presenter = messages.presenter(read({ ...ASK, tools: [TOOL] }), 'id1', 1);
  presenter.chunk(chunk(piece(0, '{"a":', { id: 'call_1', name: 'one' })));
  assert.equal(presenter.chunk(chunk({ content: 'a word' })), null);
  const events = eventsIn(presenter.chunk(chunk(piece(0, '1}'))) ?? Buffer.alloc(0));
  assert.deepEqual(
    events.map(({ type }) => type),
    ['content_block_delta', 'content_block_stop', 'content_block_start', 'content_block_delta'],
  );
});

test('a call that never gets whole keeps what came, and so does what waited for it', () => {
  const deltas = [
    piece(0, '{"a":', { id: 'call_1', name: 'one' }),
    { reasoning_content: 'Hm' },
    piece(1, '{"b"', { id: 'call_2', name: 'two' }),
  ];
  assert.deepEqual(blocksOf(deltas), [
    { type: 'tool_use', id: 'call_1', name: 'one', json: '{"a":' },
    { type: 'thinking', thinking: 'Hm', signature: '' },
    { type: 'tool_use', id: 'call_2', name: 'two', json: '{"b"' },
  ]);
});

test('brackets and quotes within texts of arguments are no ends', () => {
  const json = '{"a":"}\\"]","b":[{}],"c":"\\\\"}';
  for (let at = 1; at < json.length; at++) {
    const deltas = [
      piece(0, json.slice(0, at), { id: 'call_1', name: 'one' }),
      piece(1, '{}', { id: 'call_2', name: 'two' }),
      piece(0, json.slice(at)),
    ];
    assert.deepEqual(
      blocksOf(deltas).map(({ json: text }) => text),
      [json, '{}'],
    );
  }
});

test('a call without arguments has an empty object', () => {
  for (const args of ['', '  ', 'null', ' null ']) {
    assert.deepEqual(blocksOf([piece(0, args, { id: 'call_1', name: 'one' })]), [
      { type: 'tool_use', id: 'call_1', name: 'one', json: '{}' },
    ]);
  }
});

test('arguments that are no object from the beginning are told, and never taken for none', () => {
  assert.deepEqual(blocksOf([piece(0, ' [1', { id: 'call_1', name: 'one' }), piece(0, ']')]), [
    { type: 'tool_use', id: 'call_1', name: 'one', json: '{"INVALID_JSON":" [1]"}' },
  ]);
});

test('arguments that go on after their end are an error, and no end follows', () => {
  const damaged = [
    [piece(0, '{}', { id: 'call_1', name: 'one' }), piece(0, '{"a":1}')],
    [piece(0, '{}', { id: 'call_1', name: 'one' }), { content: 'a' }, piece(0, '{"a":1}')],
  ];
  for (const deltas of damaged) {
    const events = eventsIn(present([...deltas, { content: 'b' }].map((delta) => chunk(delta))));
    assert.equal(events.at(-1)?.type, 'error');
    assert.equal(faultIn(events), null);
    assert.ok(!JSON.stringify(events).includes('"b"'));
  }
  const late = [piece(0, '{}', { id: 'call_1', name: 'one' }), { content: 'a' }, piece(0, ' \n')];
  assert.equal(told(late).at(-1)?.type, 'message_stop');
});

test('a call waits for its name, and keeps the first', () => {
  const deltas = [
    piece(0, '{"a"', { id: 'call_1' }),
    { content: 'a word' },
    piece(0, ':1}', { name: 'one' }),
    piece(0, '', { name: 'another' }),
  ];
  assert.deepEqual(blocksOf(deltas), [
    { type: 'tool_use', id: 'call_1', name: 'one', json: '{"a":1}' },
    { type: 'text', text: 'a word' },
  ]);
  assert.deepEqual(blocksOf([piece(0, '{}')]), [
    { type: 'tool_use', id: 'toolu_id1_0', name: '', json: '{}' },
  ]);
});

test('calls are told apart where a host gives all of them one index, or none', () => {
  const head = (id: string, name: string) => ({ id, function: { name, arguments: '{' } });
  const rest = { function: { arguments: '}' } };
  const same = [head('call_1', 'one'), rest, head('call_2', 'two'), rest].map((call) => ({
    index: 0,
    ...call,
  }));
  const none = [head('call_1', 'one'), rest, head('call_2', 'two'), rest];
  for (const calls of [same, none]) {
    assert.deepEqual(
      blocksOf(calls.map((call) => ({ tool_calls: [call] }))).map(({ id, name, json }) => [id, name, json]),
      [
        ['call_1', 'one', '{}'],
        ['call_2', 'two', '{}'],
      ],
    );
  }
  const repeated = ['{"a"', ':1}'].map((args) => ({
    tool_calls: [{ index: 0, id: 'call_1', function: { name: 'one', arguments: args } }],
  }));
  assert.deepEqual(blocksOf(repeated), [{ type: 'tool_use', id: 'call_1', name: 'one', json: '{"a":1}' }]);
  // Both in one delta, and the id again with each piece.
  const again = { tool_calls: [head('call_1', 'one'), head('call_2', 'two')] };
  const ends = {
    tool_calls: [
      { id: 'call_1', ...rest },
      { id: 'call_2', ...rest },
    ],
  };
  assert.deepEqual(
    blocksOf([again, ends]).map(({ json }) => json),
    ['{}', '{}'],
  );
});

test('arguments that a host gives as an object are told as its text', () => {
  const calls = [{ index: 0, id: 'call_1', function: { name: 'one', arguments: { a: 1 } } }];
  assert.equal(blocksOf([{ tool_calls: calls }])[0]?.['json'], '{"a":1}');
});

test('a name that was shortened for chat is whole again', () => {
  const name = `mcp__${'server_'.repeat(12)}__do`;
  const body = { ...ASK, tools: [{ ...TOOL, name }] };
  const [tool] = read(body).chat().value['tools'] as { function: { name: string } }[];
  const [block] = blocksOf([piece(0, '{}', { id: 'call_1', name: tool?.function.name ?? '' })], body);
  assert.equal(block?.['name'], name);
});
