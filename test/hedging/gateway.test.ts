import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { settle, triesOf } from '../outcomes/helpers.ts';
import { openScene, PRICES, type Scene, SECOND } from '../quotas/kit.ts';
import { until } from '../support/rig.ts';
import {
  apiError,
  chatAnswer,
  chatStream,
  Gate,
  head,
  pauseUntil,
  type Script,
  script,
  silence,
  stream,
  type UpstreamRequest,
} from '../support/upstream.ts';

/** Dollars: what a request costs at `up`'s price that took so many tokens. */
const costOf = (input: number, output: number) => (input * PRICES.up.in + output * PRICES.up.out) / 1e6;

const USAGE = { prompt_tokens: 20, completion_tokens: 7 };
const streamed: Script = chatStream({ content: ['from', ' b'], usage: USAGE });
const plain: Script = chatAnswer({ content: 'from b', usage: USAGE });

/** `m` asks `a/up-dear`, and after two seconds of silence `b/up` too. */
async function openHedged(t: TestContext, hedge: object = {}, strategy: object = {}): Promise<Scene> {
  const usual = { after: '2s', max_extra: 1 };
  const targets = [
    { provider: 'a', model: 'up-dear', breaker: { consecutive_failures: 1 } },
    { provider: 'b', model: 'up', breaker: { consecutive_failures: 1 } },
  ];
  const model = { strategy: { mode: 'fallback', hedge: { ...usual, ...hedge }, ...strategy }, targets };
  return openScene(t, { quotas: [{ of: 'tokens', per: 'hour', limit: 1_000_000 }], models: { m: model } });
}

/** Moves the clock on, as soon as the first target has been asked. */
async function silentFor(scene: Scene, ms: number): Promise<UpstreamRequest> {
  const request = await scene.upstream.nextRequest();
  await settle();
  scene.clock.advance(ms);
  return request;
}

/** Nothing is under way any more, here or there. */
async function nothingLeft({ gateway, upstream, second, clock }: Scene): Promise<void> {
  await until(() => upstream.inFlight === 0 && second.inFlight === 0);
  for (const { in_flight, breaker, last_error } of await gateway.upstreams()) {
    assert.deepEqual(
      { in_flight, breaker, last_error },
      { in_flight: 0, breaker: 'closed', last_error: null },
    );
  }
  assert.equal(await gateway.metric('spillway_in_flight'), 0);
  assert.equal(clock.pending, 0);
}

const hedges = async ({ gateway }: Scene) => [
  (await gateway.metric('spillway_hedges_total{model="m",result="started"}')) ?? 0,
  (await gateway.metric('spillway_hedges_total{model="m",result="won"}')) ?? 0,
];

/** Where a first target can be silent. */
const silences: [string, Script][] = [
  ['says nothing at all', silence()],
  [
    'sends headers and a role',
    stream([{ choices: [{ index: 0, delta: { role: 'assistant' } }] }, silence()]),
  ],
  ['sends pings', stream([': ping', ': ping', silence()])],
];

