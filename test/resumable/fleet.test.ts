/** Streams that are begun at one gateway and come back to at another, each a process of its own. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import {
  ANSWER,
  keyOf,
  type Member,
  PROMPT,
  settled,
  standing,
  startFleet,
  tenant,
} from '../gateways/kit.ts';
import { startRedis, until } from '../support/redis.ts';
import { chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import { begin, comeBack, errorOf, numbersIn, PATHS, type StreamClient, withoutPings } from './kit.ts';

const quotas = [
  { limit: 100_000, of: 'tokens', per: 'day' },
  { limit: 10, of: 'concurrent' },
];
const ACME = { authorization: `Bearer ${keyOf('acme')}` };
const redis = await startRedis({ after });

async function fleet(
  t: Parameters<typeof startFleet>[0],
  prefix: string,
  url = redis.url,
  state: object = {},
) {
  const { members, upstream } = await startFleet(t, {
    count: 2,
    state: { redis: url, key_prefix: prefix, ...state },
    tenants: [tenant('acme', quotas)],
    config: { idempotency: { encryption_key: 'of all gateways of this fleet' } },
  });
  const [a, b] = members as [Member, Member];
  return { a, b, upstream };
}

/** Fails unless these are the events of one stream, without a gap and none twice. */
function whole(text: string, count?: number): void {
  const numbers = numbersIn(text);
  assert.deepEqual(
    numbers,
    Array.from({ length: count ?? numbers.length }, (_, i) => i + 1),
  );
}

/** As soon as the other gateway knows of it. */
async function meet(member: Member, client: StreamClient): Promise<StreamClient> {
  const path = `${member.origin}/v1/streams/${client.id}`;
  await until(async () => {
    const { status, body } = await fetch(path, { headers: ACME });
    await body?.cancel();
    return status === 200;
  }, 'the stream to be known');
  return comeBack(member.origin, client.id, client.last, ACME);
}

