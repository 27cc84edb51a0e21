import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { PacedClock } from '../outcomes/helpers.ts';
import { delta, FINISH, ROLE, text, usage } from '../support/rig.ts';
import {
  apiError,
  chatAnswer,
  chatStream,
  close,
  Gate,
  pauseUntil,
  reset,
  type Script,
  stream,
} from '../support/upstream.ts';
import { ANSWER, openScene, PROMPT, type Scene, type SceneOptions, took } from './kit.ts';

const QUOTAS = [
  { limit: 1000, of: 'requests', per: 'hour' },
  { limit: 1e6, of: 'input_tokens', per: 'hour' },
  { limit: 1e6, of: 'output_tokens', per: 'hour' },
  { limit: 1e6, of: 'tokens', per: 'hour' },
  { limit: 10, of: 'concurrent' },
];

interface Paid {
  requests: number;
  input: number;
  output: number;
}

const COUNT_ONLY: Paid = { requests: 1, input: 0, output: 0 };

function open(t: Parameters<typeof openScene>[0], options: SceneOptions = {}): Promise<Scene> {
  return openScene(t, { quotas: QUOTAS, ...options });
}

/** What all requests so far have paid. Fails unless nothing is reserved any more, and the sums of tokens agree. */
async function paid(scene: Scene): Promise<Paid> {
  const { quotas } = await scene.usage();
  for (const { of, reserved } of quotas) assert.equal(reserved, 0, of);
  const [requests = 0, input = 0, output = 0, tokens] = quotas.map(({ used }) => used);
  assert.equal(tokens, input + output);
  return { requests, input, output };
}

/** 40 bytes, which are 10 tokens. */
const TEN = 'abcdefghijklmnopqrstuvwxyz0123456789abcd';