describe('where the first target is silent', () => {
  for (const [name, first] of silences) {
    it(`(it ${name}) the answer comes from the second, and the first is let go of at once`, async (t) => {
      const scene = await openHedged(t);
      scene.upstream.enqueue(first);
      scene.second.enqueue(streamed);
      const asked = scene.stream();
      const request = await silentFor(scene, 2 * SECOND);
      const answer = await asked;
      await request.closed;
      assert.equal(request.aborted, true);
      const text = await answer.rest();
      assert.match(text, /from.* b.*\[DONE\]/s);
      assert.equal(answer.response.headers.get('x-spillway-target'), 'b/up');
      assert.equal(answer.response.headers.get('x-spillway-attempts'), '2');

      const line = await scene.line(1);
      assert.deepEqual(triesOf(line), ['a/up-dear superseded -', 'b/up ok 200']);
      assert.deepEqual([line.status, line.outcome, line.target], [200, 'ok', 'b/up']);
      assert.deepEqual([line.tokens?.input, line.tokens?.output], [20, 7]);
      assert.equal(line.cost_usd, costOf(20, 7));
      assert.deepEqual(Object.keys(line.tries[0] ?? {}), ['target', 'outcome', 'status', 'ms']);
      assert.deepEqual(await hedges(scene), [1, 1]);
      await nothingLeft(scene);
      await scene.nothingReserved();
      assert.equal((await scene.quota()).used, 27);
    });
  }

  it('a plain answer comes from the second as well', async (t) => {
    const scene = await openHedged(t);
    scene.upstream.enqueue(script(head(200, { 'content-length': '100' }), silence()));
    scene.second.enqueue(plain);
    const asked = scene.ask();
    const request = await silentFor(scene, 2 * SECOND);
    const seen = await asked;
    await request.closed;
    assert.match(seen.text, /from b/);
    assert.equal(seen.headers.get('x-spillway-cost'), String(costOf(20, 7)));
    const line = await scene.line(1);
    assert.deepEqual(triesOf(line), ['a/up-dear superseded -', 'b/up ok 200']);
    assert.equal(line.cost_usd, costOf(20, 7));
    await nothingLeft(scene);
    const [row] = (await scene.ledger()).filter(({ target }) => target === 'b/up');
    assert.deepEqual([row?.input_tokens, row?.output_tokens, row?.tries], [20, 7, 1]);
    const [lost] = (await scene.ledger()).filter(({ target }) => target === 'a/up-dear');
    assert.deepEqual([lost?.requests, lost?.tries, lost?.cost_usd], [0, 1, 0]);
  });

  it('the time that both were asked for counts once: the gateway has not taken it', async (t) => {
    const scene = await openHedged(t);
    const gate = new Gate();
    scene.upstream.enqueue(silence());
    scene.second.enqueue(script(pauseUntil(gate), plain));
    const asked = scene.ask();
    await silentFor(scene, 2 * SECOND);
    await scene.second.nextRequest();
    await settle();
    scene.clock.advance(3 * SECOND);
    gate.open();
    await asked;
    const { ms, gateway_ms, tries } = await scene.line(1);
    assert.deepEqual([ms, gateway_ms], [5000, 0]);
    assert.deepEqual(
      tries.map((one) => one.ms),
      [5000, 3000],
    );
  });
});

describe('where the first target answers after all', () => {
  for (const streaming of [false, true]) {
    it(`the second is let go of (${streaming ? 'a stream' : 'a plain call'})`, async (t) => {
      const scene = await openHedged(t);
      const gate = new Gate();
      const answer = streaming ? chatStream({ content: ['from a'] }) : chatAnswer({ content: 'from a' });
      scene.upstream.enqueue(script(pauseUntil(gate), answer));
      scene.second.enqueue(silence());
      const asked = scene.ask({ stream: streaming });
      await silentFor(scene, 2 * SECOND);
      const second = await scene.second.nextRequest();
      gate.open();
      const seen = await asked;
      await second.closed;
      assert.match(seen.text, /from a/);
      assert.equal(seen.headers.get('x-spillway-target'), 'a/up-dear');
      assert.deepEqual(triesOf(await scene.line(1)), ['a/up-dear ok 200', 'b/up superseded -']);
      assert.deepEqual(await hedges(scene), [1, 0]);
      await nothingLeft(scene);
      await scene.nothingReserved();
    });
  }

  it('in time, the second is never asked', async (t) => {
    const scene = await openHedged(t);
    const gate = new Gate();
    scene.upstream.enqueue(script(pauseUntil(gate), chatStream({ content: ['from a'] })));
    const asked = scene.ask({ stream: true });
    await silentFor(scene, 2 * SECOND - 1);
    await settle();
    gate.open();
    assert.match((await asked).text, /from a/);
    scene.clock.advance(10 * SECOND);
    await settle();
    assert.equal(scene.second.requests.length, 0);
    await nothingLeft(scene);
  });

  it('and its stream goes on for long, nobody else is asked', async (t) => {
    const scene = await openHedged(t);
    const gate = new Gate();
    scene.upstream.enqueue(chatStream({ content: ['from a', pauseUntil(gate), ' to the end'] }));
    const answer = await scene.stream();
    await answer.until('from a');
    scene.clock.advance(20 * SECOND);
    await settle();
    assert.equal(scene.second.requests.length, 0);
    gate.open();
    assert.match(await answer.rest(), /to the end.*\[DONE\]/s);
    assert.deepEqual(await hedges(scene), [0, 0]);
    await nothingLeft(scene);
  });
});

