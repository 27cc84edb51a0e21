import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import { Cluster } from 'ioredis';
import { systemClock } from '../../src/core/clock.ts';
import { openState } from '../../src/state/connect.ts';
import { RedisBacking } from '../../src/tenants/redis-backing.ts';
import { startGateway } from '../support/gateway.ts';
import { temporaryDirectory } from '../support/process.ts';
import { type RedisServer, startRedis } from '../support/redis.ts';
import { type RedisCluster, startRedisCluster } from '../support/redis-cluster.ts';
import { MASTER, startSentinels } from '../support/redis-sentinel.ts';
import { startUpstream } from '../support/upstream.ts';
import { cli } from './helpers.ts';
import {
  allCommands,
  codeOf,
  configFor,
  connectAs,
  credentialsIn,
  start,
  usersOf,
} from './tenant-helpers.ts';

const DAY = new Date().toISOString().slice(0, 10);
const ROW = ['["ci","smart","openai/gpt-6-sol","input"]', '5'];

/** What the user may run on a server of its own; in a cluster also what comes after. Four of them nobody can be denied. */
const GRANTED = [
  'auth',
  'client|setname',
  'exists',
  'hello',
  'hget',
  'hgetall',
  'hlen',
  'hmget',
  'ping',
  'quit',
  'reset',
  'select',
  'ttl',
  'type',
];
const GRANTED_IN_CLUSTER = [
  'asking',
  'cluster|info',
  'cluster|nodes',
  'cluster|shards',
  'cluster|slots',
  'command',
  'command|count',
  'command|docs',
  'command|getkeys',
  'command|getkeysandflags',
  'command|help',
  'command|info',
  'command|list',
  'readonly',
  'readwrite',
];

async function provision(t: TestContext, redis: unknown, id = 'acme', ...args: string[]) {
  const { status, out, err } = await cli([
    'tenant',
    'provision',
    id,
    '--config',
    configFor(t, redis),
    ...args,
  ]);
  assert.equal(status, 0, err);
  return { out, err, ...credentialsIn(out) };
}

async function fill(redis: RedisServer, tenant: string): Promise<void> {
  await redis.client.hset(`spillway:{${tenant}}:usage:${DAY}`, ...ROW);
  await redis.client.hset(`spillway:{${tenant}}:q`, 'tenant/tokens/hour', 'packed');
  await redis.client.hset(`spillway:{${tenant}}:r:gateway`, 'id', 'record');
  await redis.client.zadd(`spillway:{${tenant}}:g`, 1, 'gateway');
}

