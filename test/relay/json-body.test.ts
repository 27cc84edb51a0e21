import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { isJsonObject, type Json, type JsonObject } from '../../src/core/json.ts';
import { JsonBody } from '../../src/core/json-body.ts';

/**
 * Names that come up often, so that changes meet what is there. None has a backslash: once V8's parser has met the name `"a\\"`, it may
 * take `"a\u0062"` for the same, and it is what this test compares with (see names-with-escapes.test.ts).
 */
const name = fc
  .oneof(
    fc.constantFrom('model', 'messages', 'stream', 'n', 'a', '', '__proto__', 'constructor', '"', 'ü', '🙂'),
    fc.string({ unit: 'grapheme', maxLength: 8 }),
  )
  .filter((text) => !text.includes('\\'));

/** Numbers as text: how they are written must not change. */
const number = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
  fc.constantFrom('1e400', '-1E-400', '12345678901234567890', '1.10', '-0', '0.0', '1e+2'),
);

const space = fc.constantFrom('', '', '', ' ', '\n', '\t\r\n ');

/** A string as JSON text, some of its characters as escapes. */
function written(text: string, escaped: boolean): string {
  if (!escaped) return JSON.stringify(text);
  const units = Array.from({ length: text.length }, (_, at) =>
    text.charCodeAt(at).toString(16).padStart(4, '0'),
  );
  return `"${units.map((unit) => `\\u${unit}`).join('')}"`;
}

const string = fc
  .tuple(fc.oneof(name, fc.string({ unit: 'binary', maxLength: 200 })), fc.boolean())
  .filter(([text]) => !text.includes('\\'))
  .map(([text, escaped]) => written(text.isWellFormed() ? text : text.toWellFormed(), escaped));

/** JSON as text, in many ways to write it. */
const { value } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom('null', 'true', 'false'),
    number,
    string,
    fc
      .tuple(fc.array(fc.tuple(space, tie('value'), space), { maxLength: 4 }), space)
      .map(([items, inner]) =>
        items.length === 0 ? `[${inner}]` : `[${items.map((one) => one.join('')).join(',')}]`,
      ),
    fc
      .tuple(fc.array(fc.tuple(space, string, space, space, tie('value'), space), { maxLength: 4 }), space)
      .map(([members, inner]) => (members.length === 0 ? `{${inner}}` : `{${members.map(print).join(',')}}`)),
  ),
}));

function print([a, key, b, c, member, d]: [string, string, string, string, string, string]): string {
  return `${a}${key}${b}:${c}${member}${d}`;
}

const members = fc.array(fc.tuple(space, string, space, space, value, space), { maxLength: 8 });

const json = fc.jsonValue({ maxDepth: 2 }) as fc.Arbitrary<Json>;
const changes = fc
  .array(fc.tuple(name, fc.oneof(fc.constant(null), json)), { maxLength: 4 })
  .map((pairs) => new Map(pairs));

/** What the changed body is to mean. */
function merged(original: JsonObject, changed: ReadonlyMap<string, Json>): Map<string, Json> {
  const result = new Map(Object.entries(original));
  for (const [key, newValue] of changed) {
    if (newValue === null) result.delete(key);
    else result.set(key, JSON.parse(JSON.stringify(newValue)) as Json);
  }
  return result;
}

