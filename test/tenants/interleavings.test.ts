/** Operators at several gateways, whose calls reach Redis in an order that chance decides. */
import assert from 'node:assert/strict';
import { AsyncLocalStorage } from 'node:async_hooks';
import { after, describe, it } from 'node:test';
import fc from 'fast-check';
import { hashOfKey } from '../../src/auth/key-hash.ts';
import { ApiError } from '../../src/core/errors.ts';
import { type CleansUp, startRedis } from '../support/redis.ts';
import { type Gateway, gatewayOn, inRedis, ORIGIN } from './helpers.ts';

const redis = await startRedis({ after });

const HASHES = ['red', 'green', 'blue', 'white'].map(hashOfKey);

interface Operation {
  gateway: number;
  kind: 'create' | 'tier' | 'quotas' | 'put' | 'rotate' | 'revoke' | 'remove' | 'poll';
  tenant: string;
  key: string;
  sha256: string;
  grace: '0' | '1h';
}

const operation: fc.Arbitrary<Operation> = fc.record({
  gateway: fc.nat(2),
  kind: fc.constantFrom(
    'create',
    'create',
    'tier',
    'quotas',
    'put',
    'put',
    'rotate',
    'revoke',
    'remove',
    'poll',
  ),
  tenant: fc.constantFrom('a', 'b'),
  key: fc.constantFrom('k', 'l'),
  sha256: fc.constantFrom(...HASHES),
  grace: fc.constantFrom('0', '1h'),
});

/** What a tenant should be: written again, without anything of ours. */
interface Model {
  tier: string | null;
  quota: number | null;
  keys: Map<string, { sha256: string; previous: Set<string> }>;
}

function apply(tenants: Map<string, Model>, op: Operation, index: number): void {
  const { kind, tenant: id, key, sha256, grace } = op;
  if (kind === 'create') {
    assert.ok(!tenants.has(id), 'made twice');
    tenants.set(id, { tier: null, quota: null, keys: new Map() });
    return;
  }
  const tenant = tenants.get(id);
  assert.ok(tenant !== undefined, 'changed though it is not there');
  const known = tenant.keys.get(key);
  if (kind === 'tier') tenant.tier = `t${index}`;
  else if (kind === 'quotas') tenant.quota = index;
  else if (kind === 'remove') tenants.delete(id);
  else if (kind === 'revoke') {
    assert.ok(known !== undefined);
    tenant.keys.delete(key);
  } else if (known === undefined) {
    assert.equal(kind, 'put');
    tenant.keys.set(key, { sha256, previous: new Set() });
  } else {
    const previous = new Set(grace === '0' ? [] : [...known.previous, known.sha256]);
    previous.delete(sha256);
    tenant.keys.set(key, { sha256, previous });
  }
}

function run(op: Operation, index: number, { admin, directory }: Gateway): Promise<unknown> {
  const { kind, tenant, key, sha256, grace } = op;
  switch (kind) {
    case 'create':
      return admin.create({ id: tenant }, ORIGIN);
    case 'tier':
      return admin.patch(tenant, { tier: `t${index}` }, ORIGIN);
    case 'quotas':
      return admin.patch(tenant, { quotas: [{ limit: index, of: 'requests', per: 'day' }] }, ORIGIN);
    case 'put':
      return admin.putKey(tenant, { id: key, sha256, grace }, ORIGIN);
    case 'rotate':
      return admin.rotate(tenant, key, { sha256, grace }, ORIGIN);
    case 'revoke':
      return admin.revoke(tenant, key, ORIGIN);
    case 'remove':
      return admin.remove(tenant, ORIGIN);
    case 'poll':
      return directory.refresh();
  }
}

/** What a gateway believes, in the model's words. */
function believed({ directory }: Gateway): object {
  const tenants = [...directory.list()].toSorted((x, y) => (x.id < y.id ? -1 : 1));
  return tenants.map(({ id, tier, quotas, keys }) => ({
    id,
    tier,
    quota: quotas[0]?.limit ?? null,
    keys: keys
      .map((key) => ({
        id: key.id,
        sha256: key.sha256,
        previous: key.previous.map((old) => old.sha256).toSorted(),
      }))
      .toSorted((x, y) => (x.id < y.id ? -1 : 1)),
  }));
}

function expected(tenants: ReadonlyMap<string, Model>): object {
  const sorted = [...tenants].toSorted(([x], [y]) => (x < y ? -1 : 1));
  return sorted.map(([id, { tier, quota, keys }]) => ({
    id,
    tier,
    quota,
    keys: [...keys]
      .map(([key, { sha256, previous }]) => ({ id: key, sha256, previous: [...previous].toSorted() }))
      .toSorted((x, y) => (x.id < y.id ? -1 : 1)),
  }));
}

