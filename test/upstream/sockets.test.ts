import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Dispatcher } from 'undici';
import { Cancellation } from '../../src/core/cancellation.ts';
import { type Socket, Sockets } from '../../src/upstream/sockets.ts';
import { ManualClock } from '../support/manual-clock.ts';

const LONG = 1_000_000;
/** Nothing is sent here. */
const unused = () => ({}) as Dispatcher;
const tick = () => new Promise(setImmediate);

/** Asks as a try does, and writes down who was served. */
class Door {
  readonly clock = new ManualClock();
  readonly sockets: Sockets;
  /** Names of tries, in the order in which they were given a socket. */
  readonly served: string[] = [];
  readonly refused: string[] = [];
  readonly held: Socket[] = [];
  readonly waiting: { name: string; tenant: string; cancellation: Cancellation; over: boolean }[] = [];

  constructor(limit: number) {
    this.sockets = new Sockets(limit, unused);
  }

  ask(tenant: string, name = tenant, ms = LONG): void {
    const share = this.sockets.take(tenant);
    if (share !== null) {
      this.#got(share, name);
      return;
    }
    const one = { name, tenant, cancellation: new Cancellation(), over: false };
    this.waiting.push(one);
    const { clock, waiting } = this;
    this.sockets.wait(tenant, { clock, cancellation: one.cancellation, ms }).then((later) => {
      assert.equal(one.over, false, 'told twice');
      one.over = true;
      waiting.splice(waiting.indexOf(one), 1);
      if (later === null) this.refused.push(name);
      else this.#got(later, name);
    });
  }

  async giveBack(index = 0): Promise<void> {
    const [share] = this.held.splice(index, 1);
    share?.giveBack();
    await tick();
  }

  #got(share: Socket, name: string): void {
    this.served.push(name);
    this.held.push(share);
  }
}

