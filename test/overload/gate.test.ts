/** The gate in a simulated process, whose time is that which its work takes. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Gate } from '../../src/overload/gate.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { type Asking, CAPACITY, COST, quantile, type Seen, SimulatedGateway } from './simulated-gateway.ts';

const SECOND = 1000;
const UPSTREAM = 20;

/** Of what came from then on. */
function since(from: number, seen: readonly Seen[]): Seen[] {
  return seen.filter(({ at }) => at >= from);
}

function answered(seen: readonly Seen[]): Seen[] {
  return seen.filter(({ refused }) => !refused);
}

function refused(seen: readonly Seen[]): Seen[] {
  return seen.filter((one) => one.refused);
}

function of(tenant: string, seen: readonly Seen[]): Seen[] {
  return seen.filter((one) => one.tenant === tenant);
}

/** Half, and 99 of 100, took no longer. */
function times(seen: readonly Seen[]): { p50: number; p99: number } {
  const ms = seen.map((one) => one.ms);
  return { p50: quantile(ms, 0.5), p99: quantile(ms, 0.99) };
}

/** How many were answered in each fifth of a second. */
function answeredOverTime(seen: readonly Seen[], from: number, to: number): number[] {
  const counts = new Array<number>((to - from) / 200).fill(0);
  for (const { at, ms } of answered(seen)) {
    const slot = Math.floor((at + ms - from) / 200);
    if (slot >= 0 && slot < counts.length) counts[slot] = (counts[slot] ?? 0) + 1;
  }
  return counts;
}

describe('below what it can carry', () => {
  it('nothing is refused, and nobody waits', () => {
    const gateway = new SimulatedGateway();
    gateway.asks({ tenant: 'a', rate: 0.95 * CAPACITY, until: 5 * SECOND, upstream: UPSTREAM });
    gateway.run(6 * SECOND);
    assert.equal(gateway.seen.length, 0.95 * CAPACITY * 5 * SECOND);
    assert.equal(refused(gateway.seen).length, 0);
    assert.ok(times(gateway.seen).p99 < UPSTREAM + 1);
  });

  it('five thousand at once are all answered: it is soon over', () => {
    const gateway = new SimulatedGateway();
    gateway.asks({ tenant: 'a', rate: 1e6, until: 0.005, upstream: UPSTREAM });
    gateway.run(2 * SECOND);
    assert.equal(answered(gateway.seen).length, 5000);
  });

  it('five hundred clients that ask again at once are all answered, at full speed', () => {
    const gateway = new SimulatedGateway();
    gateway.asksAgain(500, { tenant: 'a', rate: 1, until: 5 * SECOND });
    gateway.run(5 * SECOND);
    assert.equal(refused(gateway.seen).length, 0);
    assert.ok(answered(gateway.seen).length > 0.95 * CAPACITY * 5 * SECOND);
  });

  it('a crowd of nearly a second is waited for', () => {
    const gateway = new SimulatedGateway();
    gateway.asks({ tenant: 'a', rate: 1.4 * CAPACITY, until: 0.9 * SECOND, upstream: UPSTREAM });
    gateway.run(2 * SECOND);
    assert.equal(refused(gateway.seen).length, 0);
  });

  it('that others have the processor most of the time is no reason to refuse', () => {
    const gateway = new SimulatedGateway();
    const { loop } = gateway;
    // 200 ms of every 250.
    for (let n = 0; n < 24; n++) loop.at(SECOND + n * 250, () => loop.standStill(200));
    gateway.asks({ tenant: 'a', rate: 0.15 * CAPACITY, until: 6 * SECOND, upstream: UPSTREAM });
    gateway.run(7 * SECOND);
    assert.equal(refused(gateway.seen).length, 0);
  });

  it('nor does it take anything from a burst that comes then', () => {
    const gateway = new SimulatedGateway();
    const { loop } = gateway;
    // 10 ms of every 40.
    for (let n = 0; n < 400; n++) loop.at(SECOND + n * 40, () => loop.standStill(10));
    gateway.asks({ tenant: 'a', rate: 0.1 * CAPACITY, until: 15 * SECOND, upstream: UPSTREAM });
    gateway.asks({
      tenant: 'b',
      rate: 1e6,
      from: 15 * SECOND,
      until: 15 * SECOND + 0.004,
      upstream: UPSTREAM,
    });
    gateway.run(17 * SECOND);
    assert.equal(answered(of('b', gateway.seen)).length, 4000);
  });

  for (const others of [15, 33]) {
    it(`nor where each request takes long because of them: ${others} ms of every 50, beside 5 of its own`, () => {
      const cold = { beginning: 5, interrupted: others, upstream: UPSTREAM };
      for (let from = 1000; from < 6000; from += 100) {
        const gateway = new SimulatedGateway();
        gateway.asks({ tenant: 'a', rate: 1 / 50, until: from + SECOND, ...cold });
        gateway.asks({ tenant: 'b', rate: 1e6, from, until: from + 0.00008, ...cold });
        gateway.run(from + 8 * SECOND);
        assert.equal(of('b', gateway.seen).length, 80);
        assert.equal(refused(gateway.seen).length, 0, `of a burst after ${from} ms`);
      }
    });
  }

  it('a request that takes half a second for itself delays the others, and nobody is refused', () => {
    const gateway = new SimulatedGateway();
    gateway.asks({ tenant: 'a', rate: 0.3 * CAPACITY, until: 3 * SECOND, upstream: UPSTREAM });
    gateway.asks({ tenant: 'b', rate: 1e-9, from: 500, until: 501, beginning: 500 });
    gateway.run(4 * SECOND);
    assert.equal(refused(gateway.seen).length, 0);
  });
});