describe('a tenant’s user in Redis', () => {
  it('reads the usage of its tenant', async (t) => {
    const redis = await startRedis(t);
    await fill(redis, 'acme');
    const { username, password, out, err } = await provision(t, redis.url);
    assert.equal(username, 'spillway-tenant-acme');
    // 256 bits, shown once.
    assert.equal(Buffer.from(password, 'base64url').length, 32);
    assert.equal(out.split(password).length, 2);
    assert.doesNotMatch(err, new RegExp(password));
    const own = connectAs(redis, { username, password });
    const key = `spillway:{acme}:usage:${DAY}`;
    assert.deepEqual(await own.hgetall(key), { [String(ROW[0])]: '5' });
    assert.equal(await own.hget(key, String(ROW[0])), '5');
    assert.deepEqual(await own.hmget(key, String(ROW[0]), 'no'), ['5', null]);
    assert.deepEqual(
      [await own.hlen(key), await own.exists(key), await own.type(key), await own.ttl(key)],
      [1, 1, 'hash', -1],
    );
    assert.deepEqual(await own.hgetall('spillway:{acme}:usage:1999-01-01'), {});
  });

  it('sees nothing of any other tenant, nor what is not usage', async (t) => {
    const redis = await startRedis(t);
    for (const tenant of ['acme', 'acme-2', 'acm', 'other']) await fill(redis, tenant);
    const keys = [
      ...['acme-2', 'acm', 'other', 'acme}', '*', 'acm?', '!'].map(
        (tenant) => `spillway:{${tenant}}:usage:${DAY}`,
      ),
      ...['q', 'g', 'r:gateway', 'usag', 'usage', 'xusage:1'].map((name) => `spillway:{acme}:${name}`),
      `spillway:acme:usage:${DAY}`,
      `spillway:{acme}usage:${DAY}`,
      `xspillway:{acme}:usage:${DAY}`,
      `SPILLWAY:{acme}:usage:${DAY}`,
      'spillway:{!}:tenants',
      '',
    ];
    const reading: [string, (key: string) => string[]][] = [
      ['HGETALL', (key) => [key]],
      ['HGET', (key) => [key, 'field']],
      ['HMGET', (key) => [key, 'field']],
      ['HLEN', (key) => [key]],
      ['EXISTS', (key) => [key]],
      ['EXISTS', (key) => [`spillway:{acme}:usage:${DAY}`, key]],
      ['TYPE', (key) => [key]],
      ['TTL', (key) => [key]],
    ];
    const acme = await provision(t, redis.url, 'acme');
    const own = connectAs(redis, acme);
    for (const key of keys) {
      for (const [command, words] of reading) {
        assert.equal(await codeOf(own.call(command, ...words(key))), 'NOPERM', `${command} ${key}`);
      }
    }
    // And the other way round: the longer name does not see the shorter one's.
    const second = connectAs(redis, await provision(t, redis.url, 'acme-2'));
    assert.equal(await codeOf(second.hgetall(`spillway:{acme-2}:usage:${DAY}`)), null);
    assert.equal(await codeOf(second.hgetall(`spillway:{acme}:usage:${DAY}`)), 'NOPERM');
  });

  it('may run no other command of all that there are', async (t) => {
    const redis = await startRedis(t);
    const { username, password } = await provision(t, redis.url);
    const own = connectAs(redis, { username, password });
    const mine = `spillway:{acme}:usage:${DAY}`;
    const commands = await allCommands(redis);
    assert.ok(commands.length > 300, `found only ${commands.length}`);
    const allowed: string[] = [];
    for (const { name, words } of commands) {
      const dry = await redis.call('ACL', 'DRYRUN', username, ...words(mine));
      const isAllowed = !/no permissions to run/.test(String(dry));
      if (isAllowed) allowed.push(name);
      if (GRANTED.includes(name)) continue;
      const [command = '', ...rest] = words(mine);
      const code = await codeOf(own.call(command, ...rest));
      // Some are refused to everybody, before it is looked at who asks.
      if (name === 'exec') assert.equal(code, 'EXECABORT');
      else if (name !== 'debug' && !/^module\|(?:un)?load/.test(name)) assert.equal(code, 'NOPERM', name);
      else assert.match(String(code), /^(?:ERR|NOPERM)$/, name);
    }
    // Which database is written into the rule: `select` with a key's name is refused.
    assert.deepEqual(allowed.toSorted(), GRANTED.filter((name) => name !== 'select').toSorted());
    assert.equal(await codeOf(own.call('SELECT', 0)), null);
    assert.equal(await codeOf(own.call('SELECT', 1)), 'NOPERM');
    for (const category of [
      'write',
      'dangerous',
      'admin',
      'scripting',
      'pubsub',
      'transaction',
      'blocking',
    ]) {
      const inIt = (await redis.call('ACL', 'CAT', category)) as string[];
      assert.ok(inIt.length > 2, category);
      assert.deepEqual(
        inIt.filter((name) => allowed.includes(name)),
        [],
        category,
      );
    }
  });

  it('may not write to what it may read', async (t) => {
    const redis = await startRedis(t);
    await fill(redis, 'acme');
    const own = connectAs(redis, await provision(t, redis.url));
    const key = `spillway:{acme}:usage:${DAY}`;
    for (const words of [
      ['HSET', key, 'a', '1'],
      ['HINCRBY', key, String(ROW[0]), '-5'],
      ['HDEL', key, String(ROW[0])],
      ['DEL', key],
      ['EXPIRE', key, '0'],
      ['RENAME', key, `${key}1`],
      ['SET', key, ''],
      ['EVAL', "return redis.call('HGETALL', KEYS[1])", '1', key],
      ['KEYS', '*'],
      ['SCAN', '0'],
      ['FLUSHALL'],
      ['CONFIG', 'GET', '*'],
      ['ACL', 'SETUSER', 'spillway-tenant-acme', '+@all', '~*'],
      ['MONITOR'],
      ['SUBSCRIBE', '__keyspace@0__:*'],
    ]) {
      const [command = '', ...rest] = words;
      assert.equal(await codeOf(own.call(command, ...rest)), 'NOPERM', words.join(' '));
    }
    assert.deepEqual(await redis.client.hgetall(key), { [String(ROW[0])]: '5' });
  });

  it('sees what a gateway has counted, as the operator does', async (t) => {
    const redis = await startRedis(t);
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const gateway = await startGateway({
      auth: 'keys',
      state: { redis: redis.url },
      providers: { a: { adapter: 'vllm', base_url: upstream.url } },
      models: { m: { provider: 'a', model: 'up' } },
      tenants: ['acme', 'acme-2'].map((id) => ({ id, keys: [{ id: 'ci', key: `key-of-${id}` }] })),
    });
    t.after(() => gateway.close());
    for (const key of ['key-of-acme', 'key-of-acme', 'key-of-acme-2']) {
      const answer = await gateway.chat({}, { authorization: `Bearer ${key}` });
      assert.equal(answer.status, 200, await answer.text());
    }
    const operator = await fetch(`${gateway.admin}/admin/usage?by=tenant,key,model,target`);
    const { rows } = (await operator.json()) as { rows: Record<string, unknown>[] };
    const facts = rows.map(({ tenant, key, model, target, requests }) => [
      tenant,
      key,
      model,
      target,
      requests,
    ]);
    assert.deepEqual(facts, [
      ['acme', 'ci', 'm', 'a/up', 2],
      ['acme-2', 'ci', 'm', 'a/up', 1],
    ]);
    const own = connectAs(redis, await provision(t, redis.url));
    const [today = ''] = new Date().toISOString().split('T');
    const seen = await own.hgetall(`spillway:{acme}:usage:${today}`);
    assert.equal(seen['["ci","m","a/up","requests"]'], '2');
    assert.equal(seen['["ci","m","a/up","input"]'], String(rows[0]?.['input_tokens']));
    assert.equal(await codeOf(own.hgetall(`spillway:{acme-2}:usage:${today}`)), 'NOPERM');
  });

  it('is named after the prefix, and reads keys with it', async (t) => {
    const redis = await startRedis(t);
    await redis.client.hset(`eu.prod_1:{acme}:usage:${DAY}`, ...ROW);
    const config = configFor(t, redis.url, { key_prefix: 'eu.prod_1' });
    const { status, out } = await cli(['tenant', 'provision', 'acme', '--config', config]);
    assert.equal(status, 0);
    const { username, password } = credentialsIn(out);
    assert.equal(username, 'eu.prod_1-tenant-acme');
    const own = connectAs(redis, { username, password });
    assert.deepEqual(await own.hgetall(`eu.prod_1:{acme}:usage:${DAY}`), { [String(ROW[0])]: '5' });
    assert.equal(await codeOf(own.hgetall(`euxprod_1:{acme}:usage:${DAY}`)), 'NOPERM');
    assert.equal(await codeOf(own.hgetall(`spillway:{acme}:usage:${DAY}`)), 'NOPERM');
  });

  it('may be that of any tenant, whatever it is called', async (t) => {
    const redis = await startRedis(t);
    const config = configFor(t, redis.url);
    for (const id of ['other-tenant', 'other', 'a', '0', '10', '_-', 'x'.repeat(64)]) {
      const { status, err } = await cli(['tenant', 'provision', id, '--config', config]);
      assert.equal(status, 0, err);
    }
  });

  it('goes to the database of the gateways, and to no other', async (t) => {
    const redis = await startRedis(t);
    const { out, username, password } = await provision(t, `${redis.url}/3`);
    assert.match(out, / -n 3 /);
    const own = connectAs(redis, { username, password }, 3);
    assert.deepEqual(await own.hgetall(`spillway:{acme}:usage:${DAY}`), {});
    assert.equal(await codeOf(own.call('SELECT', 1)), 'NOPERM');
    assert.equal(await codeOf(own.call('SELECT', 13)), 'NOPERM');
  });

  it('is tried out with the line that is printed', async (t) => {
    const redis = await startRedis(t);
    await fill(redis, 'acme');
    const { out, password } = await provision(t, redis.url);
    const line = /^ {2}(redis-cli .*)$/m.exec(out)?.[1] ?? '';
    assert.doesNotMatch(line, new RegExp(password));
    const run = spawnSync('/bin/sh', ['-c', line], { input: `${password}\n`, encoding: 'utf8' });
    if (run.status === 127) return t.skip('there is no redis-cli here');
    assert.equal(run.status, 0, run.stderr);
    assert.match(run.stdout, /\["ci","smart","openai\/gpt-6-sol","input"\]\n5\n/);
  });

  it('comes with a warning where everybody is let in anyway', async (t) => {
    const open = await startRedis(t);
    const { err } = await provision(t, open.url);
    assert.match(
      err,
      /warning: 127\.0\.0\.1:\d+ lets everybody in without a password, as the user `default`/,
    );
    const closed = await startRedis(t, {
      users: { default: 'off', admin: 'on >secret ~* &* +@all' },
    });
    assert.doesNotMatch((await provision(t, closed.urlFor('admin', 'secret'))).err, /lets everybody in/);
    const withPassword = await startRedis(t, { users: { default: 'on >secret ~* &* +@all' } });
    assert.doesNotMatch(
      (await provision(t, withPassword.urlFor('default', 'secret'))).err,
      /lets everybody in/,
    );
    const harmless = await startRedis(t, {
      users: { default: 'on nopass -@all', admin: 'on >secret ~* &* +@all' },
    });
    assert.doesNotMatch((await provision(t, harmless.urlFor('admin', 'secret'))).err, /lets everybody in/);
  });

  it('comes with a warning where nobody knows the tenant', async (t) => {
    const redis = await startRedis(t);
    const unknown = /warning: neither .* nor the tenants in Redis have one called/;
    assert.match((await provision(t, redis.url)).err, unknown);
    const file = configFor(t, redis.url, {}, 'tenants: [{ id: globex }]\n');
    const inFile = await cli(['tenant', 'provision', 'globex', '--config', file]);
    assert.equal(inFile.status, 0);
    assert.doesNotMatch(inFile.err, unknown);

    const state = openState(
      {
        redis: { kind: 'single', url: redis.url },
        keyPrefix: 'spillway',
        commandTimeout: 1000,
        onOutage: 'deny',
      },
      { clock: systemClock, chance: Math.random, gateway: 'test' },
    );
    t.after(() => state.close());
    await state.started;
    const tenants = new RedisBacking({ client: state, keyPrefix: 'spillway', commandTimeout: 1000 });
    const made = { tier: null, models: null, quotas: [], keys: [], createdAt: 1, updatedAt: 1, version: 1 };
    const initech = JSON.stringify({ id: 'initech', ...made });
    assert.deepEqual(await tenants.write({ id: 'initech', json: initech }, 0), { kind: 'written' });
    const gone = JSON.stringify({ id: 'hooli', gone: true, version: 1 });
    assert.deepEqual(await tenants.write({ id: 'hooli', json: gone }, 0), { kind: 'written' });
    assert.doesNotMatch((await provision(t, redis.url, 'initech')).err, unknown);
    assert.match((await provision(t, redis.url, 'hooli')).err, unknown);
  });
});

