import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import type { JsonObject } from '../../../src/core/json.ts';
import { responses } from '../../../src/dialects/responses/responses.ts';
import { checkGrammar } from './grammar.ts';
import {
  CREATED,
  type CreateParams,
  chunk,
  clientOf,
  eventsIn,
  ID,
  read,
  type StreamEvent,
  served,
  streamOf,
  USAGE_CHUNK,
} from './kit.ts';

const ASKED: CreateParams = { model: 'smart', input: 'Hi', stream: true };

const callStart = (index: number, id: string, name = 'look'): JsonObject => ({
  tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }],
});
const callPiece = (index: number, args: string): JsonObject => ({
  tool_calls: [{ index, function: { arguments: args } }],
});

/** All that an answer can have, with calls in turns. */
const EVERYTHING: JsonObject[] = [
  chunk({ role: 'assistant', content: '' }),
  chunk({ reasoning_content: 'Let me ' }),
  chunk({ reasoning_content: 'think.' }),
  chunk({ content: 'Grüß ' }),
  chunk({ content: 'Gott 👋' }),
  chunk({ refusal: 'No.' }),
  chunk({
    annotations: [
      {
        type: 'url_citation',
        url_citation: { url: 'https://x.test', title: 'X', start_index: 0, end_index: 4 },
      },
    ],
  }),
  chunk(callStart(0, 'a')),
  chunk(callPiece(0, '{"x"')),
  chunk(callStart(1, 'b')),
  chunk(callPiece(1, '{}')),
  chunk(callPiece(0, ':1}')),
  chunk({ thinking_blocks: [{ index: 0, type: 'thinking', thinking: 'Let me think.', signature: 's' }] }),
  chunk({}, 'tool_calls'),
  USAGE_CHUNK,
];

/** An event without what all of them have. */
function bare(event: StreamEvent): JsonObject {
  const { sequence_number: _, response: __, ...rest } = event as unknown as JsonObject;
  return rest;
}

