/** `Idempotency-Key` across gateways on one Redis, each a process of its own: what their clients see. */
import assert from 'node:assert/strict';
import { after, describe, it, type TestContext } from 'node:test';
import {
  ANSWER,
  type Fleet,
  keyOf,
  type Member,
  PROMPT,
  settled,
  startFleet,
  tenant,
} from '../gateways/kit.ts';
import { errorIn } from '../server/helpers.ts';
import { type RedisServer, startRedis, until } from '../support/redis.ts';
import { chatAnswer, chatStream, Gate, pauseUntil } from '../support/upstream.ts';

const redis = await startRedis({ after });

/** Milliseconds that a claim outlives its gateway, and what a busy machine adds. */
const LEASE = 10_000;
const LITTLE = 5_000;

const QUOTAS = [
  { limit: 1000, of: 'requests', per: 'hour' },
  { limit: 1_000_000, of: 'tokens', per: 'hour' },
];

async function fleet(t: TestContext, prefix: string, { count = 2, state = {}, config = {} } = {}) {
  const { members, upstream } = await startFleet(t, {
    count,
    state: { redis: redis.url, key_prefix: prefix, ...state },
    tenants: [tenant('acme', QUOTAS)],
    config,
  });
  return { members, a: members[0] as Member, b: members[1] as Member, upstream };
}

interface Told {
  status: number;
  replayed: boolean;
  text: string;
  ms: number;
}

async function ask(member: Member, key: string, body: object = {}, signal?: AbortSignal): Promise<Told> {
  const from = performance.now();
  const response = await fetch(`${member.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${keyOf('acme')}`, 'idempotency-key': key },
    body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }], ...body }),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await response.text();
  const replayed = response.headers.get('x-spillway-replayed') === 'true';
  return { status: response.status, replayed, text, ms: performance.now() - from };
}

/** Answers wait at a gate, streams when half of them has passed. */
function hold(upstream: Fleet['upstream']): Gate {
  const gate = new Gate();
  upstream.reply((request) =>
    request.json()['stream'] === true
      ? chatStream({ content: ['Hello', pauseUntil(gate), ' from upstream.'] })
      : [pauseUntil(gate), chatAnswer()],
  );
  return gate;
}

/** All that Redis keeps of claims under a prefix. */
async function claims(server: RedisServer, prefix: string): Promise<string[]> {
  return (await server.call('KEYS', `${prefix}:*:i:*`)) as string[];
}

