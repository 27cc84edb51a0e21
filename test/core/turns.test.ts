import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { InStep } from '../../src/core/turns.ts';

describe('what is done in step', () => {
  it('is not done at once, but to all of a turn in their order, before what follows from any', async () => {
    const seen: string[] = [];
    const steps = new InStep<string>((item) => {
      seen.push(item);
      void Promise.resolve().then(() => seen.push(`after ${item}`));
    });
    steps.add('a');
    await Promise.resolve();
    steps.add('b');
    assert.deepEqual(seen, []);
    await nextTurn();
    assert.deepEqual(seen, ['a', 'b', 'after a', 'after b']);
  });

  it('is done in the turn after, to what comes while it is done', async () => {
    const seen: number[] = [];
    const steps = new InStep<number>((item) => {
      seen.push(item);
      if (item < 3) steps.add(item + 1);
    });
    steps.add(1);
    for (const so of [[1], [1, 2], [1, 2, 3], [1, 2, 3]]) {
      await nextTurn();
      assert.deepEqual(seen, so);
    }
  });
});
