import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { startRelay } from './relay.ts';

const KEY = 'sw-key-of-acme-0123456789';

/** `name` asked for with this key: the answer's status, the target that answered, and the error's code. */
async function asker(t: TestContext, config: object) {
  const { upstream, gateway, models } = await startRelay(t, {
    models: { smart: { provider: 'a', model: 'big' }, plain: { provider: 'b' } },
    ...config,
  });
  const headers = { authorization: `Bearer ${KEY}` };
  const ask = async (model: string) => {
    const response = await gateway.chat({ model }, headers);
    const body = (await response.json()) as { error?: { code: string } };
    return `${response.status} ${response.headers.get('x-spillway-target') ?? body.error?.code}`;
  };
  const listed = async () => {
    const response = await fetch(`${gateway.url}/models`, { headers });
    const { data } = (await response.json()) as { data: { id: string }[] };
    return data.map(({ id }) => id);
  };
  return { upstream, ask, listed, models };
}

describe('aliases', () => {
  it('are names of their own that lead to a model, through other aliases too', async (t) => {
    const { ask, listed, models } = await asker(t, { aliases: { best: 'better', better: 'smart' } });
    assert.equal(await ask('best'), '200 a/big');
    assert.equal(await ask('better'), '200 a/big');
    assert.equal(models(), 'big big');
    assert.deepEqual(await listed(), ['smart', 'plain', 'best', 'better']);
  });

  it('are allowed or not by the name that was asked for, not by where it leads', async (t) => {
    const { ask, listed, upstream } = await asker(t, {
      auth: 'keys',
      aliases: { cheap: 'plain', best: 'smart' },
      tenants: [{ id: 'acme', models: ['cheap', 'smart'], keys: [{ id: 'ci', key: KEY }] }],
    });
    assert.equal(await ask('cheap'), '200 b/plain');
    assert.equal(await ask('plain'), '403 model_not_allowed');
    assert.equal(await ask('smart'), '200 a/big');
    assert.equal(await ask('best'), '403 model_not_allowed');
    assert.equal(upstream.requests.length, 2);
    assert.deepEqual(await listed(), ['cheap', 'smart']);
  });
});

describe('direct_models', () => {
  it('reach a provider without an entry under models; a model may have slashes of its own', async (t) => {
    const { ask, models, listed } = await asker(t, {
      direct_models: true,
      aliases: { llama: 'b/meta/llama-4' },
    });
    assert.equal(await ask('a/gpt-6'), '200 a/gpt-6');
    assert.equal(await ask('b/meta/llama-4'), '200 b/meta/llama-4');
    assert.equal(await ask('llama'), '200 b/meta/llama-4');
    assert.equal(models(), 'gpt-6 meta/llama-4 meta/llama-4');
    assert.deepEqual(await listed(), ['smart', 'plain', 'llama']);
  });

  it('have the defaults, and no provider that does not exist', async (t) => {
    const { ask, upstream } = await asker(t, {
      direct_models: true,
      defaults: { override_params: { seed: 3 } },
    });
    assert.equal(await ask('c/gpt-6'), '404 model_not_found');
    assert.equal(await ask('a/'), '404 model_not_found');
    assert.equal(await ask('/gpt-6'), '404 model_not_found');
    assert.equal(await ask('a/gpt-6'), '200 a/gpt-6');
    assert.equal(upstream.requests[0]?.json()['seed'], 3);
  });

  it('are unknown names where they are not switched on', async (t) => {
    const { ask, upstream } = await asker(t, {});
    assert.equal(await ask('a/gpt-6'), '404 model_not_found');
    assert.equal(upstream.requests.length, 0);
  });

  it('are for tenants that may use all names, or this one', async (t) => {
    const { ask } = await asker(t, {
      auth: 'keys',
      direct_models: true,
      tenants: [{ id: 'acme', models: ['smart', 'a/gpt-6'], keys: [{ id: 'ci', key: KEY }] }],
    });
    assert.equal(await ask('a/gpt-6'), '200 a/gpt-6');
    assert.equal(await ask('a/gpt-7'), '403 model_not_allowed');
  });
});
