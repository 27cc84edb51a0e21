import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ask, go, near, setUp, setUpRefused } from './pacer-kit.ts';

describe('a pacer that has seen no 429', () => {
  it('lets everything go at once, and makes no promise and no timer', () => {
    const { clock, pacer } = setUp();
    go(pacer, 5000);
    assert.equal(pacer.rate, null);
    assert.equal(pacer.waitMs, 0);
    assert.equal(clock.pending, 0);
  });

  it('has no rate after successes either', () => {
    const { clock, pacer } = setUp();
    go(pacer);
    pacer.succeeded(clock.now());
    assert.equal(pacer.rate, null);
  });
});

describe('the rate after a 429', () => {
  it('is half of what was being sent', () => {
    const { pacer } = setUpRefused(20);
    near(pacer.rate, 10);
  });

  it('is half of what was sent in the last five seconds, not before', () => {
    const { clock, pacer } = setUp();
    go(pacer, 1000);
    for (let i = 0; i < 60; i++) {
      clock.advance(100);
      go(pacer);
    }
    pacer.refused(clock.now());
    near(pacer.rate, 5);
  });

  it('takes a burst at the very beginning for what is sent in a second', () => {
    const { clock, pacer } = setUp();
    go(pacer, 40);
    clock.advance(10);
    pacer.refused(clock.now());
    near(pacer.rate, 20);
  });

  it('is half of what is sent since there is something to send again, not of that and the quiet before', () => {
    const { clock, pacer } = setUp();
    clock.advance(60_000);
    for (let spell = 0; spell < 2; spell++) {
      for (let i = 0; i < 30; i++) {
        go(pacer);
        clock.advance(50);
      }
      if (spell === 0) clock.advance(1500);
    }
    pacer.refused(clock.now());
    near(pacer.rate, 10);
  });

  it('rises fast where all that was seen was a try or two, until more is known', () => {
    const { clock, pacer } = setUp();
    go(pacer);
    clock.advance(300);
    pacer.refused(clock.now(), 1000);
    assert.equal(pacer.rate, 0.5);
    clock.advance(1000);
    for (let i = 0; i < 15; i++) {
      clock.advance(1000);
      pacer.succeeded(clock.now());
    }
    near(pacer.rate, 0.5 * 1.2 ** 15);
  });

  it('rises fast once it is well above what was too high, for that was wrong', () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    for (let i = 0; i < 120; i++) {
      clock.advance(1000);
      const before = pacer.rate as number;
      for (let success = 0; success < 10; success++) {
        clock.advance(0.001);
        pacer.succeeded(clock.now());
      }
      if (before < 25) assert.ok((pacer.rate as number) - before < 0.41);
      else if (before > 26) near((pacer.rate as number) / before, 1.2);
    }
    assert.ok((pacer.rate as number) > 100);
  });

  it('is halved itself, and is no guess, when few were sent but more were held up', async () => {
    const { clock, pacer } = setUpRefused(4);
    near(pacer.rate, 2);
    clock.advance(1000);
    go(pacer);
    pacer.succeeded(clock.now());
    clock.advance(1);
    ask(pacer);
    pacer.refused(clock.now(), 0);
    near(pacer.rate, 1);
    const before = pacer.rate as number;
    for (let i = 0; i < 5; i++) {
      clock.advance(1000);
      pacer.succeeded(clock.now());
    }
    near(pacer.rate, before + 5 * 0.02);
  });

  it('is halved itself, as a guess, when few were sent and none held up', () => {
    const { clock, pacer } = setUpRefused(40);
    near(pacer.rate, 20);
    clock.advance(30_000);
    go(pacer);
    pacer.succeeded(clock.now());
    clock.advance(400);
    pacer.refused(clock.now(), 0);
    near(pacer.rate, 10);
    clock.advance(1000);
    pacer.succeeded(clock.now());
    near(pacer.rate, 12);
  });

  it('is a guess again when few were sent and none held up since the last 429, whoever was before', () => {
    const { clock, pacer } = setUpRefused(40);
    ask(pacer);
    clock.advance(2000);
    go(pacer);
    pacer.succeeded(clock.now());
    clock.advance(1);
    pacer.refused(clock.now(), 0);
    near(pacer.rate, 10);
    clock.advance(30_000);
    go(pacer);
    pacer.succeeded(clock.now());
    clock.advance(400);
    const before = pacer.rate as number;
    pacer.refused(clock.now(), 0);
    near(pacer.rate, before / 2);
    clock.advance(1000);
    pacer.succeeded(clock.now());
    near(pacer.rate, (before / 2) * 1.2);
  });

  it('is a guess after one try, however long its answer took; an answer raises that by a quarter at most', () => {
    const { clock, pacer } = setUp();
    go(pacer);
    clock.advance(3000);
    pacer.refused(clock.now(), 0);
    assert.equal(pacer.rate, 0.5);
    clock.advance(5000);
    pacer.succeeded(clock.now());
    near(pacer.rate, 0.625);
  });

  it('is one in two seconds at least, however little was sent', () => {
    const { clock, pacer } = setUp();
    go(pacer);
    clock.advance(60_000);
    pacer.refused(clock.now());
    assert.equal(pacer.rate, 0.5);
  });

  it('counts turns that were given back as not sent', () => {
    const { clock, pacer } = setUp();
    for (let i = 0; i < 40; i++) {
      clock.advance(50);
      go(pacer);
      if (i % 2 === 0) pacer.giveBack(clock.now());
    }
    pacer.refused(clock.now());
    near(pacer.rate, 5);
  });

  it('is halved once for all that was under way together', () => {
    const { clock, pacer } = setUpRefused(20);
    const before = pacer.rate;
    const began = clock.now();
    clock.advance(30);
    for (let i = 0; i < 10; i++) pacer.refused(began - i);
    assert.equal(pacer.rate, before);
  });

  it('is not halved again before anything has succeeded at it: the upstream is shut, whatever the rate', () => {
    const { clock, pacer } = setUpRefused(20);
    const before = pacer.rate;
    for (let i = 0; i < 5; i++) {
      clock.advance(2000);
      go(pacer);
      pacer.refused(clock.now(), 1000);
    }
    assert.equal(pacer.rate, before);
  });

  it('is halved again when tries succeed at it and then one is refused', () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    for (let i = 0; i < 10; i++) {
      go(pacer);
      pacer.succeeded(clock.now());
      clock.advance(100);
    }
    pacer.refused(clock.now());
    near(pacer.rate, 5);
  });

  it('is halved from what is sent, if that is less than it allows', () => {
    const { clock, pacer } = setUpRefused(40);
    clock.advance(1000);
    near(pacer.rate, 20);
    for (let i = 0; i < 20; i++) {
      clock.advance(500);
      go(pacer);
      pacer.succeeded(clock.now());
    }
    pacer.refused(clock.now());
    near(pacer.rate, 1);
  });

  it('is not halved by what was sent before it was halved, even if that comes after a success', () => {
    const { clock, pacer } = setUpRefused(20);
    const began = clock.now();
    clock.advance(1000);
    go(pacer);
    pacer.succeeded(clock.now());
    const before = pacer.rate;
    pacer.refused(began);
    assert.equal(pacer.rate, before);
  });

  it('does not rise for the time in which the upstream was left alone', () => {
    const { clock, pacer } = setUpRefused(20, 4000);
    const before = pacer.rate;
    clock.advance(4000);
    go(pacer);
    pacer.succeeded(clock.now());
    assert.equal(pacer.rate, before);
  });

  it('is not measured in the time in which the upstream was left alone', () => {
    const { clock, pacer } = setUpRefused(20, 4000);
    clock.advance(4000);
    for (let i = 0; i < 10; i++) {
      go(pacer);
      pacer.succeeded(clock.now());
      clock.advance(100);
    }
    pacer.refused(clock.now());
    assert.ok((pacer.rate as number) > 4.4, `${pacer.rate}`);
  });

  it('rises with each success by a hundredth of the rate that was too high', () => {
    const { clock, pacer } = setUpRefused(2);
    near(pacer.rate, 1);
    for (let i = 1; i <= 20; i++) {
      clock.advance(2000);
      go(pacer);
      pacer.succeeded(clock.now());
      near(pacer.rate, 1 + i * 0.02);
    }
  });

  it('rises by no more than a fiftieth of that in a second, however many succeed', () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(1000);
    for (let i = 0; i < 100; i++) {
      clock.advance(100);
      for (let success = 0; success < 50; success++) pacer.succeeded(clock.now());
    }
    near(pacer.rate, 10 + 10 * 0.02 * 20);
  });

  it('does not rise for tries that were sent at the rate before', () => {
    const { clock, pacer } = setUpRefused(20);
    const began = clock.now();
    const before = pacer.rate;
    clock.advance(5000);
    for (let i = 0; i < 10; i++) pacer.succeeded(began);
    assert.equal(pacer.rate, before);
    pacer.refused(clock.now());
    assert.equal(pacer.rate, before, 'halved, though nothing has succeeded at it');
  });

  it('is lifted after five minutes without another', () => {
    const { clock, pacer } = setUpRefused(2);
    clock.advance(5 * 60_000 - 1);
    assert.notEqual(pacer.rate, null);
    clock.advance(1);
    assert.equal(pacer.rate, null);
    go(pacer, 100);
  });

  it('is lifted five minutes after the last 429, even one that did not halve it', () => {
    const { clock, pacer } = setUpRefused(2);
    clock.advance(2 * 60_000);
    pacer.refused(clock.now() - 1);
    clock.advance(5 * 60_000 - 1);
    assert.notEqual(pacer.rate, null);
    clock.advance(1);
    assert.equal(pacer.rate, null);
  });

  it('is set anew by a 429 that comes after it was lifted', () => {
    const { clock, pacer } = setUpRefused(20);
    clock.advance(5 * 60_000);
    for (let i = 0; i < 300; i++) {
      clock.advance(1000 / 30);
      go(pacer);
    }
    pacer.refused(clock.now());
    near(pacer.rate, 15);
  });
});
