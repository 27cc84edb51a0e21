import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { FilesAsRead, onDisk, RememberedFiles } from '../../src/config/files.ts';
import { ApiError } from '../../src/core/errors.ts';
import type { UpstreamStatus } from '../../src/server/admin.ts';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { received, sent } from '../../src/workers/errors.ts';
import { Pauses } from '../../src/workers/pauses.ts';
import { mergedRows } from '../../src/workers/upstream-rows.ts';
import { WholeLines } from '../../src/workers/whole-lines.ts';
import { temporaryDirectory } from '../support/process.ts';

const MINUTE = 60_000;

describe('the pause before a worker is replaced', () => {
  it('is none at first, doubles with each death in a row, and has an end', () => {
    const pauses = new Pauses(() => 0.5);
    const all = Array.from({ length: 8 }, () => pauses.after(1000));
    assert.deepEqual(all, [0, 500, 1000, 2000, 4000, 8000, 10_000, 10_000]);
  });

  it('begins anew after one that lived for a minute', () => {
    const pauses = new Pauses(() => 0.5);
    pauses.after(1000);
    assert.equal(pauses.after(MINUTE - 1), 500);
    assert.equal(pauses.after(MINUTE), 0);
    assert.equal(pauses.after(1000), 500);
  });

  it('differs by up to a fifth either way', () => {
    for (const [chance, pause] of [
      [0, 400],
      [0.999999, 600],
    ] as const) {
      const pauses = new Pauses(() => chance);
      pauses.after(0);
      assert.equal(pauses.after(0), pause);
    }
  });
});

describe('lines in pieces', () => {
  it('are handed on whole, several at a time, without what was never ended', () => {
    const written: string[] = [];
    const lines = new WholeLines((text) => written.push(text));
    for (const piece of ['{"a"', ':1}', '\n', '{"b":2}\n{"c":3}\n{"d"', ':4}\n', '', '{"e":'])
      lines.take(piece);
    assert.deepEqual(written, ['{"a":1}\n', '{"b":2}\n{"c":3}\n', '{"d":4}\n']);
  });
});

describe('rows of upstreams', () => {
  const row = (changes: Partial<UpstreamStatus>): UpstreamStatus => ({
    id: 'a/m#1',
    provider: 'a',
    model: 'm',
    breaker: 'closed',
    opens: 0,
    cooldown_until: null,
    in_flight: 0,
    last_error: null,
    ...changes,
  });

  it('become one for each upstream: sums, and the worst', () => {
    const merged = mergedRows([
      [row({ in_flight: 1, opens: 2, last_error: 'old' }), row({ id: 'b/m#1' })],
      [
        row({
          in_flight: 2,
          opens: 1,
          breaker: 'open',
          cooldown_until: '2026-11-22T10:00:01.000Z',
          last_error: 'new',
        }),
      ],
      [row({ breaker: 'half_open', cooldown_until: '2026-11-22T10:00:02.000Z' }), row({ id: 'c/m#1' })],
    ]);
    assert.deepEqual(merged, [
      row({
        breaker: 'open',
        opens: 3,
        in_flight: 3,
        cooldown_until: '2026-11-22T10:00:02.000Z',
        last_error: 'new',
      }),
      row({ id: 'b/m#1' }),
      row({ id: 'c/m#1' }),
    ]);
  });

  it('say of the last error what anybody knows', () => {
    const merged = mergedRows([[row({ last_error: 'known' })], [row({ breaker: 'open' })]]);
    assert.deepEqual(merged, [row({ breaker: 'open', last_error: 'known' })]);
  });
});

describe('the files of a configuration', () => {
  it('are for another process as they were read, whatever has become of them', (t) => {
    const directory = temporaryDirectory({ after: (clean) => t.after(clean) });
    const [there, missing, other] = ['there', 'missing', 'other'].map((name) => join(directory, name));
    writeFileSync(there as string, 'one');
    const remembered = new RememberedFiles(onDisk);
    assert.equal(remembered.read(there as string), 'one');
    assert.throws(() => remembered.read(missing as string), { code: 'ENOENT' });
    writeFileSync(there as string, 'two');
    writeFileSync(missing as string, 'three');
    const read = new FilesAsRead(JSON.parse(JSON.stringify(remembered.all)));
    assert.equal(read.read(there as string), 'one');
    assert.throws(() => read.read(missing as string), { code: 'ENOENT' });
    assert.throws(() => read.read(other as string), { code: 'ENOENT' });
  });
});

describe('an error that is sent to another process', () => {
  const there = (error: unknown) => received(JSON.parse(JSON.stringify(sent(error))));

  it('is the same answer to a client', () => {
    const error = new ApiError('key_exists', 'taken', {
      param: 'p',
      retryAfterMs: 5,
      shouldRetry: false,
      headers: { allow: 'GET' },
      type: 't',
    });
    const again = there(error);
    assert.ok(again instanceof ApiError);
    assert.deepEqual({ ...again }, { ...error });
    assert.equal(again.message, 'taken');
    assert.equal(again.status, 409);
  });

  it('says what it was', () => {
    assert.ok(there(new StateUnavailable('away')) instanceof StateUnavailable);
    const inUse = there(Object.assign(new Error('in use'), { code: 'EADDRINUSE' }));
    assert.deepEqual([inUse.message, (inUse as NodeJS.ErrnoException).code], ['in use', 'EADDRINUSE']);
    assert.equal(there('a text').message, 'a text');
  });
});
