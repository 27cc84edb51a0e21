import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { BedrockRuntimeClient, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import fc from 'fast-check';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { bedrock } from '../../../src/providers/bedrock/adapter.ts';
import {
  accumulate,
  checkChunk,
  completionOf,
  everySplit,
  fixedFacts,
  plain,
  sentJson,
  streamed,
  Told,
} from '../kit.ts';
import { exception, frame, frames, frameWith, HELLO, NOVA, prepare } from './rig.ts';

const USAGE = { inputTokens: 10, outputTokens: 5, totalTokens: 15 };
const METADATA = { usage: USAGE, metrics: { latencyMs: 12 } };

const stream = (bytes: Buffer, model?: string): Told =>
  streamed(prepare(HELLO, { streaming: true, ...(model === undefined ? {} : { model }) }), [bytes]);

const delta = (contentBlockIndex: number, inner: JsonObject): JsonObject => ({
  contentBlockDelta: { contentBlockIndex, delta: inner },
});
const stopped = (contentBlockIndex: number): JsonObject => ({ contentBlockStop: { contentBlockIndex } });
const call = (
  contentBlockIndex: number,
  toolUseId: string,
  name: string,
  more: JsonObject = {},
): JsonObject => ({
  contentBlockStart: { contentBlockIndex, start: { toolUse: { toolUseId, name, ...more } } },
});
const START: JsonObject = { messageStart: { role: 'assistant' } };
const end = (stopReason: string, metadata: JsonObject = METADATA): JsonObject[] => [
  { messageStop: { stopReason } },
  { metadata },
];

/** As Bedrock tells one: texts without a start, empty texts between, a call without arguments. */
const CONVERSATION: JsonObject[] = [
  START,
  delta(0, { reasoningContent: { text: 'The user wants ' } }),
  delta(0, { reasoningContent: { text: 'weather.' } }),
  delta(0, { reasoningContent: { signature: 'c2ln' } }),
  stopped(0),
  delta(1, { reasoningContent: { redactedContent: 'QUJD' } }),
  stopped(1),
  delta(2, { text: '' }),
  delta(2, { text: 'Let me ' }),
  delta(2, { text: 'look.' }),
  stopped(2),
  call(3, 'tooluse_a', 'weather'),
  delta(3, { toolUse: { input: '{"city"' } }),
  delta(3, { toolUse: { input: ':"Paris"}' } }),
  stopped(3),
  call(4, 'tooluse_b', 'time'),
  delta(4, { toolUse: { input: '' } }),
  stopped(4),
  ...end('tool_use', {
    ...METADATA,
    usage: {
      ...USAGE,
      cacheReadInputTokens: 100,
      cacheWriteInputTokens: 50,
      cacheDetails: [
        { ttl: '1h', inputTokens: 20 },
        { ttl: '5m', inputTokens: 30 },
      ],
    },
    serviceTier: { type: 'flex' },
  }),
];
/** The same, whole. */
const WHOLE: JsonObject = {
  output: {
    message: {
      role: 'assistant',
      content: [
        { reasoningContent: { reasoningText: { text: 'The user wants weather.', signature: 'c2ln' } } },
        { reasoningContent: { redactedContent: 'QUJD' } },
        { text: 'Let me look.' },
        { toolUse: { toolUseId: 'tooluse_a', name: 'weather', input: { city: 'Paris' }, type: 'tool_use' } },
        { toolUse: { toolUseId: 'tooluse_b', name: 'time', input: {} } },
      ],
    },
  },
  stopReason: 'tool_use',
  metrics: { latencyMs: 12 },
  serviceTier: { type: 'flex' },
  usage: {
    ...USAGE,
    cacheReadInputTokens: 100,
    cacheWriteInputTokens: 50,
    cacheDetails: [
      { ttl: '1h', inputTokens: 20 },
      { ttl: '5m', inputTokens: 30 },
    ],
  },
};
const COMPLETION = {
  id: 'chatcmpl-fixed',
  object: 'chat.completion',
  created: 1_790_000_000,
  model: 'target-model',
  service_tier: 'flex',
  choices: [
    {
      index: 0,
      message: {
        role: 'assistant',
        content: 'Let me look.',
        refusal: null,
        reasoning_content: 'The user wants weather.',
        thinking_blocks: [
          { type: 'thinking', thinking: 'The user wants weather.', signature: 'c2ln', origin: 'anthropic' },
          { type: 'redacted_thinking', data: 'QUJD', origin: 'anthropic' },
        ],
        tool_calls: [
          { id: 'tooluse_a', type: 'function', function: { name: 'weather', arguments: '{"city":"Paris"}' } },
          { id: 'tooluse_b', type: 'function', function: { name: 'time', arguments: '{}' } },
        ],
      },
      logprobs: null,
      finish_reason: 'tool_calls',
    },
  ],
  usage: {
    prompt_tokens: 160,
    completion_tokens: 5,
    total_tokens: 165,
    prompt_tokens_details: { cached_tokens: 100, cache_write_tokens: 50, cache_write_1h_tokens: 20 },
    completion_tokens_details: { reasoning_tokens: 0 },
  },
};

const message = (stopReason: Json, ...content: Json[]): JsonObject => ({
  output: { message: { role: 'assistant', content } },
  stopReason,
  usage: USAGE,
});
const brokenWhole = (value: JsonObject): string => {
  const reading = plain(prepare(HELLO), value);
  assert.equal(reading.kind, 'broken');
  return reading.kind === 'broken' ? reading.why : '';
};

describe('answers of Converse', () => {
  before(() => bedrock.load?.());

  it('tells a whole answer', () => {
    assert.deepEqual(completionOf(prepare(HELLO), WHOLE), COMPLETION);
    const reading = plain(prepare(HELLO), WHOLE);
    assert.equal(reading.kind, 'answer');
    if (reading.kind !== 'answer') return;
    assert.deepEqual(reading.usage, {
      input: 160,
      output: 5,
      cached: 100,
      cacheWrite: 50,
      cacheWriteHour: 20,
      reasoning: 0,
    });
    assert.ok(reading.output().characters > 0);
  });

  it('tells the same of a stream, however it is cut', () => {
    const bytes = frames(CONVERSATION);
    const prepared = prepare(HELLO, { streaming: true });
    const { chunks } = stream(bytes);
    assert.deepEqual(accumulate(chunks), COMPLETION);
    for (const pieces of everySplit(bytes)) {
      const told = streamed(prepared, pieces);
      assert.ok(told.isWhole);
      assert.deepEqual(told.chunks, chunks);
    }
  });

  it('remembers what must be handed back, whole and streamed alike', () => {
    const [whole, streaming] = [fixedFacts(), fixedFacts()];
    completionOf(prepare(HELLO), WHOLE, whole);
    streamed(prepare(HELLO), [frames(CONVERSATION)], streaming);
    assert.equal(whole.remembered.length, 1);
    assert.deepEqual(whole.remembered[0]?.callIds, ['tooluse_a', 'tooluse_b']);
    assert.deepEqual(streaming.remembered, whole.remembered);
  });

  it('comes back as it was: what a client hands back is what the model said', () => {
    const whole = completionOf(prepare(HELLO), WHOLE);
    const streaming = accumulate(stream(frames(CONVERSATION)).chunks);
    const content = (WHOLE['output'] as { message: { content: JsonObject[] } }).message.content.map(
      (block) => {
        const { toolUse } = block as { toolUse?: JsonObject };
        if (toolUse === undefined) return block;
        const { type: _, ...call } = toolUse;
        return { toolUse: call };
      },
    );
    for (const completion of [whole, streaming]) {
      const [choice] = completion['choices'] as { message: JsonObject }[];
      const sent = sentJson(
        prepare({
          messages: [
            { role: 'user', content: 'Hello' },
            choice?.message ?? {},
            { role: 'tool', tool_call_id: 'tooluse_a', content: 'Sun' },
            { role: 'tool', tool_call_id: 'tooluse_b', content: 'Noon' },
          ],
          tools: [{ type: 'function', function: { name: 'weather' } }],
        }),
      );
      assert.deepEqual((sent['messages'] as Json[])[1], { role: 'assistant', content });
    }
  });

  it('hands back signed thoughts that were not shown, and no others', () => {
    const hidden = { reasoningContent: { reasoningText: { text: '', signature: 'c2ln' } } };
    const unsigned = { reasoningContent: { reasoningText: { text: 'Hm.' } } };
    const completion = completionOf(prepare(HELLO), message('end_turn', hidden, unsigned, { text: 'Hello' }));
    const told = stream(
      frames([
        START,
        delta(0, { reasoningContent: { signature: 'c2ln' } }),
        stopped(0),
        delta(1, { reasoningContent: { text: 'Hm.' } }),
        stopped(1),
        delta(2, { text: 'Hello' }),
        ...end('end_turn'),
      ]),
    );
    assert.deepEqual(accumulate(told.chunks), completion);
    const [choice] = completion['choices'] as { message: JsonObject }[];
    assert.deepEqual(choice?.message['thinking_blocks'], [
      { type: 'thinking', thinking: '', signature: 'c2ln', origin: 'anthropic' },
    ]);
  });

  it('says whose the signatures of other models are', () => {
    const told = stream(frames(CONVERSATION), NOVA);
    assert.match(JSON.stringify(told.chunks), /"origin":"bedrock"/);
    assert.match(JSON.stringify(completionOf(prepare(HELLO, { model: NOVA }), WHOLE)), /"origin":"bedrock"/);
  });

  it('reads the stream as the official SDK does', async () => {
    const bytes = frames(CONVERSATION);
    const client = new BedrockRuntimeClient({
      region: 'us-east-1',
      credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'not-a-secret' },
      requestHandler: {
        handle: async () => ({
          response: { statusCode: 200, headers: {}, body: new Blob([new Uint8Array(bytes)]).stream() },
        }),
      },
    });
    const { stream: events } = await client.send(
      new ConverseStreamCommand({ modelId: 'm', messages: [{ role: 'user', content: [{ text: 'Hello' }] }] }),
    );
    const read: JsonObject[] = [];
    let input = '';
    for await (const event of events ?? []) {
      read.push({ type: Object.keys(event)[0] ?? '' });
      input += event.contentBlockDelta?.delta?.toolUse?.input ?? '';
    }
    assert.deepEqual(
      read.map(({ type }) => type),
      CONVERSATION.map((event) => Object.keys(event)[0]),
    );
    assert.equal(input, '{"city":"Paris"}');
  });

  it('waits for the metadata after the stop, and reports usage once', () => {
    const prepared = prepare(HELLO, { streaming: true });
    const format = prepared.answer(fixedFacts()).stream({});
    assert.equal(format.kind, 'translated');
    if (format.kind !== 'translated') return;
    const told = new Told();
    const event = (type: string, data: JsonObject) =>
      format.translator.event(JSON.stringify(data), type, told);
    event('contentBlockDelta', { contentBlockIndex: 0, delta: { text: 'Hello' } });
    event('messageStop', { stopReason: 'end_turn' });
    assert.equal(told.dones, 0);
    assert.equal(told.chunks.at(-1)?.['usage'], undefined);
    event('metadata', METADATA);
    assert.equal(told.dones, 1);
    assert.deepEqual(told.usages, [{ input: 10, output: 5, cached: 0, cacheWrite: 0, reasoning: 0 }]);
    assert.ok(told.chunks.at(-1)?.['usage']);
    assert.equal(format.translator.end(told), null);
    assert.equal(told.chunks.filter(({ usage }) => usage != null).length, 1);
  });

  it('is whole without the metadata, if the body ends after the stop', () => {
    const told = stream(
      frames([START, delta(0, { text: 'Hello' }), { messageStop: { stopReason: 'end_turn' } }]),
    );
    assert.equal(told.dones, 0);
    assert.deepEqual([told.errors, told.breaks], [[], []]);
    const { choices, usage } = accumulate(told.chunks);
    assert.deepEqual((choices as JsonObject[])[0]?.['finish_reason'], 'stop');
    assert.equal(usage, undefined);
  });

  it('takes metadata that came before the stop', () => {
    const told = stream(
      frames([
        START,
        delta(0, { text: 'Hello' }),
        { metadata: METADATA },
        { messageStop: { stopReason: 'end_turn' } },
      ]),
    );
    assert.ok(told.isWhole);
    assert.ok(accumulate(told.chunks)['usage']);
  });

  it('makes up no finish for a stream that ended without one', () => {
    const told = stream(frames([START, delta(0, { text: 'Hello' }), stopped(0)]));
    assert.equal(told.dones, 0);
    assert.equal((accumulate(told.chunks)['choices'] as JsonObject[])[0]?.['finish_reason'], null);
  });

  it('finishes for the reason that Converse gives', () => {
    for (const [stopReason, finish] of [
      ['end_turn', 'stop'],
      ['stop_sequence', 'stop'],
      ['max_tokens', 'length'],
      ['model_context_window_exceeded', 'length'],
      ['tool_use', 'tool_calls'],
      ['content_filtered', 'content_filter'],
      ['guardrail_intervened', 'content_filter'],
      ['something_new', 'stop'],
      ['__proto__', 'stop'],
    ] as const) {
      const told = stream(frames([START, delta(0, { text: 'Hello' }), ...end(stopReason)]));
      const completion = completionOf(prepare(HELLO), message(stopReason, { text: 'Hello' }));
      assert.deepEqual(accumulate(told.chunks), completion);
      assert.equal((completion['choices'] as JsonObject[])[0]?.['finish_reason'], finish);
    }
    for (const stopReason of ['end_turn', 'stop_sequence', 'something_new']) {
      const completion = completionOf(
        prepare(HELLO),
        message(stopReason, { toolUse: { toolUseId: 'a', name: 'look', input: {} } }),
      );
      assert.equal((completion['choices'] as JsonObject[])[0]?.['finish_reason'], 'tool_calls');
    }
  });

  it('takes a malformed output for a failure', () => {
    for (const stopReason of ['malformed_model_output', 'malformed_tool_use']) {
      const told = stream(frames([START, delta(0, { text: 'Hello' }), ...end(stopReason)]));
      const reading = plain(prepare(HELLO), message(stopReason, { text: 'Hello' }));
      assert.equal(reading.kind, 'error');
      if (reading.kind !== 'error') return;
      assert.deepEqual(told.errors, [reading.error]);
      assert.equal((reading.error['error'] as JsonObject)['type'], stopReason);
      assert.ok(!told.chunks.some((chunk) => JSON.stringify(chunk).includes('"finish_reason":"')));
    }
  });

  it('names what failed in the middle of a stream', () => {
    for (const [name, payload, said] of [
      ['throttlingException', { message: 'Too many requests' }, 'Too many requests'],
      ['internalServerException', { Message: 'Oh no' }, 'Oh no'],
      ['serviceUnavailableException', {}, 'The stream failed.'],
      [
        'validationException',
        { message: 'Input is too long for requested model.' },
        'Input is too long for requested model.',
      ],
      [
        'modelStreamErrorException',
        {
          message: 'Model Stream Error',
          originalStatusCode: 500,
          originalMessage: 'The model stream failed.',
        },
        'The model stream failed.',
      ],
      ['modelTimeoutException', { message: 'Timed out' }, 'Timed out'],
    ] as const) {
      const told = stream(
        Buffer.concat([frames([START, delta(0, { text: 'Hello' })]), exception(name, payload)]),
      );
      assert.deepEqual(told.errors, [{ error: { type: name, message: said } }]);
      assert.equal(told.dones, 0);
    }
    const first = stream(exception('throttlingException', { message: 'Too many requests' }));
    assert.equal(first.chunks.length, 0);
    const noJson = stream(
      frameWith({ ':message-type': 'exception', ':exception-type': 'throttlingException' }, '<html>'),
    );
    assert.deepEqual(noJson.errors, [
      { error: { type: 'throttlingException', message: 'The stream failed.' } },
    ]);
  });

  it('cites links for the text of their block, which comes after them', () => {
    const web = { location: { web: { url: 'https://a.test/', domain: 'a.test' } }, title: 'A page' };
    const untitled = { location: { web: { url: 'https://b.test/', domain: 'b.test' } } };
    const page = { location: { documentPage: { documentIndex: 0, start: 1, end: 2 } }, title: 'document-1' };
    const told = stream(
      frames([
        START,
        delta(0, { text: 'It says: ' }),
        stopped(0),
        delta(1, { citation: web }),
        delta(1, { citation: page }),
        delta(1, { citation: untitled }),
        delta(1, { text: 'so ' }),
        delta(1, { text: 'it is' }),
        stopped(1),
        delta(2, { text: '.' }),
        ...end('end_turn'),
      ]),
    );
    const completion = completionOf(
      prepare(HELLO),
      message(
        'end_turn',
        { text: 'It says: ' },
        {
          citationsContent: {
            content: [{ text: 'so ' }, { text: 'it is' }],
            citations: [web, page, untitled],
          },
        },
        { text: '.' },
      ),
    );
    assert.deepEqual(accumulate(told.chunks), completion);
    const [choice] = completion['choices'] as { message: JsonObject }[];
    assert.deepEqual(choice?.message['content'], 'It says: so it is.');
    assert.deepEqual(choice?.message['annotations'], [
      {
        type: 'url_citation',
        url_citation: { url: 'https://a.test/', title: 'A page', start_index: 9, end_index: 17 },
      },
      {
        type: 'url_citation',
        url_citation: { url: 'https://b.test/', title: 'b.test', start_index: 9, end_index: 17 },
      },
    ]);
  });

  it('leaves out tools that the provider runs by itself', () => {
    const told = stream(
      frames([
        START,
        call(0, 'srv', 'nova_grounding', { type: 'server_tool_use' }),
        delta(0, { toolUse: { input: '{"q":1}' } }),
        stopped(0),
        delta(1, { text: 'Found.' }),
        ...end('end_turn'),
      ]),
    );
    const completion = completionOf(
      prepare(HELLO),
      message(
        'end_turn',
        { toolUse: { toolUseId: 'srv', name: 'nova_grounding', input: { q: 1 }, type: 'server_tool_use' } },
        { text: 'Found.' },
      ),
    );
    assert.deepEqual(accumulate(told.chunks), completion);
    assert.doesNotMatch(JSON.stringify(completion), /tool_calls/);
  });

  it('makes an id for a call that came without one', () => {
    const told = stream(
      frames([
        START,
        { contentBlockStart: { contentBlockIndex: 0, start: { toolUse: { name: 'look' } } } },
        ...end('tool_use'),
      ]),
    );
    assert.match(JSON.stringify(told.chunks), /"id":"call_sw00001"/);
  });

  it('is broken by a tool call that it cannot put together', () => {
    for (const events of [
      [delta(0, { toolUse: { input: '{"a"' } })],
      [call(0, 'a', '')],
      [call(0, 'a', 'look'), delta(0, { toolUse: { input: { a: 1 } } })],
      [call(0, 'a', 'look'), delta(0, { toolUse: {} })],
      [call(0, 'a', 'look'), call(0, 'b', 'look')],
      [call(0, 'a', 'look'), stopped(0), delta(0, { toolUse: { input: '{"a"' } })],
      [{ contentBlockStart: { contentBlockIndex: 0, start: { toolUse: 'look' } } }],
    ]) {
      const told = stream(frames([START, ...events, ...end('tool_use')]));
      assert.equal(told.breaks.length, 1, JSON.stringify(events));
      assert.equal(told.dones, 0);
    }
  });

  it('counts what is damaged, and what it does not know', () => {
    const bad = (type: string, payload: string) =>
      frameWith({ ':message-type': 'event', ':event-type': type }, payload);
    for (const bytes of [
      bad('contentBlockDelta', 'no JSON'),
      bad('contentBlockDelta', '[1]'),
      bad('contentBlockDelta', '{}'),
      bad('contentBlockDelta', '{"contentBlockIndex":"0","delta":{"text":"a"}}'),
      bad('contentBlockDelta', '{"contentBlockIndex":-1,"delta":{"text":"a"}}'),
      bad('contentBlockDelta', '{"contentBlockIndex":0,"delta":{"text":5}}'),
      bad('contentBlockDelta', '{"contentBlockIndex":0,"delta":{"reasoningContent":{"text":5}}}'),
      bad('contentBlockDelta', '{"contentBlockIndex":0,"delta":{"reasoningContent":5}}'),
      bad('contentBlockDelta', '{"contentBlockIndex":0,"delta":{"citation":5}}'),
      bad('contentBlockStart', '{}'),
      bad('contentBlockStop', '{}'),
      bad('messageStop', '{"stopReason":null}'),
    ]) {
      const told = stream(Buffer.concat([bytes, frames([delta(1, { text: 'ok' }), ...end('end_turn')])]));
      assert.equal(told.invalids, 1);
      assert.equal(told.dones, 1);
    }
    const foreign = stream(
      Buffer.concat([
        bad('somethingNew', '{"a":1}'),
        frames([delta(0, { image: { source: {} } }), delta(1, { text: 'ok' }), ...end('end_turn')]),
      ]),
    );
    assert.equal(foreign.foreigns, 2);
    assert.equal(foreign.dones, 1);
    const quiet = stream(Buffer.concat([bad('initial-response', '{}'), frames([START, delta(0, {})])]));
    assert.deepEqual([quiet.foreigns, quiet.invalids, quiet.chunks.length], [0, 0, 0]);
  });

  it('says why a whole answer is none', () => {
    assert.match(brokenWhole({}), /no message/);
    assert.match(brokenWhole({ output: { message: {} }, stopReason: 'end_turn' }), /no message/);
    assert.match(brokenWhole({ output: { message: { content: [] } } }), /why it ended/);
    assert.match(brokenWhole(message('', { text: 'a' })), /why it ended/);
    for (const block of [
      null,
      'text',
      { text: 5 },
      { reasoningContent: null },
      { reasoningContent: { reasoningText: 'a' } },
      { reasoningContent: { redactedContent: 5 } },
      { toolUse: { toolUseId: 'a' } },
      { toolUse: 'a' },
      { citationsContent: { content: 5 } },
      { citationsContent: { content: [{ text: 5 }] } },
    ] as Json[]) {
      assert.match(brokenWhole(message('end_turn', block)), /not well-formed/);
    }
    let deep: Json = 1;
    for (let level = 0; level < 100_000; level++) deep = [deep];
    const nested = message('tool_use', { toolUse: { toolUseId: 'a', name: 'look', input: deep } });
    const reading = prepare(HELLO).answer(fixedFacts()).plain(nested, Buffer.alloc(0), {});
    assert.equal(reading.kind, 'broken');
  });

  it('passes over blocks that it does not know, and is an answer without any', () => {
    const completion = completionOf(prepare(HELLO), message('end_turn', { hologram: {} }, { text: 'Hello' }));
    assert.equal((completion['choices'] as { message: JsonObject }[])[0]?.message['content'], 'Hello');
    completionOf(prepare(HELLO), { ...message('end_turn', { text: 'Hello' }), message: 'Fine.' });
    const empty = completionOf(prepare(HELLO), message('max_tokens'));
    assert.equal((empty['choices'] as { message: JsonObject }[])[0]?.message['content'], null);
    assert.equal(completionOf(prepare(HELLO), { ...message('end_turn'), usage: null })['usage'], undefined);
  });

  it('knows an error that came with status 200', () => {
    for (const [value, error] of [
      [
        { Output: { __type: 'com.amazon.coral.service#UnknownOperationException' }, Version: '1.0' },
        { type: 'UnknownOperationException', message: 'UnknownOperationException' },
      ],
      [
        { __type: 'ThrottlingException', message: 'Slow' },
        { type: 'ThrottlingException', message: 'Slow' },
      ],
      [{ message: 'Forbidden' }, { message: 'Forbidden' }],
    ] as const) {
      assert.deepEqual(plain(prepare(HELLO), value), { kind: 'error', error: { error } });
    }
  });

  it('believes no impossible counts', () => {
    const usage = {
      inputTokens: -5,
      outputTokens: 1e300,
      cacheReadInputTokens: '7',
      cacheDetails: [{ ttl: '1h', inputTokens: 9 }],
    };
    const reading = plain(prepare(HELLO), { ...message('end_turn'), usage });
    assert.equal(reading.kind, 'answer');
    if (reading.kind === 'answer') {
      assert.deepEqual(reading.usage, { input: 0, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 });
    }
  });

  it('puts pieces of what was blacked out together as bytes', () => {
    const told = stream(
      frames([
        START,
        delta(0, { reasoningContent: { redactedContent: Buffer.from('A').toString('base64') } }),
        delta(0, { reasoningContent: { redactedContent: Buffer.from('BC').toString('base64') } }),
        delta(1, { text: 'Hello' }),
        ...end('end_turn'),
      ]),
    );
    assert.match(
      JSON.stringify(told.chunks),
      new RegExp(`"data":"${Buffer.from('ABC').toString('base64')}"`),
    );
  });

  it('gives only well-formed chunks and no finish that did not come, whatever comes', () => {
    const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
    const index = fc.oneof(fc.integer({ min: 0, max: 3 }), json);
    const inner = fc.oneof(
      fc.record({ text: fc.oneof(fc.string(), json) }),
      fc.record({ toolUse: fc.oneof(fc.record({ input: fc.oneof(fc.string(), json) }), json) }),
      fc.record({
        reasoningContent: fc.dictionary(
          fc.constantFrom('text', 'signature', 'redactedContent'),
          fc.oneof(fc.string(), json),
        ),
      }),
      fc.record({ citation: json }),
      json,
    );
    const event = fc.oneof(
      fc
        .record({ contentBlockIndex: index, delta: inner })
        .map((payload) => frame('contentBlockDelta', payload as JsonObject)),
      fc
        .record({
          contentBlockIndex: index,
          start: fc.oneof(
            json,
            fc.record({
              toolUse: fc.oneof(json, fc.record({ toolUseId: json, name: fc.oneof(fc.string(), json) })),
            }),
          ),
        })
        .map((payload) => frame('contentBlockStart', payload as JsonObject)),
      fc
        .record({ contentBlockIndex: index })
        .map((payload) => frame('contentBlockStop', payload as JsonObject)),
      fc
        .record({ stopReason: fc.oneof(json, fc.constantFrom('end_turn', 'tool_use')) })
        .map((payload) => frame('messageStop', payload as JsonObject)),
      fc
        .record({ usage: json, serviceTier: json })
        .map((payload) => frame('metadata', payload as JsonObject)),
      json.map((payload) =>
        frameWith({ ':message-type': 'event', ':event-type': 'contentBlockDelta' }, JSON.stringify(payload)),
      ),
      fc.string().map((name) => exception(name === '' ? 'x' : name, {})),
    );
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), (events) => {
        const bytes = Buffer.concat(events);
        const told = stream(bytes);
        for (const chunk of told.chunks) checkChunk(chunk);
        if (told.chunks.length > 0) accumulate(told.chunks);
        const finished = told.chunks.some((chunk) => /"finish_reason":"/.test(JSON.stringify(chunk)));
        assert.ok(!finished || bytes.includes('messageStop'));
        assert.ok(told.dones === 0 || finished);
      }),
      { numRuns: 500 },
    );
  });
});