describe('at twice what it can carry, after a time of being late now and then', () => {
  for (const use of [0.15, 0.3, 0.5]) {
    it(`it is known after some two seconds, where ${use} of the time had been taken`, () => {
      const gateway = new SimulatedGateway();
      const heavy = { beginning: 8, upstream: UPSTREAM };
      gateway.asks({ tenant: 'a', rate: use / 8, until: 12 * SECOND, ...heavy });
      const from = 5 * SECOND;
      gateway.asks({ tenant: 'b', rate: 2 * CAPACITY, from, until: 12 * SECOND, upstream: UPSTREAM });
      gateway.run(13 * SECOND);
      const later = answered(since(from + 2 * SECOND, of('b', gateway.seen)));
      assert.ok(later.length > 1000);
      assert.ok(times(later).p99 < 300, `${times(later).p99} ms`);
    });
  }
});

describe('at twice what it can carry', () => {
  const gateway = new SimulatedGateway();
  for (let n = 0; n < 20; n++) {
    gateway.asks({ tenant: `t${n}`, rate: CAPACITY / 10, until: 8 * SECOND, upstream: UPSTREAM });
  }
  gateway.run(8 * SECOND);
  const steady = since(3 * SECOND, gateway.seen).filter(({ at }) => at < 7 * SECOND);

  it('it does all that the refusals leave time for', () => {
    const counts = answeredOverTime(gateway.seen, 3 * SECOND, 7 * SECOND);
    const goodput = counts.reduce((sum, count) => sum + count) / CAPACITY;
    const refusing = refused(steady).length * (COST.reading + COST.refusing);
    assert.ok(goodput + refusing > 0.97 * 4 * SECOND, `${goodput} and ${refusing} of 4000 ms`);
    assert.ok(goodput > 0.9 * (4 * SECOND - refusing));
  });

  it('it does so evenly', () => {
    const counts = answeredOverTime(gateway.seen, 3 * SECOND, 7 * SECOND);
    const mean = counts.reduce((sum, count) => sum + count) / counts.length;
    for (const count of counts) assert.ok(Math.abs(count - mean) < 0.1 * mean, counts.join(' '));
  });

  it('who is taken on is answered soon, and who is refused at once', () => {
    const { p99 } = times(answered(steady));
    assert.ok(p99 < UPSTREAM + 200, `${p99} ms`);
    const { p99: ofRefused } = times(refused(steady));
    assert.ok(ofRefused < 20, `${ofRefused} ms for refusals`);
  });

  it('a burst is waited for at first, no longer than for about a second', () => {
    const longest = Math.max(...answered(gateway.seen).map(({ ms }) => ms));
    assert.ok(longest < UPSTREAM + 1200, `${longest} ms`);
  });

  it('the loop stays quick', () => {
    const late = gateway.late.filter(({ at }) => at > 3 * SECOND).map(({ ms }) => ms);
    assert.ok(quantile(late, 0.99) < 10);
  });

  it('those who ask for the same are given the same', () => {
    const counts = Array.from({ length: 20 }, (_, n) => answered(of(`t${n}`, steady)).length);
    assert.ok(Math.min(...counts) > 0.95 * Math.max(...counts), counts.join(' '));
  });
});

