import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { KnownClaims } from '../../src/replay/known-claims.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { answer, BOUND, DAY } from './claims-kit.ts';

const wanted = (name: string) => ({ tenant: 'acme', name, mark: `mark of ${name}` });

describe('answers in memory', () => {
  it('are no more bytes than the bound, and those go first that were not asked for the longest', () => {
    const known = new KnownClaims(new ManualClock(), 100_000);
    // Two bytes a character, and something for the rest: four of them fit.
    const long = answer('x'.repeat(10_000));
    for (const name of ['a', 'b', 'c', 'd']) known.keep(wanted(name), long, DAY);
    assert.ok(known.kept('a'));
    known.keep(wanted('e'), long, DAY);
    assert.deepEqual(
      ['a', 'b', 'c', 'd', 'e'].filter((name) => known.kept(name) !== null),
      ['a', 'c', 'd', 'e'],
    );
    for (let i = 0; i < 1000; i++) {
      known.keep(wanted(`n${i}`), answer('x'.repeat(i)), DAY);
      assert.ok(known.size <= 100_000);
    }
  });

  it('count for nothing once they are gone', () => {
    const clock = new ManualClock();
    const known = new KnownClaims(clock, BOUND);
    known.keep(wanted('a'), answer('one'), DAY);
    const { size } = known;
    assert.ok(size > 0);
    known.keep(wanted('a'), answer('two'), DAY);
    assert.equal(known.size, size);
    known.keep(wanted('b'), answer('one'), DAY);
    known.forget('b');
    known.forget('b');
    assert.equal(known.size, size);
    clock.advance(DAY);
    assert.equal(known.kept('a'), null);
    assert.equal(known.size, 0);
  });

  it('are not kept where one alone is more than the bound, and put no others out', () => {
    const known = new KnownClaims(new ManualClock(), 10_000);
    known.keep(wanted('a'), answer('one'), DAY);
    known.keep(wanted('b'), answer('x'.repeat(5_000)), DAY);
    assert.equal(known.kept('b'), null);
    assert.ok(known.kept('a'));
    assert.ok(known.size < 10_000);
  });

  it('bound by many small ones as well', () => {
    const known = new KnownClaims(new ManualClock(), BOUND);
    for (let i = 0; i < 10_000; i++) known.keep(wanted(`n${i}`), answer(''), DAY);
    const left = Array.from({ length: 10_000 }, (_, i) => known.kept(`n${i}`)).filter((one) => one !== null);
    assert.ok(left.length <= BOUND / 1000 && left.length > BOUND / 2000, `${left.length} are left`);
  });
});
