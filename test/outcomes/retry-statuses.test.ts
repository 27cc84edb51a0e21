import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { apiError, htmlPage, plain, reset, type Script } from '../support/upstream.ts';
import { ask, openGateway, openUpstream, provider } from './helpers.ts';

/** How often one target is asked that always fails so. */
async function triesOn(t: TestContext, answer: Script, retry: object): Promise<number> {
  const a = await openUpstream(t, () => answer);
  const gateway = await openGateway(t, {
    providers: { a: provider(a) },
    models: { m: { provider: 'a', retry } },
  });
  await ask(gateway);
  return a.requests.length;
}

describe('`retry.on_status_codes`', () => {
  it('narrows the statuses after which the same target is tried again', async (t) => {
    const only503 = { attempts: 2, on_status_codes: [503] };
    assert.equal(await triesOn(t, apiError(503), only503), 3);
    for (const status of [429, 500, 502, 529]) assert.equal(await triesOn(t, apiError(status), only503), 1);
  });

  it('adds nothing: what the table tries once is tried once', async (t) => {
    const all = { attempts: 2, on_status_codes: [300, 307, 400, 401, 402, 403, 404, 413, 422, 520] };
    for (const status of [307, 400, 401, 402, 403, 404, 413, 422]) {
      assert.equal(await triesOn(t, apiError(status), all), 1, String(status));
    }
    assert.equal(await triesOn(t, apiError(520), all), 3);
  });

  it('has no say where there is no status', async (t) => {
    const none = { attempts: 2, on_status_codes: [] };
    assert.equal(await triesOn(t, reset(), none), 3);
    assert.equal(await triesOn(t, htmlPage(200), none), 3);
    assert.equal(await triesOn(t, apiError(503), none), 1);
  });

  it('holds for a status that an error with status 200 names', async (t) => {
    const busy = plain({ json: { error: { message: 'busy', code: 503 } } });
    assert.equal(await triesOn(t, busy, { attempts: 2, on_status_codes: [503] }), 3);
    assert.equal(await triesOn(t, busy, { attempts: 2, on_status_codes: [500] }), 1);
  });
});

describe('`retry.attempts`', () => {
  for (const attempts of [0, 1, 4]) {
    it(`of ${attempts} means ${1 + attempts} tries`, async (t) => {
      assert.equal(await triesOn(t, apiError(503), { attempts }), 1 + attempts);
      assert.equal(await triesOn(t, reset(), { attempts }), 1 + attempts);
    });
  }
});
