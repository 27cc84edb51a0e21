import assert from 'node:assert/strict';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { inspect } from 'node:util';
import { prove } from '../../src/cli/tenant-proof.ts';
import { NotProvisioned, type Provisioning, provision } from '../../src/cli/tenant-provision.ts';
import { tenantUser } from '../../src/cli/tenant-user.ts';
import { type Clock, systemClock } from '../../src/core/clock.ts';
import { openServers, type Server } from '../../src/state/admin.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/process.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { cli } from './helpers.ts';
import { codeOf, configFor, connectAs, credentialsIn, start, usersOf } from './tenant-helpers.ts';

const DAY = '2026-11-22';
const NAME = 'spillway-tenant-acme';
const PASSWORD = 'correct-horse-battery-staple';

async function openOne(t: TestContext, redis: RedisServer, clock: Clock = systemClock): Promise<Server> {
  const { reached } = await openServers({ kind: 'single', url: redis.url }, clock);
  const [server] = reached;
  assert.ok(server !== undefined);
  t.after(() => server.close());
  return server;
}

function provisioning(servers: readonly Server[], changes: Partial<Provisioning> = {}): Provisioning {
  const user = tenantUser('acme', 'spillway', { kind: 'single', url: '' }, 0);
  const interrupted = new AbortController().signal;
  return { user, servers, password: PASSWORD, rotate: false, day: DAY, interrupted, ...changes };
}

/** Fails unless it was refused; the error must not hold the password, however it is printed. */
async function refused(work: Promise<unknown>): Promise<NotProvisioned> {
  const error = await work.then(
    () => assert.fail('it was done'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof NotProvisioned, inspect(error));
  assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), new RegExp(PASSWORD));
  return error;
}

