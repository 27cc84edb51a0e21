import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ChunkWriter } from '../../../src/chat/chunk-writer.ts';
import { CompletionWriter } from '../../../src/chat/completion-writer.ts';
import type { ThinkingBlock } from '../../../src/chat/extensions.ts';
import { readConversation } from '../../../src/chat/read-conversation.ts';
import type { AnswerFacts, AnswerWriter, FinishReason } from '../../../src/chat/writer.ts';
import type { Json, JsonObject } from '../../../src/core/json.ts';
import { responses } from '../../../src/dialects/responses/responses.ts';
import { checkGrammar } from './grammar.ts';
import {
  answerTo,
  CREATED,
  type CreateParams,
  clientOf,
  eventsIn,
  ID,
  messagesOf,
  read,
  streamOf,
  toChat,
  type WireResponse,
} from './kit.ts';

const ASKED: CreateParams = { model: 'smart', input: 'Hi', stream: true };

/** What an upstream tells, piece by piece. */
type Piece =
  | { kind: 'text' | 'refusal' | 'reasoning'; text: string }
  | { kind: 'call'; name: string; signature: string | null }
  | { kind: 'arguments'; call: number; text: string }
  | { kind: 'block'; block: ThinkingBlock }
  | { kind: 'citation'; url: string }
  | { kind: 'signature'; text: string };

const text = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 6 });
const block: fc.Arbitrary<ThinkingBlock> = fc.oneof(
  fc.record({ type: fc.constant('thinking' as const), thinking: text, signature: text }),
  fc.record({
    type: fc.constant('redacted_thinking' as const),
    data: text,
    origin: fc.constant('bedrock' as const),
  }),
);
const piece: fc.Arbitrary<Piece> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('text', 'reasoning'), text }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('refusal' as const), text }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('call' as const),
      name: fc.constantFrom('look', 'go'),
      signature: fc.option(text),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('arguments' as const), call: fc.nat(2), text }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('block' as const), block }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('citation' as const), url: fc.webUrl() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('signature' as const), text }) },
) as fc.Arbitrary<Piece>;
const finish = fc.constantFrom<FinishReason>('stop', 'length', 'tool_calls', 'content_filter');
const answer = fc.record({ pieces: fc.array(piece, { maxLength: 14 }), finish });
type Told = { pieces: Piece[]; finish: FinishReason };

function tell({ pieces, finish }: Told, writer: AnswerWriter): void {
  const choice = writer.choice(0);
  let calls = 0;
  for (const piece of pieces) {
    switch (piece.kind) {
      case 'text':
      case 'refusal':
      case 'reasoning':
        choice[piece.kind](piece.text);
        break;
      case 'call': {
        const { name, signature } = piece;
        const extra = signature === null ? {} : { thoughtSignature: signature };
        choice.toolCall({ id: `call_${calls++}`, name, ...extra });
        break;
      }
      case 'arguments':
        choice.toolArguments(piece.call, piece.text);
        break;
      case 'block':
        choice.thinkingBlock(piece.block);
        break;
      case 'citation':
        choice.citation({ url: piece.url, title: 'T', start: 0, end: choice.textLength });
        break;
      case 'signature':
        choice.thoughtSignature(piece.text);
    }
  }
  choice.finish(finish);
  writer.usage({ input: 7, output: 3, cached: 2, cacheWrite: 1, reasoning: 1 });
}

function facts(): AnswerFacts {
  return { id: 'chatcmpl-1', created: CREATED, model: 'model-x', newId: () => 'new', remember: () => {} };
}

function chunksOf(told: Told): JsonObject[] {
  const chunks: JsonObject[] = [];
  const writer = new ChunkWriter(facts(), { chunk: (chunk) => chunks.push(chunk) });
  tell(told, writer);
  writer.end();
  return chunks;
}

function completionOf(told: Told): JsonObject {
  const writer = new CompletionWriter(facts());
  tell(told, writer);
  return writer.completion();
}

