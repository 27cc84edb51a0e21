/** Gateways that reach Redis over TLS, as a user who may do no more than they need; and what nobody is to read of how they do it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startProcess } from '../support/process.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { apiError, chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import {
  ANSWER,
  COMMANDS,
  dead,
  endLeases,
  keyOf,
  type Member,
  PATIENT,
  PROMPT,
  rules,
  settled,
  startFleet,
  tenant,
} from './kit.ts';

const AUTHORITY = fileURLToPath(new URL('../support/certificates/authority.pem', import.meta.url));
const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const PASSWORD = 'Zq7Xw2Lm9/p@ss:word%41';

const quotas = [
  { limit: 20, of: 'requests', per: 'minute' },
  { limit: 100_000, of: 'tokens', per: 'day' },
  { limit: 1, of: 'usd', per: 'month' },
  { limit: 5, of: 'concurrent' },
];

async function start(t: Parameters<typeof startRedis>[0], state: object = {}) {
  const redis = await startRedis(t, { tls: true, users: { gateway: rules(PASSWORD, COMMANDS) } });
  const url = redis.urlFor('gateway', PASSWORD, 1);
  const fleet = await startFleet(t, {
    count: 2,
    state: { redis: url, ...state },
    env: () => ({ NODE_EXTRA_CA_CERTS: AUTHORITY }),
    tenants: [tenant('acme', quotas), tenant('free', [])],
    config: {
      idempotency: { encryption_key: 'a text that both gateways share' },
      models: {
        m: { provider: 'a', model: 'up' },
        kept: { provider: 'a', model: 'up', cache: { mode: 'exact' } },
        talks: {
          provider: 'a',
          model: 'other',
          breaker: { share: true, consecutive_failures: 1, open_for: '1s' },
        },
      },
    },
  });
  const [a, b] = fleet.members as [Member, Member];
  return { ...fleet, redis, url, a, b };
}

/** What is kept of answers, and what gateways tell each other. */
async function liveOnAnswers({
  a,
  b,
  upstream,
}: Pick<Awaited<ReturnType<typeof start>>, 'a' | 'b' | 'upstream'>) {
  const ask = ({ origin }: Member, headers: Record<string, string>, body: object = {}) =>
    fetch(`${origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${keyOf('free')}`, ...headers },
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...body }),
    });
  const once = { 'idempotency-key': 'the same' };
  await (await ask(a, once)).text();
  await until(
    async () => (await ask(b, once)).headers.get('x-spillway-replayed') === 'true',
    'the answer in the other gateway',
  );

  const streamed = await ask(a, { 'x-spillway-resume': 'true' }, { stream: true });
  const told = await streamed.text();
  const again = await fetch(`${b.origin}/v1/streams/${streamed.headers.get('x-spillway-stream-id')}`, {
    headers: { authorization: `Bearer ${keyOf('free')}` },
  });
  assert.equal(await again.text(), told);

  assert.equal((await ask(a, {}, { model: 'kept' })).headers.get('x-spillway-cache'), 'miss');
  await until(
    async () => (await ask(b, {}, { model: 'kept' })).headers.get('x-spillway-cache') === 'hit',
    'the answer in the cache',
  );

  upstream.enqueue(apiError(500));
  assert.equal((await ask(a, {}, { model: 'talks' })).status, 502);
  await until(async () => (await ask(b, {}, { model: 'talks' })).status === 503, 'the other breaker to open');
  await until(async () => (await ask(b, {}, { model: 'talks' })).status === 200, 'a probe');
  await until(
    async () => (await ask(a, {}, { model: 'talks' })).status === 200,
    'the other breaker to close',
  );
}

/** As many deleted tenants as are remembered: one more, and the oldest is forgotten. */
const TOMBSTONES = `for i = 1, 10000 do redis.call('ZADD', KEYS[1], i, 'gone-' .. i) end`;