describe('a tenant’s user that is there already', () => {
  it('is left as it is', async (t) => {
    const redis = await startRedis(t);
    const first = await provision(t, redis.url);
    const again = await cli(['tenant', 'provision', 'acme', '--config', configFor(t, redis.url)]);
    assert.equal(again.status, 1);
    assert.equal(again.out, '');
    assert.match(
      again.err,
      /there is a user spillway-tenant-acme already .*--rotate.*\nNothing was changed\.\n$/,
    );
    assert.equal(await codeOf(connectAs(redis, first).ping()), null);
  });

  it('gets another password, and only that one is good from then on', async (t) => {
    const redis = await startRedis(t);
    const first = await provision(t, redis.url);
    const connected = connectAs(redis, first);
    await connected.ping();
    const ended = new Promise((resolve) => connected.once('close', resolve));
    // What somebody gave it beside is taken back.
    await redis.call('ACL', 'SETUSER', 'spillway-tenant-acme', '+@all', '~*', '&*', '>another', '(+get ~x)');
    const second = await provision(t, redis.url, 'acme', '--rotate');
    await ended;
    assert.notEqual(second.password, first.password);
    assert.equal(await codeOf(connectAs(redis, first).ping()), 'WRONGPASS');
    const own = connectAs(redis, second);
    assert.equal(await codeOf(own.hgetall(`spillway:{acme}:usage:${DAY}`)), null);
    assert.equal(await codeOf(own.get('x')), 'NOPERM');
    assert.equal(await codeOf(own.set('y', '')), 'NOPERM');
    const rules = (await usersOf(redis)).get('spillway-tenant-acme') ?? [];
    assert.equal(rules.filter((rule) => rule.startsWith('#')).length, 1);
  });

  it('has to be there to get another password', async (t) => {
    const redis = await startRedis(t);
    const config = configFor(t, redis.url);
    const { status, err } = await cli(['tenant', 'provision', 'acme', '--rotate', '--config', config]);
    assert.equal(status, 1);
    assert.match(err, /there is no user spillway-tenant-acme yet; leave out --rotate/);
    assert.deepEqual([...(await usersOf(redis)).keys()], ['default']);
  });

  it('is removed, and its connections with it', async (t) => {
    const redis = await startRedis(t);
    const config = configFor(t, redis.url);
    const own = connectAs(redis, await provision(t, redis.url));
    const other = connectAs(redis, await provision(t, redis.url, 'acme-2'));
    await own.ping();
    const ended = new Promise((resolve) => own.once('close', resolve));
    const first = await cli(['tenant', 'delete', 'acme', '--config', config]);
    assert.equal(first.status, 0, first.err);
    assert.match(
      first.out,
      /^Removed the user spillway-tenant-acme from 127\.0\.0\.1:\d+; its connections are closed\./,
    );
    await ended;
    assert.deepEqual([...(await usersOf(redis)).keys()].toSorted(), ['default', 'spillway-tenant-acme-2']);
    assert.equal(await other.ping(), 'PONG');
    const second = await cli(['tenant', 'delete', 'acme', '--config', config]);
    assert.equal(second.status, 1);
    assert.equal(second.err, 'spillway: there is no user spillway-tenant-acme\n');
    assert.equal(second.out, '');
  });
});

