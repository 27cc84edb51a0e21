import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Prepared } from '../../src/app/current.ts';
import { Preparation } from '../../src/workers/preparation.ts';

function setUp() {
  const taken: string[] = [];
  const good = (name: string): Prepared => ({ ok: true, take: () => taken.push(name) });
  return { preparation: new Preparation(), taken, good };
}

const NOTHING = /^Error: nothing was prepared$/;

describe('what a worker prepares', () => {
  it('is the last that it was asked for, also where one before it is ready only afterwards', async () => {
    const { preparation, taken, good } = setUp();
    const late = Promise.withResolvers<Prepared>();
    const first = preparation.begin(() => late.promise);
    assert.deepEqual(await preparation.begin(async () => good('second')), []);
    late.resolve(good('first'));
    assert.deepEqual(await first, []);
    preparation.take();
    assert.deepEqual(taken, ['second']);
  });

  it('is nothing where the last one is not good, or not ready, whatever came before', async () => {
    const { preparation, taken, good } = setUp();
    await preparation.begin(async () => good('first'));
    assert.deepEqual(await preparation.begin(async () => ({ ok: false, problems: ['no'] })), ['no']);
    assert.throws(() => preparation.take(), NOTHING);
    await preparation.begin(async () => good('third'));
    const late = Promise.withResolvers<Prepared>();
    const fourth = preparation.begin(() => late.promise);
    assert.throws(() => preparation.take(), NOTHING);
    late.resolve(good('fourth'));
    await fourth;
    preparation.take();
    assert.deepEqual(taken, ['fourth']);
  });

  it('is taken over once', async () => {
    const { preparation, taken, good } = setUp();
    await preparation.begin(async () => good('first'));
    preparation.take();
    assert.throws(() => preparation.take(), NOTHING);
    assert.deepEqual(taken, ['first']);
  });
});
