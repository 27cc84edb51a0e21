import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type KeptAnswer, readKept, writeKept } from '../../src/replay/kept-answer.ts';
import { Seal } from '../../src/replay/seal.ts';

const ABOUT = 'spillway:{acme}:i:name';

describe('a seal', () => {
  it('opens what it sealed, whatever text that is, and also that of another gateway with the same key', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        fc.string(),
        fc.option(fc.string({ minLength: 1 })),
        (text, about, key) => {
          assert.equal(new Seal(key).open(new Seal(key).seal(text, about), about), text);
        },
      ),
    );
  });

  it('shows nothing of a text, and shows the same text differently each time', () => {
    const seal = new Seal('secret');
    const [one, two] = [seal.seal('the answer', ABOUT), seal.seal('the answer', ABOUT)];
    assert.notEqual(one, two);
    assert.ok(!one.includes('answer') && !Buffer.from(one.slice(1), 'base64').includes('answer'));
  });

  it('does not open what was sealed with another key, without one, or for another purpose', () => {
    const sealed = new Seal('secret').seal('text', ABOUT);
    assert.equal(new Seal('other').open(sealed, ABOUT), null);
    assert.equal(new Seal(null).open(sealed, ABOUT), null);
    assert.equal(new Seal('secret').open(sealed, `${ABOUT}2`), null);
    assert.equal(new Seal('secret').open(new Seal(null).seal('text', ABOUT), ABOUT), null);
  });

  it('does not open what was changed, cut short or made up', () => {
    const seal = new Seal('secret');
    const bytes = Buffer.from(seal.seal('text', ABOUT).slice(1), 'base64');
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes);
      changed[i] = (changed[i] ?? 0) ^ 1;
      assert.equal(seal.open(`s${changed.toString('base64')}`, ABOUT), null, `byte ${i}`);
      assert.equal(seal.open(`s${bytes.subarray(0, i).toString('base64')}`, ABOUT), null, `${i} bytes`);
    }
    fc.assert(fc.property(fc.string(), (text) => assert.equal(seal.open(text, ABOUT), null)));
  });
});

describe('a mark', () => {
  it('is the same for the same parts, and another one for all others, however they are cut', () => {
    for (const seal of [new Seal(null), new Seal('secret')]) {
      const marks = [
        seal.mark('a', 'bc'),
        seal.mark('ab', 'c'),
        seal.mark('abc'),
        seal.mark('abc', ''),
        seal.mark('', 'abc'),
        seal.mark('1:a', 'bc'),
        seal.mark('a', Buffer.from('bd')),
      ];
      assert.equal(new Set(marks).size, marks.length);
      assert.equal(seal.mark('a', Buffer.from('é')), seal.mark('a', 'é'));
    }
  });

  it('cannot be found out by trying without the key', () => {
    assert.notEqual(new Seal('secret').mark('a'), new Seal(null).mark('a'));
    assert.notEqual(new Seal('secret').mark('a'), new Seal('other').mark('a'));
    assert.equal(new Seal('secret').mark('a'), new Seal('secret').mark('a'));
  });
});

describe('an answer that is kept', () => {
  const answer: KeptAnswer = {
    status: 200,
    headers: { 'content-type': 'application/json', 'x-spillway-cost': '0.1' },
    streamed: true,
    target: 'a/up',
    body: 'data: {"é":"\u2028"}\n\n',
  };

  it('is read as it was written', () => {
    assert.deepEqual(readKept(writeKept(answer)), answer);
    assert.deepEqual(readKept(writeKept({ ...answer, streamed: false, target: null })), {
      ...answer,
      streamed: false,
      target: null,
    });
  });

  it('is as good as not there where it is not whole, or something else', () => {
    const text = writeKept(answer);
    for (let i = 0; i < text.length; i++) assert.equal(readKept(text.slice(0, i)), null);
    const others = [
      { status: '200' },
      { headers: [] },
      { headers: { a: 1 } },
      { body: null },
      { headers: 1 },
    ];
    for (const other of others) assert.equal(readKept(JSON.stringify({ ...answer, ...other })), null);
    for (const other of ['null', '1', '[]', '{}', '"a"']) assert.equal(readKept(other), null);
  });
});
