import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis, until } from '../support/redis.ts';
import { MASTER, type SentinelOptions, type Sentinels, startSentinels } from '../support/redis-sentinel.ts';
import { startRespStub } from '../support/resp-stub.ts';
import { COUNT, open, outcome, type TestState } from './helpers.ts';

interface Watched extends Sentinels {
  state: TestState;
}

async function start(t: TestContext, options: SentinelOptions = {}): Promise<Watched> {
  const watched = await startSentinels(t, options);
  const state = open(t, {
    kind: 'sentinel',
    sentinels: watched.sentinels.map(({ host, port }) => `${host}:${port}`),
    name: MASTER,
    username: null,
    password: null,
    database: 0,
    tls: false,
  });
  return { ...watched, state };
}

/** It is back, and what is written is written to this one. */
async function serves({ state }: Watched, server: Sentinels['first']): Promise<void> {
  await until(async () => {
    const { unavailable } = await outcome(() => state.run(COUNT, ['served'], [1]));
    return unavailable === null && (await server.call('GET', 'served')) !== null;
  }, 'the master to be back');
  assert.match(String(await server.call('INFO', 'replication')), /role:master/);
}

// Each has servers of its own and mostly waits for them.
describe('a master that sentinels watch over', { concurrency: true }, () => {
  it('is found, and followed when another is made master', async (t) => {
    const watched = await start(t);
    const { state } = watched;
    assert.equal(await state.run(COUNT, ['a'], [1]), 1);
    await watched.failOver();
    assert.equal((await state.change(0)).up, false);
    assert.deepEqual(await state.change(1), { node: 'redis', up: true, why: null });
    await serves(watched, watched.second);
  });

  it('is followed at once by whoever is writing', async (t) => {
    const watched = await start(t);
    const { state, second } = watched;
    await state.run(COUNT, ['a'], [1]);
    let going = true;
    t.after(async () => {
      going = false;
    });
    const writing = (async () => {
      while (going) {
        await outcome(() => state.run(COUNT, ['b'], [1]));
        await new Promise(setImmediate);
      }
    })();
    await watched.failOver();
    const away = performance.now();
    await state.change(0);
    assert.equal((await state.change(1)).up, true);
    assert.ok(performance.now() - away < 1_000, `it took ${performance.now() - away} ms`);
    going = false;
    await writing;
    await serves(watched, second);
  });

  it('is followed when it is killed', async (t) => {
    const watched = await start(t, { sentinels: 3, quorum: 2 });
    await watched.state.run(COUNT, ['a'], [1]);
    await watched.first.kill();
    assert.equal((await watched.state.change(0)).up, false);
    await serves(watched, watched.second);
    assert.equal(watched.state.changes.length, 2);
  });

  it('is followed when it is frozen, though its connection stays', async (t) => {
    const watched = await start(t);
    await watched.state.run(COUNT, ['a'], [1]);
    watched.first.freeze();
    const { unavailable } = await outcome(() => watched.state.run(COUNT, ['a'], [1]));
    assert.equal(unavailable, 'redis: no answer within 1000 ms');
    await serves(watched, watched.second);
    watched.first.thaw();
  });

  it('is left when the sentinels have another, though it hears nothing of it', async (t) => {
    const watched = await start(t);
    const { state, first, second, sentinels } = watched;
    await state.run(COUNT, ['a'], [1]);
    // To the sentinel the first one is frozen; by the time it goes on, and before it is told, it is a master of its own.
    first.freeze();
    await until(async () => (await watched.master()) === second, 'a failover');
    for (const sentinel of sentinels) sentinel.freeze();
    first.thaw();
    for (const sentinel of sentinels) sentinel.thaw();
    await serves(watched, second);
  });

  it('is found by sentinels that want a password of their own, which is not that of the master', async (t) => {
    const watched = await startSentinels(t, {
      users: { ann: 'on >master ~* &* +@all' },
      sentinelUsers: { eve: 'on >sentinel ~* &* +@all' },
    });
    const [sentinel] = watched.sentinels;
    const state = open(t, {
      kind: 'sentinel',
      sentinels: [sentinel?.urlFor('eve', 'sentinel').replace('/0', '') ?? ''],
      name: MASTER,
      username: 'ann',
      password: 'master',
      database: 3,
      tls: false,
    });
    assert.equal(await state.run(COUNT, ['a'], [1]), 1);
    assert.match(String(await watched.first.call('CLIENT', 'LIST')), /name=spillway-g1 .*user=ann/);
    assert.equal(await watched.first.connect({ db: 3 }).get('a'), '1');
  });

  it('is away where no sentinel knows it, or none is there, in so many words', async (t) => {
    const watched = await startSentinels(t);
    const gone = await startRedis(t);
    await gone.kill();
    const settings = {
      kind: 'sentinel',
      username: null,
      password: 'secret',
      database: 0,
      tls: false,
    } as const;
    const [{ host, port } = gone] = watched.sentinels;
    const unknown = open(t, { ...settings, sentinels: [`${host}:${port}`], name: 'other' });
    assert.match(
      String((await unknown.change(0)).why),
      /no sentinel says where .* No such master with that name/,
    );
    const alone = open(t, { ...settings, sentinels: [`127.0.0.1:${gone.port}`], name: MASTER });
    assert.match(String((await alone.change(0)).why), /no sentinel says where .*ECONNREFUSED/);
    const both = open(t, {
      ...settings,
      password: null,
      sentinels: [`127.0.0.1:${gone.port}`, `${host}:${port}`],
      name: MASTER,
    });
    assert.equal(await both.command('SET', 'a', '1'), 'OK');
  });

  it('is left by and by where nobody may listen to what the sentinels have to say', async (t) => {
    const clock = new ManualClock();
    const watched = await startSentinels(t, { sentinelUsers: { eve: 'on >x ~* resetchannels +@all' } });
    const [sentinel] = watched.sentinels;
    const settings = { kind: 'sentinel', name: MASTER, username: null, password: null, database: 0 } as const;
    const sentinels = [sentinel?.urlFor('eve', 'x').replace('/0', '') ?? ''];
    const state = open(t, { ...settings, sentinels, tls: false }, { clock });
    await state.started;
    await watched.failOver();
    await until(async () => {
      await clock.advanceAsync(50);
      return state.changes.length === 2;
    }, 'the other master');
    await serves({ ...watched, state }, watched.second);
  });

  it('is where the sentinel with the latest news says, whoever answers last', async (t) => {
    const server = await startRedis(t);
    const say = (port: number, epoch: number) =>
      startRespStub(t, ([command]) =>
        command === 'SENTINEL'
          ? ['name', MASTER, 'ip', '127.0.0.1', 'port', `${port}`, 'config-epoch', `${epoch}`]
          : undefined,
      );
    const [old, latest, older] = [await say(1, 9), await say(server.port, 10), await say(2, 8)];
    const sentinels = [old, latest, older].map(({ port }) => `127.0.0.1:${port}`);
    const settings = { kind: 'sentinel', name: MASTER, username: null, password: null, database: 0 } as const;
    // On a clock that stands still: how long a busy machine takes for it is no matter.
    const state = open(t, { ...settings, sentinels, tls: false }, { clock: new ManualClock() });
    assert.equal(await state.command('SET', 'a', '1'), 'OK');
    assert.deepEqual(state.changes, []);
  });

  it('is asked for now and then, should nobody say a word', async (t) => {
    const clock = new ManualClock();
    const [first, second] = [await startRedis(t), await startRedis(t)];
    let master = first;
    const stub = await startRespStub(t, ([command]) =>
      command === 'SENTINEL' ? ['ip', '127.0.0.1', 'port', `${master.port}`, 'config-epoch', '1'] : undefined,
    );
    const settings = { kind: 'sentinel', name: MASTER, username: null, password: null, database: 0 } as const;
    const state = open(t, { ...settings, sentinels: [`127.0.0.1:${stub.port}`], tls: false }, { clock });
    await state.started;
    master = second;
    await until(async () => {
      await clock.advanceAsync(50);
      return state.changes.length === 2;
    }, 'the other master');
    assert.ok(clock.now() < 6_000);
    assert.equal(state.changes[0]?.why, 'the master is another one now');
    await state.run(COUNT, ['a'], [1]);
    assert.equal(await second.call('GET', 'a'), '1');
  });

  it('is not looked for any more once the client is closed', async (t) => {
    const watched = await startSentinels(t);
    const settings = { kind: 'sentinel', name: MASTER, username: null, password: null, database: 0 } as const;
    const [{ url } = { url: '' }] = watched.sentinels;
    for (const frozen of [true, false]) {
      const clock = new ManualClock();
      if (frozen) watched.sentinels[0]?.freeze();
      const state = open(t, { ...settings, sentinels: [url], tls: false }, { clock });
      // It is being asked.
      await new Promise(setImmediate);
      await state.close();
      await new Promise(setImmediate);
      assert.equal(clock.pending, 0);
      watched.sentinels[0]?.thaw();
    }
    await watched.sentinels[0]?.call('PING');
    assert.doesNotMatch(String(await watched.first.call('CLIENT', 'LIST')), /name=spillway/);
  });
});
