import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cancellation } from '../../src/core/cancellation.ts';
import { DetachedWork } from '../../src/pipeline/detached-work.ts';

describe('work without a client', () => {
  it('is over when all of it has ended, however it did', async () => {
    const detached = new DetachedWork();
    await detached.over();
    const [one, another] = [new Cancellation(), new Cancellation()];
    detached.add(one);
    detached.add(another);
    let over = 0;
    for (let i = 0; i < 2; i++) void detached.over().then(() => over++);
    detached.remove(new Cancellation());
    detached.remove(one);
    await new Promise(setImmediate);
    assert.deepEqual([detached.count, over], [1, 0]);
    detached.remove(another);
    await new Promise(setImmediate);
    assert.deepEqual([detached.count, over], [0, 2]);
    assert.deepEqual([one.reason, another.reason], [null, null]);
  });

  it('is cancelled with the process, also what loses its client only then', () => {
    const detached = new DetachedWork();
    const [before, after] = [new Cancellation(), new Cancellation()];
    // It may end on the spot.
    before.add({ cancelled: () => detached.remove(before) });
    after.add({ cancelled: () => detached.remove(after) });
    detached.add(before);
    detached.cancelAll();
    detached.add(after);
    assert.deepEqual([before.reason, after.reason, detached.count], ['shutdown', 'shutdown', 0]);
  });
});
