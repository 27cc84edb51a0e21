import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { decode } from '../../src/core/decode.ts';
import { JsonBody } from '../../src/core/json-body.ts';

const MB = 1024 * 1024;

/** Texts of characters of one to four bytes, about as long in bytes as asked for. */
const text = fc
  .tuple(
    fc.array(fc.constantFrom('a', 'é', '語', '🙂', '"', '\\'), { minLength: 1, maxLength: 12 }),
    fc.integer({ min: 1, max: 5 * MB }),
  )
  .map(([characters, bytes]) => {
    const part = characters.join('');
    return part.repeat(Math.ceil(bytes / Buffer.byteLength(part)));
  });

// Compared by `ok`: where two texts of megabytes differ, `equal` prints both.
describe('bytes that are decoded', () => {
  it('are what they were encoded from, however long they are and wherever their characters lie', () => {
    const property = fc.property(text, (original) => {
      const bytes = Buffer.from(original);
      assert.ok(decode(bytes) === original);
    });
    fc.assert(property, { numRuns: 30 });
  });

  it('keep the characters whole that lie where they could be cut', () => {
    for (const character of ['é', '語', '🙂']) {
      for (let before = 0; before < 4; before++) {
        const original = 'x'.repeat(before) + character.repeat(MB / 2);
        assert.ok(decode(Buffer.from(original)) === original, `${before} before ${character}`);
      }
    }
  });
});

describe('a body of megabytes', () => {
  it('is read and spliced as a short one is, in whatever characters', () => {
    const pieces = [
      'plain words, ',
      'words that are "quoted" \\ and\n',
      'слова, ',
      'words, one of which is 🙂 ',
    ];
    for (const piece of pieces) {
      for (const megabytes of [1, 3, 5]) {
        const content = piece.repeat(Math.ceil((megabytes * MB) / Buffer.byteLength(piece)));
        const sent = Buffer.from(JSON.stringify({ model: 'asked', messages: [{ content }], n: 1 }));
        const body = JsonBody.parse(sent);
        assert.ok((body.value['messages'] as { content: string }[])[0]?.content === content);
        const changed = Buffer.concat(body.with(new Map([['model', 'called']])));
        const expected = JSON.stringify({ model: 'called', messages: [{ content }], n: 1 });
        assert.ok(changed.equals(Buffer.from(expected)), `${megabytes} MB of ${piece}`);
      }
    }
  });
});
