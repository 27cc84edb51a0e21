import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { bucket, fixedWindow, refusingAt, type Scene, simulate } from './pacer-simulation.ts';

const USUAL = { roundTrip: 500, warmUp: 60, counted: 300, seed: 1, paced: true };

/** A minute of more than it bears, after one of nothing. */
const AFTER_QUIET = { quiet: 60, warmUp: 0, counted: 60 };
const SAYS_QUIET = ', for a minute, after a quiet one';

const DOCUMENT = new URL('../../docs/upstream-limits.md', import.meta.url);
const ROWS = readFileSync(DOCUMENT, 'utf8').match(/^\| \d+ a second, .*\|$/gm) ?? [];

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

it('the documentation has figures of it', () => assert.equal(ROWS.length, 5));

/** The share of the limit that was answered. */
async function used(limit: number, scene: Partial<Scene> & Pick<Scene, 'upstream' | 'offered'>) {
  const { answered, refused, leaked } = await simulate({ ...USUAL, ...scene });
  assert.equal(leaked, 0, 'timers are left');
  return { used: answered.reduce((sum, one) => sum + one, 0) / limit, refused, answered };
}

describe('a paced upstream that bears less than it is asked for', () => {
  // The table in the documentation, to the letter.
  for (const row of ROWS) {
    it(`gives at least three quarters of what it bears, at two 429s in a hundred or fewer: ${row}`, async () => {
      const [limit = 0, burst = 0, offered = 0, seconds = 0] = [...row.matchAll(/[\d.]+/g)].map(Number);
      const quiet = row.includes(SAYS_QUIET);
      const scene = {
        upstream: bucket(limit, burst),
        offered: [offered],
        roundTrip: seconds * 1000,
        ...(quiet ? AFTER_QUIET : {}),
      };
      const paced = await used(limit, scene);
      const unpaced = await used(limit, { ...scene, paced: false });
      assert.ok(paced.used >= 0.75, `${paced.used} of the limit`);
      assert.ok(paced.refused <= 0.02, `${paced.refused} are refused`);
      assert.ok(unpaced.refused > 10 * paced.refused, `${unpaced.refused} without`);
      const cells = [
        `${limit} a second, ${burst} at once`,
        `${offered} a second${quiet ? SAYS_QUIET : ''}`,
        `${seconds} s`,
      ];
      for (const way of [paced, unpaced]) {
        cells.push(`${way.answered[0]?.toFixed(1)} a second (${percent(way.used)})`, percent(way.refused));
      }
      assert.equal(row, `| ${cells.join(' | ')} |`);
    });
  }

  it('gives what is asked for when that is less than it bears', async () => {
    const { answered, refused } = await simulate({ ...USUAL, upstream: bucket(20, 20), offered: [10] });
    assert.ok((answered[0] as number) > 9.5, `${answered[0]}`);
    assert.equal(refused, 0);
  });

  it('is given up neither where it bears few', async () => {
    const paced = await used(1, { upstream: bucket(1, 3), offered: [5], counted: 600 });
    assert.ok(paced.used >= 0.6, `${paced.used} of the limit`);
    assert.ok(paced.refused <= 0.03, `${paced.refused} are refused`);
  });

  it('nor where it is shut for the rest of each minute once that is used up', async () => {
    const scene = { upstream: fixedWindow(600, 60_000), offered: [20], counted: 600 };
    const paced = await used(10, scene);
    assert.ok(paced.used >= 0.75, `${paced.used} of the limit`);
    assert.ok(paced.refused <= 0.1, `${paced.refused} are refused`);
    const unpaced = await used(10, { ...scene, paced: false });
    assert.ok(unpaced.refused > 1.5 * paced.refused, `${unpaced.refused} without`);
  });
});

