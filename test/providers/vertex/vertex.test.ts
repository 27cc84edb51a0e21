/** Vertex AI: what it has in common with the Gemini API is held to that in test/providers/gemini. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type GenerateContentParameters, GoogleGenAI } from '@google/genai';
import { OAuth2Client } from 'google-auth-library';
import type { JsonObject } from '../../../src/core/json.ts';
import { Unsupported } from '../../../src/providers/adapter.ts';
import { vertex } from '../../../src/providers/vertex/adapter.ts';
import { recorder } from '../gemini/kit.ts';
import { type AskChanges, askFor, sentJson } from '../kit.ts';

const PLACE = { project: 'my-project', location: 'europe-west4' };
const USER = { role: 'user', content: 'Hi' };

function prepare(body: JsonObject, changes: AskChanges = {}) {
  return vertex.prepare(askFor({ messages: [USER], ...body }, { provider: PLACE, ...changes }));
}

function baseUrl(place: { project: string | null; location: string | null }): string {
  return vertex.baseUrl({ region: null, resource: null, apiVersion: null, ...place });
}

describe("what is sent to Vertex is what Google's SDK sends", () => {
  const hi = { contents: [{ role: 'user', parts: [{ text: 'Hi' }] }] };
  const rows: Record<string, [chat: JsonObject, google: Omit<GenerateContentParameters, 'model'>]> = {
    'a text': [{}, hi],
    labels: [
      { metadata: { team: 'search', 'cost-centre': '42' }, user: 'user_7' },
      { ...hi, config: { labels: { team: 'search', 'cost-centre': '42', user: 'user_7' } } },
    ],
    'a tool loop, without ids': [
      {
        messages: [
          USER,
          {
            role: 'assistant',
            tool_calls: [
              {
                id: 'a1b2',
                type: 'function',
                function: { name: 'f', arguments: '{"a":1}' },
                extra_content: { google: { thought_signature: 'U2ln' } },
              },
            ],
          },
          { role: 'tool', tool_call_id: 'a1b2', content: 'done' },
        ],
      },
      {
        contents: [
          ...hi.contents,
          {
            role: 'model',
            parts: [{ functionCall: { name: 'f', args: { a: 1 } }, thoughtSignature: 'U2ln' }],
          },
          { role: 'user', parts: [{ functionResponse: { name: 'f', response: { output: 'done' } } }] },
        ],
      },
    ],
    'how likely tokens are, penalties and choices': [
      { logprobs: true, top_logprobs: 5, presence_penalty: 1, n: 3, seed: 1 },
      {
        ...hi,
        config: { responseLogprobs: true, logprobs: 5, presencePenalty: 1, candidateCount: 3, seed: 1 },
      },
    ],
  };
  for (const [name, [chat, google]] of Object.entries(rows)) {
    it(`for ${name}`, async (t) => {
      const authClient = new OAuth2Client();
      authClient.setCredentials({ access_token: 'token', expiry_date: Date.now() + 3_600_000 });
      const sdk = await recorder(
        t,
        (url) =>
          new GoogleGenAI({
            vertexai: true,
            ...PLACE,
            apiVersion: 'v1',
            httpOptions: { baseUrl: url },
            // Of another version of the library than the SDK's own.
            googleAuthOptions: { authClient: authClient as never },
          }),
      );
      const expected = await sdk.generate({ model: 'target-model', ...google });
      const prepared = prepare(chat);
      assert.equal(prepared.path, expected.path);
      assert.deepEqual(sentJson(prepared), expected.body);
      assert.deepEqual(prepared.dropped, []);
      const expectedStream = await sdk.stream({ model: 'target-model', ...google });
      assert.equal(prepare(chat, { streaming: true }).path, expectedStream.path);
    });
  }

  it('with a key and no project', async (t) => {
    const sdk = await recorder(
      t,
      (url) =>
        new GoogleGenAI({ vertexai: true, apiKey: 'k', apiVersion: 'v1', httpOptions: { baseUrl: url } }),
    );
    const expected = await sdk.generate({ model: 'target-model', ...hi });
    const prepared = prepare({}, { provider: { project: null, location: null } });
    assert.equal(prepared.path, expected.path);
    assert.deepEqual(sentJson(prepared), expected.body);
    assert.equal(expected.headers['x-goog-api-key'], 'k');
    assert.deepEqual(vertex.keyHeaders('k'), { 'x-goog-api-key': 'k' });
  });
});

describe('where Vertex is', () => {
  it('goes by the location', () => {
    const hosts = {
      global: 'aiplatform.googleapis.com',
      us: 'aiplatform.us.rep.googleapis.com',
      eu: 'aiplatform.eu.rep.googleapis.com',
      'europe-west4': 'europe-west4-aiplatform.googleapis.com',
    };
    for (const [location, host] of Object.entries(hosts)) {
      assert.equal(baseUrl({ project: 'p', location }), `https://${host}`);
      const { path } = prepare({}, { provider: { project: 'p', location } });
      assert.equal(
        path,
        `/v1/projects/p/locations/${location}/publishers/google/models/target-model:generateContent`,
      );
    }
  });

  it('is everywhere where no location is said, and with a key alone', () => {
    assert.equal(baseUrl({ project: 'p', location: null }), 'https://aiplatform.googleapis.com');
    assert.match(prepare({}, { provider: { project: 'p', location: null } }).path, /\/locations\/global\//);
    assert.equal(baseUrl({ project: null, location: 'us-east1' }), 'https://aiplatform.googleapis.com');
  });

  it('is the same with and without the version in the base URL', () => {
    for (const version of ['v1', 'v1beta1']) {
      const provider = { ...PLACE, baseUrl: `https://x.test/${version}` };
      assert.match(prepare({}, { provider }).path, /^\/projects\/my-project\//);
    }
  });

  it("takes other publishers' models, tuned ones by their endpoint, and full paths", () => {
    const path = (model: string) => prepare({}, { model }).path.replace(':generateContent', '');
    const place = '/v1/projects/my-project/locations/europe-west4';
    assert.equal(path('meta/llama-4'), `${place}/publishers/meta/models/llama-4`);
    assert.equal(path('publishers/google/models/m'), `${place}/publishers/google/models/m`);
    assert.equal(path('endpoints/123'), `${place}/endpoints/123`);
    assert.equal(path('projects/p/locations/l/endpoints/1'), '/v1/projects/p/locations/l/endpoints/1');
    for (const model of ['../x', 'a/../../b', 'projects/../../x', ''])
      assert.throws(() => path(model), Unsupported);
  });

  it("is called with Google's credentials where there is no key", () => {
    assert.equal(vertex.needsKey, 'optional');
    assert.equal(vertex.identity, 'google');
    assert.equal(vertex.fetches?.('https://x.test/a.png'), true);
    assert.equal(vertex.fetches?.('gs://b/a.png'), false);
  });

  it('refuses dialects that it does not speak', () => {
    assert.throws(() => prepare({}, { dialect: 'messages' }), Unsupported);
  });
});

describe('what Vertex takes otherwise', () => {
  it('is the tier, by a header', () => {
    for (const [asked, tier] of [
      ['flex', 'flex'],
      ['priority', 'priority'],
      ['fast', 'priority'],
    ] as const) {
      const prepared = prepare({ service_tier: asked });
      assert.deepEqual(prepared.headers, ['x-vertex-ai-llm-shared-request-type', tier]);
      assert.equal(sentJson(prepared)['serviceTier'], undefined);
    }
    for (const usual of ['auto', 'default']) assert.deepEqual(prepare({ service_tier: usual }).headers, []);
  });

  it('is metadata and users as labels, where they are such as labels may be', () => {
    const rows: [body: JsonObject, labels: JsonObject | undefined, dropped: string[]][] = [
      [{ metadata: { a: 'b', B: 'c', d: 'E' } }, { a: 'b' }, ['metadata']],
      [{ metadata: { '': 'x', ['a'.repeat(64)]: 'x', b: 'x'.repeat(64) } }, undefined, ['metadata']],
      [{ user: 'somebody@example.com' }, undefined, ['user']],
      [{ safety_identifier: 'Ä' }, undefined, ['safety_identifier']],
      [{ metadata: { user: 'x' }, user: 'y' }, { user: 'x' }, ['user']],
      [
        { metadata: Object.fromEntries(Array.from({ length: 70 }, (_, index) => [`k${index}`, 'v'])) },
        Object.fromEntries(Array.from({ length: 64 }, (_, index) => [`k${index}`, 'v'])),
        ['metadata'],
      ],
    ];
    for (const [body, labels, dropped] of rows) {
      const prepared = prepare(body);
      assert.deepEqual(sentJson(prepared)['labels'], labels);
      assert.deepEqual(prepared.dropped, dropped);
      assert.throws(() => prepare(body, { strict: true }), Unsupported);
    }
  });
});
