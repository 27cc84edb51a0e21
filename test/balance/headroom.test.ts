import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Headroom } from '../../src/upstream/headroom.ts';
import { ManualClock } from '../support/manual-clock.ts';

function start(): { clock: ManualClock; headroom: Headroom } {
  const clock = new ManualClock(1000);
  return { clock, headroom: new Headroom(clock) };
}

function requests(remaining: number, limit: number, reset: string): Record<string, string> {
  return {
    'x-ratelimit-limit-requests': String(limit),
    'x-ratelimit-remaining-requests': String(remaining),
    'x-ratelimit-reset-requests': reset,
  };
}

function near(actual: number | null, wanted: number): void {
  assert.ok(actual !== null && Math.abs(actual - wanted) < 1e-9, `${actual}, not ${wanted}`);
}

describe('headroom', () => {
  it('is not known until an answer says something of it', () => {
    const { headroom } = start();
    assert.equal(headroom.left(), null);
    headroom.read({ 'content-type': 'application/json', 'retry-after': '2' });
    assert.equal(headroom.left(), null);
  });

  it('is the share that is left, by the last word', () => {
    const { headroom } = start();
    headroom.read(requests(80, 100, '20s'));
    near(headroom.left(), 0.8);
    headroom.read(requests(30, 100, '70s'));
    near(headroom.left(), 0.3);
  });

  it('fills up steadily until the reset, and is full from then on', () => {
    const { headroom, clock } = start();
    headroom.read(requests(20, 100, '40s'));
    clock.advance(10_000);
    near(headroom.left(), 0.4);
    clock.advance(29_999);
    assert.ok((headroom.left() ?? 0) < 1);
    clock.advance(1);
    near(headroom.left(), 1);
    clock.advance(1e9);
    near(headroom.left(), 1);
  });

  it('is full at once where the reset is now', () => {
    const { headroom } = start();
    headroom.read(requests(20, 100, '0s'));
    near(headroom.left(), 1);
  });

  it('is that of the limit of which least is left', () => {
    const { headroom, clock } = start();
    headroom.read({
      'anthropic-ratelimit-requests-limit': '100',
      'anthropic-ratelimit-requests-remaining': '50',
      'anthropic-ratelimit-requests-reset': new Date(clock.wall() + 60_000).toISOString(),
      'anthropic-ratelimit-output-tokens-limit': '1000',
      'anthropic-ratelimit-output-tokens-remaining': '100',
      'anthropic-ratelimit-output-tokens-reset': new Date(clock.wall() + 10_000).toISOString(),
    });
    near(headroom.left(), 0.1);
    clock.advance(10_000);
    near(headroom.left(), 0.5 + 0.5 / 6);
  });

  it('remembers a limit of which the next answer says nothing', () => {
    const { headroom } = start();
    headroom.read(requests(10, 100, '1h'));
    headroom.read({
      'x-ratelimit-limit-tokens': '10',
      'x-ratelimit-remaining-tokens': '9',
      'x-ratelimit-reset-tokens': '1s',
    });
    near(headroom.left(), 0.1);
  });

  it('is of a minute where no reset is said', () => {
    const { headroom, clock } = start();
    headroom.read({ 'x-ratelimit-limit-requests': '10', 'x-ratelimit-remaining-requests': '0' });
    near(headroom.left(), 0);
    clock.advance(30_000);
    near(headroom.left(), 0.5);
    clock.advance(30_000);
    near(headroom.left(), 1);
  });

  it('is of the most that was ever left where the limit is not said', () => {
    const { headroom } = start();
    const left = (remaining: number) =>
      headroom.read({ 'x-ratelimit-remaining-requests': String(remaining) });
    left(0);
    assert.equal(headroom.left(), null);
    left(40);
    near(headroom.left(), 1);
    left(10);
    near(headroom.left(), 0.25);
  });
});
