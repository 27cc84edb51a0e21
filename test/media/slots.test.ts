import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Slots } from '../../src/media/slots.ts';

/** Takes places, and says who has one. */
function openSlots(count: number) {
  const slots = new Slots(count);
  const served: string[] = [];
  const held: { owner: string; leave: () => void }[] = [];
  return {
    served,
    held,
    /** How many one owner holds. */
    of: (owner: string) => held.filter((one) => one.owner === owner).length,
    async take(owner: string, times = 1, signal = new AbortController().signal) {
      for (let i = 0; i < times; i++) {
        slots.take(owner, signal).then(
          (leave) => {
            served.push(owner);
            held.push({ owner, leave });
          },
          () => {},
        );
      }
      await settled();
    },
    async giveBack(owner: string) {
      const index = held.findIndex((one) => one.owner === owner);
      const [one] = held.splice(index, 1);
      one?.leave();
      one?.leave();
      await settled();
    },
  };
}

const settled = () => new Promise(setImmediate);

describe('places', () => {
  it('are given to one owner up to half of them, and the next who comes has one at once', async () => {
    const slots = openSlots(16);
    await slots.take('greedy', 20);
    assert.equal(slots.of('greedy'), 8);
    await slots.take('other');
    assert.equal(slots.of('other'), 1);
    await slots.take('another', 20);
    assert.equal(slots.of('another'), 4);
    await slots.take('late');
    assert.equal(slots.of('late'), 1);
  });

  it('go to owners in turn, however many each one waits for', async () => {
    const slots = openSlots(1);
    await slots.take('a', 3);
    await slots.take('b', 2);
    await slots.take('c', 1);
    for (let held = slots.held[0]; held !== undefined; held = slots.held[0]) await slots.giveBack(held.owner);
    assert.deepEqual(slots.served, ['a', 'b', 'c', 'a', 'b', 'a']);
  });

  it('come to be shared evenly by two who want all of them', async () => {
    const slots = openSlots(12);
    await slots.take('first', 100);
    await slots.take('second', 100);
    assert.equal(slots.of('first'), 6);
    for (let i = 0; i < 20; i++) {
      await slots.giveBack('first');
      await slots.giveBack('second');
    }
    assert.ok(slots.of('first') + slots.of('second') >= 8);
    assert.ok(Math.abs(slots.of('first') - slots.of('second')) <= 1);
  });

  it('are not given to who gave up, and nothing is kept of them', async () => {
    const slots = openSlots(1);
    const gone = new AbortController();
    await slots.take('a');
    await slots.take('b', 2, gone.signal);
    await slots.take('c');
    gone.abort(new Error('gone'));
    await slots.giveBack('a');
    assert.deepEqual(slots.served, ['a', 'c']);
    const late = new Slots(1);
    await assert.rejects(late.take('b', gone.signal), /gone/);
    (await late.take('a', new AbortController().signal))();
  });

  it('are never more than there are, nobody holds over half, and none lies idle whom somebody could have', async () => {
    const step = fc.record({ owner: fc.constantFrom('a', 'b', 'c', 'd'), take: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 9 }),
        fc.array(step, { maxLength: 40 }),
        async (count, steps) => {
          const slots = openSlots(count);
          const wanted = new Map<string, number>();
          for (const { owner, take } of steps) {
            if (take) {
              wanted.set(owner, (wanted.get(owner) ?? 0) + 1);
              await slots.take(owner);
            } else if (slots.of(owner) > 0) {
              wanted.set(owner, (wanted.get(owner) ?? 0) - 1);
              await slots.giveBack(owner);
            }
            const free = count - slots.held.length;
            assert.ok(free >= 0);
            for (const [one, all] of wanted) {
              assert.ok(slots.of(one) <= Math.ceil(count / 2));
              if (slots.of(one) < all) assert.ok(slots.of(one) >= free, `${one} could have one more`);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
