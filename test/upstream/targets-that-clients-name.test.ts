import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { NOTHING_KNOWN } from '../../src/capabilities/capabilities.ts';
import { type Target, UpstreamRegistry } from '../../src/upstream/registry.ts';
import { plainFailure } from '../../src/upstream/transport-failure.ts';
import { PROVIDER, TARGET } from '../streams/visit.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** As many are kept. */
const MOST = 1_000;

function open(t: TestContext) {
  const registry = new UpstreamRegistry({
    clock: new ManualClock(),
    chance: () => 0.5,
    environment: {},
    onTransition: () => {},
  });
  t.after(() => registry.destroy());
  const provider = { ...PROVIDER, baseUrl: 'http://127.0.0.1:9/v1', apiKeys: ['one', 'two'] };
  registry.load(new Map([['a', provider]]), [{ ...TARGET, id: 'a/named', model: 'named' }], {
    capabilities: () => NOTHING_KNOWN,
    credentials: new Map(),
    limiters: new Map(),
  });
  const ask = (model: string) => registry.direct({ ...TARGET, id: `a/${model}`, model });
  const known = () => new Set([...registry.upstreams()].map(({ model }) => model));
  return { registry, ask, known };
}

function coolDown({ lanes }: Target): void {
  lanes[1]?.upstream.failed(plainFailure('rate_limited', 'slow down'), 0);
}

describe('targets that clients name', () => {
  it('are the same one for the same name, and one is forgotten with all its keys when there are too many', (t) => {
    const { registry, ask, known } = open(t);
    const first = ask('m0');
    for (let i = 1; i < MOST; i++) ask(`m${i}`);
    assert.equal(ask('m0'), first);
    ask('one more');
    // The one not used for longest: not the first, which was asked for again.
    assert.deepEqual([known().has('m0'), known().has('m1'), known().has('m2')], [true, false, true]);
    assert.equal(ask('m0'), first);
    // Each has two keys, the named one as well.
    assert.equal([...registry.upstreams()].length, 2 * (MOST + 1));
    assert.ok(known().has('named'));
  });

  it('are not forgotten while a request is under way, or while they cool down if another will do', (t) => {
    const { ask, known } = open(t);
    const [busy, cooling] = [ask('busy'), ask('cooling')];
    const [lane] = busy.lanes;
    if (lane !== undefined) lane.upstream.inFlight = 1;
    coolDown(cooling);
    for (let i = 2; i <= MOST; i++) ask(`m${i}`);
    assert.deepEqual([known().has('busy'), known().has('cooling'), known().has('m2')], [true, true, false]);
  });

  it('keep what a tree names of them', (t) => {
    const { ask, known } = open(t);
    ask('named');
    for (let i = 1; i <= MOST; i++) ask(`m${i}`);
    assert.ok(known().has('named'));
  });

  it('are forgotten while they cool down if all do', (t) => {
    const { ask, known } = open(t);
    for (let i = 0; i < MOST; i++) coolDown(ask(`m${i}`));
    ask('one more');
    assert.deepEqual([known().has('m0'), known().has('m1')], [false, true]);
  });
});