describe("one tenant's flood", () => {
  const QUIET = ['q0', 'q1', 'q2'];

  function quietTimes(flood: (gateway: SimulatedGateway) => void, how: Partial<Asking> = {}): Seen[] {
    const gateway = new SimulatedGateway();
    flood(gateway);
    for (const tenant of QUIET) {
      gateway.asks({ tenant, rate: 0.05, until: 6 * SECOND, upstream: UPSTREAM, ...how });
    }
    gateway.run(7 * SECOND);
    const seen = gateway.seen.filter(({ tenant }) => QUIET.includes(tenant));
    assert.equal(refused(seen).length, 0, 'a quiet tenant was refused');
    return seen;
  }

  it('leaves the others within twice their time, whether it comes at twice what can be carried', () => {
    const quiet = times(quietTimes(() => {}));
    const during = times(
      quietTimes((gateway) => {
        gateway.asks({ tenant: 'flood', rate: 2 * CAPACITY, until: 6 * SECOND, upstream: UPSTREAM });
      }),
    );
    assert.ok(during.p50 < 2 * quiet.p50, `${during.p50} ms, ${quiet.p50} without`);
    assert.ok(during.p99 < 2 * quiet.p99, `${during.p99} ms, ${quiet.p99} without`);
  });

  for (const clients of [500, 2400, 3000]) {
    it(`or from ${clients} clients that ask again at once, whatever they are told`, () => {
      const quiet = times(quietTimes(() => {}));
      const flood = { tenant: 'flood', rate: 1, until: 6 * SECOND, upstream: UPSTREAM };
      // All come in the same moment, and are begun before it is known that they are too many for long; the last are read again after two seconds more.
      const during = times(
        since(
          3.5 * SECOND,
          quietTimes((gateway) => gateway.asksAgain(clients, flood)),
        ),
      );
      assert.ok(during.p50 < 2 * quiet.p50, `${during.p50} ms, ${quiet.p50} without`);
      assert.ok(during.p99 < 2 * quiet.p99, `${during.p99} ms, ${quiet.p99} without`);
    });
  }

  it('makes turns no longer, where beginning a request is a small part of what it takes', () => {
    const gateway = new SimulatedGateway();
    gateway.asksAgain(1000, { tenant: 'flood', rate: 1, until: 6 * SECOND, beginning: 0.004 });
    gateway.asks({ tenant: 'q', rate: 0.1, until: 6 * SECOND, upstream: UPSTREAM });
    gateway.run(6 * SECOND);
    const late = gateway.late.filter(({ at }) => at > 2 * SECOND).map(({ ms }) => ms);
    assert.ok(quantile(late, 0.9) < 10, `${quantile(late, 0.9)} ms late`);
    const quiet = times(since(2 * SECOND, of('q', gateway.seen)));
    assert.ok(quiet.p99 < 2 * UPSTREAM, `${quiet.p99} ms`);
  });

  it('costs little of what can be done, and others little time, though what waits is moved with the garbage', () => {
    const gateway = new SimulatedGateway({ collects: true });
    gateway.asksAgain(2400, { tenant: 'flood', rate: 1, until: 6 * SECOND, upstream: UPSTREAM });
    gateway.asks({ tenant: 'q', rate: 0.1, until: 6 * SECOND, upstream: UPSTREAM });
    gateway.run(6 * SECOND);
    const quiet = times(since(2 * SECOND, of('q', gateway.seen)));
    assert.ok(quiet.p99 < 2.5 * UPSTREAM, `${quiet.p99} ms`);
    const counts = answeredOverTime(gateway.seen, 3 * SECOND, 6 * SECOND);
    const goodput = counts.reduce((sum, count) => sum + count) / (3 * SECOND * CAPACITY);
    assert.ok(goodput > 0.8, `${goodput} of what could be done`);
  });

  it('keeps out nobody who is not connected yet', () => {
    const flood = { tenant: 'flood', rate: 1, until: 6 * SECOND, upstream: UPSTREAM };
    const seen = quietTimes((gateway) => gateway.asksAgain(2400, flood), { anew: true });
    assert.equal(seen.length, 3 * 50 * 6);
    assert.ok(times(since(2 * SECOND, seen)).p99 < 5 * UPSTREAM, `${times(seen).p99} ms`);
  });

  it('is not paid for by a tenant that the processor was taken from', () => {
    const flood = { tenant: 'flood', rate: 2 * CAPACITY, until: 6 * SECOND, upstream: UPSTREAM };
    const gateway = new SimulatedGateway();
    gateway.asks(flood);
    gateway.asks({ tenant: 'q', rate: 0.025, until: 6 * SECOND, upstream: UPSTREAM, interrupted: 10 });
    gateway.run(7 * SECOND);
    const seen = of('q', gateway.seen);
    assert.equal(refused(seen).length, 0);
    assert.ok(times(seen).p99 < 5 * UPSTREAM, `${times(seen).p99} ms`);
  });

  it('of streams has nobody else refused', () => {
    const flood = { tenant: 'flood', rate: 0.5, until: 6 * SECOND, upstream: UPSTREAM, events: 100 };
    quietTimes((gateway) => gateway.asks(flood));
  });

  it('is answered as far as there is time, where nobody else wants it', () => {
    const gateway = new SimulatedGateway();
    gateway.asks({ tenant: 'flood', rate: 2 * CAPACITY, until: 5 * SECOND, upstream: UPSTREAM });
    gateway.run(5 * SECOND);
    assert.ok(answered(gateway.seen).length > 0.6 * CAPACITY * 5 * SECOND);
  });

  it('of requests that take long is given the same time as the others, not the same number', () => {
    const gateway = new SimulatedGateway();
    const until = 6 * SECOND;
    gateway.asks({ tenant: 'big', rate: 0.1, until, upstream: UPSTREAM, beginning: 10 });
    gateway.asks({ tenant: 'small', rate: 2 * CAPACITY, until, upstream: UPSTREAM });
    gateway.run(until);
    const big = answered(of('big', gateway.seen)).length * 10;
    const small = answered(of('small', gateway.seen)).length * COST.beginning;
    assert.ok(big < 1.2 * small, `${big} ms for big ones, ${small} ms for small ones`);
  });
});

