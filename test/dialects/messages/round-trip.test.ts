/** What a client of Anthropic's says reaches Claude as it was meant through chat, and so do Claude's answers the client. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type Anthropic from '@anthropic-ai/sdk';
import fc from 'fast-check';
import { isJsonObject, type Json, type JsonObject } from '../../../src/core/json.ts';
import { messages } from '../../../src/dialects/messages/messages.ts';
import { anthropic } from '../../../src/providers/anthropic/adapter.ts';
import { askFor, completionOf, sentJson, sse, streamed } from '../../providers/kit.ts';
import { faultIn } from './grammar.ts';
import { ASK, blocksIn, endOf, eventsIn, read, TOOL, textBlock } from './kit.ts';

const CAPABLE = { thinking: 'adaptive', laterSystem: true, prefill: true } as const;

const word = fc.stringMatching(/^[a-zé☀ ]{0,12}[a-z]$/);
const mark = fc.constantFrom<Pick<Anthropic.TextBlockParam, 'cache_control'>>(
  {},
  {},
  { cache_control: { type: 'ephemeral' } },
  { cache_control: { type: 'ephemeral', ttl: '5m' } },
);
const text = word.map((said): Anthropic.TextBlockParam => ({ type: 'text', text: said }));
const data = fc.base64String({ minLength: 4, maxLength: 16 });
const image = fc.oneof(
  data.map(
    (bytes): Anthropic.ImageBlockParam => ({
      type: 'image',
      source: { type: 'base64', media_type: 'image/png', data: bytes },
    }),
  ),
  fc.constant<Anthropic.ImageBlockParam>({
    type: 'image',
    source: { type: 'url', url: 'https://a.test/b.png' },
  }),
);
const document = fc
  .tuple(
    fc.oneof(
      data.map(
        (bytes): Anthropic.Base64PDFSource => ({
          type: 'base64',
          media_type: 'application/pdf',
          data: bytes,
        }),
      ),
      word.map((said): Anthropic.PlainTextSource => ({ type: 'text', media_type: 'text/plain', data: said })),
      fc.constant<Anthropic.URLPDFSource>({ type: 'url', url: 'https://a.test/b.pdf' }),
    ),
    fc.constantFrom({}, { title: 'A title' }),
  )
  .map(([source, title]): Anthropic.DocumentBlockParam => ({ type: 'document', source, ...title }));
const said = fc
  .tuple(fc.array(fc.oneof(text, image, document), { minLength: 1, maxLength: 3 }), mark)
  .map(([blocks, marker]): Anthropic.ContentBlockParam[] => [
    ...blocks.slice(0, -1),
    { ...blocks.at(-1), ...marker } as Anthropic.TextBlockParam,
  ]);
const thought = fc.constantFrom<Anthropic.ContentBlockParam[]>(
  [],
  [{ type: 'thinking', thinking: 'Hm.', signature: 'sig' }],
  [
    { type: 'thinking', thinking: 'Hm.', signature: 'sig' },
    { type: 'redacted_thinking', data: 'data' },
  ],
);
const input = fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 });

/** A turn of tools: calls, and a user's message with their results, and perhaps more. */
const loop = fc
  .record({
    thought,
    before: fc.array(text, { maxLength: 1 }),
    inputs: fc.array(input, { minLength: 1, maxLength: 3 }),
    results: fc.array(
      fc.oneof(word, fc.array(fc.oneof(text, image, document), { minLength: 1, maxLength: 2 })),
      { minLength: 3, maxLength: 3 },
    ),
    failed: fc.boolean(),
    marker: mark,
    after: fc.oneof(fc.constant([]), said),
  })
  .map(
    ({ thought: thoughts, before, inputs, results, failed, marker, after }) =>
      (at: number): Anthropic.MessageParam[] => [
        {
          role: 'assistant',
          content: [
            ...thoughts,
            ...before,
            ...inputs.map(
              (given, index): Anthropic.ToolUseBlockParam => ({
                type: 'tool_use',
                id: `toolu_${at}_${index}`,
                name: 'weather',
                input: given,
              }),
            ),
          ],
        },
        {
          role: 'user',
          content: [
            ...inputs.map(
              (_, index): Anthropic.ToolResultBlockParam => ({
                type: 'tool_result',
                tool_use_id: `toolu_${at}_${index}`,
                content: results[index] ?? '',
                ...(failed && index === 0 ? { is_error: true } : {}),
                ...(index === 0 ? marker : {}),
              }),
            ),
            ...after,
          ],
        },
      ],
  );
const exchange = fc
  .tuple(thought, word, said)
  .map(([thoughts, answer, next]) => (): Anthropic.MessageParam[] => [
    { role: 'assistant', content: [...thoughts, { type: 'text', text: answer }] },
    { role: 'user', content: next },
  ]);
