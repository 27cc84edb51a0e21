import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../src/core/json.ts';
import { apiError, plain } from '../support/upstream.ts';
import { bodyOf, CLIENTS, type Client, post } from './clients.ts';
import { ADAPTERS, MODELS } from './loop.ts';
import { COUNTS, type Saying } from './saying.ts';
import { answerTo } from './speech.ts';
import { type Stage, startStage } from './stage.ts';

const HELLO: Saying = { text: ['Hello'], counts: COUNTS };
const AUDIO = { type: 'input_audio', input_audio: { data: 'UklGRg==', format: 'wav' } };
const FILE_ID = { type: 'file', file: { file_id: 'file-abc' } };
const CUSTOM = { type: 'custom', custom: { name: 'shell', description: 'Runs' } };
const user = (...content: object[]) => ({ messages: [{ role: 'user', content }] });

function answering({ upstreams }: Stage): void {
  for (const upstream of Object.values(upstreams)) upstream.reply((request) => answerTo(request, HELLO));
}

/** Of a model of which nothing is known all is assumed. */
const ANY = { provider: 'openai', model: 'some-model' };
const thenAny = Object.fromEntries(
  ADAPTERS.map((adapter) => [
    `${adapter}-then-any`,
    { strategy: { mode: 'fallback' }, targets: [{ provider: adapter, model: MODELS[adapter] }, ANY] },
  ]),
);

/** Names of the header, in order. */
function dropped(answer: Response): string[] {
  const names = answer.headers.get('x-spillway-dropped');
  return names === null ? [] : names.split(', ');
}

interface ErrorBody {
  type?: string;
  error: { type: string; message: string; param?: string | null; code?: string };
}

/** A clear refusal, in the shape that clients of this dialect read. */
async function refused(answer: Response, client: Client, param: RegExp, saying: RegExp): Promise<void> {
  const text = await answer.text();
  assert.equal(answer.status, 400, text);
  const { type, error } = JSON.parse(text) as ErrorBody;
  assert.match(error.message, saying);
  assert.equal(error.type, 'invalid_request_error');
  assert.equal(answer.headers.get('x-should-retry'), 'false');
  if (client === 'messages') assert.equal(type, 'error');
  else {
    assert.equal(error.code, 'unsupported_parameter');
    assert.match(error.param ?? '', param);
  }
}

describe('what can be left out', () => {
  const SOFT = { seed: 7, presence_penalty: 0.5, logprobs: true, top_logprobs: 2, logit_bias: { 5: 1 } };

  for (const stream of [false, true]) {
    it(`is left out and named, ${stream ? 'streamed' : 'whole'}`, async (t) => {
      const stage = await startStage(t);
      answering(stage);
      const expected = {
        anthropic: ['seed', 'presence_penalty', 'logprobs', 'top_logprobs', 'logit_bias'],
        bedrock: ['seed', 'presence_penalty', 'logprobs', 'top_logprobs', 'logit_bias'],
        gemini: ['logit_bias'],
      };
      for (const [adapter, names] of Object.entries(expected)) {
        const answer = await post(stage.gateway, 'chat', bodyOf('chat', adapter, { ...SOFT, stream }));
        assert.equal(answer.status, 200, await answer.text());
        for (const name of names) assert.ok(dropped(answer).includes(name), `${name} of ${dropped(answer)}`);
        const sent = stage.upstreams[adapter as 'gemini'].requests.at(-1)?.body.toString() ?? '';
        for (const name of dropped(answer)) assert.ok(!sent.includes(`"${name}"`), `${name} in ${sent}`);
      }
    });
  }

  it('is named to clients of each dialect by their own names', async (t) => {
    const stage = await startStage(t);
    answering(stage);
    const asks = {
      messages: [{ top_k: 5 }, 'openai', 'top_k'],
      responses: [{ truncation: 'auto' }, 'anthropic', 'truncation'],
    } as const;
    for (const [client, [more, model, name]] of Object.entries(asks)) {
      for (const stream of [false, true]) {
        const body = bodyOf(client as Client, model, { ...more, stream });
        const answer = await post(stage.gateway, client as Client, body);
        assert.equal(answer.status, 200, await answer.text());
        assert.deepEqual(dropped(answer), [name]);
      }
    }
  });

  it('is that of the target that answered, not of those before it', async (t) => {
    const stage = await startStage(t, { models: thenAny });
    answering(stage);
    stage.upstreams.anthropic.reply(() => apiError(503));
    const answer = await post(
      stage.gateway,
      'chat',
      bodyOf('chat', 'anthropic-then-any', { logit_bias: { 5: 1 } }),
    );
    assert.equal(answer.status, 200);
    assert.deepEqual(dropped(answer), []);
  });
});

