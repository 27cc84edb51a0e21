import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ChatCompletionStream } from 'openai/lib/ChatCompletionStream';
import { completionChunks, isFinished } from '../../src/chat/completion-chunks.ts';
import { signedBefore } from '../../src/chat/signed-before.ts';
import { isJsonObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { accumulate, checkChunk } from '../providers/kit.ts';

/** Objects as a parser makes them. */
function asJson(value: object): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

const text = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
  // Longer than a piece, with letters of two units anywhere.
  fc.integer({ min: 4090, max: 9000 }).map((length) => `${'x'.repeat(length % 7)}${'😀'.repeat(length / 2)}`),
);

const call = fc.record({
  id: fc.string({ minLength: 1, maxLength: 8 }),
  type: fc.constant('function'),
  function: fc.record({
    name: fc.constantFrom('weather', 'search'),
    arguments: fc.oneof(fc.constant('{}'), text),
  }),
});

const block = fc.oneof(
  fc.record({ type: fc.constant('thinking'), thinking: fc.string(), signature: fc.string() }),
  fc.record({ type: fc.constant('redacted_thinking'), data: fc.string() }),
);

const annotation = fc.record({
  type: fc.constant('url_citation'),
  url_citation: fc.record({
    url: fc.webUrl(),
    title: fc.string(),
    start_index: fc.nat(9),
    end_index: fc.nat(9),
  }),
});

const some = <T>(arbitrary: fc.Arbitrary<T>) => fc.array(arbitrary, { minLength: 1, maxLength: 3 });

/** As `CompletionWriter` and OpenAI's hosts write it: members that say nothing are left out. */
const message: fc.Arbitrary<JsonObject> = fc
  .record({
    content: fc.option(text),
    refusal: fc.option(text),
    more: fc.record(
      {
        reasoning_content: text,
        thinking_blocks: some(block),
        tool_calls: some(call),
        annotations: some(annotation),
        extra_content: fc.constant({ google: { thought_signature: 'signed' } }),
        images: fc.constant([{ type: 'image_url', image_url: { url: 'data:,' } }]),
      },
      { requiredKeys: [] },
    ),
  })
  .map(({ content, refusal, more }) => asJson({ role: 'assistant', content, refusal, ...more }));

const usage = { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 };

const completion: fc.Arbitrary<JsonObject> = fc
  .record({
    messages: some(message),
    finish: fc.constantFrom('stop', 'length', 'tool_calls', 'content_filter'),
    tail: fc.record(
      {
        usage: fc.constant(usage),
        service_tier: fc.constant('default'),
        citations: fc.constant(['https://a.test']),
      },
      { requiredKeys: [] },
    ),
  })
  .map(({ messages, finish, tail }) =>
    asJson({
      id: 'chatcmpl-1',
      object: 'chat.completion',
      created: 1_790_000_000,
      model: 'up',
      choices: messages.map((one, index) =>
        asJson({ index, message: one, logprobs: null, finish_reason: finish }),
      ),
      ...tail,
    }),
  );

