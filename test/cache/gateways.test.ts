/** Several gateways on one Redis give each other's answers, and go on without it. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { HICCUP } from '../support/hiccup.ts';
import { type CleansUp, startRedis, until } from '../support/redis.ts';
import { chatAnswer, chatStream, startUpstream, type Upstream } from '../support/upstream.ts';
import { cachedGateway, type Rig, seen } from './kit.ts';

const redis = await startRedis({ after });

let prefixes = 0;

async function fleet(
  t: CleansUp,
  count: number,
  { url = redis.url, ...state }: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Promise<{ rigs: Rig[]; upstream: Upstream; prefix: string }> {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const prefix = `cache${process.pid}-${prefixes++}`;
  const rigs: Rig[] = [];
  for (let i = 0; i < count; i++) {
    rigs.push(
      await cachedGateway(t, { state: { redis: url, key_prefix: prefix, ...state }, ...more }, { upstream }),
    );
  }
  return { rigs, upstream, prefix };
}

/** Resolves when so many answers are in Redis. */
async function kept(prefix: string, count: number): Promise<void> {
  await until(async () => {
    const keys = (await redis.call('KEYS', `${prefix}:*:c:*`)) as string[];
    return keys.filter((key) => !/:(order|sizes)$/.test(key)).length === count;
  }, `${count} answers in Redis`);
}

describe('gateways on one Redis', () => {
  it('give what another one keeps, plain and streamed', async (t) => {
    const { rigs, upstream, prefix } = await fleet(t, 2);
    const [one, other] = rigs as [Rig, Rig];
    upstream.enqueue(chatAnswer({ content: 'kept' }), chatStream({ content: ['ke', 'pt "ä"'] }));
    for (const [index, stream] of [false, true].entries()) {
      const first = await seen(one.gateway.chat({ stream }));
      await kept(prefix, index + 1);
      const again = await seen(other.gateway.chat({ stream }));
      assert.deepEqual([again.cache, again.target, again.text], ['hit', 'a/up', first.text]);
    }
    assert.equal(upstream.requests.length, 2);
  });

  it('keep nothing there that can be read, where a key is set', async (t) => {
    const more = { idempotency: { encryption_key: 'a text that all gateways share' } };
    const { rigs, upstream, prefix } = await fleet(t, 2, {}, more);
    const [one, other] = rigs as [Rig, Rig];
    upstream.enqueue(chatAnswer({ content: 'confidential' }));
    await seen(one.gateway.chat());
    await kept(prefix, 1);
    for (const key of (await redis.call('KEYS', `${prefix}:*:c:*`)) as string[]) {
      if ((await redis.call('TYPE', key)) !== 'string') continue;
      assert.ok(!String(await redis.call('GET', key)).includes('confidential'));
    }
    assert.equal((await seen(other.gateway.chat())).cache, 'hit');
  });
});

for (const how of ['ended', 'silent'] as const) {
  it(`with a Redis that is ${how} a gateway keeps answers to itself, and nobody waits`, async (t) => {
    const own = await startRedis(t);
    const { rigs, upstream } = await fleet(t, 1, {
      url: own.url,
      on_outage: 'local',
      command_timeout: '100ms',
    });
    const { gateway } = rigs[0] as Rig;
    await seen(gateway.chat());
    if (how === 'ended') await own.kill();
    else {
      own.freeze();
      t.after(async () => own.thaw());
    }
    const from = performance.now();
    assert.equal((await seen(gateway.chat())).cache, 'hit');
    assert.equal((await seen(gateway.chat({ seed: 1 }))).cache, 'miss');
    assert.equal((await seen(gateway.chat({ seed: 1 }))).cache, 'hit');
    assert.ok(performance.now() - from < 2000 + HICCUP);
    assert.equal(upstream.requests.length, 2);
    assert.deepEqual(
      gateway.logs.filter(({ level }) => level === 'error'),
      [],
    );
  });
}
