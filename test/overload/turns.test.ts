/** What the gate does in one turn of the loop. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gate } from '../../src/overload/gate.ts';
import { ManualClock } from '../support/manual-clock.ts';

describe('a turn', () => {
  /** A loop that is late, whose turns come when the test says so; beginning a request takes 0.05 ms. */
  function late(worked: (now: number) => number) {
    const clock = new ManualClock();
    let turns: (() => void)[] = [];
    const begun: string[] = [];
    const loop = {
      clock,
      worked: () => worked(clock.now()),
      idle: () => 0,
      nextTurn: (fn: () => void) => void turns.push(fn),
      settled: (fn: () => void) => fn(),
    };
    const gate = new Gate<string>(
      loop,
      (tenant) => {
        clock.advance(0.05);
        begun.push(tenant);
      },
      () => false,
    );
    gate.measured(10);
    const turn = () => {
      const due = turns;
      turns = [];
      for (const fn of due) fn();
    };
    return { gate, begun, turn };
  }

  it('begins only when the clients that have connected have been let in, up to seven more', () => {
    const { gate, begun, turn } = late((now) => now);
    gate.enter('a', 'a', 1);
    for (let look = 1; look <= 3; look++) {
      gate.connected();
      turn();
      assert.deepEqual(begun, []);
    }
    turn();
    assert.deepEqual(begun, ['a']);
    gate.enter('a', 'a', 1);
    for (let look = 1; look <= 8; look++) {
      assert.equal(begun.length, 1);
      gate.connected();
      turn();
    }
    assert.equal(begun.length, 2);
  });

  it('begins with a tenant that comes newly, also where another was alone until then', () => {
    const { gate, begun, turn } = late((now) => now);
    for (let n = 0; n < 100; n++) gate.enter('a', 'a', 1);
    turn();
    const before = begun.length;
    assert.ok(before > 0);
    gate.enter('b', 'b', 1);
    turn();
    assert.equal(begun[before], 'b', begun.join(' '));
  });

  it('is for all tenants, even where the work of a thread is not counted', () => {
    const { gate, begun, turn } = late(() => 0);
    for (const tenant of ['a', 'b']) for (let n = 0; n < 100; n++) gate.enter(tenant, tenant, 1);
    while (begun.length < 100) turn();
    const ofA = begun.filter((tenant) => tenant === 'a').length;
    assert.ok(ofA > 30 && ofA < 70, begun.join(' '));
  });
});