describe('a plain answer pays', () => {
  it('what the upstream reported', async (t) => {
    const scene = await open(t);
    scene.upstream.enqueue(took(100, 50));
    await scene.ask();
    assert.deepEqual(await paid(scene), { requests: 1, input: 100, output: 50 });
    assert.deepEqual((await scene.line(1)).tokens, { input: 100, output: 50, cached: 0, reasoning: 0 });
  });

  const UNREPORTED: Record<string, object | null> = {
    'nothing is reported': null,
    'noughts are reported': { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
    'nonsense is reported': { prompt_tokens: 'many', completion_tokens: -3 },
  };
  for (const [name, reported] of Object.entries(UNREPORTED)) {
    it(`what passed, by an estimate, where ${name}`, async (t) => {
      const scene = await open(t);
      scene.upstream.enqueue(chatAnswer({ content: TEN, usage: reported as never }));
      await scene.ask();
      assert.deepEqual(await paid(scene), { requests: 1, input: PROMPT, output: 10 });
      const tokens = { input: PROMPT, output: 10, cached: 0, reasoning: 0, estimated: true };
      assert.deepEqual((await scene.line(1)).tokens, tokens);
    });
  }

  it('what was reported of the one and what is estimated of the other, where only one was reported', async (t) => {
    const scene = await open(t);
    scene.upstream.enqueue(chatAnswer({ content: TEN, usage: { prompt_tokens: 77, completion_tokens: 0 } }));
    await scene.ask();
    assert.deepEqual(await paid(scene), { requests: 1, input: 77, output: 10 });
    assert.equal((await scene.line(1)).tokens?.estimated, true);
  });
});

describe('a stream pays', () => {
  it('what was reported, whether or not the client asked to be told', async (t) => {
    const scene = await open(t);
    await scene.streamed();
    await scene.streamed({ stream_options: { include_usage: true } });
    assert.deepEqual(await paid(scene), { requests: 2, input: 2 * PROMPT, output: 2 * ANSWER });
  });

  it('what passed, where nothing is reported', async (t) => {
    const scene = await open(t);
    scene.upstream.enqueue(chatStream({ content: [TEN.slice(0, 13), TEN.slice(13)], usage: null }));
    await scene.streamed();
    assert.deepEqual(await paid(scene), { requests: 1, input: PROMPT, output: 10 });
    assert.equal((await scene.line(1)).tokens?.estimated, true);
  });

  it('what passed, where only noughts are reported', async (t) => {
    const scene = await open(t);
    scene.upstream.enqueue(stream([ROLE, text(TEN), FINISH, usage(0, 0)]));
    await scene.streamed();
    assert.deepEqual(await paid(scene), { requests: 1, input: PROMPT, output: 10 });
  });

  it('closer to the truth, once others have told how many tokens so much text is', async (t) => {
    const scene = await open(t);
    const words = 'x'.repeat(4000);
    for (let i = 0; i < 12; i++) {
      scene.upstream.enqueue(
        chatStream({ content: [words], usage: { prompt_tokens: 9, completion_tokens: 2000 } }),
      );
      await scene.streamed();
    }
    const before = (await paid(scene)).output;
    scene.upstream.enqueue(chatStream({ content: [words], usage: null }));
    await scene.streamed();
    const counted = (await paid(scene)).output - before;
    assert.ok(Math.abs(counted - 2000) < 50, String(counted));
  });

  it('what is reported in x_groq alone', async (t) => {
    const scene = await open(t);
    const last = { ...(FINISH as object), x_groq: { usage: { prompt_tokens: 70, completion_tokens: 30 } } };
    scene.upstream.enqueue(stream([ROLE, text(TEN), last]));
    await scene.streamed();
    assert.deepEqual(await paid(scene), { requests: 1, input: 70, output: 30 });
    assert.equal((await scene.line(1)).tokens?.estimated, undefined);
  });

  it('the last of running totals', async (t) => {
    const scene = await open(t);
    const so = (completion: number) => ({
      ...(text(TEN) as object),
      usage: { prompt_tokens: 70, completion_tokens: completion },
    });
    scene.upstream.enqueue(stream([ROLE, so(5), so(17), so(29), FINISH]));
    await scene.streamed();
    assert.deepEqual(await paid(scene), { requests: 1, input: 70, output: 29 });
  });

  it('what came and its prompt, when the client leaves in the midst of it', async (t) => {
    const scene = await open(t);
    const gate = new Gate();
    scene.upstream.enqueue(chatStream({ content: [TEN, pauseUntil(gate), TEN] }));
    const reader = await scene.stream();
    await reader.until(TEN);
    await reader.leave();
    const line = await scene.line(1);
    assert.equal(line.outcome, 'client_gone');
    assert.deepEqual(line.tokens, { input: PROMPT, output: 10, cached: 0, reasoning: 0, estimated: true });
    assert.deepEqual(await paid(scene), { requests: 1, input: PROMPT, output: 10 });
  });

  it('what came and its prompt, when it breaks', async (t) => {
    const scene = await open(t);
    for (const end of [reset(), close()]) {
      scene.upstream.enqueue(chatStream({ content: [TEN, end] }));
      assert.match(await scene.streamed(), /stream_interrupted/);
    }
    assert.deepEqual(await paid(scene), { requests: 2, input: 2 * PROMPT, output: 20 });
    assert.equal((await scene.line(2)).outcome, 'broken_body');
  });

  it('what had been reported when it broke, or what came if that is more', async (t) => {
    const scene = await open(t);
    const so = (completion: number) => ({
      ...(text(TEN) as object),
      usage: { prompt_tokens: 70, completion_tokens: completion },
    });
    scene.upstream.enqueue(stream([ROLE, so(29), reset()]));
    await scene.streamed();
    assert.deepEqual(await paid(scene), { requests: 1, input: 70, output: 29 });
    // Reported at the beginning of the answer, and no more.
    scene.upstream.enqueue(stream([ROLE, so(1), text(TEN), reset()]));
    await scene.streamed();
    assert.deepEqual(await paid(scene), { requests: 2, input: 140, output: 49 });
  });

  it('for reasoning and calls of tools as for text', async (t) => {
    const scene = await open(t);
    const call = { index: 0, id: 'call_1', type: 'function', function: { name: 'abcd', arguments: TEN } };
    scene.upstream.enqueue(
      stream([
        ROLE,
        delta({ reasoning_content: TEN }),
        delta({ tool_calls: [call] }),
        delta({}, 'tool_calls'),
      ]),
    );
    await scene.streamed();
    assert.deepEqual(await paid(scene), { requests: 1, input: PROMPT, output: 21 });
  });
});

describe('a request that nothing answered pays its count', () => {
  const FAILURES: Record<string, [script: Script, status: number]> = {
    'an error of the upstream': [apiError(500), 502],
    'an overloaded upstream': [apiError(503), 503],
    'a rate limit of the upstream': [apiError(429), 429],
    'a key that the upstream refuses': [apiError(401), 502],
    'a connection that is reset': [reset(), 502],
    'an answer that is none': [chatAnswer({ finish: 'error' }), 502],
    "the client's own fault": [apiError(400), 400],
    'a prompt that is too long': [apiError(400, { code: 'context_length_exceeded' }), 400],
    'a stream that says error at once': [stream([{ error: { message: 'no' } }]), 502],
  };
  for (const [name, [script, status]] of Object.entries(FAILURES)) {
    it(`after ${name}`, async (t) => {
      const scene = await open(t);
      // A stream that is overloaded is asked for as a whole, too.
      scene.upstream.enqueue(script, script);
      const streams = name.includes('stream');
      assert.equal((await scene.ask({ stream: streams })).status, status);
      assert.deepEqual(await paid(scene), COUNT_ONLY);
      assert.equal((await scene.line(1)).tokens, null);
      assert.equal((await scene.line(1)).cost_usd, null);
    });
  }

  it('after a time that ran out', async (t) => {
    const scene = await open(t, {
      models: { m: { provider: 'a', model: 'up', timeouts: { attempt: '30s', total: '60s' } } },
    });
    const gate = new Gate();
    scene.upstream.enqueue(pauseUntil(gate));
    const answer = scene.ask();
    await gate.reached();
    scene.clock.advance(30_000);
    assert.equal((await answer).status, 504);
    assert.deepEqual(await paid(scene), COUNT_ONLY);
  });

  it('when the client leaves before the answer', async (t) => {
    const scene = await open(t);
    for (const body of [{}, { stream: true }]) {
      const gate = new Gate();
      scene.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
      const leaving = scene.leaving(body);
      await gate.reached();
      await leaving.leave();
    }
    assert.equal((await scene.line(2)).status, 499);
    assert.deepEqual(await paid(scene), { ...COUNT_ONLY, requests: 2 });
  });

  it('when no condition of the tree matches', async (t) => {
    // biome-ignore lint/suspicious/noThenProperty: the configuration's word
    const when = { query: { 'params.user': { $eq: 'x' } }, then: 'x' };
    const m = {
      strategy: { mode: 'conditional', conditions: [when] },
      targets: [{ name: 'x', provider: 'a', model: 'up' }],
    };
    const scene = await open(t, { models: { m } });
    assert.equal((await scene.ask()).status, 400);
    assert.equal(scene.upstream.requests.length, 0);
    assert.deepEqual(await paid(scene), COUNT_ONLY);
  });
});

describe('a request that took several tries', () => {
  it('pays its prompt once', async (t) => {
    const scene = await open(t, {
      clock: new PacedClock(),
      models: {
        m: {
          retry: { attempts: 2, backoff: { base: '1s', jitter: 'none' } },
          strategy: { mode: 'fallback' },
          targets: [
            { provider: 'a', model: 'up' },
            { provider: 'b', model: 'up' },
          ],
        },
      },
    });
    scene.upstream.enqueue(apiError(500), apiError(503), reset());
    scene.second.enqueue(apiError(500), took(100, 50));
    const seen = await scene.ask();
    assert.equal(seen.status, 200, seen.text);
    assert.equal(seen.headers.get('x-spillway-attempts'), '5');
    assert.deepEqual(await paid(scene), { requests: 1, input: 100, output: 50 });
  });
});

describe('each request', () => {
  it('is one by itself, though its client gives them all one id', async (t) => {
    const scene = await open(t);
    const gate = new Gate();
    scene.upstream.reply(() => [pauseUntil(gate), chatAnswer()]);
    const headers = { authorization: 'Bearer sw-the-key-of-ci', 'x-request-id': 'the-same' };
    const both = [scene.gateway.chat({}, headers), scene.gateway.chat({}, headers)];
    await gate.reached(2);
    assert.equal((await scene.usage()).quotas[4]?.reserved, 2);
    gate.open();
    for (const answer of both) assert.equal((await answer).headers.get('x-request-id'), 'the-same');
    assert.deepEqual(await paid(scene), { requests: 2, input: 2 * PROMPT, output: 2 * ANSWER });
  });

  it('is settled when its answer has arrived', async (t) => {
    const scene = await open(t);
    for (let i = 1; i <= 20; i++) {
      if (i % 2 === 0) await scene.ask();
      else await scene.streamed();
      assert.deepEqual(await paid(scene), { requests: i, input: i * PROMPT, output: i * ANSWER });
    }
  });
});
