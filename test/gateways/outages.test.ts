/** Redis goes away under load, in all ways in which it can, and comes back. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { errorIn } from '../server/helpers.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import {
  ANSWER,
  atOnce,
  type Fleet,
  keyOf,
  type Member,
  PROMPT,
  type Seen,
  settled,
  startFleet,
  tally,
  tenant,
} from './kit.ts';
import { Load, longest, median } from './load.ts';

type Mode = 'local' | 'deny' | 'allow';

/** Milliseconds. */
const TIMEOUT = 800;
/** What a busy machine may add to that. Milliseconds. */
const LITTLE = 1000;
/** Of each gateway, in each phase. */
const REQUESTS = 10;
/** Clients of each gateway. */
const CLIENTS = 3;

/** Keys of a tenant that asks with each once: the ledger has a line for each, so that it says of every request how often it was counted. */
const TURNS = 400;
const ONCE = Array.from({ length: 2 * CLIENTS * TURNS }, (_, i) => `k${i}`);

const quotas = [
  { limit: 1_000_000, of: 'requests', per: 'hour' },
  { limit: 1_000_000_000, of: 'tokens', per: 'hour' },
  { limit: 1000, of: 'concurrent' },
];

interface Scene {
  mode: Mode;
  redis: RedisServer;
  /** Of each gateway. */
  proxies: readonly [TcpProxy, TcpProxy];
  members: readonly [Member, Member];
  upstream: Fleet['upstream'];
}

async function open(t: TestContext, mode: Mode): Promise<Scene> {
  const redis = await startRedis(t, { config: { appendonly: 'yes', appendfsync: 'no' } });
  const proxies = [await startTcpProxy(t, redis.port), await startTcpProxy(t, redis.port)] as const;
  const { members, upstream } = await startFleet(t, {
    count: 2,
    state: { redis: '${REDIS_URL}', command_timeout: `${TIMEOUT}ms`, on_outage: mode },
    env: (number) => ({ REDIS_URL: proxies[number]?.url ?? '' }),
    tenants: [
      tenant('busy', quotas),
      tenant('small', [{ limit: 40, of: 'requests', per: 'hour' }]),
      tenant('singly', quotas, Object.fromEntries(['k', ...ONCE].map((id) => [id, []]))),
    ],
  });
  return { mode, redis, proxies, upstream, members: members as [Member, Member] };
}

interface Outage {
  name: string;
  begin(load: Load): Promise<void> | void;
  end(): Promise<void> | void;
  /** Those that lose Redis; both unless said. */
  hit?: readonly Member[];
  /** Whose key a client asks with the n-th time; the only one of `busy` unless said. */
  key?: (client: number, turn: number) => string;
}

function outages({ redis, proxies, members }: Scene): Outage[] {
  return [
    {
      name: 'it crashes, and is started with its data',
      begin: () => redis.kill(),
      end: () => redis.start(),
    },
    {
      name: 'it is frozen',
      begin: () => redis.freeze(),
      end: () => redis.thaw(),
    },
    {
      name: 'it takes longer to answer than a command may take',
      begin: () => {
        for (const { toClient } of proxies) toClient.delay = 2 * TIMEOUT;
      },
      end: () => {
        for (const { toClient } of proxies) toClient.delay = 0;
      },
    },
    {
      name: 'one gateway alone is cut off, and its packets come late',
      hit: [members[0]],
      begin: () => proxies[0].toServer.hold(),
      end: () => proxies[0].toServer.release(),
    },
  ];
}