describe('a JSON body', () => {
  it('with changes means what the two together mean, and keeps the bytes of all the rest', () => {
    fc.assert(
      fc.property(members, space, changes, (given, around, changed) => {
        const text = `${around}{${given.map(print).join(',')}}${around}`;
        const body = JsonBody.parse(Buffer.from(text));
        const sent = Buffer.concat(body.with(changed)).toString();
        const meaning = JSON.parse(sent) as JsonObject;
        assert.ok(isJsonObject(meaning));
        assert.deepEqual(new Map(Object.entries(meaning)), merged(JSON.parse(text) as JsonObject, changed));
        for (const [, key, , , member] of given) {
          const plain = JSON.parse(key) as string;
          const isLast = given.findLast((other) => JSON.parse(other[1]) === plain)?.[4] === member;
          if (!changed.has(plain) && isLast) assert.ok(sent.includes(member), `${member} is not in ${sent}`);
        }
        const names = sent.length === 0 ? 0 : Object.keys(meaning).length;
        assert.equal(JsonBody.parse(Buffer.from(sent)).with(new Map()).length, 1);
        assert.equal(names, merged(JSON.parse(text) as JsonObject, changed).size);
      }),
      { numRuns: 1000 },
    );
  });

  it('may be changed again and again, each time from the beginning', () => {
    const body = JsonBody.parse(Buffer.from('{"a":1,"b":2}'));
    const text = (changed: [string, Json][]) => Buffer.concat(body.with(new Map(changed))).toString();
    assert.equal(text([['a', 'x']]), '{"a":"x","b":2}');
    assert.equal(text([['b', null]]), '{"a":1}');
    assert.equal(
      text([
        ['a', null],
        ['b', null],
      ]),
      '{}',
    );
    assert.equal(text([['c', [1]]]), '{"a":1,"b":2,"c":[1]}');
    assert.equal(text([['c', null]]), '{"a":1,"b":2}');
    assert.equal(text([]), '{"a":1,"b":2}');
  });

  it('keeps each change with its name where a name is a number, or stands twice', () => {
    const changed = (text: string) =>
      Buffer.concat(JsonBody.parse(Buffer.from(text)).with(new Map([['model', 'up']]))).toString();
    assert.equal(changed('{"model":"m","b":2,"1":3}'), '{"model":"up","b":2,"1":3}');
    assert.equal(changed('{"b":2,"model":"m","\\u0031":3}'), '{"b":2,"model":"up","\\u0031":3}');
    assert.equal(changed('{"1":0,"2":1,"model":"m"}'), '{"1":0,"2":1,"model":"up"}');
    assert.equal(changed('{"b":1,"model":"m","b":2}'), '{"model":"up","b":2}');
    assert.equal(changed('{"model":"m","model":"n","b":2}'), '{"model":"up","b":2}');
    assert.equal(changed('{"b":2,"model":"m","1":3,"b":4}'), '{"model":"up","1":3,"b":4}');
  });

  it('measures what is put in by its bytes', () => {
    const body = JsonBody.parse(Buffer.from('{"a":1,"b":"ü"}'));
    const parts = body.with(new Map([['a', '🙂 ü']]));
    assert.deepEqual(parts.map(String), ['{"a":"🙂 ü","b":"ü"}']);
    const large = 'ü'.repeat(40 * 1024);
    assert.equal(
      Buffer.concat(
        body.with(
          new Map<string, Json>([
            ['a', null],
            ['c', large],
            ['d', 2],
          ]),
        ),
      ).toString(),
      `{"b":"ü","c":"${large}","d":2}`,
    );
  });

  it('is passed in slices of what came in where it is large', () => {
    const image = 'A'.repeat(1024 * 1024);
    const bytes = Buffer.from(`{"model":"m","image":"${image}","x":1}`);
    const parts = JsonBody.parse(bytes).with(new Map([['model', 'up']]));
    assert.ok(parts.some((part) => part.buffer === bytes.buffer && part.length > image.length));
    assert.equal(Buffer.concat(parts).toString(), `{"model":"up","image":"${image}","x":1}`);
  });

  for (const text of [
    '',
    ' ',
    '{',
    '{"a":1',
    '{"a":1}}',
    '{"a":1} x',
    '{a:1}',
    "{'a':1}",
    '{"a":01}',
    '{"a":1,}',
    'NaN',
  ]) {
    it(`is none: ${JSON.stringify(text)}`, () => {
      assert.throws(() => JsonBody.parse(Buffer.from(text)), SyntaxError);
    });
  }

  for (const text of ['null', '[]', '[{}]', '"{}"', '1', 'true']) {
    it(`is no object: ${text}`, () => {
      assert.throws(() => JsonBody.parse(Buffer.from(text)), TypeError);
    });
  }
});