/**
 * What may differ between a stream and a whole answer: where the thought was interrupted, and how late it was known that there is something of it to
 * hand back; so also of which item something is missing.
 */
function withoutOrder(response: WireResponse): JsonObject {
  const { output, ...rest } = response;
  const rank = ['reasoning', 'message', 'function_call'];
  const items = output
    .map((item) => {
      const { status: _, ...kept } = item as unknown as JsonObject;
      if (item.type === 'reasoning') {
        return { ...kept, summary: item.summary.map(({ text }) => text).join('') };
      }
      if (item.type !== 'message') return kept;
      return {
        ...kept,
        content: [...item.content].sort((a, b) => a.type.localeCompare(b.type)),
      } as unknown as JsonObject;
    })
    .sort((a, b) => rank.indexOf(a['type'] as string) - rank.indexOf(b['type'] as string));
  return { ...(rest as unknown as JsonObject), output: items };
}

/** The same with all that was told without interruption. */
function inOrder({ pieces, finish }: Told): Told {
  const rank = ['signature', 'block', 'reasoning', 'text', 'refusal', 'citation', 'call', 'arguments'];
  return { pieces: [...pieces].sort((a, b) => rank.indexOf(a.kind) - rank.indexOf(b.kind)), finish };
}

const json = fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>;
const wild = (right: fc.Arbitrary<Json>) =>
  fc.oneof({ weight: 6, arbitrary: right }, { weight: 1, arbitrary: json });
const string = fc.constantFrom<Json>('', 'a', 'b', '{"x":', '1}', '\u2028', '__proto__', '\ud83d');
const object = (members: Record<string, fc.Arbitrary<Json>>) =>
  fc.record(members, { requiredKeys: [] }) as fc.Arbitrary<JsonObject>;
const extra = object({ google: wild(object({ thought_signature: wild(string) })) });
const toolCall = object({
  index: wild(fc.nat(2)),
  id: wild(string),
  function: wild(object({ name: wild(string), arguments: wild(string) })),
  extra_content: wild(extra),
});
const delta = object({
  role: fc.constant('assistant'),
  content: wild(string),
  refusal: wild(string),
  reasoning_content: wild(string),
  reasoning: wild(string),
  tool_calls: wild(fc.array(toolCall, { maxLength: 2 })),
  annotations: wild(fc.array(object({ type: string, url_citation: wild(json) }), { maxLength: 2 })),
  thinking_blocks: wild(fc.array(wild(object({ index: fc.nat(2), data: string })), { maxLength: 2 })),
  extra_content: wild(extra),
});
const wildChunk = object({
  model: wild(string),
  service_tier: wild(string),
  usage: wild(object({ prompt_tokens: wild(fc.nat(100)), completion_tokens: wild(fc.nat(100)) })),
  choices: wild(
    fc.array(
      wild(
        object({
          index: wild(fc.constant(0)),
          delta: wild(delta),
          logprobs: wild(object({ content: wild(fc.array(json, { maxLength: 2 })) })),
          finish_reason: wild(fc.constantFrom<Json>(null, 'stop', 'length', 'tool_calls')),
        }),
      ),
      { maxLength: 2 },
    ),
  ),
});

