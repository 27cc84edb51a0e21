import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ThinkingBlock } from '../../../src/chat/extensions.ts';
import { noteSignedBefore } from '../../../src/chat/signed-before.ts';
import { Unsupported } from '../../../src/chat/unsupported.ts';
import { ApiError } from '../../../src/core/errors.ts';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { messages } from '../../../src/dialects/messages/messages.ts';
import { faultIn } from './grammar.ts';
import { ASK, asBytes, blocksIn, chunk, endOf, eventsIn, read, TOOL } from './kit.ts';

const AGENT = { ...ASK, tools: [TOOL] };

const fragment = fc.constantFrom(
  '',
  'a',
  ' b',
  '{',
  '}',
  '{"a":1}',
  '"',
  '\\',
  '[',
  ']',
  '☀\u2028',
  '\ud800',
  'null',
);
const signed = fc.constantFrom<ThinkingBlock>(
  { type: 'thinking', thinking: 'a', signature: 's' },
  { type: 'thinking', thinking: '', signature: 's', origin: 'bedrock' },
  { type: 'redacted_thinking', data: 'd' },
);
const call = fc.record(
  {
    index: fc.constantFrom<Json>(0, 1, 2, -1, 1e9, 'x', null),
    id: fc.constantFrom<Json>('call_1', 'call_2', '', 5),
    function: fc.oneof(
      fc.record(
        { name: fc.constantFrom<Json>('weather', 'time', '', 7), arguments: fragment },
        { requiredKeys: [] },
      ),
      fc.constant(null),
    ),
  },
  { requiredKeys: [] },
);
const delta = fc.record(
  {
    role: fc.constant('assistant'),
    content: fc.oneof(fragment, fc.constant(null), fc.jsonValue()),
    reasoning_content: fc.oneof(fragment, fc.jsonValue()),
    reasoning: fragment,
    refusal: fc.oneof(fragment, fc.jsonValue()),
    thinking_blocks: fc.oneof(fc.array(signed, { maxLength: 3 }), fc.jsonValue()),
    tool_calls: fc.oneof(
      { weight: 4, arbitrary: fc.array(call, { maxLength: 3 }) },
      { weight: 1, arbitrary: fc.jsonValue() },
    ),
    annotations: fc.oneof(
      fc.constant([{ type: 'url_citation', url_citation: { url: 'https://a.b' } }]),
      fc.jsonValue(),
    ),
  },
  { requiredKeys: [] },
);
const anyChunk = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .tuple(
        delta,
        fc.constantFrom(null, null, null, '', 'stop', 'tool_calls'),
        fc.array(signed, { maxLength: 2 }),
      )
      .map(([one, finish, before]) => {
        const whole = chunk(one as JsonObject, finish);
        noteSignedBefore(whole, before);
        return whole;
      }),
  },
  {
    weight: 1,
    arbitrary: fc.dictionary(
      fc.constantFrom('choices', 'usage', 'model', 'x_groq', '__proto__'),
      fc.jsonValue(),
    ),
  },
);

test('whatever chunks come, the events are a stream as Anthropic documents it', () => {
  fc.assert(
    fc.property(
      fc.array(anyChunk as fc.Arbitrary<JsonObject>, { maxLength: 12 }),
      fc.boolean(),
      fc.boolean(),
      (chunks, breaks, agent) => {
        const presenter = messages.presenter(read(agent ? AGENT : ASK), 'id1', 1);
        const pieces = chunks.map((one) => presenter.chunk(one));
        pieces.push(
          breaks ? presenter.error({ message: 'It broke.', type: 'x', code: 'y' }) : presenter.end(false),
        );
        const events = eventsIn(Buffer.concat(pieces.filter((piece) => piece !== null)));
        assert.equal(faultIn(events), null);
      },
    ),
    { numRuns: 3000 },
  );
});

/** Pieces of one call's arguments that make an object together. */
const pieces = fc
  .tuple(fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 4 }), fc.array(fc.nat(40), { maxLength: 4 }))
  .map(([input, cuts]) => {
    const json = JSON.stringify(input);
    const at = [0, ...cuts.map((cut) => cut % (json.length + 1)).sort((a, b) => a - b), json.length];
    return at.slice(1).map((end, index) => json.slice(at[index], end));
  });

