import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it, type TestContext } from 'node:test';
import { onFreePorts } from '../support/process.ts';
import { until } from '../support/redis.ts';
import { type Gateway, start } from './kit.ts';

const MANY = 10_000;

function tenant(id: string) {
  const sha256 = createHash('sha256').update(`sw-${id}`).digest('hex');
  return { id, keys: [{ id: 'only', sha256 }] };
}

function many(...tenants: object[]): object[] {
  return [...Array.from({ length: MANY }, (_, i) => tenant(`t-${i}`)), ...tenants];
}

/** Two workers that `sw-first` may call. */
async function begin(t: TestContext): Promise<Gateway> {
  return await start(t, { config: { auth: 'keys', tenants: [tenant('first')] } });
}

function write(gateway: Gateway, tenants: object[]): void {
  gateway.process.writeConfig(onFreePorts({ ...gateway.config, tenants }));
}

/** What requests of these tenants are answered with, each by both workers. */
async function statuses(gateway: Gateway, ...ids: string[]): Promise<number[][]> {
  const found: number[][] = [];
  for (const id of ids) {
    const by = new Map<string, number>();
    await until(async () => {
      const { worker, status } = await gateway.chat({}, { authorization: `Bearer sw-${id}` });
      by.set(worker, status);
      return by.size === 2;
    }, 'both workers to answer');
    found.push([...by.values()]);
  }
  return found;
}

describe('a reload of ten thousand tenants in several workers', () => {
  it('reaches all of them, while requests go on by what was there before', async (t) => {
    const gateway = await begin(t);
    write(gateway, many(tenant('second')));
    let over = false;
    const reloaded = gateway.operator('POST', '/admin/reload').finally(() => {
      over = true;
    });
    const meanwhile: number[] = [];
    while (!over) meanwhile.push((await gateway.chat({}, { authorization: 'Bearer sw-first' })).status);
    const { status, text } = await reloaded;
    assert.deepEqual([status, text], [200, '{"status":"reloaded"}']);
    assert.ok(meanwhile.length > 10, `${meanwhile.length} requests`);
    assert.deepEqual(new Set(meanwhile.slice(0, 10)), new Set([200]));
    assert.deepEqual(await statuses(gateway, 'second', `t-${MANY - 1}`, 'first'), [
      [200, 200],
      [200, 200],
      [401, 401],
    ]);
    // Nobody had to be replaced for it.
    assert.equal(gateway.said('a worker ended: another takes its place').length, 0);
  });

  it('is taken over by none where one of them has died with it, other than by who takes its place', async (t) => {
    const gateway = await begin(t);
    write(gateway, many(tenant('second')));
    const [pid = 0] = gateway.workers();
    const reloaded = gateway.operator('POST', '/admin/reload');
    process.kill(pid, 'SIGKILL');
    assert.equal((await reloaded).status, 200);
    await gateway.complete(2);
    assert.deepEqual(await statuses(gateway, 'second', 'first'), [
      [200, 200],
      [401, 401],
    ]);
  });
});
