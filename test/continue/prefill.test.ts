/** How each host is told that its answer is to go on from what was told. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEvents } from '../support/rig.ts';
import { chatStream, type UpstreamRequest } from '../support/upstream.ts';
import {
  brokenAfter,
  type Pair,
  type PairOptions,
  restAfter,
  startPair,
  TOKENS,
  WHOLE,
  whole,
} from './kit.ts';

const TOLD = TOKENS.slice(0, 8).join('');

interface Sent {
  messages: { role: string; content: string; prefix?: boolean }[];
  max_tokens?: number;
  max_completion_tokens?: number;
  continue_final_message?: boolean;
  add_generation_prompt?: boolean;
}

/** What the second target is sent, and what the client then has. */
async function goneOn(
  pair: Pair,
  body: Record<string, unknown> = {},
  answer = restAfter(8),
): Promise<{ sent: Sent; request: UpstreamRequest; content: string }> {
  pair.upstreams[0].enqueue(brokenAfter(8));
  pair.upstreams[1].enqueue(answer);
  const received = readEvents(await pair.ask(body));
  assert.equal(received.error, null);
  const request = pair.upstreams[1].requests.at(-1) as UpstreamRequest;
  return { sent: request.json<Sent & Record<string, never>>(), request, content: received.content };
}

const PREFILL: PairOptions = { targets: [{}, { prefill: true }] };

