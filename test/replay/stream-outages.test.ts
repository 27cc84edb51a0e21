/** What becomes of streams when Redis, or whoever writes them, is away. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { StateUnavailable } from '../../src/state/unavailable.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis, until } from '../support/redis.ts';
import { event, events, open, openGateway, openSoon, Writer } from './stream-kit.ts';

const redis = await startRedis({ after });

let prefixes = 0;

/** Two gateways with keys of their own: where streams are written, and elsewhere. */
async function pair(t: Parameters<typeof openGateway>[0], options: Parameters<typeof openGateway>[2] = {}) {
  prefixes += 1;
  const prefix = `away${prefixes}`;
  const here = await openGateway(t, redis.url, { prefix, ...options });
  const there = await openGateway(t, redis.url, { prefix, ...options });
  return { here, there, key: (id: string) => `${prefix}:{acme}:s:${id}` };
}

const exists = async (key: string) => (await redis.call('EXISTS', key)) === 1;

describe('a stream whose gateway dies', () => {
  it('is given as far as it came, and then said to be interrupted', async (t) => {
    const clock = new ManualClock();
    const { here, key } = await pair(t);
    const there = await openGateway(t, redis.url, { prefix: `away${prefixes}`, clock });
    new Writer(here.streams).begin().write(3);
    const reader = await openSoon(there.streams, 's');
    await clock.advanceAsync(0);
    assert.equal(reader.text, events(1, 3));
    await here.die();
    await redis.call('HSET', key('s'), 'alive', 1);
    const look = async () => {
      clock.advance(200);
      await there.client.command('EXISTS', key('s'));
      await new Promise(setImmediate);
    };
    for (let i = 0; i < 15; i++) await look();
    // It may be back in a moment.
    assert.equal(reader.how, null);
    for (let i = 0; i < 15; i++) await look();
    assert.equal(reader.how, 'interrupted');
    assert.equal(reader.text, events(1, 3));
    assert.equal(clock.pending, 0);
    // Who comes later is told the same.
    const late = await open(there.streams, 's', 1);
    for (let i = 0; i < 30; i++) await look();
    assert.deepEqual([late.how, late.text], ['interrupted', events(2, 3)]);
  });

  it('is not taken for dead as long as it says that it lives, however quiet the stream is', async (t) => {
    const clock = new ManualClock();
    const { here, there, key } = await pair(t, { clock });
    const writer = new Writer(here.streams).begin().write(1);
    const reader = await openSoon(there.streams, 's');
    // Each time as if ten seconds had gone by since its last word.
    for (let i = 0; i < 10; i++) {
      await redis.call('HSET', key('s'), 'alive', 1);
      for (let j = 0; j < 16; j++) {
        clock.advance(200);
        await Promise.all([here, there].map(({ client }) => client.command('EXISTS', key('s'))));
        await new Promise(setImmediate);
      }
      assert.ok(Number(await redis.call('HGET', key('s'), 'alive')) > 1, 'it has said nothing');
    }
    assert.equal(reader.how, null);
    writer.write(1).end();
    for (let j = 0; j < 4; j++) await clock.advanceAsync(200);
    await until(async () => {
      await clock.advanceAsync(200);
      return reader.how;
    }, 'the end');
    assert.deepEqual([reader.how, reader.text], ['over', events(1, 2)]);
  });
});

describe('a stream that is removed elsewhere', () => {
  it('stops even if nothing comes of it just then', async (t) => {
    const clock = new ManualClock();
    const { here, there, key } = await pair(t, { clock });
    const writer = new Writer(here.streams).begin().write(1);
    await openSoon(there.streams, 's');
    await there.streams.remove('acme', 's');
    assert.equal(await exists(`${key('s')}:b`), false);
    await until(async () => {
      await clock.advanceAsync(500);
      return writer.wasRemoved === 1;
    }, 'the writer');
    assert.ok(clock.now() < 30_000);
    assert.equal(await here.streams.read('acme', 's', 0), 'unknown');
  });
});

describe('when Redis is back', () => {
  it('a stream is waited for until its writer has had the time to bring it', async (t) => {
    const own = await startRedis(t);
    const clock = new ManualClock();
    const here = await openGateway(t, own.url);
    const there = await openGateway(t, own.url, { clock, patience: 1_000 });
    await own.kill();
    await until(() => !there.client.allUp, 'it to be away');
    await own.start();
    await until(() => there.client.allUp && here.client.allUp, 'it to be back');
    const reading = open(there.streams, 's');
    const pausing = () => until(() => clock.pending === 1, 'a pause');
    while (clock.now() < 3_000) {
      await pausing();
      clock.advance(200);
    }
    await pausing();
    new Writer(here.streams).begin().write(2).end();
    await until(async () => (await own.call('EXISTS', 'spillway:{acme}:s:s:b')) === 1, 'the batch');
    clock.advance(1_000);
    const reader = await reading;
    assert.match(reader.text, /^id: 1\n/);
    reader.reading.close();
    // And no longer than that.
    clock.advance(3_000);
    const other = there.streams.read('acme', 'other', 0);
    await pausing();
    clock.advance(1_000);
    assert.equal(await other, 'unknown');
  });
});

