import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { chatAnswer, chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import {
  ANSWER,
  DEFAULT_OUTPUT,
  figures,
  openScene,
  PROMPT,
  refused,
  type Scene,
  type SceneOptions,
  took,
} from './kit.ts';

const QUOTAS = [
  { limit: 1e9, of: 'tokens', per: 'hour' },
  { limit: 1e9, of: 'input_tokens', per: 'hour' },
  { limit: 1e9, of: 'output_tokens', per: 'hour' },
  { limit: 1e6, of: 'usd', per: 'hour' },
];

interface Reserved {
  input: number;
  output: number;
  usd: number;
}

/** What is reserved while this request is under way; of a second one, where `before` says what to do first. */
async function reservedFor(
  t: Parameters<typeof openScene>[0],
  body: Record<string, unknown>,
  options: SceneOptions = {},
  before: (scene: Scene) => Promise<unknown> = async () => {},
): Promise<Reserved> {
  const scene = await openScene(t, { quotas: QUOTAS, ...options });
  await before(scene);
  const gate = new Gate();
  scene.upstream.enqueue([pauseUntil(gate), chatAnswer()]);
  const answer = scene.ask(body);
  await gate.reached();
  const [tokens, input, output, usd] = (await scene.usage()).quotas;
  gate.open();
  await answer;
  assert.equal(tokens?.reserved, (input?.reserved ?? 0) + (output?.reserved ?? 0));
  return { input: input?.reserved ?? 0, output: output?.reserved ?? 0, usd: usd?.reserved ?? 0 };
}

function says(content: string) {
  return [{ role: 'user', content }];
}

describe('what is reserved for an answer', () => {
  const CASES: Record<string, [body: Record<string, unknown>, output: number]> = {
    'by default': [{}, DEFAULT_OUTPUT],
    'by max_completion_tokens': [{ max_completion_tokens: 100 }, 100],
    'by max_tokens': [{ max_tokens: 50 }, 50],
    'by the larger of the two, since hosts differ in which they take': [
      { max_completion_tokens: 100, max_tokens: 5000 },
      5000,
    ],
    'for each of n choices': [{ max_tokens: 50, n: 3 }, 150],
    'by default for each of n choices': [{ n: 2 }, 2 * DEFAULT_OUTPUT],
    'by default where the maximum is none': [{ max_tokens: null }, DEFAULT_OUTPUT],
    'by default where the maximum is nonsense': [{ max_tokens: -5, n: 0 }, DEFAULT_OUTPUT],
  };
  for (const [name, [body, output]] of Object.entries(CASES)) {
    it(`is told ${name}`, async (t) => {
      assert.equal((await reservedFor(t, body)).output, output);
    });
  }

  it('is what quota_defaults say where the request says nothing', async (t) => {
    const config = { quota_defaults: { output_tokens: 777 } };
    assert.equal((await reservedFor(t, {}, { config })).output, 777);
  });

  it("is the target's own maximum where it has one", async (t) => {
    const m = { provider: 'a', model: 'up', override_params: { max_tokens: 333, n: 2 } };
    assert.equal((await reservedFor(t, { max_tokens: 10 }, { models: { m } })).output, 666);
  });

  it('is the default where the target takes the maximum away', async (t) => {
    const m = { provider: 'a', model: 'up', override_params: { max_tokens: null } };
    assert.equal((await reservedFor(t, { max_tokens: 10 }, { models: { m } })).output, DEFAULT_OUTPUT);
  });

  it('is what the most generous target of the tree may write', async (t) => {
    const m = {
      strategy: { mode: 'fallback' },
      targets: [
        { provider: 'a', model: 'up', override_params: { max_tokens: 20 } },
        { provider: 'b', model: 'up', override_params: { max_tokens: 500 } },
        { provider: 'b', model: 'up', override_params: { max_tokens: 30 } },
      ],
    };
    assert.equal((await reservedFor(t, {}, { models: { m } })).output, 500);
  });
});

describe('what is reserved for a prompt', () => {
  it('follows its length', async (t) => {
    assert.equal((await reservedFor(t, {})).input, PROMPT);
    // 3 before the answer, 4 for the message, a token for every 4 bytes.
    assert.equal((await reservedFor(t, { messages: says('x'.repeat(400)) })).input, 107);
  });

  it('is more with tools and pictures', async (t) => {
    const picture = { type: 'image_url', image_url: { url: `data:image/png;base64,${'A'.repeat(50_000)}` } };
    const tool = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } };
    const { input } = await reservedFor(t, {
      messages: [{ role: 'user', content: [picture] }],
      tools: [tool],
    });
    assert.ok(input > 800 && input < 900, String(input));
  });

  it('comes closer with each answer, for each model by itself', async (t) => {
    const messages = says('x'.repeat(4000));
    const first = (await reservedFor(t, { messages })).input;
    assert.equal(first, 1007);
    const learned = async (scene: Scene) => {
      for (let i = 0; i < 12; i++) {
        scene.upstream.enqueue(took(2014, 5));
        await scene.ask({ messages });
      }
    };
    const { input } = await reservedFor(t, { messages }, {}, learned);
    assert.ok(Math.abs(input - 2014) < 100, String(input));
    const models = { other: { provider: 'a', model: 'up' } };
    const other = await reservedFor(t, { messages, model: 'other' }, { models }, learned);
    assert.equal(other.input, 1007);
  });

  it('is at most doubled by what others send', async (t) => {
    const messages = says('x'.repeat(4000));
    const others = { rival: [{ limit: 1e9, of: 'tokens', per: 'hour' }] };
    const { input } = await reservedFor(t, { messages }, { others }, async (scene) => {
      for (let i = 0; i < 20; i++) {
        scene.upstream.enqueue(took(7000, 5));
        await scene.ask({ messages }, 'rival');
      }
    });
    assert.equal(input, 2014);
  });

  it('is not led astray by answers that report nothing', async (t) => {
    const messages = says('x'.repeat(4000));
    const { input } = await reservedFor(t, { messages }, {}, async (scene) => {
      for (const usage of [null, { prompt_tokens: 0, completion_tokens: 0 }]) {
        for (let i = 0; i < 5; i++) {
          scene.upstream.enqueue(chatAnswer({ usage }));
          await scene.ask({ messages });
        }
      }
      scene.upstream.enqueue(
        chatStream({
          content: ['Hel'],
          finish: null,
          done: false,
          usage: { prompt_tokens: 9, completion_tokens: 1 },
        }),
      );
      await scene.streamed({ messages });
    });
    assert.equal(input, 1007);
  });
});

