import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { delta, ROLE, readEvents, startRig, text, turns } from '../support/rig.ts';
import { close, Gate, pauseUntil, type StreamItem, stream } from '../support/upstream.ts';

const first = [ROLE, text('one'), delta({}, 'stop')];
const second = [delta({ role: 'assistant', content: '' }, null, 1), text('two', 1), delta({}, 'stop', 1)];
const cut = [close()];

interface Case {
  n?: unknown;
  override?: object;
  items: readonly StreamItem[];
  done?: boolean;
  whole: boolean;
}

const CASES: Record<string, Case> = {
  'both finish, then an end mark': { n: 2, items: [...first, ...second], whole: true },
  'both finish, then a cut': { n: 2, items: [...first, ...second, ...cut], whole: true },
  'they come mixed': {
    n: 2,
    items: [first, second]
      .flatMap(([role, content]) => [role, content] as StreamItem[])
      .concat([delta({}, 'stop', 1), delta({}, 'length')]),
    whole: true,
  },
  'the second does not finish': { n: 2, items: [...first, ...second.slice(0, 2)], whole: false },
  'the second does not finish, then a cut': {
    n: 2,
    items: [...first, ...second.slice(0, 2), ...cut],
    whole: false,
  },
  'the host gives only one, and an end mark': { n: 2, items: first, whole: true },
  'the second never began, then a cut': { n: 2, items: [...first, ...cut], whole: false },
  'the host gives more than were asked for': { items: [...first, ...second], whole: true },
  'the target asks for two': { override: { n: 2 }, items: [...first, ...cut], whole: false },
  'the target takes the wish for two away': {
    n: 2,
    override: { n: null },
    items: [...first, ...cut],
    whole: true,
  },
  'n is null': { n: null, items: [...first, ...cut], whole: true },
};

describe('a stream of several choices', () => {
  for (const [name, { n, override, items, done = true, whole }] of Object.entries(CASES)) {
    it(`is ${whole ? 'whole' : 'broken'}: ${name}`, async (t) => {
      const rig = await startRig(t, override === undefined ? {} : { node: { override_params: override } });
      rig.upstream.enqueue(stream(items, { done }));
      const reader = await rig.stream(n === undefined ? {} : { n });
      const received = readEvents(await reader.rest());
      assert.equal(received.done, whole);
      assert.equal(received.error?.code, whole ? undefined : 'stream_interrupted');
      assert.equal((await rig.line()).outcome, whole ? 'ok' : 'broken_body');
      await rig.nothingLeft();
    });
  }

  it('does not end a second after the first has finished', async (t) => {
    const rig = await startRig(t);
    const gate = new Gate();
    rig.upstream.enqueue(stream([...first, pauseUntil(gate), ...second]));
    const reader = await rig.stream({ n: 2 });
    await gate.reached();
    await turns();
    rig.clock.advance(5_000);
    gate.open();
    const received = readEvents(await reader.rest());
    assert.equal(received.done, true);
    assert.equal(received.chunks.length, 6);
  });
});
