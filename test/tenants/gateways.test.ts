/** Several gateways on one Redis. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { hashOfKey } from '../../src/auth/key-hash.ts';
import { systemClock } from '../../src/core/clock.ts';
import { TenantDirectory } from '../../src/tenants/directory.ts';
import { RedisBacking } from '../../src/tenants/redis-backing.ts';
import { type CleansUp, startRedis, until } from '../support/redis.ts';
import {
  file,
  found,
  type Gateway,
  gatewayOn,
  inMemory,
  inRedis,
  newKeyOf,
  ORIGIN,
  stateOn,
} from './helpers.ts';

const redis = await startRedis({ after });

let prefixes = 0;

/** Gateways that have started, on data of their own. */
async function gateways(
  t: CleansUp,
  count: number,
): Promise<(Gateway & { backing: Awaited<ReturnType<typeof inRedis>> })[]> {
  const prefix = `gateways-${prefixes++}`;
  const made = [];
  for (let i = 0; i < count; i++) {
    const backing = await inRedis(t, redis, prefix);
    const gateway = { ...gatewayOn(backing), backing };
    await gateway.directory.start();
    t.after(() => gateway.directory.close());
    made.push(gateway);
  }
  return made;
}

/** Lets one poll of a gateway come and go. */
async function poll({ clock, directory }: Gateway): Promise<void> {
  clock.advance(400);
  await directory.refresh();
}

describe('two gateways', () => {
  it('know of each other’s changes after one poll', async (t) => {
    const [a, b] = await gateways(t, 2);
    assert.ok(a !== undefined && b !== undefined);
    await a.admin.create({ id: 'acme', keys: [{ id: 'k', sha256: hashOfKey('k') }] }, ORIGIN);
    const other = await newKeyOf(a, 'acme', 'l');
    assert.equal(found(b, 'k'), null);
    b.clock.advance(399);
    assert.equal(found(b, 'k'), null);
    b.clock.advance(1);
    await until(() => found(b, 'k'), 'the poll');
    assert.equal(found(b, other), 'acme/l');

    const { key: fresh = '' } = await b.admin.rotate('acme', 'l', { grace: '5s' }, ORIGIN);
    await b.admin.revoke('acme', 'k', ORIGIN);
    await b.admin.patch('acme', { quotas: [{ limit: 7, of: 'requests', per: 'day' }] }, ORIGIN);
    await poll(a);
    assert.deepEqual([found(a, 'k'), found(a, other), found(a, fresh)], [null, 'acme/l', 'acme/l']);
    assert.equal(a.directory.find(hashOfKey(fresh))?.limits.all[0]?.max, 7);
    a.later(5001);
    assert.deepEqual([found(a, other), found(a, fresh)], [null, 'acme/l']);

    await b.admin.remove('acme', ORIGIN);
    await poll(a);
    assert.deepEqual([found(a, fresh), [...a.directory.list()]], [null, []]);
  });

  it('know of them within a second by the clock on the wall', async (t) => {
    const prefix = `gateways-${prefixes++}`;
    const backing = async () => {
      const client = stateOn(t, redis);
      await client.started;
      return new RedisBacking({ client, keyPrefix: prefix, commandTimeout: 1000 });
    };
    const log = { info: () => {}, warn: () => {} };
    const b = new TenantDirectory({ backing: await backing(), clock: systemClock, log });
    await b.start();
    t.after(() => b.close());
    const a = gatewayOn(await inRedis(t, redis, prefix));
    const sha256 = hashOfKey('k');
    await a.admin.create({ id: 'acme', keys: [{ id: 'k', sha256 }] }, ORIGIN);
    await until(() => b.find(sha256), 'the key', 1000);
    await a.admin.revoke('acme', 'k', ORIGIN);
    await until(() => b.find(sha256) === null, 'the end of the key', 1000);
  });

  it('a list asked of one shows what was just changed through the other', async (t) => {
    const [a, b] = await gateways(t, 2);
    assert.ok(a !== undefined && b !== undefined);
    await a.admin.create({ id: 'acme' }, ORIGIN);
    assert.deepEqual(
      (await b.admin.list({})).tenants.map(({ id }) => id),
      ['acme'],
    );
    await a.admin.patch('acme', { tier: 'pro' }, ORIGIN);
    assert.equal((await b.admin.get('acme')).tier, 'pro');
  });

  it('a new one knows everything as soon as it has started', async (t) => {
    const [a] = await gateways(t, 1);
    assert.ok(a !== undefined);
    await a.admin.create({ id: 'acme', keys: [{ id: 'k', sha256: hashOfKey('k') }] }, ORIGIN);
    const late = gatewayOn(a.backing);
    assert.equal(late.directory.isComplete, false);
    await late.directory.start();
    t.after(() => late.directory.close());
    assert.equal(found(late, 'k'), 'acme/k');
    assert.equal(late.directory.isComplete, true);
  });

  it('a key handed from one tenant to another is the other’s everywhere', async (t) => {
    const [a, b] = await gateways(t, 2);
    assert.ok(a !== undefined && b !== undefined);
    const sha256 = hashOfKey('k');
    await a.admin.create({ id: 'one', keys: [{ id: 'k', sha256 }] }, ORIGIN);
    await poll(b);
    await a.admin.revoke('one', 'k', ORIGIN);
    await a.admin.create({ id: 'two', keys: [{ id: 'k', sha256 }] }, ORIGIN);
    await a.admin.patch('one', { tier: 'x' }, ORIGIN);
    await poll(b);
    assert.deepEqual([found(a, 'k'), found(b, 'k')], ['two/k', 'two/k']);
  });
});

