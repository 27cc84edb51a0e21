import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { JsonObject } from '../../../src/core/json.ts';
import { accumulate, streamed } from '../kit.ts';
import { bytesOf, messageOf, prepare, type WirePart, whole } from './kit.ts';

describe('where citations point to', () => {
  const web = (...uris: string[]) => uris.map((uri) => ({ web: { uri, title: uri } }));
  const cited = (parts: WirePart[], grounding: object, more: object = {}) =>
    (
      (messageOf(whole(parts, { finishReason: 'STOP', groundingMetadata: grounding, ...more }))[
        'annotations'
      ] ?? []) as JsonObject[]
    ).map(({ url_citation: link }) => {
      const { url, start_index, end_index } = link as JsonObject;
      return [url, start_index, end_index];
    });

  it('is counted in characters, though Google counts bytes', () => {
    const segment = { startIndex: 5, endIndex: 9, text: 'bär' };
    const grounding = {
      groundingChunks: web('https://a.test'),
      groundingSupports: [{ segment, groundingChunkIndices: [0] }],
    };
    assert.deepEqual(cited([{ text: '🙂 bär!' }], grounding), [['https://a.test', 3, 6]]);
  });

  it('is in the part that is named, which may not be the first', () => {
    const segment = { partIndex: 2, startIndex: 0, endIndex: 2, text: 'an' };
    const grounding = {
      groundingChunks: web('https://a.test'),
      groundingSupports: [{ segment, groundingChunkIndices: [0] }],
    };
    const parts = [{ text: 'Hm', thought: true }, { text: 'an ' }, { text: 'an' }];
    assert.deepEqual(cited(parts, grounding), [['https://a.test', 3, 5]]);
  });

  it('is where the words are, if the numbers lead elsewhere; else nowhere', () => {
    const support = (text: string) => ({
      segment: { startIndex: 100, endIndex: 200, text },
      groundingChunkIndices: [0],
    });
    const grounding = (text: string) => ({
      groundingChunks: web('https://a.test'),
      groundingSupports: [support(text)],
    });
    assert.deepEqual(cited([{ text: 'a cat' }], grounding('cat')), [['https://a.test', 2, 5]]);
    assert.deepEqual(cited([{ text: 'a cat' }], grounding('dog')), [['https://a.test', 0, 0]]);
  });

  it('is where the words are, if the numbers lead to others; nowhere, if they lead beyond the end', () => {
    const grounding = (segment: object) => ({
      groundingChunks: web('https://a.test'),
      groundingSupports: [{ segment, groundingChunkIndices: [0] }],
    });
    const misled = grounding({ startIndex: 0, endIndex: 3, text: 'cat' });
    assert.deepEqual(cited([{ text: 'a cat' }], misled), [['https://a.test', 2, 5]]);
    const beyond = grounding({ startIndex: 0, endIndex: 100 });
    assert.deepEqual(cited([{ text: 'a cat' }], beyond), [['https://a.test', 0, 0]]);
  });

  it('is told once for each place, and of no more than anybody follows', () => {
    const twice = { groundingChunks: web('https://a.test', 'https://a.test') };
    assert.deepEqual(cited([{ text: 'x' }], twice), [['https://a.test', 0, 0]]);
    const many = Array.from({ length: 600 }, (_, index) => `https://a.test/${index}`);
    assert.equal(cited([{ text: 'x' }], { groundingChunks: web(...many) }).length, 500);
  });

  it('is not forgotten for an empty list that comes later', () => {
    const [first] =
      whole([{ text: 'x' }], { groundingMetadata: { groundingChunks: web('https://a.test') } }).candidates ??
      [];
    const last = whole([], {
      finishReason: 'STOP',
      groundingMetadata: { groundingChunks: [], groundingSupports: [] },
    });
    const told = streamed(prepare({}), [bytesOf([{ candidates: [first ?? {}] }, last])]);
    const [choice] = accumulate(told.chunks)['choices'] as { message: JsonObject }[];
    const annotations = choice?.message['annotations'];
    assert.equal(Array.isArray(annotations) && annotations.length, 1);
  });

  it('is nowhere where pictures stand in the text', () => {
    const segment = { startIndex: 0, endIndex: 1, text: 'a' };
    const grounding = {
      groundingChunks: web('https://a.test'),
      groundingSupports: [{ segment, groundingChunkIndices: [0] }],
    };
    const parts = [{ inlineData: { mimeType: 'image/png', data: 'AAAA' } }, { text: 'a' }];
    assert.deepEqual(cited(parts, grounding), [['https://a.test', 0, 0]]);
  });

  it('is also what is quoted, under either of its names, and only what can be followed', () => {
    const quote = { startIndex: 0, endIndex: 1, uri: 'https://q.test' };
    assert.deepEqual(cited([{ text: 'ab' }], {}, { citationMetadata: { citations: [quote] } }), [
      ['https://q.test', 0, 1],
    ]);
    assert.deepEqual(cited([{ text: 'ab' }], {}, { citationMetadata: { citationSources: [quote] } }), [
      ['https://q.test', 0, 1],
    ]);
    assert.deepEqual(cited([{ text: 'ab' }], { groundingChunks: web('javascript:x', 'https://a.test') }), [
      ['https://a.test', 0, 0],
    ]);
  });

  it('makes no sense now and then, and nothing is thrown', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (chunks, supports) => {
        const grounding = { groundingChunks: chunks, groundingSupports: supports };
        messageOf(whole([{ text: 'x' }], { finishReason: 'STOP', groundingMetadata: grounding as never }));
      }),
    );
  });
});
