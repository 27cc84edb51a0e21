import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { SseDecoder, SseOverflowError, type SseSink } from '../../src/sse/decoder.ts';

interface Recorded {
  data: string;
  type: string;
  raw: Buffer | null;
}

class Recorder implements SseSink {
  readonly events: Recorded[] = [];
  comments = 0;

  event(data: string, type: string, raw: Buffer | null): void {
    this.events.push({ data, type, raw });
  }

  comment(): void {
    this.comments += 1;
  }

  get data(): string[] {
    return this.events.map((event) => event.data);
  }
}

/** Decodes chunks without ending the stream. */
function decode(...chunks: string[]) {
  const sink = new Recorder();
  const decoder = new SseDecoder(sink, 1000);
  for (const chunk of chunks) decoder.push(Buffer.from(chunk));
  return { sink, decoder };
}

describe('SseDecoder', () => {
  it('gives each event of a chunk, with its bytes', () => {
    const { sink } = decode('data: {"a":1}\n\ndata: [DONE]\n\n');
    assert.deepEqual(sink.events, [
      { data: '{"a":1}', type: '', raw: Buffer.from('data: {"a":1}\n\n') },
      { data: '[DONE]', type: '', raw: Buffer.from('data: [DONE]\n\n') },
    ]);
  });

  it('copies nothing of an event that lies within one chunk', () => {
    const sink = new Recorder();
    const decoder = new SseDecoder(sink, 1000);
    const chunk = Buffer.from('data: one\n\ndata: two\n\n');
    decoder.push(chunk);
    for (const event of sink.events) assert.equal(event.raw?.buffer, chunk.buffer);
    const single = Buffer.from('data: three\n\n');
    decoder.push(single);
    assert.equal(sink.events[2]?.raw, single);
  });

  it('gives the bytes of a plain event that came in pieces', () => {
    for (const pieces of [
      ['da', 'ta: x\n\n'],
      ['data: ', 'x\n\n'],
      ['data: x', '\n\n'],
      ['data: x\n', '\n'],
      ['data: x', '\n', '\n'],
    ]) {
      const { sink } = decode(...pieces);
      assert.deepEqual(sink.events, [{ data: 'x', type: '', raw: Buffer.from('data: x\n\n') }]);
    }
  });

  it('does not take what its memory held before for part of a line', (t) => {
    t.mock.method(Buffer, 'allocUnsafe', (size: number) => Buffer.alloc(size, 'data: x\n'));
    for (const pieces of [
      ['data:', '\n\n'],
      ['data', '\n\n'],
      ['data:', '\n', '\n'],
    ]) {
      assert.deepEqual(decode(...pieces).sink.events, [{ data: '', type: '', raw: null }]);
    }
  });

  it('gives no bytes of an event written in any other way', () => {
    for (const text of [
      'data:x\n\n',
      'data: x\r\n\r\n',
      'data: x\n\r\n',
      'data: x\r\r',
      'data: x\ndata: y\n\n',
      'data: x\n: comment\n\n',
      'event: e\ndata: x\n\n',
      'id: 1\ndata: x\n\n',
      'data: x\nretry: 5\n\n',
    ]) {
      const { sink } = decode(text);
      assert.deepEqual(
        sink.events.map((event) => event.raw),
        [null],
        JSON.stringify(text),
      );
    }
  });

  it('gives no bytes that are not UTF-8', () => {
    const sink = new Recorder();
    new SseDecoder(sink, 1000).push(Buffer.from('data: caf\xe9\n\n', 'latin1'));
    assert.deepEqual(sink.events, [{ data: 'caf\uFFFD', type: '', raw: null }]);
  });

  it('drops one space after the colon, no more, and none elsewhere', () => {
    assert.deepEqual(decode('data:a\n\ndata: b\n\ndata:  c\n\ndata: d \n\n').sink.data, [
      'a',
      'b',
      ' c',
      'd ',
    ]);
  });

  it('joins the data lines of an event', () => {
    assert.deepEqual(decode('data: a\ndata:\ndata\ndata: b\n\n').sink.data, ['a\n\n\nb']);
  });

  it('takes the type from the event field, for one event', () => {
    const { sink } = decode('event: error\ndata: x\n\ndata: y\n\nevent: a\nevent: b\ndata: z\n\n');
    assert.deepEqual(
      sink.events.map((event) => event.type),
      ['error', '', 'b'],
    );
  });

  it('gives an event whose data is empty, but none without a data line', () => {
    assert.deepEqual(decode('data\n\ndata: \n\nevent: x\n\nid: 1\n\n\n\n').sink.data, ['', '']);
  });

  it('reads over fields that it does not know', () => {
    assert.deepEqual(decode('dat: 1\ndatax: 2\n data: 3\nDATA: 4\nnonsense\ndata: x\n\n').sink.data, ['x']);
  });

  it('tells of comments, wherever they stand', () => {
    const { sink } = decode(': OPENROUTER PROCESSING\n\n:\n\ndata: a\n: in between\ndata: b\n\n');
    assert.equal(sink.comments, 3);
    assert.deepEqual(sink.data, ['a\nb']);
  });

  it('does without a sink that listens to comments', () => {
    const data: string[] = [];
    const decoder = new SseDecoder({ event: (text) => data.push(text) }, 1000);
    decoder.push(Buffer.from(': ping\n\ndata: a\n\n'));
    assert.deepEqual(data, ['a']);
  });

  it('ends lines at CR, LF and CRLF, also a CRLF in two chunks', () => {
    assert.deepEqual(decode('data: a\r\rdata: b\r\n\r\ndata: c\n\n').sink.data, ['a', 'b', 'c']);
    assert.deepEqual(decode('data: a\r', '\ndata: b\r', '\n\r', '\ndata: c\r', '\r').sink.data, [
      'a\nb',
      'c',
    ]);
  });

  it('does not wait for an LF after the CR that ends an event', () => {
    assert.deepEqual(decode('data: a\r\n\r').sink.data, ['a']);
  });

  it('passes over a byte order mark at the start, and only there', () => {
    assert.deepEqual(decode('\uFEFFdata: a\n\n\uFEFFdata: b\n\ndata: \uFEFFc\n\n').sink.data, [
      'a',
      '\uFEFFc',
    ]);
    const mark = Buffer.from('\uFEFFdata: a\n\n');
    const sink = new Recorder();
    const decoder = new SseDecoder(sink, 1000);
    for (const byte of mark) decoder.push(Buffer.from([byte]));
    assert.deepEqual(sink.data, ['a']);
  });

  it('takes what only begins like a byte order mark for the line that it is', () => {
    const sink = new Recorder();
    const decoder = new SseDecoder(sink, 1000);
    decoder.push(Buffer.from([0xef]));
    decoder.push(Buffer.from([0xbb]));
    decoder.push(Buffer.from('\n\ndata: a\n\n'));
    assert.deepEqual(sink.data, ['a']);
  });

  it('stops in the middle of a chunk when the sink says so', () => {
    for (const text of [
      'data: a\n\ndata: b\n\n',
      'data: a\r\n\r\ndata: b\r\n\r\n',
      'data: a\n\ndata: b\nda',
    ]) {
      for (const cut of [0, 3, 8]) {
        const seen: string[] = [];
        const decoder = new SseDecoder(
          {
            event(data) {
              seen.push(data);
              decoder.stop();
            },
          },
          1000,
        );
        decoder.push(Buffer.from(text.slice(0, cut)));
        decoder.push(Buffer.from(text.slice(cut)));
        decoder.push(Buffer.from('data: c\n\n'));
        assert.equal(decoder.end(), false);
        assert.deepEqual(seen, ['a']);
      }
    }
  });

  it('passes on what the sink throws, and has then stopped', () => {
    let events = 0;
    const decoder = new SseDecoder(
      {
        event() {
          events += 1;
          throw new Error('the sink is full');
        },
      },
      1000,
    );
    assert.throws(() => decoder.push(Buffer.from('data: a\n\ndata: b\n\n')), /the sink is full/);
    decoder.push(Buffer.from('data: c\n\n'));
    assert.equal(events, 1);
  });

  it('refuses a limit that makes no sense', () => {
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      assert.throws(() => new SseDecoder(new Recorder(), limit), new RegExp(`RangeError.*${limit}`));
    }
  });
});

