import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { compare } from '../../bench/compare.ts';
import { goalRows } from '../../bench/goals.ts';
import { report } from '../../bench/report.ts';
import { addTo, emptyResults, type Measured, type Results, readResults } from '../../bench/results.ts';

const ABOUT = {
  date: '2026-11-22',
  machine: 'M',
  cores: 2,
  node: '24',
  loader: 'wrk',
  loadBefore: 0,
  quick: false,
};
/** Rounds of a machine that is never quite the same. */
const WOBBLE = [0, 0.02, -0.02, 0.01, -0.01, 0.03, -0.03, 0, 0.01, -0.01];

const round = (middle: number) => WOBBLE.map((by) => middle * (1 + by));

/** CPU of plain requests; the yardstick is 40 µs in each round. */
function plain(row: string, cpu: number[]): Measured {
  return { part: 'plain', row, figures: { cpu }, failed: 0 };
}

function run(rows: Measured[], about: Partial<typeof ABOUT> = {}): Results {
  const results = emptyResults({ ...ABOUT, ...about });
  results.measured.push(plain('fastify', new Array(10).fill(40)), ...rows);
  return results;
}

function latency(row: string, p50: number[]): Measured {
  return { part: 'latency', row, figures: { p50 }, failed: 0 };
}

const changes = (text: string) => text.split('\n').filter((line) => line.startsWith('- '));

describe('--against', () => {
  const before = run([plain('spillway', round(80))]);

  it('says what became dearer, and what cheaper, as ratios to the yardstick', () => {
    assert.deepEqual(changes(compare(run([plain('spillway', round(100))]), before)), [
      '- spillway, plain, to `fastify` (cpu): 2.00 then, 2.50 now: 25.0 % more',
    ]);
    assert.deepEqual(changes(compare(run([plain('spillway', round(60))]), before)), [
      '- spillway, plain, to `fastify` (cpu): 2.00 then, 1.50 now: 25.0 % less',
    ]);
  });

  it('calls nothing a change that lies within the rounds, or within what two processes of one code differ by', () => {
    assert.deepEqual(changes(compare(run([plain('spillway', round(80).toReversed())]), before)), []);
    // 4 %, however surely.
    const surely = run([plain('spillway', new Array(10).fill(83.2))]);
    assert.deepEqual(changes(compare(surely, run([plain('spillway', new Array(10).fill(80))]))), []);
    // 10 %, but among rounds that differ by a factor.
    const wild = [40, 50, 60, 70, 88, 88, 100, 120, 140, 180];
    assert.deepEqual(changes(compare(run([plain('spillway', wild)]), before)), []);
  });

  it('sees a change although the machine spoiled a round', () => {
    const spoiled = [...round(100).slice(1), 60];
    assert.equal(changes(compare(run([plain('spillway', spoiled)]), before)).length, 1);
  });

  it('wants twice as much of a quick run', () => {
    const now = [plain('spillway', round(87).slice(0, 3))];
    const quickBefore = run([plain('spillway', round(80).slice(0, 3))], { quick: true });
    assert.deepEqual(changes(compare(run(now, { quick: true }), quickBefore)), []);
    const more = [plain('spillway', round(92).slice(0, 3))];
    assert.equal(changes(compare(run(more, { quick: true }), quickBefore)).length, 1);
  });

  it('compares latencies beyond the upstream alone, and lets a hundredth of a millisecond pass', () => {
    const at = (added: number) =>
      run([
        latency('direct', round(0.2)),
        latency(
          'spillway',
          round(0.2).map((value) => value + added),
        ),
      ]);
    assert.deepEqual(changes(compare(at(0.14), at(0.1))), []);
    assert.deepEqual(changes(compare(at(0.6), at(0.4))), [
      '- spillway, latency, median (p50): 0.40 then, 0.60 now: 50.0 % more',
    ]);
  });

  it('passes over what only one of the runs measured', () => {
    const text = compare(run([plain('redis', round(130))]), before);
    assert.deepEqual(changes(text), []);
    assert.match(text, /0 of 0 figures/);
  });

  it('says where the two were measured differently', () => {
    assert.match(compare(run([], { node: '26' }), before), /another node: 24 then, 26 now/);
    assert.doesNotMatch(compare(run([], { loadBefore: 2 }), before), /busy/);
    assert.match(compare(run([], { loadBefore: 2.5 }), before), /busy/);
  });
});

