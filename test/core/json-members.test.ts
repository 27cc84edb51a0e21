import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Characters } from '../../src/core/characters.ts';
import { endOfString, findMembers } from '../../src/core/json-members.ts';

/** Texts with quotes and backslashes close together and far apart. */
const piece = fc.oneof(
  fc.constantFrom('"', '\\', '\\\\"', 'ü', '🙂', '{', '}', ',', ':', '\n'),
  fc.integer({ min: 0, max: 40 }).map((length) => 'x'.repeat(length)),
);
const string = fc.array(piece, { maxLength: 20 }).map((pieces) => JSON.stringify(pieces.join('')));

function membersOf(text: string): string[][] {
  const bytes = Buffer.from(text);
  const part = (start: number, end: number) => bytes.toString('utf8', start, end);
  return findMembers(bytes, new Characters(bytes)).map(({ start, keyEnd, valueStart, end }) => [
    part(start, keyEnd),
    part(valueStart, end),
  ]);
}

describe('a string in JSON', () => {
  it('ends at the first quote that is none of its characters', () => {
    fc.assert(
      fc.property(string, string, (one, other) => {
        const text = `${one}${other}`;
        const bytes = Buffer.from(text);
        assert.equal(endOfString(bytes, new Characters(bytes), 0), Buffer.byteLength(one));
      }),
      { numRuns: 1000 },
    );
  });

  it('has no end where its last quote is a character of it', () => {
    for (const text of ['"', '"a\\"', `"${'x'.repeat(50)}\\\\\\"`, `"${'x'.repeat(50)}`]) {
      assert.equal(endOfString(Buffer.from(text), text, 0), -1);
    }
  });
});

describe('the members of an object', () => {
  it('are found with the places of their names and values, whatever stands in them', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(string, string, fc.boolean())), (given) => {
        const members = given.map(([name, value, nested]) => [name, nested ? `{${name}:[${value}]}` : value]);
        const text = `{${members.map(([name, value]) => ` ${name} :\t${value}\n`).join(',')}}`;
        assert.deepEqual(membersOf(text), members);
      }),
      { numRuns: 1000 },
    );
  });

  it('are not looked for beyond 512 levels and 500000 values', () => {
    const nested = (levels: number) => `{"a":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    const long = (values: number) => `{"a":[${'1,'.repeat(values)}1]}`;
    assert.equal(membersOf(nested(511)).length, 1);
    assert.throws(() => membersOf(nested(512)), RangeError);
    // The object, its name and the array are values as well.
    assert.equal(membersOf(long(499_997)).length, 1);
    assert.throws(() => membersOf(long(499_998)), RangeError);
  });
});
