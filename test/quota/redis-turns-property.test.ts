import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import fc from 'fast-check';
import type { Limit } from '../../src/quota/limits.ts';
import type { Verdict } from '../../src/quota/store.ts';
import { startRedis } from '../support/redis.ts';
import { openRig } from './redis-rig.ts';
import { Desk, limit, newId } from './suite/kit.ts';

const redis = await startRedis({ after });

/** Low, so that turns come up against them; of one there are two, before and after a change. */
const LIMITS: readonly Limit[] = [
  limit('requests/second', 3),
  limit('requests/day', 12),
  limit('tokens/second', 60),
  limit('tokens/minute', 100),
  limit('tokens/minute', 70),
  limit('usd/month', Number.MAX_SAFE_INTEGER),
  limit('concurrent', 3),
];

/** Which limits, and how much of each in hundredths. Two that share a counter are never asked for at once. */
const demands = fc
  .uniqueArray(fc.record({ limit: fc.nat(LIMITS.length - 1), share: fc.oneof(fc.nat(60), fc.nat(110)) }), {
    selector: ({ limit: index }) => LIMITS[index]?.id,
    minLength: 1,
    maxLength: 4,
  })
  .map((parts) =>
    parts.map(({ limit: index, share }) => {
      const of = LIMITS[index] as Limit;
      const isCount = of.of === 'requests' || of.of === 'concurrent';
      return [of, isCount ? 1 : Math.floor((of.max / 100) * share)] as const;
    }),
  );

const turns = fc.array(
  fc.record({
    /** `again`: under the id of one that was asked for before, if there is one. */
    asked: fc.array(fc.record({ demands, again: fc.option(fc.nat(20), { freq: 8 }) }), {
      minLength: 1,
      maxLength: 12,
    }),
    /** Which of those that are under way end then. */
    ends: fc.array(fc.nat(30), { maxLength: 6 }),
    /** Also into the past: a clock may be set back. */
    wait: fc.oneof(fc.constant(0), fc.integer({ min: -2_000, max: 2_000 }), fc.nat(100_000)),
  }),
  { minLength: 1, maxLength: 8 },
);

it('Any admissions of one turn have the verdicts that they have one after the other, and leave the same behind', async (t) => {
  const rig = await openRig(t, [redis], redis.url);
  const seen = { admitted: 0, refused: 0 };
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(turns, async (schedule) => {
      runs += 1;
      const [together, apart] = ['a', 'b'].map((name) => new Desk(rig, rig.store, `${name}${runs}`)) as [
        Desk,
        Desk,
      ];
      await rig.setTime(Date.UTC(2026, 10, 22, 23, 59));
      const used: { id: string; demands: readonly (readonly [Limit, number])[] }[] = [];
      const held = new Map<string, [Verdict, Verdict]>();
      for (const { asked, ends, wait } of schedule) {
        const turn = asked.map(({ demands: of, again }) => {
          const known = again === null ? undefined : used[again];
          const one = known ?? { id: newId(), demands: of };
          if (known === undefined) used.push(one);
          return one;
        });
        const verdicts = await Promise.all(turn.map((one) => together.ask(one.demands, one.id)));
        for (const [i, one] of turn.entries()) {
          const alone = await apart.ask(one.demands, one.id);
          const verdict = verdicts[i] as Verdict;
          assert.deepEqual(withoutTenant(verdict), withoutTenant(alone));
          held.set(one.id, [verdict, alone]);
        }
        for (const { kind } of verdicts) seen[kind] += 1;
        for (const end of ends) {
          const [id, pair] = [...held][end % held.size] ?? [];
          if (id === undefined || pair === undefined) continue;
          held.delete(id);
          for (const [i, desk] of [together, apart].entries()) {
            const verdict = pair[i];
            if (verdict?.kind !== 'admitted') continue;
            await desk.settle(
              verdict.ticket,
              verdict.ticket.demands.map(({ amount }) => Math.floor(amount / 2)),
            );
          }
        }
        assert.deepEqual(await storedOf(rig.prefix, together), await storedOf(rig.prefix, apart));
        await rig.setTime(rig.now() + wait);
      }
    }),
    { numRuns: 300 },
  );
  for (const [kind, times] of Object.entries(seen)) assert.ok(times > 500, `${kind}: ${times}`);
});

function withoutTenant(verdict: Verdict): unknown {
  return verdict.kind === 'refused' ? verdict : { ...verdict, ticket: { ...verdict.ticket, tenant: '' } };
}

/** A tenant's counters, and what is held of them, byte by byte. */
async function storedOf(prefix: string, { tenant }: Desk): Promise<unknown[]> {
  const stored: unknown[] = [];
  for (const key of (await redis.call('KEYS', `${prefix}:{${tenant}}:*`)) as string[]) {
    if (!/:q$|:r:/.test(key)) continue;
    const hash = await redis.client.hgetallBuffer(key);
    const fields = Object.entries(hash).filter(([field]) => field !== '#seq');
    stored.push([
      key.replace(tenant, ''),
      Object.fromEntries(fields.map(([name, value]) => [name, value.toString('hex')])),
    ]);
  }
  return stored.sort((one, other) => (String(one) < String(other) ? -1 : 1));
}