describe('where refusals take most of the time', () => {
  for (const upstream of [0, UPSTREAM]) {
    it(`three thousand clients that ask again at once leave it for answers that come after ${upstream} ms`, () => {
      const gateway = new SimulatedGateway();
      gateway.asksAgain(3000, { tenant: 'a', rate: 1, until: 6 * SECOND, upstream });
      gateway.run(6 * SECOND);
      const counts = answeredOverTime(gateway.seen, 3 * SECOND, 6 * SECOND);
      const goodput = counts.reduce((sum, count) => sum + count) / (3 * SECOND * CAPACITY);
      assert.ok(goodput > 0.8, `${goodput} of what could be done`);
    });
  }

  it('a thousand clients with long bodies that ask again at once leave most of it for answers', () => {
    const gateway = new SimulatedGateway();
    const body = 100_000;
    gateway.asksAgain(1000, { tenant: 'a', rate: 1, until: 9 * SECOND, upstream: UPSTREAM, body });
    gateway.run(9 * SECOND);
    const counts = answeredOverTime(gateway.seen, 5 * SECOND, 9 * SECOND);
    const capacity = 1 / (1 / CAPACITY + body * COST.readingByte);
    const goodput = counts.reduce((sum, count) => sum + count) / (4 * SECOND * capacity);
    assert.ok(goodput > 0.9, `${goodput} of what could be done`);
  });

  it('something is left for answers, where more is asked for than there is time to refuse', () => {
    const gateway = new SimulatedGateway();
    gateway.asks({ tenant: 'a', rate: 3 * CAPACITY, until: 6 * SECOND });
    gateway.run(6 * SECOND);
    const late = answeredOverTime(gateway.seen, 3 * SECOND, 6 * SECOND);
    const goodput = late.reduce((sum, count) => sum + count) / (3 * SECOND * CAPACITY);
    assert.ok(goodput > 0.2, `${goodput} of what could be done`);
  });
});

