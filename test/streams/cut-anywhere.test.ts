import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ChunkReader } from '../../src/providers/openai/chunk.ts';
import { AnswerStream } from '../../src/upstream/answer-stream.ts';
import { readEvents, startRig } from '../support/rig.ts';
import { inPieces, type Script, stream } from '../support/upstream.ts';

/** A stream as a host sends it: text beyond ASCII, escapes, a tool call, usage, comments. */
const EVENTS = [
  { delta: { role: 'assistant', content: '' }, finish_reason: null },
  { delta: { content: 'Grüße 🙂' }, finish_reason: null },
  { delta: { content: ' "q"\n\u2028\u0000' }, finish_reason: null },
  {
    delta: { tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'f', arguments: '' } }] },
    finish_reason: null,
  },
  { delta: { tool_calls: [{ index: 0, function: { arguments: '{"é":1}' } }] }, finish_reason: null },
  { delta: {}, finish_reason: 'tool_calls' },
].map((choice) => JSON.stringify({ id: 'x', model: 'up', choices: [{ index: 0, ...choice }], usage: null }));
const USAGE = '{"id":"x","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":12}}';

/** What the client of a gateway gets, and is to get however the bytes came. */
const CLEAN = [...EVENTS, USAGE, '[DONE]'].map((data) => `data: ${data}\n\n`).join('');
/** A gateway says what it cost as well; of this model it knows no price. */
const FROM_GATEWAY = CLEAN.replace('"completion_tokens":12}', '"completion_tokens":12,"cost":null}');
const WITH_COMMENT = CLEAN.replace('\n\n', '\n\n: comment\n\n');

const RECORDED: Record<string, string> = {
  LF: WITH_COMMENT,
  CRLF: WITH_COMMENT.replaceAll('\n', '\r\n'),
  CR: WITH_COMMENT.replaceAll('\n', '\r'),
};

/** What a `AnswerStream` gives to its reader when the bytes come in these pieces. */
function relay(pieces: readonly Buffer[], wantsUsage: boolean): string {
  const written: Buffer[] = [];
  let over: unknown = 'nothing';
  const owner = {
    heard: () => {},
    begun: () => stream.flow({ write: (bytes) => Boolean(written.push(bytes)), end: () => {} }),
    finished: () => {},
    complete: () => {
      over = null;
    },
    broken: (failure: unknown) => {
      over = failure;
    },
    dropped: () => assert.fail('an event was dropped'),
    pause: () => {},
    resume: () => {},
    again: () => {},
  };
  const format = { kind: 'relayed', reader: new ChunkReader(1) } as const;
  const stream: AnswerStream = new AnswerStream(
    format,
    { choices: 1, wantsUsage, named: false },
    owner,
    (text) => text,
  );
  for (const piece of pieces) stream.push(piece);
  stream.bodyEnded();
  assert.equal(over, null);
  return Buffer.concat(written).toString();
}

function cutAt(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const ends = [...new Set(cuts)].sort((a, b) => a - b);
  return [...ends, bytes.length].map((end, index) => bytes.subarray(ends[index - 1] ?? 0, end));
}

describe('a recorded stream, however it is cut', () => {
  for (const [name, recorded] of Object.entries(RECORDED)) {
    const bytes = Buffer.from(recorded);

    it(`in two, at every byte, with ${name}: the client gets the same`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.reply((request): Script => {
        const { cut } = request.json<{ cut: number }>();
        return stream([bytes.subarray(0, cut), bytes.subarray(cut)], { done: false });
      });
      let next = 1;
      const ask = async () => {
        for (let cut = next++; cut < bytes.length; cut = next++) {
          const reader = await rig.stream({ cut, stream_options: { include_usage: true } });
          assert.equal(await reader.rest(), FROM_GATEWAY, `cut at ${cut}`);
        }
      };
      await Promise.all(Array.from({ length: 8 }, ask));
      await rig.nothingLeft();
      assert.equal(await rig.gateway.metric('spillway_dropped_events_total{provider="a"}'), null);
    });

    it(`byte by byte, with ${name}: the client gets the same`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(inPieces(stream([bytes], { done: false }), { every: 1 }));
      const reader = await rig.stream({ stream_options: { include_usage: true } });
      assert.equal(await reader.rest(), FROM_GATEWAY);
    });

    it(`in random pieces, with ${name}: the reader gets the same`, () => {
      const cuts = fc.array(fc.integer({ min: 1, max: bytes.length - 1 }), { maxLength: 40 });
      fc.assert(
        fc.property(cuts, fc.boolean(), fc.boolean(), (at, wantsUsage, pooled) => {
          // Pieces that share memory with each other, and with what the decoder carries over, or do not.
          const pieces = cutAt(bytes, at).map((piece) => (pooled ? Buffer.from(piece) : piece));
          const expected = wantsUsage ? CLEAN : CLEAN.replace(`data: ${USAGE}\n\n`, '');
          assert.equal(relay(pieces, wantsUsage), expected.replace('data: [DONE]\n\n', ''));
        }),
        { numRuns: 500 },
      );
    });
  }

  it('in random pieces of random events: the client gets the valid ones', async (t) => {
    const rig = await startRig(t);
    let sent: Buffer[] = [];
    rig.upstream.reply(() => stream(sent, { done: false }));
    const content = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 30 });
    const item = fc.oneof(
      { weight: 4, arbitrary: content.map((text) => ({ text })) },
      fc.constantFrom(
        { raw: ': ping' },
        { raw: 'data: {"cut' },
        { raw: 'id: 1\nretry: 2' },
        { raw: 'data:' },
      ),
    );
    const lineEnd = fc.constantFrom('\n', '\r\n', '\r');
    const cuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(item, { minLength: 1, maxLength: 12 }),
        lineEnd,
        cuts,
        async (items, end, at) => {
          const chunk = (delta: object, finish: string | null) =>
            `data: ${JSON.stringify({ choices: [{ index: 0, delta, finish_reason: finish }] })}`;
          const lines = items.map((one) => ('text' in one ? chunk({ content: one.text }, null) : one.raw));
          const all = [...lines, chunk({}, 'stop'), 'data: [DONE]'].map((event) => `${event}\n\n`).join('');
          const bytes = Buffer.from(all.replaceAll('\n', end));
          sent = cutAt(
            bytes,
            at.map((share) => Math.floor(share * bytes.length)).filter((cut) => cut > 0),
          );
          const received = readEvents(await (await rig.stream()).rest());
          const texts = items.flatMap((one) => ('text' in one ? [one.text] : []));
          assert.equal(received.content, texts.join(''));
          assert.equal(received.done, true);
        },
      ),
      { numRuns: 150 },
    );
    await rig.nothingLeft();
  });
});
