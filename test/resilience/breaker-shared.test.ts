import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BoardPlace, Claimed, Opening, ProbeClaim, Word } from '../../src/resilience/board.ts';
import { Breaker } from '../../src/resilience/breaker.ts';
import { ManualClock } from '../support/manual-clock.ts';

const SETTINGS = {
  window: 30_000,
  minRequests: 100,
  failureRate: 1,
  consecutiveFailures: 1,
  openFor: 10_000,
  maxOpenFor: 60_000,
  halfOpenProbes: 2,
  share: true,
};

/** A place on a board where nothing happens but what the test says. */
class Place implements BoardPlace {
  reachable = true;
  first: Word | null = null;
  readonly openings: Opening[] = [];
  readonly closings: number[] = [];
  readonly claims: { asked: ProbeClaim; answer: (claimed: Claimed) => void }[] = [];
  given = 0;

  known(): Word | null {
    return this.first;
  }

  opened(opening: Opening): void {
    this.openings.push(opening);
  }

  closed(after: number): void {
    this.closings.push(after);
  }

  claim(asked: ProbeClaim): Promise<Claimed> {
    return new Promise((answer) => this.claims.push({ asked, answer }));
  }

  released(): void {
    this.given += 1;
  }
}

function setUp(first: Word | null = null) {
  const clock = new ManualClock(1_000);
  const place = new Place();
  place.first = first;
  const breaker = new Breaker(
    SETTINGS,
    clock,
    () => 0.5,
    () => {},
    place,
  );
  return { clock, place, breaker };
}

const open = (seq: number, leftMs: number, openings = 1): Word => {
  return { id: 'a/up#1', seq, ours: false, state: 'open', leftMs, openings };
};
const closed = (seq: number): Word => ({ id: 'a/up#1', seq, ours: false, state: 'closed' });

/** Open since word 5, its period over. */
function setUpOver() {
  const parts = setUp(open(5, 10_000));
  parts.clock.advance(10_000);
  return parts;
}

/** The same, with a probe under way. */
async function setUpProbing() {
  const parts = setUpOver();
  const claim = parts.breaker.claim();
  parts.place.claims[0]?.answer({ granted: true, seq: 5 });
  await claim;
  const probe = parts.breaker.acquire();
  assert.ok(probe);
  return { ...parts, probe };
}

describe('a breaker with a place on the board', () => {
  it('begins as the board has it', () => {
    assert.equal(setUp(open(5, 7_000)).breaker.retryAfterMs(), 7_000);
    assert.equal(setUp().breaker.state(), 'closed');
  });

  it('does not listen to words that are not newer than the last', () => {
    const { breaker } = setUp(open(5, 7_000));
    breaker.hear(closed(5));
    breaker.hear(closed(4));
    breaker.hear(open(5, 60_000));
    assert.equal(breaker.retryAfterMs(), 7_000);
    breaker.hear(closed(6));
    assert.equal(breaker.state(), 'closed');
    breaker.hear(open(5, 60_000));
    assert.equal(breaker.state(), 'closed');
  });

  it('tells what it found out, and after which word', async () => {
    const { breaker, place } = setUp();
    breaker.acquire()?.failure();
    assert.deepEqual(place.openings, [{ until: 11_000, openings: 1, after: null }]);
    const failing = await setUpProbing();
    failing.probe.failure();
    assert.deepEqual(failing.place.openings, [{ until: 31_000, openings: 2, after: 5 }]);
    const succeeding = await setUpProbing();
    succeeding.probe.alive();
    succeeding.probe.success();
    assert.deepEqual(succeeding.place.closings, [5]);
  });

  it('asks for a probe with what it knows', () => {
    const { breaker, place } = setUp(open(5, 0, 3));
    void breaker.claim();
    assert.deepEqual(place.claims[0]?.asked, { probes: 2, openings: 3, after: 5 });
  });

  it('goes on with its probes where the word is of the period that they came after', async () => {
    const { breaker, probe } = await setUpProbing();
    breaker.hear(open(6, 0));
    assert.equal(breaker.state(), 'half_open');
    probe.success();
    assert.equal(breaker.state(), 'closed');
  });

  it('makes no use of a probe that was granted before one of its own failed', async () => {
    const { clock, breaker, place, probe } = await setUpProbing();
    const claim = breaker.claim();
    probe.failure();
    place.claims[1]?.answer({ granted: true, seq: 5 });
    await claim;
    clock.advance(20_000);
    assert.equal(breaker.acquire(), null);
    assert.ok(breaker.needsClaim());
    assert.equal(place.given, 1);
  });

  it('makes no use of a probe that was granted before there were news', async () => {
    const { clock, breaker, place } = setUpOver();
    const claim = breaker.claim();
    place.claims[0]?.answer({ granted: true, seq: 5 });
    await claim;
    breaker.hear(open(6, 1_000));
    clock.advance(1_000);
    assert.equal(breaker.acquire(), null);
    assert.ok(breaker.needsClaim());
  });

  it('gives a probe back that is granted where it has closed meanwhile', async () => {
    const { breaker, place } = setUpOver();
    const claim = breaker.claim();
    breaker.hear(closed(6));
    place.claims[0]?.answer({ granted: true, seq: 5 });
    await claim;
    assert.equal(place.given, 1);
    assert.ok(breaker.acquire());
  });

  it('gives back the place of a probe whose client left', async () => {
    const { place, probe } = await setUpProbing();
    probe.release();
    assert.equal(place.given, 1);
  });

  it('hears nothing where nothing is shared', () => {
    const breaker = new Breaker(
      SETTINGS,
      new ManualClock(),
      () => 0.5,
      () => {},
    );
    breaker.hear(open(5, 1_000));
    assert.equal(breaker.state(), 'closed');
    assert.equal(breaker.needsClaim(), false);
  });
});