describe('where both are silent', () => {
  it('the client that leaves ends both', async (t) => {
    const scene = await openHedged(t);
    scene.upstream.enqueue(silence());
    scene.second.enqueue(silence());
    const { leave } = scene.leaving({ stream: true });
    const first = await silentFor(scene, 2 * SECOND);
    const second = await scene.second.nextRequest();
    await settle();
    await leave();
    await Promise.all([first.closed, second.closed]);
    const line = await scene.line(1);
    assert.deepEqual([line.status, line.outcome], [499, 'client_gone']);
    assert.deepEqual(triesOf(line), ['a/up-dear client_gone -', 'b/up client_gone -']);
    await nothingLeft(scene);
    await scene.nothingReserved();
  });

  it('each has its own time, and the client is told when both are over', async (t) => {
    const scene = await openHedged(t);
    scene.upstream.enqueue(silence());
    scene.second.enqueue(silence());
    const asked = scene.ask({ stream: true });
    await silentFor(scene, 2 * SECOND);
    await scene.second.nextRequest();
    await settle();
    scene.clock.advance(28 * SECOND);
    await until(() => scene.upstream.inFlight === 0);
    scene.clock.advance(2 * SECOND);
    const { status, error } = await asked;
    assert.deepEqual([status, error?.code], [504, 'upstream_timeout']);
    assert.deepEqual(triesOf(await scene.line(1)), ['a/up-dear timeout -', 'b/up timeout -']);
    assert.equal(scene.clock.pending, 0);
  });
});

describe('a client that leaves', () => {
  it("in the middle of the second target's stream ends that", async (t) => {
    const scene = await openHedged(t);
    scene.upstream.enqueue(silence());
    scene.second.enqueue(chatStream({ content: ['from b', silence()] }));
    const leaving = new AbortController();
    const authorization = { authorization: 'Bearer sw-the-key-of-ci' };
    const asked = scene.gateway.chat({ stream: true }, authorization, leaving.signal);
    await silentFor(scene, 2 * SECOND);
    await asked;
    const second = await scene.second.nextRequest();
    leaving.abort();
    await second.closed;
    const line = await scene.line(1);
    assert.equal(line.outcome, 'client_gone');
    assert.deepEqual(triesOf(line), ['a/up-dear superseded -', 'b/up client_gone 200']);
    await nothingLeft(scene);
  });
});