describe('a sink that takes events as their bytes', () => {
  class Taker extends Recorder {
    /** What was at hand from the beginning of each event that it was asked of. */
    readonly offered: string[] = [];
    readonly #takes: string;

    constructor(takes: string) {
      super();
      this.#takes = takes;
    }

    take(bytes: Buffer, start: number): number {
      const rest = bytes.toString('utf8', start);
      this.offered.push(rest);
      const event = `data: ${this.#takes}\n\n`;
      return rest.startsWith(event) ? start + event.length : 0;
    }
  }

  it('is given the others as events, in their order', () => {
    const sink = new Taker('two');
    new SseDecoder(sink, 1000).push(Buffer.from('data: one\n\ndata: two\n\ndata: three\n\n'));
    assert.deepEqual(sink.offered, [
      'data: one\n\ndata: two\n\ndata: three\n\n',
      'data: two\n\ndata: three\n\n',
      'data: three\n\n',
    ]);
    assert.deepEqual(sink.data, ['one', 'three']);
  });

  it('is given what comes in pieces as events, and then what it takes again', () => {
    const sink = new Taker('one');
    const decoder = new SseDecoder(sink, 1000);
    for (const byte of Buffer.from('data: one\n\n')) decoder.push(Buffer.from([byte]));
    assert.deepEqual(sink.data, ['one']);
    decoder.push(Buffer.from('data: one\n\ndata: o'));
    decoder.push(Buffer.from('ne\n\ndata: one\n\n'));
    assert.deepEqual(sink.data, ['one', 'one']);
    assert.equal(decoder.end(), false);
  });

  it('is not asked of what does not begin an event with a line of data', () => {
    const sink = new Taker('one');
    const text = 'event: a\ndata: one\n\n: data: one\n\ndata:one\n\nevent: a\r\ndata: one\r\n\r\n';
    new SseDecoder(sink, 1000).push(Buffer.from(text));
    assert.deepEqual(sink.offered, []);
    assert.deepEqual(sink.data, ['one', 'one', 'one']);
  });

  it('may be asked of what turns out to have more lines, or other line ends', () => {
    const sink = new Taker('one');
    const text = 'data: one\r\n\r\ndata: one\ndata: one\n\ndata: two\n\n';
    new SseDecoder(sink, 1000).push(Buffer.from(text));
    assert.deepEqual(sink.data, ['one', 'one\none', 'two']);
  });

  it('has nothing held for it: what it takes is of any size', () => {
    const sink = new Taker('one');
    new SseDecoder(sink, 8).push(Buffer.from('data: one\n\n'));
    assert.throws(
      () => new SseDecoder(new Taker('two'), 8).push(Buffer.from('data: one\n\n')),
      SseOverflowError,
    );
    assert.deepEqual(sink.data, []);
  });
});

