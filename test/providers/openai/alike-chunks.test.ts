import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../../src/core/json.ts';
import { ChunkReader } from '../../../src/providers/openai/chunk.ts';

const COMMON = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'm' };

function chunk(delta: object, rest: object = {}, choice: object = {}): string {
  return JSON.stringify({
    ...COMMON,
    choices: [{ index: 0, delta, logprobs: null, finish_reason: null, ...choice }],
    ...rest,
  });
}

/** Is the event with this data taken, in the middle of others as in a stream? */
function isTaken(reader: ChunkReader, data: Buffer): boolean {
  const before = Buffer.from('data: {}\n\n');
  const event = Buffer.concat([Buffer.from('data: '), data, Buffer.from('\n\n')]);
  const end = reader.readAlike(Buffer.concat([before, event, event]), before.length);
  if (end !== 0) assert.equal(end, before.length + event.length);
  return end !== 0;
}

/** Reads each as a stream does; what it says of the last one, and whether that had to be parsed. */
function readAll(reader: ChunkReader, chunks: readonly (string | Buffer)[]) {
  let last = { parsed: true, kind: '' as string };
  for (const each of chunks) {
    const data = Buffer.from(each);
    const parsed = !isTaken(reader, data);
    last = { parsed, kind: parsed ? reader.read(data.toString(), '') : 'content' };
  }
  return { ...last, ...stateOf(reader) };
}

function stateOf(reader: ChunkReader) {
  const { usage, model, error, mended, reportsUsage, output, finished, finishedAllBegun, callingTool } =
    reader;
  return {
    ...{ usage, model, error, mended, reportsUsage, finished, finishedAllBegun, callingTool },
    output: { ...output },
  };
}

/** Parses everything. */
function readEach(chunks: readonly (string | Buffer)[]) {
  const reader = new ChunkReader(1);
  let kind = '';
  for (const each of chunks) kind = reader.read(Buffer.from(each).toString(), '');
  return { kind, ...stateOf(reader) };
}

const FIRST = chunk({ content: 'Hello' });

describe('a chunk that differs from the one before in its text alone', () => {
  for (const [name, text] of Object.entries({
    'plain text': ' world',
    'an escape': 'a\nb "quoted" \\ back',
    'characters beyond ASCII': 'é, 世界, 😀',
    'half a pair of surrogates': '\ud83d',
    'what looks like the end': '"},"finish_reason":"stop',
  })) {
    it(`is not parsed again: ${name}`, () => {
      const chunks = [FIRST, chunk({ content: text })];
      const { parsed, ...read } = readAll(new ChunkReader(1), chunks);
      assert.equal(parsed, false);
      assert.deepEqual(read, readEach(chunks));
      assert.notEqual(read.output.characters, 0);
    });
  }

  it('may be padded otherwise, before or after', () => {
    const padded = (text: string, obfuscation: string) => [
      chunk({ content: text }, { obfuscation }),
      JSON.stringify({ obfuscation, ...COMMON, choices: [{ index: 0, delta: { content: text } }] }),
    ];
    const [after, before] = padded('one', 'abcdef');
    const [after2, before2] = padded('three', 'x');
    for (const chunks of [
      [after, after2],
      [before, before2],
    ]) {
      const { parsed, ...read } = readAll(new ChunkReader(1), chunks as string[]);
      assert.equal(parsed, false);
      assert.deepEqual(read, readEach(chunks as string[]));
    }
  });

  it('is not taken before all of it has come, and does not change what the next one is known by', () => {
    const reader = new ChunkReader(1);
    readAll(reader, [FIRST]);
    const event = Buffer.from(`data: ${chunk({ content: ' world' })}\n\n`);
    for (let length = 6; length < event.length; length++) {
      assert.equal(reader.readAlike(event.subarray(0, length), 0), 0, `${length} bytes`);
      assert.equal(reader.readAlike(event, 0), event.length);
    }
  });

  it('is known after others came between', () => {
    const chunks = [FIRST, chunk({ content: '', role: 'assistant' }), chunk({ content: 'again' })];
    assert.equal(readAll(new ChunkReader(1), chunks).parsed, false);
  });

  it('reports no usage that the one before reported', () => {
    const usage = { prompt_tokens: 1, completion_tokens: 2 };
    const reader = new ChunkReader(1);
    readAll(reader, [FIRST, chunk({ content: 'x' }, { usage })]);
    assert.equal(reader.reportsUsage, true);
    readAll(reader, [chunk({ content: 'y' })]);
    assert.equal(reader.reportsUsage, false);
  });
});

