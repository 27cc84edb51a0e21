/** One answer, many readers: whatever their pace and whenever they come, each gets exactly its bytes, and memory stays bounded. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { AnswerLog, type LogReading, Room } from '../../src/replay/answer-log.ts';

interface Logged {
  log: AnswerLog;
  room: Room;
  /** How often the writer was told that it may go on. */
  ready(): number;
}

function newLog(most = 1000, room = new Room(1_000_000)): Logged {
  let ready = 0;
  const log = new AnswerLog({
    most,
    room,
    onReady() {
      ready++;
    },
  });
  return { log, room, ready: () => ready };
}

/** A reader that takes so many pieces before it is slow, and again after each `resume`. */
class Reader {
  readonly reading: LogReading;
  readonly pieces: Buffer[] = [];
  ended: 'end' | 'lost' | null = null;
  #takes: number;

  constructor(reading: LogReading, takes = Infinity) {
    this.reading = reading;
    this.#takes = takes;
  }

  start(): this {
    this.reading.start({
      write: (bytes) => {
        assert.equal(this.ended, null, 'nothing comes after the end');
        this.pieces.push(bytes);
        return --this.#takes > 0;
      },
      end: () => this.#end('end'),
      lost: () => this.#end('lost'),
    });
    return this;
  }

  resume(takes = Infinity): void {
    this.#takes = takes;
    this.reading.resume();
  }

  get text(): string {
    return Buffer.concat(this.pieces).toString();
  }

  #end(how: 'end' | 'lost'): void {
    assert.equal(this.ended, null, 'it ends once');
    this.ended = how;
  }
}

function join(log: AnswerLog, takes = Infinity, mayHoldUp = false): Reader {
  const reading = log.read(mayHoldUp);
  assert.ok(reading !== null);
  return new Reader(reading, takes).start();
}

