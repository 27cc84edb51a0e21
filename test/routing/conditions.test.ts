import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { startRelay } from './relay.ts';

const KEYS = {
  free: 'sw-key-of-free-0123456789',
  pro: 'sw-key-of-pro-0123456789',
  none: 'sw-key-of-none-0123456789',
};

interface Asked {
  body?: Record<string, unknown>;
  /** The `x-spillway-metadata` header. */
  metadata?: string;
  key?: string;
}

/** A model whose conditions are tried in order; the n-th leads to the target `a/n`, none to `a/default`. */
async function conditions(t: TestContext, queries: object[], more: object = {}, fallThrough = true) {
  const { gateway, upstream } = await startRelay(t, {
    models: {
      m: {
        provider: 'a',
        strategy: {
          mode: 'conditional',
          // biome-ignore lint/suspicious/noThenProperty: the configuration's word
          conditions: queries.map((query, i) => ({ query, then: String(i) })),
          ...(fallThrough ? { default: 'default' } : {}),
        },
        targets: [...queries.keys(), ...(fallThrough ? ['default'] : [])].map((name) => ({
          name: String(name),
          model: String(name),
        })),
      },
    },
    ...more,
  });
  const ask = async ({ body = {}, metadata, key }: Asked = {}) => {
    const response = await gateway.chat(body, {
      ...(metadata === undefined ? {} : { 'x-spillway-metadata': metadata }),
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
    });
    await response.text();
    return response.headers.get('x-spillway-target')?.slice('a/'.length) ?? response.status;
  };
  return { ask, gateway, upstream };
}

describe('conditions ask about', () => {
  it('the tenant: its id, its tier and which of its keys', async (t) => {
    const { ask } = await conditions(
      t,
      [
        { 'tenant.tier': { $eq: 'free' } },
        { $and: [{ 'tenant.id': 'pro' }, { 'tenant.key': { $regex: '^lap' } }] },
        { 'tenant.tier': { $ne: 'gold' } },
      ],
      {
        auth: 'keys',
        tenants: [
          { id: 'free', tier: 'free', keys: [{ id: 'ci', key: KEYS.free }] },
          { id: 'pro', tier: 'gold', keys: [{ id: 'laptop', key: KEYS.pro }] },
          { id: 'plain', keys: [{ id: 'ci', key: KEYS.none }] },
        ],
      },
    );
    assert.equal(await ask({ key: KEYS.free }), '0');
    assert.equal(await ask({ key: KEYS.pro }), '1');
    assert.equal(await ask({ key: KEYS.none }), '2');
  });

  it("metadata: the body's, then the header's", async (t) => {
    const { ask, upstream } = await conditions(t, [
      { 'metadata.team': 'red' },
      { 'metadata.team': { $in: ['blue', 'green'] } },
      { 'metadata.job.kind': 'batch' },
    ]);
    assert.equal(await ask(), 'default');
    assert.equal(await ask({ body: { metadata: { team: 'red' } } }), '0');
    assert.equal(await ask({ metadata: '{"team":"green"}' }), '1');
    assert.equal(await ask({ body: { metadata: { team: 'red' } }, metadata: '{"team":"blue"}' }), '0');
    assert.equal(await ask({ body: { metadata: { other: 'x' } }, metadata: '{"team":"blue"}' }), '1');
    assert.equal(await ask({ metadata: '{"job":{"kind":"batch"}}' }), '2');
    for (const { headers } of upstream.requests) assert.equal(headers['x-spillway-metadata'], undefined);
  });

  it('metadata: a header that is no JSON, or no object, is as good as none', async (t) => {
    const { ask } = await conditions(t, [{ 'metadata.team': 'red' }, { 'metadata.length': { $gt: 0 } }]);
    for (const metadata of ['{"team":"red"', 'team=red', '"team"', '["team"]', '7', 'null', '']) {
      assert.equal(await ask({ metadata }), 'default', metadata);
    }
    assert.equal(await ask({ body: { metadata: { team: 'red' } }, metadata: '{' }), '0');
    assert.equal(await ask({ body: { metadata: 'red' }, metadata: '{"team":"red"}' }), '0');
  });

  it("params: the body's other fields", async (t) => {
    const { ask } = await conditions(t, [
      { 'params.stream': true, 'params.n': { $gte: 2, $lt: 5 } },
      { 'params.user': { $regex: '^vip-' } },
      {
        'params.response_format.type': { $nin: ['text', 'json_object'] },
        'params.temperature': { $lte: 0.5 },
      },
      { $or: [{ 'params.tools': { $ne: 7 }, 'params.seed': 1 }, { 'params.seed': 2 }] },
      { 'params.toString': { $ne: 'x' }, 'params.seed': 9 },
    ]);
    assert.equal(await ask({ body: { stream: true, n: 3 } }), '0');
    assert.equal(await ask({ body: { stream: true, n: 5 } }), 'default');
    assert.equal(await ask({ body: { user: 'vip-7' } }), '1');
    assert.equal(await ask({ body: { user: 'no vip-7' } }), 'default');
    assert.equal(await ask({ body: { response_format: { type: 'json_schema' }, temperature: 0.5 } }), '2');
    assert.equal(await ask({ body: { response_format: { type: 'text' }, temperature: 0.5 } }), 'default');
    assert.equal(await ask({ body: { seed: 1 } }), '3');
    assert.equal(await ask({ body: { seed: 2 } }), '3');
    assert.equal(await ask({ body: { seed: '2' } }), 'default');
    assert.equal(await ask({ body: { seed: 9 } }), '4');
  });

  it('request.input_tokens: roughly how long the prompt is', async (t) => {
    const { ask } = await conditions(t, [
      { 'request.input_tokens': { $lt: 100 } },
      { 'request.input_tokens': { $lt: 2000 } },
    ]);
    const prompt = (content: unknown) => ({ body: { messages: [{ role: 'user', content }] } });
    assert.equal(await ask(prompt('hello')), '0');
    assert.equal(await ask(prompt('word '.repeat(1000))), '1');
    assert.equal(await ask(prompt('word '.repeat(10_000))), 'default');
    // A picture's data is not text.
    const url = `data:image/png;base64,${'A'.repeat(100_000)}`;
    assert.equal(await ask(prompt([{ type: 'image_url', image_url: { url } }])), '1');
  });
});

describe('of several conditions', () => {
  it('the first that matches decides', async (t) => {
    const { ask } = await conditions(t, [{ 'params.n': 2 }, { 'params.n': { $gt: 0 } }, { 'params.n': 1 }]);
    assert.equal(await ask({ body: { n: 2 } }), '0');
    assert.equal(await ask({ body: { n: 1 } }), '1');
  });

  it('none that matches, and no default, is a fault of the request that says so', async (t) => {
    const { gateway, upstream } = await conditions(t, [{ 'metadata.team': 'red' }], {}, false);
    const response = await gateway.chat();
    assert.equal(response.status, 400);
    assert.equal(response.headers.get('x-should-retry'), 'false');
    assert.equal(response.headers.get('x-spillway-attempts'), '0');
    const { error } = (await response.json()) as { error: object };
    assert.deepEqual(error, {
      message: "No condition of the model 'm' matches this request, and it has no default.",
      type: 'invalid_request_error',
      param: null,
      code: 'invalid_value',
    });
    assert.equal(upstream.requests.length, 0);
    const [line] = await gateway.ended(1);
    assert.deepEqual([line?.status, line?.tries], [400, []]);
  });
});
