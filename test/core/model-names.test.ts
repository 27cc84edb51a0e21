import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { matches, Names } from '../../src/core/model-names.ts';
import { HICCUP } from '../support/hiccup.ts';

/** Finds the name of the entry, so that a test can tell which one it was. */
function namesOf(entries: readonly (readonly string[])[], spellings: readonly string[] = []): Names<string> {
  return new Names(
    spellings,
    entries.map((names) => ({ names, value: names[0] ?? '' })),
  );
}

describe('the name of a model', () => {
  it('is found in full, letter by letter', () => {
    const names = namesOf([['gpt-6-sol'], ['gpt-6-luna', 'luna']]);
    assert.equal(names.find('luna'), 'gpt-6-luna');
    for (const other of ['gpt-6', 'gpt-6-sol-mini', 'GPT-6-sol', ' gpt-6-sol', '', 'constructor']) {
      assert.equal(names.find(other), null, other);
    }
  });

  it('in full is found before a pattern that fits it, wherever that stands', () => {
    const names = namesOf([['gpt-*'], ['gpt-6-sol']]);
    assert.equal(names.find('gpt-6-sol'), 'gpt-6-sol');
    assert.equal(names.find('gpt-6-luna'), 'gpt-*');
  });

  it('is found by the pattern with the most letters, and by the first of those with as many', () => {
    const names = namesOf([['*'], ['gpt-*'], ['gpt-6-*'], ['*-luna']]);
    assert.equal(names.find('gpt-6-luna'), 'gpt-6-*');
    assert.equal(names.find('gpt-5-luna'), '*-luna');
    assert.equal(names.find('gpt-5'), 'gpt-*');
    assert.equal(names.find('else'), '*');
    assert.equal(namesOf([['a*'], ['*b']]).find('ab'), 'a*');
    assert.equal(namesOf([['*b'], ['a*']]).find('ab'), '*b');
  });

  it('is found as hosts spell it, by the longest name that fits', () => {
    const names = namesOf(
      [['opus-5'], ['opus-5-5'], ['opus-5-5-20270101']],
      ['{}-20##*', '*/{}', '*anthropic.{}-v#*', '*anthropic.{}-20##*'],
    );
    for (const [model, wanted] of [
      ['opus-5-2026-09-01', 'opus-5'],
      ['opus-5-5-20260901', 'opus-5-5'],
      ['opus-5-5-20270101', 'opus-5-5-20270101'],
      ['us.anthropic.opus-5-5-v1:0', 'opus-5-5'],
      ['us.anthropic.opus-5-5-20260901-v1:0', 'opus-5-5'],
      ['us.anthropic.opus-5-5-20270101-v1:0', 'opus-5-5-20270101'],
      ['anthropic.opus-5-20260801-v1:0', 'opus-5'],
      ['publishers/anthropic/models/opus-5', 'opus-5'],
      ['opus-5-20b', null],
      ['opus-5-mini', null],
      ['my-opus-5', null],
      ['/', null],
    ] as const) {
      assert.equal(names.find(model), wanted, model);
    }
  });

  it('spelt by a host is found before a pattern with fewer letters, and after one with more', () => {
    const spellings = ['*/{}'];
    assert.equal(namesOf([['*'], ['sol']], spellings).find('openai/sol'), 'sol');
    assert.equal(namesOf([['openai/*'], ['sol']], spellings).find('openai/sol'), 'openai/*');
  });

  it('spelt by a host that fits several is that of the first in the file', () => {
    const spellings = ['*/{}', '{}/*'];
    assert.equal(namesOf([['aa'], ['bb']], spellings).find('aa/bb'), 'aa');
    assert.equal(namesOf([['bb'], ['aa']], spellings).find('aa/bb'), 'bb');
  });

  it('is not taken for an expression', () => {
    assert.equal(namesOf([['gpt-6.1'], ['a+*']]).find('gpt-6x1'), null);
    assert.equal(namesOf([['a+*']]).find('aab'), null);
    assert.equal(namesOf([['a+*']]).find('a+b'), 'a+*');
  });
});

const piece = fc.constantFrom('a', 'b', '1', '*', '#', '.', '-');
const pattern = fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(''));
const text = fc
  .array(fc.constantFrom('a', 'b', '1', '7', '.', '-', '*'), { maxLength: 8 })
  .map((it) => it.join(''));

describe('a pattern', () => {
  it('fits what the like expression fits', () => {
    fc.assert(
      fc.property(pattern, text, (glob, name) => {
        const expression = glob
          .replaceAll(/[.\-+]/g, '\\$&')
          .replaceAll('*', '.*')
          .replaceAll('#', '[0-9]');
        assert.equal(matches(glob, name), new RegExp(`^${expression}$`).test(name));
      }),
      { numRuns: 5000 },
    );
  });

  it('finds the same by way of spellings as when each spelling of each name is a pattern of its own', () => {
    const plain = fc
      .array(fc.constantFrom('a', 'b', '1', '-'), { minLength: 1, maxLength: 4 })
      .map((it) => it.join(''));
    const spelling = fc.tuple(pattern, pattern).map(([before, after]) => `${before}{}${after}`);
    fc.assert(
      fc.property(
        fc.uniqueArray(plain, { minLength: 1, maxLength: 5 }),
        fc.array(spelling, { maxLength: 3 }),
        text,
        (entries, spellings, name) => {
          const found = namesOf(
            entries.map((entry) => [entry]),
            spellings,
          ).find(name);
          const fitting = entries
            .flatMap((entry) => spellings.map((spelt) => ({ entry, glob: spelt.replace('{}', () => entry) })))
            .filter(({ glob }) => matches(glob, name))
            .map(({ entry, glob }) => ({ entry, letters: glob.replaceAll('*', '').length }));
          const most = Math.max(...fitting.map(({ letters }) => letters));
          const best = entries.find((entry) =>
            fitting.some((it) => it.entry === entry && it.letters === most),
          );
          assert.equal(found, entries.includes(name) ? name : (best ?? null));
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('of many stars is as quick as any', () => {
    const began = performance.now();
    assert.equal(matches(`${'*a'.repeat(60)}b`, 'a'.repeat(256)), false);
    assert.ok(performance.now() - began < HICCUP);
  });
});