describe('a chunk is parsed', () => {
  const parsed = (chunks: readonly (string | Buffer)[]) => readAll(new ChunkReader(1), chunks).parsed;
  const second = chunk({ content: 'more' });

  for (const [name, other] of Object.entries({
    'that brings no text': chunk({ content: '' }),
    'that finishes': chunk({ content: 'x' }, {}, { finish_reason: 'stop' }),
    'of another choice': chunk({ content: 'x' }, {}, { index: 1 }),
    'with one member more': chunk({ content: 'x', refusal: 'no' }),
    'that reports usage': chunk({ content: 'x' }, { usage: { prompt_tokens: 1 } }),
    'that is cut short': second.slice(0, -1),
    'with something behind it': `${second} `,
    'with a text that does not end': `${second.slice(0, second.indexOf('more'))}more\\`,
    'with a line end in its text': second.replace('more', 'mo\nre'),
    'with an escape that is none': second.replace('more', 'mo\\xre'),
    'with bytes that are not UTF-8': Buffer.from(second.replace('more', '\u00ff'), 'latin1'),
  })) {
    it(name, () => assert.equal(parsed([FIRST, other]), true));
  }

  for (const [name, chunks] of Object.entries({
    'reported usage': [1, 2].map((tokens) =>
      chunk({ content: `${tokens}` }, { usage: { prompt_tokens: 7 } }),
    ),
    'had to be mended': ['a', 'b'].map((content) =>
      JSON.stringify({ ...COMMON, choices: [{ delta: { content } }] }),
    ),
    'called a tool': ['a', 'b'].map((content) => chunk({ content, tool_calls: [{ index: 0, id: 'c' }] })),
    // A line end within one line of data would end it.
    'stood in several lines': ['a', 'b'].map((content) => chunk({ content }).replace(',', ',\n')),
    'has its text in two places': ['a', 'b'].map((content) =>
      JSON.stringify({
        meta: { content },
        ...COMMON,
        choices: [{ index: 0, delta: { content }, finish_reason: null }],
      }),
    ),
  })) {
    it(`if the one before ${name}`, () => assert.equal(parsed(chunks), true));
  }

  it('that has another member of the same name and text where that does not count', () => {
    const of = (text: string) =>
      `{"choices":[{"index":0,"delta":{"content":"${text}","content":"same"},"finish_reason":null}]}`;
    assert.equal(parsed([of('same'), of('other')]), true);
  });
});

describe('a stream whose chunks are known by their frames', () => {
  const text = fc.oneof(
    { weight: 6, arbitrary: fc.stringMatching(/^[ a-z,.]{1,6}$/) },
    fc.string({ maxLength: 6 }),
    fc.string({ unit: 'binary', maxLength: 4 }),
    fc.constantFrom('', '"', '\\', '\n', '😀', '\ud800', '\ufffd', '":"', '?probe?'),
  );
  const calls = [{ index: 0, id: 'c', function: { name: 'f', arguments: '{' } }];
  /** All of a chunk but its texts. */
  const shape = fc.record({
    beside: fc.constantFrom<JsonObject[]>(
      ...[
        {},
        {},
        {},
        { role: 'assistant' },
        { refusal: null },
        { refusal: 'no' },
        { reasoning_content: 'hm' },
      ],
      ...[{ tool_calls: [] }, { tool_calls: calls }],
    ),
    usage: fc.constantFrom(undefined, undefined, null, { prompt_tokens: 3, completion_tokens: 4 }),
    padded: fc.boolean(),
    index: fc.constantFrom(0, 0, 0, 1, undefined),
    finish: fc.constantFrom(null, null, null, null, '', 'stop'),
    meta: fc.constantFrom(undefined, undefined, { content: 'x' }),
    spaced: fc.boolean(),
  });
  type Shape = typeof shape extends fc.Arbitrary<infer Value> ? Value : never;

  function made(
    { beside, usage, padded, index, finish, meta, spaced }: Shape,
    content: string,
    more: string,
  ) {
    const value = {
      meta,
      ...COMMON,
      choices: [{ index, delta: { content, ...beside }, finish_reason: finish }],
      usage,
      obfuscation: padded ? more : undefined,
    };
    return Buffer.from(
      spaced ? JSON.stringify(value, null, 1).replaceAll(/\n */g, '') : JSON.stringify(value),
    );
  }

  const damage = fc.oneof(
    { weight: 6, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.tuple(fc.nat(), fc.nat(255)) },
  );
  /** Chunks of a few shapes; some of them damaged in one place. */
  const streams = fc
    .tuple(
      fc.array(shape, { minLength: 1, maxLength: 3 }),
      fc.array(fc.tuple(fc.nat(), text, text, damage), { maxLength: 16 }),
    )
    .map(([shapes, chunks]) =>
      chunks.map(([which, content, more, damaged]) => {
        const bytes = made(shapes[which % shapes.length] as Shape, content, more);
        if (damaged !== null) bytes[damaged[0] % bytes.length] = damaged[1];
        return bytes;
      }),
    );

  it('is read as if each were parsed', () => {
    let known = 0;
    fc.assert(
      fc.property(streams, (chunks) => {
        const [quick, thorough] = [new ChunkReader(1), new ChunkReader(1)];
        for (const data of chunks) {
          const decoded = data.toString();
          const kind = thorough.read(decoded, '');
          if (isTaken(quick, data)) {
            known++;
            assert.equal(kind, 'content');
            // It would pass as the bytes that it is.
            assert.ok(!decoded.includes('\ufffd'));
          } else assert.equal(quick.read(decoded, ''), kind);
          assert.deepEqual(stateOf(quick), stateOf(thorough));
        }
      }),
      { numRuns: 3000 },
    );
    assert.ok(known > 300, `only ${known} were known`);
  });
});