describe('where others have the processor most of the time, and too much comes for the rest', () => {
  it('what there is time for is answered', () => {
    const gateway = new SimulatedGateway();
    const { loop } = gateway;
    // 200 ms of every 250.
    for (let n = 0; n < 24; n++) loop.at(SECOND + n * 250, () => loop.standStill(200));
    gateway.asks({ tenant: 'a', rate: 0.3 * CAPACITY, until: 6 * SECOND, upstream: UPSTREAM });
    gateway.run(6 * SECOND);
    const counts = answeredOverTime(gateway.seen, 2 * SECOND, 6 * SECOND);
    const goodput = counts.reduce((sum, count) => sum + count) / (4 * SECOND * CAPACITY);
    assert.ok(goodput > 0.13, `${goodput} of what could be done with all of it`);
  });
});

describe('who may wait', () => {
  /** After a while in which the loop was always so late, for so much work of its own that began ten requests (milliseconds), of so much weight each. */
  function room(late: number, worked: number, weight = 1): number {
    const clock = new ManualClock();
    let work = 0;
    const turns: (() => void)[] = [];
    const gate = new Gate<string>(
      {
        clock,
        worked: () => work,
        idle: () => 0,
        nextTurn: (fn) => void turns.push(fn),
        settled: (fn) => fn(),
      },
      () => {
        work += worked / 10;
      },
      () => false,
    );
    const turn = () => {
      for (const fn of turns.splice(0)) fn();
    };
    for (let measured = 0; measured < 400; measured++) {
      for (let n = 0; n < 10; n++) gate.enter('a', 'request', weight);
      turn();
      clock.advance(late);
      gate.measured(late);
    }
    while (gate.enter('a', 'request', weight)) assert.ok(gate.waiting < 1000);
    return gate.waiting;
  }

  it('does not go by the delay for which others have the processor', () => {
    // Two a millisecond, and of the two hundred that one may have to wait the work takes three times five.
    assert.equal(room(5, 5), 370);
    assert.equal(room(95, 5), 370);
    // A fifth of one a millisecond, and 50 ms three times leave 50 of the two hundred; of 400 nothing is left.
    assert.equal(room(50, 50), 10);
    assert.equal(room(400, 400), 4);
  });

  it('is no more than the collector of garbage bears, however fast requests are begun', () => {
    assert.equal(room(4, 3.1), 600);
  });

  it('is no more than 32 MB of bodies', () => {
    assert.equal(room(4, 3.1, 2), 600);
    assert.equal(room(4, 3.1, 6), 267);
    assert.equal(room(4, 3.1, 51), 32);
    assert.equal(room(50, 50, 6), 10);
  });
});