describe('while Redis is away', () => {
  it('streams go on, are read where they are written, and are brought there when it is back', async (t) => {
    const own = await startRedis(t);
    const here = await openGateway(t, own.url, { commandTimeout: 500 });
    const there = await openGateway(t, own.url, { commandTimeout: 500 });
    const writer = new Writer(here.streams).begin().write(2);
    const follows = await openSoon(there.streams, 's');
    await until(() => follows.last === 2, 'the first');
    await own.kill();
    writer.write(3);
    const atOnce = new Writer(here.streams, { wanted: 'n', unused: false }).begin().write(1);
    assert.match(atOnce.id, /^fresh-/);
    assert.equal((await open(here.streams, 's')).text, events(1, 5));
    assert.equal((await open(here.streams, atOnce.id)).text, event(1));
    await assert.rejects(there.streams.read('acme', 's', 0), StateUnavailable);
    await assert.rejects(there.streams.remove('acme', 's'), StateUnavailable);
    atOnce.end();
    assert.equal((await open(here.streams, atOnce.id)).how, 'over');
    assert.equal(follows.how, null);
    await own.start();
    await until(() => follows.last === 5, 'what came meanwhile');
    writer.write(1).end();
    assert.equal(await follows.ended(), 'over');
    assert.equal(follows.text, events(1, 6));
    const other = await openSoon(there.streams, atOnce.id);
    assert.equal(await other.ended(), 'over');
  });

  it('a reader elsewhere is told so after a while', async (t) => {
    const own = await startRedis(t);
    const clock = new ManualClock();
    const here = await openGateway(t, own.url, { commandTimeout: 500 });
    const there = await openGateway(t, own.url, { clock, commandTimeout: 500 });
    new Writer(here.streams).begin().write(2);
    const reader = await openSoon(there.streams, 's');
    await own.kill();
    await until(async () => {
      await clock.advanceAsync(200);
      return reader.how;
    }, 'the end');
    assert.deepEqual([reader.how, reader.text], ['away', events(1, 2)]);
    assert.ok(clock.now() >= 30_000 && clock.now() < 40_000, `${clock.now()}`);
    assert.equal(clock.pending, 0);
  });

  it('a reader elsewhere forgives that as often as it is there again', async (t) => {
    const own = await startRedis(t);
    const clock = new ManualClock();
    const here = await openGateway(t, own.url, { commandTimeout: 500 });
    const there = await openGateway(t, own.url, { clock, commandTimeout: 500 });
    const writer = new Writer(here.streams).begin().write(1);
    const reader = await openSoon(there.streams, 's');
    for (let outage = 1; outage <= 2; outage++) {
      await own.kill();
      await until(() => !there.client.allUp, 'the outage');
      for (let i = 0; i < 100; i++) await clock.advanceAsync(200);
      await own.start();
      writer.write(1);
      await until(async () => {
        await clock.advanceAsync(10);
        return reader.last === outage + 1;
      }, 'what came meanwhile');
    }
    assert.equal(reader.how, null);
    writer.end();
  });

  it('what has been brought there can still be read where it was written, and what was removed there cannot', async (t) => {
    const own = await startRedis(t);
    const here = await openGateway(t, own.url, { commandTimeout: 500 });
    const there = await openGateway(t, own.url, { commandTimeout: 500 });
    new Writer(here.streams, { wanted: 'kept' }).begin().write(2).end();
    new Writer(here.streams, { wanted: 'removed' }).begin().write(2).end();
    await (await openSoon(there.streams, 'kept')).ended();
    await (await openSoon(there.streams, 'removed')).ended();
    await there.streams.remove('acme', 'removed');
    assert.equal(await here.streams.read('acme', 'removed', 0), 'unknown');
    await own.kill();
    assert.equal((await open(here.streams, 'kept')).text, events(1, 2));
    // It was let go of when it was found to be gone.
    await assert.rejects(here.streams.read('acme', 'removed', 0), StateUnavailable);
    await own.start();
    await until(() => here.client.allUp, 'the connection');
    assert.equal((await open(here.streams, 'kept')).text, events(1, 2));
  });
});

describe('a gateway that ends as it should', () => {
  it('leaves what it had of its streams to the others', async (t) => {
    const clock = new ManualClock();
    const { here, there } = await pair(t, { clock });
    const [over, going] = ['over', 'going'].map((wanted) => new Writer(here.streams, { wanted }).begin());
    over?.write(1);
    going?.write(1);
    await openSoon(there.streams, 'going');
    over?.write(400).end();
    going?.write(400);
    await here.streams.close();
    const reader = await open(there.streams, 'over');
    await until(() => reader.how, 'the end');
    assert.deepEqual([reader.how, reader.text], ['over', events(1, 401)]);
    assert.equal((await open(there.streams, 'going')).text, events(1, 401));
  });
});
