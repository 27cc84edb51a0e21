import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { BodyRoom } from '../../src/overload/body-room.ts';

const MB = 1024 * 1024;

describe('room for bodies', () => {
  it('is bounded, and free again when it is given back', () => {
    const room = new BodyRoom(10 * MB);
    assert.equal(room.take('a', 3 * MB), true);
    assert.equal(room.take('a', 3 * MB), false);
    assert.equal(room.held, 3 * MB);
    room.give('a', 3 * MB);
    assert.equal(room.held, 0);
    assert.equal(room.take('a', 5 * MB), true);
  });

  it('leaves something for the next: alone a tenant may hold half of it, two may hold a third each', () => {
    const room = new BodyRoom(12 * MB);
    const takeAll = (tenant: string) => {
      let taken = 0;
      while (room.take(tenant, MB)) taken++;
      return taken;
    };
    assert.equal(takeAll('a'), 6);
    assert.equal(takeAll('b'), 3);
    assert.equal(takeAll('c'), 1);
    for (let n = 0; n < 6; n++) room.give('a', MB);
    room.give('b', MB);
    room.give('b', MB);
    room.give('b', MB);
    room.give('c', MB);
    assert.equal(room.held, 0);
    assert.deepEqual(
      [takeAll('a'), takeAll('b')].map((n) => n > 0),
      [true, true],
    );
  });

  it('is there for short bodies of the same tenant when long ones have had their part', () => {
    const room = new BodyRoom(4 * MB);
    assert.equal(room.take('a', 2 * MB), true);
    assert.equal(room.take('a', MB), false);
    assert.equal(room.take('a', 1000), true);
    assert.equal(room.take('b', MB), false);
    assert.equal(room.take('b', MB / 2), true);
  });

  it('has something left for the next of short bodies too: alone a tenant may hold nine tenths of it, two 9/19 each', () => {
    const room = new BodyRoom(19_000 * 60);
    const takeAll = (tenant: string) => {
      let taken = 0;
      while (room.take(tenant, 60)) taken++;
      return taken;
    };
    assert.equal(takeAll('a'), 17_100);
    assert.equal(takeAll('b'), 1710);
    assert.ok(takeAll('c') > 100);
    assert.equal(room.take('d', 60), true);
    for (let n = 0; n < 17_100; n++) room.give('a', 60);
    for (let n = 0; n < 17_100; n++) if (!room.take('a', 60)) break;
    takeAll('b');
    for (let n = 0; n < 1000; n++) {
      room.give('a', 60);
      takeAll('b');
    }
    assert.ok(room.held < 19_000 * 60);
    assert.equal(room.take('e', 60), true);
  });

  it('is taken for what there is of a body, if there is room for all that is expected', () => {
    const room = new BodyRoom(10 * MB);
    assert.equal(room.take('a', 4096, 3 * MB), true);
    assert.equal(room.held, 4096);
    assert.equal(room.take('a', 4096, 6 * MB), false);
    for (let n = 0; n < 1000; n++) assert.equal(room.take('b', 1, 65_000), true);
    assert.equal(room.held, 5096);
    assert.equal(room.take('c', 0, 6 * MB), false);
    assert.equal(room.take('c', 0), true);
    assert.equal(room.tenants, 2);
    room.give('a', 4096);
    for (let n = 0; n < 1000; n++) room.give('b', 1);
    assert.deepEqual([room.held, room.tenants], [0, 0]);
  });

  it('is there for one body of any length, where there is no other', () => {
    const room = new BodyRoom(MB);
    assert.equal(room.take('a', 30 * MB), true);
    assert.equal(room.take('b', 1), false);
    room.give('a', 30 * MB);
    assert.equal(room.take('b', 1), true);
  });

  it('never holds more than there is, but for one body, whatever comes and goes', () => {
    let seed = 3;
    const random = () => {
      seed = (seed * 1103515245 + 12345) % 2 ** 31;
      return seed / 2 ** 31;
    };
    const room = new BodyRoom(8 * MB);
    const held: { tenant: string; bytes: number }[] = [];
    for (let step = 0; step < 20_000; step++) {
      if (random() < 0.6) {
        const tenant = `t${Math.floor(random() * 5)}`;
        const bytes = Math.floor(random() ** 4 * 4 * MB);
        if (room.take(tenant, bytes)) held.push({ tenant, bytes });
      } else if (held.length > 0) {
        const [one] = held.splice(Math.floor(random() * held.length), 1);
        if (one !== undefined) room.give(one.tenant, one.bytes);
      }
      assert.equal(
        room.held,
        held.reduce((sum, { bytes }) => sum + bytes, 0),
      );
      assert.ok(room.held <= 8 * MB);
    }
    for (const { tenant, bytes } of held) room.give(tenant, bytes);
    assert.equal(room.held, 0);
    assert.equal(room.take('t0', 4 * MB), true, 'something of what was held is still counted');
  });

  it('refuses to be none', () => {
    for (const bytes of [0, -1, Number.NaN]) assert.throws(() => new BodyRoom(bytes), RangeError);
  });
});