describe('many tenants at twice what it can carry', () => {
  it('are answered evenly, two thousand of them', () => {
    const gateway = new SimulatedGateway();
    for (let n = 0; n < 2000; n++) {
      const rate = (2 * CAPACITY) / 2000;
      gateway.asks({ tenant: `t${n}`, rate, from: n / 20, until: 5 * SECOND, upstream: UPSTREAM });
    }
    gateway.run(5 * SECOND);
    const counts = new Map<string, number>();
    for (const { tenant } of answered(gateway.seen)) counts.set(tenant, (counts.get(tenant) ?? 0) + 1);
    assert.equal(counts.size, 2000);
    const [few = 0, many = 0] = [0.05, 0.95].map((share) => quantile([...counts.values()], share));
    assert.ok(few >= 0.6 * many, `${few} for some, ${many} for others`);
  });

  for (const tenants of [2000, 10_000]) {
    it(`wait no longer than a few do, where there are ${tenants} of them`, () => {
      const gateway = new SimulatedGateway();
      const rate = (2 * CAPACITY) / tenants;
      for (let n = 0; n < tenants; n++) {
        gateway.asks({
          tenant: `t${n}`,
          rate,
          from: ((n * 37) % tenants) / (2 * CAPACITY),
          until: 5 * SECOND,
        });
      }
      let most = 0;
      for (let ms = 0; ms < 5 * SECOND; ms += 50) {
        gateway.run(50);
        if (ms > 3 * SECOND) most = Math.max(most, gateway.waiting);
      }
      assert.ok(most <= 600, `${most} waited`);
      const { p99 } = times(since(3 * SECOND, answered(gateway.seen)));
      assert.ok(p99 < 300, `${p99} ms`);
    });
  }
});

describe('streams that take all the time', () => {
  it('go on, and so many are begun besides that their events are not late', () => {
    const gateway = new SimulatedGateway();
    // Each takes 5 ms in 2 s: five hundred a second are two and a half times too many.
    gateway.asks({ tenant: 'a', rate: 0.5, until: 15 * SECOND, upstream: UPSTREAM, events: 100 });
    gateway.run(20 * SECOND);
    assert.ok(refused(gateway.seen).length > 1000);
    const late = gateway.late.filter(({ at }) => at > 5 * SECOND && at < 15 * SECOND).map(({ ms }) => ms);
    assert.ok(quantile(late, 0.99) < 100, `${quantile(late, 0.99)} ms`);
    // What they were at full speed is 190 a second.
    const done = answered(gateway.seen).filter(
      ({ at, ms }) => at + ms > 10 * SECOND && at + ms < 15 * SECOND,
    );
    assert.ok(done.length > 400, `${done.length} streams in 5 s`);
  });
});

describe('when it is over', () => {
  it('nothing is refused any more, and nobody waits', () => {
    const gateway = new SimulatedGateway();
    gateway.asks({ tenant: 'a', rate: 3 * CAPACITY, until: 3 * SECOND, upstream: UPSTREAM });
    gateway.asks({
      tenant: 'a',
      rate: 0.5 * CAPACITY,
      from: 4 * SECOND,
      until: 6 * SECOND,
      upstream: UPSTREAM,
    });
    gateway.run(7 * SECOND);
    const after = since(4 * SECOND, gateway.seen);
    assert.equal(refused(after).length, 0);
    assert.ok(times(after).p99 < UPSTREAM + 5);
    assert.equal(gateway.waiting, 0);
  });

  it('clients that were refused may come back all at once', () => {
    const gateway = new SimulatedGateway();
    gateway.asks({ tenant: 'a', rate: 2 * CAPACITY, until: 3 * SECOND, upstream: UPSTREAM });
    gateway.asks({ tenant: 'a', rate: 1e6, from: 5 * SECOND, until: 5 * SECOND + 0.003, upstream: UPSTREAM });
    gateway.run(7 * SECOND);
    assert.equal(refused(since(5 * SECOND, gateway.seen)).length, 0);
  });
});
