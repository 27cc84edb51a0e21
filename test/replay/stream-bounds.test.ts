import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EventLog, LogCursor } from '../../src/replay/event-log.ts';
import { MemoryStreams } from '../../src/replay/memory-streams.ts';
import { STREAM_LIFE } from '../../src/replay/stream-log.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { events, open, Writer } from './stream-kit.ts';

const KB = 1024;

describe('the memory of streams', () => {
  it('keeps one for ten minutes after its end, and for as long as it is under way', async () => {
    const clock = new ManualClock(1000);
    const streams = new MemoryStreams(clock);
    const first = new Writer(streams, { wanted: 'first' }).begin().write(2).end();
    const going = new Writer(streams, { wanted: 'going' }).begin().write(2);
    clock.advance(STREAM_LIFE / 2);
    const second = new Writer(streams, { wanted: 'second' }).begin().write(2).end();
    clock.advance(STREAM_LIFE / 2 - 1);
    assert.equal((await open(streams, 'first')).text, events(1, 2));
    clock.advance(1);
    assert.equal(await streams.read('acme', 'first', 0), 'unknown');
    assert.equal((await open(streams, 'second')).text, events(1, 2));
    clock.advance(STREAM_LIFE / 2);
    assert.equal(await streams.read('acme', 'second', 0), 'unknown');
    clock.advance(10 * STREAM_LIFE);
    assert.equal((await open(streams, 'going')).text, events(1, 2));
    going.end();
    clock.advance(STREAM_LIFE);
    assert.deepEqual([streams.count, streams.size, clock.pending], [0, 0, 0]);
    assert.deepEqual([first.wasRemoved, second.wasRemoved, going.wasRemoved], [0, 0, 0]);
  });

  it('lets go of what ended first when there is too much', async () => {
    const streams = new MemoryStreams(new ManualClock(), { stream: 100 * KB, all: 200 * KB });
    const going = new Writer(streams, { wanted: 'going' }).begin().write(1);
    for (const id of ['a', 'b', 'c']) {
      new Writer(streams, { wanted: id })
        .begin()
        .writeText(`data: ${'x'.repeat(50 * KB)}\n\n`)
        .end();
    }
    for (const id of ['a', 'b', 'c']) await open(streams, id);
    // What was asked for last is no younger for that.
    new Writer(streams, { wanted: 'd' })
      .begin()
      .writeText(`data: ${'x'.repeat(50 * KB)}\n\n`)
      .end();
    assert.equal(await streams.read('acme', 'a', 0), 'unknown');
    for (const id of ['b', 'c', 'd', 'going']) await open(streams, id);
    assert.ok(streams.size <= 200 * KB, `${streams.size}`);
    going.end();
    await streams.close();
    assert.deepEqual([streams.count, streams.size], [0, 0]);
  });

  it('lets go of the oldest events of the largest stream when all of them are under way', async () => {
    const streams = new MemoryStreams(new ManualClock(), { stream: 100 * KB, all: 160 * KB });
    const small = new Writer(streams, { wanted: 'small' }).begin().write(3);
    const large = [0, 1].map((i) => new Writer(streams, { wanted: `large${i}` }).begin());
    const slow = await open(streams, 'large0', 0, { room: 1 });
    for (let i = 0; i < 400; i++) for (const one of large) one.writeText(`data: ${'x'.repeat(KB)}\n\n`);
    assert.ok(streams.size <= 160 * KB, `${streams.size}`);
    assert.equal((await open(streams, 'small')).text, events(1, 3));
    for (const { id } of large) {
      const found = await streams.read('acme', id, 0);
      assert.ok(found !== 'unknown' && 'kind' in found && found.first > 200, 'its beginning is kept');
      const rest = await open(streams, id, found.first - 1);
      assert.equal(rest.last, 400);
    }
    assert.deepEqual([slow.how, slow.last], ['behind', 1]);
    small.end();
    await streams.close();
  });

  it('is not taken by names, nor by streams of which nothing comes', () => {
    const clock = new ManualClock();
    const streams = new MemoryStreams(clock, { stream: 100 * KB, all: 100 * KB });
    for (let i = 0; i < 1000; i++) new Writer(streams, { wanted: `n${i}` }).begin().write(1).end();
    assert.ok(streams.count < 50, `${streams.count}`);
    assert.ok(streams.size <= 100 * KB);
    for (let i = 0; i < 10; i++) new Writer(streams, { wanted: `m${i}` }).log.abandon();
    clock.advance(STREAM_LIFE);
    assert.deepEqual([streams.count, streams.size], [0, 0]);
  });

  it('holds little more than their events', () => {
    const streams = new MemoryStreams(new ManualClock());
    const writer = new Writer(streams).begin();
    for (let i = 0; i < 1000; i++) writer.write(1);
    assert.ok(streams.size < events(1, 1000).length + 16 * KB + 4 * KB, `${streams.size}`);
    writer.end();
    assert.ok(streams.size < events(1, 1000).length + 4 * KB, `${streams.size}`);
    const before = streams.size;
    const large = new Writer(streams, { wanted: 'large' }).begin();
    for (let i = 0; i < 300; i++) large.writeText(`data: ${'x'.repeat(10_000)}\n\n`);
    assert.ok(streams.size - before < 3_000_000 + 40 * KB, `${streams.size}`);
  });

  it('may let go of what a reader has without its missing anything', () => {
    const log = new EventLog(100 * KB);
    log.append(Buffer.from(events(1, 2)), 2);
    const cursor = new LogCursor(log, 0);
    assert.equal(cursor.next()?.toString(), events(1, 2));
    log.dropOldest();
    assert.deepEqual([log.size, log.first, cursor.next()], [0, 3, null]);
    log.append(Buffer.from(events(3, 4)), 2);
    assert.equal(cursor.next()?.toString(), events(3, 4));
  });

  it('of events that are larger than it keeps is none, and who waits for one is told so', async () => {
    const streams = new MemoryStreams(new ManualClock(), { stream: 10 * KB, all: 100 * KB });
    const writer = new Writer(streams).begin().write(2);
    const reader = await open(streams, 's');
    writer.writeText(`data: ${'x'.repeat(11 * KB)}\n\n`);
    assert.deepEqual([reader.how, reader.last], ['behind', 2]);
    writer.write(2).end();
    assert.deepEqual(await streams.read('acme', 's', 2), { kind: 'dropped', first: 4 });
    assert.equal((await open(streams, 's', 3)).text, events(4, 5));
  });
});