describe('a gateway whose file has the tenant', () => {
  it('hears of its changes, and goes by the file all the same', async (t) => {
    const [a, b] = await gateways(t, 2);
    assert.ok(a !== undefined && b !== undefined);
    b.admin.setFile(file({ tenants: [{ id: 'acme', tier: 'files', models: null, keys: [], quotas: [] }] }));
    const key = { id: 'k', sha256: hashOfKey('k') };
    await a.admin.create({ id: 'acme', tier: 'made', keys: [key] }, ORIGIN);
    await a.admin.create({ id: 'other' }, ORIGIN);
    await poll(b);
    await a.admin.patch('acme', { tier: 'changed' }, ORIGIN);
    await poll(b);
    assert.deepEqual([found(a, 'k'), found(b, 'k')], ['acme/k', null]);
    assert.equal((await b.admin.get('acme')).tier, 'files');
    assert.deepEqual(
      b.log.map(({ fields }) => fields),
      [{ tenant: 'acme' }],
    );
    b.admin.setFile(file());
    assert.equal(found(b, 'k'), 'acme/k');
    assert.equal((await b.admin.get('acme')).tier, 'changed');
  });

  it('says so if a key of the file is one that was made', async (t) => {
    const [a, b] = await gateways(t, 2);
    assert.ok(a !== undefined && b !== undefined);
    const key = { id: 'ci', sha256: hashOfKey('k'), quotas: [] };
    b.admin.setFile(file({ tenants: [{ id: 'files', tier: null, models: null, keys: [key], quotas: [] }] }));
    await a.admin.create({ id: 'acme', keys: [{ id: 'k', sha256: key.sha256 }] }, ORIGIN);
    await poll(b);
    await poll(b);
    assert.deepEqual(
      b.log.map(({ fields }) => fields),
      [{ tenant: 'acme', file_key: 'files/ci' }],
    );
  });
});

describe('polls', () => {
  it('do not pile up while one of them takes long', async (t) => {
    const [a] = await gateways(t, 1);
    assert.ok(a !== undefined);
    let under = 0;
    let most = 0;
    let calls = 0;
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    a.backing.around = async (_call, work) => {
      calls++;
      most = Math.max(most, ++under);
      await gate;
      under--;
      return work();
    };
    for (let i = 0; i < 20; i++) await a.clock.advanceAsync(400);
    assert.deepEqual([calls, most], [1, 1]);
    assert.equal(a.clock.pending, 0);
    release();
    await until(() => a.clock.pending === 1, 'the next timer');
    for (let i = 0; i < 5; i++) await poll(a);
    assert.equal(most, 1);
  });

  it('that are under way do not answer for what came after them', async (t) => {
    const [a, b] = await gateways(t, 2);
    assert.ok(a !== undefined && b !== undefined);
    const answered: (() => void)[] = [];
    let under = 0;
    a.backing.around = async (_call, work) => {
      assert.equal(++under, 1, 'two at a time');
      const answer = await work();
      await new Promise<void>((resolve) => answered.push(resolve));
      under--;
      return answer;
    };
    const early = a.directory.refresh();
    await until(() => answered.length === 1, 'the first answer');
    await b.admin.create({ id: 'acme' }, ORIGIN);
    const later = [a.directory.refresh(), a.directory.refresh()];
    answered[0]?.();
    await early;
    assert.equal(a.directory.get('acme'), null);
    await until(() => answered.length === 2, 'the second answer');
    answered[1]?.();
    await Promise.all(later);
    assert.equal(a.directory.get('acme')?.id, 'acme');
    assert.equal(answered.length, 2);
  });

  it('ask for what is new, and for nothing else', async (t) => {
    const [a, b] = await gateways(t, 2);
    assert.ok(a !== undefined && b !== undefined);
    for (const id of ['x', 'y', 'z']) await a.admin.create({ id }, ORIGIN);
    await poll(b);
    const read: string[][] = [];
    const { feed } = b.backing;
    assert.ok(feed !== null);
    const { changes } = feed;
    feed.changes = async (...args) => {
      const page = await changes(...args);
      if (page !== 'diverged') read.push(page.rows.map(({ id }) => id));
      return page;
    };
    await poll(b);
    await a.admin.patch('y', { tier: 't' }, ORIGIN);
    await a.admin.patch('y', { tier: 'u' }, ORIGIN);
    await poll(b);
    await poll(b);
    assert.deepEqual(
      read.filter((ids) => ids.length > 0),
      [['y']],
    );
  });

  it('end with the directory', async (t) => {
    const [a] = await gateways(t, 1);
    assert.ok(a !== undefined);
    assert.equal(a.clock.pending, 1);
    await a.directory.close();
    assert.equal(a.clock.pending, 0);
    // Also one that is under way.
    const [b] = await gateways(t, 1);
    assert.ok(b !== undefined);
    let answer = () => {};
    b.backing.around = async (_call, work) => {
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return work();
    };
    await b.clock.advanceAsync(400);
    const closed = b.directory.close();
    answer();
    await closed;
    await new Promise(setImmediate);
    assert.equal(b.clock.pending, 0);
  });

  it('are none where there is no Redis', async () => {
    const gateway = gatewayOn(inMemory());
    await gateway.directory.start();
    assert.equal(gateway.clock.pending, 0);
    assert.equal(gateway.directory.isComplete, true);
    await gateway.directory.close();
  });
});

