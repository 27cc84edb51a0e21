import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Characters } from '../../src/core/characters.ts';
import { JsonBody } from '../../src/core/json-body.ts';

const KB = 1024;
const FILL = 'words that are "quoted" \\ and, [in] {brackets}\n';

function filled(bytes: number, text = FILL): string {
  return text.repeat(Math.ceil(bytes / text.length)).slice(0, bytes);
}

/** What stands in long arrays: short and long, of every kind. */
const element = fc.oneof(
  fc.constantFrom<unknown>(null, 1, 'é語🙂', '', [], {}, [1, [2, ','], { a: [] }]),
  fc
    .tuple(fc.constantFrom(FILL, 'слова, ', '🙂'), fc.integer({ min: 1, max: 40 * KB }))
    .map(([text, size]) => ({ role: 'user', content: filled(size, text), parts: [[text], text] })),
);
const longArray = fc.array(element, { minLength: 1, maxLength: 20 });
const body = fc.record({
  model: fc.constant('m'),
  messages: longArray,
  more: fc.record({ nested: longArray }),
  tools: longArray,
  __proto__x: fc.constant(1),
});

/** As `JsonBody.parse` reads it, or what it throws. */
function read(text: string): unknown {
  try {
    return JsonBody.parse(Buffer.from(text)).value;
  } catch (error) {
    return `${error}`;
  }
}

function once(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return `${error}`;
  }
}

/** Long enough for several pieces. `between`: what stands between its elements, each of 2 KB. */
function long(between: (index: number) => string): string {
  const one = JSON.stringify({ content: filled(2 * KB) });
  let text = '{"model":"m","messages":[';
  for (let index = 0; index < 200; index++) text += `${one}${between(index)}`;
  return `${text}${one}],"n":1}`;
}

describe('a long body', () => {
  it('is read in pieces as it would be at once, and spliced', () => {
    const property = fc.property(body, fc.constantFrom(undefined, 1), (value, space) => {
      const text = JSON.stringify(value, null, space);
      const parsed = JsonBody.parse(Buffer.from(text));
      assert.ok(JSON.stringify(parsed.value) === JSON.stringify(value));
      const changed = Buffer.concat(parsed.with(new Map([['model', 'up']]))).toString();
      assert.ok(JSON.stringify(JSON.parse(changed)) === JSON.stringify({ ...value, model: 'up' }));
    });
    fc.assert(property, { numRuns: 60 });
  });

  it('has its members in their order', () => {
    const text = long(() => ',');
    assert.deepEqual(Object.keys(read(text) as object), ['model', 'messages', 'n']);
  });

  it('has a member called __proto__ as any other', () => {
    const text = long(() => ',').replace('"messages"', '"__proto__"');
    const value = read(text) as object;
    assert.equal(Object.getPrototypeOf(value), Object.prototype);
    assert.deepEqual(Object.getOwnPropertyDescriptor(value, '__proto__')?.value.length, 201);
  });

  it('says the last of what stands twice', () => {
    const text = long(() => ',');
    for (const more of [
      '"messages":[1]',
      '"messages":2',
      `"messages":${JSON.stringify([filled(200 * KB), 1])}`,
    ])
      assert.deepEqual(read(`${text.slice(0, -1)},${more}}`), once(`${text.slice(0, -1)},${more}}`));
  });

  it('has its names read where they are written with escapes', () => {
    const text = long(() => ',').replace('"messages"', '"mess\\u0061ges"');
    assert.deepEqual(read(text), once(text));
  });

  for (const [what, wrong] of Object.entries({
    'nothing between commas': ',,',
    'no comma': ' ',
    'an array that ends': '],[',
    'a brace in place of a bracket': '},{',
    'a member': ',"a":1,',
    'something after it': '],"n":1} ,{"o":[',
  })) {
    for (const at of [0, 40, 199]) {
      it(`is none with ${what} after ${at}`, () => {
        const text = long((index) => (index === at ? wrong : ','));
        assert.match(read(text) as string, /^SyntaxError/);
        assert.equal(read(text), once(text));
      });
    }
  }

  it('is none with nothing before its last bracket, wherever that lies', () => {
    for (let size = 60 * KB; size < 70 * KB; size += 999) {
      const text = `{"a":["${filled(size, 'a')}","${filled(size, 'b')}",],"b":1}`;
      assert.match(read(text) as string, /^SyntaxError/);
    }
  });
});

describe('characters for bytes', () => {
  it('are found wherever they lie, forth and back', () => {
    const bytes = Buffer.alloc(300 * KB, 'é');
    const places = [0, 1, 64 * KB - 1, 64 * KB, 100 * KB, 128 * KB + 1, 300 * KB - 1];
    for (const place of places) bytes[place] = 0x22;
    const characters = new Characters(bytes);
    const found = (from: number) => characters.indexOf('"', from);
    for (const from of [0, 5, 200 * KB, 64 * KB, 0, 300 * KB - 1, 300 * KB, 64 * KB - 1]) {
      assert.equal(found(from), places.find((place) => place >= from) ?? -1, `from ${from}`);
    }
  });
});