describe('whatever an upstream tells', () => {
  it('is a stream that keeps to the grammar, and says the same as the whole answer', () => {
    fc.assert(
      fc.property(answer, (told) => {
        const streamed = checkGrammar(eventsIn(streamOf(ASKED, chunksOf(told))));
        assert.ok(streamed);
        assert.deepEqual(withoutOrder(streamed), withoutOrder(answerTo(ASKED, completionOf(told))));
      }),
      { numRuns: 400 },
    );
  });

  it('is the same to the last member where nothing was interrupted', () => {
    fc.assert(
      fc.property(answer, (told) => {
        // What is to be handed back is known late in a stream, but for the thought's own item.
        const plain = { ...told, pieces: told.pieces.filter(({ kind }) => kind !== 'signature') };
        const ordered = inOrder(plain);
        const thought = ordered.pieces.some(({ kind }) => kind === 'reasoning');
        const carried = ordered.pieces.some(
          (one) => one.kind === 'block' || (one.kind === 'call' && one.signature),
        );
        fc.pre(thought || !carried);
        const cited = ordered.pieces.some(({ kind }) => kind === 'citation');
        fc.pre(!cited || ordered.pieces.some(({ kind }) => kind === 'text'));
        const streamed = checkGrammar(eventsIn(streamOf(ASKED, chunksOf(ordered))));
        assert.deepEqual(streamed, answerTo(ASKED, completionOf(ordered)));
      }),
      { numRuns: 400 },
    );
  });

  it('is the same conversation when its output comes back as input', () => {
    fc.assert(
      fc.property(answer, fc.boolean(), (told, streaming) => {
        const completion = completionOf(told);
        const [choice] = completion['choices'] as [JsonObject];
        const message = choice['message'] as JsonObject;
        const { output } = streaming
          ? (checkGrammar(eventsIn(streamOf(ASKED, chunksOf(told)))) as WireResponse)
          : answerTo(ASKED, completion);
        const calls = output.filter((item) => item.type === 'function_call');
        const results = calls.map(({ call_id }) => ({ type: 'function_call_output', call_id, output: 'ok' }));
        const back = toChat({
          model: 'smart',
          input: [{ role: 'user', content: 'Hi' }, ...output, ...results] as never,
        });
        const expected = [
          { role: 'user', content: 'Hi' },
          ...(said(message) ? [message] : []),
          ...calls.map(({ call_id }) => ({ role: 'tool', tool_call_id: call_id, content: 'ok' })),
        ];
        const conversation = (messages: Json) =>
          JSON.parse(JSON.stringify(readConversation({ messages }, () => null).turns));
        assert.deepEqual(conversation(back['messages'] as Json), conversation(expected as Json));
      }),
      { numRuns: 400 },
    );
  });

  it('is taken by the SDK, which makes the same of its pieces as of its end', async () => {
    await fc.assert(
      fc.asyncProperty(answer, async (told) => {
        const bytes = streamOf(ASKED, chunksOf(told));
        const whole = checkGrammar(eventsIn(bytes));
        const grown: Json[] = [];
        const stream = clientOf([bytes]).responses.stream({ model: 'm', input: 'Hi' });
        for await (const event of stream) {
          if (event.type === 'response.output_item.done') grown.push(event.item as unknown as Json);
        }
        const final = await stream.finalResponse();
        assert.deepEqual(grown, whole?.output);
        assert.equal(final.status, whole?.status);
      }),
      { numRuns: 60 },
    );
  });
});

