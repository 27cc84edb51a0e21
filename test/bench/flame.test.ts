import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type CpuProfile, flameGraph } from '../../bench/flame.ts';

/** main calls work and wait; each is sampled every 100 µs from 1,000 on. */
const PROFILE: CpuProfile = {
  nodes: [
    node(1, '(root)', '', [2, 5]),
    node(2, 'main', 'file:///somewhere/private/src/main.ts', [3, 4]),
    node(3, 'work<T>', 'file:///somewhere/private/node_modules/undici/lib/api.js'),
    node(4, '', 'node:net'),
    node(5, '(idle)', ''),
  ],
  startTime: 1000,
  samples: [3, 3, 3, 4, 5, 5, 2, 2],
  timeDeltas: [0, 100, 100, 100, 100, 100, 100, 100],
};

function node(id: number, functionName: string, url: string, children: number[] = []) {
  return { id, callFrame: { functionName, url, lineNumber: 9 }, children };
}

const titles = (svg: string) => [...svg.matchAll(/<g><title>([^<]*)<\/title>/g)].map(([, title]) => title);
const widths = (svg: string) =>
  [...svg.matchAll(/<\/title><rect x="([\d.]+)" y="(-?\d+)" width="([\d.]+)"/g)].map(([, x, y, width]) => [
    Number(x),
    Number(y),
    Math.round(Number(width)),
  ]);

describe('a flame graph', () => {
  const svg = flameGraph(PROFILE, { title: 'plain & <simple>' });

  it('has the share of each function with all that it called, and of itself; idle time is no part of it', () => {
    assert.deepEqual(titles(svg), [
      '(root): 100.00 %, itself 0.00 %',
      'main src/main.ts:10: 100.00 %, itself 20.00 %',
      'work&#60;T&#62; node_modules/undici/lib/api.js:10: 60.00 %, itself 60.00 %',
      '(anonymous) node:net:10: 20.00 %, itself 20.00 %',
    ]);
  });

  it('draws callees upon their callers, side by side, as wide as they took', () => {
    assert.deepEqual(widths(svg), [
      [0, 0, 1400],
      [0, -17, 1400],
      [0, -34, 840],
      [840, -34, 280],
    ]);
  });

  it('takes only what was sampled between two times', () => {
    const part = flameGraph(PROFILE, { title: 'part', from: 1200, to: 1400 });
    assert.deepEqual(titles(part).slice(2), [
      'work&#60;T&#62; node_modules/undici/lib/api.js:10: 50.00 %, itself 50.00 %',
      '(anonymous) node:net:10: 50.00 %, itself 50.00 %',
    ]);
  });

  it('has no markup of foreign names in it, and no directory of the machine', () => {
    assert.ok(svg.includes('plain &#38; &#60;simple&#62;'));
    assert.ok(!svg.includes('private'));
  });

  it('leaves out what could not be seen', () => {
    const profile = { ...PROFILE, samples: [3, 4, 5], timeDeltas: [0, 1_000_000, 100] };
    assert.equal(titles(flameGraph(profile, { title: 'narrow' })).length, 3);
  });

  it('of a profile without samples is empty', () => {
    const empty = { ...PROFILE, samples: [], timeDeltas: [] };
    assert.deepEqual(titles(flameGraph(empty, { title: 'none' })), []);
  });
});