describe('the end of a stream', () => {
  it('is clean after a blank line', () => {
    for (const text of ['', 'data: a\n\n', 'data: a\r\n\r', 'data: a\n\n: ping\n', '\uFEFF']) {
      assert.equal(decode(text).decoder.end(), false, JSON.stringify(text));
    }
  });

  it('delivers an event whose blank line is missing, and a line that was cut, and says so', () => {
    for (const text of ['data: [DONE]', 'data: [DONE]\n', 'data: [DONE]\r\n', 'data:[DONE]\r']) {
      const { sink, decoder } = decode('data: a\n\n', text);
      assert.deepEqual(sink.data, ['a']);
      assert.equal(decoder.end(), true, JSON.stringify(text));
      assert.deepEqual(sink.data, ['a', '[DONE]']);
      assert.equal(sink.events[1]?.raw, null);
    }
  });

  it('delivers nothing when there is no data to deliver, but says that something was cut', () => {
    for (const text of ['event: x', 'da', 'id: 1\n', ': pi']) {
      const { sink, decoder } = decode(text);
      assert.equal(decoder.end(), true, JSON.stringify(text));
      assert.deepEqual(sink.data, []);
    }
  });

  it('comes once', () => {
    const { sink, decoder } = decode('data: a');
    assert.equal(decoder.end(), true);
    assert.equal(decoder.end(), false);
    decoder.push(Buffer.from('data: b\n\n'));
    assert.deepEqual(sink.data, ['a']);
  });
});

describe('an event that is too large', () => {
  /** Pushes `text` in chunks of `size` to a decoder with a limit of 20 bytes. Gives what came before it threw, or null if it did not. */
  function overflow(text: string, size: number): string[] | null {
    const sink = new Recorder();
    const decoder = new SseDecoder(sink, 20);
    try {
      for (let i = 0; i < text.length; i += size) decoder.push(Buffer.from(text.slice(i, i + size)));
      decoder.end();
      return null;
    } catch (error) {
      assert.ok(error instanceof SseOverflowError);
      assert.equal(error.limit, 20);
      decoder.push(Buffer.from('data: after\n\n'));
      return sink.data;
    }
  }

  it('is refused, however it is cut, after what came before it', () => {
    for (const text of [
      `data: ok\n\ndata: ${'x'.repeat(15)}\n\ndata: late\n\n`,
      `data: ok\n\ndata: ${'x'.repeat(15)}`,
      'data: ok\n\ndata: 12345\ndata: 67890\n\n',
      `data: ok\n\nevent: ${'x'.repeat(10)}\r\ndata: 1\r\n\r\n`,
      `data: ok\n\n:${'x'.repeat(20)}`,
    ]) {
      for (let size = 1; size <= text.length; size++) assert.deepEqual(overflow(text, size), ['ok'], text);
    }
  });

  it('is one byte larger than the largest that is not', () => {
    for (const text of [
      `data: ${'x'.repeat(14)}\n\n`,
      `data: ${'x'.repeat(14)}\r\n\r\n`,
      `data: ${'x'.repeat(14)}\n`,
      `data: ${'x'.repeat(14)}`,
      'data: 1234\ndata: 5678\n\n',
      `:${'x'.repeat(19)}\n`,
    ]) {
      for (let size = 1; size <= text.length; size++) assert.equal(overflow(text, size), null, text);
    }
  });

  it('is not made of comments', () => {
    assert.equal(overflow(': a comment\n'.repeat(100), 7), null);
    assert.equal(overflow(`data: 1234567890\n${': ping\n'.repeat(100)}\n`, 5), null);
  });
});
