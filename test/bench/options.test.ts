import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chosen, readOptions } from '../../bench/options.ts';
import { PARTS } from '../../bench/parts.ts';
import { ROWS, rowOf } from '../../bench/rows.ts';

/** Parts, and the names of their rows. */
function names(only: string[], quick = false) {
  return Object.fromEntries(
    [...chosen({ only, quick })].map(([part, rows]) => [part, rows.map(({ name }) => name)]),
  );
}

it('processes are begun once for each part, or as often as --starts says', () => {
  assert.equal(readOptions([])?.starts, 1);
  assert.equal(readOptions(['--starts', '5'])?.starts, 5);
  for (const wrong of ['0', '1.5', 'many', '']) {
    assert.throws(() => readOptions([`--starts=${wrong}`]), /--starts: expected 1 to 99/);
  }
});

describe('what is measured', () => {
  it('is each row in its own parts, and every part has its yardstick', () => {
    const all = names([]);
    assert.deepEqual(
      Object.keys(all),
      PARTS.map(({ name }) => name),
    );
    for (const { name, yardstick } of PARTS) assert.ok(all[name]?.includes(yardstick), name);
    assert.ok(!all['latency']?.includes('tenants'));
  });

  it('is less with --quick, but with yardsticks all the same', () => {
    const quick = names([], true);
    assert.ok(!quick['plain']?.includes('portkey'));
    for (const { name, yardstick } of PARTS) {
      if (quick[name] !== undefined) assert.ok(quick[name].includes(yardstick), name);
    }
  });

  it('is what --only names: rows, parts, or those rows in those parts, usual or not', () => {
    assert.deepEqual(names(['continue']), {
      stream: ['continue'],
      paced: ['continue'],
      open: ['continue'],
    });
    assert.deepEqual(Object.keys(names(['body-1m'])), ['body-1m']);
    assert.deepEqual(names(['redis', 'spillway', 'body-1m'], true), { 'body-1m': ['spillway', 'redis'] });
  });

  it('compares each variant with a row that is there in all of its parts', () => {
    for (const { name, varies, parts } of ROWS) {
      if (varies === undefined) continue;
      const other = rowOf(varies);
      assert.ok(
        parts.every((part) => other?.parts.includes(part)),
        `${name} varies ${varies}`,
      );
    }
  });
});

describe('the command line', () => {
  it('is refused where it makes no sense, with the word that was wrong', () => {
    assert.throws(
      () => readOptions(['--only', 'plain,fast,faster']),
      /no fast, faster: rows are .*fastify.*parts are plain/,
    );
    for (const nothing of [',', '', ' , '])
      assert.throws(() => readOptions(['--only', nothing]), /names nothing: rows are .*parts are plain/);
    assert.throws(() => readOptions(['before.json']), /before\.json/);
    assert.throws(() => readOptions(['--profile', 'spillway:plain']), /directory/);
    assert.throws(() => readOptions(['--profile', 'spillway:open', 'd']), /spillway:open/);
    assert.throws(() => readOptions(['--unknown']));
  });

  it('names rows and parts with commas or spaces between them', () => {
    for (const text of ['http,plain', 'http, plain', ' http plain,'])
      assert.deepEqual(readOptions(['--only', text])?.only, ['http', 'plain']);
    assert.deepEqual(readOptions([])?.only, []);
  });

  it('names a row and a part to profile', () => {
    const options = readOptions(['--profile', 'bedrock:stream', 'profiles']);
    assert.deepEqual(
      [options?.profile?.row.name, options?.profile?.part, options?.profile?.directory],
      ['bedrock', 'stream', 'profiles'],
    );
  });
});