describe('a paced upstream, asked for more than it bears after a quiet spell', () => {
  const SEEDS = [1, 2, 3, 4, 5, 6];

  async function inAll(scene: Partial<Scene> & Pick<Scene, 'upstream' | 'offered'>, limit = 10) {
    const sum = { used: 0, refused: 0, least: Infinity };
    for (const seed of SEEDS) {
      const one = await used(limit, { ...scene, seed });
      sum.used += one.used / SEEDS.length;
      sum.refused += one.refused / SEEDS.length;
      sum.least = Math.min(sum.least, one.used);
    }
    return sum;
  }

  for (const quiet of [3, 10, 60, 600]) {
    it(`gives most of what it bears within seconds: ${quiet} s of nothing`, async () => {
      const scene = { upstream: bucket(10, 10), offered: [20], roundTrip: 200, warmUp: 0, quiet };
      const soon = await inAll({ ...scene, counted: 8 });
      assert.ok(soon.used >= 0.8 && soon.least >= 0.6, JSON.stringify(soon));
      assert.ok(soon.refused <= 0.06, JSON.stringify(soon));
      const later = await inAll({ ...scene, counted: 60 });
      assert.ok(later.used >= 0.8 && later.least >= 0.75, JSON.stringify(later));
      assert.ok(later.refused <= 0.02, JSON.stringify(later));
    });
  }

  it('and so it does where its first 429 comes after a fraction of a second', async () => {
    const scene = { upstream: bucket(50, 10), offered: [100], roundTrip: 200, warmUp: 0, quiet: 60 };
    const soon = await inAll({ ...scene, counted: 20 }, 50);
    assert.ok(soon.used >= 0.6 && soon.least >= 0.5, JSON.stringify(soon));
    const later = await inAll({ ...scene, warmUp: 10, counted: 60 }, 50);
    assert.ok(later.used >= 0.7, JSON.stringify(later));
    assert.ok(later.refused <= 0.01, JSON.stringify(later));
  });

  it('and where one in three seconds came before, one of which was refused', async () => {
    const scene = { upstream: refusingAt(bucket(10, 10), 28_000, 32_000), roundTrip: 200, quiet: 0 };
    const offered = [(ms: number) => (ms < 40_000 ? 1 / 3 : 20)];
    const soon = await inAll({ ...scene, offered, warmUp: 50, counted: 10 });
    assert.ok(soon.used >= 0.6, JSON.stringify(soon));
    const later = await inAll({ ...scene, offered, warmUp: 60, counted: 60 });
    assert.ok(later.used >= 0.8 && later.least >= 0.75, JSON.stringify(later));
    assert.ok(later.refused <= 0.02, JSON.stringify(later));
  });

  it('and where fifty come at once and most of them are refused', async () => {
    const scene = { upstream: bucket(10, 10), offered: [20], roundTrip: 200, quiet: 60, atOnce: 50 };
    const first = await inAll({ ...scene, warmUp: 0, counted: 1 });
    assert.ok(first.refused > 0.6, 'most of the fifty were to be refused');
    const soon = await inAll({ ...scene, warmUp: 1, counted: 10 });
    assert.ok(soon.used >= 0.6, JSON.stringify(soon));
    const later = await inAll({ ...scene, warmUp: 5, counted: 60 });
    assert.ok(later.used >= 0.78 && later.least >= 0.75, JSON.stringify(later));
    assert.ok(later.refused <= 0.03, JSON.stringify(later));
  });

  it('nor is one in three seconds kept from it, whatever it refuses of that', async () => {
    const scene = { upstream: bucket(0.2, 1), offered: [1 / 3], roundTrip: 200, warmUp: 60, counted: 600 };
    const paced = await inAll(scene, 0.2);
    const unpaced = await inAll({ ...scene, paced: false }, 0.2);
    assert.ok(paced.used >= 0.9 * unpaced.used, `${paced.used} and ${unpaced.used}`);
  });
});

describe('two gateways that pace the same upstream, and know nothing of each other', () => {
  for (const offered of [
    [40, 40],
    [100, 20],
    [20, 100],
  ]) {
    it(`share what it bears when ${offered.join(' and ')} a second are asked for`, async () => {
      const sums = [0, 0];
      for (const seed of [1, 2, 3]) {
        const both = await used(20, { upstream: bucket(20, 20), offered, seed, counted: 600 });
        assert.ok(both.used >= 0.75, `${both.used} of the limit`);
        assert.ok(both.refused <= 0.02, `${both.refused} are refused`);
        for (const [i, answered] of both.answered.entries()) sums[i] = (sums[i] as number) + answered;
        const [less = 0, more = 0] = both.answered.toSorted((a, b) => a - b);
        assert.ok(less > more / 3, `${less} and ${more}`);
      }
      const [less = 0, more = 0] = sums.toSorted((a, b) => a - b);
      assert.ok(less > more * 0.7, `${less} and ${more}`);
    });
  }
});
