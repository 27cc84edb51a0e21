import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RefusalLines } from '../../src/accounting/refusal-lines.ts';
import { ManualClock } from '../support/manual-clock.ts';

function lines() {
  const clock = new ManualClock();
  const sums: { tenant: string | null; count: number; others?: true }[] = [];
  const log = {
    warn: (fields: object, message: string) => {
      assert.equal(message, 'requests refused');
      sums.push(fields as (typeof sums)[number]);
    },
  };
  const written = new RefusalLines(clock, log);
  const refuse = (tenant: string, count: number) => {
    let own = 0;
    for (let n = 0; n < count; n++) if (written.refused(tenant)) own++;
    return own;
  };
  return { clock, sums, written, refuse };
}

describe('refusals in the log', () => {
  it('have a line each while they are few', () => {
    const { clock, sums, refuse } = lines();
    for (let second = 0; second < 5; second++) {
      assert.equal(refuse('a', 90), 90);
      clock.advance(1000);
    }
    assert.deepEqual(sums, []);
    assert.equal(clock.pending, 0);
  });

  it('are added up for each tenant beyond a hundred in a second; each is in one line and only in one', () => {
    const { clock, sums, refuse } = lines();
    assert.equal(refuse('a', 60), 60);
    assert.equal(refuse('b', 10_000), 40);
    assert.equal(refuse('a', 500), 0);
    assert.deepEqual(sums, []);
    clock.advance(1000);
    assert.deepEqual(
      sums.map(({ tenant, count }) => ({ tenant, count })),
      [
        { tenant: 'b', count: 9960 },
        { tenant: 'a', count: 500 },
      ],
    );
    assert.equal(refuse('a', 200), 100);
    clock.advance(1000);
    assert.equal(sums.length, 3);
    assert.equal(clock.pending, 0);
  });

  it('are in one sum where more tenants than a hundred are concerned', () => {
    const { clock, sums, refuse } = lines();
    refuse('a', 100);
    for (let n = 0; n < 1000; n++) refuse(`t${n}`, 2);
    clock.advance(1000);
    assert.equal(sums.length, 101);
    assert.deepEqual(sums.at(-1), {
      tenant: null,
      others: true,
      status: 503,
      error: 'server_is_overloaded',
      count: 1800,
    });
  });

  it('are written out at the end', () => {
    const { clock, sums, written, refuse } = lines();
    refuse('a', 150);
    written.flush();
    assert.equal(sums[0]?.count, 50);
    assert.equal(clock.pending, 0);
    clock.advance(5000);
    assert.equal(sums.length, 1);
  });
});