describe('a restart of Redis', () => {
  it('keeps the user where there is a file for users', async (t) => {
    const aclfile = join(temporaryDirectory(t), 'users.acl');
    writeFileSync(aclfile, 'user default on nopass ~* &* +@all\n');
    const redis = await startRedis(t, { config: { aclfile } });
    const { username, password, out } = await provision(t, redis.url);
    assert.match(out, /kept in the ACL file/);
    await redis.restartEmpty();
    const own = connectAs(redis, { username, password });
    assert.deepEqual(await own.hgetall(`spillway:{acme}:usage:${DAY}`), {});
    assert.equal(await codeOf(own.get('x')), 'NOPERM');
    assert.equal((await cli(['tenant', 'delete', 'acme', '--config', configFor(t, redis.url)])).status, 0);
    await redis.restartEmpty();
    assert.deepEqual([...(await usersOf(redis)).keys()], ['default']);
  });

  it('loses it where there is none, and the line that is printed keeps it', async (t) => {
    const redis = await startRedis(t);
    const { username, password, out } = await provision(t, redis.url);
    assert.match(out, /Without an ACL file \(`aclfile`\), a restart of 127\.0\.0\.1:\d+ forgets it\./);
    await redis.restartEmpty();
    assert.equal(await codeOf(connectAs(redis, { username, password }).ping()), 'WRONGPASS');
    const [, name = '', rules = ''] = /^ {2}user (\S+) (.*)$/m.exec(out) ?? [];
    const other = await startRedis(t, { users: { [name]: rules } });
    const own = connectAs(other, { username, password });
    assert.deepEqual(await own.hgetall(`spillway:{acme}:usage:${DAY}`), {});
    assert.equal(await codeOf(own.hgetall(`spillway:{acme-2}:usage:${DAY}`)), 'NOPERM');
    const deleted = await cli(['tenant', 'delete', 'acme', '--config', configFor(t, other.url)]);
    assert.match(deleted.out, /take it out there as well, or it is back after a restart/);
  });
});

