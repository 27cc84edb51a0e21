/** What is kept of answers holds little more in memory than what is counted, whatever it was cut from. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AnswerLog, Room } from '../../src/replay/answer-log.ts';
import { EventLog, LogCursor } from '../../src/replay/event-log.ts';
import { MemoryCache } from '../../src/replay/memory-cache.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { answer, place } from './cache-kit.ts';

const KB = 1024;

/** What these keep in memory together. Bytes. */
function heldBy(pieces: readonly Buffer[]): number {
  const all = new Set(pieces.map(({ buffer }) => buffer));
  return [...all].reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** A small piece of what was read at once. */
function cut(length: number, fill: string): Buffer {
  return Buffer.allocUnsafeSlow(Math.max(64 * KB, 2 * length))
    .fill(fill)
    .subarray(0, length);
}

/** One that has its memory to itself. */
function whole(length: number, fill: string): Buffer {
  return Buffer.allocUnsafeSlow(length).fill(fill);
}

/** In turn. */
const SIZES: readonly number[][] = [
  [150],
  [220],
  [3_000],
  [5_000],
  [10_100],
  [20_000],
  [40_000],
  [150, 20_000],
  [10_100, 30],
  [16_384, 1],
  [33_000, 32_000],
];

function letter(index: number): string {
  return String.fromCharCode(97 + (index % 26));
}

function logOf(most: number): { log: AnswerLog; room: Room } {
  const room = new Room(100_000_000);
  return { log: new AnswerLog({ most, room, onReady() {} }), room };
}

/** What a reader from the beginning is given. */
function readAll(log: AnswerLog): Buffer[] {
  const pieces: Buffer[] = [];
  log.read(false)?.start({
    write(bytes) {
      pieces.push(bytes);
      return true;
    },
    end() {},
    lost() {},
  });
  return pieces;
}

describe('the memory that an answer holds while it comes', () => {
  for (const piece of [cut, whole]) {
    for (const sizes of SIZES) {
      it(`is what is counted, about, in pieces of ${sizes.join(' and ')} bytes, ${piece.name}`, () => {
        const { log, room } = logOf(1_000_000);
        let text = '';
        for (let i = 0; text.length < 900_000; i++) {
          const length = sizes[i % sizes.length] as number;
          log.append(piece(length, letter(i)));
          text += letter(i).repeat(length);
        }
        const pieces = readAll(log);
        assert.ok(Buffer.concat(pieces).equals(Buffer.from(text)), 'to the byte');
        const counted = 100_000_000 - room.left;
        assert.equal(counted, text.length);
        assert.ok(heldBy(pieces) <= 1.3 * counted, `${heldBy(pieces)} for ${counted}`);
        log.end();
        const bytes = log.bytes();
        assert.ok(bytes?.equals(Buffer.from(text)));
        assert.equal(bytes?.buffer.byteLength, text.length);
      });
    }
  }

  it('is a few kilobytes for a short one, and none besides when it is kept', () => {
    const { log } = logOf(1_000_000);
    for (let i = 0; i < 3; i++) log.append(cut(150, letter(i)));
    assert.ok(heldBy(readAll(log)) <= 4 * KB);
    log.end();
    assert.equal(log.bytes()?.buffer.byteLength, 450);
  });

  it('keeps each piece in one, so that something may be said between any two', () => {
    const { log } = logOf(1_000_000);
    for (let i = 0; i < 2000; i++) log.append(cut(1 + ((i * 37) % 700), letter(i)));
    const ends = new Set<number>();
    let written = 0;
    for (let i = 0; i < 2000; i++) {
      written += 1 + ((i * 37) % 700);
      ends.add(written);
    }
    let read = 0;
    for (const { length } of readAll(log)) {
      read += length;
      assert.ok(ends.has(read), `${read}`);
    }
    assert.equal(read, written);
  });

  it('is bounded for one that is longer than what is kept, and its readers miss nothing', () => {
    const { log } = logOf(100 * KB);
    const fast = readAll(log);
    const slow: Buffer[] = [];
    const reading = log.read(true);
    reading?.start({ write: (bytes) => slow.push(bytes) < 0, end() {}, lost: () => assert.fail('it waits') });
    let appended = 0;
    while (log.append(cut(150, letter(appended)))) appended++;
    assert.ok(appended > 600, `${appended}`);
    for (let i = 1; i <= appended; i++) {
      log.append(cut(150, letter(appended + i)));
      reading?.resume();
    }
    while (Buffer.concat(slow).length < 150 * (2 * appended + 1)) reading?.resume();
    assert.ok(Buffer.concat(slow).equals(Buffer.concat(fast)));
    assert.equal(Buffer.concat(fast).length, 150 * (2 * appended + 1));
  });
});

describe('the memory that the events of a stream hold', () => {
  for (const sizes of SIZES) {
    it(`is what is counted, and that is little more than events of ${sizes.join(' and ')} bytes`, () => {
      const log = new EventLog(8_000_000);
      let written = 0;
      for (let i = 1; written < 900_000; i++) {
        const length = Math.max(12, sizes[i % sizes.length] as number);
        const head = `id: ${i}\n`;
        log.append(Buffer.from(`${head}${'x'.repeat(length - head.length - 2)}\n\n`), 1);
        written += length;
      }
      const cursor = new LogCursor(log, 0);
      const pieces: Buffer[] = [];
      for (let next = cursor.next(); next !== null; next = cursor.next()) pieces.push(next);
      assert.equal(Buffer.concat(pieces).length, written);
      assert.equal(heldBy(pieces), log.size);
      assert.ok(log.size <= 1.1 * written + 16 * KB, `${log.size} for ${written}`);
      log.end('over');
      const kept: Buffer[] = [];
      const again = new LogCursor(log, 0);
      for (let next = again.next(); next !== null; next = again.next()) kept.push(next);
      assert.equal(heldBy(kept), log.size);
      assert.ok(log.size <= 1.1 * written, `${log.size} for ${written}`);
    });
  }

  it('is given back by what a slow reader stands on: it does not hold what came after', () => {
    const log = new EventLog(1_000_000);
    for (let i = 1; i <= 20; i++) log.append(Buffer.from(`id: ${i}\n${'x'.repeat(10_000)}\n\n`), 1);
    const first = log.find(1);
    log.dropOldest();
    assert.ok(first?.next === null);
    assert.equal(log.first, 2);
  });
});

describe('the memory of kept answers', () => {
  it('holds no more than their own bytes', () => {
    const clock = new ManualClock();
    const cache = new MemoryCache({ wall: () => clock.wall() });
    const bodies: Buffer[] = [];
    for (let i = 0; i < 100; i++) {
      const body = i % 2 === 0 ? cut(700, letter(i)) : Buffer.from(letter(i).repeat(700));
      cache.put(place(`k${i}`), { ...answer(clock, ''), body });
      const kept = cache.near(place(`k${i}`))?.body as Buffer;
      assert.ok(kept.equals(body));
      bodies.push(kept);
    }
    assert.ok(heldBy(bodies) <= cache.size, `${heldBy(bodies)} for ${cache.size}`);
  });
});
