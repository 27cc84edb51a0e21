import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type Connection, RestingConnections } from '../../src/overload/resting-connections.ts';
import { StubbornLoop } from './stubborn-loop.ts';

/** Connections by name, and those that are not read. */
function clients() {
  const loop = new StubbornLoop();
  const resting = new RestingConnections(loop);
  const made = new Map<string, Connection>();
  const paused = new Set<string>();
  const gone = new Set<string>();
  const of = (client: string): Connection => {
    const connection = made.get(client) ?? {
      get destroyed() {
        return gone.has(client);
      },
      pause: () => paused.add(client),
      resume: () => paused.delete(client),
    };
    made.set(client, connection);
    return connection;
  };
  return {
    resting,
    paused,
    gone,
    asks: (client: string, tenant: string) => resting.asked(of(client), tenant),
    /** Its request is refused, and the answer has gone. */
    refused(client: string, tenant: string | null = 'a', cost = 1): void {
      if (resting.needsRest(of(client), tenant, cost)) resting.rest(of(client), cost);
    },
    /** So many milliseconds pass, as the timer that measures the delay sees them. */
    pass(ms: number): void {
      for (let passed = 0; passed < ms; passed += 10) {
        loop.hold(10);
        resting.move();
      }
    },
  };
}

/** After the five hundred refusals that nobody rests for. */
function flooded() {
  const all = clients();
  for (let n = 0; n < 500; n++) all.refused('first');
  assert.equal(all.paused.size, 0);
  return all;
}

describe('a connection on which a request was refused', () => {
  it('is read on where refusals are few', () => {
    const { refused, paused, pass } = flooded();
    pass(1000);
    for (let n = 0; n < 500; n++) refused(`client ${n}`);
    assert.equal(paused.size, 0);
    pass(400);
    for (let n = 0; n < 200; n++) refused(`client ${n}`);
    assert.equal(paused.size, 0);
    refused('next');
    assert.deepEqual([...paused], ['next']);
  });

  it('is not read where they are many', () => {
    const { refused, paused } = flooded();
    refused('next');
    assert.deepEqual([...paused], ['next']);
  });

  it('is read again after a second at the latest, where few rest', () => {
    const { refused, paused, pass, resting } = flooded();
    refused('next');
    pass(1000);
    assert.equal(paused.size, 0);
    assert.equal(resting.count, 0);
  });

  it('is read again in its turn: not all are at once', () => {
    const { refused, paused, pass } = flooded();
    for (let n = 0; n < 500; n++) refused(`client ${n}`);
    assert.equal(paused.size, 500);
    for (const left of [400, 300, 200, 100]) {
      pass(200);
      assert.ok(Math.abs(paused.size - left) <= 25, `${paused.size} for ${left}`);
    }
    assert.ok(!paused.has('client 0') && paused.has('client 499'));
    pass(200);
    assert.equal(paused.size, 0);
  });

  it('is not read where they are few and cost much', () => {
    const { refused, paused } = clients();
    for (let n = 0; n < 50; n++) refused(`client ${n}`, 'a', 10);
    assert.equal(paused.size, 0);
    refused('next', 'a', 10);
    assert.deepEqual([...paused], ['next']);
  });

  it('is read again later where those that rest would cost much', () => {
    const { refused, paused, pass } = flooded();
    for (let n = 0; n < 250; n++) refused(`client ${n}`, 'a', 3);
    // One in two milliseconds; of connections, with each look at them, one more than that would be at most.
    for (const left of [200, 150, 100, 50]) {
      pass(300);
      assert.ok(Math.abs(paused.size - left) <= 40, `${paused.size} for ${left}`);
    }
    pass(300);
    assert.equal(paused.size, 0);
    for (let n = 0; n < 300; n++) refused('next', 'a', 3);
    assert.equal(paused.size, 1);
    pass(1000);
    assert.equal(paused.size, 0);
  });

  it('is read again after two seconds at most, however many rest and whatever they cost', () => {
    const { refused, paused, pass } = flooded();
    for (let n = 0; n < 5000; n++) refused(`client ${n}`, 'a', 50);
    pass(1900);
    assert.ok(paused.has('client 4999'));
    pass(100);
    assert.equal(paused.size, 0);
  });

  it('does not rest when it is gone', () => {
    const { refused, gone, paused, resting } = flooded();
    gone.add('next');
    refused('next');
    assert.equal(paused.size, 0);
    assert.equal(resting.count, 0);
  });

  it('is read on for good once two tenants have asked on it, as on those of a proxy', () => {
    const { refused, asks, paused, pass } = flooded();
    refused('proxy', 'a');
    refused('other', 'a');
    assert.equal(paused.size, 2);
    asks('proxy', 'b');
    for (const tenant of ['a', 'b', null]) {
      pass(1000);
      assert.equal(paused.size, 0);
      for (let n = 0; n < 600; n++) refused(`client ${n}`);
      refused('proxy', tenant);
      assert.ok(paused.has('client 599'));
      assert.ok(!paused.has('proxy'), String(tenant));
    }
  });

  it('is read on for good also where it alone had rested when the second tenant asked', () => {
    const { refused, asks, paused, pass } = flooded();
    refused('proxy', 'a');
    assert.ok(paused.has('proxy'));
    pass(1000);
    asks('proxy', 'b');
    for (let n = 0; n < 600; n++) refused(`client ${n}`);
    refused('proxy', 'a');
    assert.ok(paused.has('client 599'));
    assert.ok(!paused.has('proxy'));
  });

  it('rests too where two tenants are not told apart, since places had run out before it was known who asks', () => {
    const { refused, paused, pass } = flooded();
    refused('next', null);
    pass(1000);
    for (const tenant of ['a', null, 'a']) {
      for (let n = 0; n < 600; n++) refused(`client ${n}`);
      refused('next', tenant);
      assert.ok(paused.has('next'));
      pass(1000);
    }
  });

  it('is read again with all others when that is asked for', () => {
    const { refused, paused, resting } = flooded();
    assert.equal(resting.wake(), false);
    refused('next');
    refused('last');
    assert.equal(resting.unread, 1000);
    assert.equal(resting.wake(), true);
    assert.equal(paused.size, 0);
    assert.equal(resting.unread, 0);
  });
});
