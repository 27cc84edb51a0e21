import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { refusalOf, serve } from './helpers.ts';

const { gateway, upstream } = await serve(
  { after },
  {
    auth: 'keys',
    direct_models: true,
    models: {
      m: { provider: 'a', model: 'up' },
      'with/slash': { provider: 'a', model: 'up' },
      n: { provider: 'a', model: 'up' },
    },
    aliases: { cheap: 'm' },
    tenants: [
      { id: 'all', keys: [{ id: 'k', key: 'sw-all' }] },
      { id: 'some', models: ['m', 'a/special'], keys: [{ id: 'k', key: 'sw-some' }] },
      { id: 'alias', models: ['cheap'], keys: [{ id: 'k', key: 'sw-alias' }] },
      { id: 'none', models: [], keys: [{ id: 'k', key: 'sw-none' }] },
    ],
  },
);

const as = (tenant: string) => ({ authorization: `Bearer sw-${tenant}` });

interface Model {
  id: string;
  object: string;
  created: number;
  owned_by: string;
}

async function listFor(tenant: string): Promise<string[]> {
  const response = await fetch(`${gateway.url}/models`, { headers: as(tenant) });
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
  const list = (await response.json()) as { object: string; data: Model[] };
  assert.deepEqual(Object.keys(list), ['object', 'data']);
  assert.equal(list.object, 'list');
  for (const model of list.data) {
    assert.deepEqual(Object.keys(model), ['id', 'object', 'created', 'owned_by']);
    assert.equal(model.object, 'model');
    assert.ok(Number.isInteger(model.created) && model.created > 1_700_000_000);
    assert.equal(typeof model.owned_by, 'string');
  }
  return list.data.map(({ id }) => id);
}

describe('the list of models', () => {
  it('has every model and alias for a tenant that may use all', async () => {
    assert.deepEqual(await listFor('all'), ['m', 'with/slash', 'n', 'cheap']);
  });

  it("has only a tenant's own, those that are reached directly among them", async () => {
    assert.deepEqual(await listFor('some'), ['m', 'a/special']);
    assert.deepEqual(await listFor('alias'), ['cheap']);
    assert.deepEqual(await listFor('none'), []);
  });
});

describe('one model', () => {
  const found: [tenant: string, path: string, id: string][] = [
    ['all', 'm', 'm'],
    ['all', 'cheap', 'cheap'],
    ['all', 'with/slash', 'with/slash'],
    ['all', 'with%2Fslash', 'with/slash'],
    ['all', 'a/any/model', 'a/any/model'],
    ['all', 'a%2Fany%2Fmodel', 'a/any/model'],
    ['some', 'a/special', 'a/special'],
  ];
  for (const [tenant, path, id] of found) {
    it(`is there for ${tenant} under ${path}`, async () => {
      const response = await fetch(`${gateway.url}/models/${path}`, { headers: as(tenant) });
      assert.equal(response.status, 200);
      assert.equal(((await response.json()) as Model).id, id);
    });
  }

  const missing: [tenant: string, path: string][] = [
    ['all', 'unknown'],
    ['all', 'M'],
    ['all', 'nobody/any'],
    ['all', 'a/'],
    ['all', ''],
    ['all', 'constructor'],
    ['all', '__proto__'],
    ['some', 'n'],
    ['some', 'cheap'],
    ['some', 'a/other'],
  ];
  for (const [tenant, path] of missing) {
    it(`is 404 for ${tenant} under ${path || 'nothing'}`, async () => {
      const response = await fetch(`${gateway.url}/models/${path}`, { headers: as(tenant) });
      const { message: _, ...rest } = await refusalOf(response);
      assert.deepEqual(rest, {
        status: 404,
        type: 'invalid_request_error',
        code: 'model_not_found',
        param: 'model',
      });
    });
  }
});

describe('a request for a model', () => {
  it('is served where the tenant may use that name', async () => {
    const may: [string, string][] = [
      ['all', 'm'],
      ['all', 'cheap'],
      ['all', 'a/any'],
      ['some', 'm'],
      ['some', 'a/special'],
      ['alias', 'cheap'],
    ];
    for (const [tenant, model] of may) {
      assert.equal((await gateway.chat({ model }, as(tenant))).status, 200, `${tenant} ${model}`);
    }
  });

  it('is 403 where it may not, whatever the name stands for, and nothing is sent', async () => {
    const before = upstream.requests.length;
    const mayNot: [string, string][] = [
      ['some', 'n'],
      ['some', 'cheap'],
      ['some', 'a/up'],
      ['alias', 'm'],
      ['none', 'm'],
    ];
    for (const [tenant, model] of mayNot) {
      const response = await gateway.chat({ model }, as(tenant));
      const { message, ...rest } = await refusalOf(response);
      assert.deepEqual(rest, {
        status: 403,
        type: 'permission_error',
        code: 'model_not_allowed',
        param: 'model',
      });
      assert.ok(message.includes(`'${model}'`), message);
    }
    assert.equal(upstream.requests.length, before);
  });

  it('is counted under the name of a model that there is, though it was refused', async () => {
    const series = 'spillway_requests_total{tenant="none",model="m",status="403"}';
    assert.equal(await gateway.metric(series), 1);
  });

  it('is 404 where there is no such model, for whoever asks', async () => {
    for (const tenant of ['all', 'some', 'none']) {
      const response = await gateway.chat({ model: 'unknown' }, as(tenant));
      const { message, ...rest } = await refusalOf(response);
      assert.deepEqual(rest, {
        status: 404,
        type: 'invalid_request_error',
        code: 'model_not_found',
        param: 'model',
      });
      assert.match(message, /'unknown'.*\/v1\/models/);
    }
  });

  it('is 404 for a provider and a model where direct models are off', async (t) => {
    const { gateway } = await serve(t);
    assert.equal((await gateway.chat({ model: 'a/up' })).status, 404);
  });

  it('whose name is very long comes back, and into the log, cut short', async () => {
    const before = gateway.requests.length;
    const response = await gateway.chat({ model: 'x'.repeat(1_000_000) }, as('all'));
    const { message, status } = await refusalOf(response);
    assert.equal(status, 404);
    assert.ok(message.length < 1000, `${message.length} characters`);
    const line = (await gateway.ended(before + 1))[before];
    assert.ok((line?.model?.length ?? 0) < 500, `${line?.model?.length} characters`);
  });
});