/** Both gateways are asked all the time while Redis goes away and comes back; everything that clients and operators see is checked. */
async function go(
  t: TestContext,
  { mode, members }: Scene,
  { begin, end, hit = members, key = () => 'busy' }: Outage,
) {
  const load = new Load(members, {
    clients: CLIENTS,
    ask: (client, turn) => ({ of: key(client, turn), body: { stream: turn % 3 === 0 } }),
  });
  const baseline = longest(await load.next(REQUESTS));
  await storesAre(true, members);
  const from = members.map(({ process }) => process.lines.length);
  await begin(load);
  await storesAre(false, hit);
  const meanwhile = await load.next(REQUESTS);
  // Once it is known, nobody waits for it any more.
  assert.ok(median(meanwhile) < TIMEOUT / 2, `${median(meanwhile)} ms`);
  for (const { member, ...seen } of meanwhile) check(hit.includes(member) ? mode : 'local', seen);
  for (const member of members) {
    assert.equal(await member.storeUp(), !hit.includes(member));
    assert.equal(await member.ready(), hit.includes(member) && mode === 'deny' ? 503 : 200);
  }
  await end();
  await storesAre(true, members);
  const after = await load.next(REQUESTS);
  assert.deepEqual(tally(after), { 200: after.length });
  for (const member of members) assert.equal(await member.ready(), 200);
  const seen = await load.end();

  const held = longest(seen);
  const said = `${seen.length} requests took at most ${held.toFixed(0)} ms, before at most ${baseline.toFixed(0)} ms`;
  t.diagnostic(said);
  assert.ok(held <= TIMEOUT + baseline + LITTLE, said);
  const counts = tally(seen);
  assert.deepEqual(Object.keys(counts), mode === 'deny' ? ['200', '503'] : ['200']);
  for (const [i, member] of members.entries()) await saidOnce(member, from[i] ?? 0, hit.includes(member));
  return { answered: counts[200] ?? 0, seen };
}

function storesAre(up: boolean, members: readonly Member[]) {
  return until(
    async () => (await Promise.all(members.map((member) => member.storeUp()))).every((one) => one === up),
    up ? 'the return' : 'the outage to be seen',
  );
}

/** What clients see of this mode while Redis is away. */
function check(mode: Mode, { status, text, headers }: Seen): void {
  assert.equal(status, mode === 'deny' ? 503 : 200, text);
  if (mode !== 'deny') return;
  assert.equal(errorIn(text).code, 'state_unavailable');
  assert.ok(Number(headers.get('retry-after')) >= 1);
}

/**
 * That it is away and that it is back, in turn: once each, or twice where a busy machine made it stumble. Those who follow tenants say so
 * as well, at most as often; nothing else is said.
 */
async function saidOnce(member: Member, from: number, hit: boolean): Promise<void> {
  const changes = () => member.said(/^redis is (?:away \(.+\); on_outage is|back)/, from).map(({ up }) => up);
  // What it wrote may still be on its way to us.
  await until(() => changes().at(-1) !== false && (!hit || changes().length > 0), 'the log to say so');
  await followsTenants(member);
  const times = changes().length / 2;
  const said = JSON.stringify(member.said(/^(?!request$)/, from));
  assert.deepEqual(changes(), new Array(times).fill([false, true]).flat(), said);
  assert.ok(hit ? times === 1 || times === 2 : times === 0, said);
  const lost = member.said(LOST, from).length;
  assert.ok(lost <= times, said);
  assert.equal(member.said(/^(?!request$)/, from).length, 2 * times + 2 * lost, said);
}

const LOST = /^changes of tenants cannot be read/;

async function followsTenants(member: Member): Promise<void> {
  const again = () => member.said(/^tenants made .* are followed again$/).length;
  await until(() => member.said(LOST).length === again(), 'tenants to be followed again');
}

/** What was let in, what was answered, what was asked for: all the same. */
async function booksAgree({ members, upstream }: Scene, answered: number): Promise<void> {
  assert.equal(upstream.requests.length, answered);
  const ledger = { requests: answered, input_tokens: answered * PROMPT, output_tokens: answered * ANSWER };
  const used = { requests: answered, tokens: answered * (PROMPT + ANSWER), concurrent: 0 };
  for (const member of members) {
    await until(async () => (await member.sums('busy')).requests === answered, 'the ledger');
    await until(
      async () => (await settled(member, 'busy'))['requests'] === answered,
      'what is in doubt to be undone',
    );
    assert.deepEqual(await settled(member, 'busy'), used);
    const { cost_usd, ...sums } = await member.sums('busy');
    assert.deepEqual(sums, ledger);
  }
}

