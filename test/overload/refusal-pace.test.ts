import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RefusalPace } from '../../src/overload/refusal-pace.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** Clients that ask, each on a connection of its own, and the names of those that have been refused. */
function refusing() {
  const clock = new ManualClock();
  const pace = new RefusalPace(clock);
  const connections = new Map<string, object>();
  const refused: string[] = [];
  return {
    clock,
    pace,
    refused,
    asks(client: string): void {
      const connection = connections.get(client) ?? {};
      connections.set(client, connection);
      if (pace.hasToWait(connection)) pace.wait(() => void refused.push(client));
      else refused.push(client);
    },
  };
}

/** Has so many clients refused once, and again as far as that is done at once: five hundred. */
function exhausted(clients = 600) {
  const all = refusing();
  for (const again of [false, true]) {
    for (let n = 0; n < clients; n++) all.asks(`client ${n}`);
    if (!again) assert.equal(all.refused.length, clients);
  }
  assert.equal(all.refused.length, clients + 500);
  all.refused.length = 0;
  return all;
}

describe('refusals', () => {
  it('are at once for all who have not been refused before, however many', () => {
    const { asks, refused, pace } = refusing();
    for (let n = 0; n < 50_000; n++) asks(`client ${n}`);
    assert.equal(refused.length, 50_000);
    assert.equal(pace.waiting, 0);
  });

  it('are at once for who comes back when it was told to, whatever others do', () => {
    const { asks, refused, clock } = refusing();
    asks('patient');
    clock.advance(1000);
    for (const again of [1, 2, 3])
      for (let n = 0; n < 1000; n++) asks(`client ${n} ${again > 1 ? '' : again}`);
    refused.length = 0;
    asks('patient');
    assert.deepEqual(refused, ['patient']);
  });

  it('are in turn for those who do not wait, five in a millisecond', () => {
    const { refused, pace, clock } = exhausted();
    assert.equal(pace.waiting, 100);
    clock.advance(10);
    assert.deepEqual(refused, []);
    pace.move();
    assert.deepEqual(
      refused,
      Array.from({ length: 50 }, (_, n) => `client ${500 + n}`),
    );
    clock.advance(10);
    pace.move();
    assert.equal(refused.length, 100);
    assert.equal(pace.waiting, 0);
  });

  it('are at once again after a while in which they were few', () => {
    const { asks, refused, pace, clock } = exhausted(500);
    asks('client 0');
    assert.equal(pace.waiting, 1);
    clock.advance(100);
    pace.move();
    assert.deepEqual(refused, ['client 0']);
    for (let n = 0; n < 400; n++) asks(`client ${n}`);
    assert.equal(refused.length, 401);
  });

  it('are at once when three thousand wait for theirs', () => {
    const { asks, refused, pace } = exhausted(3500);
    assert.equal(pace.waiting, 3000);
    asks('client 0');
    assert.deepEqual(refused, ['client 0']);
    assert.equal(pace.waiting, 3000);
  });

  it('are given to all that wait when there will be no more turns', () => {
    const { refused, pace } = exhausted();
    pace.flush();
    assert.equal(refused.length, 100);
    assert.equal(pace.waiting, 0);
  });
});