describe('a prefill', () => {
  it('is the last message, and whatever else was asked for stays', async (t) => {
    const pair = await startPair(t, { ...PREFILL, adapter: 'together' });
    const { sent, content } = await goneOn(pair, { temperature: 0.5 });
    assert.equal(content, WHOLE);
    assert.deepEqual(sent, {
      model: 'up',
      messages: [
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: TOLD },
      ],
      temperature: 0.5,
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  for (const form of [
    { response_format: { type: 'json_schema', json_schema: { name: 'city', schema: {} } } },
    { response_format: { type: 'json_object' } },
    { guided_json: {} },
    { structured_outputs: { regex: 'a+' } },
  ]) {
    it(`is nobody's where ${JSON.stringify(form)} holds the answer to a form: its host would begin that anew`, async (t) => {
      const { sent, content } = await goneOn(await startPair(t, PREFILL), form, whole());
      assert.equal(content, WHOLE);
      assert.deepEqual(sent.messages, [{ role: 'user', content: 'hello' }]);
    });
  }

  it('is one where the form is free', async (t) => {
    for (const form of [{ response_format: { type: 'text' } }, { guided_json: null }]) {
      const { sent } = await goneOn(await startPair(t, PREFILL), form);
      assert.equal(sent.messages.at(-1)?.role, 'assistant');
    }
  });

  it('is told to vLLM by its parameters', async (t) => {
    const { sent, content } = await goneOn(await startPair(t, { ...PREFILL, adapter: 'vllm' }));
    assert.equal(content, WHOLE);
    assert.equal(sent.continue_final_message, true);
    assert.equal(sent.add_generation_prompt, false);
  });

  it('is told to Mistral by a mark, and what it repeats is left out', async (t) => {
    const pair = await startPair(t, { ...PREFILL, adapter: 'mistral' });
    const { sent, content } = await goneOn(pair, {}, whole());
    assert.equal(content, WHOLE);
    assert.deepEqual(sent.messages.at(-1), { role: 'assistant', content: TOLD, prefix: true });
    // However little it is.
    pair.upstreams[0].enqueue(brokenAfter(1));
    pair.upstreams[1].enqueue(whole());
    assert.equal(readEvents(await pair.ask()).content, WHOLE);
  });

  it('is told to DeepSeek by a mark, at the path of its beta', async (t) => {
    const pair = await startPair(t, { ...PREFILL, adapter: 'deepseek' });
    // The stand-in's base URL has a path of its own, as that of the beta would have.
    const { sent, request } = await goneOn(pair);
    assert.deepEqual(sent.messages.at(-1), { role: 'assistant', content: TOLD, prefix: true });
    assert.equal(request.path, '/v1/chat/completions');
    const bare = { adapter: 'deepseek', api_key: 'sk', base_url: new URL(pair.upstreams[1].url).origin };
    const first = { adapter: 'vllm', base_url: pair.upstreams[0].url };
    const targets = [
      { provider: 'a', model: 'up' },
      { provider: 'b', model: 'up', prefill: true },
    ];
    const models = { m: { strategy: { mode: 'fallback' }, mid_stream: 'continue', targets } };
    const other = await startPair(t, { config: { providers: { a: first, b: bare }, models } });
    other.upstreams[0].reply(() => assert.fail('not configured'));
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(restAfter(8));
    assert.equal(readEvents(await other.ask()).content, WHOLE);
    assert.equal(pair.upstreams[1].requests.at(-1)?.path, '/beta/chat/completions');
  });

  it('leaves less of what the answer may be, at least one token', async (t) => {
    const pair = await startPair(t, PREFILL);
    const told = Math.ceil(TOLD.length / 4);
    for (const name of ['max_tokens', 'max_completion_tokens'] as const) {
      const { sent } = await goneOn(pair, { [name]: 100 });
      assert.equal(sent[name], 100 - told);
      assert.equal((await goneOn(pair, { [name]: 3 })).sent[name], 1);
    }
  });

  it('leaves less of what the target allows', async (t) => {
    const targets = [{}, { prefill: true, override_params: { max_tokens: 50 } }];
    const { sent } = await goneOn(await startPair(t, { targets }), { max_completion_tokens: 100 });
    assert.equal(sent.max_tokens, 50 - Math.ceil(TOLD.length / 4));
    assert.equal(sent.max_completion_tokens, undefined);
  });

  it('is not asked for of the whole answer: that may be as long as ever', async (t) => {
    const pair = await startPair(t);
    const { sent } = await goneOn(pair, { max_tokens: 100 }, whole());
    assert.equal(sent.max_tokens, 100);
    assert.equal(sent.messages.length, 1);
  });

  it('is without the white space at its end, which is not told twice', async (t) => {
    const pair = await startPair(t, PREFILL);
    pair.upstreams[0].enqueue(brokenAfter(17));
    pair.upstreams[1].enqueue(restAfter(16));
    const received = readEvents(await pair.ask());
    assert.equal(received.content, WHOLE);
    assert.ok(
      pair.upstreams[1].requests[0]
        ?.json<Sent & Record<string, never>>()
        .messages[1]?.content.endsWith('intervals.'),
    );
  });

  it("goes on from the client's own beginning", async (t) => {
    const pair = await startPair(t, PREFILL);
    const messages = [
      { role: 'user', content: 'Tell me a story.' },
      { role: 'assistant', content: 'Once upon a time. ' },
    ];
    const { sent } = await goneOn(pair, { messages });
    assert.deepEqual(sent.messages, [
      messages[0],
      { role: 'assistant', content: `Once upon a time. ${TOLD}` },
    ]);
    // Which is not lengthened where it is more than a text.
    const parts = [messages[0], { role: 'assistant', content: [{ type: 'text', text: 'Once' }] }];
    assert.deepEqual((await goneOn(pair, { messages: parts }, whole())).sent.messages, parts);
  });

  it('is not made of half a letter', async (t) => {
    const pair = await startPair(t, PREFILL);
    pair.upstreams[0].enqueue(chatStream({ content: ['Hi \ud83d', (exchange) => exchange.end('fin')] }));
    pair.upstreams[1].enqueue(chatStream({ content: ['Hi \u{1f642}!'] }));
    const text = await pair.ask();
    const received = readEvents(text);
    assert.equal(received.content, 'Hi \u{1f642}!');
    assert.equal(pair.upstreams[1].requests[0]?.json<Sent & Record<string, never>>().messages.length, 1);
  });

  it('is not made of white space, or of nothing', async (t) => {
    const pair = await startPair(t, PREFILL);
    pair.upstreams[0].enqueue(chatStream({ content: ['\n', (exchange) => exchange.end('fin')] }));
    pair.upstreams[1].enqueue(chatStream({ content: ['\nSo.'] }));
    assert.equal(readEvents(await pair.ask()).content, '\nSo.');
    assert.equal(pair.upstreams[1].requests[0]?.json<Sent & Record<string, never>>().messages.length, 1);
  });

  it('is asked for where the table of capabilities says so, unless the target says otherwise', async (t) => {
    const capabilities = { models: [{ models: ['up'], prefill: true }] };
    const { mkdtempSync, writeFileSync } = await import('node:fs');
    const { tmpdir } = await import('node:os');
    const { join } = await import('node:path');
    const file = join(mkdtempSync(join(tmpdir(), 'spillway-capabilities-')), 'models.yaml');
    writeFileSync(file, JSON.stringify(capabilities));
    const told = await goneOn(await startPair(t, { config: { capabilities: file } }));
    assert.equal(told.sent.messages.length, 2);
    const declined = await startPair(t, {
      config: { capabilities: file },
      targets: [{}, { prefill: false }],
    });
    assert.equal((await goneOn(declined, {}, whole())).sent.messages.length, 1);
  });
});
