import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openScene } from './helpers.ts';

const MESSAGES = '"messages":[{"role":"user","content":"hello"}]';

describe('override_params', () => {
  const cases: [name: string, override: object, sent: string, expected: string][] = [
    [
      'replaces a parameter where it stands',
      { temperature: 0.5 },
      `{"model":"m","temperature":1.10,"seed":1e400,${MESSAGES}}`,
      `{"model":"up","temperature":0.5,"seed":1e400,${MESSAGES}}`,
    ],
    [
      'adds one that was not there',
      { max_tokens: 10, stop: ['a', 'b'] },
      `{"model":"m",${MESSAGES}}`,
      `{"model":"up",${MESSAGES},"max_tokens":10,"stop":["a","b"]}`,
    ],
    [
      'removes one with null, the first, one in the middle and the last',
      { seed: null, user: null, n: null },
      `{"seed":1,"model":"m","user":"x",${MESSAGES},"n":2}`,
      `{"model":"up",${MESSAGES}}`,
    ],
    [
      'removes none that is not there',
      { user: null },
      `{"model":"m",${MESSAGES}}`,
      `{"model":"up",${MESSAGES}}`,
    ],
    [
      'removes one that stands twice',
      { user: null },
      `{"user":"x","model":"m","user":"y",${MESSAGES}}`,
      `{"model":"up",${MESSAGES}}`,
    ],
    [
      'takes an object as a whole',
      { reasoning: { effort: 'low' } },
      `{"model":"m","reasoning":{"max_tokens":5},${MESSAGES}}`,
      `{"model":"up","reasoning":{"effort":"low"},${MESSAGES}}`,
    ],
    [
      'replaces one whose name is written with escapes',
      { seed: 7 },
      `{"model":"m","\\u0073eed":1,${MESSAGES}}`,
      `{"model":"up","seed":7,${MESSAGES}}`,
    ],
    [
      'leaves alone what only looks like it inside of others',
      { seed: 7 },
      `{"model":"m","metadata":{"seed":"1"},${MESSAGES}}`,
      `{"model":"up","metadata":{"seed":"1"},${MESSAGES},"seed":7}`,
    ],
  ];
  for (const [name, override, sent, expected] of cases) {
    it(name, async (t) => {
      const { passOn } = await openScene(t, { node: { override_params: override } });
      assert.equal((await passOn(sent)).body.toString(), expected);
    });
  }

  it('starts from what the client sent with every target', async (t) => {
    const { upstream, second, post } = await openScene(t, {
      node: { override_params: { seed: 1, user: null } },
      second: { override_params: { temperature: 0 } },
    });
    upstream.enqueue((exchange) => exchange.end('reset'));
    const sent = `{"model":"m","user":"x",${MESSAGES}}`;
    assert.equal((await post(sent)).status, 200);
    assert.equal(upstream.requests[0]?.body.toString(), `{"model":"up",${MESSAGES},"seed":1}`);
    assert.equal(
      second.requests[0]?.body.toString(),
      `{"model":"other","user":"x",${MESSAGES},"temperature":0}`,
    );
  });
});

describe('the usage of a stream', () => {
  const asked = '"stream_options":{"include_usage":true}';
  const cases: [name: string, sent: string, expected: string][] = [
    ['is asked for where the client says nothing', '"stream":true', `"stream":true,${MESSAGES},${asked}`],
    ['is asked for once', `${asked},"stream":true`, `${asked},"stream":true,${MESSAGES}`],
    [
      'is asked for where the client said null',
      '"stream_options":null,"stream":true',
      `${asked},"stream":true,${MESSAGES}`,
    ],
    [
      'is asked for where the client does not want it, who keeps its other options',
      '"stream_options":{"include_usage":false,"include_obfuscation":false},"stream":true',
      `"stream_options":{"include_usage":true,"include_obfuscation":false},"stream":true,${MESSAGES}`,
    ],
    [
      'is asked for in no other way than the client did',
      '"stream_options": { "include_usage" : true, "x":1.10 },"stream": true',
      `"stream_options": { "include_usage" : true, "x":1.10 },"stream": true,${MESSAGES}`,
    ],
    ['is not asked for without a stream', '"stream":false', `"stream":false,${MESSAGES}`],
    ['is not asked for where `stream` is null', '"stream":null', `"stream":null,${MESSAGES}`],
  ];
  for (const [name, sent, expected] of cases) {
    it(name, async (t) => {
      const { passOn } = await openScene(t);
      const { body } = await passOn(`{"model":"m",${sent},${MESSAGES}}`);
      assert.equal(body.toString(), `{"model":"up",${expected}}`);
    });
  }

  it('is asked for whatever override_params makes of stream_options', async (t) => {
    for (const [override, expected] of [
      [null, asked],
      [{ include_usage: false, x: 1 }, '"stream_options":{"include_usage":true,"x":1}'],
    ]) {
      const { passOn } = await openScene(t, { node: { override_params: { stream_options: override } } });
      const { body } = await passOn(`{"model":"m","stream":true,"stream_options":{"y":1},${MESSAGES}}`);
      assert.equal(body.toString(), `{"model":"up","stream":true,${expected},${MESSAGES}}`);
    }
  });

  it('is never asked for with a host that refuses the question', async (t) => {
    for (const override of [{}, { stream_options: { include_usage: true } }]) {
      const { passOn } = await openScene(t, {
        provider: { adapter: 'mistral' },
        node: { override_params: override },
      });
      for (const options of ['', `${asked},`, '"stream_options":null,']) {
        const { body } = await passOn(`{"model":"m",${options}"stream":true,${MESSAGES}}`);
        assert.equal(body.toString(), `{"model":"up","stream":true,${MESSAGES}}`);
      }
    }
  });
});
