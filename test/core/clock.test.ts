import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Cancellation, sleep } from '../../src/core/cancellation.ts';
import { systemClock } from '../../src/core/clock.ts';

it('a wait by the system clock is never shorter than was asked for', async () => {
  const waits = Array.from({ length: 400 }, async (_, i) => {
    // Spread over the fractions of a millisecond at which they begin.
    await new Promise((resolve) => setTimeout(resolve, i / 10));
    const ms = 1 + (i % 50) * 1.037;
    const from = systemClock.now();
    await sleep(systemClock, ms, new Cancellation());
    return systemClock.now() - from - ms;
  });
  const early = (await Promise.all(waits)).filter((late) => late < 0);
  assert.deepEqual(early, []);
});

it('nor is one that is far off at first', async () => {
  const ms = 2100.5;
  const from = systemClock.now();
  const passed = Array.from({ length: 3 }, () => sleep(systemClock, ms, new Cancellation()));
  const called: boolean[] = [];
  const cancellation = new Cancellation();
  const broken = Array.from({ length: 3 }, () => sleep(systemClock, ms, cancellation));
  cancellation.cancel('client_gone');
  for (const end of await Promise.all(broken)) called.push(end);
  assert.ok(systemClock.now() - from < ms);
  for (const end of await Promise.all(passed)) called.push(end);
  assert.ok(systemClock.now() - from >= ms);
  assert.deepEqual(called, [false, false, false, true, true, true]);
});

it('one that is over before it was seen to come near, for the process stood still, ends without a warning', async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error) => void warnings.push(warning);
  process.on('warning', warned);
  const passed = sleep(systemClock, 2001, new Cancellation());
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2100);
  assert.equal(await passed, true);
  process.off('warning', warned);
  assert.deepEqual(warnings, []);
});

it('a wait that is called off may be called off again, and keeps no process alive', () => {
  const alive = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length;
  const before = alive();
  for (const ms of [10, 60_000, Infinity]) {
    const others = [1, 2].map(() => systemClock.schedule(ms, () => assert.fail('it was called off')));
    const timer = systemClock.schedule(ms, () => assert.fail('it was called off'));
    assert.ok(alive() > before);
    for (const one of [...others, timer, timer]) one.cancel();
    assert.equal(alive(), before);
  }
});
