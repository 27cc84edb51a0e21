/** Tenants made through the admin API of one of three gateways, and what the other two make of them. */
import assert from 'node:assert/strict';
import { after, describe, it, type TestContext } from 'node:test';
import { startRedis, until } from '../support/redis.ts';
import { atOnce, type Member, settled, startFleet, tally } from './kit.ts';

/** What a change may take to be in force everywhere, and what a busy machine may add. Milliseconds. */
const SECOND = 1000;
const LITTLE = 500;

const redis = await startRedis({ after });
const fleet = await startFleet({ after }, { count: 3, state: { redis: redis.url } });
const [a, b, c] = fleet.members as [Member, Member, Member];
const all = [a, b, c];

async function operate(
  member: Member,
  method: string,
  path: string,
  body?: object,
): Promise<Record<string, unknown>> {
  const { status, text } = await member.operator(method, `/admin/tenants${path}`, body);
  assert.ok(status >= 200 && status < 300, `${status} ${text}`);
  return text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
}

/** A tenant with one key; resolves to the key. */
async function create(
  member: Member,
  id: string,
  quotas: readonly object[],
  keyQuotas: readonly object[] = [],
): Promise<string> {
  const made = await operate(member, 'POST', '', { id, quotas, keys: [{ id: 'k', quotas: keyQuotas }] });
  return (made['keys'] as { key: string }[])[0]?.key ?? '';
}

/** Waits until all gateways answer this key with this status, and fails if that takes longer than a second. */
async function everywhere(t: TestContext, key: string, status: number): Promise<void> {
  const began = performance.now();
  await Promise.all(
    all.map((member) =>
      until(async () => (await member.chat(key)).status === status, `${status} everywhere`),
    ),
  );
  const took = performance.now() - began;
  t.diagnostic(`${status} everywhere after ${took.toFixed(0)} ms`);
  assert.ok(took <= SECOND + LITTLE, `${took} ms`);
}

function known(key: string, members: readonly Member[] = all) {
  // Asking for the models costs no quota.
  const asks = async (member: Member) => {
    const response = await fetch(`${member.origin}/v1/models`, {
      headers: { authorization: `Bearer ${key}` },
    });
    await response.text();
    return response.ok;
  };
  return until(async () => (await Promise.all(members.map(asks))).every(Boolean), 'the key to be known');
}

