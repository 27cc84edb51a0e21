import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ChatCompletionStream } from 'openai/lib/ChatCompletionStream';
import { ChunkWriter } from '../../src/chat/chunk-writer.ts';
import { CompletionWriter } from '../../src/chat/completion-writer.ts';
import type { ThinkingBlock } from '../../src/chat/extensions.ts';
import type { AnswerWriter, Citation, FinishReason } from '../../src/chat/writer.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { Usage } from '../../src/core/usage.ts';
import { accumulate, checkChunk, checkCompletion, fixedFacts, Told } from '../providers/kit.ts';

type Step =
  | { do: 'text' | 'refusal' | 'reasoning'; fragment: string }
  | { do: 'block'; block: ThinkingBlock }
  | { do: 'call'; id: string | null; signature: string | null }
  | { do: 'arguments'; of: number; fragment: string }
  | { do: 'citation'; citation: Citation }
  | { do: 'signature'; signature: string };

interface Written {
  choices: { steps: Step[]; finish: FinishReason }[];
  usage: Usage | null;
}

const USAGE: Usage = { input: 20, output: 8, cached: 5, cacheWrite: 3, cacheWriteHour: 2, reasoning: 4 };

const fragment = fc.string({ maxLength: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constantFrom('text', 'refusal', 'reasoning'), fragment }),
  fc.constant<Step>({
    do: 'block',
    block: { type: 'thinking', thinking: 'hm', signature: 's', origin: 'anthropic' },
  }),
  fc.constant<Step>({ do: 'block', block: { type: 'redacted_thinking', data: 'd' } }),
  fc.record({
    do: fc.constant('call'),
    id: fc.option(fc.constantFrom('a', 'b', '')),
    signature: fc.option(fc.constant('g')),
  }),
  fc.record({ do: fc.constant('arguments'), of: fc.nat(2), fragment }),
  fc.constant<Step>({ do: 'citation', citation: { url: 'https://x.example', title: 't', start: 0, end: 1 } }),
  fc.constant<Step>({ do: 'signature', signature: 'g0' }),
) as fc.Arbitrary<Step>;
const finish = fc.constantFrom<FinishReason>('stop', 'length', 'tool_calls', 'content_filter');
const written: fc.Arbitrary<Written> = fc.record({
  choices: fc.array(fc.record({ steps: fc.array(step, { maxLength: 12 }), finish }), {
    minLength: 1,
    maxLength: 2,
  }),
  usage: fc.option(fc.constant(USAGE)),
});

function write({ choices, usage }: Written, writer: AnswerWriter): void {
  writer.model('reported');
  for (const [index, { steps, finish: reason }] of choices.entries()) {
    const choice = writer.choice(index);
    for (const one of steps) {
      switch (one.do) {
        case 'text':
        case 'refusal':
        case 'reasoning':
          choice[one.do](one.fragment);
          break;
        case 'block':
          choice.thinkingBlock(one.block);
          break;
        case 'call':
          choice.toolCall({
            id: one.id,
            name: 'f',
            ...(one.signature === null ? {} : { thoughtSignature: one.signature }),
          });
          break;
        case 'arguments':
          choice.toolArguments(one.of, one.fragment);
          break;
        case 'citation':
          choice.citation(one.citation);
          break;
        case 'signature':
          choice.thoughtSignature(one.signature);
      }
    }
    choice.finish(reason);
  }
  if (usage !== null) writer.usage(usage);
}

function chunksOf(what: Written): { chunks: JsonObject[]; told: Told; facts: ReturnType<typeof fixedFacts> } {
  const told = new Told();
  const facts = fixedFacts();
  const writer = new ChunkWriter(facts, told);
  write(what, writer);
  writer.end();
  return { chunks: told.chunks, told, facts };
}

function completionOf(what: Written): { completion: JsonObject; facts: ReturnType<typeof fixedFacts> } {
  const facts = fixedFacts();
  const writer = new CompletionWriter(facts);
  write(what, writer);
  return { completion: writer.completion(), facts };
}

function one(...steps: Step[]): Written {
  return { choices: [{ steps, finish: 'stop' }], usage: USAGE };
}