describe('whatever a host sends', () => {
  it('is a stream that keeps to the grammar, and loses no text and no piece of arguments', () => {
    fc.assert(
      fc.property(fc.array(wildChunk, { maxLength: 12 }), (chunks) => {
        const response = checkGrammar(eventsIn(streamOf(ASKED, chunks)));
        assert.ok(response);
        const wanted = { text: '', refusal: '', args: 0 };
        for (const { choices } of chunks) {
          for (const choice of list(choices)) {
            if ((choice['index'] ?? 0) !== 0) continue;
            const delta = (choice['delta'] ?? {}) as JsonObject;
            if (typeof delta !== 'object' || Array.isArray(delta)) continue;
            wanted.text += typeof delta['content'] === 'string' ? delta['content'] : '';
            wanted.refusal += typeof delta['refusal'] === 'string' ? delta['refusal'] : '';
            for (const call of list(delta['tool_calls'])) {
              const made = call['function'] as JsonObject | null | undefined;
              if (typeof made?.['arguments'] === 'string') wanted.args += made['arguments'].length;
            }
          }
        }
        const texts = response.output.flatMap((item) => (item.type === 'message' ? item.content : []));
        assert.ok(
          texts
            .map((part) => (part.type === 'output_text' ? part.text : ''))
            .join('')
            .includes(wanted.text) || hasLists(chunks),
        );
        assert.equal(
          texts.map((part) => (part.type === 'refusal' ? part.refusal : '')).join(''),
          wanted.refusal,
        );
        const args = response.output
          .map((item) => (item.type === 'function_call' ? item.arguments : ''))
          .join('');
        assert.ok(args.length >= wanted.args);
      }),
      { numRuns: 1500 },
    );
  });

  it('is a Response where it came whole', () => {
    fc.assert(
      fc.property(delta, wild(fc.constant('stop')), json, (message, finish_reason, usage) => {
        const completion = { choices: [{ index: 0, message, finish_reason }], usage };
        const response = answerTo(ASKED, completion);
        assert.ok(response.output.length > 0);
        for (const item of response.output)
          assert.notEqual((item as { status?: string }).status, 'in_progress');
        // What a host left without a name, no other one can be told of.
        const named = response.output.filter((item) => item.type !== 'function_call' || item.name !== '');
        assert.doesNotThrow(() => messagesOf([{ role: 'user', content: 'x' }, ...(named as never[])]));
      }),
      { numRuns: 500 },
    );
  });
});

describe('whatever a client sends', () => {
  it('is translated, or refused by the name of what is wrong', () => {
    const item = object({
      type: wild(fc.constantFrom<Json>('message', 'reasoning', 'function_call', 'function_call_output')),
      role: wild(fc.constantFrom<Json>('user', 'assistant', 'system')),
      content: wild(
        fc.oneof(
          string,
          fc.array(
            wild(
              object({
                type: wild(fc.constantFrom<Json>('input_text', 'output_text', 'refusal', 'input_image')),
                text: wild(string),
                refusal: wild(string),
                image_url: wild(string),
              }),
            ),
            { maxLength: 2 },
          ),
        ),
      ),
      call_id: wild(string),
      name: wild(string),
      arguments: wild(string),
      output: wild(string),
      summary: wild(json),
      encrypted_content: wild(fc.constantFrom<Json>('spillway-1.e30', 'spillway-1.', 'spillway-1.W10', 'x')),
    });
    const request = object({
      instructions: wild(string),
      tools: wild(
        fc.array(wild(object({ type: fc.constant('function'), name: wild(string) })), { maxLength: 2 }),
      ),
      tool_choice: json,
      text: wild(object({ format: json, verbosity: json })),
      reasoning: json,
      include: json,
    });
    fc.assert(
      fc.property(fc.array(item, { minLength: 1, maxLength: 5 }), request, (input, rest) => {
        const asked = read({ model: 'm', ...rest, input } as JsonObject);
        try {
          assert.ok(Array.isArray(asked.chat().value['messages']));
        } catch (error) {
          assert.ok(error instanceof Error && error.name === 'Unsupported', String(error));
        }
        // Whatever it was, it can be answered: other targets may have taken it as it is.
        checkGrammar(eventsIn(Buffer.concat([responses.presenter(asked, ID, CREATED).end(false) as Buffer])));
      }),
      { numRuns: 1500 },
    );
  });
});

function list(value: Json | undefined): JsonObject[] {
  return Array.isArray(value)
    ? value.filter((one): one is JsonObject => typeof one === 'object' && one !== null && !Array.isArray(one))
    : [];
}

function hasLists(chunks: JsonObject[]): boolean {
  return chunks.some(({ choices }) =>
    list(choices).some(({ delta }) => Array.isArray((delta as JsonObject | undefined)?.['content'])),
  );
}

function said(message: JsonObject): boolean {
  return Boolean(message['content']) || Boolean(message['refusal']) || Array.isArray(message['tool_calls']);
}