describe('what is reserved in dollars', () => {
  it('is the prompt at its dearest and all that the answer may be', async (t) => {
    const { usd } = await reservedFor(t, { max_tokens: 100 });
    // Of what is written to a cache, 4 dollars a million; of the answer, 11.
    assert.equal(usd, (PROMPT * 4 + 100 * 11) / 1e6);
  });

  it('is that of the dearest target of the tree', async (t) => {
    const m = {
      strategy: { mode: 'loadbalance' },
      targets: [
        { provider: 'a', model: 'up' },
        { provider: 'b', model: 'up-dear', weight: 0 },
      ],
    };
    const { usd } = await reservedFor(t, { max_tokens: 100 }, { models: { m } });
    assert.equal(usd, (PROMPT * 30 + 100 * 110) / 1e6);
  });
});

describe('used and reserved together', () => {
  it('never pass a limit at admission', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1000, of: 'tokens', per: 'hour' }] });
    const gate = new Gate();
    scene.upstream.reply(() => [pauseUntil(gate), chatAnswer()]);
    const body = { max_tokens: 300 - PROMPT };
    const answers = [scene.ask(body), scene.ask(body), scene.ask(body)];
    await gate.reached(3);
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 900, remaining: 100 });
    refused(await scene.ask({ max_tokens: 101 - PROMPT }));
    const fits = scene.ask({ max_tokens: 100 - PROMPT });
    await gate.reached(4);
    assert.deepEqual(figures(await scene.quota()), { used: 0, reserved: 1000, remaining: 0 });
    gate.open();
    for (const answer of [...answers, fits]) assert.equal((await answer).status, 200);
    const used = 4 * (PROMPT + ANSWER);
    assert.deepEqual(figures(await scene.quota()), { used, reserved: 0, remaining: 1000 - used });
  });

  it('leave what was not used to others as soon as the answer is there', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1000, of: 'tokens', per: 'hour' }] });
    for (let i = 0; i < 10; i++) assert.equal((await scene.ask({ max_tokens: 700 })).status, 200);
    assert.equal((await scene.quota()).used, 10 * (PROMPT + ANSWER));
  });

  it('charge in full what turned out to be more, and leave that much less room', async (t) => {
    const scene = await openScene(t, { quotas: [{ limit: 1000, of: 'tokens', per: 'hour' }] });
    scene.upstream.enqueue(took(700, 800));
    assert.equal((await scene.ask({ max_tokens: 10 })).status, 200);
    assert.deepEqual(figures(await scene.quota()), { used: 1500, reserved: 0, remaining: 0 });
    const seen = await scene.ask({ max_tokens: 1 });
    assert.match(refused(seen), /Left: 0|left: 0/);
    assert.equal(seen.headers.get('x-ratelimit-remaining-tokens'), '0');
  });
});