const instruction = word.map((order) => (): Anthropic.MessageParam[] => [{ role: 'system', content: order }]);
const request = fc
  .record(
    {
      first: said,
      turns: fc.array(fc.oneof(loop, exchange), { maxLength: 2 }),
      later: fc.option(instruction, { nil: undefined }),
      system: fc.oneof(
        word,
        fc.tuple(text, mark).map(([one, marker]) => [{ ...one, ...marker }]),
      ),
      tools: fc.constantFrom<Anthropic.Tool[]>(
        [TOOL],
        [TOOL, { name: 'time', input_schema: { type: 'object', properties: {} } }],
      ),
      tool_choice: fc.constantFrom<Anthropic.ToolChoice>(
        { type: 'auto' },
        { type: 'none' },
        { type: 'auto', disable_parallel_tool_use: true },
      ),
      thinking: fc.constantFrom<Anthropic.ThinkingConfigParam>({ type: 'adaptive' }, { type: 'disabled' }),
      effort: fc.constantFrom('low', 'medium', 'high', 'xhigh', 'max'),
      stop_sequences: fc.constant(['END']),
      metadata: fc.constant({ user_id: 'user-1' }),
      service_tier: fc.constantFrom('auto', 'standard_only'),
      stream: fc.constant(true),
    },
    { requiredKeys: ['first', 'turns', 'tools'] },
  )
  .map(({ first, turns, later, effort, thinking, ...more }) => {
    const list: Anthropic.MessageParam[] = [
      { role: 'user', content: first },
      ...(later?.() ?? []),
      ...turns.flatMap((turn, at) => turn(at)),
    ];
    const wanted = thinking?.type === 'disabled' ? undefined : effort;
    return {
      ...ASK,
      ...more,
      messages: list,
      ...(thinking && { thinking }),
      ...(wanted && { output_config: { effort: wanted } }),
    };
  });

/** One of the ways in which the same can be said: blocks rather than texts, and what goes without saying. */
function normal(body: JsonObject): JsonObject {
  const { system, messages: list, thinking, output_config: config } = body;
  const isThinking = isJsonObject(thinking) && thinking['type'] === 'adaptive';
  const effort = isJsonObject(config) ? config['effort'] : undefined;
  return {
    ...body,
    model: '',
    ...(system === undefined ? {} : { system: blocks(system) }),
    messages: (list as JsonObject[]).map(({ role, content }) => ({
      role: role as Json,
      content: blocks(content),
    })),
    // An effort alone leaves it to the model whether to think, which the models that take one do.
    thinking: isThinking || effort !== undefined ? { type: 'adaptive' } : (thinking ?? null),
    output_config: isThinking && effort === undefined ? { effort: 'high' } : (config ?? null),
  };
}

function blocks(content: Json | undefined): Json[] {
  if (!Array.isArray(content)) return [{ type: 'text', text: content ?? '' }];
  return content.map((block) => {
    if (!isJsonObject(block) || block['type'] !== 'tool_result') return block;
    return { ...block, content: blocks(block['content']) };
  });
}

test('a request means the same to Claude, by whichever way it comes there', () => {
  fc.assert(
    fc.property(request, (body) => {
      // Anthropic takes four markers; the first of more are left out.
      fc.pre(JSON.stringify(body).split('"cache_control"').length <= 5);
      const asked = read(body);
      const ask = askFor(JSON.parse(Buffer.concat(asked.chat().with(new Map())).toString()) as JsonObject, {
        streaming: body.stream === true,
        capabilities: CAPABLE,
      });
      const prepared = anthropic.prepare(ask);
      assert.deepEqual(asked.dropped, []);
      assert.deepEqual(prepared.dropped, []);
      assert.deepEqual(normal(sentJson(prepared)), normal(JSON.parse(JSON.stringify(body)) as JsonObject));
    }),
    { numRuns: 1000 },
  );
});

test('a format, a forced tool and a mark on all of it mean the same', () => {
  const schema = {
    type: 'object',
    properties: { a: { type: 'string' } },
    required: ['a'],
    additionalProperties: false,
  };
  const strict: Anthropic.Tool = { ...TOOL, strict: true, input_schema: { ...schema, type: 'object' } };
  const body = {
    ...ASK,
    tools: [strict, { ...TOOL, name: 'b', cache_control: { type: 'ephemeral', ttl: '1h' } }],
    tool_choice: { type: 'tool', name: 'b', disable_parallel_tool_use: true },
    output_config: { format: { type: 'json_schema', schema } },
    temperature: 0.5,
    top_k: 5,
    cache_control: { type: 'ephemeral' },
  } as const;
  const prepared = anthropic.prepare(askFor(read(body).chat().value, { capabilities: CAPABLE }));
  const { cache_control: whole, ...rest } = JSON.parse(JSON.stringify(body)) as JsonObject;
  const marked = [{ role: 'user', content: [{ type: 'text', text: 'Hi', cache_control: whole as Json }] }];
  assert.deepEqual(normal(sentJson(prepared)), normal({ ...rest, messages: marked }));
  assert.deepEqual(prepared.dropped, []);
});