describe('a whole completion told in chunks', () => {
  it('is the same one again when they are put together', () => {
    fc.assert(
      fc.property(completion, (whole) => {
        const chunks = JSON.parse(JSON.stringify(completionChunks(whole))) as JsonObject[];
        assert.deepEqual(accumulate(chunks), whole);
        for (const chunk of chunks) {
          assert.ok(JSON.stringify(chunk).length < 60_000);
          // Half a letter would be escaped.
          assert.doesNotMatch(JSON.stringify(chunk), /\\ud[89a-f]/);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('is the same one to the official SDK', async () => {
    const token = (word: string) => ({ token: word, logprob: -0.5, bytes: null, top_logprobs: [] });
    const calls = [
      { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '{"city":"Rome"}' } },
      { id: 'call_2', type: 'function', function: { name: 'weather', arguments: '{}' } },
    ];
    const choices = [
      {
        index: 0,
        message: { role: 'assistant', content: 'Hello there.', refusal: null, tool_calls: calls },
        logprobs: { content: [token('Hello'), token(' there.')], refusal: null },
        finish_reason: 'tool_calls',
      },
      {
        index: 1,
        message: { role: 'assistant', content: null, refusal: 'No.' },
        logprobs: null,
        finish_reason: 'stop',
      },
    ];
    const head = { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'up' };
    const whole: JsonObject = { ...head, choices, usage };
    const lines = completionChunks(whole).map((chunk) => `${JSON.stringify(chunk)}\n`);
    const stream = new Blob(lines).stream();
    const final = await ChatCompletionStream.fromReadableStream(stream).finalChatCompletion();
    const [first, second] = final.choices;
    assert.equal(first?.message.content, 'Hello there.');
    assert.deepEqual(
      first?.message.tool_calls?.map((made) => (made.type === 'function' ? made.function.arguments : null)),
      ['{"city":"Rome"}', '{}'],
    );
    assert.deepEqual(first?.logprobs, choices[0]?.logprobs);
    assert.equal(first?.finish_reason, 'tool_calls');
    assert.equal(second?.message.refusal, 'No.');
    assert.deepEqual(final.usage, usage);
  });

  it('tells each signed thought when its text has been told, and all of them before the finish', () => {
    const blocks: Json[] = [
      { type: 'thinking', thinking: 'One. ', signature: 's1' },
      { type: 'redacted_thinking', data: 'd' },
      { type: 'thinking', thinking: 'Two.', signature: 's2' },
    ];
    const told = completionChunks({
      choices: [
        {
          message: { reasoning_content: 'One. Two.', thinking_blocks: blocks, content: 'Hello' },
          finish_reason: 'stop',
        },
      ],
    });
    const order = told.map((chunk) => {
      const [choice] = chunk['choices'] as JsonObject[];
      return [signedBefore(chunk).map(({ type }) => type), Object.keys(choice?.['delta'] as JsonObject)];
    });
    assert.deepEqual(order, [
      [[], ['role', 'content']],
      [[], ['reasoning_content']],
      [['thinking', 'redacted_thinking'], ['reasoning_content']],
      [['thinking'], ['content']],
      [[], ['thinking_blocks']],
      [[], []],
    ]);
  });

  it('begins with a text that is none where only tools are called', () => {
    const calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }];
    const first = (message: JsonObject) => {
      const told = completionChunks({ choices: [{ message, finish_reason: 'stop' }] });
      return ((told[0] as JsonObject)['choices'] as JsonObject[])[0]?.['delta'];
    };
    assert.deepEqual(first({ content: null, tool_calls: calls }), { role: 'assistant', content: null });
    assert.deepEqual(first({ content: 'Hi', tool_calls: calls }), { role: 'assistant', content: '' });
    assert.deepEqual(first({ content: null, refusal: 'No.' }), { role: 'assistant', content: '' });
  });

  it('keeps what hosts have beyond OpenAI', () => {
    const told = completionChunks({
      id: 'x',
      choices: [
        {
          index: 0,
          message: {
            role: 'assistant',
            content: [{ type: 'text', text: 'Hi' }],
            reasoning_details: [{ text: 'a' }],
          },
          finish_reason: 'stop',
          stop_reason: 7,
          content_filter_results: { hate: { filtered: false } },
        },
      ],
      x_groq: { id: 'req' },
    });
    const deltas = told.map((chunk) => (chunk['choices'] as JsonObject[])[0]?.['delta']);
    assert.deepEqual(deltas.slice(1, 3), [
      { content: [{ type: 'text', text: 'Hi' }] },
      { reasoning_details: [{ text: 'a' }] },
    ]);
    const last = told.at(-1) as JsonObject;
    assert.deepEqual(last['x_groq'], { id: 'req' });
    const [choice] = last['choices'] as JsonObject[];
    assert.equal(choice?.['stop_reason'], 7);
    assert.deepEqual(choice?.['content_filter_results'], { hate: { filtered: false } });
  });

  it('does not choke on anything that a host may send', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.constantFrom('choices', 'usage', 'id', 'model', '__proto__'), fc.jsonValue()),
        (odd) => {
          completionChunks(odd as JsonObject);
          isFinished(odd as JsonObject);
        },
      ),
    );
    const odd = fc.record({
      message: fc.oneof(
        fc.jsonValue(),
        fc.dictionary(
          fc.constantFrom('content', 'tool_calls', 'thinking_blocks', 'reasoning_content', 'role', 'x'),
          fc.jsonValue(),
        ),
      ),
      index: fc.jsonValue(),
      logprobs: fc.jsonValue(),
    });
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.jsonValue(), odd)), (choices) => {
        for (const chunk of completionChunks({ id: 'x', created: 1, model: 'm', choices: choices as Json })) {
          assert.ok(isJsonObject(chunk));
          const [choice] = chunk['choices'] as JsonObject[];
          assert.ok(isJsonObject(choice?.['delta']));
        }
      }),
    );
  });

  it('has a finish only where each of its choices has one', () => {
    const choice = { message: {}, finish_reason: 'stop' };
    assert.equal(isFinished({ choices: [choice] }), true);
    for (const choices of [
      [],
      [choice, { ...choice, finish_reason: null }],
      [{ ...choice, finish_reason: '' }],
      ['x'],
      'x',
      null,
    ])
      assert.equal(isFinished({ choices: choices as Json }), false);
    checkChunk(completionChunks({ id: 'x', created: 1, model: 'm', choices: [choice] })[0] as JsonObject);
  });
});
