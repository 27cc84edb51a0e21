/** The simulated fleet of `npm run simulate`, in small: not its figures, but what they show. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FLEET, LIMITED, SIZED } from '../../bench/simulate/balancing.ts';
import { between, errors, shareOf, timeOf } from '../../bench/simulate/figures.ts';
import { balanced, type Load, type Run, simulate } from '../../bench/simulate/fleet.ts';
import type { ProviderModel } from '../../bench/simulate/provider.ts';
import { CHANGES, leastToMove, moved, owners, sameAsBefore } from '../../bench/simulate/sticking.ts';

const MINUTE = 60_000;

function run(load: Omit<Load, 'perSecond' | 'lasts'> & Partial<Load>): Promise<Run> {
  return simulate({ perSecond: 20, lasts: MINUTE, ...load });
}

/** The quickest of the fleet is like this from the first minute to the second. */
function troubled(weather: ReturnType<NonNullable<ProviderModel['weather']>>): ProviderModel[] {
  return FLEET.map((model, index) =>
    index > 0 ? model : { ...model, weather: (at) => (at >= MINUTE && at < 2 * MINUTE ? weather : {}) },
  );
}

describe('a simulated fleet', () => {
  it('goes the same way in every run', async () => {
    const once = await run({ models: FLEET, tree: balanced('latency') });
    assert.deepEqual(await run({ models: FLEET, tree: balanced('latency') }), once);
    assert.ok(once.served.length > 1000);
    const other = await run({ models: FLEET, tree: balanced('latency'), seed: 99 });
    assert.notDeepEqual(other.served, once.served);
  });

  it('answers every request once', async () => {
    for (const by of ['weight', 'latency', 'least_busy', 'cost', 'headroom'] as const) {
      const { served, asked } = await run({ models: FLEET, tree: balanced(by) });
      assert.equal(errors(served), 0, by);
      assert.equal(
        Object.values(asked).reduce((sum, count) => sum + count),
        served.length,
        by,
      );
    }
  });
});

describe('by latency', () => {
  it('sends nearly all to the faster of two, and to the slow one now and then to see', async () => {
    const { served } = await run({
      models: [FLEET[0], FLEET[3]].filter((m) => m !== undefined),
      tree: balanced('latency'),
      lasts: 5 * MINUTE,
    });
    assert.ok(shareOf(served, 'a/quick') > 0.98);
    assert.ok(between(served, MINUTE, 5 * MINUTE).some(({ first }) => first === 'd/slow'));
  });

  it('sends most to the fastest of several and next to nothing to the slowest: clients wait less', async () => {
    const { served } = await run({ models: FLEET, tree: balanced('latency') });
    const { served: byWeight } = await run({ models: FLEET, tree: balanced('weight') });
    assert.ok(shareOf(served, 'a/quick') > 0.45);
    assert.ok(shareOf(served, 'd/slow') < 0.02);
    assert.ok(timeOf(served, 0.99) < timeOf(byWeight, 0.99) / 2);
  });

  it('leaves a target that falls silent before it has been silent for two seconds', async () => {
    const load = { models: troubled({ silent: 1 }), lasts: 4 * MINUTE };
    const { served } = await run({ ...load, tree: balanced('latency') });
    const meanwhile = between(served, MINUTE, 2 * MINUTE).filter(({ first }) => first === 'a/quick');
    assert.ok(meanwhile.length <= 30, `${meanwhile.length} requests`);
    const late = meanwhile.filter(({ at }) => at > MINUTE + 2000);
    assert.ok(late.length <= 3, `${late.length} requests after two seconds`);
    // And is back with it within a minute of its recovery.
    assert.ok(shareOf(between(served, 3 * MINUTE, 4 * MINUTE), 'a/quick') > 0.4);
  });

  it('leaves a target that fails often, though it answers quickly, and returns', async () => {
    const load = { models: troubled({ failing: 0.3 }), lasts: 4 * MINUTE };
    const { served } = await run({ ...load, tree: balanced('latency') });
    assert.ok(shareOf(between(served, MINUTE + 5000, 2 * MINUTE), 'a/quick') < 0.1);
    assert.ok(shareOf(between(served, 3 * MINUTE, 4 * MINUTE), 'a/quick') > 0.4);
    assert.equal(errors(served), 0);
  });

  it('does not pour what comes on one of which nothing is known and which turns out silent', async () => {
    const silent: ProviderModel = {
      id: 'e/new',
      median: 1,
      spread: 0,
      talks: 1,
      weather: () => ({ silent: 1 }),
    };
    const quick = FLEET[0] as ProviderModel;
    const { served } = await run({
      models: [quick, silent],
      tree: balanced('latency'),
      lasts: 25_000,
      perSecond: 40,
    });
    const lost = served.filter(({ first }) => first === 'e/new').length;
    assert.ok(lost >= 1 && lost < 0.08 * served.length, `${lost} of ${served.length}`);
  });
});

