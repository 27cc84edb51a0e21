import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Wait, waitedMs } from '../../src/core/waiting.ts';

const wait = (startedAt: number, ms: number): Wait => ({ startedAt, ms });

describe('the time that a request waited', () => {
  it('is that of its one try', () => {
    assert.equal(waitedMs([wait(7, 30)], []), 30);
  });

  it('is nothing without tries and sleeps', () => {
    assert.equal(waitedMs([], []), 0);
  });

  it('leaves out what is between tries, and has the sleeps there in it', () => {
    assert.equal(waitedMs([wait(0, 10), wait(15, 10)], []), 20);
    assert.equal(waitedMs([wait(0, 10), wait(15, 10)], [wait(10, 4)]), 24);
    assert.equal(waitedMs([], [wait(3, 4)]), 4);
  });

  it('counts the time of two tries at once only once', () => {
    assert.equal(waitedMs([wait(0, 100), wait(40, 30)], []), 100);
    assert.equal(waitedMs([wait(0, 100), wait(40, 100)], []), 140);
    assert.equal(waitedMs([wait(40, 100), wait(0, 100)], [wait(90, 60)]), 150);
  });

  const waits = fc.array(fc.record({ startedAt: fc.nat(40), ms: fc.nat(20) }), { maxLength: 6 });

  it('is that of the moments in which something was waited for, however tries and sleeps overlap', () => {
    fc.assert(
      fc.property(waits, waits, (tries, slept) => {
        const all = [...tries, ...slept];
        const moments = Array.from({ length: 80 }, (_, i) => i).filter((moment) =>
          all.some(({ startedAt, ms }) => startedAt <= moment && moment < startedAt + ms),
        );
        assert.equal(waitedMs(tries, slept), moments.length);
      }),
      { numRuns: 500 },
    );
  });
});
