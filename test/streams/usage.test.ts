import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FINISH, ROLE, readEvents, startRig, text, usage } from '../support/rig.ts';
import { chatStream, stream } from '../support/upstream.ts';

describe('the usage of a stream', () => {
  it('is asked for upstream though the client did not, and does not reach it', async (t) => {
    const rig = await startRig(t);
    const received = readEvents(await (await rig.stream()).rest());
    assert.deepEqual(rig.upstream.requests[0]?.json()['stream_options'], { include_usage: true });
    assert.equal(received.done, true);
    assert.ok(received.chunks.every(({ usage, choices }) => choices.length > 0 && !usage));
    assert.deepEqual((await rig.line()).tokens, { input: 9, output: 12, cached: 0, reasoning: 0 });
  });

  it('reaches a client that asked', async (t) => {
    const rig = await startRig(t);
    const reader = await rig.stream({ stream_options: { include_usage: true } });
    const last = readEvents(await reader.rest()).chunks.at(-1);
    assert.deepEqual(last?.choices, []);
    const counted = { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 };
    assert.deepEqual(last?.usage, { ...counted, cost: null });
  });

  const cases: Record<string, [sent: object | null, upstream: object]> = {
    'its other options': [
      { include_obfuscation: false, chunk_tokens: 5 },
      { include_obfuscation: false, chunk_tokens: 5, include_usage: true },
    ],
    'a wish for none': [{ include_usage: false }, { include_usage: true }],
    'a wish for some': [
      { include_usage: true, other: 1 },
      { include_usage: true, other: 1 },
    ],
    'no options': [null, { include_usage: true }],
    'empty options': [{}, { include_usage: true }],
  };
  for (const [name, [sent, upstream]] of Object.entries(cases)) {
    it(`is asked for beside what the client sent: ${name}`, async (t) => {
      const rig = await startRig(t);
      const received = readEvents(await (await rig.stream({ stream_options: sent })).rest());
      assert.deepEqual(rig.upstream.requests[0]?.json()['stream_options'], upstream);
      const asked = sent !== null && 'include_usage' in sent && sent.include_usage === true;
      assert.equal(received.chunks.at(-1)?.choices.length === 0, asked);
    });
  }

  it("is asked for beside the target's options", async (t) => {
    const rig = await startRig(t, { node: { override_params: { stream_options: { chunk_tokens: 7 } } } });
    await (await rig.stream({ stream_options: { other: 1 } })).rest();
    assert.deepEqual(rig.upstream.requests[0]?.json()['stream_options'], {
      chunk_tokens: 7,
      include_usage: true,
    });
  });

  it('is asked for though the target removes the options', async (t) => {
    const rig = await startRig(t, { node: { override_params: { stream_options: null } } });
    await (await rig.stream({ stream_options: { other: 1 } })).rest();
    assert.deepEqual(rig.upstream.requests[0]?.json()['stream_options'], { include_usage: true });
  });

  it('is not asked for where nothing is streamed', async (t) => {
    const rig = await startRig(t);
    await rig.gateway.chat();
    assert.equal(rig.upstream.requests[0]?.json()['stream_options'], undefined);
  });

  it('is counted with what was cached and what was reasoning', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(
      chatStream({
        usage: {
          prompt_tokens: 100,
          completion_tokens: 50,
          prompt_tokens_details: { cached_tokens: 64 },
          completion_tokens_details: { reasoning_tokens: 30 },
        },
      }),
    );
    await (await rig.stream()).rest();
    assert.deepEqual((await rig.line()).tokens, { input: 100, output: 50, cached: 64, reasoning: 30 });
    for (const [kind, count] of Object.entries({ input: 100, output: 50, cached: 64, reasoning: 30 })) {
      const series = `spillway_tokens_total{tenant="anonymous",model="m",kind="${kind}"}`;
      assert.equal(await rig.gateway.metric(series), count);
    }
  });

  it("is counted under DeepSeek's name for cached tokens", async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(
      stream([
        ROLE,
        text('Hello'),
        FINISH,
        {
          ...(usage() as object),
          usage: { prompt_tokens: 9, completion_tokens: 1, prompt_cache_hit_tokens: 8 },
        },
      ]),
    );
    await (await rig.stream()).rest();
    assert.deepEqual((await rig.line()).tokens, { input: 9, output: 1, cached: 8, reasoning: 0 });
  });

  it('is counted of a stream that breaks, as far as it was reported', async (t) => {
    const rig = await startRig(t);
    const counted = { ...(text('Hello') as object), usage: { prompt_tokens: 9, completion_tokens: 3 } };
    rig.upstream.enqueue(stream([ROLE, counted], { done: false }));
    await (await rig.stream()).rest();
    assert.deepEqual((await rig.line()).tokens, { input: 9, output: 3, cached: 0, reasoning: 0 });
  });

  it('is counted by what passed where none was reported, and the log says so', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(chatStream({ content: ['Hello', ' you'], usage: null }));
    const received = readEvents(await (await rig.stream({ stream_options: { include_usage: true } })).rest());
    assert.deepEqual([received.done, received.content], [true, 'Hello you']);
    // A token for each four characters begun; the prompt is `hello`, and what stands around it.
    const tokens = { input: 9, output: 3, cached: 0, reasoning: 0, estimated: true };
    assert.deepEqual((await rig.line()).tokens, tokens);
  });

  for (const nonsense of [
    {},
    { prompt_tokens: 'many' },
    { prompt_tokens: -5, completion_tokens: 1e308 },
    [],
    7,
    'x',
  ]) {
    it(`may be nonsense: ${JSON.stringify(nonsense)}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(
        stream([ROLE, text('Hello'), FINISH, { ...(usage() as object), usage: nonsense }]),
      );
      assert.equal(readEvents(await (await rig.stream()).rest()).done, true);
      const tokens = { input: 9, output: 2, cached: 0, reasoning: 0, estimated: true };
      assert.deepEqual((await rig.line()).tokens, tokens);
    });
  }
});
