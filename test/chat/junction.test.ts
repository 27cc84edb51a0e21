import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AfterPrefill, type Junction, SameAgain } from '../../src/chat/junction.ts';

/** What a junction lets through of these pieces, its end included; null: it saw another answer. */
function through(junction: Junction, pieces: readonly string[]): string | null {
  let text = '';
  for (const piece of pieces) {
    const fresh = junction.take(piece);
    if (fresh === null) return null;
    text += fresh;
  }
  const rest = junction.end();
  return rest === null ? null : text + rest;
}

/** The text in pieces, none of which is empty. */
const inPieces = (text: string) =>
  fc.array(fc.nat(Math.max(0, text.length))).map((cuts) => {
    const places = [0, ...cuts.toSorted((a, b) => a - b), text.length];
    return places.slice(1).flatMap((end, at) => text.slice(places[at], end) || []);
  });

/** With pairs of surrogates, so that a cut may part them. */
const texts = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '\n', 'ü', '🙂'), maxLength: 40 });

describe('an answer that is given again', () => {
  it('brings what was not told, wherever it was cut and however it comes in pieces', () => {
    fc.assert(
      fc.property(
        texts.chain((text) => fc.tuple(fc.constant(text), fc.nat(text.length), inPieces(text))),
        ([text, cut, pieces]) => {
          assert.equal(through(new SameAgain(text.slice(0, cut)), pieces), text.slice(cut));
        },
      ),
    );
  });

  it('is another one if a letter differs, at every place', () => {
    const told = 'Grüße 🙂, all';
    for (let at = 0; at < told.length; at++) {
      const other = `${told.slice(0, at)}#${told.slice(at + 1)} and more`;
      assert.equal(through(new SameAgain(told), [other]), null, other);
      assert.equal(through(new SameAgain(told), [...other]), null, other);
    }
  });

  it('is another one if it ends sooner', () => {
    const told = 'all of it';
    for (let end = 0; end < told.length; end++) {
      assert.equal(through(new SameAgain(told), [told.slice(0, end)]), null);
    }
    assert.equal(through(new SameAgain(told), [told]), '');
  });

  it('is behind what was told only once all of that has come', () => {
    const junction = new SameAgain('ab');
    assert.equal(junction.passed, false);
    assert.equal(junction.take('a'), '');
    assert.equal(junction.passed, false);
    assert.equal(junction.take('bc'), 'c');
    assert.equal(junction.passed, true);
    assert.equal(new SameAgain('').passed, true);
  });
});

describe('what follows a prefill', () => {
  const LONG = 'It was a dark and stormy night';

  it('passes as it comes', () => {
    for (const told of ['It', LONG]) {
      assert.equal(through(new AfterPrefill(told), ['; the', ' rain']), '; the rain');
      assert.equal(through(new AfterPrefill(told), []), '');
    }
  });

  it('is without the white space that was told and not given, however it comes in pieces', () => {
    fc.assert(
      fc.property(
        texts
          .chain((text) => fc.tuple(fc.constant(text), fc.nat(text.length)))
          .chain(([text, cut]) => {
            const told = text.slice(0, cut);
            const rest = text.slice(told.trimEnd().length);
            return fc.tuple(fc.constant({ told, text }), inPieces(rest));
          }),
        ([{ told, text }, pieces]) => {
          assert.equal(told + through(new AfterPrefill(told), pieces), text);
        },
      ),
    );
  });

  it('keeps white space that was not told', () => {
    assert.equal(through(new AfterPrefill('a '), ['  b']), ' b');
    assert.equal(through(new AfterPrefill('a\n'), ['\n\nb']), '\nb');
    assert.equal(through(new AfterPrefill('a\n\n'), ['\n', 'b']), 'b');
    assert.equal(through(new AfterPrefill('a '), ['b']), 'b');
    assert.equal(through(new AfterPrefill('a'), [' b']), ' b');
  });

  it('is without what was given where a host repeats it, however it comes in pieces', () => {
    fc.assert(
      fc.property(
        texts.chain((rest) => fc.tuple(fc.constant(rest), inPieces(`${LONG}${rest}`))),
        ([rest, pieces]) => {
          assert.equal(through(new AfterPrefill(LONG), pieces), rest);
        },
      ),
    );
  });

  it('may repeat what was told with its white space', () => {
    assert.equal(through(new AfterPrefill(`${LONG}\n\n`), [`${LONG}\n`, '\n', 'and']), 'and');
  });

  it('passes whole if it only begins like what was told, at every place', () => {
    for (let at = 1; at < LONG.length; at++) {
      const rest = `${LONG.slice(0, at)}#`;
      assert.equal(through(new AfterPrefill(LONG), [rest]), rest);
      assert.equal(through(new AfterPrefill(LONG), [...rest]), rest);
      // Or ends there.
      assert.equal(through(new AfterPrefill(LONG), [LONG.slice(0, at)]), LONG.slice(0, at));
    }
  });

  it('may repeat a few words by itself, unless the host is known to repeat what it is given', () => {
    assert.equal(through(new AfterPrefill('ha'), ['haha']), 'haha');
    assert.equal(through(new AfterPrefill('ha', true), ['haha']), 'ha');
  });
});