describe('a Redis with TLS and users', () => {
  it('is reached as the user that the URL names, with the authority that Node is told of', async (t) => {
    const redis = await startRedis(t, {
      tls: true,
      users: { default: 'off', 'ad:min': 'on >pä:ss@/ ~* &* +@all' },
    });
    const url = redis.urlFor('ad:min', 'pä:ss@/');
    const untrusted = await cli(['tenant', 'provision', 'acme', '--config', configFor(t, url)]);
    assert.equal(untrusted.status, 1);
    assert.match(untrusted.err, /^warning|certificate/m);
    const { status, stdout, stderr } = await start(t, url, ['provision', 'acme'], {
      NODE_EXTRA_CA_CERTS: join(import.meta.dirname, '../support/certificates/authority.pem'),
    }).ended;
    assert.equal(status, 0, stderr);
    assert.match(stdout, /redis-cli --tls -h 127\.0\.0\.1 /);
    assert.doesNotMatch(stdout + stderr, /pä|p%C3%A4/);
    const own = connectAs(redis, credentialsIn(stdout));
    assert.deepEqual(await own.hgetall(`spillway:{acme}:usage:${DAY}`), {});
  });
});

describe('a Redis Cluster', () => {
  const key = `spillway:{acme}:usage:${DAY}`;
  let cluster: RedisCluster;
  let urls: string[];
  let config: string;

  // What is given to `after` within `before` is done at the end of that.
  const cleanUps: (() => Promise<void>)[] = [];
  const forAll = { after: (cleanUp: () => Promise<void>) => void cleanUps.push(cleanUp) };
  after(async () => void (await Promise.all(cleanUps.map((cleanUp) => cleanUp()))));
  before(async () => {
    cluster = await startRedisCluster(forAll, { users: { operator: 'on >secret ~* &* +@all' } });
    urls = cluster.nodes.map((node) => node.urlFor('operator', 'secret'));
    const directory = temporaryDirectory(forAll);
    config = join(directory, 'cluster.yaml');
    writeFileSync(config, `version: 1\nstate: { redis: ${JSON.stringify(urls)} }\n`);
    await (await cluster.owner(key)).client.hset(key, ...ROW);
  });

  async function namesOn(node: RedisServer): Promise<string[]> {
    const names = [...(await usersOf(node)).keys()];
    return names.filter((name) => name !== 'default' && name !== 'operator').toSorted();
  }

  it('has the user on every master and replica, whichever node was named', async (t) => {
    const { out, username, password } = await provision(t, urls.slice(-1), 'globex');
    // The one that the operator knows by name.
    assert.match(out, new RegExp(`redis-cli -c -h 127.0.0.1 -p ${cluster.nodes.at(-1)?.port} `));
    for (const node of cluster.nodes) {
      const own = connectAs(node, { username, password });
      const reply = await codeOf(own.hgetall(`spillway:{globex}:usage:${DAY}`));
      assert.ok(reply === null || reply === 'MOVED', String(reply));
      assert.equal(await codeOf(own.hgetall(key)), 'NOPERM');
      assert.equal(await codeOf(own.hgetall(`spillway:{globex-2}:usage:${DAY}`)), 'NOPERM');
      assert.equal(await codeOf(own.call('CLUSTER', 'GETKEYSINSLOT', 0, 1)), 'NOPERM');
    }
    const deleted = await cli(['tenant', 'delete', 'globex', '--config', config]);
    assert.equal(deleted.status, 0, deleted.err);
    for (const node of cluster.nodes) assert.deepEqual(await namesOn(node), []);
  });

  it('is read by clients of clusters, replicas and all, also after a failover', async (t) => {
    const { out, username, password } = await provision(t, urls);
    const client = new Cluster(
      cluster.nodes.map(({ host, port }) => ({ host, port })),
      { redisOptions: { username, password, enableReadyCheck: false }, scaleReads: 'slave' },
    );
    assert.deepEqual(await client.hgetall(key), { [String(ROW[0])]: '5' });
    assert.equal(await codeOf(client.hgetall(`spillway:{acme-2}:usage:${DAY}`)), 'NOPERM');
    client.disconnect();

    assert.match(out, /redis-cli -c -h /);
    const line = /^ {2}(redis-cli .*)$/m.exec(out)?.[1] ?? '';
    const run = spawnSync('/bin/sh', ['-c', line], { input: `${password}\n`, encoding: 'utf8' });
    if (run.status !== 127) assert.match(run.stdout, /openai\/gpt-6-sol/);

    await cluster.failOver(await cluster.owner(key));
    const own = connectAs(await cluster.owner(key), { username, password });
    assert.deepEqual(await own.hgetall(key), { [String(ROW[0])]: '5' });
  });

  it('lets the user run what clients of clusters need, and no more', async () => {
    const [node] = cluster.nodes;
    assert.ok(node !== undefined);
    const allowed: string[] = [];
    for (const { name, words } of await allCommands(node)) {
      const dry = await node.call('ACL', 'DRYRUN', 'spillway-tenant-acme', ...words(key));
      if (!/no permissions to run/.test(String(dry))) allowed.push(name);
    }
    const granted = [...GRANTED, ...GRANTED_IN_CLUSTER].filter((name) => name !== 'select');
    assert.deepEqual(allowed.toSorted(), granted.toSorted());
  });

  it('has the new password everywhere, and the old one nowhere', async (t) => {
    const before = await provision(t, urls, 'initech');
    const after = await provision(t, urls, 'initech', '--rotate');
    for (const node of cluster.nodes) {
      assert.equal(await codeOf(connectAs(node, before).ping()), 'WRONGPASS');
      assert.equal(await codeOf(connectAs(node, after).ping()), null);
    }
    assert.equal((await cli(['tenant', 'delete', 'initech', '--config', config])).status, 0);
  });

  it('has the user nowhere if one node does not take it', async () => {
    const [, odd] = cluster.nodes;
    assert.ok(odd !== undefined);
    await odd.call('ACL', 'SETUSER', 'operator', '-acl|setuser');
    const { status, out, err } = await cli(['tenant', 'provision', 'acme-2', '--config', config]);
    assert.equal(status, 1);
    assert.equal(out, '');
    assert.match(err, new RegExp(`spillway: 127.0.0.1:${odd.port}: NOPERM .*acl\\|setuser`));
    assert.match(err, /All was undone: there is no user spillway-tenant-acme-2\./);
    for (const node of cluster.nodes) assert.deepEqual(await namesOn(node), ['spillway-tenant-acme']);
    await odd.call('ACL', 'SETUSER', 'operator', '+@all');
  });

  it('wants every node to be there, and says which one is not', async () => {
    const replica = await cluster.replicaOf(await cluster.another(await cluster.owner(key)));
    await replica.kill();
    const made = await cli(['tenant', 'provision', 'acme-2', '--config', config]);
    assert.equal(made.status, 1);
    assert.match(made.err, new RegExp(`127.0.0.1:${replica.port}: .*ECONNREFUSED`));
    assert.match(made.err, /Nothing was changed\. Every server has to have the user.*CLUSTER FORGET/);
    const removed = await cli(['tenant', 'delete', 'acme', '--config', config]);
    assert.equal(removed.status, 1);
    assert.match(removed.out, /^Removed the user spillway-tenant-acme from /);
    const again = `127.0.0.1:${replica.port}: .*\nThere the user may still be: do this again`;
    assert.match(removed.err, new RegExp(again));
    for (const node of cluster.nodes) if (node !== replica) assert.deepEqual(await namesOn(node), []);
  });
});

