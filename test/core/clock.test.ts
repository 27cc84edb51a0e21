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
