/** The simulated pair of `npm run simulate`: not its figures, but what they show. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { between, errors, timeOf } from '../../bench/simulate/figures.ts';
import { type Run, simulate } from '../../bench/simulate/fleet.ts';
import { inTurn, PAIR, troubled } from '../../bench/simulate/hedging.ts';
import type { HedgeSettings } from '../../src/routing/tree.ts';

const MINUTE = 60_000;
const P95 = { quantile: 0.95 };

function run(hedge: HedgeSettings | null, models = PAIR): Promise<Run> {
  return simulate({ models, tree: inTurn(hedge), perSecond: 20, lasts: 15 * MINUTE });
}

describe('hedging, on a simulated pair', () => {
  it('cuts the tail, for a few more tries', async () => {
    const [alone, hedged] = await Promise.all([run(null), run({ after: P95, maxExtra: 0.1 })]);
    assert.ok(timeOf(alone.served, 0.999) > 30_000);
    assert.ok(timeOf(hedged.served, 0.999) < 4000);
    assert.ok(timeOf(hedged.served, 0.99) < 0.75 * timeOf(alone.served, 0.99));
    const share = hedged.hedges.started / hedged.served.length;
    assert.ok(share > 0.04 && share < 0.06, `${share} were hedged`);
    assert.ok(hedged.hedges.won > 0.4 * hedged.hedges.started);
    assert.equal(errors(hedged.served), 0);
  });

  it('stays under its share while everything is slow', async () => {
    for (const maxExtra of [0.02, 0.05]) {
      const { served, hedges } = await run({ after: P95, maxExtra }, troubled({ slower: 10 }));
      assert.ok(hedges.started <= maxExtra * served.length, `${hedges.started} of ${served.length}`);
      const bad = between(served, 10 * MINUTE, 12 * MINUTE);
      const extra = bad.filter(({ tries }) => tries > 1).length;
      assert.ok(extra < 0.15 * bad.length, `${extra} of ${bad.length} in the bad minutes`);
    }
  });

  it('that may ask twice for every request carries it through an outage that no breaker has seen', async () => {
    const { served } = await run({ after: P95, maxExtra: 1 }, troubled({ silent: 1 }));
    const bad = between(served, 10 * MINUTE, 12 * MINUTE);
    assert.ok(timeOf(bad, 0.99) < 10_000, String(timeOf(bad, 0.99)));
    assert.equal(errors(bad), 0);
  });

  it('goes the same way in every run', async () => {
    const once = await run({ after: P95, maxExtra: 0.05 });
    assert.deepEqual(await run({ after: P95, maxExtra: 0.05 }), once);
  });
});