describe('the record of an answer that is still coming', () => {
  it('gives readers all of it, whenever they came', () => {
    const { log } = newLog();
    const before = join(log);
    log.append(Buffer.from('one '));
    const between = join(log);
    log.append(Buffer.from('two '));
    assert.equal(between.text, 'one two ');
    log.append(Buffer.from('three'));
    assert.deepEqual([before.ended, between.ended], [null, null]);
    log.end();
    const after = join(log);
    for (const reader of [before, between, after]) {
      assert.equal(reader.text, 'one two three');
      assert.equal(reader.ended, 'end');
    }
    assert.equal(log.bytes()?.toString(), 'one two three');
  });

  it('has no whole before its end', () => {
    const { log } = newLog();
    log.append(Buffer.from('begun'));
    assert.equal(log.bytes(), null);
  });

  it('does not wait for a slow reader while another one takes more', () => {
    const { log, ready } = newLog();
    const slow = join(log, 1);
    const fast = join(log);
    assert.equal(log.append(Buffer.from('a')), true);
    assert.equal(log.append(Buffer.from('b')), true);
    assert.equal(slow.text, 'a');
    assert.equal(fast.text, 'ab');
    assert.equal(ready(), 0);
  });

  it('has its writer wait when nobody takes more, and go on when one does', () => {
    const { log, ready } = newLog();
    const one = join(log, 1);
    const two = join(log, 1);
    assert.equal(log.append(Buffer.from('a')), false);
    two.resume(1);
    assert.equal(ready(), 1);
    assert.equal(log.append(Buffer.from('b')), false);
    one.resume();
    assert.equal(ready(), 2);
    assert.equal(one.text, 'ab');
  });

  it('goes on when the only slow reader leaves', () => {
    const { log, ready } = newLog();
    const reader = join(log, 1);
    assert.equal(log.append(Buffer.from('a')), false);
    reader.reading.stop();
    assert.equal(ready(), 1);
    assert.equal(log.append(Buffer.from('b')), true);
    assert.equal(reader.text, 'a');
  });

  it('does not let go on who waits for one that resumes and is slow again at once', () => {
    const { log, ready } = newLog();
    const reader = join(log, 1);
    log.append(Buffer.from('a'));
    log.append(Buffer.from('b'));
    reader.resume(1);
    assert.equal(reader.text, 'ab');
    assert.equal(ready(), 0);
  });

  it('drops a reader that falls too far behind, and no other', () => {
    const { log } = newLog(10);
    const slow = join(log, 1);
    const fast = join(log);
    for (let i = 0; i < 20; i++) assert.equal(log.append(Buffer.from('xx')), true);
    assert.equal(slow.ended, 'lost');
    assert.equal(slow.text, 'xx');
    log.end();
    assert.equal(fast.ended, 'end');
    assert.equal(fast.text.length, 40);
  });

  it('tells one that was lost before it began to read', () => {
    const { log } = newLog(10);
    const reading = log.read(false) as LogReading;
    const fast = join(log);
    for (let i = 0; i < 20; i++) log.append(Buffer.from('xx'));
    const late = new Reader(reading).start();
    assert.deepEqual([late.ended, late.text], ['lost', '']);
    assert.equal(fast.text.length, 40);
  });

  it('never drops the one that may hold up: there the writer waits, even if others read faster', () => {
    const { log, ready } = newLog(10);
    const own = join(log, 1, true);
    join(log);
    let written = 0;
    while (log.append(Buffer.from('xx'))) written++;
    assert.equal(written, 6, 'up to the bound behind the writer');
    assert.equal(own.ended, null);
    own.resume();
    assert.equal(ready(), 1);
    log.end();
    assert.deepEqual([own.ended, own.text.length], ['end', 14]);
  });

  it('is not kept whole beyond its bound, and nobody joins it then', () => {
    const { log, room } = newLog(10);
    const reader = join(log);
    log.append(Buffer.alloc(10, 'x'));
    assert.ok(log.isWhole);
    assert.equal(room.left, 1_000_000 - 10);
    log.append(Buffer.from('x'));
    assert.equal(log.isWhole, false);
    assert.equal(log.read(false), null);
    assert.equal(room.left, 1_000_000);
    log.end();
    assert.equal(log.bytes(), null);
    assert.equal(reader.text.length, 11);
  });

  it('is not kept whole where the room for all is taken, and goes on all the same', () => {
    const room = new Room(10);
    const first = newLog(1000, room);
    const second = newLog(1000, room);
    first.log.append(Buffer.alloc(8, 'a'));
    const reader = join(second.log);
    second.log.append(Buffer.alloc(4, 'b'));
    assert.deepEqual([first.log.isWhole, second.log.isWhole], [true, false]);
    second.log.end();
    assert.deepEqual([reader.text, reader.ended], ['bbbb', 'end']);
    first.log.end();
    first.log.free();
    assert.equal(room.left, 10);
  });

  it('keeps what its last readers still have to read when it is freed, and gives the room back after them', () => {
    const { log, room } = newLog();
    const slow = join(log, 1);
    for (const text of ['a', 'b', 'c']) log.append(Buffer.from(text));
    log.end();
    log.free();
    assert.equal(room.left, 1_000_000 - 3);
    slow.resume();
    assert.deepEqual([slow.text, slow.ended], ['abc', 'end']);
    assert.equal(room.left, 1_000_000);
    log.free();
    assert.equal(room.left, 1_000_000, 'given back once');
  });

  it('that breaks off without a word says so to its readers', () => {
    const { log, room } = newLog();
    const fast = join(log);
    const slow = join(log, 1);
    const waiting = log.read(false) as LogReading;
    log.append(Buffer.from('a'));
    log.append(Buffer.from('b'));
    log.abort();
    log.free();
    assert.deepEqual([fast.ended, slow.ended], ['lost', 'lost']);
    assert.equal(new Reader(waiting).start().ended, 'lost');
    assert.equal(log.bytes(), null);
    assert.equal(room.left, 1_000_000);
  });

  it('an end that was reached is not taken back', () => {
    const { log } = newLog();
    const reader = join(log, 1);
    log.append(Buffer.from('a'));
    log.append(Buffer.from('b'));
    log.end();
    log.abort();
    reader.resume();
    assert.deepEqual([reader.text, reader.ended], ['ab', 'end']);
  });

  it('nothing is called of a reader that has stopped', () => {
    const { log } = newLog();
    const reader = join(log);
    log.append(Buffer.from('a'));
    reader.reading.stop();
    reader.reading.resume();
    log.append(Buffer.from('b'));
    log.end();
    assert.deepEqual([reader.text, reader.ended], ['a', null]);
  });

  it('a reader may stop while it is given a piece', () => {
    const { log } = newLog(10_000);
    // Large ones are not joined.
    log.append(Buffer.alloc(400, 'a'));
    log.append(Buffer.alloc(4096, 'b'));
    const reading = log.read(false) as LogReading;
    const got: string[] = [];
    reading.start({
      write(bytes) {
        got.push(bytes.toString());
        reading.stop();
        return true;
      },
      end: () => assert.fail('it has stopped'),
      lost: () => assert.fail('it has stopped'),
    });
    log.end();
    assert.deepEqual(got, ['a'.repeat(400)]);
  });
});

