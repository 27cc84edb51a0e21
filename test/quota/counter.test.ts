import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Counter } from '../../src/quota/counter.ts';

// What stores do with counters is in the suite of the stores. Here is what it does not come by.
describe('a counter', () => {
  it('forgets what no longer counts, whichever question comes first', () => {
    for (const ask of [
      (counter: Counter) => counter.total(1_200),
      (counter: Counter) => counter.standing(0, 1_200).used,
      (counter: Counter) => counter.standing(0, 1_200).reserved,
      (counter: Counter) => counter.standing(0, 1_200).resetsIn,
      (counter: Counter) => counter.roomIn(10, 10, 1_200),
    ]) {
      const counter = new Counter('second');
      counter.charge(1, 0);
      counter.reserve(2, 0);
      counter.charge(3, 50);
      counter.reserve(4, 50);
      assert.equal(counter.total(1_049), 10);
      assert.equal(ask(counter), 0);
    }
  });

  it('says what time it is by its newest part, if the clock is behind that', () => {
    const counter = new Counter('minute');
    assert.equal(counter.timeAt(70_000), 70_000);
    counter.reserve(1, 70_000);
    assert.equal(counter.timeAt(60_000), 69_000);
    assert.equal(counter.timeAt(69_500), 69_500);
    assert.equal(counter.timeAt(80_000), 80_000);
    counter.charge(0, 90_000);
    counter.reserve(0, 90_000);
    counter.charge(1, 66_000);
    assert.equal(counter.timeAt(60_000), 69_000);
  });

  it('does nothing with what is booked too late to count', () => {
    const counter = new Counter('minute');
    counter.reserve(5, 0);
    assert.equal(counter.total(63_000), 0);
    counter.release(5, 0);
    counter.charge(7, 0);
    assert.equal(counter.total(63_000), 0);
    assert.equal(counter.standing(0, 63_000).resetsIn, 0);
  });
});
