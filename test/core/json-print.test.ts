import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../src/core/json.ts';
import { Printing } from '../../src/core/json-print.ts';

/** How long each part is, and all of them together. */
function print(value: Json): { text: string; sizes: number[] } {
  const printing = new Printing(value);
  while (printing.step());
  return { text: Buffer.concat(printing.parts).toString(), sizes: printing.parts.map((part) => part.length) };
}

const text = fc.string({ unit: 'binary', maxLength: 20 });

describe('a value that is printed in steps', () => {
  it('is what it would have been otherwise', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4, stringUnit: 'binary' }), (value) => {
        assert.equal(print(value as Json).text, JSON.stringify(value));
      }),
    );
  });

  it('is the same where its texts are long, wherever they are cut', () => {
    fc.assert(
      fc.property(text, text, fc.integer({ min: 0, max: 3 }), (before, unit, pairs) => {
        const long = before + `${unit}${'🙂'.repeat(pairs)}"\n`.repeat(40_000);
        const value = { a: [long, 1, { b: long }], c: 'short' };
        assert.equal(print(value).text, JSON.stringify(value));
      }),
      { numRuns: 20 },
    );
  });

  it('takes many steps, none of them long, for one text and for many values', () => {
    const many = Array.from({ length: 100_000 }, (_, index) => ({ name: `value ${index}`, index }));
    for (const value of ['x'.repeat(4_000_000), many]) {
      const { text: printed, sizes } = print(value);
      assert.equal(printed, JSON.stringify(value));
      assert.ok(sizes.length > 3, `${sizes.length} steps`);
      assert.ok(Math.max(...sizes) < 700_000, `${Math.max(...sizes)} bytes in a step`);
    }
  });

  it('leaves out what JSON has no word for', () => {
    const value = { a: undefined, b: [undefined, Infinity], ['__proto__']: 1, 2: 'two' };
    assert.equal(print(value as unknown as Json).text, JSON.stringify(value));
  });
});