describe('the kind of Redis that is configured', () => {
  it('is a cluster or none, and the other is refused', async (t) => {
    const cluster = await startRedisCluster(t, { masters: 3, replicas: 0 });
    const single = await cli(['tenant', 'provision', 'acme', '--config', configFor(t, cluster.urls[0])]);
    assert.equal(single.status, 1);
    assert.match(single.err, /belongs to a Redis Cluster; list the URLs of its nodes in `state\.redis`/);
    const redis = await startRedis(t);
    const other = await cli(['tenant', 'provision', 'acme', '--config', configFor(t, [redis.url])]);
    assert.equal(other.status, 1);
    assert.match(
      other.err,
      /no node tells who belongs to the cluster: 127\.0\.0\.1:\d+: .*cluster support disabled/,
    );
    for (const node of [...cluster.nodes, redis]) {
      assert.deepEqual([...(await usersOf(node)).keys()], ['default']);
    }
  });
});

describe('a Redis behind sentinels', () => {
  it('has the user on the master and on its replica', async (t) => {
    const { first, second, sentinels, failOver } = await startSentinels(t);
    const asked = sentinels.map(({ host, port }) => `${host}:${port}`);
    const { username, password, out } = await provision(t, { sentinels: asked, name: MASTER });
    assert.match(out, new RegExp(`redis-cli -h 127.0.0.1 -p ${first.port} `));
    for (const server of [first, second]) {
      assert.deepEqual(
        await connectAs(server, { username, password }).hgetall(`spillway:{acme}:usage:${DAY}`),
        {},
      );
    }
    await failOver();
    const deleted = await cli([
      'tenant',
      'delete',
      'acme',
      '--config',
      configFor(t, { sentinels: asked, name: MASTER }),
    ]);
    assert.equal(deleted.status, 0, deleted.err);
    for (const server of [first, second]) {
      assert.deepEqual([...(await usersOf(server)).keys()], ['default']);
    }
  });
});
