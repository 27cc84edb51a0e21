import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createParser } from 'eventsource-parser';
import fc from 'fast-check';
import { SseDecoder } from '../../src/sse/decoder.ts';

/** What a stream holds, in order. */
type Item = { data: string; type: string; plain: boolean } | 'comment' | 'end of the bytes';

/** Decodes a stream that arrives in these chunks, checking the bytes of each plain event. */
function decode(chunks: readonly Buffer[]): { items: Item[]; unfinished: boolean } {
  const items: Item[] = [];
  const decoder = new SseDecoder(
    {
      event(data, type, raw) {
        if (raw !== null) assert.deepEqual(raw, Buffer.from(`data: ${data}\n\n`));
        items.push({ data, type, plain: raw !== null });
      },
      comment: () => items.push('comment'),
    },
    1_000_000,
  );
  for (const chunk of chunks) decoder.push(chunk);
  items.push('end of the bytes');
  return { unfinished: decoder.end(), items };
}

/** The rules of the standard over the whole text at once, and what `end` adds to them. */
function reference(bytes: Buffer): { items: Item[]; unfinished: boolean } {
  const text = new TextDecoder().decode(bytes);
  const lines = [...text.matchAll(/([^\r\n]*)(\r\n|\r|\n|$)/g)].map(([, line = '', ending = '']) => ({
    line,
    ending,
  }));
  const items: Item[] = [];
  let event: typeof lines = [];
  let previous: (typeof lines)[number] | undefined;
  const dispatch = (ending: string) => {
    const values = (name: string) =>
      event
        .filter(({ line }) => line === name || line.startsWith(`${name}:`))
        .map(({ line }) => line.slice(name.length + 1).replace(/^ /, ''));
    const data = values('data');
    const [only] = event;
    const plain =
      event.length === 1 &&
      only === previous &&
      only?.line.startsWith('data: ') === true &&
      only.ending === '\n' &&
      ending === '\n' &&
      !only.line.includes('\uFFFD');
    if (data.length > 0) items.push({ data: data.join('\n'), type: values('event').at(-1) ?? '', plain });
    event = [];
  };
  let unfinished = false;
  for (const current of lines) {
    const { line, ending } = current;
    if (ending === '') {
      items.push('end of the bytes');
      unfinished = event.length > 0 || line !== '';
      if (line.startsWith(':')) items.push('comment');
      else if (line !== '') event.push(current);
      dispatch('');
      break;
    }
    if (line === '') dispatch(ending);
    else if (line.startsWith(':')) items.push('comment');
    else event.push(current);
    previous = current;
  }
  return { items, unfinished };
}

/** What another implementation finds in a stream, up to the end of its bytes. */
function peer(bytes: Buffer): unknown[] {
  const items: unknown[] = [];
  const parser = createParser({
    onEvent: ({ data, event = '' }) => items.push({ data, type: event }),
    onComment: () => items.push('comment'),
  });
  parser.feed(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes));
  return items;
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const ends = [...at.filter((end) => end <= bytes.length), bytes.length].sort((a, b) => a - b);
  return ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end));
}

const word = fc.constantFrom(
  'data',
  'event',
  'id',
  'retry',
  ':',
  ': ',
  ' ',
  'x',
  '{"a":1}',
  '\0',
  'é',
  '漢',
  '😀',
);
const mark = fc.constantFrom('\uFEFF', '');
const lineEnd = fc.constantFrom('\n', '\n', '\r\n', '\r');
const line = fc.oneof(
  fc.array(word, { maxLength: 5 }).map((words) => words.join('')),
  fc.array(word, { maxLength: 5 }).map((words) => `data: ${words.join('')}`),
  fc.constantFrom('', 'data: {"b":"ü"}', 'event: message_start', ': ping'),
);
const text = fc
  .tuple(mark, fc.array(fc.tuple(line, lineEnd), { maxLength: 20 }), fc.oneof(fc.constant(''), line))
  .map(([start, lines, rest]) => start + lines.flat().join('') + rest);
const plainText = fc
  .array(fc.tuple(line, fc.constantFrom('\n', '\n\n')), { maxLength: 20 })
  .map((lines) => lines.flat().join(''));
/** Bytes in which UTF-8 sequences are cut short, overlong or out of place, and a byte order mark may be incomplete. */
const noise = fc
  .array(
    fc.oneof(
      fc.constantFrom('data: ', 'data:', '\n\n', '\n', '\r', 'é', '😀').map((piece) => Buffer.from(piece)),
      fc
        .constantFrom(0xef, 0xbb, 0xbf, 0xff, 0xe2, 0x82, 0xf0, 0x9f, 0xc0, 0xed, 0xa0)
        .map((byte) => Buffer.from([byte])),
    ),
    { maxLength: 30 },
  )
  .map((pieces) => Buffer.concat(pieces));
const cuts = fc.array(fc.nat(300), { maxLength: 30 });