describe('chunks become the events of the responses API', () => {
  it('tells of a text in the order of the API', () => {
    const chunks = [
      chunk({ role: 'assistant', content: '' }),
      chunk({ content: 'Hel' }),
      chunk({ content: 'lo' }),
      chunk({}, 'stop'),
      USAGE_CHUNK,
    ];
    const events = eventsIn(streamOf(ASKED, chunks));
    const at = { item_id: `msg_${ID}`, output_index: 0 };
    const part = { type: 'output_text', text: 'Hello', annotations: [], logprobs: [] };
    const item = { id: at.item_id, type: 'message', role: 'assistant' };
    assert.deepEqual(events.map(bare), [
      { type: 'response.created' },
      { type: 'response.in_progress' },
      {
        type: 'response.output_item.added',
        output_index: 0,
        item: { ...item, status: 'in_progress', content: [] },
      },
      { type: 'response.content_part.added', ...at, content_index: 0, part: { ...part, text: '' } },
      { type: 'response.output_text.delta', ...at, content_index: 0, delta: 'Hel', logprobs: [] },
      { type: 'response.output_text.delta', ...at, content_index: 0, delta: 'lo', logprobs: [] },
      { type: 'response.output_text.done', ...at, content_index: 0, text: 'Hello', logprobs: [] },
      { type: 'response.content_part.done', ...at, content_index: 0, part },
      {
        type: 'response.output_item.done',
        output_index: 0,
        item: { ...item, status: 'completed', content: [part] },
      },
      { type: 'response.completed' },
    ]);
    const response = checkGrammar(events);
    assert.equal(response?.id, `resp_${ID}`);
    assert.equal(response?.created_at, CREATED);
    assert.equal(response?.model, 'model-x');
    assert.equal(response?.usage?.total_tokens, 29);
  });

  it('tells of a thought as a summary, which ends when something else begins', () => {
    const chunks = [
      chunk({ reasoning_content: 'Let me ' }),
      chunk({ reasoning_content: 'think.' }),
      chunk(callStart(0, 'a')),
      chunk(callPiece(0, '{}')),
      chunk({}, 'tool_calls'),
    ];
    const events = eventsIn(streamOf(ASKED, chunks));
    checkGrammar(events);
    const at = { item_id: `rs_${ID}`, output_index: 0, summary_index: 0 };
    const call = { item_id: `fc_${ID}_0`, output_index: 1 };
    assert.deepEqual(events.slice(3, -4).map(bare), [
      {
        type: 'response.reasoning_summary_part.added',
        ...at,
        part: { type: 'summary_text', text: '' },
      },
      { type: 'response.reasoning_summary_text.delta', ...at, delta: 'Let me ' },
      { type: 'response.reasoning_summary_text.delta', ...at, delta: 'think.' },
      { type: 'response.reasoning_summary_text.done', ...at, text: 'Let me think.' },
      {
        type: 'response.reasoning_summary_part.done',
        ...at,
        part: { type: 'summary_text', text: 'Let me think.' },
      },
      {
        type: 'response.output_item.added',
        output_index: 1,
        item: {
          id: call.item_id,
          type: 'function_call',
          status: 'in_progress',
          call_id: 'a',
          name: 'look',
          arguments: '',
        },
      },
      { type: 'response.function_call_arguments.delta', ...call, delta: '{}' },
    ]);
    assert.deepEqual(
      events.slice(-4).map(({ type }) => type),
      [
        'response.output_item.done',
        'response.function_call_arguments.done',
        'response.output_item.done',
        'response.completed',
      ],
    );
  });

  it('goes on with a thought in another part of its summary', () => {
    const chunks = [
      chunk({ reasoning: 'One' }),
      chunk({ content: 'x' }),
      chunk({ reasoning: 'Two' }),
      chunk({ content: 'y' }),
      chunk({}, 'stop'),
    ];
    const response = checkGrammar(eventsIn(streamOf(ASKED, chunks)));
    assert.deepEqual(
      response?.output.map((item) => (item.type === 'reasoning' ? item.summary : item.type)),
      [
        [
          { type: 'summary_text', text: 'One' },
          { type: 'summary_text', text: 'Two' },
        ],
        'message',
      ],
    );
  });

  it('gives the same to the SDK though each byte comes by itself', async () => {
    const bytes = streamOf(ASKED, EVERYTHING);
    const whole = checkGrammar(eventsIn(bytes));
    assert.ok(whole);
    const events: StreamEvent[] = [];
    const stream = clientOf([...bytes].map((byte) => Buffer.from([byte]))).responses.stream({
      model: 'smart',
      input: 'Hi',
    });
    for await (const event of stream) events.push(event);
    const final = await stream.finalResponse();
    assert.equal(events.length, eventsIn(bytes).length);
    assert.equal(final.output_text, 'Grüß Gott 👋');
    assert.equal(final.status, 'completed');
    assert.deepEqual(
      final.output.map(({ type }) => type),
      whole.output.map(({ type }) => type),
    );
    assert.deepEqual(final.usage, whole.usage);
  });

  it('is one stream of typed events to create() too', async () => {
    const bytes = streamOf(ASKED, EVERYTHING);
    const deltas: string[] = [];
    await served([bytes], 'text/event-stream', async (client) => {
      for await (const event of await client.responses.create({ model: 'm', input: 'Hi', stream: true })) {
        if (event.type === 'response.function_call_arguments.delta') deltas.push(event.delta);
      }
    });
    assert.deepEqual(deltas, ['{"x"', '{}', ':1}']);
  });

  it('is parsed by the SDK by a schema', async () => {
    const chunks = [chunk({ content: '{"n"' }), chunk({ content: ':5}' }), chunk({}, 'stop'), USAGE_CHUNK];
    const bytes = streamOf(ASKED, chunks);
    const final = await served([bytes], 'text/event-stream', (client) =>
      client.responses
        .stream({
          model: 'm',
          input: 'Hi',
          text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true } },
        })
        .finalResponse(),
    );
    assert.deepEqual(final.output_parsed, { n: 5 });
  });

  it('ends as incomplete where something is missing', () => {
    for (const [finish, reason] of [
      ['length', 'max_output_tokens'],
      ['content_filter', 'content_filter'],
    ] as const) {
      const events = eventsIn(streamOf(ASKED, [chunk({ content: 'x' }), chunk({}, finish)]));
      assert.equal(events.at(-1)?.type, 'response.incomplete');
      const response = checkGrammar(events);
      assert.deepEqual(response?.incomplete_details, { reason });
      assert.equal((response?.output[0] as { status?: string } | undefined)?.status, 'incomplete');
    }
  });

  it('tells how likely each token was', () => {
    const tokens = [{ token: 'Hi', logprob: -0.1, bytes: [72, 105], top_logprobs: [] }];
    const said = chunk({ content: 'Hi' });
    (said['choices'] as JsonObject[])[0] = {
      ...(said['choices'] as JsonObject[])[0],
      logprobs: { content: tokens },
    };
    const events = eventsIn(streamOf(ASKED, [said, chunk({}, 'stop')]));
    checkGrammar(events);
    const delta = events.find(({ type }) => type === 'response.output_text.delta');
    assert.deepEqual((delta as { logprobs?: unknown }).logprobs, tokens);
    const done = events.find(({ type }) => type === 'response.output_text.done');
    assert.deepEqual((done as { logprobs?: unknown }).logprobs, tokens);
  });

  it('takes the model from the first chunk, the tier and the finish from wherever they come', () => {
    const chunks = [
      chunk({ role: 'assistant' }, null, { model: 'first' }),
      chunk({ content: 'x' }, 'length', { model: 'second', service_tier: 'flex' }),
      chunk({}, ''),
    ];
    const response = checkGrammar(eventsIn(streamOf(ASKED, chunks)));
    assert.equal(response?.model, 'first');
    assert.equal(response?.service_tier, 'flex');
    assert.equal(response?.status, 'incomplete');
    const unnamed = [chunk({ content: 'x' }, null, { model: '' }), chunk({}, 'stop')];
    assert.equal(checkGrammar(eventsIn(streamOf(ASKED, unnamed)))?.model, 'smart');
  });

  it('has an empty message where nothing came', () => {
    const response = checkGrammar(eventsIn(streamOf(ASKED, [chunk({}, 'stop')])));
    assert.deepEqual(
      response?.output.map(({ type }) => type),
      ['message'],
    );
  });

  it('listens to the first choice only', () => {
    const other = chunk({ content: 'other' });
    (other['choices'] as JsonObject[])[0] = { ...(other['choices'] as JsonObject[])[0], index: 1 };
    const response = checkGrammar(
      eventsIn(streamOf(ASKED, [other, chunk({ content: 'x' }), chunk({}, 'stop')])),
    );
    assert.equal(response?.output.length, 1);
    assert.match(JSON.stringify(response?.output), /"text":"x"/);
  });
});