describe('a strict target', () => {
  const strict = { provider: 'anthropic', model: MODELS.anthropic, strict_params: true };
  const models = {
    strict,
    'strict-first': {
      strategy: { mode: 'fallback' },
      targets: [strict, ANY],
    },
    'strict-both': { strategy: { mode: 'fallback' }, targets: [strict, { ...strict, provider: 'bedrock' }] },
  };

  it('is passed over for one that takes it all', async (t) => {
    const stage = await startStage(t, { models });
    answering(stage);
    for (const stream of [false, true]) {
      const body = bodyOf('chat', 'strict-first', { logit_bias: { 5: 1 }, stream });
      const answer = await post(stage.gateway, 'chat', body);
      assert.equal(answer.status, 200, await answer.text());
      assert.match(answer.headers.get('x-spillway-target') ?? '', /^openai\//);
      assert.deepEqual(dropped(answer), []);
      assert.equal(answer.headers.get('x-spillway-attempts'), '1');
    }
    assert.equal(stage.upstreams.anthropic.requests.length, 0);
  });

  it('takes what it can take', async (t) => {
    const stage = await startStage(t, { models });
    answering(stage);
    const answer = await post(stage.gateway, 'chat', bodyOf('chat', 'strict', { stop: ['END'] }));
    assert.equal(answer.status, 200, await answer.text());
  });

  for (const model of ['strict', 'strict-both']) {
    it(`makes it an error that names the parameter where there is no other: ${model}`, async (t) => {
      const stage = await startStage(t, { models });
      const asks: Record<'chat' | 'responses', [object, RegExp]> = {
        chat: [{ logit_bias: { 5: 1 } }, /^logit_bias$/],
        responses: [{ truncation: 'auto' }, /^truncation$/],
      };
      for (const client of ['chat', 'responses'] as const) {
        const [more, param] = asks[client];
        const answer = await post(stage.gateway, client, bodyOf(client, model, more));
        await refused(answer, client, param, new RegExp(`No target of '${model}' can take this request`));
      }
      assert.equal(stage.upstreams.anthropic.requests.length + stage.upstreams.bedrock.requests.length, 0);
      const [line] = await stage.gateway.ended(2);
      assert.deepEqual([line?.status, line?.tries], [400, []]);
    });
  }
});

describe('what changes the meaning', () => {
  const cases: [name: string, more: object, param: RegExp, cannot: readonly string[]][] = [
    ['several answers', { n: 2 }, /^n$/, ['anthropic', 'bedrock']],
    ['audio to hear', user(AUDIO), /^messages\[0\]\.content\[0\]/, ['anthropic']],
    [
      'audio to speak',
      { modalities: ['text', 'audio'], audio: { voice: 'a', format: 'wav' } },
      /^(modalities|audio)/,
      ['anthropic', 'bedrock', 'gemini', 'vertex'],
    ],
    [
      'a file of OpenAI’s',
      user(FILE_ID),
      /^messages\[0\]\.content\[0\]/,
      ['anthropic', 'bedrock', 'gemini', 'vertex'],
    ],
    ['a custom tool', { tools: [CUSTOM] }, /^tools/, ['anthropic', 'bedrock', 'gemini', 'vertex']],
  ];

  for (const [name, more, param, cannot] of cases) {
    it(`goes to the target that can take it: ${name}`, async (t) => {
      const stage = await startStage(t, { models: thenAny });
      answering(stage);
      for (const adapter of cannot) {
        const answer = await post(stage.gateway, 'chat', bodyOf('chat', `${adapter}-then-any`, more));
        assert.equal(answer.status, 200, `${adapter}: ${await answer.text()}`);
        assert.match(answer.headers.get('x-spillway-target') ?? '', /^openai\//);
        const sent = stage.upstreams.openai.requests.at(-1)?.json<JsonObject>() ?? {};
        assert.deepEqual({ ...sent, ...more }, sent, 'it goes as it came');
      }
    });

    it(`is a clear error where no target can: ${name}`, async (t) => {
      const stage = await startStage(t);
      for (const adapter of cannot) {
        for (const stream of [false, true]) {
          const answer = await post(stage.gateway, 'chat', bodyOf('chat', adapter, { ...more, stream }));
          await refused(answer, 'chat', param, new RegExp(`No target of '${adapter}' can take this request`));
        }
        assert.equal(stage.upstreams[adapter as 'gemini'].requests.length, 0);
      }
      const [line] = await stage.gateway.ended(1);
      assert.equal(line?.outcome, 'unanswered');
    });
  }

  it('is told to clients of Anthropic’s in their shape', async (t) => {
    const stage = await startStage(t);
    answering(stage);
    const document = { type: 'document', source: { type: 'file', file_id: 'file_1' } };
    const body = (model: string) =>
      bodyOf('messages', model, { messages: [{ role: 'user', content: [document] }] });
    for (const adapter of ADAPTERS.filter((one) => one !== 'anthropic')) {
      await refused(await post(stage.gateway, 'messages', body(adapter)), 'messages', /./, /No target of/);
      const other = await post(stage.gateway, 'messages', body(`${adapter}-then-anthropic`));
      assert.match(other.headers.get('x-spillway-target') ?? '', /^anthropic\//, await other.text());
    }
  });

  it('is told to clients of the responses API in theirs', async (t) => {
    const stage = await startStage(t);
    answering(stage);
    const body = (model: string) => bodyOf('responses', model, { previous_response_id: 'resp_1' });
    for (const adapter of ['anthropic', 'bedrock', 'gemini', 'vertex'] as const) {
      const answer = await post(stage.gateway, 'responses', body(adapter));
      await refused(answer, 'responses', /^previous_response_id$/, /No target of/);
      const other = await post(stage.gateway, 'responses', body(`${adapter}-then-openai`));
      assert.match(other.headers.get('x-spillway-target') ?? '', /^openai\//, await other.text());
    }
  });
});

/** What is known of models, as a file. */
function writeModels({ folder }: { folder: string }, models: object[]): void {
  writeFileSync(join(folder, 'models.yaml'), JSON.stringify({ models }));
}

describe('a prompt that is too long', () => {
  it('passes over targets that are known to hold no more', async (t) => {
    const stage = await startStage(t);
    writeModels(stage, [
      { models: [MODELS.anthropic], context: 1000 },
      { models: [MODELS.bedrock], context: 800 },
      { models: [MODELS.gemini], context: 2000 },
    ]);
    const targets = ['anthropic', 'bedrock', 'gemini'].map((provider) => ({
      provider,
      model: MODELS[provider as 'gemini'],
    }));
    stage.gateway.changeConfig({
      ...stage.config,
      models: { m: { strategy: { mode: 'fallback' }, targets } },
      capabilities: join(stage.folder, 'models.yaml'),
    });
    assert.deepEqual(await stage.gateway.app.reload(), { ok: true });
    answering(stage);
    const error = {
      type: 'invalid_request_error',
      message: 'prompt is too long: 1500 tokens > 1000 maximum',
    };
    const json = { type: 'error', error };
    stage.upstreams.anthropic.reply(() => plain({ status: 400, json }));
    for (const client of CLIENTS) {
      const answer = await post(stage.gateway, client, bodyOf(client, 'm'));
      assert.equal(answer.status, 200, await answer.text());
      assert.match(answer.headers.get('x-spillway-target') ?? '', /^gemini\//);
    }
    assert.equal(stage.upstreams.bedrock.requests.length, 0);

    const tooLong = {
      error: {
        code: 400,
        status: 'INVALID_ARGUMENT',
        message: 'The input token count (9) exceeds the maximum number of tokens allowed (5).',
      },
    };
    stage.upstreams.gemini.reply(() => plain({ status: 400, json: tooLong }));
    for (const client of CLIENTS) {
      const answer = await post(stage.gateway, client, bodyOf(client, 'm'));
      assert.equal(answer.status, 400);
      const { error: told } = (await answer.json()) as ErrorBody;
      if (client !== 'messages') assert.equal(told.code, 'context_length_exceeded');
      else assert.match(told.message, /prompt is too long/);
    }
  });
});

describe('what is known of models', () => {
  it('can be edited, and holds from the next reload on', async (t) => {
    const stage = await startStage(t);
    answering(stage);
    const config = { ...stage.config, capabilities: join(stage.folder, 'models.yaml') };
    const ask = async () =>
      dropped(
        await post(stage.gateway, 'chat', bodyOf('chat', 'anthropic', { temperature: 0.5, stop: ['END'] })),
      );
    const now = async (...refuses: string[]) => {
      writeModels(stage, [{ models: [MODELS.anthropic], refuses }]);
      stage.gateway.changeConfig(config);
      assert.deepEqual(await stage.gateway.app.reload(), { ok: true });
      return ask();
    };
    assert.deepEqual(await now(), []);
    assert.equal(stage.upstreams.anthropic.requests.at(-1)?.json()['temperature'], 0.5);
    assert.deepEqual(await now('temperature'), ['temperature']);
    assert.equal('temperature' in (stage.upstreams.anthropic.requests.at(-1)?.json() ?? {}), false);
    assert.deepEqual(await now('stop', 'temperature'), ['temperature', 'stop']);
    assert.deepEqual(await now('stop'), ['stop']);
  });
});