test('in whatever order the pieces of calls and texts come, none is lost, and the texts keep their order', () => {
  fc.assert(
    fc.property(
      fc.array(pieces, { maxLength: 4 }),
      fc.array(fc.string({ minLength: 1 }), { maxLength: 6 }),
      fc.infiniteStream(fc.nat(9)),
      (calls, texts, chance) => {
        const left = calls.map((one) => [...one]);
        const words = [...texts];
        const chunks: JsonObject[] = [];
        const begun = new Set<number>();
        while (words.length > 0 || left.some((one) => one.length > 0)) {
          const index = chance.next().value % (left.length + 1);
          const args = left[index]?.shift();
          if (args === undefined) {
            const word = words.shift();
            if (word !== undefined) chunks.push(chunk({ content: word }));
            continue;
          }
          const head = begun.has(index) ? {} : { id: `call_${index}`, type: 'function' };
          begun.add(index);
          chunks.push(
            chunk({ tool_calls: [{ index, ...head, function: { name: `tool_${index}`, arguments: args } }] }),
          );
        }
        const presenter = messages.presenter(read(AGENT), 'id1', 1);
        const bytes = [...chunks, chunk({}, 'tool_calls')].map((one) => presenter.chunk(one));
        const events = eventsIn(
          Buffer.concat([...bytes, presenter.end(false)].filter((piece) => piece !== null)),
        );
        assert.equal(faultIn(events), null);
        assert.ok(!events.some(({ type }) => type === 'error'));
        const blocks = blocksIn(events);
        assert.equal(blocks.map(({ text }) => text ?? '').join(''), texts.join(''));
        const inputs = new Map(
          blocks.filter(({ type }) => type === 'tool_use').map(({ id, json }) => [id, json]),
        );
        assert.equal(inputs.size, calls.length);
        for (const [index, one] of calls.entries()) assert.equal(inputs.get(`call_${index}`), one.join(''));
      },
    ),
    { numRuns: 1000 },
  );
});

const answered = fc.record({
  reasoning_content: fc.string(),
  content: fc.string(),
  refusal: fc.constantFrom('', '', 'No.'),
  inputs: fc.array(fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 3 }), { maxLength: 3 }),
  finish: fc.constantFrom('stop', 'length', 'tool_calls', 'content_filter'),
  signs: fc.boolean(),
});

test('a stream and a whole answer say the same', () => {
  fc.assert(
    fc.property(answered, ({ reasoning_content: thought, content, refusal, inputs, finish, signs }) => {
      const blocks =
        signs && thought !== '' ? [{ type: 'thinking' as const, thinking: thought, signature: 's' }] : [];
      const calls = inputs.map((input, index) => ({
        index,
        id: `call_${index}`,
        type: 'function',
        function: { name: 'weather', arguments: JSON.stringify(input) },
      }));
      const usage = { prompt_tokens: 5, completion_tokens: 3 };
      const message = {
        reasoning_content: thought,
        content,
        refusal,
        tool_calls: calls,
        thinking_blocks: blocks,
      };
      const request = read(AGENT);
      const whole = messages.answer(
        { model: 'm', choices: [{ message, finish_reason: finish }], usage },
        request,
        'id1',
      );
      const presenter = messages.presenter(request, 'id1', 1);
      const text = chunk({ content });
      noteSignedBefore(text, blocks);
      const chunks = [
        chunk({ reasoning_content: thought }),
        text,
        chunk({ refusal }),
        ...calls.map((one) => chunk({ tool_calls: [one] })),
        chunk({}, finish),
        { ...chunk({}), choices: [], usage },
      ].map((one) => presenter.chunk(one));
      const events = eventsIn(
        Buffer.concat([...chunks, presenter.end(false)].filter((piece) => piece !== null)),
      );
      const streamed = blocksIn(events).map(({ json, ...block }) =>
        json === undefined ? block : { ...block, input: JSON.parse(String(json)) as Json },
      );
      const plain = (whole['content'] as JsonObject[]).map(({ caller, citations, ...block }) => block);
      assert.deepEqual(streamed, plain);
      const { delta: end, usage: counted } = endOf(events);
      assert.deepEqual(
        [end['stop_reason'], end['stop_details']],
        [whole['stop_reason'], whole['stop_details']],
      );
      for (const [name, count] of Object.entries(counted)) {
        assert.deepEqual((whole['usage'] as JsonObject)[name], count);
      }
    }),
    { numRuns: 1000 },
  );
});

const odd = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom<Json>(
    'a',
    [],
    {},
    [{}],
    [{ type: 'text' }],
    [{ type: 'tool_result', tool_use_id: 'a', content: 7 }],
  ),
);

test('whatever a request says, it is taken, or refused with the name of what is wrong', () => {
  const members = [
    'system',
    'tools',
    'tool_choice',
    'thinking',
    'output_config',
    'metadata',
    'stop_sequences',
    'cache_control',
    '__proto__',
    'temperature',
    'container',
    'service_tier',
  ];
  const request = fc.record({
    more: fc.dictionary(fc.constantFrom(...members), odd as fc.Arbitrary<Json>),
    list: fc.array(
      fc.record({
        role: fc.constantFrom<Json>('user', 'assistant', 'system', 5),
        content: odd as fc.Arbitrary<Json>,
      }),
      { minLength: 1, maxLength: 3 },
    ),
  });
  fc.assert(
    fc.property(request, ({ more, list }) => {
      const said = { ...ASK, messages: list, ...more };
      try {
        const asked = messages.read(asBytes(said));
        const chat = asked.chat();
        assert.equal(chat.value['model'], 'smart');
        assert.ok(Array.isArray(asked.dropped));
        messages.answer({ choices: [{ message: { content: 'a' } }] }, asked, 'id1');
        messages.presenter(asked, 'id1', 1).chunk(chunk({ content: 'a' }));
      } catch (error) {
        assert.ok(
          (error instanceof ApiError || error instanceof Unsupported) && error.param !== null,
          String(error),
        );
      }
    }),
    { numRuns: 3000 },
  );
});
