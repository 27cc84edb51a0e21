import assert from 'node:assert/strict';
import { it } from 'node:test';
import { LoopDelay } from '../../src/overload/loop-delay.ts';
import { SimulatedLoop } from './simulated-loop.ts';

function measuring() {
  const loop = new SimulatedLoop();
  const seen: number[] = [];
  const delay = new LoopDelay(loop.clock, (ms) => void seen.push(ms));
  delay.start();
  return { loop, seen, delay };
}

it('a loop that has nothing to do is never late', () => {
  const { loop, seen } = measuring();
  loop.run(1105);
  assert.deepEqual(seen, new Array(100).fill(0));
});

it('a loop that is held up is late by nearly as much, once', () => {
  const { loop, seen } = measuring();
  loop.at(loop.clock.now() + 100, () => loop.work(80));
  loop.run(500);
  const late = seen.filter((ms) => ms > 0);
  assert.equal(late.length, 1);
  assert.ok((late[0] as number) > 60 && (late[0] as number) <= 80, `${late[0]} ms`);
});

it('a loop whose every turn takes long is late all the time', () => {
  const { loop, seen } = measuring();
  const turn = () => {
    loop.work(50);
    loop.at(loop.clock.now(), turn);
  };
  turn();
  loop.run(2000);
  assert.ok(seen.length >= 38);
  for (const ms of seen.slice(1)) assert.ok(ms >= 30 && ms <= 50, `${ms} ms`);
});

it('it is measured no more once it has been stopped, also by whoever is told', () => {
  const { loop, seen, delay } = measuring();
  loop.run(60);
  assert.equal(seen.length, 5);
  delay.stop();
  loop.run(1000);
  assert.equal(seen.length, 5);

  let told = 0;
  const stopping: LoopDelay = new LoopDelay(loop.clock, () => {
    told++;
    stopping.stop();
  });
  stopping.start();
  loop.run(1000);
  assert.equal(told, 1);
});
