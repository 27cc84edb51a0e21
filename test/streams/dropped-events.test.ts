import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delta, FINISH, type Rig, ROLE, readEvents, startRig, text } from '../support/rig.ts';
import { type StreamItem, stream } from '../support/upstream.ts';

async function dropped({ gateway }: Rig): Promise<number> {
  return (await gateway.metric('spillway_dropped_events_total{provider="a"}')) ?? 0;
}

const call = (fields: object, index = 0) => delta({ tool_calls: [{ index, ...fields }] });
const CALL_STARTS = call({ id: 'call_1', type: 'function', function: { name: 'f', arguments: '' } });

/** What may have been a chunk, but cannot be read. */
const INVALID: Record<string, string> = {
  'JSON that is cut': 'data: {"choices":[{"index":0,"delta":{"content":"lo',
  'no JSON': 'data: upstream connect error or disconnect/reset before headers',
  'two JSON texts in one': 'data: {"a":1}{"b":2}',
  'a text': 'data: "hello"',
  'a number': 'data: 42',
  null: 'data: null',
  'a list': 'data: [{"choices":[]}]',
  'choices that are no list': 'data: {"choices":{"index":0}}',
  'choices of null': 'data: {"choices":[null]}',
  'a delta that is no object': 'data: {"choices":[{"index":0,"delta":"text","finish_reason":null}]}',
  'NaN in it': 'data: {"choices":[{"index":0,"delta":{"content":NaN}}]}',
};

/** What is no part of the answer. */
const FOREIGN: Record<string, [event: string, counted: boolean]> = {
  'an object without choices': ['data: {"object":"chat.completion.metadata","provider":"x"}', true],
  'an event of another kind': ['event: metadata\ndata: {"trace":"abc"}', true],
  'a ping event': ['event: ping\ndata: {"type":"ping"}', false],
  'a ping without a name': ['data: {"type":"ping"}', false],
  'the first chunk of Azure, of nothing': [
    'data: {"id":"","model":"","choices":[],"prompt_filter_results":[{"prompt_index":0}]}',
    false,
  ],
  'an event with empty data': ['data:', false],
  'an event with blank data': ['data:   ', false],
  'an event without data': ['event: heartbeat', false],
  'a comment': [': {"choices":', false],
};

describe('an event that makes no sense', () => {
  for (const [name, event] of Object.entries(INVALID)) {
    it(`is left out and counted, and the stream goes on: ${name}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(stream([ROLE, text('Hel'), event, text('lo'), event, FINISH]));
      const received = readEvents(await (await rig.stream()).rest());
      assert.equal(received.content, 'Hello');
      assert.equal(received.done, true);
      assert.equal(received.chunks.length, 4);
      assert.equal(await dropped(rig), 2);
      assert.equal((await rig.line()).outcome, 'ok');
    });

    it(`breaks the stream while a tool call is open: ${name}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(
        stream([
          ROLE,
          CALL_STARTS,
          call({ function: { arguments: '{"a"' } }),
          event,
          delta({}, 'tool_calls'),
        ]),
      );
      const received = readEvents(await (await rig.stream()).rest());
      assert.equal(received.done, false);
      assert.equal(received.error?.code, 'stream_interrupted');
      assert.equal(received.chunks.length, 3);
      assert.equal(await dropped(rig), 1);
      assert.equal((await rig.line()).outcome, 'broken_body');
    });
  }

  for (const [name, [event, counted]] of Object.entries(FOREIGN)) {
    it(`is left out${counted ? ' and counted' : ''} where nothing of the answer can have been in it: ${name}`, async (t) => {
      const rig = await startRig(t);
      const call1 = call({ function: { arguments: '{"a"' } });
      const call2 = call({ function: { arguments: ':1}' } });
      rig.upstream.enqueue(
        stream([event, ROLE, event, CALL_STARTS, call1, event, call2, delta({}, 'tool_calls')]),
      );
      const received = readEvents(await (await rig.stream()).rest());
      assert.equal(received.done, true);
      assert.equal(received.chunks.length, 5);
      assert.equal(await dropped(rig), counted ? 3 : 0);
    });
  }

  const opened: Record<string, [items: readonly StreamItem[], whole: boolean]> = {
    'a function call of before 2024 is open': [
      [ROLE, delta({ function_call: { name: 'f', arguments: '' } }), 'data: {', delta({}, 'function_call')],
      false,
    ],
    'a tool call of the second choice is open': [
      [
        ROLE,
        delta({ tool_calls: [{ index: 0, id: 'call_1', function: { name: 'f' } }] }, null, 1),
        delta({}, 'stop'),
        'data: {',
        delta({}, 'tool_calls', 1),
      ],
      false,
    ],
    'the tool call is over': [
      [ROLE, CALL_STARTS, call({ function: { arguments: '{}' } }), delta({}, 'tool_calls'), 'data: {'],
      true,
    ],
    'an empty list of tool calls came': [
      [ROLE, delta({ tool_calls: [] }), text('Hi'), 'data: {', FINISH],
      true,
    ],
    'tool calls of null came': [[ROLE, delta({ tool_calls: null }), text('Hi'), 'data: {', FINISH], true],
  };
  for (const [name, [items, whole]] of Object.entries(opened)) {
    it(`${whole ? 'is only left out' : 'breaks the stream'} where ${name}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(stream(items));
      const received = readEvents(await (await rig.stream()).rest());
      assert.equal(received.done, whole);
    });
  }

  it('is left out in the middle of a run of good ones that came in one piece', async (t) => {
    const rig = await startRig(t);
    const events = [ROLE, text('a'), text('b')].map((event) => `data: ${JSON.stringify(event)}\n\n`);
    const rest = [text('c'), FINISH].map((event) => `data: ${JSON.stringify(event)}\n\n`);
    const all = Buffer.from(`${events.join('')}data: {"cut\n\n: comment\n\n${rest.join('')}data: [DONE]\n\n`);
    rig.upstream.enqueue(stream([all], { done: false }));
    const reader = await rig.stream();
    assert.equal(await reader.rest(), `${events.join('')}${rest.join('')}data: [DONE]\n\n`);
  });
});
