/** Arguments of tool calls that are no object: nobody could call a tool with them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Json, JsonObject } from '../../src/core/json.ts';
import { anthropic } from '../../src/providers/anthropic/adapter.ts';
import { bedrock } from '../../src/providers/bedrock/adapter.ts';
import { gemini } from '../../src/providers/gemini/adapter.ts';
import { frames } from './bedrock/rig.ts';
import { accumulate, askFor, plain, sse, streamed, type Told } from './kit.ts';

const HELLO: JsonObject = { model: 'm', messages: [{ role: 'user', content: 'Hello' }] };
await bedrock.load?.();

interface Speech {
  /** A whole answer that calls a tool with this; left out: with nothing. */
  whole(input?: Json): JsonObject;
  /** A streamed answer that calls a tool with these pieces, and stops for this reason. */
  pieces?(pieces: readonly string[], why: 'call' | 'length'): Buffer;
  /** The same with all that it is called with in one piece. */
  block(input?: Json): Buffer | null;
}

const anthropicCall = (index: number, partial_json: string): JsonObject[] => [
  {
    type: 'content_block_start',
    index,
    content_block: { type: 'tool_use', id: 'b', name: 'g', input: {} },
  },
  { type: 'content_block_delta', index, delta: { type: 'input_json_delta', partial_json } },
  { type: 'content_block_stop', index },
];

/** The call of another tool follows, which is well-formed. */
const anthropicEvents = (block: JsonObject, pieces: readonly string[], reason: string): Buffer => {
  const events: JsonObject[] = [
    { type: 'message_start', message: { model: 'm', usage: { input_tokens: 1, output_tokens: 1 } } },
    { type: 'content_block_start', index: 0, content_block: block },
    ...pieces.map((partial_json) => ({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'input_json_delta', partial_json },
    })),
    { type: 'content_block_stop', index: 0 },
    ...(reason === 'tool_use' ? anthropicCall(1, '{}') : []),
    { type: 'message_delta', delta: { stop_reason: reason }, usage: { output_tokens: 5 } },
    { type: 'message_stop' },
  ];
  return sse(events.map((data) => ({ type: String(data['type']), data })));
};

const bedrockCall = (contentBlockIndex: number, input: string): JsonObject[] => [
  { contentBlockStart: { contentBlockIndex, start: { toolUse: { toolUseId: 'b', name: 'g' } } } },
  { contentBlockDelta: { contentBlockIndex, delta: { toolUse: { input } } } },
  { contentBlockStop: { contentBlockIndex } },
];

const geminiAnswer = (args?: Json): JsonObject => ({
  candidates: [
    {
      content: { parts: [{ functionCall: { name: 'f', ...(args === undefined ? {} : { args }) } }] },
      finishReason: 'STOP',
    },
  ],
  usageMetadata: { promptTokenCount: 1 },
});

const SPEECHES: Record<string, Speech> = {
  anthropic: {
    whole: (input) => ({
      type: 'message',
      content: [{ type: 'tool_use', id: 'a', name: 'f', ...(input === undefined ? {} : { input }) }],
      stop_reason: 'tool_use',
    }),
    pieces: (pieces, why) =>
      anthropicEvents(
        { type: 'tool_use', id: 'a', name: 'f', input: {} },
        pieces,
        why === 'call' ? 'tool_use' : 'max_tokens',
      ),
    block: (input) =>
      anthropicEvents(
        { type: 'tool_use', id: 'a', name: 'f', ...(input === undefined ? {} : { input }) },
        [],
        'tool_use',
      ),
  },
  bedrock: {
    whole: (input) => ({
      output: {
        message: {
          role: 'assistant',
          content: [{ toolUse: { toolUseId: 'a', name: 'f', ...(input === undefined ? {} : { input }) } }],
        },
      },
      stopReason: 'tool_use',
    }),
    pieces: (pieces, why) =>
      frames([
        { messageStart: { role: 'assistant' } },
        { contentBlockStart: { contentBlockIndex: 0, start: { toolUse: { toolUseId: 'a', name: 'f' } } } },
        ...pieces.map((input) => ({
          contentBlockDelta: { contentBlockIndex: 0, delta: { toolUse: { input } } },
        })),
        { contentBlockStop: { contentBlockIndex: 0 } },
        ...(why === 'call' ? bedrockCall(1, '{}') : []),
        { messageStop: { stopReason: why === 'call' ? 'tool_use' : 'max_tokens' } },
        { metadata: { usage: { inputTokens: 1, outputTokens: 1 } } },
      ]),
    // It knows pieces only.
    block: () => null,
  },
  gemini: {
    whole: geminiAnswer,
    block: (input) => sse([{ data: geminiAnswer(input) }]),
  },
};

