import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { apiError, htmlPage, plain, reset, type Script } from '../support/upstream.ts';
import { ask, openGateway, openUpstream, provider } from './helpers.ts';

/** Target `a` fails so, `b` would answer. */
async function scene(t: TestContext, answer: Script, strategy: object) {
  const a = await openUpstream(t, () => answer);
  const b = await openUpstream(t);
  const gateway = await openGateway(
    t,
    {
      providers: { a: provider(a), b: provider(b) },
      models: { m: { strategy, targets: [{ provider: 'a' }, { provider: 'b' }] } },
      defaults: { retry: { attempts: 0 } },
    },
    // A load balancer that draws 0 takes the first of its targets first.
    { chance: () => 0 },
  );
  const seen = await ask(gateway);
  return { seen, goesOn: b.requests.length === 1 };
}

const inBand = (code: number) => plain({ json: { error: { message: 'no', code } } });

for (const mode of ['fallback', 'loadbalance']) {
  describe(`\`on_status_codes\` of a ${mode}`, () => {
    const strategy = (...codes: number[]) => ({ mode, on_status_codes: codes });
    const goesOn = async (t: TestContext, answer: Script, ...codes: number[]) => {
      const { goesOn } = await scene(t, answer, strategy(...codes));
      return goesOn;
    };

    it('lets every status that it lists go on, also where the table would not', async (t) => {
      for (const status of [400, 404, 422, 429, 500, 503]) {
        assert.equal(await goesOn(t, apiError(status), status), true, String(status));
      }
      assert.equal(await goesOn(t, apiError(400, { code: 'content_policy_violation' }), 400), true);
    });

    it('ends the request at every status that it does not list, also where the table would go on', async (t) => {
      for (const status of [307, 402, 404, 409, 429, 500, 502, 503, 520]) {
        assert.equal(await goesOn(t, apiError(status), 418), false, String(status));
      }
      assert.equal(await goesOn(t, apiError(400, { code: 'context_length_exceeded' }), 500), false);
      assert.equal(await goesOn(t, apiError(429, { code: 'insufficient_quota' }), 500), false);
    });

    it('takes 529 for 503', async (t) => {
      assert.equal(await goesOn(t, apiError(529), 503), true);
      assert.equal(await goesOn(t, apiError(529), 529), true);
      assert.equal(await goesOn(t, apiError(503), 529), false);
    });

    it('leaves outcomes without a status to the table', async (t) => {
      assert.equal(await goesOn(t, reset(), 418), true);
      assert.equal(await goesOn(t, htmlPage(200), 418), true);
      assert.equal(await goesOn(t, plain({ json: { error: 'oh no' } }), 418), true);
    });

    it('leaves refused credentials to the table', async (t) => {
      assert.equal(await goesOn(t, apiError(401), 418), true);
      assert.equal(await goesOn(t, apiError(403), 418), true);
    });

    it('holds for a status that an error with status 200 names', async (t) => {
      assert.equal(await goesOn(t, inBand(400), 400), true);
      assert.equal(await goesOn(t, inBand(503), 400), false);
    });

    it('may be empty: then a status always ends the request', async (t) => {
      assert.equal(await goesOn(t, apiError(503)), false);
      assert.equal(await goesOn(t, reset()), true);
    });
  });
}

describe('A request that `on_status_codes` ends', () => {
  it('has the status that its last outcome has', async (t) => {
    const strategy = { mode: 'fallback', on_status_codes: [418] };
    const ends: [Script, number, string][] = [
      [apiError(503), 503, 'no_healthy_upstream'],
      [apiError(500), 502, 'upstream_error'],
      [apiError(429), 429, 'upstream_rate_limited'],
      [apiError(402), 502, 'upstream_out_of_credit'],
      [apiError(400, { code: 'x' }), 400, 'x'],
    ];
    for (const [answer, status, code] of ends) {
      const { seen } = await scene(t, answer, strategy);
      assert.equal(seen.status, status);
      assert.equal(seen.error?.code, code);
      assert.equal(seen.headers.get('x-spillway-attempts'), '1');
    }
  });

  it('is over in every strategy above, too', async (t) => {
    const a = await openUpstream(t, () => apiError(503));
    const b = await openUpstream(t);
    const gateway = await openGateway(t, {
      providers: { a: provider(a), b: provider(b) },
      models: {
        m: {
          strategy: { mode: 'fallback' },
          targets: [
            {
              strategy: { mode: 'fallback', on_status_codes: [429] },
              targets: [{ provider: 'a' }, { provider: 'b' }],
            },
            { provider: 'b' },
          ],
        },
      },
      defaults: { retry: { attempts: 0 } },
    });
    assert.equal((await ask(gateway)).status, 503);
    assert.equal(b.requests.length, 0);
  });
});
