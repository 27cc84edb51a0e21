import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cancellation } from '../../src/core/cancellation.ts';
import { LONGEST_TURN, MOST_WAITING, Pacer } from '../../src/resilience/pacer.ts';
import {
  type Asked,
  ask,
  askTimes,
  CountingCancellation,
  fullFor,
  go,
  LateClock,
  near,
  settle,
  setUpRefused,
  waited,
  waits,
} from './pacer-kit.ts';

describe('a turn', () => {
  it('comes in the order in which it was asked for, at the rate', async () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    go(pacer);
    const asked = askTimes(pacer, 4);
    assert.equal(pacer.waiting, 4);
    for (const [i, one] of asked.entries()) {
      clock.advance(99);
      await settle();
      assert.ok(waits(one), `turn ${i} came too early`);
      clock.advance(1);
      await settle();
      near(waited(one), (i + 1) * 100);
      assert.equal(asked.filter(waits).length, 3 - i);
    }
    assert.equal(clock.pending, 0);
  });

  it('is not to be had for who would wait for more than a second: told so at once, and for how long', async () => {
    const { clock, pacer } = setUpRefused(4);
    clock.advance(1000);
    go(pacer);
    const asked = [ask(pacer, 60_000), ask(pacer, 60_000)];
    const late = ask(pacer, 60_000);
    await settle();
    near(fullFor(late), 1500);
    near(pacer.waitMs, 1500);
    clock.advance(1000);
    await settle();
    assert.ok(asked.every((one) => waited(one) !== null));
  });

  it('is not waited for any longer than its request has time', async () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    go(pacer);
    const short = ask(pacer, 50);
    const long = ask(pacer, 150);
    await settle();
    near(fullFor(short), 100);
    assert.ok(waits(long));
    clock.advance(100);
    await settle();
    near(waited(long), 100);
  });

  it('may come at once for as many as the rate gives in a tenth of a second', () => {
    const { clock, pacer } = setUpRefused(100);
    clock.advance(3000);
    go(pacer, 5);
    assert.ok(waits(ask(pacer)));
  });

  it('comes one by one after the pause that a 429 brings, whatever has gathered meanwhile', async () => {
    const { clock, pacer } = setUpRefused(100, 500);
    const asked = askTimes(pacer, 20);
    clock.advance(499);
    await settle();
    assert.ok(asked.every(waits));
    clock.advance(1);
    await settle();
    assert.equal(asked.filter(waits).length, 19);
    clock.advance(100);
    await settle();
    assert.equal(asked.filter(waits).length, 14);
  });

  it('is waited for by no more than so many', async () => {
    const { clock, pacer } = setUpRefused(4000, 1);
    clock.advance(1);
    near(pacer.rate, 2000);
    const asked = askTimes(pacer, MOST_WAITING + 300);
    await settle();
    assert.equal(pacer.waiting, MOST_WAITING);
    assert.ok(fullFor(asked.at(-1) as Asked) !== null);
    clock.advance(1000);
    await settle();
    assert.equal(pacer.waiting, 0);
    assert.equal(clock.pending, 0);
  });

  it('is left to the next by one that was cancelled', async () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    go(pacer);
    const [first, second] = [ask(pacer), ask(pacer)];
    first.cancellation.cancel('client_gone');
    await settle();
    assert.deepEqual(first.turn, { cancelled: true });
    assert.equal(pacer.waiting, 1);
    clock.advance(100);
    await settle();
    near(waited(second), 100);
  });

  it('leaves no timer behind when the last who waits is cancelled', () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    go(pacer);
    const waiting = ask(pacer);
    assert.equal(clock.pending, 1);
    waiting.cancellation.cancel('shutdown');
    assert.equal(clock.pending, 0);
  });

  it('is not waited for by who is cancelled already', async () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    go(pacer);
    const cancellation = new Cancellation();
    cancellation.cancel('client_gone');
    const asked = ask(pacer, LONGEST_TURN, cancellation);
    await settle();
    assert.deepEqual(asked.turn, { cancelled: true });
    assert.equal(pacer.waiting, 0);
  });

  it('leaves no listener behind, however it ends', async () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    go(pacer);
    pacer.succeeded(clock.now());
    const counting = new CountingCancellation();
    const [had, refused] = [ask(pacer, LONGEST_TURN, counting), ask(pacer, 250, counting)];
    assert.equal(counting.listening, 2);
    clock.advance(100);
    pacer.refused(clock.now(), 500);
    await settle();
    assert.ok(waited(had) !== null && fullFor(refused) !== null);
    assert.equal(counting.listening, 0);
  });

  it('is refused to those for whom it comes too late by another 429; the others keep their order', async () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    go(pacer);
    pacer.succeeded(clock.now());
    for (let i = 0; i < 9; i++) {
      clock.advance(100);
      go(pacer);
    }
    const asked = [ask(pacer), ask(pacer, 250), ask(pacer), ask(pacer)] as const;
    pacer.refused(clock.now(), 300);
    near(pacer.rate, 5);
    await settle();
    near(fullFor(asked[1]), 300 + 1000 / 5);
    assert.deepEqual(asked.map(waits), [true, false, true, true]);
    clock.advance(300);
    await settle();
    assert.deepEqual(asked.map(waits), [false, false, true, true]);
    clock.advance(1000 / 5);
    await settle();
    assert.deepEqual(asked.map(waits), [false, false, false, true]);
  });

  it('that is given back is the next one’s', async () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    go(pacer);
    const givenAt = clock.now();
    const waiting = ask(pacer);
    clock.advance(10);
    pacer.giveBack(givenAt);
    await clock.advanceAsync(1);
    near(waited(waiting), 10);
  });

  it('that was given before a 429 gives nobody a turn after it', () => {
    const { clock, pacer } = setUpRefused(100);
    clock.advance(1000);
    go(pacer);
    const givenAt = clock.now();
    clock.advance(1);
    pacer.refused(clock.now(), 1000);
    pacer.giveBack(givenAt);
    clock.advance(1000);
    go(pacer);
    near(pacer.waitMs, 20);
  });

  it('is nobody’s before those who wait for a timer that is late', async () => {
    const clock = new LateClock();
    const pacer = new Pacer(clock);
    for (let i = 0; i < 400; i++) {
      clock.advance(5);
      go(pacer);
    }
    pacer.refused(clock.now());
    clock.advance(2000);
    go(pacer, 10);
    clock.late = 60;
    const asked = askTimes(pacer, 3);
    clock.advance(50);
    const last = ask(pacer);
    await settle();
    assert.ok([...asked, last].every(waits));
    clock.advance(20);
    await settle();
    assert.ok([...asked, last].every((one) => waited(one) !== null));
  });

  it('comes sooner for those who wait when the rate rises', async () => {
    const { clock, pacer } = setUpRefused(8);
    clock.advance(1000);
    go(pacer);
    const asked = askTimes(pacer, 3);
    for (let i = 0; i < 7; i++) {
      clock.advance(100);
      pacer.succeeded(clock.now());
    }
    assert.equal(pacer.waiting, 1);
    clock.advance(46);
    await settle();
    assert.ok((waited(asked[2] as Asked) ?? Infinity) < 747);
  });

  it('is had by all who wait when the rate is lifted', async () => {
    const { clock, pacer } = setUpRefused(4);
    clock.advance(5 * 60_000 - 101);
    go(pacer);
    const asked = [ask(pacer), ask(pacer)];
    clock.advance(100);
    await settle();
    assert.ok(asked.every(waits));
    clock.advance(1);
    go(pacer, 100);
    await settle();
    assert.deepEqual(asked.map(waited), [101, 101]);
    assert.equal(clock.pending, 0);
  });
});
