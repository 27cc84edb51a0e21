/** `/admin/tenants` through a real listener. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { hashOfKey } from '../../src/auth/key-hash.ts';
import { type AdminHandlers, adminListener } from '../../src/server/admin.ts';
import { errorIn, shortRefusalOf } from '../server/helpers.ts';
import { RawClient } from '../support/raw-http.ts';
import { type CleansUp, startRedis } from '../support/redis.ts';
import { file, found, type Gateway, gatewayOn, inMemory, inRedis, type Watched } from './helpers.ts';

const TOKEN = 'admin-token-0123456789';

interface Served extends Gateway {
  url: string;
  /** Mistakes of ours. */
  failures: unknown[];
  ask(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>;
}

const FILES_KEY = hashOfKey('the key of the file');

async function serve(t: CleansUp, backing: Watched = inMemory()): Promise<Served> {
  const tenants = [
    {
      id: 'files',
      tier: 'pro',
      models: new Set(['m']),
      keys: [
        { id: 'ci', sha256: FILES_KEY, quotas: [{ limit: 2, of: 'concurrent', per: null, models: null }] },
      ],
      quotas: [{ limit: 9, of: 'usd', per: 'day', models: ['m'] }],
    },
  ] as const;
  const gateway = gatewayOn(backing, file({ tenants }));
  const failures: unknown[] = [];
  const handlers = {
    token: () => TOKEN,
    failed: (error: unknown) => failures.push(error),
    tenants: () => gateway.admin,
  } as Partial<AdminHandlers> as AdminHandlers;
  let ids = 0;
  const listener = adminListener(handlers, () => `id-${ids++}`);
  const url = await listener.listen({ host: '127.0.0.1', port: 0 });
  t.after(async () => {
    await listener.close();
    assert.deepEqual(failures, [], 'a mistake of ours');
  });
  const ask = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${TOKEN}`, ...headers },
      ...(body === undefined
        ? {}
        : { body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body) }),
    });
  return { ...gateway, url, failures, ask };
}

async function jsonOf(response: Response, status: number): Promise<Record<string, unknown>> {
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  assert.equal(response.headers.get('cache-control'), 'no-store');
  assert.match(response.headers.get('x-request-id') ?? '', /./);
  return JSON.parse(text) as Record<string, unknown>;
}

describe('the life of a tenant', () => {
  it('is made, shown, changed and deleted', async (t) => {
    const { ask, ...gateway } = await serve(t);
    const quotas = [{ limit: 100, of: 'requests', per: 'minute' }];
    const made = await jsonOf(
      await ask('POST', '/admin/tenants', { id: 'acme', tier: 'pro', quotas, keys: [{ id: 'ci' }] }),
      201,
    );
    const [{ key = '' } = {}] = made['keys'] as { key?: string }[];
    assert.match(key, /^sw-/);
    assert.equal(found(gateway, key), 'acme/ci');
    const shown = await jsonOf(await ask('GET', '/admin/tenants/acme'), 200);
    assert.deepEqual(Object.keys(shown), [
      'id',
      'source',
      'tier',
      'models',
      'quotas',
      'keys',
      'created_at',
      'updated_at',
      'note',
    ]);
    assert.deepEqual(shown['quotas'], quotas);
    // What is shown can be sent.
    const { tier, models } = shown;
    await jsonOf(await ask('PATCH', '/admin/tenants/acme', { tier, models, quotas: shown['quotas'] }), 200);
    const patched = await jsonOf(await ask('PATCH', '/admin/tenants/acme', { models: ['m', 'n'] }), 200);
    assert.deepEqual(patched['models'], ['m', 'n']);

    const second = await jsonOf(await ask('POST', '/admin/tenants/acme/keys', { id: 'web' }), 201);
    assert.equal(second['rotated'], false);
    const rotated = await jsonOf(
      await ask('POST', '/admin/tenants/acme/keys', { id: 'web', grace: '1m' }),
      200,
    );
    assert.equal(rotated['rotated'], true);
    assert.notEqual(rotated['previous_until'], null);
    assert.deepEqual(
      [found(gateway, String(second['key'])), found(gateway, String(rotated['key']))],
      ['acme/web', 'acme/web'],
    );
    const again = await jsonOf(await ask('POST', '/admin/tenants/acme/keys/web/rotate'), 200);
    assert.equal(found(gateway, String(again['key'])), 'acme/web');
    await jsonOf(await ask('PATCH', '/admin/tenants/acme/keys/web', { quotas }), 200);
    const { keys } = await jsonOf(await ask('GET', '/admin/tenants/acme/keys'), 200);
    assert.deepEqual(
      (keys as { id: string }[]).map(({ id }) => id),
      ['ci', 'web'],
    );
    const revoked = await ask('DELETE', '/admin/tenants/acme/keys/web');
    assert.deepEqual([revoked.status, await revoked.text()], [204, '']);
    assert.equal(found(gateway, String(again['key'])), null);
    const deleted = await ask('DELETE', '/admin/tenants/acme', { taken: 'no notice of' });
    assert.equal(deleted.status, 204);
    assert.equal(found(gateway, key), null);
    assert.equal((await ask('GET', '/admin/tenants/acme')).status, 404);
  });

  it('those of the file stand in the list, without hashes', async (t) => {
    const { ask } = await serve(t);
    await ask('POST', '/admin/tenants', { id: 'acme' });
    const text = await (await ask('GET', '/admin/tenants')).text();
    assert.ok(!text.includes(FILES_KEY));
    const { tenants } = JSON.parse(text) as { tenants: { id: string; note: string | null }[] };
    assert.deepEqual(tenants[1], {
      id: 'files',
      source: 'file',
      tier: 'pro',
      models: ['m'],
      quotas: [{ limit: 9, of: 'usd', per: 'day', models: ['m'] }],
      keys: [{ id: 'ci', quotas: [{ limit: 2, of: 'concurrent' }], created_at: null, previous_until: null }],
      created_at: null,
      updated_at: null,
      note: null,
    });
    assert.match(tenants[0]?.note ?? '', /lost when it ends/);
  });

  it('is shown page by page', async (t) => {
    const { ask } = await serve(t);
    for (const id of ['d', 'b', 'a', 'c']) await ask('POST', '/admin/tenants', { id });
    const page = async (query: string) => {
      const { tenants, next } = await jsonOf(await ask('GET', `/admin/tenants${query}`), 200);
      return [(tenants as { id: string }[]).map(({ id }) => id).join(''), next];
    };
    assert.deepEqual(await page('?limit=2'), ['ab', 'b']);
    assert.deepEqual(await page('?limit=2&after=b'), ['cd', 'd']);
    assert.deepEqual(await page('?limit=2&after=d'), ['files', null]);
    assert.deepEqual(await page('?after=zzz'), ['', null]);
  });

  it('takes a body of whatever type it is said to be', async (t) => {
    const { ask } = await serve(t);
    for (const [index, type] of [
      'application/x-www-form-urlencoded',
      'text/plain',
      'nonsense',
      '',
    ].entries()) {
      const response = await ask('POST', '/admin/tenants', { id: `t${index}` }, { 'content-type': type });
      assert.equal(response.status, 201, type);
    }
  });

  it('says where a change came from', async (t) => {
    const { ask, changes } = await serve(t);
    await ask('POST', '/admin/tenants', { id: 'acme' }, { 'x-request-id': 'mine-1' });
    assert.deepEqual(changes, [
      { action: 'tenant created', tenant: 'acme', key: null, request: 'mine-1', address: '127.0.0.1' },
    ]);
  });
});

type Case = [
  name: string,
  method: string,
  path: string,
  body: unknown,
  status: number,
  code: string,
  param: string | null,
  message: RegExp,
];

const long = 'x'.repeat(64 * 1024);
const T = '/admin/tenants';

const CASES: Case[] = [
  ['no body', 'POST', T, undefined, 400, 'invalid_json', null, /There is no body/],
  ['no JSON', 'POST', T, '{"id":', 400, 'invalid_json', null, /not JSON/],
  ['bytes', 'POST', T, new Uint8Array([0x22, 0xff, 0x22]), 400, 'invalid_json', null, /not JSON/],
  ['a list', 'POST', T, [], 400, 'invalid_value', null, /^the body: expected a map of keys, found a list$/],
  [
    'nothing',
    'POST',
    T,
    'null',
    400,
    'invalid_value',
    null,
    /^the body: expected a map of keys, found nothing$/,
  ],
  ['too much', 'POST', T, { id: 'x', tier: long }, 413, 'request_too_large', null, /larger than/],
  [
    'no id',
    'POST',
    T,
    {},
    400,
    'missing_required_parameter',
    'id',
    /^id: missing; expected 1 to 64 of the char/,
  ],
  ['an id that is none', 'POST', T, { id: 'ACME' }, 400, 'invalid_value', 'id', /found "ACME"$/],
  ['an id that is too long', 'POST', T, { id: 'a'.repeat(65) }, 400, 'invalid_value', 'id', /not shown/],
  ['an id that is a number', 'POST', T, { id: 7 }, 400, 'invalid_value', 'id', /found 7$/],
  ['the id of everyone', 'POST', T, { id: 'anonymous' }, 400, 'invalid_value', 'id', /everyone/],
  ['the id of the store', 'POST', T, { id: '!position' }, 400, 'invalid_value', 'id', /expected 1 to 64/],
  [
    'a field that is not known',
    'POST',
    T,
    { id: 'x', quota: [] },
    400,
    'invalid_value',
    'quota',
    /^quota: unknown key; did you mean quotas\?$/,
  ],
  [
    'a field of a key that is not known',
    'POST',
    T,
    { id: 'x', keys: [{ id: 'k', key: 'sw-secret' }] },
    400,
    'invalid_value',
    'keys[0].key',
    /unknown key; known here: id, quotas, sha256$/,
  ],
  [
    'a prototype',
    'POST',
    T,
    '{"id":"x","__proto__":{"tier":"y"}}',
    400,
    'invalid_value',
    '__proto__',
    /unknown key/,
  ],
  [
    'a tier that is no text',
    'POST',
    T,
    { id: 'x', tier: 3 },
    400,
    'invalid_value',
    'tier',
    /expected a text, found 3/,
  ],
  [
    'a model that is not there',
    'POST',
    T,
    { id: 'x', models: ['m', 'mm'] },
    400,
    'invalid_value',
    'models[1]',
    /^models\[1\]: there is no model "mm"; did you mean m\?$/,
  ],
  [
    'a model of a quota that is not there',
    'POST',
    T,
    { id: 'x', quotas: [{ limit: 1, of: 'requests', per: 'day', models: ['zzz'] }] },
    400,
    'invalid_value',
    'quotas[0].models[0]',
    /there is no model "zzz"$/,
  ],
  [
    'a quota without a period',
    'POST',
    T,
    { id: 'x', quotas: [{ limit: 1, of: 'requests' }] },
    400,
    'missing_required_parameter',
    'quotas[0].per',
    /missing; expected one of second, minute/,
  ],
  [
    'a quota of what is not counted',
    'POST',
    T,
    { id: 'x', quotas: [{ limit: 1, of: 'request', per: 'day' }] },
    400,
    'invalid_value',
    'quotas[0].of',
    /found "request"; did you mean requests\?/,
  ],
  [
    'a limit below nothing',
    'POST',
    T,
    { id: 'x', quotas: [{ limit: -1, of: 'requests', per: 'day' }] },
    400,
    'invalid_value',
    'quotas[0].limit',
    /expected 0 or more, found -1/,
  ],
  [
    'two quotas with one counter',
    'POST',
    T,
    {
      id: 'x',
      quotas: [
        { limit: 1, of: 'requests', per: 'day' },
        { limit: 2, of: 'tokens', per: 'day' },
        { limit: 2, of: 'requests', per: 'day' },
      ],
    },
    400,
    'invalid_value',
    'quotas[2]',
    /counts the same as `quotas\[0\]`; keep one of the two/,
  ],
  [
    'two such quotas of a key',
    'POST',
    T,
    { id: 'x', keys: [{ id: 'k', quotas: Array(2).fill({ limit: 1, of: 'concurrent' }) }] },
    400,
    'invalid_value',
    'keys[0].quotas[1]',
    /counts the same as `keys\[0\]\.quotas\[0\]`/,
  ],
  [
    'a key id twice',
    'POST',
    T,
    { id: 'x', keys: [{ id: 'k' }, { id: 'k' }] },
    400,
    'invalid_value',
    'keys[1].id',
    /another key of this tenant has this id already/,
  ],
  [
    'a key twice',
    'POST',
    T,
    { id: 'x', keys: ['k', 'l'].map((id) => ({ id, sha256: hashOfKey('same') })) },
    400,
    'invalid_value',
    'keys[1].sha256',
    /another key here/,
  ],
  [
    'a hash that is none',
    'POST',
    T,
    { id: 'x', keys: [{ id: 'k', sha256: 'sw-a-key-in-the-clear' }] },
    400,
    'invalid_value',
    'keys[0].sha256',
    /^keys\[0\]\.sha256: expected 64 hexadecimal digits, found a text \(not shown\)$/,
  ],
  [
    'a hash that is a number',
    'POST',
    T,
    { id: 'x', keys: [{ id: 'k', sha256: 123456 }] },
    400,
    'invalid_value',
    'keys[0].sha256',
    /^keys\[0\]\.sha256: expected a text, found a number \(not shown\)$/,
  ],
  [
    'the hash of nothing',
    'POST',
    T,
    { id: 'x', keys: [{ id: 'k', sha256: `sha256:${hashOfKey('').toUpperCase()}` }] },
    400,
    'invalid_value',
    'keys[0].sha256',
    /is the hash of an empty text/,
  ],
  [
    'a key of the file',
    'POST',
    T,
    { id: 'x', keys: [{ id: 'k', sha256: FILES_KEY }] },
    409,
    'key_exists',
    'sha256',
    /`files\/ci`/,
  ],
  [
    'a tenant that is there',
    'POST',
    T,
    { id: 'acme' },
    409,
    'tenant_exists',
    'id',
    /a tenant `acme` already/,
  ],
  ['a tenant of the file', 'POST', T, { id: 'files' }, 409, 'tenant_in_file', null, /config\/spillway\.yaml/],
  [
    'a page of none',
    'GET',
    `${T}?limit=0`,
    undefined,
    400,
    'invalid_value',
    'limit',
    /from 1 to 1000, found "0"/,
  ],
  ['a page too long', 'GET', `${T}?limit=1001`, undefined, 400, 'invalid_value', 'limit', /1 to 1000/],
  ['two pages', 'GET', `${T}?limit=1&limit=2`, undefined, 400, 'invalid_value', 'limit', /found a list/],
  [
    'another question',
    'GET',
    `${T}?page=1`,
    undefined,
    400,
    'invalid_value',
    'page',
    /known here: limit, after/,
  ],
  ['nobody shown', 'GET', `${T}/nobody`, undefined, 404, 'tenant_not_found', null, /no tenant `nobody`/],
  [
    'what is no id',
    'GET',
    `${T}/No%20Body`,
    undefined,
    404,
    'tenant_not_found',
    null,
    /no tenant of this id/,
  ],
  ['nobody changed', 'PATCH', `${T}/nobody`, {}, 404, 'tenant_not_found', null, /`nobody`/],
  ['nobody deleted', 'DELETE', `${T}/nobody`, undefined, 404, 'tenant_not_found', null, /`nobody`/],
  [
    'the file changed',
    'PATCH',
    `${T}/files`,
    {},
    409,
    'tenant_in_file',
    null,
    /stands in the configuration file/,
  ],
  ['the file deleted', 'DELETE', `${T}/files`, undefined, 409, 'tenant_in_file', null, /reload/],
  [
    'an id changed',
    'PATCH',
    `${T}/acme`,
    { id: 'x' },
    400,
    'invalid_value',
    'id',
    /known here: tier, models, quotas/,
  ],
  [
    'quotas of nothing',
    'PATCH',
    `${T}/acme`,
    { quotas: null },
    400,
    'invalid_value',
    'quotas',
    /expected a list/,
  ],
  [
    'unknown models',
    'PATCH',
    `${T}/acme`,
    { models: ['x'] },
    400,
    'invalid_value',
    'models[0]',
    /no model "x"/,
  ],
  ['keys of nobody', 'GET', `${T}/nobody/keys`, undefined, 404, 'tenant_not_found', null, /`nobody`/],
  ['a key of nobody', 'POST', `${T}/nobody/keys`, { id: 'k' }, 404, 'tenant_not_found', null, /`nobody`/],
  ['a key of the file’s', 'POST', `${T}/files/keys`, { id: 'k' }, 409, 'tenant_in_file', null, /`files`/],
  ['a key without id', 'POST', `${T}/acme/keys`, {}, 400, 'missing_required_parameter', 'id', /^id: missing/],
  [
    'a grace that is none',
    'POST',
    `${T}/acme/keys`,
    { id: 'k', grace: 'a while' },
    400,
    'invalid_value',
    'grace',
    /expected a duration such as 250ms, 5s, 10m or 24h, or 0, found "a while"/,
  ],
  [
    'a hash of another key',
    'POST',
    `${T}/acme/keys`,
    { id: 'k', sha256: hashOfKey('own') },
    409,
    'key_exists',
    'sha256',
    /`acme\/own`/,
  ],
  [
    'a key that is not there',
    'DELETE',
    `${T}/acme/keys/nokey`,
    undefined,
    404,
    'key_not_found',
    null,
    /no key `nokey`/,
  ],
  ['it rotated', 'POST', `${T}/acme/keys/nokey/rotate`, {}, 404, 'key_not_found', null, /`acme` has no key/],
  ['it changed', 'PATCH', `${T}/acme/keys/nokey`, {}, 404, 'key_not_found', null, /`nokey`/],
  ['the file’s key', 'DELETE', `${T}/files/keys/ci`, undefined, 409, 'tenant_in_file', null, /`files`/],
  [
    'a rotation with quotas',
    'POST',
    `${T}/acme/keys/own/rotate`,
    { quotas: [] },
    400,
    'invalid_value',
    'quotas',
    /known here: sha256, grace/,
  ],
  [
    'a rotation of no JSON',
    'POST',
    `${T}/acme/keys/own/rotate`,
    'now',
    400,
    'invalid_json',
    null,
    /not JSON/,
  ],
];

describe('what is refused', () => {
  it('is so in OpenAI’s shape, with the field’s name, and changes nothing', async (t) => {
    const { ask, changes } = await serve(t);
    await ask('POST', T, { id: 'acme', keys: [{ id: 'own', sha256: hashOfKey('own') }] });
    const before = await (await ask('GET', T)).text();
    for (const [name, method, path, body, status, code, param, message] of CASES) {
      const response = await ask(method, path, body);
      const text = await response.clone().text();
      const expected = { status, type: 'invalid_request_error', code, param };
      assert.deepEqual(await shortRefusalOf(response), expected, `${name}: ${text}`);
      assert.match(errorIn(text).message, message, name);
      assert.ok(!text.includes('sw-'), name);
    }
    assert.equal(await (await ask('GET', T)).text(), before);
    assert.equal(changes.length, 1);
  });

  it('all that is wrong with a body is said at once', async (t) => {
    const { ask } = await serve(t);
    const response = await ask('POST', T, { id: 'X', tier: 1, modles: [], keys: [{}] });
    const { message } = errorIn(await response.text());
    assert.deepEqual(
      message.split('\n').map((line) => line.split(':')[0]),
      ['id', 'tier', 'keys[0].id', 'modles'],
    );
  });

  it('without the token, and with another one, before the body is read', async (t) => {
    const { ask, changes } = await serve(t);
    for (const authorization of ['', 'Bearer wrong', 'Bearer the key of the file']) {
      for (const [method, path] of [
        ['GET', T],
        ['POST', T],
        ['GET', `${T}/files`],
        ['PATCH', `${T}/files`],
        ['DELETE', `${T}/files`],
        ['GET', `${T}/files/keys`],
        ['POST', `${T}/files/keys`],
        ['PATCH', `${T}/files/keys/ci`],
        ['DELETE', `${T}/files/keys/ci`],
        ['POST', `${T}/files/keys/ci/rotate`],
      ] as const) {
        const body = method === 'GET' ? undefined : '{"id":';
        const { status, code } = await shortRefusalOf(await ask(method, path, body, { authorization }));
        assert.deepEqual([status, code], [401, 'invalid_api_key'], `${method} ${path}`);
      }
    }
    assert.deepEqual(changes, []);
  });

  it('other methods and paths', async (t) => {
    const { ask } = await serve(t);
    for (const [method, path, status, allow] of [
      ['PUT', T, 405, 'GET, POST'],
      ['DELETE', T, 405, 'GET, POST'],
      ['POST', `${T}/acme`, 405, 'GET, PATCH, DELETE'],
      ['DELETE', `${T}/acme/keys`, 405, 'GET, POST'],
      ['GET', `${T}/acme/keys/ci`, 405, 'PATCH, DELETE'],
      ['GET', `${T}/acme/keys/ci/rotate`, 405, 'POST'],
      ['GET', `${T}/`, 404, null],
      ['GET', `${T}/acme/`, 404, null],
      ['GET', `${T}/acme/quotas`, 404, null],
      ['POST', `${T}/acme/keys/ci/revoke`, 404, null],
      ['GET', `${T}/${'x'.repeat(101)}`, 400, null],
      ['GET', `${T}/${'x'.repeat(100)}`, 404, null],
      ['GET', `${T}/%zz`, 400, null],
    ] as const) {
      const response = await ask(method, path);
      assert.equal(response.headers.get('allow'), allow, `${method} ${path.slice(0, 40)}`);
      assert.equal((await shortRefusalOf(response)).status, status, `${method} ${path.slice(0, 40)}`);
    }
  });

  it('a body that is packed', async (t) => {
    const { ask } = await serve(t);
    const response = await ask('POST', T, { id: 'x' }, { 'content-encoding': 'gzip' });
    assert.deepEqual(await shortRefusalOf(response), {
      status: 415,
      type: 'invalid_request_error',
      code: 'unsupported_media_type',
      param: null,
    });
  });

  it('a body that ends before it is whole is nobody’s mistake but the client’s', async (t) => {
    const { url, failures, ask } = await serve(t);
    const head = `POST ${T} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer ${TOKEN}\r\ncontent-length: 100\r\n\r\n{"id"`;
    for (const leave of ['end', 'destroy', 'reset'] as const) {
      const client = await RawClient.connect(url);
      await client.send(head);
      // What it has sent is being read.
      await ask('GET', T);
      client[leave]();
      await client.closed;
    }
    assert.equal((await ask('GET', T)).status, 200);
    assert.deepEqual(failures, []);
  });

  it('changes while Redis is away, and what is known can be read all the same', async (t) => {
    const redis = await startRedis(t);
    const { ask } = await serve(t, await inRedis(t, redis));
    assert.equal((await ask('POST', T, { id: 'acme', keys: [{ id: 'k' }] })).status, 201);
    await redis.stop();
    for (const [method, path, body] of [
      ['POST', T, { id: 'x' }],
      ['PATCH', `${T}/acme`, { tier: 'x' }],
      ['DELETE', `${T}/acme`, undefined],
      ['POST', `${T}/acme/keys`, { id: 'l' }],
      ['POST', `${T}/acme/keys/k/rotate`, undefined],
      ['PATCH', `${T}/acme/keys/k`, { quotas: [] }],
      ['DELETE', `${T}/acme/keys/k`, undefined],
    ] as const) {
      const response = await ask(method, path, body);
      assert.equal(response.headers.get('retry-after'), '1');
      assert.deepEqual(
        await shortRefusalOf(response),
        { status: 503, type: 'server_error', code: 'state_unavailable', param: null },
        `${method} ${path}`,
      );
    }
    assert.equal((await ask('GET', `${T}/acme`)).status, 200);
    assert.equal((await ask('GET', T)).status, 200);
  });
});

describe('whatever is sent', () => {
  /** Mostly right, so that it gets far enough to do harm. */
  const or = <T>(right: fc.Arbitrary<T>) =>
    fc.oneof(
      { weight: 9, arbitrary: right as fc.Arbitrary<unknown> },
      { weight: 1, arbitrary: fc.anything() },
    );
  const quotas = fc.array(
    fc.record({
      limit: or(fc.nat()),
      of: or(fc.constantFrom('requests', 'usd', 'tokens')),
      per: or(fc.constantFrom('day', 'hour')),
    }),
    { maxLength: 3 },
  );
  const id = fc.constantFrom('acme', 'b', 'c', '__proto__', 'constructor');
  const sha256 = fc.nat(20).map((n) => hashOfKey(String(n)));
  const fields = fc.record({
    id: or(id),
    tier: or(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\ud800', 'a\udc00b', '\0'))),
    models: or(fc.subarray(['m', 'n'])),
    quotas: or(quotas),
    keys: or(fc.array(fc.record({ id: or(id), sha256: or(sha256), quotas: or(quotas) }), { maxLength: 3 })),
    sha256: or(sha256),
    grace: or(fc.constantFrom('1s', 0, '0', '1h')),
  });
  /** Bodies with some of these fields, and bodies of all kinds. */
  const bodyOf = (names: readonly string[]) =>
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.tuple(fields, fc.subarray([...names])).map(([all, some]) =>
          plain(
            pick(
              all,
              ['id', ...some].filter((name) => names.includes(name)),
            ),
          ),
        ),
      },
      { weight: 1, arbitrary: fields.map((all) => plain(all)) },
      { weight: 1, arbitrary: fc.json({ maxDepth: 4 }) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }) },
    );
  const segment = fc.oneof(
    { weight: 9, arbitrary: id },
    { weight: 1, arbitrary: fc.constantFrom('files', '%00', '..', '%2e%2e', '!position') },
    { weight: 1, arbitrary: fc.webSegment() },
  );
  const tenant = segment.map((one) => `/${one}`);
  const keys = tenant.map((one) => `${one}/keys`);
  const key = fc.tuple(keys, segment).map(([path, one]) => `${path}/${one}`);
  const asked = (method: string, path: fc.Arbitrary<string>, names: readonly string[] = []) =>
    fc.tuple(fc.constant(method), path, bodyOf(names));
  const request = fc.oneof(
    asked('GET', fc.constant('')),
    { weight: 5, arbitrary: asked('POST', fc.constant(''), ['id', 'tier', 'models', 'quotas', 'keys']) },
    asked('GET', tenant),
    { weight: 2, arbitrary: asked('PATCH', tenant, ['tier', 'models', 'quotas']) },
    asked('DELETE', tenant),
    asked('GET', keys),
    { weight: 5, arbitrary: asked('POST', keys, ['id', 'quotas', 'sha256', 'grace']) },
    asked('PATCH', key, ['quotas']),
    asked('DELETE', key),
    {
      weight: 2,
      arbitrary: asked(
        'POST',
        key.map((path) => `${path}/rotate`),
        ['sha256', 'grace'],
      ),
    },
  );

  for (const where of ['in memory', 'in Redis']) {
    it(`is answered, and never with a 500 (tenants ${where})`, async (t) => {
      const backing = where === 'in memory' ? inMemory() : await inRedis(t, await startRedis(t));
      const { ask, failures } = await serve(t, backing);
      const answers = new Map<string, number>();
      await fc.assert(
        fc.asyncProperty(request, async ([method, path, body]) => {
          const response = await ask(method, T + path, method === 'GET' ? undefined : body);
          const text = await response.text();
          const kind = `${method} ${response.status}`;
          answers.set(kind, (answers.get(kind) ?? 0) + 1);
          assert.ok(response.status < 500, text);
          if (response.status >= 400) errorIn(text);
        }),
        { numRuns: 1000 },
      );
      assert.deepEqual(failures, []);
      t.diagnostic([...answers].sort().join('  '));
      for (const kind of ['POST 201', 'POST 200', 'PATCH 200', 'DELETE 204']) {
        assert.ok((answers.get(kind) ?? 0) > 0, `nothing was answered ${kind}`);
      }
    });
  }
});

/** As JSON, whatever it is. */
function plain(value: unknown): string {
  try {
    return (
      JSON.stringify(value, (_key, one: unknown) => (typeof one === 'bigint' ? String(one) : one)) ?? 'null'
    );
  } catch {
    return '{}';
  }
}

function pick(all: object, names: readonly string[]): object {
  return Object.fromEntries(Object.entries(all).filter(([name]) => names.includes(name)));
}