describe('calls are told apart', () => {
  const calls = (deltas: JsonObject[]) => {
    const chunks = [...deltas.map((delta) => chunk(delta)), chunk({}, 'tool_calls')];
    const response = checkGrammar(eventsIn(streamOf(ASKED, chunks)));
    return (response?.output ?? []).map((item) => {
      assert.ok(item.type === 'function_call');
      return `${item.call_id} ${item.name} ${item.arguments}`;
    });
  };
  const one = (call: JsonObject): JsonObject => ({ tool_calls: [call] });

  it('by their index, though their pieces come in turns', () => {
    const made = calls([
      callStart(1, 'b'),
      callStart(0, 'a'),
      callPiece(1, '[1'),
      callPiece(0, '[0'),
      callPiece(1, ']'),
      callPiece(0, ']'),
    ]);
    assert.deepEqual(made, ['b look [1]', 'a look [0]']);
  });

  it('by their id, where all have the same index or none', () => {
    const whole = (id: string, index: number | undefined) =>
      one({ ...(index === undefined ? {} : { index }), id, function: { name: 'f', arguments: `"${id}` } });
    const rest = (index: number | undefined) =>
      one({ ...(index === undefined ? {} : { index }), function: { arguments: '"' } });
    for (const index of [0, undefined]) {
      const made = calls([whole('a', index), rest(index), whole('b', index), rest(index)]);
      assert.deepEqual(made, ['a f "a"', 'b f "b"']);
    }
  });

  it('by their name, where there is nothing else', () => {
    const made = calls([
      one({ function: { name: 'f', arguments: '{' } }),
      one({ function: { arguments: '}' } }),
      one({ function: { name: 'g', arguments: '{}' } }),
    ]);
    assert.deepEqual(
      made.map((call) => call.slice(call.indexOf(' ') + 1)),
      ['f {}', 'g {}'],
    );
    assert.equal(new Set(made.map((call) => call.split(' ')[0])).size, 2);
  });

  it('though the id stands on every piece', () => {
    const piece = (args: string) => one({ index: 0, id: 'a', function: { name: 'f', arguments: args } });
    assert.deepEqual(calls([piece('{'), piece('}')]), ['a f {}']);
  });

  it('though the name comes after the first of the arguments, or never', () => {
    const made = calls([
      one({ index: 0, id: 'a', function: { arguments: '{' } }),
      one({ index: 1, id: 'b', function: { arguments: '{}' } }),
      one({ index: 0, function: { name: 'f', arguments: '}' } }),
    ]);
    assert.deepEqual(made, ['a f {}', 'b  {}']);
  });

  it('though one without a name is all that there is', () => {
    assert.deepEqual(calls([one({ index: 0, id: 'a', function: { arguments: '{}' } })]), ['a  {}']);
  });

  it('though the id comes after the first piece', () => {
    const made = calls([
      one({ index: 0, function: { name: 'f', arguments: '{' } }),
      one({ index: 0, id: 'a', function: { arguments: '}' } }),
    ]);
    assert.equal(made.length, 1);
    assert.match(made[0] ?? '', / f \{\}$/);
  });

  it('and arguments that came as an object are not lost', () => {
    assert.deepEqual(calls([one({ index: 0, id: 'a', function: { name: 'f', arguments: { x: 1 } } })]), [
      'a f {"x":1}',
    ]);
  });
});