describe('the store', () => {
  it('takes nothing that is older than what it has, tombstones included', async (t) => {
    const backing = await inRedis(t, redis, `gateways-${prefixes++}`);
    const row = (stored: object) => ({ id: 'a', json: JSON.stringify({ id: 'a', ...stored }) });
    const tenant = { tier: null, models: null, quotas: [], keys: [], createdAt: 1, updatedAt: 1 };
    assert.deepEqual(await backing.write(row({ ...tenant, version: 50 }), 0), { kind: 'written' });
    assert.deepEqual(await backing.write(row({ ...tenant, version: 60 }), 0), { kind: 'changed' });
    assert.deepEqual(await backing.write(row({ ...tenant, version: 50 }), 50), { kind: 'changed' });
    assert.deepEqual(await backing.write(row({ gone: true, version: 100 }), 50), { kind: 'written' });
    assert.deepEqual(await backing.write(row({ ...tenant, version: 70 }), 0), { kind: 'changed' });
    assert.deepEqual(await backing.write(row({ ...tenant, version: 101 }), 0), { kind: 'written' });
  });
});

describe('ten thousand tenants', () => {
  it('are there when a gateway has started, and one that changes is all that moves', async (t) => {
    const [a] = await gateways(t, 1);
    assert.ok(a !== undefined);
    const COUNT = 10_000;
    const quotas = [{ limit: 1e6, of: 'tokens', per: 'hour' }];
    for (let from = 0; from < COUNT; from += 100) {
      await Promise.all(
        Array.from({ length: 100 }, (_, i) => {
          const id = `tenant-${from + i}`;
          return a.admin.create({ id, quotas, keys: [{ id: 'k', sha256: hashOfKey(id) }] }, ORIGIN);
        }),
      );
    }
    const b = gatewayOn(a.backing);
    const began = performance.now();
    await b.directory.start();
    t.after(() => b.directory.close());
    const took = performance.now() - began;
    t.diagnostic(`read in ${took.toFixed(0)} ms`);
    assert.equal([...b.directory.list()].length, COUNT);
    assert.equal(found(b, 'tenant-9999'), 'tenant-9999/k');

    const before = b.directory.find(hashOfKey('tenant-1'));
    await a.admin.patch('tenant-7', { tier: 'x' }, ORIGIN);
    await poll(b);
    assert.equal(b.directory.find(hashOfKey('tenant-7'))?.tenant.tier, 'x');
    assert.equal(b.directory.find(hashOfKey('tenant-1')), before, 'another tenant was made anew');

    const seen: string[] = [];
    for (let after: string | null = ''; after !== null; ) {
      const page: { tenants: { id: string }[]; next: string | null } = await b.admin.list({
        limit: '1000',
        after,
      });
      seen.push(...page.tenants.map(({ id }) => id));
      after = page.next;
    }
    assert.equal(new Set(seen).size, COUNT);
    assert.equal(seen.length, COUNT);
  });
});