describe('by least_busy', () => {
  it('keeps servers of different sizes from queues better than chance does', async () => {
    const load = { models: SIZED, perSecond: 13, lasts: 5 * MINUTE };
    const { served } = await run({ ...load, tree: balanced('least_busy', [4, 2, 1]) });
    const { served: byWeight } = await run({ ...load, tree: balanced('weight', [4, 2, 1]) });
    assert.ok(timeOf(served, 0.99) < timeOf(byWeight, 0.99));
    assert.ok(timeOf(served, 0.99) < 1000);
  });
});

describe('by cost', () => {
  it('takes the cheapest as long as it can serve, then the next', async () => {
    const models = FLEET.map((model) =>
      model.id === 'd/slow'
        ? { ...model, weather: (at: number) => (at > MINUTE ? { failing: 1 } : {}) }
        : model,
    );
    const { served } = await run({ models, tree: balanced('cost'), lasts: 2 * MINUTE });
    assert.equal(shareOf(between(served, 0, MINUTE), 'd/slow'), 1);
    const later = between(served, MINUTE + 10_000, 2 * MINUTE);
    assert.ok(later.filter(({ by }) => by === 'c/usual').length / later.length > 0.99);
  });
});

describe('by headroom', () => {
  const load = { models: LIMITED, perSecond: 15, lasts: 6 * MINUTE };

  it('follows the providers’ limits without being told them, with any number of gateways', async () => {
    for (const gateways of [1, 16]) {
      const { served, refused } = await run({ ...load, tree: balanced('headroom'), gateways });
      const settled = between(served, 2 * MINUTE, 6 * MINUTE);
      assert.ok(Math.abs(shareOf(settled, 'a/large') - 0.56) < 0.06, `${shareOf(settled, 'a/large')}`);
      assert.ok(Math.abs(shareOf(settled, 'c/small') - 0.11) < 0.04, `${shareOf(settled, 'c/small')}`);
      const refusals = Object.values(refused).reduce((sum, count) => sum + count);
      assert.ok(refusals < 0.005 * served.length, `${refusals} refusals with ${gateways} gateways`);
    }
  });

  it('does not swing: gateways that know the same do not all go to the same place', async () => {
    const { served } = await run({ ...load, tree: balanced('headroom'), gateways: 16 });
    for (let from = 2 * MINUTE; from < 6 * MINUTE; from += 10_000) {
      const share = shareOf(between(served, from, from + 10_000), 'a/large');
      // About 150 requests: a tenth more or less is chance.
      assert.ok(share > 0.4 && share < 0.72, `${share} from ${from} on`);
    }
  });
});

describe('sticky conversations', () => {
  const keys = Array.from({ length: 20_000 }, (_, i) => `acme conversation-${i}`);

  for (const { what, before, after } of CHANGES) {
    it(`move as little as possible when ${what}`, () => {
      const share = moved(owners(before, keys), owners(after, keys));
      assert.ok(Math.abs(share - leastToMove(before, after)) < 0.01, `${share}`);
    });
  }

  it('are answered by the same target in all gateways, but for those whose target fails, and these return', async () => {
    const models = troubled({ failing: 1 });
    const asked: string[] = [];
    const { served } = await run({
      models,
      tree: balanced('weight'),
      lasts: 4 * MINUTE,
      gateways: 3,
      sticky: (chance) => {
        asked.push(`acme ${Math.floor(chance() * 200)}`);
        return asked.at(-1) ?? null;
      },
    });
    const keyed = served.map((one, index) => ({ ...one, key: asked[index] ?? '' }));
    assert.equal(sameAsBefore(keyed, 0, MINUTE), 1);
    assert.ok(sameAsBefore(keyed, MINUTE, 2 * MINUTE) > 0.9);
    const home = new Map(keyed.filter(({ at }) => at < MINUTE).map(({ key, by }) => [key, by]));
    for (const { key, by, at } of keyed) {
      const wanted = home.get(key);
      if (wanted === undefined) continue;
      // Nobody else's conversation moves; those of the troubled one are back when its breakers have closed.
      if (wanted !== 'a/quick' || at > 3.5 * MINUTE) assert.equal(by, wanted);
    }
  });
});
