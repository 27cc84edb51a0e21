/** Who is asked to go on, and who is not, by what this request has seen of them. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { bodyOf, CLIENTS, eventsOf, post, readStream } from '../native/clients.ts';
import { StreamReader, turns } from '../support/rig.ts';
import {
  apiError,
  chatStream,
  close,
  Gate,
  pauseUntil,
  type Script,
  silence,
  type Upstream,
} from '../support/upstream.ts';
import {
  assertInterrupted,
  assertWhole,
  brokenAfter,
  type Pair,
  restAfter,
  startPair,
  TOKENS,
  WHOLE,
  whole,
} from './kit.ts';

const HEDGED = { strategy: { mode: 'fallback', hedge: { after: '2s', max_extra: 1 } } };

async function triesOf(pair: Pair): Promise<string[]> {
  return (await pair.line()).tries.map(({ target, outcome }) => `${target} ${outcome}`);
}

/** Moves the clock on once that one has been asked so often. */
async function after(pair: Pair, upstream: Upstream, count: number, ms: number): Promise<void> {
  await upstream.waitFor(count);
  await turns();
  await pair.clock.advance(ms);
}

describe('asked no second time in one request', () => {
  for (const others of [1, 2]) {
    it(`is a target that was silent before anything was told, with ${others} beside it`, async (t) => {
      const pair = await startPair(t, {
        targets: [{ timeouts: { first_token: '3s' } }, {}, {}].slice(0, others + 1),
      });
      pair.upstreams[0].reply(() => silence());
      pair.upstreams[1].enqueue(brokenAfter(10));
      pair.upstreams[others === 1 ? 1 : 2].enqueue(whole());
      const asked = pair.stream();
      await after(pair, pair.upstreams[0], 1, 3000);
      assertWhole(await (await asked).rest());
      assert.deepEqual(await triesOf(pair), [
        'a/up timeout',
        'b/up broken_body',
        others === 1 ? 'b/up ok' : 'c/up ok',
      ]);
      await pair.nothingLeft();
    });
  }

  const REFUSALS: Record<string, Script> = {
    context_too_long: apiError(400, { code: 'context_length_exceeded' }),
    content_filtered: apiError(400, { code: 'content_policy_violation' }),
    target_misconfigured: apiError(404, { code: 'model_not_found' }),
    credentials_refused: apiError(401),
    out_of_credit: apiError(402),
  };
  for (const [outcome, refusal] of Object.entries(REFUSALS)) {
    it(`is a target that answered: ${outcome}`, async (t) => {
      const pair = await startPair(t, {
        node: {
          strategy: { mode: 'fallback', on_status_codes: [400, 402, 404] },
          retry: { attempts: 0, max_retry_after: '1h' },
        },
      });
      pair.upstreams[0].reply(() => refusal);
      pair.upstreams[1].enqueue(brokenAfter(8), brokenAfter(12));
      assertInterrupted(await pair.ask(), TOKENS.slice(0, 12).join(''));
      assert.deepEqual(await triesOf(pair), [`a/up ${outcome}`, 'b/up broken_body', 'b/up broken_body']);
      await pair.nothingLeft();
    });
  }

  it('is a target that gave another answer', async (t) => {
    const pair = await startPair(t, { targets: [{}, { prefill: true }, { prefill: true }] });
    pair.upstreams[0].enqueue(brokenAfter(8));
    // A prefill that is answered with all of the answer, and another one at that.
    pair.upstreams[1].enqueue(apiError(400), chatStream({ content: ['No.'] }), whole());
    pair.upstreams[2].enqueue(chatStream({ content: [...TOKENS.slice(8, 12), close()] }), restAfter(12));
    assertWhole(await pair.ask());
    assert.equal(pair.upstreams[1].requests.length, 2);
  });

  it('is a target that was silent for so long that its hedge answered', async (t) => {
    const pair = await startPair(t, { node: HEDGED });
    pair.upstreams[0].reply(() => silence());
    pair.upstreams[1].enqueue(brokenAfter(8), whole());
    const asked = pair.stream();
    await after(pair, pair.upstreams[0], 1, 2000);
    assertWhole(await (await asked).rest());
    assert.deepEqual(await triesOf(pair), ['a/up superseded', 'b/up broken_body', 'b/up ok']);
    await pair.nothingLeft();
  });

  for (const client of CLIENTS) {
    it(`is one that was to go on, and was silent while its hedge did: ${client}`, async (t) => {
      const pair = await startPair(t, { targets: [{}, {}, {}], node: HEDGED });
      pair.upstreams[0].enqueue(brokenAfter(8), whole());
      pair.upstreams[1].reply(() => brokenAfter(5, silence()));
      pair.upstreams[2].enqueue(brokenAfter(12));
      const reader = new StreamReader(
        await post(pair.gateway, client, bodyOf(client, 'm', { stream: true })),
      );
      await after(pair, pair.upstreams[1], 1, 2000);
      const received = readStream(client, eventsOf(await reader.rest()));
      assert.equal(received.text, WHOLE);
      assert.equal(received.end, 'finish');
      assert.deepEqual(await triesOf(pair), [
        'a/up broken_body',
        'b/up superseded',
        'c/up broken_body',
        'a/up ok',
      ]);
      await pair.nothingLeft();
    });
  }
});

