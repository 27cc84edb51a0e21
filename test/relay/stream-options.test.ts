import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { readEvents, startRig } from '../support/rig.ts';

const MESSAGES = '"messages":[{"role":"user","content":"hello"}]';

/** Posts a stream with these options, as they are written here, and returns the text of those that went upstream. */
async function passOn(t: TestContext, options: string, node: object = {}) {
  const rig = await startRig(t, { node });
  const post = async (model: string, options: string) => {
    const response = await fetch(`${rig.gateway.url}/chat/completions`, {
      method: 'POST',
      body: `{${model},"stream":true,"stream_options":${options},${MESSAGES}}`,
    });
    return { status: response.status, text: await response.text() };
  };
  const { status, text } = await post('"model":"m"', options);
  assert.equal(status, 200, text);
  const sent = rig.upstream.requests.at(-1)?.body.toString() ?? '';
  return { rig, post, sent, received: readEvents(text) };
}

/** How often a body asks for usage, whoever reads it: by its names as they are written, and by what they mean. */
function wishes(body: string): string[] {
  return [...body.matchAll(/"((?:[^"\\]|\\.)*)"\s*:\s*(true|false|null|\d+|"[^"]*")/g)]
    .filter(([, name]) => JSON.parse(`"${name}"`) === 'include_usage')
    .map(([, name, value]) => `${name} ${value}`);
}

/** What a client may write, and what of it the gateway goes by: is usage wanted? */
const OPTIONS: Record<string, [options: string, wanted: boolean]> = {
  'twice, first no': ['{"include_usage":false,"include_usage":true}', true],
  'twice, first yes': ['{"include_usage":true,"include_usage":false}', false],
  'once with an escape': ['{"include_usag\\u0065":true}', true],
  'twice, the second with an escape': ['{"include_usage":true,"include_usag\\u0065":false}', false],
  'twice, the first with an escape': ['{"include_usag\\u0065":false,"include_usage":true}', true],
  'no, with an escape': ['{"include_usag\\u0065":false}', false],
  'with all of it in escapes': [
    `{"${[...'include_usage'].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}":true}`,
    true,
  ],
  'as a word': ['{"include_usage":"true"}', false],
  'with spaces': ['{ "include_usage" :\n true }', true],
};

describe('the wish for usage', () => {
  for (const [name, [options, wanted]] of Object.entries(OPTIONS)) {
    it(`goes upstream once, and plainly: ${name}`, async (t) => {
      const { sent, received } = await passOn(t, options);
      assert.deepEqual(wishes(sent), ['include_usage true']);
      assert.equal(received.chunks.at(-1)?.usage?.prompt_tokens, wanted ? 9 : undefined);
    });
  }

  it('goes upstream once where nothing else changes', async (t) => {
    const { sent } = await passOn(t, '{"include_usage":false,"include_usage":true}', { model: 'm' });
    assert.deepEqual(wishes(sent), ['include_usage true']);
  });

  it('goes upstream once where the options themselves stand twice', async (t) => {
    const twice = '{"include_usage":true},"stream_options":{"include_usage":false,"include_usage":true}';
    const { sent } = await passOn(t, twice);
    assert.deepEqual(wishes(sent), ['include_usage true']);
  });

  it("goes upstream once beside what else is asked for, and the target's own", async (t) => {
    const { sent } = await passOn(t, '{"a":1,"include_usage":true,"a":{"b":[2]},"include_usage":true}');
    assert.ok(sent.includes('"stream_options":{"a":{"b":[2]},"include_usage":true}'), sent);
    const node = { override_params: { stream_options: { include_usage: false, c: 1 } } };
    const over = await passOn(t, '{"include_usage":true,"include_usage":false}', node);
    assert.ok(over.sent.includes('"stream_options":{"include_usage":true,"c":1}'), over.sent);
  });

  // V8's parser confuses two names, process-wide: see names-with-escapes.test.ts. Before it was printed anew, the second went upstream as it came.
  it('goes upstream once after a name with a backslash that begins alike', async (t) => {
    const { rig, post } = await passOn(t, '{"include_usage":true,"include_usag\\\\":1}');
    for (const options of [
      '{"include_usage":true,"include_usag\\u0065":false}',
      '{"include_usag\\u0065":false,"include_usage":true}',
      '{"include_usag\\u0065":false}',
    ]) {
      const { status } = await post('"model":"m"', options);
      assert.equal(status, 200);
      assert.deepEqual(wishes(rig.upstream.requests.at(-1)?.body.toString() ?? ''), ['include_usage true']);
    }
  });
});