describe('a stream of the responses API ends', () => {
  it('with nothing of ours where the events were the upstream’s own', () => {
    assert.equal(responses.presenter(read(ASKED), ID, CREATED).end(true), null);
  });

  it('with an error, and never as if it were whole', async () => {
    const presenter = responses.presenter(read(ASKED), ID, CREATED);
    const error = { message: 'It broke.', type: 'server_error', code: 'stream_interrupted' };
    const bytes = Buffer.concat([
      presenter.chunk(chunk({ content: 'Hel' })) as Buffer,
      presenter.error(error),
    ]);
    const events = eventsIn(bytes);
    assert.equal(checkGrammar(events), null);
    const last = events.at(-1);
    assert.ok(last?.type === 'error');
    assert.deepEqual(last, {
      type: 'error',
      sequence_number: events.length - 1,
      code: 'stream_interrupted',
      message: 'It broke.',
      param: null,
      error: { ...error, param: null },
    } as OpenAI.Responses.ResponseErrorEvent);
    const failure = await served([bytes], 'text/event-stream', (client) =>
      client.responses
        .stream({ model: 'm', input: 'Hi' })
        .finalResponse()
        .then(
          () => null,
          (reason: unknown) => reason,
        ),
    );
    assert.ok(failure instanceof OpenAI.APIError);
    assert.equal(failure.code, 'stream_interrupted');
    assert.equal(failure.type, 'server_error');
    assert.match(failure.message, /It broke\./);
  });

  it('with an error that goes on counting where the upstream’s own events stopped', () => {
    const presenter = responses.presenter(read(ASKED), ID, CREATED);
    const error = { message: 'No.', type: 't', code: 'c', after: { type: 'x', sequence_number: 7 } };
    const events = eventsIn(presenter.error(error));
    assert.equal((events[0] as { sequence_number?: number }).sequence_number, 8);
  });

  it('with an error though nothing was told before', () => {
    const presenter = responses.presenter(read(ASKED), ID, CREATED);
    const events = eventsIn(presenter.error({ message: 'No.', type: 't', code: 'c' }));
    assert.equal((events[0] as { sequence_number?: number }).sequence_number, 0);
  });

  it('and is kept open by comments', () => {
    assert.deepEqual(eventsIn(responses.presenter(read(ASKED), ID, CREATED).ping as Buffer), []);
  });
});
