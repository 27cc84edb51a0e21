import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delta, FINISH, ROLE, readEvents, text, usage } from '../support/rig.ts';
import { close, flush, type Step, silence, stream } from '../support/upstream.ts';
import { assertInterrupted, assertWhole, brokenAfter, startPair, TOKENS } from './kit.ts';

describe('a stream that is never gone on with', () => {
  const call = (piece: string) => delta({ tool_calls: [{ index: 0, function: { arguments: piece } }] });
  const head = delta({
    tool_calls: [{ index: 0, id: 'c1', type: 'function', function: { name: 'f', arguments: '' } }],
  });
  const NEVER: Record<string, Step[] | object[]> = {
    'has begun a tool call': [ROLE, text('Let me see. '), head, call('{"a')],
    'has begun a tool call and nothing else': [ROLE, head],
    'has begun to refuse': [ROLE, delta({ refusal: 'I can' })],
    'has brought sound': [ROLE, delta({ audio: { id: 'a', data: 'AA==' } })],
    'has brought a picture': [ROLE, delta({ images: [{ type: 'image_url', image_url: { url: 'data:x' } }] })],
    'has brought what nobody knows': [ROLE, text('a'), delta({ holograms: [1] })],
  };
  for (const [name, events] of Object.entries(NEVER)) {
    it(`${name}`, async (t) => {
      const pair = await startPair(t);
      pair.upstreams[0].enqueue(stream([...events, flush, close()]));
      const received = readEvents(await pair.ask());
      assert.equal(received.error?.code, 'stream_interrupted');
      assert.equal(pair.upstreams[1].requests.length, 0);
    });
  }

  it('has several choices', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(stream([ROLE, text('a'), close()]));
    assertInterrupted(await pair.ask({ n: 2 }), 'a');
    assert.equal(pair.upstreams[1].requests.length, 0);
  });

  it('is of a target that says `error`, as all do by themselves', async (t) => {
    for (const node of [{ mid_stream: 'error' }, {}]) {
      const pair = await startPair(t, {
        node,
        ...('mid_stream' in node ? {} : { targets: [{ mid_stream: 'error' }, {}] }),
      });
      pair.upstreams[0].enqueue(brokenAfter(8));
      assertInterrupted(await pair.ask(), TOKENS.slice(0, 8).join(''));
      assert.equal(pair.upstreams[1].requests.length, 0);
    }
  });

  it('was filtered', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(
      stream([ROLE, text('a'), { error: { message: 'filtered', code: 'content_policy_violation' } }]),
    );
    assertInterrupted(await pair.ask(), 'a');
    assert.equal(pair.upstreams[1].requests.length, 0);
  });

  it('had finished: whatever comes then, it is whole', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue(stream([ROLE, text('a'), FINISH, usage(), close()]));
    assertWhole(await pair.ask(), 'a');
    assert.equal(pair.upstreams[1].requests.length, 0);
  });

  it('had run out of time for the whole request', async (t) => {
    const pair = await startPair(t, {
      node: { timeouts: { total: '60s', attempt: '60s', idle: '60s', first_token: '60s' } },
    });
    pair.upstreams[0].enqueue(brokenAfter(8, silence()));
    const reader = await pair.stream();
    await reader.until('; the');
    await pair.clock.advance(60_000);
    assertInterrupted(await reader.rest(), TOKENS.slice(0, 8).join(''));
    assert.equal(pair.upstreams[1].requests.length, 0);
  });
});