/** What a tenant is let that has used 10 of 40, and asks both gateways for 40 more each. Both know of each other by now. */
async function enforced({ mode, redis, members }: Scene): Promise<void> {
  for (let i = 0; i < 10; i++) assert.equal((await members[i % 2]?.chat('small'))?.status, 200);
  redis.freeze();
  const seen = await Promise.all(atOnce(members, 80, 'small'));
  const expected = { local: { 200: 30, 429: 50 }, deny: { 503: 80 }, allow: { 200: 80 } } as const;
  const said = `${JSON.stringify(tally(seen))}: ${[...new Set(seen.map(({ text }) => text))].join('\n')}`;
  assert.deepEqual(tally(seen), expected[mode], said);
  if (mode === 'local') {
    for (const member of [0, 1]) assert.equal(tally(seen.filter((_, i) => i % 2 === member))[200], 15);
  }
  redis.thaw();
  await storesAre(true, members);
  for (const member of members) await followsTenants(member);
  const used = { local: 40, deny: 10, allow: 90 }[mode];
  for (const member of members) {
    await until(async () => (await settled(member, 'small'))['requests'] === used, `${used} to be used`);
    assert.equal((await member.chat('small')).status, mode === 'deny' ? 200 : 429);
    if (mode === 'deny') break;
  }
}

for (const mode of ['local', 'deny', 'allow'] as const) {
  describe(`on_outage: ${mode}, with two gateways under load`, () => {
    it('nobody is held up, it does what it says and says so once, and the books agree afterwards', async (t) => {
      const scene = await open(t, mode);
      let answered = 0;
      for (const outage of outages(scene)) {
        await t.test(outage.name, async (t) => {
          answered += (await go(t, scene, outage)).answered;
        });
      }
      await t.test('after all that', () => booksAgree(scene, answered));
      await t.test('and a limit that is nearly used up', () => enforced(scene));
      await t.test('it is started again empty', async (t) => {
        const { redis, members } = scene;
        let killedAt = Number.POSITIVE_INFINITY;
        const [a, b] = members;
        const counted = async (member: Member) =>
          new Map((await member.ledger('singly')).map((row) => [keyOf('singly', row.key), row.requests]));
        /** They were counted before, and their gateways know it: what is read comes after what was written, on the same connection. */
        let settledBefore: string[] = [];
        const begin = async (load: Load) => {
          settledBefore = load.noted.filter(({ status }) => status === 200).map(({ of }) => of);
          for (const member of members) {
            await until(async () => {
              const counts = await counted(member);
              return settledBefore.every((of) => counts.has(of));
            }, 'what was answered to be settled');
          }
          killedAt = performance.now();
          await redis.kill();
        };
        const { seen } = await go(t, scene, {
          name: 'empty',
          begin,
          end: () => redis.restartEmpty(),
          key: (client, turn) => (turn < TURNS ? keyOf('singly', ONCE[client * TURNS + turn]) : 'busy'),
        });
        const answered = seen.filter(({ status, of }) => status === 200 && of !== 'busy');
        const later = answered.filter(({ at }) => at >= killedAt);
        const missing = async () => {
          const counts = await counted(a);
          return later.filter(({ of }) => !counts.has(of));
        };
        await until(async () => (await missing()).length === 0, 'the ledger of what came later');
        const used = await settled(b, 'singly');
        const sums = await a.sums('singly');
        assert.deepEqual(await b.sums('singly'), sums);
        // Of what was under way when it ended, or had not been settled there, or was not known to be: all that it is told it counts once.
        const counts = await counted(a);
        assert.deepEqual([...new Set(counts.values())], [1]);
        assert.deepEqual(
          settledBefore.filter((of) => counts.has(of)),
          [],
        );
        // Of those under way it knows what they took, and not that they were let in.
        const quota = used['requests'] ?? 0;
        assert.ok(
          later.length <= quota + 2 * CLIENTS && quota <= sums.requests,
          `${quota} for ${later.length}`,
        );
        assert.equal(used['tokens'], sums.input_tokens + sums.output_tokens);
      });
    });
  });
}
