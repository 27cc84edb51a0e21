import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { bucket, fixedWindow, type Scene, simulate } from './pacer-simulation.ts';

const USUAL = { roundTrip: 500, warmUp: 60, counted: 300, seed: 1, paced: true };

const DOCUMENT = new URL('../../docs/upstream-limits.md', import.meta.url);
const ROWS = readFileSync(DOCUMENT, 'utf8').match(/^\| \d+ a second, .*\|$/gm) ?? [];

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
}

it('the documentation has figures of it', () => assert.equal(ROWS.length, 4));

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
      const scene = { upstream: bucket(limit, burst), offered: [offered], roundTrip: seconds * 1000 };
      const paced = await used(limit, scene);
      const unpaced = await used(limit, { ...scene, paced: false });
      assert.ok(paced.used >= 0.75, `${paced.used} of the limit`);
      assert.ok(paced.refused <= 0.02, `${paced.refused} are refused`);
      assert.ok(unpaced.refused > 10 * paced.refused, `${unpaced.refused} without`);
      const cells = [`${limit} a second, ${burst} at once`, `${offered} a second`, `${seconds} s`];
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
