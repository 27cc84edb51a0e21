/** What both backings do, seen from the directory and the operators' side. */
import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { hashOfKey } from '../../src/auth/key-hash.ts';
import { HashedKeyring } from '../../src/auth/keyring.ts';
import { type CleansUp, startRedis } from '../support/redis.ts';
import {
  file,
  found,
  gatewayOn,
  inMemory,
  inRedis,
  newKeyOf,
  ORIGIN,
  refused,
  type Watched,
} from './helpers.ts';

const redis = await startRedis({ after });

let prefixes = 0;
const BACKINGS: [name: string, make: (t: CleansUp) => Promise<Watched>][] = [
  ['in memory', async () => inMemory()],
  ['in Redis', (t) => inRedis(t, redis, `test-${prefixes++}`)],
];

for (const [name, make] of BACKINGS) {
  describe(`tenants ${name}`, () => {
    it('a tenant that is made has what was said, and its key is found from then on', async (t) => {
      const gateway = gatewayOn(await make(t));
      const made = await gateway.admin.create(
        {
          id: 'acme',
          tier: 'pro',
          models: ['m'],
          quotas: [{ limit: 100, of: 'requests', per: 'minute' }],
          keys: [
            { id: 'ci', quotas: [{ limit: 2, of: 'concurrent' }] },
            { id: 'own', sha256: hashOfKey('mine') },
          ],
        },
        ORIGIN,
      );
      const [ci, own] = made.keys;
      assert.deepEqual(Object.keys(own ?? {}), ['id', 'quotas', 'created_at', 'previous_until']);
      assert.equal(found(gateway, 'mine'), 'acme/own');
      assert.equal(found(gateway, ci?.key ?? ''), 'acme/ci');
      assert.equal(found(gateway, 'another'), null);
      const principal = gateway.directory.find(hashOfKey(ci?.key ?? ''));
      assert.deepEqual(
        principal?.limits.all.map(({ id, max }) => [id, max]),
        [
          ['tenant/requests/minute', 100],
          ['key.ci/concurrent', 2],
        ],
      );
      assert.deepEqual(principal?.tenant.models, new Set(['m']));
      assert.equal(principal?.tenant.tier, 'pro');

      const shown = await gateway.admin.get('acme');
      assert.deepEqual(shown, {
        id: 'acme',
        source: 'admin',
        tier: 'pro',
        models: ['m'],
        quotas: [{ limit: 100, of: 'requests', per: 'minute' }],
        keys: [
          {
            id: 'ci',
            quotas: [{ limit: 2, of: 'concurrent' }],
            created_at: made.created_at,
            previous_until: null,
          },
          { id: 'own', quotas: [], created_at: made.created_at, previous_until: null },
        ],
        created_at: made.created_at,
        updated_at: made.created_at,
        note: made.note,
      });
      assert.ok(Math.abs(Date.parse(made.created_at ?? '') - Date.now()) < 5000);
    });

    it('what is changed is in force at once, and the rest stays', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create(
        { id: 'a', tier: 'x', models: ['m'], keys: [{ id: 'k', sha256: hashOfKey('k') }] },
        ORIGIN,
      );
      const limits = () => gateway.directory.find(hashOfKey('k'))?.limits.all.map(({ id }) => id);
      await gateway.admin.patch('a', { quotas: [{ limit: 1, of: 'usd', per: 'day' }] }, ORIGIN);
      assert.deepEqual(limits(), ['tenant/usd/day']);
      const patched = await gateway.admin.patch('a', { models: null }, ORIGIN);
      assert.deepEqual([patched.tier, patched.models, patched.quotas.length], ['x', null, 1]);
      assert.equal(gateway.directory.find(hashOfKey('k'))?.tenant.models, null);
      await gateway.admin.patchKey('a', 'k', { quotas: [{ limit: 5, of: 'tokens', per: 'hour' }] }, ORIGIN);
      assert.deepEqual(limits(), ['tenant/usd/day', 'key.k/tokens/hour']);
      await gateway.admin.patch('a', { tier: null, quotas: [] }, ORIGIN);
      assert.deepEqual(limits(), ['key.k/tokens/hour']);
    });

    it('a change of nothing is none', async (t) => {
      const gateway = gatewayOn(await make(t));
      const { updated_at } = await gateway.admin.create({ id: 'a', keys: [{ id: 'k' }] }, ORIGIN);
      gateway.later(5000);
      assert.equal((await gateway.admin.patch('a', {}, ORIGIN)).updated_at, updated_at);
      await gateway.admin.patchKey('a', 'k', {}, ORIGIN);
      assert.deepEqual(gateway.changes.length, 1);
      await gateway.admin.patch('a', { tier: 't' }, ORIGIN);
      assert.equal(
        Date.parse((await gateway.admin.get('a')).updated_at ?? '') - Date.parse(updated_at ?? '') >= 5000,
        true,
      );
    });

    it('a revoked key is not found any more, the others are', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create({ id: 'a' }, ORIGIN);
      const [one, two] = [await newKeyOf(gateway, 'a', 'one'), await newKeyOf(gateway, 'a', 'two')];
      await gateway.admin.revoke('a', 'one', ORIGIN);
      assert.deepEqual([found(gateway, one), found(gateway, two)], [null, 'a/two']);
      assert.deepEqual(
        (await gateway.admin.keys('a')).keys.map(({ id }) => id),
        ['two'],
      );
      await refused(gateway.admin.revoke('a', 'one', ORIGIN), 'key_not_found', /no key `one`/);
    });

    it('a tenant that is deleted is gone with its keys, and can be made anew', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create({ id: 'a', keys: [{ id: 'k', sha256: hashOfKey('k') }] }, ORIGIN);
      await gateway.admin.remove('a', ORIGIN);
      assert.equal(found(gateway, 'k'), null);
      await refused(gateway.admin.get('a'), 'tenant_not_found', /no tenant `a`/);
      await refused(gateway.admin.remove('a', ORIGIN), 'tenant_not_found');
      assert.deepEqual(await gateway.admin.list({}), { tenants: [], next: null });
      await gateway.admin.create({ id: 'a', tier: 'new' }, ORIGIN);
      assert.equal(found(gateway, 'k'), null);
      await gateway.admin.putKey('a', { id: 'k', sha256: hashOfKey('k') }, ORIGIN);
      assert.equal(found(gateway, 'k'), 'a/k');
    });

    it('a key that is rotated is good for the grace, the new one at once, and they share their quotas', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create({ id: 'a' }, ORIGIN);
      const quotas = [{ limit: 3, of: 'requests', per: 'day' }];
      const old = await newKeyOf(gateway, 'a', 'k', { quotas });
      const rotated = await gateway.admin.putKey('a', { id: 'k' }, ORIGIN);
      assert.equal(rotated.rotated, true);
      assert.deepEqual(rotated.quotas, quotas);
      const fresh = rotated.key ?? '';
      assert.deepEqual([found(gateway, old), found(gateway, fresh)], ['a/k', 'a/k']);
      const limitOf = (key: string) => gateway.directory.find(hashOfKey(key))?.limits.all[0]?.id;
      assert.equal(limitOf(old), limitOf(fresh));
      assert.equal(limitOf(old), 'key.k/requests/day');
      const until = Date.parse(rotated.previous_until ?? '');
      assert.equal(until - Date.parse(rotated.created_at ?? ''), 3_600_000);
      gateway.later(3_590_000);
      assert.equal(found(gateway, old), 'a/k');
      gateway.later(10_001);
      assert.deepEqual([found(gateway, old), found(gateway, fresh)], [null, 'a/k']);
      assert.equal((await gateway.admin.keys('a')).keys[0]?.previous_until, null);
      // What has run out is free again as soon as the tenant is changed.
      await gateway.admin.patch('a', { tier: 't' }, ORIGIN);
      await gateway.admin.create({ id: 'b', keys: [{ id: 'k', sha256: hashOfKey(old) }] }, ORIGIN);
      assert.equal(found(gateway, old), 'b/k');
    });

    it('the grace can be said, and 0 ends all that the key was before', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create({ id: 'a' }, ORIGIN);
      const first = await newKeyOf(gateway, 'a', 'k');
      const second = (await gateway.admin.rotate('a', 'k', { grace: '10s' }, ORIGIN)).key ?? '';
      gateway.later(5000);
      const third = (await gateway.admin.rotate('a', 'k', {}, ORIGIN)).key ?? '';
      assert.deepEqual(
        [first, second, third].map((key) => found(gateway, key)),
        ['a/k', 'a/k', 'a/k'],
      );
      gateway.later(6000);
      assert.deepEqual(
        [first, second, third].map((key) => found(gateway, key)),
        [null, 'a/k', 'a/k'],
      );
      const { key: last = '', previous_until } = await gateway.admin.rotate('a', 'k', { grace: '0' }, ORIGIN);
      assert.equal(previous_until, null);
      assert.deepEqual(
        [second, third, last].map((key) => found(gateway, key)),
        [null, null, 'a/k'],
      );
    });

    it('a key can be rotated back to what it was', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create({ id: 'a' }, ORIGIN);
      const first = await newKeyOf(gateway, 'a', 'k');
      const { key: second = '' } = await gateway.admin.rotate('a', 'k', {}, ORIGIN);
      const back = await gateway.admin.rotate('a', 'k', { sha256: hashOfKey(first) }, ORIGIN);
      assert.equal(back.key, undefined);
      gateway.later(3_600_001);
      assert.deepEqual([found(gateway, first), found(gateway, second)], ['a/k', null]);
    });

    it('revoking a key ends all that it was before', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create({ id: 'a' }, ORIGIN);
      const old = await newKeyOf(gateway, 'a', 'k');
      const fresh = await newKeyOf(gateway, 'a', 'k');
      await gateway.admin.revoke('a', 'k', ORIGIN);
      assert.deepEqual([found(gateway, old), found(gateway, fresh)], [null, null]);
      // And the hashes are free again.
      await gateway.admin.create({ id: 'b', keys: [{ id: 'k', sha256: hashOfKey(old) }] }, ORIGIN);
    });

    it('a key belongs to one client only', async (t) => {
      const gateway = gatewayOn(await make(t));
      const sha256 = hashOfKey('shared');
      await gateway.admin.create({ id: 'a', keys: [{ id: 'k', sha256 }, { id: 'l' }] }, ORIGIN);
      await refused(
        gateway.admin.create({ id: 'b', keys: [{ id: 'k', sha256 }] }, ORIGIN),
        'key_exists',
        /`a`/,
      );
      await refused(gateway.admin.get('b'), 'tenant_not_found');
      await gateway.admin.create({ id: 'b', keys: [{ id: 'k' }] }, ORIGIN);
      await refused(gateway.admin.putKey('b', { id: 'x', sha256 }, ORIGIN), 'key_exists', /`a`/);
      await refused(gateway.admin.rotate('b', 'k', { sha256 }, ORIGIN), 'key_exists', /`a`/);
      await refused(gateway.admin.putKey('a', { id: 'x', sha256 }, ORIGIN), 'key_exists', /`a\/k`/);
      await refused(gateway.admin.rotate('a', 'l', { sha256 }, ORIGIN), 'key_exists', /`a\/k`/);
      await refused(gateway.admin.rotate('a', 'k', { sha256 }, ORIGIN), 'key_exists', /`a\/k`/);
      await gateway.admin.rotate('a', 'k', {}, ORIGIN);
      await refused(gateway.admin.putKey('b', { id: 'x', sha256 }, ORIGIN), 'key_exists', /`a`/);
      await refused(gateway.admin.rotate('a', 'l', { sha256 }, ORIGIN), 'key_exists', /`a\/k`/);
      assert.equal(found(gateway, 'shared'), 'a/k');
    });

    it('of changes at the same time none is lost', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create({ id: 'a' }, ORIGIN);
      const ids = Array.from({ length: 20 }, (_, i) => `k${i}`);
      const keys = await Promise.all([
        ...ids.map((id) => newKeyOf(gateway, 'a', id)),
        gateway.admin.patch('a', { tier: 't' }, ORIGIN),
        gateway.admin.patch('a', { models: ['n'] }, ORIGIN),
      ]);
      const tenant = await gateway.admin.get('a');
      assert.deepEqual(tenant.keys.map(({ id }) => id).sort(), ids.toSorted());
      assert.deepEqual([tenant.tier, tenant.models], ['t', ['n']]);
      for (const [index, id] of ids.entries()) assert.equal(found(gateway, String(keys[index])), `a/${id}`);
    });

    it('three hundred changes of one tenant at once are done one after the other', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create({ id: 'a' }, ORIGIN);
      const tiers = Array.from({ length: 300 }, (_, i) => `t${i}`);
      await Promise.all(tiers.map((tier) => gateway.admin.patch('a', { tier }, ORIGIN)));
      assert.equal(gateway.changes.length, 301);
      assert.equal((await gateway.admin.get('a')).tier, 't299');
    });

    it('of many who make the same tenant one does', async (t) => {
      const gateway = gatewayOn(await make(t));
      const results = await Promise.allSettled(
        Array.from({ length: 10 }, () => gateway.admin.create({ id: 'a' }, ORIGIN)),
      );
      assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
      await refused(gateway.admin.create({ id: 'a' }, ORIGIN), 'tenant_exists');
    });

    it('a key is rotated twenty times within its grace, then no more', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create({ id: 'a', keys: [{ id: 'k' }] }, ORIGIN);
      for (let i = 0; i < 20; i++) await gateway.admin.rotate('a', 'k', {}, ORIGIN);
      await refused(gateway.admin.rotate('a', 'k', {}, ORIGIN), 'invalid_value', /"grace": "0"/);
      await gateway.admin.rotate('a', 'k', { grace: 0 }, ORIGIN);
    });

    it('a tenant does not grow for ever', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create({ id: 'a' }, ORIGIN);
      const quotas = ['second', 'minute', 'hour', 'day', 'month'].flatMap((per) =>
        ['requests', 'tokens', 'input_tokens', 'output_tokens', 'usd'].map((of) => ({ limit: 1e6, of, per })),
      );
      const add = async () => {
        for (let i = 0; i < 1000; i++) await gateway.admin.putKey('a', { id: `k${i}`, quotas }, ORIGIN);
      };
      await refused(add(), 'invalid_value', /more than 256 kB/);
      assert.ok((await gateway.admin.keys('a')).keys.length > 100);
    });

    it('the file’s tenants stay the file’s, and its keys come first', async (t) => {
      const key = { id: 'ci', sha256: hashOfKey('files'), quotas: [] };
      const settings = file({ tenants: [{ id: 'acme', tier: null, models: null, keys: [key], quotas: [] }] });
      const gateway = gatewayOn(await make(t), settings);
      const { admin } = gateway;
      for (const work of [
        admin.create({ id: 'acme' }, ORIGIN),
        admin.patch('acme', { tier: 'x' }, ORIGIN),
        admin.remove('acme', ORIGIN),
        admin.putKey('acme', { id: 'x' }, ORIGIN),
        admin.patchKey('acme', 'ci', {}, ORIGIN),
        admin.revoke('acme', 'ci', ORIGIN),
        admin.rotate('acme', 'ci', {}, ORIGIN),
      ]) {
        await refused(
          work,
          'tenant_in_file',
          /`acme` stands in the configuration file \(config\/spillway\.yaml\)/,
        );
      }
      const sha256 = key.sha256;
      await refused(
        admin.create({ id: 'b', keys: [{ id: 'k', sha256 }] }, ORIGIN),
        'key_exists',
        /`acme\/ci`/,
      );
      await admin.create({ id: 'b', keys: [{ id: 'k', sha256: hashOfKey('bs') }] }, ORIGIN);
      const keyring = new HashedKeyring(settings.tenants, gateway.directory);
      assert.equal(keyring.find('Bearer files')?.tenant.id, 'acme');
      assert.equal(keyring.find('Bearer bs')?.tenant.id, 'b');
      assert.equal(keyring.find('Bearer nobodys'), null);
      assert.deepEqual(
        (await admin.list({})).tenants.map(({ id, source }) => [id, source]),
        [
          ['acme', 'file'],
          ['b', 'admin'],
        ],
      );
    });

    it('a tenant that comes into the file is set aside, and is back when it leaves it', async (t) => {
      const gateway = gatewayOn(await make(t));
      await gateway.admin.create(
        { id: 'a', tier: 'made', keys: [{ id: 'k', sha256: hashOfKey('k') }] },
        ORIGIN,
      );
      const inFile = { id: 'a', tier: 'files', models: null, keys: [], quotas: [] };
      gateway.admin.setFile(file({ tenants: [inFile] }));
      gateway.admin.setFile(file({ tenants: [inFile] }));
      assert.equal(found(gateway, 'k'), null);
      assert.equal(gateway.log.length, 1);
      assert.match(gateway.log[0]?.message ?? '', /stands in the file too: it is set aside/);
      assert.deepEqual(gateway.log[0]?.fields, { tenant: 'a' });
      const shown = await gateway.admin.get('a');
      assert.deepEqual([shown.source, shown.tier], ['file', 'files']);
      assert.match(shown.note ?? '', /set aside/);
      assert.equal((await gateway.admin.list({})).tenants.length, 1);
      await refused(gateway.admin.remove('a', ORIGIN), 'tenant_in_file');
      gateway.admin.setFile(file());
      assert.equal(found(gateway, 'k'), 'a/k');
      assert.equal((await gateway.admin.get('a')).tier, 'made');
    });

    it('what was changed is told, and nothing of a key is in it', async (t) => {
      const gateway = gatewayOn(await make(t));
      const { admin } = gateway;
      const shown = [
        await admin.create({ id: 'a', keys: [{ id: 'k' }] }, ORIGIN),
        await admin.patch('a', { tier: 't' }, ORIGIN),
        await admin.putKey('a', { id: 'l' }, ORIGIN),
        await admin.putKey('a', { id: 'l' }, ORIGIN),
        await admin.rotate('a', 'l', {}, ORIGIN),
        await admin.patchKey('a', 'l', { quotas: [] }, ORIGIN),
        await admin.revoke('a', 'l', ORIGIN),
        await admin.remove('a', ORIGIN),
      ];
      assert.deepEqual(
        gateway.changes.map(({ action, tenant, key }) => [action, tenant, key]),
        [
          ['tenant created', 'a', null],
          ['tenant changed', 'a', null],
          ['key created', 'a', 'l'],
          ['key rotated', 'a', 'l'],
          ['key rotated', 'a', 'l'],
          ['key changed', 'a', 'l'],
          ['key revoked', 'a', 'l'],
          ['tenant deleted', 'a', null],
        ],
      );
      for (const change of gateway.changes) {
        assert.equal(change.request, 'request-1');
        assert.equal(change.address, '127.0.0.1');
      }
      const keys = JSON.stringify(shown).match(/sw-[\w-]{43}/g) ?? [];
      assert.equal(keys.length, 4);
      const said = JSON.stringify([gateway.changes, gateway.log]);
      for (const key of keys) {
        assert.ok(!said.includes(key));
        assert.ok(!said.includes(hashOfKey(key)));
      }
      for (const key of keys) assert.ok(!JSON.stringify(shown).includes(hashOfKey(key)));
    });
  });
}
