import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { SseDecoder } from '../../src/sse/decoder.ts';
import { DONE_EVENT, encodeData, PING_COMMENT } from '../../src/sse/encoder.ts';

describe('encodeData', () => {
  it('writes one data line and a blank line', () => {
    assert.equal(encodeData('{"a":"é"}').toString(), 'data: {"a":"é"}\n\n');
  });

  it('writes a data line for each line of the text', () => {
    assert.equal(encodeData('a\nb\r\nc\rd\n').toString(), 'data: a\ndata: b\ndata: c\ndata: d\ndata: \n\n');
  });

  it('writes what a decoder reads back, in its plain form if the text has one line', () => {
    const texts = fc.oneof(fc.json(), fc.string({ unit: fc.constantFrom('a', '\n', ' ', ':', '😀') }));
    fc.assert(
      fc.property(texts, (text) => {
        const bytes = encodeData(text);
        const found: [string, boolean][] = [];
        new SseDecoder({ event: (data, _type, raw) => found.push([data, raw !== null]) }, 1_000_000).push(
          bytes,
        );
        assert.deepEqual(found, [[text, !text.includes('\n')]]);
      }),
    );
  });
});

it('the constants are an event and a comment', () => {
  const found: string[] = [];
  const decoder = new SseDecoder(
    { event: (data) => found.push(data), comment: () => found.push('ping') },
    100,
  );
  decoder.push(PING_COMMENT);
  decoder.push(DONE_EVENT);
  assert.deepEqual(found, ['ping', '[DONE]']);
  assert.equal(decoder.end(), false);
});