describe('gateways on one Redis', () => {
  it('run a request once, whichever of them it comes to, and how often; and count it once', async (t) => {
    const { members, a, upstream } = await fleet(t, 'once', { count: 3 });
    for (const stream of [false, true]) {
      const before = upstream.requests.length;
      const gate = hold(upstream);
      const all = Array.from({ length: 30 }, (_, i) =>
        ask(members[i % 3] as Member, `stream: ${stream}`, { stream }),
      );
      await gate.reached();
      gate.open();
      const answers = await Promise.all(all);
      assert.equal(new Set(answers.map(({ text }) => text)).size, 1);
      assert.ok(answers.every(({ status }) => status === 200));
      assert.equal(answers.filter(({ replayed }) => replayed).length, 29);
      assert.equal(upstream.requests.length, before + 1);
      for (const member of members) {
        const again = await ask(member, `stream: ${stream}`, { stream });
        assert.deepEqual([again.replayed, again.text], [true, answers[0]?.text]);
        const other = await ask(member, `stream: ${stream}`, { stream, temperature: 0 });
        assert.deepEqual([other.status, errorIn(other.text).code], [422, 'idempotency_key_reused']);
      }
    }
    assert.deepEqual(await settled(a, 'acme'), { requests: 2, tokens: 2 * (PROMPT + ANSWER) });
    assert.equal(upstream.requests.length, 2);
  });

  it('keep what they answered in words that nobody can read without the key to them', async (t) => {
    const { a, b } = await fleet(t, 'sealed', {
      config: { idempotency: { encryption_key: 'a secret of all gateways' } },
    });
    const { text } = await ask(a, 'order-4711', { messages: [{ role: 'user', content: 'my question' }] });
    const again = await ask(b, 'order-4711', { messages: [{ role: 'user', content: 'my question' }] });
    assert.deepEqual([again.replayed, again.text], [true, text]);
    const keys = await claims(redis, 'sealed');
    assert.equal(keys.length, 1);
    const stored = JSON.stringify([keys, await redis.call('HGETALL', keys[0] ?? '')]);
    for (const secret of ['order-4711', 'my question', 'from upstream', 'chatcmpl']) {
      assert.ok(!stored.includes(secret), secret);
    }
  });

  it('take over from one that was killed while it ran: those who wait, when its lease is over', async (t) => {
    const { a, b, upstream } = await fleet(t, 'killed');
    const gate = hold(upstream);
    const lost = [ask(a, 'plain'), ask(a, 'stream', { stream: true })];
    const ends = Promise.allSettled(lost);
    await gate.reached(2);
    const waiting = [ask(b, 'plain'), ask(b, 'plain'), ask(b, 'stream', { stream: true })];
    await until(() => upstream.requests.length === 2, 'both');
    await a.kill();
    assert.ok((await ends).every(({ status }) => status === 'rejected'));
    assert.equal(upstream.requests.length, 2);
    gate.open();
    const answers = await Promise.all(waiting);
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(answers.filter(({ replayed }) => replayed).length, 1);
    assert.equal(answers[0]?.text, answers[1]?.text);
    const longest = Math.max(...answers.map(({ ms }) => ms));
    assert.ok(longest < LEASE + LITTLE, `${longest} ms`);
    assert.equal(upstream.requests.length, 4);
    assert.equal((await ask(b, 'stream', { stream: true })).replayed, true);
  });

  it('take over at once from one that was stopped, or whose client left', async (t) => {
    const { a, b, upstream } = await fleet(t, 'stopped', {
      config: { server: { heartbeat: '0', drain_timeout: '200ms' } },
    });
    const gate = hold(upstream);
    const leaving = new AbortController();
    const left = ask(a, 'left', {}, leaving.signal).catch(() => null);
    const cut = ask(a, 'cut', { stream: true }).catch(() => null);
    await gate.reached(2);
    const waiting = [ask(b, 'left'), ask(b, 'cut', { stream: true })];
    leaving.abort();
    await left;
    await gate.reached(3);
    const stopped = a.stop();
    await gate.reached(4);
    gate.open();
    await Promise.all([stopped, cut]);
    for (const { status, replayed, ms } of await Promise.all(waiting)) {
      assert.deepEqual([status, replayed], [200, false]);
      assert.ok(ms < LEASE - 2000, `${ms} ms`);
    }
    assert.equal(upstream.requests.length, 4);
  });

  it('let go at once of those who wait in one that is to be stopped: the answer is at the others', async (t) => {
    const { a, b, upstream } = await fleet(t, 'drained');
    const gate = hold(upstream);
    const running = ask(a, 'slow');
    await gate.reached();
    const waiting = ask(b, 'slow');
    await until(async () => (await b.metric('spillway_in_flight')) === 1, 'the one who waits');
    const stopped = b.stop();
    const told = await waiting;
    assert.deepEqual([told.status, errorIn(told.text).code], [503, 'server_shutting_down']);
    await stopped;
    const again = ask(a, 'slow');
    gate.open();
    assert.deepEqual([(await running).status, (await again).replayed], [200, true]);
    assert.equal(upstream.requests.length, 1);
  });

  it('let a gateway that was only stopped for a while finish what is still its own', async (t) => {
    const { a, b, upstream } = await fleet(t, 'slow');
    const gate = hold(upstream);
    const slow = ask(a, 'slow');
    await gate.reached();
    // For longer than its lease.
    a.process.child.kill('SIGSTOP');
    const [key = ''] = await claims(redis, 'slow');
    await redis.call('HSET', key, 'until', '1');
    const second = ask(b, 'slow');
    await gate.reached(2);
    a.process.child.kill('SIGCONT');
    gate.open();
    const [one, two] = await Promise.all([slow, second]);
    // Both ran, which cannot be helped; what is given from now on is that of the one who had it last.
    assert.deepEqual([one.status, two.status, upstream.requests.length], [200, 200, 2]);
    await until(async () => (await ask(a, 'slow')).replayed, 'the answer');
    assert.equal((await ask(a, 'slow')).text, two.text);
    assert.equal((await ask(b, 'slow')).text, two.text);
  });

  it('leave nobody waiting when Redis loses its data, and run what it forgot once more', async (t) => {
    const { a, b, upstream } = await fleet(t, 'flushed');
    await ask(a, 'done');
    const gate = hold(upstream);
    const running = ask(a, 'running');
    await gate.reached();
    for (const key of await claims(redis, 'flushed')) await redis.call('DEL', key);
    const again = ask(b, 'done');
    await gate.reached(2);
    gate.open();
    assert.deepEqual([(await again).replayed, (await running).status], [false, 200]);
    await until(async () => (await ask(b, 'running')).replayed, 'what was finished after that');
  });
});

describe('while Redis is away', () => {
  it('`local`: nobody fails or hangs, each gateway keeps what it answered, and brings it home', async (t) => {
    const server = await startRedis(t);
    const { a, b, upstream } = await fleet(t, 'local', {
      state: { redis: server.url, command_timeout: '300ms', on_outage: 'local' },
    });
    const gate = hold(upstream);
    const begun = ask(a, 'begun before');
    await gate.reached();
    server.freeze();
    gate.open();
    const first = await begun;
    assert.deepEqual([first.status, first.replayed], [200, false]);
    const second = await ask(a, 'begun meanwhile');
    assert.equal(second.status, 200);
    assert.ok(first.ms + second.ms < 2 * LITTLE, `${first.ms} and ${second.ms} ms`);
    for (const key of ['begun before', 'begun meanwhile']) {
      const again = await ask(a, key);
      assert.deepEqual([again.status, again.replayed], [200, true]);
    }
    server.thaw();
    await until(() => a.storeUp(), 'the return');
    await until(() => b.storeUp(), 'the return');
    // What was sent when it froze was carried out when it went on; the rest is sent again within a third of a lease.
    await until(async () => (await ask(a, 'begun before')).replayed, 'the first');
    await until(async () => (await claims(server, 'local')).length === 2, 'both', 10_000);
    for (const key of ['begun before', 'begun meanwhile']) {
      await until(async () => (await ask(b, key)).replayed, key, 10_000);
    }
    assert.equal(upstream.requests.length, 2);
  });

  it('`deny`: nothing with a key is run, all else is as it was', async (t) => {
    const server = await startRedis(t);
    const { members, upstream } = await startFleet(t, {
      count: 1,
      state: { redis: server.url, command_timeout: '300ms', on_outage: 'deny' },
      tenants: [tenant('acme', [])],
    });
    const [a] = members as [Member];
    await ask(a, 'before');
    await server.kill();
    await until(async () => !(await a.storeUp()), 'the outage');
    const { status, text } = await ask(a, 'meanwhile');
    assert.deepEqual([status, errorIn(text).code], [503, 'state_unavailable']);
    assert.equal((await a.chat('acme')).status, 200);
    assert.equal(upstream.requests.length, 2);
    await server.start();
    await until(() => a.storeUp(), 'the return');
    assert.deepEqual((await ask(a, 'meanwhile')).status, 200);
  });
});
