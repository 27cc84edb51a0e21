/** What lies in Redis of streams, under which names, and how it comes there. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { Cancellation } from '../../src/core/cancellation.ts';
import { STREAM_LIFE } from '../../src/replay/stream-log.ts';
import { COMMANDS, rules } from '../gateways/kit.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis, until } from '../support/redis.ts';
import { event, events, open, openGateway, openSoon, untilClaimed, Writer } from './stream-kit.ts';

const redis = await startRedis({ after });

let prefixes = 0;

/** Two gateways with keys of their own: where streams are written, and elsewhere. */
async function pair(t: Parameters<typeof openGateway>[0], options: Parameters<typeof openGateway>[2] = {}) {
  prefixes += 1;
  const prefix = `p${prefixes}`;
  const here = await openGateway(t, redis.url, { prefix, ...options });
  const there = await openGateway(t, redis.url, { prefix, ...options });
  return { here, there, key: (id: string) => `${prefix}:{acme}:s:${id}` };
}

const exists = async (key: string) => (await redis.call('EXISTS', key)) === 1;

describe('a stream that is still on its way to Redis', () => {
  /** Whose own clock stands still: it asks, and pauses once it has been told that there is nothing. */
  async function asking(t: Parameters<typeof openGateway>[0]) {
    const { here } = await pair(t);
    const clock = new ManualClock();
    const there = await openGateway(t, redis.url, { prefix: `p${prefixes}`, clock, patience: 1_000 });
    return { here, there, clock, pausing: () => until(() => clock.pending === 1, 'a pause') };
  }

  it('is found by who comes back for it sooner', async (t) => {
    const { here, there, clock, pausing } = await asking(t);
    const reading = open(there.streams, 's');
    await pausing();
    new Writer(here.streams).begin().write(2).end();
    await until(() => exists(`p${prefixes}:{acme}:s:s:b`), 'the batch');
    clock.advance(1_000);
    const reader = await reading;
    assert.match(reader.text, /^id: 1\n/);
    reader.reading.close();
  });

  it('is stopped by who wants it no more', async (t) => {
    const { here, there, clock, pausing } = await asking(t);
    const removing = there.streams.remove('acme', 's');
    await pausing();
    const writer = new Writer(here.streams).begin().write(2);
    await until(() => exists(`p${prefixes}:{acme}:s:s:b`), 'the batch');
    clock.advance(1_000);
    assert.equal(await removing, true);
    writer.write(1);
    await until(() => writer.wasRemoved === 1, 'the writer');
  });

  it('is not waited for where whoever asked has gone', async (t) => {
    const { there, clock, pausing } = await asking(t);
    const asks = {
      unknown: (asker: Cancellation) => there.streams.read('acme', 's', 0, asker),
      false: (asker: Cancellation) => there.streams.remove('acme', 's', asker),
    };
    for (const [expected, ask] of Object.entries(asks)) {
      const asker = new Cancellation();
      const answer = ask(asker);
      await pausing();
      asker.cancel('client_gone');
      assert.equal(clock.pending, 0);
      assert.equal(String(await answer), expected);
      assert.equal(String(await ask(asker)), expected);
    }
  });

  it('is waited for no longer than a second', async (t) => {
    const { there, clock } = await asking(t);
    const asks = {
      unknown: () => there.streams.read('acme', 's', 0),
      false: () => there.streams.remove('acme', 's'),
    };
    for (const [expected, ask] of Object.entries(asks)) {
      const began = clock.now();
      let answer: unknown;
      void ask().then((one) => (answer = String(one)));
      while (answer === undefined) {
        await until(() => answer !== undefined || clock.pending === 1, 'a pause, or the answer');
        if (answer !== undefined) break;
        clock.advance(25);
      }
      assert.equal(answer, expected);
      assert.equal(clock.now() - began, 1_000);
    }
  });

  it('is not waited for where it was removed', async (t) => {
    const { here, there, clock } = await asking(t);
    const writer = new Writer(here.streams).begin().write(2);
    await until(() => exists(`p${prefixes}:{acme}:s:s:b`), 'the batch');
    assert.equal(await there.streams.remove('acme', writer.id), true);
    assert.equal(await there.streams.remove('acme', writer.id), false);
    assert.equal(await there.streams.read('acme', writer.id, 0), 'unknown');
    assert.equal(clock.pending, 0);
  });
});

