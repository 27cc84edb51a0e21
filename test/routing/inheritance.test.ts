import assert from 'node:assert/strict';
import { it } from 'node:test';
import { apiError } from '../support/upstream.ts';
import { startRelay } from './relay.ts';

it('override_params merge key by key over what the client sent, the nearest wins, null removes', async (t) => {
  const { upstream, gateway, bodies } = await startRelay(t, {
    defaults: { retry: { attempts: 0 }, override_params: { temperature: 0.1, seed: 1, user: null } },
    models: {
      m: {
        provider: 'a',
        strategy: { mode: 'fallback' },
        override_params: { temperature: 0.2, top_p: 0.5, model: 'above' },
        targets: [
          { override_params: { temperature: 0.3, seed: null, response_format: { type: 'text' } } },
          { model: 'near', override_params: { user: 'ours', top_p: null } },
        ],
      },
    },
  });
  upstream.enqueue(apiError(500));
  await gateway.chat({
    temperature: 1,
    seed: 7,
    user: 'me',
    stop: ['.'],
    response_format: { type: 'json_schema', json_schema: { name: 'x' } },
  });
  assert.deepEqual(bodies(), [
    { model: 'above', temperature: 0.3, top_p: 0.5, stop: ['.'], response_format: { type: 'text' } },
    {
      model: 'near',
      temperature: 0.2,
      seed: 1,
      user: 'ours',
      stop: ['.'],
      response_format: { type: 'json_schema', json_schema: { name: 'x' } },
    },
  ]);
});

it("each try starts from the client's own request and has an id of its own", async (t) => {
  const { upstream, gateway, bodies } = await startRelay(t, {
    models: {
      m: {
        provider: 'a',
        strategy: { mode: 'fallback' },
        targets: [
          {
            model: 'one',
            retry: { attempts: 1, backoff: { base: '0' } },
            override_params: { stop: null, seed: 5, temperature: 0 },
          },
          { model: 'two', override_params: { n: 1 } },
          { model: 'three' },
        ],
      },
    },
  });
  upstream.enqueue(apiError(500), apiError(500), apiError(500));
  const sent = { temperature: 1, stop: ['.'], metadata: { kept: 'as it is' } };
  assert.equal((await gateway.chat(sent)).status, 200);
  const one = { model: 'one', temperature: 0, seed: 5, metadata: sent.metadata };
  assert.deepEqual(bodies(), [one, one, { ...sent, model: 'two', n: 1 }, { ...sent, model: 'three' }]);
  assert.equal(new Set(upstream.requests.map(({ headers }) => headers['x-request-id'])).size, 4);
});

it('of other settings maps merge key by key, lists replace, and the nearest wins', async (t) => {
  const { upstream, gateway, models } = await startRelay(t, {
    defaults: { retry: { attempts: 1, backoff: { base: '0' }, on_status_codes: [500] } },
    models: {
      m: {
        provider: 'a',
        strategy: { mode: 'fallback' },
        retry: { backoff: { kind: 'constant' } },
        targets: [
          { model: 'inherits' },
          { model: 'more', retry: { attempts: 2 } },
          { model: 'others', retry: { on_status_codes: [503] } },
        ],
      },
    },
  });
  upstream.reply(() => apiError(500));
  assert.equal((await gateway.chat()).status, 502);
  assert.equal(models(), 'inherits inherits more more more others');
});

it('strategy, targets, weight and name are not inherited', async (t) => {
  const { upstream, gateway, models } = await startRelay(
    t,
    {
      models: {
        m: {
          provider: 'a',
          name: 'root',
          strategy: { mode: 'loadbalance', on_status_codes: [500] },
          targets: [
            {
              weight: 0,
              strategy: { mode: 'fallback' },
              targets: [{ model: 'x' }, { model: 'y' }],
            },
            { model: 'z' },
          ],
        },
      },
    },
    { chance: () => 0 },
  );
  // The inner strategy has no list: it goes on after 503, as the table says. The outer list then ends the request.
  upstream.enqueue(apiError(500), apiError(503), apiError(503));
  assert.equal((await gateway.chat()).status, 502);
  assert.equal(models(), 'z x y');
});