/** Goes by what a client says before it is passed on, connection by connection. Bytes that are not passed on are lost. */
async function watched(t: TestContext, redis: RedisServer, pass: (said: string) => boolean): Promise<string> {
  const server = createServer((client) => {
    const upstream = connect(redis.port, redis.host);
    client.on('data', (chunk) => {
      if (pass(chunk.toString('latin1'))) upstream.write(chunk);
    });
    upstream.on('data', (chunk) => client.write(chunk));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      one.on('error', () => other.destroy());
      one.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What comes of `event`; fails if the command has ended without it. */
function beforeEnd<T>(event: Promise<T>, ended: ReturnType<typeof start>['ended']): Promise<T> {
  return Promise.race([event, ended.then((end) => assert.fail(`it has ended: ${inspect(end)}`))]);
}

describe('spillway tenant', () => {
  for (const args of [
    [],
    ['provision'],
    ['delete'],
    ['create', 'acme'],
    ['provision', 'acme', 'acme-2'],
    ['delete', 'acme', '--rotate'],
    ['provision', 'acme', '--password', 'x'],
    ['provision', 'Acme'],
    ['provision', 'acme*'],
    ['provision', '{acme}'],
    ['provision', ''],
    ['provision', 'a'.repeat(65)],
  ]) {
    it(`is called wrongly: ${args.join(' ').slice(0, 40)}`, async (t) => {
      const { status, out, err } = await cli([
        'tenant',
        ...args,
        '--config',
        configFor(t, 'redis://127.0.0.1:1'),
      ]);
      assert.equal(status, 2);
      assert.equal(out, '');
      assert.match(err, /^spillway: (?:tenant takes|a tenant's id is|--rotate is for|Unknown option)/);
    });
  }

  it('wants a configuration, and Redis in it', async (t) => {
    for (const action of ['provision', 'delete']) {
      const none = await cli(['tenant', action, 'acme', '--config', '/nowhere.yaml']);
      assert.deepEqual([none.status, none.err], [1, '/nowhere.yaml: there is no such file\n']);
      const memory = await cli(['tenant', action, 'acme', '--config', configFor(t, '')]);
      assert.equal(memory.status, 1);
      assert.match(memory.err, /has no `state\.redis`: usage is counted in the gateway's own memory/);
    }
  });

  it('says that Redis is away, and nothing of its password', async (t) => {
    const redis = await startRedis(t, { users: { default: 'off', admin: 'on >secret ~* &* +@all' } });
    const wrong = await cli([
      'tenant',
      'provision',
      'acme',
      '--config',
      configFor(t, redis.urlFor('admin', 'pass-word')),
    ]);
    assert.equal(wrong.status, 1);
    assert.match(wrong.err, /^spillway: 127\.0\.0\.1:\d+: .*WRONGPASS/m);
    assert.doesNotMatch(wrong.err, /pass-word/);
    const config = configFor(t, redis.urlFor('admin', 'secret'));
    await redis.kill();
    for (const action of ['provision', 'delete']) {
      const { status, err } = await cli(['tenant', action, 'acme', '--config', config]);
      assert.equal(status, 1);
      assert.match(err, /127\.0\.0\.1:\d+: .*ECONNREFUSED/);
      assert.doesNotMatch(err, /secret/);
    }
  });

  it('says that it takes Redis 7', async (t) => {
    // What Redis 6.2 answers to HELLO, and to whatever else it is asked.
    const hello =
      '*14\r\n+server\r\n+redis\r\n+version\r\n+6.2.14\r\n+proto\r\n:2\r\n+id\r\n:1\r\n+mode\r\n+standalone\r\n+role\r\n+master\r\n+modules\r\n*0\r\n';
    const server = createServer((socket) => {
      socket.on('data', (chunk) => {
        for (const [command] of chunk.toString().matchAll(/HELLO|HGET|SETNAME/gi)) {
          socket.write(
            command.toUpperCase() === 'HELLO' ? hello : command === 'HGET' ? '$-1\r\n' : '+OK\r\n',
          );
        }
      });
      socket.on('error', () => {});
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close());
    const url = `redis://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { status, err } = await cli(['tenant', 'provision', 'acme', '--config', configFor(t, url)]);
    assert.equal(status, 1);
    assert.match(err, /runs Redis 6\.2\.14; users who may only read some keys take 7\.0 or newer/);
  });
});

describe('an operator’s user who may not do it', () => {
  for (const [what, rules] of [
    ['manage users', '-acl'],
    ['list users', '-acl|list'],
    ['make users', '-acl|setuser'],
    ['run anything', '-@all'],
  ] as const) {
    it(`is told what it takes: may not ${what}`, async (t) => {
      const redis = await startRedis(t, { users: { gateway: `on >secret ~* &* +@all ${rules}` } });
      const config = configFor(t, redis.urlFor('gateway', 'secret'));
      const { status, out, err } = await cli(['tenant', 'provision', 'acme', '--config', config]);
      assert.equal(status, 1);
      assert.equal(out, '');
      assert.match(err, /NOPERM/);
      assert.match(
        err,
        /The user that `state\.redis` names may not do that\. It takes one with \+acl, \+hello and/,
      );
      assert.doesNotMatch(err, /secret/);
      assert.deepEqual([...(await usersOf(redis)).keys()].toSorted(), ['default', 'gateway']);
    });
  }

  it('is told so when a user is to be removed', async (t) => {
    const redis = await startRedis(t, { users: { gateway: 'on >secret ~* &* +@all -acl' } });
    const config = configFor(t, redis.urlFor('gateway', 'secret'));
    const { status, err } = await cli(['tenant', 'delete', 'acme', '--config', config]);
    assert.equal(status, 1);
    assert.match(err, /NOPERM.*\nThe user that `state\.redis` names may not do that/);
  });

  it('leaves the old password good where connections cannot be ended', async (t) => {
    const redis = await startRedis(t, { users: { gateway: 'on >secret ~* &* +@all -client|kill' } });
    const config = configFor(t, redis.urlFor('gateway', 'secret'));
    const made = await cli(['tenant', 'provision', 'acme', '--config', config]);
    assert.equal(made.status, 0, made.err);
    const before = (await usersOf(redis)).get(NAME);
    const { status, err } = await cli(['tenant', 'provision', 'acme', '--rotate', '--config', config]);
    assert.equal(status, 1);
    assert.match(err, /client\|kill/);
    assert.match(err, /All was put back: spillway-tenant-acme has its old password\.\n$/);
    assert.deepEqual((await usersOf(redis)).get(NAME)?.toSorted(), before?.toSorted());
    const own = connectAs(redis, credentialsIn(made.out));
    assert.equal(await codeOf(own.hgetall(`spillway:{acme}:usage:${DAY}`)), null);
  });
});

describe('a user who cannot be proven', () => {
  it('is removed where it cannot connect', async (t) => {
    const redis = await startRedis(t);
    const config = configFor(t, redis.url);
    await redis.call('CONFIG', 'SET', 'maxclients', 2);
    const { status, out, err } = await cli(['tenant', 'provision', 'acme', '--config', config]);
    assert.equal(status, 1);
    assert.equal(out, '');
    assert.match(err, /^spillway: 127\.0\.0\.1:\d+: \S/m);
    assert.match(err, /All was undone: there is no user spillway-tenant-acme\.\n$/);
    assert.deepEqual([...(await usersOf(redis)).keys()], ['default']);
    await redis.call('CONFIG', 'SET', 'maxclients', 100);
    assert.equal((await cli(['tenant', 'provision', 'acme', '--config', config])).status, 0);
  });

  it('is removed where somebody gave it more meanwhile', async (t) => {
    const redis = await startRedis(t);
    const server = await openOne(t, redis);
    const generous: Server = {
      ...server,
      call: (...words) => server.call(...words),
      close: () => {},
      openAs: async (username, password, over) => {
        await redis.call('ACL', 'SETUSER', username, '%R~spillway:*');
        return server.openAs(username, password, over);
      },
    };
    const error = await refused(provision(provisioning([generous])));
    assert.match(error.message, /`HGETALL spillway:\{acme-2\}:usage:2026-11-22` was answered with success/);
    assert.deepEqual([error.changed, error.left], [true, []]);
    assert.deepEqual([...(await usersOf(redis)).keys()], ['default']);
  });

  it('is left alone where somebody else has made it anew meanwhile', async (t) => {
    const redis = await startRedis(t);
    const server = await openOne(t, redis);
    const slow: Server = {
      ...server,
      call: (...words) => server.call(...words),
      close: () => {},
      openAs: async (username, password, over) => {
        await redis.call('ACL', 'SETUSER', username, 'reset', 'on', '>theirs');
        return server.openAs(username, password, over);
      },
    };
    const error = await refused(provision(provisioning([slow])));
    assert.match(error.message, /WRONGPASS/);
    assert.equal(
      await codeOf(connectAs(redis, { username: NAME, password: 'theirs' }).call('GET', 'x')),
      'NOPERM',
    );
  });

  const RULES = `on >${PASSWORD} resetchannels -@all %R~spillway:{acme}:usage:* +hgetall +hget +hmget +hlen +exists +ttl +type +ping +client|setname +select|0`;

  it('is one like this', async (t) => {
    const redis = await startRedis(t, { users: { [NAME]: RULES } });
    const as = await (await openOne(t, redis)).openAs(NAME, PASSWORD, new AbortController().signal);
    t.after(() => as.close());
    await prove(as, provisioning([]).user, DAY);
  });

  for (const rules of [
    '~*',
    '%R~*',
    '%R~spillway:*',
    '%R~spillway:{acme*',
    '%R~*acme}:usage:*',
    '%R~spillway:{acm?}:usage:*',
    '%R~spillway:{acme}:*',
    '%R~spillway:{acme}:q',
    '%R~spillway:{!}:*',
    '%R~spillway*:{acme}:usage:*',
    '+@all',
    '+@read',
    '+@write',
    '+@keyspace',
    '+@dangerous',
    '+@admin',
    '+@scripting',
    '+@pubsub',
    '+@transaction',
    '+@string',
    '+@list',
    '+select',
    '+scan',
    '+acl',
    '+acl|whoami',
    '+client|list',
    '+config|get',
    '+info',
    '+multi',
    '+subscribe &*',
    '+psubscribe &*',
    '+ssubscribe &*',
    '+publish &*',
    '-hgetall',
    '-hget',
    '-ttl',
    '-select',
    'resetkeys',
    'resetkeys %W~spillway:{acme}:usage:*',
    'resetkeys %R~spillway:{acme-2}:usage:*',
    '(~* +@all)',
  ]) {
    it(`is not one with ${rules}`, async (t) => {
      const redis = await startRedis(t, { users: { [NAME]: `${RULES} ${rules}` } });
      const as = await (await openOne(t, redis)).openAs(NAME, PASSWORD, new AbortController().signal);
      t.after(() => as.close());
      await redis.client.hset(`spillway:{acme}:usage:${DAY}`, 'field', '5');
      await assert.rejects(prove(as, provisioning([]).user, DAY), /was answered with/);
      // And nothing came of what was let through.
      assert.deepEqual(await redis.client.hgetall(`spillway:{acme}:usage:${DAY}`), { field: '5' });
      assert.equal(await redis.call('DBSIZE'), 1);
      assert.ok((await usersOf(redis)).has(NAME));
    });
  }
});

describe('several servers', () => {
  it('all go back to what their files said if one file cannot be written', async (t) => {
    const folders = [temporaryDirectory(t), temporaryDirectory(t)];
    const redises = await Promise.all(
      folders.map(async (folder) => {
        const aclfile = join(folder, 'users.acl');
        writeFileSync(aclfile, 'user default on nopass ~* &* +@all\n');
        return await startRedis(t, { config: { aclfile } });
      }),
    );
    const [good, bad] = redises;
    assert.ok(good !== undefined && bad !== undefined);
    rmSync(String(folders[1]), { recursive: true });
    const servers = await Promise.all(redises.map((redis) => openOne(t, redis)));
    const error = await refused(provision(provisioning(servers)));
    assert.match(error.message, new RegExp(`^127.0.0.1:${bad.port}: .*ACL`));
    // There was nothing in that file, and there is nothing now; but that is for the operator to find out.
    assert.equal(error.left.length, 1);
    for (const redis of redises) assert.deepEqual([...(await usersOf(redis)).keys()], ['default']);
    await good.restartEmpty();
    assert.deepEqual([...(await usersOf(good)).keys()], ['default']);
  });

  it('are told apart by whether they remember and whom they let in', async (t) => {
    const aclfile = join(temporaryDirectory(t), 'users.acl');
    writeFileSync(aclfile, 'user default on nopass -@all\nuser admin on nopass ~* &* +@all\n');
    const kept = await startRedis(t, { config: { aclfile } });
    const lost = await startRedis(t);
    const opened = await openServers({ kind: 'single', url: kept.urlFor('admin', 'x') }, systemClock);
    const [keeping] = opened.reached;
    assert.ok(keeping !== undefined);
    t.after(() => keeping.close());
    const made = await provision(provisioning([keeping, await openOne(t, lost)]));
    assert.deepEqual(made.forgetful, [`127.0.0.1:${lost.port}`]);
    assert.deepEqual(made.open, [`127.0.0.1:${lost.port}`]);
  });

  it('are all without the user if the operator interrupts while one does not answer', async (t) => {
    const clock = new ManualClock();
    const redises = await Promise.all([startRedis(t), startRedis(t), startRedis(t)]);
    const [first, second, third] = redises;
    assert.ok(first !== undefined && second !== undefined && third !== undefined);
    const servers = await Promise.all(redises.map((redis) => openOne(t, redis, clock)));
    const frozen = servers[2] as Server;
    const freezing: Server = {
      ...frozen,
      name: frozen.name,
      call: (command, ...words) => {
        if (words[0] === 'SETUSER') third.freeze();
        // Not for one that it may not know: it is to be made at once.
        return frozen.call(command, ...words.filter((word) => word !== '+client|setinfo'));
      },
      openAs: () => assert.fail('there is no user to be tried'),
      close: () => {},
    };
    const operator = new AbortController();
    const asked = [...servers.slice(0, 2), freezing];
    const work = refused(provision(provisioning(asked, { interrupted: operator.signal })));
    for (const redis of [first, second])
      await until(async () => (await usersOf(redis)).has(NAME), 'the user');
    operator.abort();
    for (const redis of [first, second]) {
      await until(async () => !(await usersOf(redis)).has(NAME), 'the user to be removed');
    }
    // The frozen one is waited for, but not for ever.
    clock.advance(5_000);
    const error = await work;
    assert.equal(error.message, 'interrupted');
    assert.equal(error.left.length, 1);
    assert.match(String(error.left[0]), new RegExp(`^127.0.0.1:${third.port}: no answer within 5000 ms$`));
    // It works off what it was told, in order: first to make the user, then to remove it.
    frozen.close();
    third.thaw();
    assert.equal(await third.call('PING'), 'PONG');
    await until(async () => !(await usersOf(third)).has(NAME), 'the user to be removed');
    const done = String(await third.call('INFO', 'commandstats'));
    assert.match(done, /acl\|setuser:calls=1,.*failed_calls=0/);
    assert.match(done, /acl\|deluser:calls=1,/);
  });

  it('have what they had if the operator interrupts before anything is begun', async (t) => {
    const redis = await startRedis(t);
    const interrupted = AbortSignal.abort();
    const error = await refused(provision(provisioning([await openOne(t, redis)], { interrupted })));
    assert.deepEqual([error.message, error.changed], ['interrupted', false]);
    assert.deepEqual([...(await usersOf(redis)).keys()], ['default']);
  });
});

describe('an interruption', () => {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    it(`by ${signal} while the user is tried out removes it`, async (t) => {
      const redis = await startRedis(t);
      const { promise: tried, resolve } = Promise.withResolvers<string>();
      const url = await watched(t, redis, (said) => {
        if (!said.includes(NAME) || !/\r\nAUTH\r\n/i.test(said)) return true;
        // Its connection goes silent.
        resolve(/\$43\r\n(\S{43})\r\n/.exec(said)?.[1] ?? '');
        return false;
      });
      const { child, ended } = start(t, url, ['provision', 'acme']);
      const password = await beforeEnd(tried, ended);
      assert.equal(password.length, 43);
      assert.ok((await usersOf(redis)).has(NAME));
      child.kill(signal);
      // npm hands on what the terminal has sent already.
      child.kill(signal);
      const { status, stdout, stderr } = await ended;
      assert.equal(status, 1, stderr);
      assert.equal(stdout, '');
      assert.match(
        stderr,
        /spillway: interrupted\nAll was undone: there is no user spillway-tenant-acme\.\n$/,
      );
      assert.ok(!stderr.includes(password));
      assert.deepEqual([...(await usersOf(redis)).keys()], ['default']);
    });
  }

  it('of a change of passwords leaves the old one good', async (t) => {
    const redis = await startRedis(t);
    const made = await cli(['tenant', 'provision', 'acme', '--config', configFor(t, redis.url)]);
    const before = credentialsIn(made.out);
    const { promise: tried, resolve } = Promise.withResolvers<void>();
    const url = await watched(t, redis, (said) => {
      if (!said.includes(NAME) || !/\r\nAUTH\r\n/i.test(said)) return true;
      resolve();
      return false;
    });
    const { child, ended } = start(t, url, ['provision', 'acme', '--rotate']);
    await beforeEnd(tried, ended);
    assert.equal(await codeOf(connectAs(redis, before).ping()), 'WRONGPASS');
    child.kill('SIGINT');
    const { status, stderr } = await ended;
    assert.equal(status, 1);
    assert.match(stderr, /All was put back: spillway-tenant-acme has its old password\.\n$/);
    assert.equal(await codeOf(connectAs(redis, before).ping()), null);
  });

  it('while Redis does not answer says what may be left, and leaves nothing', async (t) => {
    const redis = await startRedis(t);
    const [youngest] = (await redis.call('COMMAND', 'INFO', 'client|setinfo')) as unknown[];
    const { promise: frozen, resolve } = Promise.withResolvers<void>();
    const url = await watched(t, redis, (said) => {
      // It is made at the second go where the first one names what this server does not know.
      if (said.includes('SETUSER') && (youngest !== null || !said.includes('setinfo'))) {
        redis.freeze();
        resolve();
      }
      return true;
    });
    const { child, ended } = start(t, url, ['provision', 'acme']);
    await beforeEnd(frozen, ended);
    child.kill('SIGINT');
    const { status, stderr } = await ended;
    assert.equal(status, 1);
    assert.match(
      stderr,
      /spillway: interrupted\nIt could not be undone everywhere:\n127\.0\.0\.1:\d+: no answer within 5000 ms\n/,
    );
    assert.match(stderr, /When that is mended: npx spillway tenant delete acme\n$/);
    redis.thaw();
    await until(async () => !(await usersOf(redis)).has(NAME), 'the user to be removed');
    assert.match(String(await redis.call('INFO', 'commandstats')), /acl\|deluser:calls=1,/);
  });
});
