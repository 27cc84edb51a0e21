/** Who shares an answer that is on its way, and when the work for it ends. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cancellation } from '../../src/core/cancellation.ts';
import { Room } from '../../src/replay/answer-log.ts';
import { type AnswerHead, MOST_BYTES } from '../../src/replay/cache.ts';
import { Audience, type Flight, Flights } from '../../src/replay/flights.ts';
import { ManualClock } from '../support/manual-clock.ts';

const HEAD: AnswerHead = { status: 200, headers: {}, streamed: true, target: 'a/up' };

/** A request whose own client is there. */
function newWork(room?: Room) {
  const work = new Cancellation();
  const audience = new Audience(work);
  audience.enter();
  const flights = new Flights(room);
  const flight = flights.start('k', audience, true);
  return { work, audience, flights, flight, clock: new ManualClock() };
}

/** All that a reader is given, if it never is slow. */
function heard(flight: Flight): { text: string; end: string | null } {
  const told = { text: '', end: null as string | null };
  flight.join().reading.start({
    write(bytes) {
      told.text += bytes.toString();
      return true;
    },
    end: () => {
      told.end = 'end';
    },
    lost: () => {
      told.end = 'lost';
    },
  });
  return told;
}

describe('one who waits for an answer to begin', () => {
  it('boards when it begins, also when it has begun already', async () => {
    const { flight, clock, work } = newWork();
    const early = flight.join().boarding(clock, 1000, new Cancellation());
    flight.begin(HEAD, null);
    const late = flight.join().boarding(clock, 1000, new Cancellation());
    assert.deepEqual(await Promise.all([early, late]), ['begun', 'begun']);
    assert.equal(work.reason, null);
    assert.equal(clock.pending, 0);
  });

  it('is let go when there is none, and the work has lost it', async () => {
    const { flight, clock, work, audience } = newWork();
    const waits = [1, 2].map(() => flight.join().boarding(clock, 1000, new Cancellation()));
    flight.close(null);
    assert.deepEqual(await Promise.all(waits), ['released', 'released']);
    assert.equal(work.reason, null);
    audience.leave();
    assert.equal(work.reason, 'client_gone');
    assert.equal(clock.pending, 0);
  });

  it('waits no longer than it may', async () => {
    const { flight, clock, work, audience } = newWork();
    const cancellation = new Cancellation();
    const wait = flight.join().boarding(clock, 1000, cancellation);
    clock.advance(999);
    flight.log.append(Buffer.from('nothing is begun yet'));
    clock.advance(1);
    assert.equal(await wait, 'late');
    audience.leave();
    assert.equal(work.reason, 'client_gone', 'it does not count any more');
    cancellation.cancel('client_gone');
  });

  it('stops waiting with its own client, and the work goes on for the others', async () => {
    const { flight, clock, work, audience } = newWork();
    const own = new Cancellation();
    const wait = flight.join().boarding(clock, 1000, own);
    audience.leave();
    assert.equal(work.reason, null);
    own.cancel('client_gone');
    assert.equal(work.reason, 'client_gone');
    assert.equal(await wait, 'cancelled');
    assert.equal(clock.pending, 0);
  });

  it('whose client left before it began to wait does not wait', async () => {
    const { flight, clock, work } = newWork();
    const own = new Cancellation();
    own.cancel('client_gone');
    assert.equal(await flight.join().boarding(clock, 1000, own), 'cancelled');
    assert.equal(work.reason, null);
    assert.equal(clock.pending, 0);
  });

  it('takes the end of the process to the work', async () => {
    const { flight, clock, work } = newWork();
    const own = new Cancellation();
    const wait = flight.join().boarding(clock, 1000, own);
    own.cancel('shutdown');
    assert.equal(work.reason, 'shutdown');
    assert.equal(await wait, 'cancelled');
  });

  it('that was superseded leaves, and nothing else', async () => {
    const { flight, clock, work } = newWork();
    const own = new Cancellation();
    const wait = flight.join().boarding(clock, 1000, own);
    own.cancel('superseded');
    assert.equal(await wait, 'cancelled');
    assert.equal(work.reason, null);
  });
});

describe('the work for an answer', () => {
  it('ends when the last one leaves, in whatever order, and each leaves once', () => {
    const { flight, work, audience } = newWork();
    flight.begin(HEAD, null);
    const [one, two] = [flight.join(), flight.join()];
    one.leave();
    one.leave();
    audience.leave();
    assert.equal(work.reason, null);
    two.leave();
    assert.equal(work.reason, 'client_gone');
  });
});

describe('an answer on its way', () => {
  it('is heard by all who share it, and how it ended is known', async () => {
    const { flight } = newWork();
    flight.begin(HEAD, null);
    const one = heard(flight);
    flight.log.append(Buffer.from('a'));
    const two = heard(flight);
    flight.log.append(Buffer.from('b'));
    flight.log.end();
    flight.close('ok');
    assert.deepEqual(
      [one, two],
      [
        { text: 'ab', end: 'end' },
        { text: 'ab', end: 'end' },
      ],
    );
    assert.equal(await flight.outcome, 'ok');
  });

  it('that breaks off without an end is lost to those who share it', async () => {
    const { flight } = newWork();
    flight.begin(HEAD, null);
    const one = heard(flight);
    flight.log.append(Buffer.from('a'));
    flight.close(null);
    assert.deepEqual(one, { text: 'a', end: 'lost' });
    assert.equal(await flight.outcome, null);
  });

  it('that is released is begun all the same, for its own client', () => {
    const { flight } = newWork();
    flight.release();
    flight.begin(HEAD, null);
    assert.equal(flight.head, HEAD);
    assert.equal(flight.isOpen, false);
    assert.ok(flight.log.read(true) !== null);
  });

  it('that is released after it has begun is not taken from those who share it', () => {
    const { flight } = newWork();
    flight.begin(HEAD, null);
    const one = heard(flight);
    flight.release();
    flight.log.append(Buffer.from('a'));
    flight.log.end();
    assert.deepEqual(one, { text: 'a', end: 'end' });
  });
});

describe('the answers that can be found', () => {
  it('are those that others may share, until they are over', () => {
    const { flights, flight, audience } = newWork();
    assert.equal(flights.find('k'), flight);
    assert.equal(flights.find('other'), null);
    flights.start('secret', audience, false);
    assert.equal(flights.find('secret'), null);
    flights.unlist('k', flight);
    assert.equal(flights.find('k'), null);
    assert.equal(flights.size, 0);
  });

  it('are not those whose beginning is gone: the next one takes the place', () => {
    const { flights, flight, audience } = newWork();
    flight.log.append(Buffer.alloc(MOST_BYTES));
    assert.equal(flights.find('k'), flight);
    flight.log.append(Buffer.alloc(1));
    assert.equal(flights.find('k'), null);
    const next = flights.start('k', audience, true);
    flights.unlist('k', flight);
    assert.equal(flights.find('k'), next, 'only its own place is given up');
  });

  it('take no room when they are over', () => {
    const room = new Room(1000);
    const { flight } = newWork(room);
    flight.log.append(Buffer.alloc(600));
    assert.equal(room.left, 400);
    flight.log.end();
    flight.close('ok');
    assert.equal(room.left, 1000);
  });
});
