/** Gateways that end without a word, in the middle of their work. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { startRedis, until } from '../support/redis.ts';
import { chatAnswer, chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import {
  ANSWER,
  dead,
  endLeases,
  type Fleet,
  holders,
  type Member,
  PROMPT,
  settled,
  standing,
  startFleet,
  tenant,
} from './kit.ts';

const MOST = 50;
const RESERVED = PROMPT + MOST;
/** Milliseconds that a lease lasts. */
const LEASE = 30_000;

const quotas = [
  { limit: 100_000, of: 'requests', per: 'hour' },
  { limit: 100_000_000, of: 'tokens', per: 'hour' },
  { limit: 10, of: 'concurrent' },
];

const redis = await startRedis({ after });
const TENANTS = ['t0', 't1', 't2', 't3'];

async function fleet(t: { after(cleanUp: () => Promise<void>): void }, prefix: string) {
  const { members, upstream, join } = await startFleet(t, {
    count: 2,
    state: { redis: redis.url, key_prefix: prefix },
    tenants: ['acme', ...TENANTS].map((id) => tenant(id, quotas)),
  });
  const [a, b] = members as [Member, Member];
  return { a, b, upstream, join };
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

describe('a gateway that is killed with requests under way', () => {
  it('leaves what they reserved for no longer than its lease, and the counts of what it had let in', async (t) => {
    const { a, b, upstream } = await fleet(t, 'killed');
    await Promise.all(Array.from({ length: 5 }, () => a.chat('acme', { max_tokens: MOST })));
    await settled(b, 'acme');
    const gate = hold(upstream);
    const asked = Array.from({ length: 10 }, (_, i) =>
      a.chat('acme', { max_tokens: MOST, stream: i % 2 === 0 }),
    );
    const ends = Promise.allSettled(asked);
    await gate.reached(10);
    await a.kill();
    assert.ok((await ends).every(({ status }) => status === 'rejected'));

    // Nobody knows yet that it is dead.
    const before = await b.usage('acme');
    assert.deepEqual(standing(before, 'requests'), { used: 15, reserved: 0 });
    assert.deepEqual(standing(before, 'tokens'), { used: 5 * (PROMPT + ANSWER), reserved: 10 * RESERVED });
    assert.deepEqual(standing(before, 'concurrent'), { used: 0, reserved: 10 });
    gate.open();
    assert.equal((await b.chat('acme')).status, 429);

    const gone = await dead(redis, 'killed');
    assert.equal(gone.length, 1);
    const [seconds] = (await redis.call('TIME')) as [string, string];
    const [lease = Number.NaN, ...others] = await endLeases(redis, 'acme', gone, 'killed');
    assert.deepEqual(others, []);
    assert.ok(lease <= Number(seconds) * 1000 + 1000 + LEASE);

    // The very next request finds room, without anybody having looked.
    assert.equal((await b.chat('acme')).status, 200);
    assert.deepEqual(await settled(b, 'acme'), {
      requests: 16,
      tokens: 6 * (PROMPT + ANSWER),
      concurrent: 0,
    });
    const left = await holders(redis, 'acme', 'killed');
    assert.ok(!left.some((holder) => holder.startsWith(gone[0] ?? '')));
    assert.equal((await b.sums('acme')).requests, 6);
  });

  it('under load: what it settled is in the ledger but for the last moment, and counters and ledger agree', async (t) => {
    const CLIENTS = 12;
    const { a, b, upstream, join } = await fleet(t, 'load');
    let going = true;
    const answered: Record<string, number> = {};
    const client = async (gateways: readonly Member[], number: number) => {
      for (let i = 0; going; i++) {
        const of = TENANTS[(number + i) % TENANTS.length] as string;
        const gateway = gateways[i % gateways.length] as Member;
        const seen = await gateway.chat(of, { max_tokens: MOST, stream: i % 3 === 0 }).catch(() => null);
        if (seen?.status === 200) answered[of] = (answered[of] ?? 0) + 1;
        else if (seen !== null) assert.equal(seen.status, 429);
        else if (gateways.length === 1) return;
      }
    };
    // Half of the clients know the one that will live as well.
    const clients = Array.from({ length: CLIENTS }, (_, i) => client(i % 2 === 0 ? [a] : [a, b], i));
    await upstream.waitFor(150);
    await a.kill();
    await upstream.waitFor(200);
    const c = await join();
    going = false;
    await Promise.all(clients);

    const gone = await dead(redis, 'load');
    assert.equal(gone.length, 1);
    let admitted = 0;
    let lost = 0;
    for (const of of TENANTS) {
      await endLeases(redis, of, gone, 'load');
      const used = await settled(c, of);
      const sums = await b.sums(of);
      assert.deepEqual(await c.sums(of), sums);
      assert.equal(used['tokens'], sums.input_tokens + sums.output_tokens, of);
      assert.ok((used['requests'] ?? 0) >= sums.requests, of);
      admitted += used['requests'] ?? 0;
      lost += (answered[of] ?? 0) - sums.requests;
    }
    t.diagnostic(`answered but not in the ledger: ${lost}`);
    assert.ok(lost <= 2 * CLIENTS, `${lost} answers are not in the ledger`);
    const sent = upstream.requests.length;
    assert.ok(sent <= admitted && admitted <= sent + CLIENTS, `${admitted} admitted, ${sent} sent`);
  });

  it('not, but stopped for longer than a lease, goes on where it was: what was given back is charged when it is used', async (t) => {
    const { a, b, upstream } = await fleet(t, 'stopped');
    const gate = hold(upstream);
    const asked = Array.from({ length: 10 }, (_, i) =>
      a.chat('acme', { max_tokens: MOST, stream: i % 2 === 0 }),
    );
    await gate.reached(10);
    a.process.child.kill('SIGSTOP');
    await endLeases(redis, 'acme', await holders(redis, 'acme', 'stopped'), 'stopped');
    const given = await b.usage('acme');
    assert.deepEqual(standing(given, 'tokens'), { used: 0, reserved: 0 });
    assert.deepEqual(standing(given, 'concurrent'), { used: 0, reserved: 0 });
    a.process.child.kill('SIGCONT');
    const more = a.chat('acme', { max_tokens: MOST });
    await gate.reached(11);
    assert.deepEqual(standing(await b.usage('acme'), 'concurrent'), { used: 0, reserved: 1 });
    gate.open();
    for (const { status } of await Promise.all([...asked, more])) assert.equal(status, 200);
    const used = { requests: 11, tokens: 11 * (PROMPT + ANSWER), concurrent: 0 };
    await until(async () => (await b.sums('acme')).requests === 11, 'the ledger');
    assert.deepEqual(await settled(b, 'acme'), used);
    assert.deepEqual(await settled(a, 'acme'), used);
  });
});