function ownersIn(tenants: ReadonlyMap<string, Model>): Map<string, string> {
  const owners = new Map<string, string>();
  for (const [id, { keys }] of tenants) {
    for (const { sha256, previous } of keys.values()) {
      for (const hash of [sha256, ...previous]) {
        assert.ok(!owners.has(hash), 'a key belongs to two');
        owners.set(hash, id);
      }
    }
  }
  return owners;
}

let prefixes = 0;

async function play(t: CleansUp, operations: readonly Operation[], order: readonly number[]): Promise<void> {
  const prefix = `play-${prefixes++}`;
  const current = new AsyncLocalStorage<number>();
  const committed: number[] = [];
  const tenants = new Map<string, Model>();
  /** Calls that have not yet gone out. */
  const waiting: (() => Promise<unknown>)[] = [];
  const gateways: Gateway[] = [];
  for (let i = 0; i < 3; i++) {
    const backing = await inRedis(t, redis, prefix);
    backing.around = (call, work) =>
      new Promise((resolve, reject) => {
        const index = current.getStore();
        waiting.push(async () => {
          const answer = work();
          answer.then(resolve, reject);
          const result = (await answer) as { kind?: string };
          if (call !== 'write' || result.kind !== 'written') return;
          assert.ok(index !== undefined);
          committed.push(index);
          apply(tenants, operations[index] as Operation, index);
        });
      });
    gateways.push(gatewayOn(backing));
  }

  let running = 0;
  const starts = operations.map((op, index) => async () => {
    const gateway = gateways[op.gateway] as Gateway;
    running++;
    void current.run(index, async () => {
      try {
        await run(op, index, gateway);
        if ((op.kind === 'put' || op.kind === 'rotate') && ownersIn(tenants).get(op.sha256) === op.tenant) {
          assert.equal(
            gateway.directory.find(op.sha256)?.tenant.id,
            op.tenant,
            'not in force when it was answered',
          );
        }
        if (op.kind === 'revoke' && tenants.get(op.tenant)?.keys.has(op.key) === false) {
          const stays = gateway.directory.get(op.tenant)?.keys.some(({ id }) => id === op.key);
          assert.ok(stays !== true, 'still in force when it was answered');
        }
      } catch (error) {
        if (!(error instanceof ApiError) || error.status >= 500) failures.push(error);
      }
      running--;
    });
  });
  const failures: unknown[] = [];
  const idle = async () => {
    for (let i = 0; i < 3; i++) await new Promise(setImmediate);
  };
  for (let step = 0; starts.length > 0 || waiting.length > 0 || running > 0; step++) {
    const choices = starts.length > 0 ? [...waiting, starts[0] as () => Promise<unknown>] : [...waiting];
    assert.ok(choices.length > 0, 'something waits for nothing');
    const chosen = choices[(order[step % order.length] ?? 0) % choices.length] as () => Promise<unknown>;
    if (chosen === starts[0]) starts.shift();
    else waiting.splice(waiting.indexOf(chosen), 1);
    await chosen();
    await idle();
  }
  if (failures.length > 0) throw failures[0];

  for (const gateway of gateways) {
    const end = gateway.directory.refresh();
    for (;;) {
      await idle();
      const next = waiting.shift();
      if (next === undefined) break;
      await next();
    }
    await end;
    assert.deepEqual(believed(gateway), expected(tenants));
    for (const hash of HASHES) {
      assert.equal(gateway.directory.find(hash)?.tenant.id, ownersIn(tenants).get(hash));
    }
  }
  const owners = (await redis.client.hgetall(`${prefix}:{!}:tenants:owners`)) as Record<string, string>;
  assert.deepEqual(new Map(Object.entries(owners).toSorted()), new Map([...ownersIn(tenants)].toSorted()));
}

describe('changes from three gateways at once', () => {
  it('happen one after the other, each on what the one before it left, and all know the end of it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(operation, { minLength: 2, maxLength: 14 }),
        fc.array(fc.nat(20), { minLength: 5, maxLength: 40 }),
        async (operations, order) => {
          const cleanUps: (() => Promise<void>)[] = [];
          try {
            await play({ after: (cleanUp) => void cleanUps.push(cleanUp) }, operations, order);
          } finally {
            for (const cleanUp of cleanUps) await cleanUp();
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
