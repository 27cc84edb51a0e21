/** How many requests a turn of a loop that is late begins. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gate } from '../../src/overload/gate.ts';
import { SimulatedLoop } from './simulated-loop.ts';

/** How many of 60 that wait are begun in each turn, if each takes so long. Milliseconds. */
function begunInTurns(beginning: number): number[] {
  const loop = new SimulatedLoop();
  const turns: number[] = [];
  const gate = new Gate<number>(
    loop,
    () => {
      turns.push(loop.turns);
      loop.work(beginning);
    },
    () => false,
  );
  gate.measured(10);
  for (let i = 0; i < 60; i++) assert.equal(gate.enter('a', i, 1), true);
  loop.run(1000);
  assert.equal(turns.length, 60);
  return [...new Set(turns)].map((turn) => turns.filter((one) => one === turn).length);
}

describe('of requests that wait, a turn begins', () => {
  it('sixteen together, where that takes no more than a millisecond', () => {
    assert.deepEqual(begunInTurns(0.05), [16, 16, 16, 12]);
  });

  it('more, where more begin within a quarter of one', () => {
    assert.deepEqual(begunInTurns(0.012), [21, 21, 18]);
  });

  it('as many as begin within one, where they take longer', () => {
    assert.deepEqual(begunInTurns(0.3).slice(0, 3), [4, 4, 4]);
    assert.deepEqual(begunInTurns(5).slice(0, 3), [1, 1, 1]);
  });
});