/** Everything that a gateway ever does with Redis. */
async function live({ a, b, upstream, redis }: Awaited<ReturnType<typeof start>>): Promise<void> {
  const seen = [];
  for (let i = 0; i < 21; i++) seen.push((await (i % 2 === 0 ? a : b).chat('acme')).status);
  assert.deepEqual(seen, [...new Array(20).fill(200), 429]);
  assert.equal((await settled(b, 'acme'))['tokens'], 20 * (PROMPT + ANSWER));
  assert.equal((await a.sums('acme')).requests, 20);
  assert.equal((await b.operator('GET', '/admin/usage')).status, 200);

  await liveOnAnswers({ a, b, upstream });

  // Tenants come, change and go, more of them than are remembered.
  const database = redis.connect({ db: 1 });
  await database.call('EVAL', TOMBSTONES, 1, 'spillway:{!}:tenants:gone');
  const keys = [{ id: 'k', sha256: 'ab'.repeat(32) }];
  const made = [
    ['POST', '', { id: 'made', quotas, keys }, 201],
    ['POST', '/made/keys', { id: 'l' }, 201],
    ['POST', '/made/keys/l/rotate', undefined, 200],
    ['PATCH', '/made', { tier: 'pro' }, 200],
    ['DELETE', '/made/keys/l', undefined, 204],
    ['DELETE', '/made', undefined, 204],
    ['POST', '', { id: 'kept', keys }, 201],
  ] as const;
  for (const [method, path, body, status] of made) {
    const answer = await a.operator(method, `/admin/tenants${path}`, body);
    assert.equal(answer.status, status, answer.text);
  }
  await until(
    async () => (await b.operator('GET', '/admin/tenants/kept')).status === 200,
    'the other gateway',
  );

  // One dies with a reservation, which the other gives back.
  await a.operator('POST', '/admin/tenants', {
    id: 'late',
    quotas,
    keys: [{ id: 'k', sha256: await hash('late') }],
  });
  await until(
    async () => (await b.operator('GET', '/admin/tenants/late')).status === 200,
    'the other gateway',
  );
  const gate = new Gate();
  upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate)] }));
  const cut = a.chat('late', { stream: true }).catch(() => null);
  await gate.reached();
  await a.kill();
  await cut;
  const onDatabase = {
    call: (command: string, ...args: (string | number)[]) => database.call(command, ...args),
  };
  const gone = await dead(onDatabase);
  assert.equal(gone.length, 1);
  await endLeases(onDatabase, 'late', gone);
  assert.equal((await b.chat('late')).status, 200);
  assert.equal((await settled(b, 'late'))['requests'], 2);

  // It comes back empty, and is given what it had lost.
  await redis.restartEmpty();
  await until(
    () => b.said(/Redis had lost tenants: they were written back/).length === 1,
    'the tenants to be written back',
  );
  await until(() => b.storeUp(), 'Redis to be back');
  assert.equal((await b.chat('acme')).status, 200);
}

async function hash(of: string): Promise<string> {
  return (await import('../../src/auth/key-hash.ts')).hashOfKey(keyOf(of));
}

/** Commands that were carried out, and those that were refused. */
async function statistics(redis: RedisServer) {
  const lines = String(await redis.call('INFO', 'commandstats')).split('\r\n');
  const called = new Set<string>();
  const rejected: string[] = [];
  for (const line of lines) {
    const [, name, calls, refused] = /^cmdstat_([^:]+):calls=(\d+).*rejected_calls=(\d+)/.exec(line) ?? [];
    if (name === undefined) continue;
    if (Number(calls) > 0) called.add(name);
    if (Number(refused) > 0) rejected.push(name);
  }
  return { called, rejected };
}

describe('a user of Redis with exactly the rights that a gateway needs, over TLS', () => {
  it('is enough for all that it does, and each of the rights is used', async (t) => {
    const scene = await start(t);
    const { redis, b } = scene;
    const called = new Set<string>();
    const look = async () => {
      const now = await statistics(redis);
      assert.deepEqual(now.rejected, []);
      for (const name of now.called) called.add(name);
      assert.deepEqual(await redis.call('ACL', 'LOG'), []);
    };
    const { restartEmpty } = redis;
    redis.restartEmpty = async () => {
      await look();
      await restartEmpty.call(redis);
    };
    await live(scene);
    assert.deepEqual(await b.stop(), { code: 0, signal: null });
    await look();
    assert.deepEqual(
      COMMANDS.filter((name) => !called.has(name)),
      [],
    );
    assert.match(
      String(await redis.call('ACL', 'LIST')),
      /user gateway on .*~spillway:\* resetchannels -@all /,
    );
  });

  it('if it lacks one of them, Redis is away, and the log says why', async (t) => {
    const commands = COMMANDS.filter((name) => name !== 'hset');
    const redis = await startRedis(t, { users: { gateway: rules(PASSWORD, commands) } });
    const { members } = await startFleet(t, {
      count: 1,
      state: { redis: redis.urlFor('gateway', PASSWORD), on_outage: 'deny' },
      tenants: [tenant('acme', quotas)],
    });
    const [a] = members as [Member];
    assert.equal((await a.chat('acme')).status, 503);
    const said = () => a.said(/^redis is away \(its user may not do what is needed \(NOPERM\)\)/);
    await until(() => said().length > 0, 'the log to say why');
  });
});