describe('the two ways to write an answer', () => {
  it('agree, whatever an answer is made of, and are well-formed', () => {
    fc.assert(
      fc.property(written, (what) => {
        const stream = chunksOf(what);
        const whole = completionOf(what);
        for (const chunk of stream.chunks) checkChunk(chunk);
        checkCompletion(whole.completion);
        assert.deepEqual(accumulate(stream.chunks), JSON.parse(JSON.stringify(whole.completion)));
        assert.deepEqual(stream.facts.remembered, whole.facts.remembered);
      }),
      { numRuns: 500 },
    );
  });

  it('are what the official SDK puts together from the stream', async () => {
    const what = one(
      { do: 'reasoning', fragment: 'hm' },
      { do: 'block', block: { type: 'thinking', thinking: 'hm', signature: 's' } },
      { do: 'block', block: { type: 'redacted_thinking', data: 'd' } },
      { do: 'text', fragment: 'Let me ' },
      { do: 'text', fragment: 'see.' },
      { do: 'call', id: 'c1', signature: 'g' },
      { do: 'call', id: null, signature: null },
      { do: 'arguments', of: 1, fragment: '{"a"' },
      { do: 'arguments', of: 0, fragment: '{}' },
      { do: 'arguments', of: 1, fragment: ':1}' },
      { do: 'citation', citation: { url: 'https://x.example', title: 't', start: 0, end: 3 } },
      { do: 'signature', signature: 'g0' },
    );
    const { chunks } = chunksOf(what);
    const lines = chunks.map((chunk) => `${JSON.stringify(chunk)}\n`).join('');
    const stream = ChatCompletionStream.fromReadableStream(new Blob([lines]).stream());
    const message = JSON.parse(JSON.stringify((await stream.finalChatCompletion()).choices[0]?.message));
    const { completion } = completionOf(what);
    const [choice] = completion['choices'] as { message: JsonObject }[];
    const blocks = (message.thinking_blocks as JsonObject[]).map(({ index: _, ...block }) => block);
    const { parsed: _, ...rest } = message;
    for (const call of rest.tool_calls) delete call.function.parsed_arguments;
    // It keeps only the last piece of what it does not know; the text of thoughts is in the blocks as well.
    assert.deepEqual({ ...rest, thinking_blocks: blocks }, JSON.parse(JSON.stringify(choice?.message)));
  });
});

describe('a stream', () => {
  it('tells the role first and nothing after the finish but usage', () => {
    const told = new Told();
    const writer = new ChunkWriter(fixedFacts(), told);
    const choice = writer.choice(0);
    choice.text('a');
    choice.finish('stop');
    choice.text('late');
    choice.finish('length');
    assert.deepEqual(
      told.chunks.map(({ choices }) => (choices as { delta: JsonObject; finish_reason: string | null }[])[0]),
      [
        { index: 0, delta: { role: 'assistant', content: '' }, logprobs: null, finish_reason: null },
        { index: 0, delta: { content: 'a' }, logprobs: null, finish_reason: null },
        { index: 0, delta: {}, logprobs: null, finish_reason: 'stop' },
      ],
    );
  });

  it('tells usage once, at its end, and to its owner as soon as it is known', () => {
    const told = new Told();
    const writer = new ChunkWriter(fixedFacts(), told);
    writer.usage({ ...USAGE, output: 0 });
    writer.choice(0).finish('stop');
    writer.usage(USAGE);
    assert.deepEqual(
      told.usages.map(({ output }) => output),
      [0, 8],
    );
    const before = told.chunks.length;
    writer.end();
    writer.end();
    assert.equal(told.chunks.length, before + 1);
    assert.deepEqual(told.chunks.at(-1)?.['usage'], {
      prompt_tokens: 20,
      completion_tokens: 8,
      total_tokens: 28,
      prompt_tokens_details: { cached_tokens: 5, cache_write_tokens: 3, cache_write_1h_tokens: 2 },
      completion_tokens_details: { reasoning_tokens: 4 },
    });
  });

  it('says the model that the first piece was said with, to its end', () => {
    const told = new Told();
    const writer = new ChunkWriter(fixedFacts('target'), told);
    writer.choice(0).text('a');
    writer.model('another');
    writer.choice(0).finish('stop');
    assert.deepEqual([...new Set(told.chunks.map(({ model }) => model))], ['target']);
  });

  it('gives a call without arguments an empty object, and one without an id a new one', () => {
    const { chunks } = chunksOf(one({ do: 'call', id: null, signature: null }));
    const calls = chunks.flatMap(({ choices }) =>
      (choices as { delta: { tool_calls?: JsonObject[] } }[]).flatMap(({ delta }) => delta.tool_calls ?? []),
    );
    assert.deepEqual(calls, [
      { index: 0, id: 'call_sw00001', type: 'function', function: { name: 'f', arguments: '' } },
      { index: 0, function: { arguments: '{}' } },
    ]);
  });
});

describe('what must be handed back', () => {
  const block: Step = { do: 'block', block: { type: 'thinking', thinking: 'hm', signature: 's' } };

  it('is remembered by the ids of the calls, once, when the answer has finished', () => {
    const { facts } = chunksOf(
      one(block, { do: 'call', id: 'a', signature: 'g' }, { do: 'call', id: 'b', signature: null }),
    );
    assert.deepEqual(facts.remembered, [
      {
        callIds: ['a', 'b'],
        what: {
          thinkingBlocks: [{ type: 'thinking', thinking: 'hm', signature: 's' }],
          thoughtSignatures: { a: 'g' },
        },
      },
    ]);
  });

  it('is not where there are no calls, or nothing to hand back', () => {
    assert.deepEqual(chunksOf(one(block)).facts.remembered, []);
    assert.deepEqual(chunksOf(one({ do: 'call', id: 'a', signature: null })).facts.remembered, []);
  });
});
