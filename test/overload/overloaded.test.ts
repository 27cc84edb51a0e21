import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Refusals } from '../../src/overload/overloaded.ts';

/** The least and the most that clients are told to wait, where connections are not read for so long (milliseconds). */
function waits(unread: number): (number | null)[] {
  return [0, 1 - Number.EPSILON].map(
    (chance) =>
      new Refusals(
        () => chance,
        () => unread,
      ).of('delay').retryAfterMs,
  );
}

describe('who is refused', () => {
  it('is told to come back after one to two seconds', () => {
    assert.deepEqual(waits(0), [1000, 1938]);
    assert.deepEqual(waits(1000), [1000, 1938]);
  });

  it('is not told to come back before the connection is read again', () => {
    assert.deepEqual(waits(1001), [1063, 1938]);
    assert.deepEqual(waits(1500), [1500, 1938]);
  });

  it('is told no more than that, however long it may be', () => {
    assert.deepEqual(waits(1990), [1938, 1938]);
    assert.deepEqual(waits(5000), [1938, 1938]);
  });
});