describe('what lies in Redis of a stream', () => {
  it('shares the slot of its tenant, and goes by itself ten minutes after the last word of its writer', async (t) => {
    const { here, there, key } = await pair(t);
    new Writer(here.streams).begin().write(2).end();
    await (await openSoon(there.streams, 's')).ended();
    for (const one of [key('s'), `${key('s')}:b`]) {
      const left = Number(await redis.call('PTTL', one));
      assert.ok(left > STREAM_LIFE - 5000 && left <= STREAM_LIFE, `${one}: ${left}`);
      await redis.call('PEXPIRE', one, 0);
    }
    assert.equal(await there.streams.read('acme', 's', 0), 'unknown');
  });

  it('tells nothing without the secret, and another one does not open it', async (t) => {
    const { here, key } = await pair(t, { secret: 'a' });
    const other = await openGateway(t, redis.url, { prefix: `p${prefixes}`, secret: 'b' });
    new Writer(here.streams).begin().writeText('data: very private\n\n').end();
    await until(() => exists(`${key('s')}:b`), 'the batch');
    const [batch] = (await redis.call('ZRANGE', `${key('s')}:b`, 0, -1)) as [string];
    assert.match(batch, /^s[A-Za-z0-9+/=]+$/);
    assert.ok(!Buffer.from(batch.slice(1), 'base64').toString('latin1').includes('private'));
    assert.equal(await other.streams.read('acme', 's', 0), 'unknown');
  });

  it('is told to be unreadable as soon as that shows: one who came for what is yet to come has begun to read', async (t) => {
    const { here } = await pair(t, { secret: 'a' });
    const other = await openGateway(t, redis.url, { prefix: `p${prefixes}`, secret: 'b' });
    const writer = new Writer(here.streams).begin().write(1);
    await until(() => exists(`p${prefixes}:{acme}:s:s:b`), 'the batch');
    const reader = await open(other.streams, 's', 1);
    writer.write(1).end();
    assert.equal(await reader.ended(), 'unreadable');
    assert.equal(reader.text, '');
  });

  it('is not read in another order, nor with a hole in it', async (t) => {
    const { here, there, key } = await pair(t, { secret: 'a' });
    const writer = new Writer(here.streams).begin();
    for (let i = 1; i <= 3; i++) {
      writer.writeText(`data: ${'x'.repeat(20_000)}\n\n`);
      await until(async () => (await redis.call('ZCARD', `${key('s')}:b`)) === i, `batch ${i}`);
    }
    writer.end();
    await redis.call('ZREMRANGEBYRANK', `${key('s')}:b`, 1, 1);
    const hole = await openSoon(there.streams, 's');
    assert.equal(await hole.ended(), 'behind');
    assert.equal(hole.last, 1);
    const [first] = (await redis.call('ZRANGE', `${key('s')}:b`, 0, 0)) as [string];
    await redis.call('ZADD', `${key('s')}:b`, 2, first);
    assert.equal(await there.streams.read('acme', 's', 0), 'unknown');
  });

  it('comes there in few pieces, however many the events are', async (t) => {
    const { here, there } = await pair(t);
    const writer = new Writer(here.streams).begin();
    for (let i = 0; i < 500; i++) {
      writer.write(1);
      if (i % 10 === 0) await new Promise(setImmediate);
    }
    writer.end();
    await until(async () => (await redis.call('ZCARD', `p${prefixes}:{acme}:s:s:b`)) !== 0, 'it');
    const reader = await openSoon(there.streams, 's');
    assert.equal(await reader.ended(), 'over');
    assert.equal(reader.text, events(1, 500));
    const batches = Number(await redis.call('ZCARD', `p${prefixes}:{acme}:s:s:b`));
    assert.ok(batches <= 10, `${batches} batches`);
  });

  it('comes at once where nothing came before, then at intervals', async (t) => {
    const clock = new ManualClock();
    const { here, key } = await pair(t, { clock });
    const writer = new Writer(here.streams).begin();
    const batches = async () => {
      await here.client.command('EXISTS', key('s'));
      await new Promise(setImmediate);
      return Number(await redis.call('ZCARD', `${key('s')}:b`));
    };
    writer.write(1);
    assert.equal(await batches(), 1);
    for (let i = 0; i < 10; i++) writer.write(1);
    clock.advance(49);
    assert.equal(await batches(), 1);
    clock.advance(1);
    assert.equal(await batches(), 2);
    // A good deal of it does not wait for that.
    writer.writeText(`data: ${'x'.repeat(20_000)}\n\n`);
    assert.equal(await batches(), 3);
    clock.advance(60);
    assert.equal(await batches(), 3);
    writer.write(1);
    assert.equal(await batches(), 4);
    writer.end();
    await batches();
    assert.equal(await redis.call('HGET', key('s'), 'over'), '1');
  });

  it('is the latest of it where it is long', async (t) => {
    const { here, there, key } = await pair(t);
    const writer = new Writer(here.streams).begin();
    for (let i = 1; i <= 15; i++) {
      writer.writeText(`data: ${'x'.repeat(1_000_000)}\n\n`);
      await until(async () => (await redis.call('HGET', key('s'), 'last')) === `${i}`, `event ${i}`);
    }
    writer.end();
    const kept = Number(await redis.call('ZCARD', `${key('s')}:b`));
    assert.ok(kept >= 8 && kept <= 12, `${kept}`);
    assert.deepEqual(await there.streams.read('acme', 's', 0), { kind: 'dropped', first: 16 - kept });
    const reader = await open(there.streams, 's', 15 - kept);
    assert.equal(await reader.ended(), 'over');
    assert.equal(reader.text.match(/^id: /gm)?.length, kept);
  });

  it('may be evicted, which those who need it are told', async (t) => {
    const { here, there, key } = await pair(t);
    new Writer(here.streams).begin().write(5).end();
    await (await openSoon(there.streams, 's')).ended();
    await redis.call('DEL', `${key('s')}:b`);
    assert.deepEqual(await there.streams.read('acme', 's', 3), { kind: 'dropped', first: 6 });
    assert.equal(await (await open(there.streams, 's', 5)).ended(), 'over');
  });

  it('needs no command that the gateway did not need before', async (t) => {
    const strict = await startRedis(t, { users: { gateway: rules('secret', COMMANDS) } });
    const url = strict.urlFor('gateway', 'secret');
    const [here, there] = [await openGateway(t, url), await openGateway(t, url)];
    const writer = new Writer(here.streams, { wanted: 'a', unused: false });
    await untilClaimed(async () => (await strict.call('EXISTS', 'spillway:{acme}:s:a')) === 1);
    writer.begin();
    for (let i = 0; i < 20; i++) writer.writeText(`data: ${'x'.repeat(1_000_000)}\n\n`);
    writer.end();
    const reader = await openSoon(there.streams, 'a', 15);
    assert.equal(await reader.ended(), 'over');
    assert.equal(await there.streams.remove('acme', 'a'), true);
    const released = new Writer(here.streams, { wanted: 'b', unused: false });
    await untilClaimed(async () => (await strict.call('EXISTS', 'spillway:{acme}:s:b')) === 1);
    released.log.abandon();
    await until(async () => (await strict.call('EXISTS', 'spillway:{acme}:s:b')) === 0, 'the release');
  });
});