describe('a tenant made through one gateway', () => {
  it('is there where it was made when the answer comes, and on the others within a second', async (t) => {
    const key = await create(a, 'new', []);
    assert.equal((await a.chat(key)).status, 200);
    await everywhere(t, key, 200);
    for (const member of all) {
      assert.match((await member.operator('GET', '/admin/tenants/new')).text, /"source":"admin"/);
    }
  });

  it('is held to its quotas by all of them together', async () => {
    const key = await create(b, 'held', [{ limit: 60, of: 'requests', per: 'hour' }]);
    await known(key);
    assert.deepEqual(tally(await Promise.all(atOnce(all, 300, key))), { 200: 60, 429: 240 });

    // A limit that is raised through another gateway goes on from what is used, and so does one that is lowered.
    await operate(c, 'PATCH', '/held', { quotas: [{ limit: 100, of: 'requests', per: 'hour' }] });
    await until(
      async () =>
        (await Promise.all(all.map((one) => one.usage(key)))).every(([quota]) => quota?.limit === 100),
      'the new limit',
    );
    assert.deepEqual(tally(await Promise.all(atOnce(all, 300, key))), { 200: 40, 429: 260 });
    await operate(a, 'PATCH', '/held', { quotas: [{ limit: 90, of: 'requests', per: 'hour' }] });
    await until(
      async () =>
        (await Promise.all(all.map((one) => one.usage(key)))).every(([quota]) => quota?.limit === 90),
      'the new limit',
    );
    assert.deepEqual(tally(await Promise.all(atOnce(all, 30, key))), { 429: 30 });
    for (const member of all) {
      const [quota] = await member.usage(key);
      assert.deepEqual([quota?.used, quota?.remaining], [100, 0]);
      assert.equal((await member.sums('held')).requests, 100);
    }
  });

  it('has a key rotated: old and new are one key, and the old one ends everywhere within a second when it is told to', async (t) => {
    const old = await create(a, 'turned', [], [{ limit: 30, of: 'requests', per: 'hour' }]);
    await known(old);
    const { key } = await operate(b, 'POST', '/turned/keys/k/rotate', { grace: '1h' });
    await known(String(key));
    const seen = [...atOnce(all, 60, old), ...atOnce(all, 60, String(key))];
    assert.deepEqual(tally(await Promise.all(seen)), { 200: 30, 429: 90 });
    const { key: last } = await operate(c, 'POST', '/turned/keys/k/rotate', { grace: '0' });
    assert.equal((await c.chat(old)).status, 401);
    await Promise.all([everywhere(t, old, 401), everywhere(t, String(key), 401)]);
    for (const member of all) assert.equal((await member.chat(String(last))).status, 429);
  });

  it('has a key revoked: under load it stops everywhere within a second, for good', async (t) => {
    const key = await create(a, 'revoked', []);
    const other = String((await operate(a, 'POST', '/revoked/keys', { id: 'other' }))['key']);
    await known(key);
    await known(other);
    const late: number[] = [];
    let revoked = Number.POSITIVE_INFINITY;
    let going = true;
    const clients = all
      .flatMap((member) => [member, member])
      .map(async (member) => {
        while (going) {
          const at = performance.now();
          const { status } = await member.chat(key);
          assert.ok(status === 200 || status === 401);
          if (status === 200) late.push(at - revoked);
          // The other clients, and the gateways, are to have their turn.
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      });
    await operate(b, 'DELETE', '/revoked/keys/k');
    revoked = performance.now();
    await everywhere(t, key, 401);
    await until(() => performance.now() > revoked + SECOND + LITTLE, 'more than a second to pass');
    going = false;
    await Promise.all(clients);
    assert.ok(Math.max(...late) <= SECOND + LITTLE, `used ${Math.max(...late)} ms after`);
    for (const member of all) assert.equal((await member.chat(other)).status, 200);
  });

  it('is deleted: its keys end, what it used stays in the ledger', async (t) => {
    const key = await create(a, 'gone', [{ limit: 5, of: 'requests', per: 'day' }]);
    await known(key);
    assert.deepEqual(tally(await Promise.all(atOnce(all, 6, key))), { 200: 5, 429: 1 });
    await settled(a, key);
    await operate(c, 'DELETE', '/gone');
    await everywhere(t, key, 401);
    for (const member of all) {
      assert.equal((await member.operator('GET', '/admin/tenants/gone')).status, 404);
      assert.equal((await member.sums('gone')).requests, 5);
    }
  });
});

describe('changes through several gateways at the same time', () => {
  it('make a tenant once', async () => {
    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, i) =>
        all[i % 3]?.operator('POST', '/admin/tenants', { id: 'once', tier: `${i}` }),
      ),
    );
    const counts = tally(answers.map((answer) => ({ status: answer?.status ?? 0 })));
    assert.deepEqual(counts, { 201: 1, 409: 11 });
    const views = await Promise.all(
      all.map(async (one) => (await one.operator('GET', '/admin/tenants/once')).text),
    );
    assert.equal(new Set(views).size, 1);
  });

  it('of different fields and keys all stay', async () => {
    await operate(a, 'POST', '', { id: 'many' });
    const quotas = [{ limit: 7, of: 'requests', per: 'day' }];
    await Promise.all([
      operate(a, 'PATCH', '/many', { tier: 'pro' }),
      operate(b, 'PATCH', '/many', { quotas }),
      operate(c, 'PATCH', '/many', { models: ['m'] }),
      ...Array.from({ length: 12 }, (_, i) =>
        operate(all[i % 3] as Member, 'POST', '/many/keys', { id: `k${i}` }),
      ),
    ]);
    for (const member of all) {
      const many = await operate(member, 'GET', '/many');
      assert.deepEqual([many['tier'], many['quotas'], many['models']], ['pro', quotas, ['m']]);
      assert.equal((many['keys'] as object[]).length, 12);
    }
  });
});
