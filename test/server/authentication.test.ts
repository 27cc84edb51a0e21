import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, describe, it } from 'node:test';
import { exchangeRaw, RawClient } from '../support/raw-http.ts';
import { chatHead, errorIn, refusalOf, serve } from './helpers.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const { gateway, upstream } = await serve(
  { after },
  {
    auth: 'keys',
    tenants: [
      {
        id: 'acme',
        keys: [
          { id: 'plain', key: 'sw-plain-key' },
          { id: 'hashed', sha256: sha256('sw-hashed-key') },
          { id: 'upper', sha256: sha256('sw-upper-key').toUpperCase() },
          { id: 'marked', sha256: `sha256:${sha256('sw-marked-key')}` },
        ],
      },
      { id: 'other', keys: [{ id: 'only', key: 'sw-other-key' }] },
    ],
  },
);

async function refused(headers: Record<string, string>, expected: RegExp): Promise<void> {
  const response = await gateway.chat({}, headers);
  assert.equal(response.headers.get('www-authenticate'), 'Bearer');
  const { message, ...rest } = await refusalOf(response);
  assert.deepEqual(rest, {
    status: 401,
    type: 'invalid_request_error',
    code: 'invalid_api_key',
    param: null,
  });
  assert.match(message, expected);
}

describe('a key', () => {
  const keys: [key: string, tenant: string, id: string][] = [
    ['sw-plain-key', 'acme', 'plain'],
    ['sw-hashed-key', 'acme', 'hashed'],
    ['sw-upper-key', 'acme', 'upper'],
    ['sw-marked-key', 'acme', 'marked'],
    ['sw-other-key', 'other', 'only'],
  ];
  for (const [key, tenant, id] of keys) {
    it(`${id} of ${tenant} lets in, and its request is ${tenant}'s`, async () => {
      const before = gateway.requests.length;
      const response = await gateway.chat({}, { authorization: `Bearer ${key}` });
      assert.equal(response.status, 200);
      const line = (await gateway.ended(before + 1))[before];
      assert.deepEqual([line?.tenant, line?.key], [tenant, id]);
    });
  }

  it('lets in whatever the case of the scheme, and with spaces around it', async () => {
    for (const authorization of ['bearer sw-plain-key', 'BEARER   sw-plain-key', 'Bearer sw-plain-key  ']) {
      assert.equal((await gateway.chat({}, { authorization })).status, 200, authorization);
    }
  });

  it('does not go upstream', () => {
    for (const { rawHeaders, body } of upstream.requests) {
      assert.doesNotMatch(JSON.stringify(rawHeaders) + body.toString(), /sw-|authorization/i);
    }
  });
});

describe('without a key that is known', () => {
  it('nobody gets in who brings none', () => refused({}, /No API key was sent.*Authorization: Bearer/));

  const wrong: Record<string, string> = {
    'an unknown key': 'Bearer sw-unknown',
    'no key after the scheme': 'Bearer',
    'an empty header': '',
    'another scheme': 'Basic sw-plain-key',
    'a key without its scheme': 'sw-plain-key',
    'two keys': 'Bearer sw-plain-key sw-other-key',
    'a key and a comma': 'Bearer sw-plain-key,',
    'the beginning of a key': 'Bearer sw-plain-ke',
    'a key in other letters': 'Bearer SW-PLAIN-KEY',
    'the hash of a key': `Bearer ${sha256('sw-plain-key')}`,
    'the id of a key': 'Bearer plain',
  };
  for (const [what, authorization] of Object.entries(wrong)) {
    it(`nobody gets in with ${what}, and it is not said which it was`, async () => {
      await refused({ authorization }, /^This API key is not known here/);
    });
  }

  it('nobody gets in with a key in another header', async () => {
    await refused({ 'x-api-key': 'sw-plain-key', 'api-key': 'sw-plain-key' }, /No API key was sent/);
  });

  it('nobody gets in with the header sent twice', async () => {
    const head = chatHead({ Authorization: 'Bearer wrong', authorization: 'Bearer sw-plain-key' });
    assert.equal((await exchangeRaw(gateway.origin, head)).status, 401);
  });

  it('nobody is let in to the other paths either', async () => {
    for (const path of ['/models', '/models/m', '/usage']) {
      const response = await fetch(gateway.url + path);
      assert.equal(response.status, 401, path);
      assert.equal((await refusalOf(response)).code, 'invalid_api_key');
    }
  });

  it('no body is read', async () => {
    const client = await RawClient.connect(gateway.origin);
    await client.send(chatHead({ authorization: 'Bearer wrong', 'content-length': 2_000_000 }));
    const { status, headers, body } = await client.response();
    assert.equal(status, 401);
    assert.equal(headers['connection'], 'close');
    assert.equal(errorIn(body).code, 'invalid_api_key');
    client.destroy();
  });

  it('a request is booked for no tenant', async () => {
    const before = gateway.requests.length;
    await gateway.chat({}, { authorization: 'Bearer wrong' });
    const line = (await gateway.ended(before + 1))[before];
    assert.deepEqual(
      [line?.tenant, line?.key, line?.model, line?.status, line?.outcome],
      [null, null, null, 401, 'refused'],
    );
    const series = 'spillway_requests_total{tenant="unknown",model="unknown",status="401"}';
    assert.ok(((await gateway.metric(series)) ?? 0) > 10);
  });
});

it('keys are in no log line, no metric and no error', async () => {
  const said = JSON.stringify([gateway.logs, gateway.requests, await gateway.metrics()]);
  for (const key of ['sw-plain', 'sw-hashed', 'sw-other', 'sw-unknown', sha256('sw-hashed-key')]) {
    assert.ok(!said.includes(key), key);
  }
});

describe('where no key is asked for', () => {
  it('everyone is the tenant anonymous, whatever key they bring', async (t) => {
    const { gateway } = await serve(t, { auth: 'none' });
    for (const headers of [{}, { authorization: 'Bearer anything' }, { authorization: 'nonsense' }]) {
      assert.equal((await gateway.chat({}, headers as Record<string, string>)).status, 200);
    }
    const lines = await gateway.ended(3);
    for (const { tenant, key } of lines) assert.deepEqual([tenant, key], ['anonymous', null]);
  });

  it('the tenant anonymous may be held to some models', async (t) => {
    const { gateway } = await serve(t, {
      auth: 'none',
      tenants: [{ id: 'anonymous', models: ['m'] }],
      models: { m: { provider: 'a' }, n: { provider: 'a' } },
    });
    assert.equal((await gateway.chat()).status, 200);
    assert.equal((await gateway.chat({ model: 'n' })).status, 403);
  });
});