describe('the name that a client chose', () => {
  it('finds its stream anywhere before there is any of it', async (t) => {
    const { here, there, key } = await pair(t);
    const writer = new Writer(here.streams, { wanted: 'mine', unused: false });
    await untilClaimed(() => exists(key('mine')));
    const reader = await open(there.streams, 'mine');
    assert.equal(writer.begin().id, 'mine');
    writer.write(2).end();
    assert.equal(await reader.ended(), 'over');
    assert.equal(reader.text, events(1, 2));
  });

  it('is free again where nothing came of it', async (t) => {
    const { here, there, key } = await pair(t);
    const writer = new Writer(here.streams, { wanted: 'mine', unused: false });
    await untilClaimed(() => exists(key('mine')));
    writer.log.abandon();
    await until(async () => !(await exists(key('mine'))), 'the release');
    const next = new Writer(there.streams, { wanted: 'mine', unused: false });
    await until(() => exists(key('mine')), 'the next claim');
    assert.equal(next.begin().id, 'mine');
  });

  it('is not given to one that ends before anybody has said that it is free, and is free after that', async (t) => {
    const { here, key } = await pair(t);
    const abandoned = new Writer(here.streams, { wanted: 'quick', unused: false });
    abandoned.log.abandon();
    const renamed = new Writer(here.streams, { wanted: 'other', unused: false }).begin();
    assert.match(renamed.id, /^fresh-/);
    await until(async () => (await here.client.command('EXISTS', key('x'))) === 0, 'an answer');
    await until(async () => !(await exists(key('quick'))), 'the release');
    await until(async () => !(await exists(key('other'))), 'the release');
    renamed.write(1).end();
    assert.equal((await open(here.streams, renamed.id)).text, event(1));
  });

  it('that is taken at another gateway is not taken from it', async (t) => {
    const { here, there, key } = await pair(t);
    const first = new Writer(here.streams, { wanted: 'mine', unused: false });
    await untilClaimed(() => exists(key('mine')));
    first.begin().write(1);
    const second = new Writer(there.streams, { wanted: 'mine', unused: false });
    // Its claim has been answered when what was asked after it is.
    await there.client.command('EXISTS', key('mine'));
    assert.match(second.begin().id, /^fresh-/);
    second.write(5).end();
    first.write(1).end();
    const reader = await openSoon(there.streams, 'mine');
    assert.equal(await reader.ended(), 'over');
    assert.equal(reader.text, events(1, 2));
  });
});