describe('a resumable stream of one gateway', () => {
  for (const path of PATHS) {
    it(`goes on at another while it still comes (${path})`, async (t) => {
      const { a, b, upstream } = await fleet(t, path.slice(0, 4));
      const gate = new Gate();
      const content = Array.from({ length: 20 }, (_, i) => [`word${i} `, pauseUntil(gate)]).flat();
      upstream.enqueue(chatStream({ content }));
      const client = await begin(a.origin, ACME, path);
      await client.until('word0 ');
      gate.step();
      await client.until('word1 ');
      await client.leave();
      const second = await meet(b, client);
      gate.step(3);
      await second.until('word4 ');
      await second.leave();
      const soFar = client.whole + second.whole;
      const third = await comeBack(b.origin, client.id, numbersIn(soFar).at(-1) ?? 0, ACME);
      const fourth = await comeBack(a.origin, client.id, 0, ACME);
      gate.open();
      const rest = withoutPings(await third.rest());
      const all = soFar + rest;
      whole(all);
      for (let i = 0; i < 20; i++) assert.equal(all.split(`word${i} `).length > 1, true, `word${i}`);
      assert.equal(withoutPings(await fourth.rest()), all);
      const used = await settled(b, 'acme');
      assert.equal(used['tokens'], PROMPT + ANSWER);
      assert.equal(used['concurrent'], 0);
      assert.equal(upstream.requests.length, 1);
      assert.equal(upstream.requests[0]?.aborted, false);
    });
  }

  it('is whole at another one after its gateway has ended, and in Redis nobody can read it', async (t) => {
    const { a, b, upstream } = await fleet(t, 'over');
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate), ' you'] }));
    const client = await begin(a.origin, ACME);
    await client.until('Hello');
    await client.leave();
    const stopped = a.stop();
    gate.open();
    // It drains: what has no client any more may end.
    assert.equal((await stopped).code, 0);
    const back = await comeBack(b.origin, client.id, client.last, ACME);
    const all = client.whole + withoutPings(await back.rest());
    whole(all);
    assert.match(all, /you/);
    assert.ok(all.endsWith('data: [DONE]\n\n'));
    const batches = (await redis.call('ZRANGE', `over:{acme}:s:${client.id}:b`, 0, -1)) as string[];
    assert.ok(batches.length > 0 && batches.every((batch) => /^s[A-Za-z0-9+/=]+$/.test(batch)));
  });

  for (const path of PATHS) {
    it(`ends in an error at another one when its gateway is killed (${path})`, async (t) => {
      const prefix = `kill${path.slice(0, 4)}`;
      const { a, b, upstream } = await fleet(t, prefix);
      upstream.enqueue(chatStream({ content: ['Hello', ' you', pauseUntil(new Gate())] }));
      const client = await begin(a.origin, ACME, path);
      await client.until('you');
      const follows = await meet(b, client);
      await a.kill();
      await client.rest().catch(() => {});
      // As it is ten seconds after its last word.
      await redis.call('HSET', `${prefix}:{acme}:s:${client.id}`, 'alive', 1);
      const late = await comeBack(b.origin, client.id, 1, ACME);
      for (const reader of [follows, late]) {
        const text = withoutPings(await reader.rest());
        assert.match(text, /gateway that received it is gone/);
        assert.match(text, path === 'messages' ? /"type":"error"/ : /stream_interrupted/);
        assert.doesNotMatch(text, /\[DONE\]|message_stop|response\.completed/);
        // What says so is none of its events: who asks again asks for what comes after those.
        const error = text.slice(text.lastIndexOf('\n\n', text.length - 3) + 2);
        assert.doesNotMatch(error, /^id:/);
      }
      whole(client.whole + withoutPings(follows.text));
      if (path === 'responses') {
        const numbers = [...late.text.matchAll(/"sequence_number":(\d+)/g)].map(([, n]) => Number(n));
        assert.deepEqual(
          numbers,
          numbers.map((_, i) => (numbers[0] ?? 0) + i),
        );
      }
    });
  }

  it('has a name of its own where another gateway has the one that was chosen in use', async (t) => {
    const { a, b, upstream } = await fleet(t, 'names');
    const gate = new Gate();
    for (let i = 0; i < 2; i++) upstream.enqueue(chatStream({ content: [`of ${i}`, pauseUntil(gate)] }));
    const headers = { ...ACME, 'x-request-id': 'chosen' };
    const first = await begin(a.origin, headers);
    const second = await begin(b.origin, headers);
    assert.equal(first.id, 'chosen');
    assert.notEqual(second.id, 'chosen');
    gate.open();
    await Promise.all([first.rest(), second.rest()]);
    for (const [gateway, stream] of [
      [b, first],
      [a, second],
    ] as const) {
      const back = await comeBack(gateway.origin, stream.id, 0, ACME);
      assert.equal(withoutPings(await back.rest()), stream.whole);
      // What lies beside it in Redis is no stream.
      const beside = await errorOf(fetch(`${gateway.origin}/v1/streams/${stream.id}:b`, { headers: ACME }));
      assert.equal(beside.code, 'stream_not_found');
    }
  });

  it('can be removed at another one', async (t) => {
    const { a, b, upstream } = await fleet(t, 'removed');
    upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(new Gate())] }));
    const client = await begin(a.origin, ACME);
    await client.until('Hello');
    const follows = await meet(b, client);
    const path = `/v1/streams/${client.id}`;
    assert.equal((await fetch(b.origin + path, { method: 'DELETE', headers: ACME })).status, 200);
    for (const reader of [client, follows]) assert.match(await reader.rest(), /removed/);
    await upstream.requests[0]?.closed;
    for (const member of [a, b]) {
      const answer = await errorOf(fetch(member.origin + path, { headers: ACME }));
      assert.deepEqual([answer.status, answer.code], [404, 'stream_not_found']);
    }
    assert.equal(standing(await b.usage('acme'), 'concurrent').reserved, 0);
  });

  it('is served where it is written while Redis is away, and elsewhere again when it is back', async (t) => {
    const own = await startRedis(t);
    const { a, b, upstream } = await fleet(t, 'away', own.url, { command_timeout: '500ms' });
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate), ' you', pauseUntil(gate), ' too'] }));
    const client = await begin(a.origin, ACME);
    await client.until('Hello');
    const follows = await meet(b, client);
    await own.kill();
    gate.step();
    await client.until('you');
    await client.leave();
    const here = await comeBack(a.origin, client.id, client.last, ACME);
    const answer = await errorOf(fetch(`${b.origin}/v1/streams/${client.id}`, { headers: ACME }));
    assert.deepEqual([answer.status, answer.code], [503, 'state_unavailable']);
    await own.start();
    gate.open();
    const rest = withoutPings(await here.rest());
    whole(client.whole + rest);
    assert.match(rest, /too/);
    const all = client.whole + rest;
    assert.ok(all.endsWith(withoutPings(await follows.rest())));
  });
});
