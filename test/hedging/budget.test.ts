import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { HedgeBudget, Hedges } from '../../src/routing/hedge.ts';

/** What happens at a node, in order: a request comes or is over, or a second target is wanted (and perhaps given back). */
type Event = 'begun' | 'over' | 'wanted' | 'wanted in vain';

const events = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.constant<Event>('begun') },
    { weight: 6, arbitrary: fc.constant<Event>('over') },
    { weight: 3, arbitrary: fc.constant<Event>('wanted') },
    { weight: 1, arbitrary: fc.constant<Event>('wanted in vain') },
  ),
  { maxLength: 400, size: 'max' },
);
const share = fc.oneof(
  fc.constantFrom(0, 0.05, 0.01, 0.1, 0.2, 0.5, 1),
  fc.double({ min: 0, max: 1, noNaN: true }).map((ratio) => Math.round(ratio * 1e6) / 1e6),
);

/** After each event: requests so far, those under way, and second targets so far. */
function lived(maxExtra: number, happens: readonly Event[]) {
  const budget = new HedgeBudget(maxExtra);
  let [requests, underWay, started] = [0, 0, 0];
  return happens.map((event) => {
    if (event === 'begun') {
      budget.begun();
      requests++;
      underWay++;
    } else if (event === 'over') {
      if (underWay > 0) {
        budget.over();
        underWay--;
      }
    } else if (budget.take()) {
      if (event === 'wanted') started++;
      else budget.giveBack();
    }
    return { requests, underWay, started };
  });
}

/** So many requests, none of which is slow. */
const good = (count: number) => Array<Event[]>(count).fill(['begun', 'over']).flat();

/** Shares are counted exactly, and so are the tests: in millionths. */
const earned = (maxExtra: number, requests: number) => Math.round(maxExtra * 1e6) * requests;

describe('the budget of second targets', () => {
  it('stays under its share from the first request on, but for the three that are on loan', () => {
    let most = 0;
    fc.assert(
      fc.property(share, events, (maxExtra, happens) => {
        for (const { requests, started } of lived(maxExtra, happens)) {
          if (maxExtra === 0) assert.equal(started, 0);
          assert.ok(started * 1e6 <= Math.max(3e6, earned(maxExtra, requests)));
          most = Math.max(most, started);
        }
      }),
      { numRuns: 500 },
    );
    assert.ok(most > 50, `at most ${most} were started: hardly tested`);
  });

  it('stays under its share and a burst of ten, wherever the count begins', () => {
    let longest = 0;
    fc.assert(
      fc.property(share, events, fc.nat(400), fc.nat(400), (maxExtra, happens, some, more) => {
        // A good time first, so that there is something to burst with.
        const all = lived(maxExtra, [...good(some), ...happens]);
        const last = all.at(-1);
        const from = all[Math.min(2 * some + more, all.length - 1)];
        if (last === undefined || from === undefined) return;
        const started = last.started - from.started;
        const requests = last.requests - from.requests + from.underWay;
        longest = Math.max(longest, started - requests * maxExtra);
        assert.ok(started * 1e6 <= 10e6 + earned(maxExtra, requests));
      }),
      { numRuns: 1000 },
    );
    assert.ok(longest > 8, `bursts were of ${longest} at most: hardly tested`);
  });

  it('gives as much as it may: of requests that all want a second target, its share get one', () => {
    for (const maxExtra of [0.01, 0.041, 0.05, 0.1, 0.25, 0.29, 0.57, 1]) {
      const happens = Array<Event[]>(1000).fill(['begun', 'wanted', 'over']).flat();
      assert.equal(lived(maxExtra, happens).at(-1)?.started, Math.round(maxExtra * 1000));
    }
  });

  it('gives as much as it may to requests that are slow together, however many', () => {
    const together = (count: number): Event[] => [
      ...Array<Event>(count).fill('begun'),
      ...Array<Event>(count).fill('wanted'),
      ...Array<Event>(count).fill('over'),
    ];
    assert.equal(lived(1, together(1000)).at(-1)?.started, 1000);
    assert.equal(lived(0.1, together(1000)).at(-1)?.started, 100);
    assert.equal(lived(0.1, [...good(5000), ...together(1000)]).at(-1)?.started, 110);
  });

  it('lets the very first request have one', () => {
    assert.equal(lived(0.01, ['begun', 'wanted']).at(-1)?.started, 1);
  });

  it('does not save up a good hour for a bad minute', () => {
    const happens: Event[] = [...good(100_000), ...Array<Event>(1000).fill('wanted')];
    assert.equal(lived(0.05, happens).at(-1)?.started, 10);
  });

  it('is as it was when one is given back', () => {
    const before = lived(0.05, ['begun', 'wanted', 'wanted', 'wanted', 'wanted']).at(-1)?.started;
    const vain = Array<Event>(20).fill('wanted in vain');
    const after = lived(0.05, ['begun', ...vain, 'wanted', 'wanted', 'wanted', 'wanted', ...vain, 'wanted']);
    assert.deepEqual([before, after.at(-1)?.started], [3, 3]);
    const full = [...good(1000), ...vain, ...Array<Event>(30).fill('wanted')];
    assert.equal(lived(0.05, full).at(-1)?.started, 10);
  });

  it('is one for each node, whichever request asks', () => {
    const hedges = new Hedges();
    const [one, other] = [
      { after: { ms: 1 }, maxExtra: 0.05 },
      { after: { ms: 1 }, maxExtra: 0.05 },
    ];
    assert.equal(hedges.of(one), hedges.of(one));
    assert.notEqual(hedges.of(one), hedges.of(other));
  });

  it('refuses a share that is none', () => {
    for (const maxExtra of [-0.1, 1.1, Number.NaN]) {
      assert.throws(() => new HedgeBudget(maxExtra), { name: 'RangeError', message: /from 0 to 1/ });
    }
  });
});