describe('a reader elsewhere', () => {
  it('looks no more often for having been slow, and not at all while it is', async (t) => {
    const clock = new ManualClock();
    const { here } = await pair(t);
    const there = await openGateway(t, redis.url, { prefix: `p${prefixes}`, clock, patience: 1_000 });
    new Writer(here.streams).begin().write(1);
    const reader = await openSoon(there.streams, 's', 0, 1);
    assert.equal(reader.last, 1);
    assert.equal(clock.pending, 0);
    for (let i = 0; i < 5; i++) reader.take(10);
    assert.equal(clock.pending, 1);
    reader.reading.close();
    assert.equal(clock.pending, 0);
  });
});

describe('a name that Redis has forgotten', () => {
  it('belongs to whoever takes it next, and its first writer leaves it alone', async (t) => {
    const { here, there, key } = await pair(t);
    const first = new Writer(here.streams, { wanted: 'mine' }).begin().write(5);
    await until(() => exists(`${key('mine')}:b`), 'the first');
    for (const one of [key('mine'), `${key('mine')}:b`]) await redis.call('DEL', one);
    const second = new Writer(there.streams, { wanted: 'mine', unused: false });
    await untilClaimed(() => exists(key('mine')));
    assert.equal(second.begin().id, 'mine');
    second.write(1);
    first.write(1).end();
    second.write(1).end();
    assert.equal((await open(here.streams, 'mine')).text, events(1, 6));
    // Both have said all that they have to say.
    await Promise.all([here.streams.close(), there.streams.close()]);
    assert.deepEqual(await redis.call('HMGET', key('mine'), 'last', 'over'), ['2', '1']);
  });

  it('is not taken back by whoever had it before', async (t) => {
    const { here, there, key } = await pair(t);
    const first = new Writer(here.streams, { wanted: 'mine', unused: false });
    await untilClaimed(() => exists(key('mine')));
    await redis.call('DEL', key('mine'));
    const second = new Writer(there.streams, { wanted: 'mine' }).begin().write(1);
    await until(() => exists(`${key('mine')}:b`), 'the second');
    first.log.abandon();
    // Replies come in the order of the questions.
    await here.client.command('EXISTS', key('mine'));
    assert.ok(await exists(key('mine')));
    second.end();
  });
});
