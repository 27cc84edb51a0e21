/** Tenants of the admin API as clients meet them: the whole gateway. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { reloadWith, serve, shortRefusalOf } from '../server/helpers.ts';

async function send(admin: string, method: string, path: string, body?: object) {
  const response = await fetch(`${admin}/admin/tenants${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  assert.ok(response.ok, await response.clone().text());
  return response.status === 204 ? {} : ((await response.json()) as Record<string, unknown>);
}

describe('a tenant that was made while the gateway runs', () => {
  it('may ask with its key, until that is revoked', async (t) => {
    const { gateway } = await serve(t, { auth: 'keys' });
    await send(gateway.admin, 'POST', '', { id: 'acme' });
    const { key } = await send(gateway.admin, 'POST', '/acme/keys', { id: 'ci' });
    const headers = { authorization: `Bearer ${String(key)}` };
    assert.equal((await gateway.chat({}, headers)).status, 200);
    const [line] = await gateway.ended(1);
    assert.deepEqual([line?.tenant, line?.key], ['acme', 'ci']);
    await send(gateway.admin, 'DELETE', '/acme/keys/ci');
    assert.equal((await shortRefusalOf(await gateway.chat({}, headers))).code, 'invalid_api_key');
  });

  it('may use its models and no others, from one request to the next', async (t) => {
    const { gateway, configWith } = await serve(t, { auth: 'keys' });
    await reloadWith(gateway, configWith({ models: { m: { provider: 'a' }, n: { provider: 'a' } } }));
    const made = await send(gateway.admin, 'POST', '', { id: 'acme', models: ['m'], keys: [{ id: 'ci' }] });
    const [{ key } = { key: '' }] = made['keys'] as { key: string }[];
    const headers = { authorization: `Bearer ${key}` };
    assert.equal((await gateway.chat({ model: 'm' }, headers)).status, 200);
    assert.equal(
      (await shortRefusalOf(await gateway.chat({ model: 'n' }, headers))).code,
      'model_not_allowed',
    );
    await send(gateway.admin, 'PATCH', '/acme', { models: [] });
    assert.equal(
      (await shortRefusalOf(await gateway.chat({ model: 'm' }, headers))).code,
      'model_not_allowed',
    );
    await send(gateway.admin, 'PATCH', '/acme', { models: null });
    assert.equal((await gateway.chat({ model: 'n' }, headers)).status, 200);
  });

  it('is held to its quotas, those of a rotated key by both of its forms together', async (t) => {
    const { gateway } = await serve(t, { auth: 'keys' });
    await send(gateway.admin, 'POST', '', { id: 'acme' });
    const quotas = [{ limit: 2, of: 'requests', per: 'day' }];
    const old = await send(gateway.admin, 'POST', '/acme/keys', { id: 'ci', quotas });
    const ask = (key: unknown) => gateway.chat({}, { authorization: `Bearer ${String(key)}` });
    assert.equal((await ask(old['key'])).status, 200);
    const fresh = await send(gateway.admin, 'POST', '/acme/keys/ci/rotate');
    assert.equal((await ask(fresh['key'])).status, 200);
    assert.equal((await ask(old['key'])).status, 429);
    await send(gateway.admin, 'PATCH', '/acme/keys/ci', {
      quotas: [{ limit: 3, of: 'requests', per: 'day' }],
    });
    assert.equal((await ask(old['key'])).status, 200);
    assert.equal((await ask(fresh['key'])).status, 429);
  });

  it('is set aside while the file has one of its id', async (t) => {
    const { gateway, configWith } = await serve(t, { auth: 'keys' });
    const made = await send(gateway.admin, 'POST', '', { id: 'acme', keys: [{ id: 'ci' }] });
    const [{ key } = { key: '' }] = made['keys'] as { key: string }[];
    const ask = async (with_: string) =>
      (await gateway.chat({}, { authorization: `Bearer ${with_}` })).status;
    await reloadWith(gateway, configWith({ tenants: [{ id: 'acme', keys: [{ id: 'f', key: 'sw-file' }] }] }));
    assert.deepEqual([await ask(key), await ask('sw-file')], [401, 200]);
    await reloadWith(gateway, configWith({}));
    assert.deepEqual([await ask(key), await ask('sw-file')], [200, 401]);
  });
});