const ADAPTERS = { anthropic, bedrock, gemini } as const;

/** The reason why it finished; null: it did not. */
function finishOf({ chunks }: Told): Json {
  const finishes = chunks.flatMap(({ choices }) =>
    (choices as JsonObject[]).map(({ finish_reason: finish }) => finish ?? null),
  );
  return finishes.find((finish) => finish !== null) ?? null;
}

function argumentsOf(completion: JsonObject): Json | undefined {
  const [choice] = completion['choices'] as { message: { tool_calls?: { function: JsonObject }[] } }[];
  return choice?.message.tool_calls?.[0]?.function['arguments'];
}

for (const [name, speech] of Object.entries(SPEECHES)) {
  const adapter = ADAPTERS[name as keyof typeof ADAPTERS];
  const prepared = adapter.prepare(askFor(HELLO));
  const streaming = adapter.prepare(askFor(HELLO, { streaming: true }));

  describe(`What ${name} calls a tool with`, () => {
    it('is an object, or the answer is none', () => {
      for (const input of [true, false, 0, 7, 'x', '{}', [], [{}]] as Json[]) {
        const reading = plain(prepared, speech.whole(input));
        assert.equal(reading.kind, 'broken', JSON.stringify(input));
        if (reading.kind === 'broken') assert.match(reading.why, /tool|block/);
        const bytes = speech.block(input);
        if (bytes === null) continue;
        const told = streamed(streaming, [bytes]);
        assert.equal(told.breaks.length, 1, JSON.stringify(input));
        assert.equal(finishOf(told), null);
        assert.doesNotMatch(JSON.stringify(told.chunks), /tool_calls/, 'nothing of it is told');
      }
    });

    it('may be nothing', () => {
      for (const input of [undefined, null, '', {}]) {
        const reading = plain(prepared, speech.whole(input));
        assert.equal(reading.kind, 'answer', JSON.stringify(input));
        if (reading.kind === 'answer') assert.equal(argumentsOf(reading.value), '{}');
        const bytes = speech.block(input);
        if (bytes !== null) assert.equal(argumentsOf(accumulate(streamed(streaming, [bytes]).chunks)), '{}');
      }
    });

    const { pieces } = speech;
    if (pieces === undefined) return;

    it('adds up to an object, or the stream is broken before it says that it is whole', () => {
      for (const parts of [
        ['true'],
        ['0'],
        ['"x', '"'],
        ['[', ']'],
        ['{"a":1'],
        ['{"a":1}', '}'],
        ['null'],
        [' '],
      ]) {
        const told = streamed(streaming, [pieces(parts, 'call')]);
        assert.equal(told.breaks.length, 1, String(parts));
        assert.equal(told.dones, 0);
        assert.equal(finishOf(told), null, String(parts));
      }
      for (const parts of [[], [''], ['{', '}'], ['{"a":', '{"b":[1]}}'], [' {"a":1}\n']]) {
        const told = streamed(streaming, [pieces(parts, 'call')]);
        assert.ok(told.isWhole, String(parts));
        assert.equal(finishOf(told), 'tool_calls');
        assert.equal(argumentsOf(accumulate(told.chunks)), parts.join('') === '' ? '{}' : parts.join(''));
      }
    });

    it('is cut off with an answer that grew too long', () => {
      const told = streamed(streaming, [pieces(['{"a":', '1'], 'length')]);
      assert.ok(told.isWhole);
      assert.equal(finishOf(told), 'length');
      assert.equal(argumentsOf(accumulate(told.chunks)), '{"a":1');
    });
  });
}
