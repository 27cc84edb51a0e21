import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../../src/core/clock.ts';
import { openState } from '../../src/state/connect.ts';
import { CLAIM, CLOSED, NEWS, OPENED, RELEASED } from '../../src/upstream/board-scripts.ts';
import { startRedis } from '../support/redis.ts';
import { MemoryRedis } from './memory-redis.ts';

const redis = await startRedis({ after });
const client = openState(
  { redis: { kind: 'single', url: redis.url }, keyPrefix: 'p', commandTimeout: 5000, onOutage: 'deny' },
  { clock: systemClock, chance: Math.random, gateway: 'test' },
);
await client.started;
after(() => client.close());

/** Far apart, so that the moments that pass meanwhile decide nothing. Milliseconds. */
const HOUR = 3_600_000;

interface Step {
  what: 'opened' | 'counted' | 'closed' | 'claim' | 'released' | 'news';
  gateway: 'one' | 'two' | 'three';
  id: 'a/up#1' | 'b/{up}#2';
  hours: number;
  openings: number;
  count: number;
  most: number;
  /** Of a claim; below nothing, it is over at once. */
  lease: number;
  /** Which of the words that were heard it goes by, the newest first. */
  after: number;
}

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom('opened', 'counted', 'closed', 'claim', 'claim', 'released', 'news'),
  gateway: fc.constantFrom('one', 'two', 'three'),
  id: fc.constantFrom('a/up#1', 'b/{up}#2'),
  hours: fc.constantFrom(-1, 1, 2),
  openings: fc.integer({ min: 1, max: 4 }),
  count: fc.integer({ min: 1, max: 2 }),
  most: fc.integer({ min: 1, max: 3 }),
  lease: fc.constantFrom(HOUR, -1),
  after: fc.constantFrom(0, 0, 0, 1, 2),
});

/** What both answer, but for what the clock and the two ways to count words make different. */
function comparable(answer: unknown, seqs: string[]): unknown {
  if (!Array.isArray(answer)) return null;
  return answer.map((part, at, all) => {
    const place = (at - (all.length % 5)) % 5;
    if (at < all.length % 5) return part;
    if (place === 1) {
      if (!seqs.includes(String(part))) seqs.push(String(part));
      return seqs.indexOf(String(part));
    }
    return place === 3 ? Math.round(Number(part) / HOUR) : part;
  });
}

it('the board in memory answers as the one in Redis does, whatever it is told', async () => {
  let run = 0;
  let granted = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const base = `p:{!}:${run++}`;
      const keys = [base, `${base}:words`, `${base}:gone`];
      const memory = new MemoryRedis(() => Date.now());
      const seqs: { real: string[]; memory: string[] } = { real: [], memory: [] };
      for (const { what, gateway, id, hours, openings, count, most, lease, after: back } of steps) {
        const till = Math.floor(Date.now() + hours * HOUR);
        const word = (of: string[]) => of.at(-1 - back) ?? '0';
        const argsFor = (of: string[]): [typeof OPENED, (string | number)[]] => {
          switch (what) {
            case 'opened':
              return [OPENED, [id, gateway, till, openings, word(of)]];
            case 'counted':
              return [OPENED, [id, gateway, till, openings, '']];
            case 'closed':
              return [CLOSED, [id, gateway, word(of)]];
            case 'claim':
              return [CLAIM, [id, gateway, count, most, lease, openings, word(of)]];
            case 'released':
              return [RELEASED, [id, gateway, count - 1]];
            case 'news':
              return [NEWS, [gateway, word(of), HOUR, id]];
          }
        };
        const [script, args] = argsFor(seqs.real);
        const real = await client.run(script, keys, args);
        const expected = memory.run(...argsFor(seqs.memory));
        assert.deepEqual(comparable(real, seqs.real), comparable(expected, seqs.memory), what);
        if (what === 'claim' && Array.isArray(real) && real[0] === 1) granted += 1;
      }
    }),
    { numRuns: 200 },
  );
  assert.ok(granted > 200, `hardly tested: ${granted} claims were granted`);
});