describe('where one of the two fails', () => {
  it('the other one answers, whichever it is', async (t) => {
    for (const fails of ['first', 'second'] as const) {
      const scene = await openHedged(t);
      const [gateA, gateB] = [new Gate(), new Gate()];
      const ends = (who: string) => (who === fails ? apiError(500) : chatStream({ content: ['good'] }));
      scene.upstream.enqueue(script(pauseUntil(gateA), ends('first')));
      scene.second.enqueue(script(pauseUntil(gateB), ends('second')));
      const asked = scene.ask({ stream: true });
      await silentFor(scene, 2 * SECOND);
      await scene.second.nextRequest();
      const [failing, other] = fails === 'first' ? [gateA, gateB] : [gateB, gateA];
      failing.open();
      await settle(50);
      other.open();
      const { text, status } = await asked;
      assert.equal(status, 200);
      assert.match(text, /good/);
      assert.equal(scene.upstream.requests.length + scene.second.requests.length, 2);
    }
  });

  it("an error of the first that is the request's own fault ends it, and the second with it", async (t) => {
    const scene = await openHedged(t);
    const gate = new Gate();
    scene.upstream.enqueue(script(pauseUntil(gate), apiError(400, { message: 'no such thing' })));
    scene.second.enqueue(silence());
    const asked = scene.ask({ stream: true });
    await silentFor(scene, 2 * SECOND);
    const second = await scene.second.nextRequest();
    gate.open();
    const seen = await asked;
    await second.closed;
    assert.equal(seen.status, 400);
    assert.match(seen.error?.message ?? '', /no such thing/);
    assert.deepEqual(triesOf(await scene.line(1)), ['a/up-dear invalid_request 400', 'b/up superseded -']);
    await until(() => scene.second.inFlight === 0);
    assert.equal(scene.clock.pending, 0);
  });

  it('a try that was made needless is no part of what the client is told', async (t) => {
    const pair = {
      strategy: { mode: 'fallback', on_status_codes: [429], hedge: { after: '2s', max_extra: 1 } },
      targets: [
        { provider: 'a', model: 'up-dear' },
        { provider: 'b', model: 'up' },
      ],
    };
    const within = (node: object) => ({ strategy: { mode: 'fallback' }, targets: [node] });
    for (const [model, stream] of [
      [pair, true],
      [pair, false],
      [within(pair), true],
      [within(within(within(pair))), false],
    ] as const) {
      const scene = await openScene(t, { models: { m: model } });
      const gate = new Gate();
      scene.upstream.enqueue(script(pauseUntil(gate), apiError(503)));
      // Nor has it room for the whole answer.
      scene.upstream.reply(() => apiError(503));
      scene.second.enqueue(silence());
      const asked = scene.ask({ stream });
      await silentFor(scene, 2 * SECOND);
      await scene.second.nextRequest();
      gate.open();
      const { status, error } = await asked;
      assert.deepEqual([status, error?.code], [503, 'no_healthy_upstream']);
      assert.doesNotMatch(error?.message ?? '', /b\/up|superseded/);
      assert.equal((await scene.line(1)).outcome, 'overloaded');
    }
  });
});

describe('how long the first target may be silent', () => {
  it('follows what was measured of it, where a share is named', async (t) => {
    const scene = await openHedged(t, { after: 'p95' });
    scene.second.reply(() => silence());
    for (let i = 0; i < 30; i++) {
      const gate = new Gate();
      scene.upstream.enqueue(script(pauseUntil(gate), chatStream()));
      const asked = scene.ask({ stream: true });
      await silentFor(scene, 300);
      gate.open();
      await asked;
    }
    scene.second.reply(() => chatStream({ content: ['from b'] }));
    const before = scene.second.requests.length;
    scene.upstream.enqueue(silence());
    const asked = scene.ask({ stream: true });
    await silentFor(scene, 250);
    await settle();
    assert.equal(scene.second.requests.length, before);
    scene.clock.advance(100);
    assert.match((await asked).text, /from b/);
    assert.deepEqual(triesOf(await scene.line(31)), ['a/up-dear superseded -', 'b/up ok 200']);
  });

  it('has no bound as long as nothing was measured', async (t) => {
    const scene = await openHedged(t, { after: 'p95' });
    const gate = new Gate();
    scene.upstream.enqueue(script(pauseUntil(gate), chatStream({ content: ['from a'] })));
    const asked = scene.ask({ stream: true });
    await silentFor(scene, 20 * SECOND);
    await settle(100);
    gate.open();
    assert.match((await asked).text, /from a/);
    assert.equal(scene.second.requests.length, 0);
  });
});

it('no more requests than its share are hedged, however many are slow', async (t) => {
  const scene = await openHedged(t, { max_extra: 0.2 });
  scene.second.reply(() => chatStream({ content: ['from b'] }));
  for (let i = 0; i < 50; i++) {
    const gate = new Gate();
    scene.upstream.enqueue(script(pauseUntil(gate), chatStream({ content: ['from a'] })));
    const asked = scene.ask({ stream: true });
    await silentFor(scene, 2 * SECOND);
    await settle(30);
    gate.open();
    assert.equal((await asked).status, 200);
  }
  assert.equal(scene.second.requests.length, 10);
  assert.deepEqual(await hedges(scene), [10, 10]);
});
