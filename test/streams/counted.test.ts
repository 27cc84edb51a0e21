import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../src/core/json.ts';
import { ChunkReader } from '../../src/providers/openai/chunk.ts';
import { outputOf } from '../../src/providers/openai/output.ts';
import { AnswerStream } from '../../src/upstream/answer-stream.ts';
import { delta, FINISH, ROLE, readEvents, text, turns, until, usage } from '../support/rig.ts';
import { close, Gate, pauseUntil, type StreamItem, stream } from '../support/upstream.ts';
import { delivered, openTarget } from './visit.ts';

/** What is counted of each delta: all, and of it reasoning. */
const DELTAS: Record<string, [delta: object, characters: number, reasoning?: number]> = {
  'a role': [{ role: 'assistant', content: '' }, 0],
  nothing: [{}, 0],
  text: [{ content: 'Hello' }, 5],
  'text beyond ASCII, in bytes': [{ content: 'né 你好 🙂' }, 15],
  'a long text beyond ASCII, in bytes': [{ content: '你好世界'.repeat(10) }, 120],
  'a refusal': [{ refusal: 'I will not' }, 10],
  reasoning: [{ reasoning_content: 'Hmm' }, 3, 3],
  'reasoning by its other name': [{ reasoning: 'Hmm' }, 3, 3],
  'reasoning under two names, once': [{ reasoning: 'Hmm', reasoning_content: 'Hmm' }, 3, 3],
  'reasoning under three names, once': [
    {
      reasoning: 'Hmm',
      reasoning_content: 'Hmm',
      reasoning_details: [
        { type: 'reasoning.text', text: 'Hmm', signature: 'c2lnbmF0dXJl', format: 'unknown' },
      ],
    },
    3,
    3,
  ],
  'reasoning in details only': [{ reasoning_details: [{ type: 'reasoning.text', text: 'Hmm' }] }, 3, 3],
  'reasoning and text': [{ reasoning: 'Hmm', content: 'Hello' }, 8, 3],
  'the start of a tool call': [
    {
      tool_calls: [
        { index: 0, id: 'call_123', type: 'function', function: { name: 'weather', arguments: '' } },
      ],
    },
    7,
  ],
  'its arguments': [{ tool_calls: [{ index: 0, function: { arguments: '{"city":' } }] }, 8],
  'two tool calls': [
    {
      tool_calls: [
        { function: { name: 'ab', arguments: '{}' } },
        { function: { name: 'c', arguments: '{}' } },
      ],
    },
    7,
  ],
  'arguments that are no text': [
    { tool_calls: [{ function: { name: 'ab', arguments: { city: 'Paris' } } }] },
    7,
  ],
  'a tool call of another kind': [
    { tool_calls: [{ index: 0, id: 'call_1', type: 'custom', custom: { name: 'ab', input: 'xyz' } }] },
    5,
  ],
  'strange tool calls': [{ tool_calls: [null, 7, 'abc', []] }, 3],
  'a function call': [{ function_call: { name: 'ab', arguments: '{}' } }, 4],
  'parts of content': [
    {
      content: [
        { type: 'thinking', thinking: [{ type: 'text', text: 'Hmm' }] },
        { type: 'text', text: 'Hello' },
      ],
    },
    8,
  ],
  'what no one has invented yet': [{ musing: 'abc' }, 3],
  'sound, of which what it says': [{ audio: { id: 'a', data: 'UklGRg'.repeat(1000), transcript: 'abc' } }, 3],
  'pictures, not at all': [
    { images: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(9000)}` } }] },
    0,
  ],
  'where a citation leads, not at all': [
    {
      annotations: [
        { type: 'url_citation', url_citation: { url: 'https://x', title: 'A page', content: 'abc' } },
      ],
    },
    0,
  ],
  'what is no text': [{ a: true, b: 7, c: null, d: [], e: {} }, 0],
};

describe('what an event brings', () => {
  for (const [name, [change, characters, reasoning = 0]] of Object.entries(DELTAS)) {
    it(`is counted: ${name}`, () => {
      const reader = new ChunkReader(1);
      reader.read(JSON.stringify(delta(change)), '');
      assert.deepEqual(reader.output, { characters, reasoning });
      const message = { ...(change as JsonObject), role: 'assistant' };
      assert.deepEqual(outputOf({ choices: [{ message }, { message }] }), {
        characters: 2 * characters,
        reasoning: 2 * reasoning,
      });
    });
  }

  it('is counted over all choices, and anew for each event', () => {
    const reader = new ChunkReader(2);
    const choices = ['Hello', 'you'].map((content, index) => ({
      index,
      delta: { content, reasoning: 'ab' },
    }));
    reader.read(JSON.stringify({ choices }), '');
    assert.deepEqual(reader.output, { characters: 12, reasoning: 4 });
    for (const data of [JSON.stringify(usage()), '[DONE]', '{"cut', 'null', '{"error":{"message":"abc"}}']) {
      reader.read(JSON.stringify({ choices }), '');
      reader.read(data, '');
      assert.deepEqual(reader.output, { characters: 0, reasoning: 0 }, data);
    }
  });

  it('is counted however deep an event is nested', () => {
    const reader = new ChunkReader(1);
    const deep = `${'['.repeat(100_000)}"abc"${']'.repeat(100_000)}`;
    const data = `{"choices":[{"index":0,"delta":{"content":"Hello","x":${deep}}}]}`;
    assert.equal(reader.read(data, ''), 'content');
    assert.equal(reader.output.characters, 5);
  });

  it('is nothing of an answer that is none', () => {
    for (const answer of [
      {},
      { choices: null },
      { choices: [null, 7, {}, { message: 'abc' }] },
    ] as JsonObject[]) {
      assert.deepEqual(outputOf(answer), { characters: 0, reasoning: 0 });
    }
  });
});

/** A stream whose bytes come from the test, and what its reader gets. */
function directly(choices = 1) {
  const written: string[] = [];
  const owner = {
    heard: () => {},
    begun: () => {},
    finished: () => {},
    complete: () => {},
    broken: () => {},
    dropped: () => {},
    pause: () => {},
    resume: () => {},
    again: () => {},
  };
  const format = { kind: 'relayed', reader: new ChunkReader(choices) } as const;
  const stream = new AnswerStream(
    format,
    { choices, wantsUsage: true, named: false },
    owner,
    (words) => words,
  );
  return {
    stream,
    flow: () => stream.flow({ write: (bytes) => written.push(bytes.toString()) > 0, end: () => {} }),
    push: (...events: (object | string)[]) => stream.push(Buffer.from(events.map(encoded).join(''))),
    received: () => readEvents(written.join('')),
  };
}

function encoded(event: object | string): string {
  return typeof event === 'string' ? event : `data: ${JSON.stringify(event)}\n\n`;
}

describe('what a stream has passed on', () => {
  it('is nothing while all is held back, and then what was held as well', () => {
    const { stream, flow, push } = directly();
    push(ROLE, text('Hello'));
    assert.equal(stream.passed.characters, 0);
    flow();
    assert.equal(stream.passed.characters, 5);
    push(text(' world'), delta({ reasoning: 'Hmm' }));
    assert.deepEqual(stream.passed, { characters: 14, reasoning: 3 });
  });

  it('is nothing of a try that failed before it began', async (t) => {
    const target = await openTarget(t);
    target.upstream.enqueue(stream([delta({ content: '' }), close()]));
    const { visit } = await target.ask();
    assert.equal(visit.kind, 'failed');
    const { stream: failed, push } = directly();
    push(text('Hello'));
    failed.bodyEnded();
    failed.finish({ kind: 'broken_body', message: '', status: null, retryAfterMs: null, error: null });
    assert.equal(failed.passed.characters, 0);
  });

  it('is not what was left out: what is damaged, errors, usage, and all after the end', () => {
    const { stream, flow, push, received } = directly();
    flow();
    push(ROLE, text('Hello'), 'data: {"choices":[{"delta":{"content":"cut\n\n', usage());
    push({ choices: [{ index: 0, delta: { content: 'abc' } }, 'nonsense'] });
    push(FINISH, 'data: [DONE]\n\n', text('more'), 'data: [DONE]\n\n');
    assert.equal(stream.passed.characters, 5);
    assert.equal(received().content, 'Hello');
  });

  it('is not the part of an event that brings an error', () => {
    const { stream, flow, push } = directly(2);
    flow();
    push(text('Hello'));
    push({
      choices: [
        { index: 0, delta: { content: 'abc' } },
        { index: 1, delta: { content: 'abc' }, finish_reason: 'error' },
      ],
    });
    assert.equal(stream.passed.characters, 5);
  });

  it('is counted in chunks that are mended, or that came in another form', () => {
    const { stream, flow, push, received } = directly();
    flow();
    push({ choices: [{ delta: { content: 'Hello' } }] });
    push(`id: 1\r\nevent: message\r\ndata:${JSON.stringify(text(' world'))}\r\n\r\n`);
    push({ choices: [{ index: 0, finish_reason: 'stop' }] });
    assert.equal(stream.passed.characters, 11);
    assert.equal(received().content, 'Hello world');
  });

  it('grows no more once the client has left', async (t) => {
    const target = await openTarget(t);
    const gate = new Gate();
    const events: StreamItem[] = [ROLE, text('Hello'), pauseUntil(gate), text(' world'), FINISH];
    target.upstream.enqueue(stream(events));
    const asked = await target.ask();
    const all = delivered(asked.stream);
    await gate.reached();
    asked.cancellation.cancel('client_gone');
    gate.open();
    await all;
    await until(() => target.upstream.inFlight === 0);
    await turns();
    assert.equal(asked.stream.passed.characters, 5);
  });

  it('is nothing where the client left before it got anything', async (t) => {
    const target = await openTarget(t);
    const gate = new Gate();
    target.upstream.enqueue(stream([ROLE, text('Hello'), pauseUntil(gate), FINISH]));
    const asked = await target.ask();
    asked.cancellation.cancel('client_gone');
    assert.equal(await delivered(asked.stream), '');
    assert.equal(asked.stream.passed.characters, 0);
  });

  it('is counted of a stream that breaks, as far as it came', async (t) => {
    const target = await openTarget(t);
    target.upstream.enqueue(stream([ROLE, text('Hello'), text(' world'), close()]));
    const asked = await target.ask();
    assert.equal(readEvents(await delivered(asked.stream)).content, 'Hello world');
    assert.equal(asked.stream.passed.characters, 11);
    assert.equal(asked.stream.usage, null);
  });

  it('is as long as what the reader has, in whatever pieces it came', () => {
    const word = fc.string({ unit: 'grapheme', maxLength: 30 });
    const piece = fc.tuple(fc.integer({ min: 0, max: 2 }), word);
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.integer({ min: 1, max: 200 }),
        fc.nat(12),
        (words, size, after) => {
          const { stream, flow, received } = directly(3);
          const bytes = Buffer.from(words.map(([index, content]) => encoded(text(content, index))).join(''));
          let pushed = 0;
          for (let at = 0; at < bytes.length; at += size) {
            if (pushed++ === after) flow();
            stream.push(bytes.subarray(at, at + size));
          }
          if (pushed <= after) flow();
          const got = received().chunks.flatMap(({ choices }) =>
            choices.map((choice) => String(choice.delta['content'])),
          );
          assert.equal(stream.passed.characters, Buffer.byteLength(got.join('')));
          assert.deepEqual(
            got,
            words.map(([, content]) => content),
          );
        },
      ),
      { numRuns: 300 },
    );
  });
});
