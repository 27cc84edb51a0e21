import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { chatBody, chatHead, errorIn, reloadWith, serve } from '../server/helpers.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { RawClient } from '../support/raw-http.ts';

/** Longer than keys and limits are taken to stay as they were. Milliseconds. */
const SLOW = 300;

interface Sending {
  admin(method: string, path: string, body?: object): Promise<void>;
  /** The rest of the body, once the key and the limits are what they are by then: resolves to the answer. */
  finish(): Promise<{ status: number; code: string | null; calls: number }>;
  reload(config: object): Promise<void>;
}

/** A client that was let in with a key, and has sent half of its body for a while. */
async function sending(t: TestContext, options: { inFile?: object } = {}): Promise<Sending> {
  const clock = new ManualClock();
  const { inFile } = options;
  const config = { auth: 'keys', ...(inFile === undefined ? {} : { tenants: [inFile] }) };
  const { gateway, upstream, configWith } = await serve(t, config, { clock });
  const admin = async (method: string, path: string, body?: object) => {
    const response = await fetch(`${gateway.admin}/admin/tenants${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    assert.ok(response.ok, text);
    return text;
  };
  let key = 'sw-the-key-of-the-file';
  if (inFile === undefined) {
    const made = await admin('POST', '', { id: 'acme', keys: [{ id: 'ci' }, { id: 'other' }] });
    key = (JSON.parse(made) as { keys: { key: string }[] }).keys[0]?.key ?? '';
  }
  const body = chatBody();
  const client = await RawClient.connect(gateway.origin);
  t.after(() => client.destroy());
  const headers = { authorization: `Bearer ${key}`, 'content-length': body.length, expect: '100-continue' };
  await client.send(chatHead(headers));
  // It has been let in by then.
  assert.equal((await client.response()).status, 100);
  await client.send(body.slice(0, 20));
  clock.advance(SLOW);
  return {
    admin: async (...args) => void (await admin(...args)),
    reload: (changes) => reloadWith(gateway, configWith(changes)),
    async finish() {
      await client.send(body.slice(20));
      const answer = await client.response();
      const code = answer.status === 200 ? null : errorIn(answer.body).code;
      return { status: answer.status, code, calls: upstream.requests.length };
    },
  };
}

describe('a body that is long on its way', () => {
  it('is answered where nothing has changed meanwhile', async (t) => {
    const { finish } = await sending(t);
    assert.deepEqual(await finish(), { status: 200, code: null, calls: 1 });
  });

  it('is answered where something has changed that is no matter to it', async (t) => {
    const { admin, finish } = await sending(t);
    await admin('DELETE', '/acme/keys/other');
    await admin('PATCH', '/acme', { quotas: [{ limit: 1, of: 'requests', per: 'day' }] });
    assert.deepEqual(await finish(), { status: 200, code: null, calls: 1 });
  });

  it('begins nothing if its key has been revoked', async (t) => {
    const { admin, finish } = await sending(t);
    await admin('DELETE', '/acme/keys/ci');
    assert.deepEqual(await finish(), { status: 401, code: 'invalid_api_key', calls: 0 });
  });

  it('begins nothing if its tenant has been deleted', async (t) => {
    const { admin, finish } = await sending(t);
    await admin('DELETE', '/acme');
    assert.deepEqual(await finish(), { status: 401, code: 'invalid_api_key', calls: 0 });
  });

  it('begins nothing if its tenant may not use the model any more', async (t) => {
    const { admin, finish } = await sending(t);
    await admin('PATCH', '/acme', { models: [] });
    assert.deepEqual(await finish(), { status: 403, code: 'model_not_allowed', calls: 0 });
  });

  it('begins nothing if a limit has been lowered beneath it, of its tenant or its key', async (t) => {
    for (const path of ['/acme', '/acme/keys/ci']) {
      const { admin, finish } = await sending(t);
      await admin('PATCH', path, { quotas: [{ limit: 0, of: 'requests', per: 'minute' }] });
      assert.deepEqual(await finish(), { status: 429, code: 'rate_limit_exceeded', calls: 0 });
    }
  });

  const tenant = { id: 'files', keys: [{ id: 'ci', key: 'sw-the-key-of-the-file' }] };

  it('begins nothing if its key has gone from the file', async (t) => {
    const { reload, finish } = await sending(t, { inFile: tenant });
    await reload({ tenants: [{ ...tenant, keys: [{ id: 'ci', key: 'sw-another-key' }] }] });
    assert.deepEqual(await finish(), { status: 401, code: 'invalid_api_key', calls: 0 });
  });

  it('begins nothing if a limit has been lowered in the file', async (t) => {
    const { reload, finish } = await sending(t, { inFile: tenant });
    await reload({ tenants: [{ ...tenant, quotas: [{ limit: 0, of: 'requests', per: 'minute' }] }] });
    assert.deepEqual(await finish(), { status: 429, code: 'rate_limit_exceeded', calls: 0 });
  });
});
