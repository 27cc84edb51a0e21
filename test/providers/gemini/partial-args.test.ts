import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../../src/core/json.ts';
import { readPath } from '../../../src/providers/gemini/json-path.ts';
import { PartialArgs } from '../../../src/providers/gemini/partial-args.ts';

/** The pieces that Google would send of these arguments: each text in pieces of its own. */
function piecesOf(value: Json, path: string): Json[] {
  if (Array.isArray(value)) return value.flatMap((inner, index) => piecesOf(inner, `${path}[${index}]`));
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).flatMap(([name, inner]) =>
      piecesOf(inner, `${path}[${JSON.stringify(name)}]`),
    );
  }
  if (typeof value === 'string') {
    const letters = value === '' ? [''] : (value.match(/.{1,2}/gsu) ?? []);
    return letters.map((stringValue) => ({ jsonPath: path, stringValue, willContinue: true }));
  }
  if (typeof value === 'number') return [{ jsonPath: path, numberValue: value }];
  if (typeof value === 'boolean') return [{ jsonPath: path, boolValue: value }];
  return [{ jsonPath: path, nullValue: 'NULL_VALUE' }];
}

const name = fc.stringMatching(/^[a-z' ]{1,4}$/);
const { value: anyValue } = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 6 }),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { minLength: 1, maxLength: 3 }),
    fc.dictionary(name, tie('value'), { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
  ),
}));

describe('arguments in pieces', () => {
  it('become what they were', () => {
    fc.assert(
      fc.property(
        fc.dictionary(name, anyValue, { minKeys: 1, maxKeys: 4, noNullPrototype: true }),
        (args) => {
          const partial = new PartialArgs();
          for (const piece of piecesOf(args, '$')) assert.ok(partial.add(piece), JSON.stringify(piece));
          assert.deepEqual(JSON.parse(partial.text), args);
        },
      ),
    );
  });

  it('go nowhere else by any name', () => {
    const partial = new PartialArgs();
    for (const jsonPath of ['$.__proto__.polluted', '$.constructor.prototype.polluted']) {
      assert.ok(partial.add({ jsonPath, stringValue: 'x' }));
    }
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    assert.equal(partial.text, '{"__proto__":{"polluted":"x"},"constructor":{"prototype":{"polluted":"x"}}}');
  });

  it('are refused where they make no sense', () => {
    for (const piece of [
      5,
      { stringValue: 'x' },
      { jsonPath: 'a', stringValue: 'x' },
      { jsonPath: '$', stringValue: 'x' },
      { jsonPath: '$.a[*]', stringValue: 'x' },
      { jsonPath: '$..a', stringValue: 'x' },
      { jsonPath: '$.a[7]', stringValue: 'x' },
      { jsonPath: `$${'.a'.repeat(1000)}`, stringValue: 'x' },
    ]) {
      assert.equal(new PartialArgs().add(piece), false, JSON.stringify(piece).slice(0, 50));
    }
    const partial = new PartialArgs();
    assert.ok(partial.add({ jsonPath: '$.a', stringValue: 'x' }));
    assert.equal(partial.add({ jsonPath: '$.a.b', stringValue: 'x' }), false);
    assert.equal(partial.add({ jsonPath: '$.a[0]', stringValue: 'x' }), false);
  });

  it('may say that there is no more, and may come whole', () => {
    const partial = new PartialArgs();
    assert.ok(partial.addAll({ a: { b: [1] } }));
    assert.ok(partial.add({ jsonPath: '$.c', stringValue: 'x', willContinue: true }));
    assert.ok(partial.add({ jsonPath: '$.c', willContinue: false }));
    assert.equal(partial.text, '{"a":{"b":[1]},"c":"x"}');
    assert.equal(new PartialArgs().text, '{}');
  });

  it('are refused whole where they are nested too deeply', () => {
    const deep = JSON.parse(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`);
    assert.equal(new PartialArgs().addAll(deep), false);
  });
});

describe('a path', () => {
  it('is read in all its ways to be written', () => {
    assert.deepEqual(readPath('$'), []);
    assert.deepEqual(readPath('$.a_b-c.ü[0][12]'), ['a_b-c', 'ü', 0, 12]);
    assert.deepEqual(readPath(`$['a.b']["c]"]['d\\'e']`), ['a.b', 'c]', "d'e"]);
    for (const none of ['', 'a', '$a', '$.', '$[', '$[-1]', '$[1:2]', "$['a", '$.a b[', '$[1234567]']) {
      assert.equal(readPath(none), null, none);
    }
  });
});