describe('the sockets of a pool', () => {
  it('are as many as there are, for one tenant by itself too', () => {
    for (const limit of [1, 9, 10, 256]) {
      const door = new Door(limit);
      for (let i = 0; i < limit; i++) door.ask('a');
      assert.deepEqual([door.sockets.inUse, door.sockets.waiting], [limit, 0]);
      assert.equal(door.sockets.take('a'), null);
    }
  });

  it('go to tenants in turn, and within one in the order in which its tries came', async () => {
    const door = new Door(1);
    for (const name of ['a0', 'a1', 'a2', 'a3', 'b1', 'b2', 'c1']) door.ask(name.charAt(0), name);
    while (door.held.length > 0) await door.giveBack();
    assert.deepEqual(door.served, ['a0', 'a1', 'b1', 'c1', 'a2', 'b2', 'a3']);
  });

  it('go to a tenant that has none before one that has had all of them', async () => {
    const door = new Door(10);
    for (let i = 0; i < 30; i++) door.ask('a', `a${i}`);
    door.ask('b');
    await door.giveBack();
    assert.equal(door.served.at(-1), 'b');
    await door.giveBack();
    assert.equal(door.sockets.inUse, 9, 'the last is kept for whoever has less than an equal share');
    door.ask('c');
    assert.deepEqual([door.served.at(-1), door.sockets.inUse], ['c', 10]);
    await door.giveBack(0);
    assert.equal(door.served.at(-1), 'c');
    await door.giveBack(0);
    assert.equal(door.served.at(-1), 'a10');
  });

  it('have none in reserve where there are fewer than ten', async () => {
    const door = new Door(9);
    door.ask('b');
    await door.giveBack();
    for (let i = 0; i < 9; i++) door.ask('a');
    assert.equal(door.sockets.inUse, 9);
  });

  it('are waited for as long as was said, and no longer by one that has gone', async () => {
    const door = new Door(1);
    door.ask('a');
    door.ask('a', 'gone');
    door.ask('b', 'late', 50);
    door.ask('b', 'patient', 100);
    door.waiting[0]?.cancellation.cancel('client_gone');
    await tick();
    assert.deepEqual(door.refused, ['gone']);
    await door.clock.advanceAsync(50);
    assert.deepEqual([door.refused, door.sockets.waiting], [['gone', 'late'], 1]);
    await door.giveBack();
    assert.deepEqual([door.served, door.clock.pending], [['a', 'patient'], 0]);
  });

  it('are opened when all that were are in use, and the one that was used last is used again first', () => {
    let opened = 0;
    const sockets = new Sockets(10, () => {
      opened++;
      return unused();
    });
    const [first, second, third] = ['a', 'b', 'a'].map((tenant) => sockets.take(tenant));
    assert.equal(new Set([first, second, third]).size, 3);
    first?.giveBack();
    third?.giveBack();
    assert.deepEqual([sockets.take('b'), sockets.take('c')], [third, first]);
    assert.equal(opened, 3);
    assert.notEqual(sockets.take('a'), second);
    assert.equal(opened, 4);
  });

  it('are not waited for by what is over already', async () => {
    const door = new Door(1);
    door.ask('a');
    const cancellation = new Cancellation();
    const { clock } = door;
    assert.equal(await door.sockets.wait('a', { clock, cancellation, ms: 0 }), null);
    cancellation.cancel('shutdown');
    assert.equal(await door.sockets.wait('a', { clock, cancellation, ms: LONG }), null);
    assert.deepEqual([door.sockets.waiting, clock.pending], [0, 0]);
  });

  it('hold, whatever happens in whatever order', async () => {
    const step = fc.record({
      what: fc.constantFrom('ask', 'ask', 'ask', 'give', 'give', 'cancel', 'time'),
      tenant: fc.constantFrom('a', 'b', 'c', 'd'),
      pick: fc.nat(1000),
      ms: fc.integer({ min: 1, max: 200 }),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 24 }),
        fc.array(step, { maxLength: 120 }),
        async (limit, steps) => {
          const door = new Door(limit);
          const { sockets, clock } = door;
          const common = limit - Math.floor(limit / 10);
          let asked = 0;
          let names = 0;
          for (const { what, tenant, pick, ms } of steps) {
            if (what === 'ask') {
              asked++;
              door.ask(tenant, `${tenant}${names++}`, ms);
            } else if (what === 'give' && door.held.length > 0)
              door.held.splice(pick % door.held.length, 1)[0]?.giveBack();
            else if (what === 'cancel')
              door.waiting[pick % Math.max(1, door.waiting.length)]?.cancellation.cancel('client_gone');
            else if (what === 'time') clock.advance(ms);
            await tick();
            assert.ok(sockets.inUse <= limit);
            assert.deepEqual([sockets.inUse, sockets.waiting], [door.held.length, door.waiting.length]);
            if (sockets.waiting > 0)
              assert.ok(sockets.inUse >= common, 'somebody waits though there is one for all');
            assert.equal(clock.pending, sockets.waiting);
          }
          // Nobody is forgotten: as sockets come back, all that still wait are served.
          while (door.held.length > 0) await door.giveBack();
          assert.deepEqual([sockets.inUse, sockets.waiting, clock.pending], [0, 0, 0]);
          assert.equal(door.served.length + door.refused.length, asked);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('are given to every tenant that waits before any has a second turn', async () => {
    const waiting = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 9 }), waiting, async (limit, tenants) => {
        const door = new Door(limit);
        for (let i = 0; i < limit; i++) door.ask('first');
        for (const [i, tenant] of tenants.entries()) door.ask(tenant, `${tenant}${i}`);
        const left: string[] = [...tenants];
        while (left.length > 0) {
          const round = new Set(left);
          const before = door.served.length;
          for (let i = 0; i < round.size; i++) await door.giveBack();
          const served = door.served.slice(before).map((name) => name.charAt(0));
          assert.deepEqual(new Set(served), round);
          for (const tenant of served) left.splice(left.indexOf(tenant), 1);
        }
      }),
      { numRuns: 100 },
    );
  });

  it('are remembered for no more tenants than there are sockets', async () => {
    const door = new Door(10);
    for (let i = 0; i < 500; i++) {
      door.ask(`tenant ${i}`);
      await door.giveBack();
    }
    // Of eleven that are known one may have no second of the last.
    for (let i = 0; i < 10; i++) door.ask('a');
    assert.equal(door.sockets.inUse, 9);
    assert.ok(door.sockets.remembered <= 11, `${door.sockets.remembered}`);
  });
});