type Step =
  | { kind: 'append'; size: number }
  | { kind: 'join'; takes: number; mayHoldUp: boolean }
  | { kind: 'resume'; reader: number; takes: number }
  | { kind: 'stop'; reader: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('append' as const), size: fc.integer({ min: 1, max: 9 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('join' as const),
      takes: fc.integer({ min: 1, max: 4 }),
      mayHoldUp: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('resume' as const),
      reader: fc.nat(20),
      takes: fc.integer({ min: 1, max: 4 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('stop' as const), reader: fc.nat(20) }) },
);

describe('readers of one answer, in any order of events', () => {
  it('each get exactly its bytes, from the first on, and an end if they keep up', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 5, max: 60 }), (steps, most) => {
        const { log, room } = newLog(most);
        const readers: { reader: Reader; mayHoldUp: boolean; stopped: boolean }[] = [];
        let written = '';
        const check = () => {
          for (const { reader, mayHoldUp, stopped } of readers) {
            assert.equal(reader.text, written.slice(0, reader.text.length));
            if (mayHoldUp) assert.notEqual(reader.ended, 'lost');
            if (reader.ended === null && !stopped && !mayHoldUp) {
              assert.ok(written.length - reader.text.length <= most, 'nobody is further behind than that');
            }
          }
          assert.ok(1_000_000 - room.left <= most);
        };
        for (const one of steps) {
          if (one.kind === 'append') {
            const text = String.fromCharCode(97 + (written.length % 26)).repeat(one.size);
            written += text;
            const flows = log.append(Buffer.from(text));
            const open = readers.filter(({ reader, stopped }) => !stopped && reader.ended === null);
            if (open.length === 0) assert.ok(flows, 'nobody is waited for');
            if (open.length > 0 && open.every(({ reader }) => reader.reading.isSlow))
              assert.equal(flows, false);
          } else if (one.kind === 'join') {
            const reading = log.read(one.mayHoldUp);
            assert.equal(reading === null, written.length > most);
            if (reading === null) continue;
            const reader = new Reader(reading, one.takes).start();
            readers.push({ reader, mayHoldUp: one.mayHoldUp, stopped: false });
          } else {
            const found = readers[one.reader % Math.max(1, readers.length)];
            if (found === undefined) continue;
            if (one.kind === 'resume') found.reader.resume(one.takes);
            else {
              found.reader.reading.stop();
              found.stopped = true;
            }
          }
          check();
        }
        log.end();
        assert.equal(log.bytes()?.toString() ?? null, written.length > most ? null : written);
        log.free();
        for (const { reader } of readers) reader.resume();
        for (const { reader, stopped } of readers) {
          if (stopped) continue;
          assert.notEqual(reader.ended, null);
          if (reader.ended === 'end') assert.equal(reader.text, written);
        }
        assert.equal(room.left, 1_000_000);
      }),
      { numRuns: 500 },
    );
  });
});