describe('the password of Redis', () => {
  it('is in nothing that a gateway writes, answers or measures', async (t) => {
    const { a, b, redis, url, config } = await start(t, { command_timeout: '500ms' });
    const read: string[] = [];
    const run = async (...args: string[]) => {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [MAIN, ...args]).catch(
        (error) => error,
      );
      read.push(stdout, stderr);
    };
    const ask = async (method: string, path: string) => {
      const { status, text } = await a.operator(method, path);
      read.push(text);
      return { status, text };
    };
    await a.chat('acme');
    redis.freeze();
    read.push((await a.chat('acme', {}, AbortSignal.timeout(20_000))).text);
    redis.thaw();
    await redis.kill();
    await until(async () => !(await b.storeUp()), 'Redis to be away');
    for (const path of ['/metrics', '/readyz', '/admin/upstreams', '/admin/usage', '/admin/tenants'])
      await ask('GET', path);
    await redis.start();
    await until(() => a.storeUp(), 'Redis to be back');
    await Promise.all([run('check', a.process.file), run('explain', a.process.file, 'm')]);

    const changes = [
      { redis: url.replace(/\d+$/, '2') },
      { redis: url.replace('gateway:', 'other:') },
      { redis: url, key_prefix: 'other' },
      { redis: url, on_outage: 'deny' },
      { redis: [url.replace(/\/\d+$/, '')] },
      { redis: '' },
    ];
    for (const change of changes) {
      a.process.writeConfig({ ...config, state: { command_timeout: '500ms', ...change } });
      const { status, text } = await ask('POST', '/admin/reload');
      assert.equal(status, 422);
      assert.match(text, /state cannot change while running: restart instead/);
    }
    for (const state of [
      { redis: `${url}/x` },
      { redis: url.replace('rediss:', 'redits:') },
      { redis: { url } },
    ]) {
      a.process.writeConfig({ ...config, state });
      const { status, text } = await ask('POST', '/admin/reload');
      assert.equal(status, 422, text);
      assert.match(text, /state\.redis/);
      const faulty = startProcess(t, JSON.stringify({ ...config, state }));
      await Promise.all([faulty.ended, run('check', a.process.file)]);
      assert.match(faulty.stderr, /state\.redis/);
      read.push(faulty.stdout, faulty.stderr);
    }
    a.process.writeConfig(config);
    assert.equal((await ask('POST', '/admin/reload')).status, 200);
    assert.equal((await a.chat('acme')).status, 200);

    // One that is let in by nobody, and one that trusts nobody. Both give the answer the time that it takes on a busy machine.
    const startWith = (redis: string, env: Record<string, string>) =>
      startProcess(t, JSON.stringify({ ...config, state: { ...PATIENT, redis } }), { env });
    const wrong = startWith(url.replace('gateway:', 'nobody:'), { NODE_EXTRA_CA_CERTS: AUTHORITY });
    const distrusts = startWith(url, {});
    await Promise.all([wrong.listening(), distrusts.listening(), a.stop(), b.stop()]);
    for (const one of [a.process, b.process, wrong, distrusts]) read.push(one.stdout, one.stderr);

    assert.match(
      wrong.stdout,
      /redis is away \(it does not know this user with this password \(WRONGPASS\)\)/,
    );
    assert.match(distrusts.stdout, /redis is away \([^"]*(?:certificate|issuer)/);
    const all = read.join('\n');
    for (const secret of [PASSWORD, encodeURIComponent(PASSWORD), url, 'Zq7Xw2Lm9']) {
      const at = all.indexOf(secret);
      assert.equal(at, -1, all.slice(Math.max(0, at - 300), at + 100));
    }
  });
});