const answerBlocks = fc
  .tuple(thought, fc.array(word, { maxLength: 1 }), fc.array(input, { maxLength: 3 }))
  .filter(([, said, inputs]) => said.length + inputs.length > 0)
  .map(([thoughts, said, inputs]): Anthropic.ContentBlock[] => [
    ...(thoughts as Anthropic.ThinkingBlock[]),
    ...said.map(textBlock),
    ...inputs.map(
      (given, index): Anthropic.ToolUseBlock => ({
        type: 'tool_use',
        id: `toolu_${index}`,
        name: 'weather',
        input: given,
        caller: { type: 'direct' },
      }),
    ),
  ]);

function answer(content: Anthropic.ContentBlock[], cut: boolean): Anthropic.Message {
  const calls = content.some(({ type }) => type === 'tool_use');
  return {
    id: 'msg_01',
    type: 'message',
    role: 'assistant',
    model: 'claude-opus-5',
    content,
    container: null,
    diagnostics: null,
    stop_details: null,
    stop_reason: cut ? 'max_tokens' : calls ? 'tool_use' : 'end_turn',
    stop_sequence: null,
    usage: {
      input_tokens: 20,
      cache_creation_input_tokens: 300,
      cache_read_input_tokens: 1000,
      cache_creation: { ephemeral_5m_input_tokens: 100, ephemeral_1h_input_tokens: 200 },
      output_tokens: 90,
      output_tokens_details: { thinking_tokens: 40 },
      inference_geo: null,
      server_tool_use: null,
      service_tier: null,
      speed: null,
    },
  };
}

const AGENT = read({ ...ASK, tools: [TOOL] });
const PREPARED = () => anthropic.prepare(askFor(AGENT.chat().value, { capabilities: CAPABLE }));

function plainJson(value: unknown): JsonObject {
  return JSON.parse(JSON.stringify(value)) as JsonObject;
}

test('an answer of Claude is the same to the client, by whichever way it comes there', () => {
  fc.assert(
    fc.property(answerBlocks, fc.boolean(), (content, cut) => {
      const native = plainJson(answer(content, cut));
      const completion = completionOf(PREPARED(), native);
      assert.deepEqual(plainJson(messages.answer(completion, AGENT, '01')), native);
    }),
    { numRuns: 500 },
  );
});

/** The message as Anthropic streams it. */
function events({ content, stop_reason: reason, usage, ...rest }: Anthropic.Message): JsonObject[] {
  const all: Anthropic.RawMessageStreamEvent[] = [
    {
      type: 'message_start',
      message: { ...rest, content: [], stop_reason: null, usage: { ...usage, output_tokens: 1 } },
    },
  ];
  for (const [index, block] of content.entries()) {
    const delta = (one: Anthropic.RawContentBlockDelta) =>
      all.push({ type: 'content_block_delta', index, delta: one });
    const start = (one: Anthropic.ContentBlock) =>
      all.push({ type: 'content_block_start', index, content_block: one });
    if (block.type === 'text') {
      start({ ...block, text: '' });
      for (const letter of block.text.match(/..?/gsu) ?? []) delta({ type: 'text_delta', text: letter });
    } else if (block.type === 'thinking') {
      start({ ...block, thinking: '', signature: '' });
      for (const letter of block.thinking) delta({ type: 'thinking_delta', thinking: letter });
      delta({ type: 'signature_delta', signature: block.signature });
    } else if (block.type === 'tool_use') {
      start({ ...block, input: {} });
      for (const piece of JSON.stringify(block.input).match(/.{1,7}/gsu) ?? [])
        delta({ type: 'input_json_delta', partial_json: piece });
    } else start(block);
    all.push({ type: 'content_block_stop', index });
  }
  const { cache_creation: _, inference_geo: __, service_tier: ___, speed: ____, ...counted } = usage;
  all.push({
    type: 'message_delta',
    delta: { stop_reason: reason, stop_sequence: null, stop_details: null, container: null },
    usage: counted,
  });
  all.push({ type: 'message_stop' });
  return all.map(plainJson);
}

test('so it is in a stream, signatures at their place', () => {
  fc.assert(
    fc.property(answerBlocks, fc.boolean(), (content, cut) => {
      const native = answer(content, cut);
      const told = streamed(PREPARED(), [
        sse(events(native).map((data) => ({ type: String(data['type']), data }))),
      ]);
      const presenter = messages.presenter(AGENT, '01', 1);
      const pieces = [...told.chunks.map((one) => presenter.chunk(one)), presenter.end(false)];
      const came = eventsIn(Buffer.concat(pieces.filter((piece) => piece !== null)));
      assert.equal(faultIn(came), null);
      const expected = native.content.map((block) => {
        const { caller, input: given, ...more } = plainJson(block);
        return given === undefined ? more : { ...more, input: given };
      });
      const got = blocksIn(came).map(({ json, ...block }) =>
        json === undefined ? block : { ...block, input: JSON.parse(String(json)) as Json },
      );
      assert.deepEqual(got, expected);
      const { delta, usage } = endOf(came);
      assert.equal(delta['stop_reason'], native.stop_reason);
      const {
        cache_creation: _,
        inference_geo: __,
        service_tier: ___,
        speed: ____,
        ...counted
      } = native.usage;
      assert.deepEqual(usage, plainJson(counted));
    }),
    { numRuns: 500 },
  );
});