describe('`on_status_codes` of a strategy', () => {
  const strategy = (...codes: number[]) => ({
    strategy: { mode: 'fallback', on_status_codes: codes },
  });

  it('ends what was begun at a status that it does not list, though others could go on', async (t) => {
    const pair = await startPair(t, { node: strategy(503) });
    pair.upstreams[0].enqueue(brokenAfter(8), whole());
    pair.upstreams[1].enqueue(apiError(500));
    assertInterrupted(await pair.ask(), TOKENS.slice(0, 8).join(''));
    assert.deepEqual(await triesOf(pair), ['a/up broken_body', 'b/up server_error']);
    await pair.nothingLeft();
  });

  it('goes on at one that it lists, though by itself that would end the request', async (t) => {
    const pair = await startPair(t, { node: strategy(400) });
    pair.upstreams[0].enqueue(brokenAfter(8), whole());
    pair.upstreams[1].enqueue(apiError(400));
    assertWhole(await pair.ask());
    assert.deepEqual(await triesOf(pair), ['a/up broken_body', 'b/up invalid_request', 'a/up ok']);
    await pair.nothingLeft();
  });
});

describe('asked to go on', () => {
  it('is a hedge that came too late to answer, for it was not silent', async (t) => {
    const pair = await startPair(t, { node: HEDGED });
    const gates = [new Gate(), new Gate()] as const;
    pair.upstreams[0].enqueue([
      pauseUntil(gates[0]),
      chatStream({ content: [...TOKENS.slice(0, 8), pauseUntil(gates[1]), close()] }),
    ]);
    pair.upstreams[1].enqueue(silence(), whole());
    const asked = pair.stream();
    await after(pair, pair.upstreams[0], 1, 2000);
    const hedge = await pair.upstreams[1].nextRequest();
    gates[0].open();
    const reader = await asked;
    await hedge.closed;
    gates[1].open();
    assertWhole(await reader.rest());
    assert.deepEqual(await triesOf(pair), ['a/up broken_body', 'b/up superseded', 'b/up ok']);
    await pair.nothingLeft();
  });

  it('is an untried target, before one that has failed is tried and waited for once more', async (t) => {
    const pair = await startPair(t, {
      targets: [{ retry: { attempts: 2, backoff: { base: '1s', max: '1s' } } }, {}, {}],
    });
    pair.upstreams[0].reply(() => apiError(500));
    pair.upstreams[1].enqueue(brokenAfter(8));
    pair.upstreams[2].enqueue(whole());
    const asked = pair.stream();
    await after(pair, pair.upstreams[0], 1, 1000);
    await after(pair, pair.upstreams[0], 2, 1000);
    assertWhole(await (await asked).rest());
    assert.equal(pair.upstreams[0].requests.length, 3);
  });

  it('is one that failed, before one that broke, and each once for one break', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(apiError(500), apiError(500), whole());
    pair.upstreams[1].enqueue(brokenAfter(8), brokenAfter(12));
    assertWhole(await pair.ask());
    assert.deepEqual(await triesOf(pair), [
      'a/up server_error',
      'b/up broken_body',
      'a/up server_error',
      'b/up broken_body',
      'a/up ok',
    ]);
    await pair.nothingLeft();
  });

  it('is one that failed, before one that broke and stands before it', async (t) => {
    const pair = await startPair(t, { targets: [{}, {}, {}] });
    pair.upstreams[0].enqueue(brokenAfter(4));
    pair.upstreams[1].enqueue(apiError(500), whole());
    pair.upstreams[2].enqueue(brokenAfter(8));
    assertWhole(await pair.ask());
    assert.equal(pair.upstreams[0].requests.length, 1);
    assert.equal(pair.upstreams[1].requests.length, 2);
  });

  const LIMITED = apiError(429, { code: 'rate_limit_exceeded' }, { 'retry-after': '20' });

  it('is one that was rate limited, when its cooldown is over', async (t) => {
    const pair = await startPair(t);
    const gate = new Gate();
    pair.upstreams[0].enqueue(LIMITED, whole());
    pair.upstreams[1].enqueue(chatStream({ content: [...TOKENS.slice(0, 8), pauseUntil(gate), close()] }));
    const reader = await pair.stream();
    await reader.until('; the');
    await pair.clock.advance(20_000);
    gate.open();
    assertWhole(await reader.rest());
    assert.deepEqual(await triesOf(pair), ['a/up rate_limited', 'b/up broken_body', 'a/up ok']);
  });

  it('is one that was rate limited, and waited for only when nobody else is ready', async (t) => {
    const pair = await startPair(t, { node: { retry: { attempts: 0, max_retry_after: '20s' } } });
    pair.upstreams[0].enqueue(LIMITED, whole());
    pair.upstreams[1].enqueue(brokenAfter(8), brokenAfter(12));
    const reader = await pair.stream();
    await after(pair, pair.upstreams[1], 2, 0);
    await reader.until(' torrents');
    await turns();
    await pair.clock.advance(20_000);
    assertWhole(await reader.rest());
    assert.deepEqual(await triesOf(pair), [
      'a/up rate_limited',
      'b/up broken_body',
      'b/up broken_body',
      'a/up ok',
    ]);
    await pair.nothingLeft();
  });

  it('is one that broke, before an untried one that another request has found rate limited', async (t) => {
    const pair = await startPair(t, { node: { retry: { attempts: 0, max_retry_after: '20s' } } });
    pair.upstreams[0].enqueue(LIMITED);
    pair.upstreams[1].enqueue(whole(), brokenAfter(8), whole());
    for (let i = 0; i < 2; i++) assertWhole(await pair.ask());
    assert.equal(pair.upstreams[0].requests.length, 1);
    assert.equal(pair.upstreams[1].requests.length, 3);
  });
});
