/** A host that goes on with an answer, and speaks of choices that nobody asked for. */
import { describe, it } from 'node:test';
import { delta, FINISH, ROLE, text, usage } from '../support/rig.ts';
import { close, type StreamItem, silence, stream } from '../support/upstream.ts';
import { assertInterrupted, assertWhole, brokenAfter, startPair, TOKENS, WHOLE } from './kit.ts';

const finish = (choice: number) => delta({}, 'stop', choice);
const DONE = 'data: [DONE]';
const BEGUN = TOKENS.slice(0, 8).join('');

describe('the finish of another choice than the one that is gone on with', () => {
  const NOTHING_ELSE: Record<string, StreamItem[]> = {
    'and the mark of the end': [finish(1), DONE],
    'and usage': [finish(1), usage(), DONE],
    'and the end of the body': [finish(1)],
    'and a connection that breaks': [finish(1), close()],
    'and an error': [finish(1), { error: { message: 'no more' } }],
    'by a number that is none': [delta({}, 'tool_calls', 1.5), DONE],
  };
  for (const [name, events] of Object.entries(NOTHING_ELSE)) {
    it(`finishes nothing: ${name}`, async (t) => {
      const pair = await startPair(t);
      pair.upstreams[0].enqueue(brokenAfter(8));
      pair.upstreams[1].enqueue(stream(events, { done: false }));
      assertInterrupted(await pair.ask(), BEGUN);
      await pair.nothingLeft();
    });
  }

  it('leaves the bounds on time as they are', async (t) => {
    const pair = await startPair(t, { node: { timeouts: { first_token: '5s', idle: '5s' } } });
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(stream([finish(1), silence()]));
    const reader = await pair.stream();
    await pair.upstreams[1].waitFor(1);
    await pair.clock.advance(20_000);
    assertInterrupted(await reader.rest(), BEGUN);
    await pair.nothingLeft();
  });

  it('does not keep another target from going on', async (t) => {
    const pair = await startPair(t, { targets: [{}, {}, {}] });
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(stream([finish(1)]));
    pair.upstreams[2].enqueue(stream([ROLE, text(WHOLE), FINISH]));
    assertWhole(await pair.ask());
    await pair.nothingLeft();
  });
});