/** Streams as upstreams send them. */
const RECORDED = {
  'a chat stream with [DONE]': [
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}\n\n',
    'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hi"},"finish_reason":"stop"}]}\n\n',
    'data: [DONE]\n\n',
  ],
  'one with CRLF': [
    'data: {"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}\r\n\r\n',
    'data: {}\r\n\r\n',
  ],
  'one with comments': [
    ': OPENROUTER PROCESSING\n\n',
    ': OPENROUTER PROCESSING\n\n',
    'data: {"a":1}\n\n',
    ': keep-alive\n\n',
    'data: [DONE]\n\n',
  ],
  'one without [DONE] and its last blank line': ['data: {"a":1}\n\n', 'data: {"finish_reason":"stop"}\n'],
  'one cut in the middle': ['data: {"a":1}\n\n', 'data: {"finish_re'],
  'one in several scripts': [
    '\uFEFFdata: {"content":"naïve 漢字 😀👩‍🚀"}\n\n',
    'data: {"content":"עברית"}\n\n',
  ],
  'one with event types and an error': [
    'event: message_start\ndata: {"type":"message_start"}\n\n',
    'event: ping\ndata: {"type":"ping"}\n\n',
    'event: error\ndata: {"type":"error","error":{"type":"overloaded_error"}}\n\n',
  ],
};

describe('a stream', () => {
  for (const [name, events] of Object.entries(RECORDED)) {
    it(`is read alike however it is cut: ${name}`, () => {
      const bytes = Buffer.from(events.join(''));
      const expected = reference(bytes);
      assert.deepEqual(decode([...bytes].map((byte) => Buffer.from([byte]))), expected);
      for (let first = 0; first <= bytes.length; first++) {
        assert.deepEqual(decode(cut(bytes, [first])), expected);
        for (const second of [first + 1, first + 2, first + 7]) {
          assert.deepEqual(decode(cut(bytes, [first, second])), expected);
        }
      }
    });
  }

  it('gives what the standard says, cut anywhere', () => {
    const bytes = fc.oneof(
      text.map((one) => Buffer.from(one)),
      plainText.map((one) => Buffer.from(one)),
      noise,
    );
    fc.assert(
      fc.property(bytes, cuts, (stream, at) => {
        assert.deepEqual(decode(cut(stream, at)), reference(stream));
      }),
      { numRuns: 3000 },
    );
  });

  it('gives what another implementation gives, cut anywhere', () => {
    fc.assert(
      fc.property(text, cuts, (stream, at) => {
        const bytes = Buffer.from(stream);
        const { items } = decode(cut(bytes, at));
        const complete = items.slice(0, items.indexOf('end of the bytes'));
        const found = complete.map((item) =>
          typeof item === 'string' ? item : { data: item.data, type: item.type },
        );
        assert.deepEqual(found, peer(bytes));
      }),
      { numRuns: 1000 },
    );
  });
});

describe('the work of decoding', () => {
  /** Bytes copied, and bytes searched for line ends, while `work` runs. */
  function measure(work: () => void): { copied: number; searched: number } {
    const { copy, indexOf } = Buffer.prototype;
    let copied = 0;
    let searched = 0;
    Buffer.prototype.copy = function (...range: Parameters<typeof copy>) {
      const bytes = copy.apply(this, range);
      copied += bytes;
      return bytes;
    };
    Buffer.prototype.indexOf = function (value: string | number | Uint8Array, from = 0) {
      const index = indexOf.call(this, value, from);
      searched += (index === -1 ? this.length : index + 1) - Number(from);
      return index;
    };
    try {
      work();
    } finally {
      Object.assign(Buffer.prototype, { copy, indexOf });
    }
    return { copied, searched };
  }

  function decodeInChunks(bytes: Buffer, size: number) {
    let events = 0;
    const decoder = new SseDecoder({ event: () => (events += 1) }, 2_000_000);
    const work = measure(() => {
      for (let i = 0; i < bytes.length; i += size) decoder.push(bytes.subarray(i, i + size));
    });
    return { events, ...work };
  }

  it('grows with the size of a large event and not with its square, however small its chunks are', () => {
    for (const [size, length] of [
      [1, 1 << 16],
      [7, 1 << 18],
      [1024, 1 << 20],
      [65_536, 1 << 20],
    ] as const) {
      const bytes = Buffer.from(`data: ${'x'.repeat(length)}\n\n`);
      const { events, copied, searched } = decodeInChunks(bytes, size);
      assert.equal(events, 1);
      assert.ok(copied <= 3 * bytes.length, `${copied} bytes copied in chunks of ${size}`);
      assert.ok(searched <= 2 * bytes.length + 10, `${searched} bytes searched in chunks of ${size}`);
    }
  });

  it('grows with the size of a chunk of many lines and not with its square, whatever ends them', () => {
    for (const ending of ['\n', '\r\n', '\r']) {
      const bytes = Buffer.from(`data: x${ending}${ending}`.repeat(10_000));
      const { events, copied, searched } = decodeInChunks(bytes, bytes.length);
      assert.equal(events, 10_000);
      assert.equal(copied, 0);
      assert.ok(searched <= 2 * bytes.length, `${searched} bytes searched`);
    }
  });
});