describe('results', () => {
  it('have the rounds of processes begun anew behind those of the ones before', () => {
    const results = run([plain('spillway', [80, 81]), plain('redis', [120])]);
    addTo(results, [{ ...plain('spillway', [90]), failed: 2 }, plain('auth', [70])]);
    const found = (row: string) => results.measured.find((one) => one.row === row);
    assert.deepEqual(found('spillway')?.figures.cpu, [80, 81, 90]);
    assert.equal(found('spillway')?.failed, 2);
    assert.deepEqual(found('redis')?.figures.cpu, [120]);
    assert.deepEqual(found('auth')?.figures.cpu, [70]);
  });
});

describe('a file of results', () => {
  it('is read as it was written, rounds without a figure too', () => {
    const results = run([plain('spillway', [80, Number.NaN, 81])]);
    assert.deepEqual(readResults(JSON.stringify(results)), results);
  });

  const WRONG: readonly (readonly [what: string, json: string, why: RegExp])[] = [
    ['of another version of the bench', '{"format":1,"loads":[]}', /another version/],
    ['of something else', '{"loads":[]}', /no figures of the bench/],
    ['that holds nothing', 'null', /no figures of the bench/],
    ['that is empty', '', /not whole/],
    ['that was cut off', '{"format":2,"measured":[', /not whole/],
    ['without its figures', '{"format":2}', /cannot be read/],
    ['with figures of nobody', '{"format":2,"measured":[{"part":"plain"}]}', /cannot be read/],
    [
      'with figures in words',
      '{"format":2,"measured":[{"part":"plain","row":"http","figures":{"cpu":["4"]}}]}',
      /cannot be read/,
    ],
  ];
  for (const [what, json, why] of WRONG) {
    it(`${what} is refused`, () => assert.throws(() => readResults(json), why));
  }
});

describe('the report', () => {
  it('has a table for each part that was measured, medians with their spread, and the goals', () => {
    const results = run([plain('spillway', round(80)), plain('redis', round(120))]);
    const text = report(results);
    assert.match(text, /\| `spillway`: [^|]+ \| 80\.0 \| 2\.00 \(1\.94 to 2\.06\) \|/);
    assert.match(text, /\| `redis`: [^|]+ \| 120 \| 3\.00 \(2\.91 to 3\.09\) \| 1\.50 \(1\.50 to 1\.50\) \|/);
    assert.doesNotMatch(text, /Open streams/);
    assert.match(
      text,
      /\| a request, to the bare Fastify relay \| at most 1 \| 2\.00 [^|]+ \| \*\*missed\*\* \|/,
    );
    assert.match(text, /\| quotas in Redis, to those in memory \| at most 1\.6 \| 1\.50 [^|]+ \| met \|/);
  });

  it('has goals that are met from a bound on', () => {
    const pressed = (answered: number[]) =>
      goalRows(run([{ part: 'pressure', row: 'spillway', figures: { answered }, failed: 0 }]));
    const what = 'pressure: answers a second, to those without';
    assert.deepEqual(pressed([0.8, 0.91, 0.95]), [[what, 'at least 0.9', '0.91', 'met']]);
    assert.deepEqual(pressed([0.8, 0.89, 0.95]), [[what, 'at least 0.9', '0.89', '**missed**']]);
  });

  it('judges the memory of a stream by what is resident and by what is in use, each by itself', () => {
    const open = (row: string, rss: number, heap: number): Measured => ({
      part: 'open',
      row,
      figures: { streamRss: [rss], streamHeap: [heap] },
      failed: 0,
    });
    const rows = goalRows(run([open('http', 31, 15), open('spillway', 11, 30)]));
    assert.deepEqual(
      rows.map(([, , measured, verdict]) => [measured, verdict]),
      [
        ['0.35', 'met'],
        ['2.00', '**missed**'],
      ],
    );
  });

  it('says nothing of goals that were not measured', () => {
    assert.deepEqual(goalRows(run([])), []);
  });
});
