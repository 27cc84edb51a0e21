import assert from 'node:assert/strict';
import { after, it } from 'node:test';
import { serve } from './helpers.ts';

const { gateway } = await serve(
  { after },
  { auth: 'keys', tenants: [{ id: 'acme', keys: [{ id: 'ci', key: 'sw-acme' }] }] },
);

it('usage is what the caller has of its own, and whose it is', async () => {
  const response = await fetch(`${gateway.url}/usage`, { headers: { authorization: 'Bearer sw-acme' } });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  assert.deepEqual(await response.json(), { tenant: 'acme', key: 'ci', quotas: [] });
});

it('usage of those who need no key has none', async (t) => {
  const { gateway } = await serve(t);
  const response = await fetch(`${gateway.url}/usage`);
  assert.deepEqual(await response.json(), { tenant: 'anonymous', key: null, quotas: [] });
});
