import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { delta, FINISH, ROLE, readEvents, text, turns } from '../support/rig.ts';
import {
  apiError,
  chatStream,
  close,
  Gate,
  htmlPage,
  inPieces,
  pauseUntil,
  reset,
  type Script,
  silence,
  stream,
} from '../support/upstream.ts';
import {
  assertInterrupted,
  assertWhole,
  brokenAfter,
  type Pair,
  type PairOptions,
  restAfter,
  startPair,
  TOKENS,
  whole,
} from './kit.ts';

const WITH_USAGE = { stream_options: { include_usage: true } };

describe('a stream that breaks after content', () => {
  const before = TOKENS.slice(0, 8);
  const FAULTS: Record<string, Script> = {
    'is cut': brokenAfter(8),
    'is reset': brokenAfter(8, reset()),
    'ends without a finish': chatStream({ content: before, finish: null, done: false }),
    'has its end mark without a finish': chatStream({ content: before, finish: null }),
    'has an error in it': stream([
      ROLE,
      ...before.map((one) => text(one)),
      { error: { message: 'overloaded', code: 503 } },
    ]),
    'has an error event in it': stream([
      ROLE,
      ...before.map((one) => text(one)),
      'event: error\ndata: {"error":{"type":"overloaded_error","message":"x"}}',
    ]),
    'is told to be rate limited': stream([
      ROLE,
      text(before.join('')),
      { error: { message: 'slow', code: 429 } },
    ]),
    'has an event that is too large': stream([
      ROLE,
      text(before.join('')),
      `data: ${'x'.repeat(17 * 1024 * 1024)}`,
    ]),
  };
  for (const [name, fault] of Object.entries(FAULTS)) {
    for (const how of ['again', 'prefill'] as const) {
      it(`because it ${name}, goes on: ${how}`, async (t) => {
        const pair = await startPair(t, { targets: [{}, { prefill: how === 'prefill' }] });
        pair.upstreams[0].enqueue(fault);
        pair.upstreams[1].enqueue(how === 'prefill' ? restAfter(8) : whole());
        assertWhole(await pair.ask());
        const line = await pair.line();
        assert.equal(line.outcome, 'ok');
        assert.equal(line.target, 'a/up');
        assert.equal(line.tries.length, 2);
        assert.equal(line.tries[1]?.outcome, 'ok');
        const series = `spillway_stream_continuations_total{provider="b",model="up",how="${how}"}`;
        assert.equal(await pair.gateway.metric(series), 1);
        await pair.nothingLeft();
      });
    }
  }

  it('because it is silent, goes on', async (t) => {
    const pair = await startPair(t, { node: { timeouts: { idle: '10s' } } });
    pair.upstreams[0].enqueue(brokenAfter(8, silence()));
    pair.upstreams[1].enqueue(whole());
    const reader = await pair.stream();
    await reader.until('; the');
    await pair.clock.advance(10_000);
    assertWhole(await reader.rest());
    assert.equal((await pair.line()).tries[0]?.outcome, 'broken_body');
    await pair.nothingLeft();
  });

  it('because its time is over, goes on', async (t) => {
    const pair = await startPair(t, {
      targets: [{ timeouts: { attempt: '30s', idle: '60s', first_token: '5s' } }, {}],
    });
    pair.upstreams[0].enqueue(brokenAfter(8, silence()));
    pair.upstreams[1].enqueue(whole());
    const reader = await pair.stream();
    await reader.until('; the');
    await pair.clock.advance(30_000);
    assertWhole(await reader.rest());
    assert.equal((await pair.line()).tries[0]?.outcome, 'timeout');
  });

  it('goes on wherever it is cut, at every byte', async (t) => {
    const pair = await startPair(t);
    const events = [ROLE, text('Gr'), text('üße'), text(' 🙂'), text(' end.'), FINISH];
    const bytes = Buffer.from(
      `${events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`,
    );
    const answer = 'Grüße 🙂 end.';
    pair.upstreams[1].reply(() => chatStream({ content: ['Grüß', 'e', ' 🙂 e', 'nd.'] }));
    let continued = 0;
    for (let at = 0; at <= bytes.length; at += 1) {
      pair.upstreams[0].enqueue(stream([bytes.subarray(0, at), close()], { done: false }));
      const asked = pair.upstreams[1].requests.length;
      assertWhole(await pair.ask(), answer);
      continued += pair.upstreams[1].requests.length - asked;
    }
    assert.ok(continued > bytes.length / 2);
    await pair.nothingLeft();
  });

  it('goes on in pieces of a byte', async (t) => {
    const pair = await startPair(t);
    pair.upstreams[0].enqueue([inPieces(brokenAfter(8), { every: 1 }), close()]);
    pair.upstreams[1].enqueue(inPieces(whole(), { every: 1 }));
    assertWhole(await pair.ask());
  });

  it('goes on more than once', async (t) => {
    const pair = await startPair(t, { targets: [{}, { prefill: true }, {}] });
    pair.upstreams[0].enqueue(brokenAfter(5));
    pair.upstreams[1].enqueue(chatStream({ content: [...TOKENS.slice(5, 9), close()] }));
    pair.upstreams[2].enqueue(brokenAfter(15));
    // Then those that broke, once more each.
    pair.upstreams[0].enqueue(whole());
    assertWhole(await pair.ask(WITH_USAGE));
    const { tries } = await pair.line();
    assert.deepEqual(
      tries.map(({ target, outcome }) => `${target} ${outcome}`),
      ['a/up broken_body', 'b/up broken_body', 'c/up broken_body', 'a/up ok'],
    );
    assert.match(String(pair.upstreams[1].requests[0]?.body), /"It was a dark and"/);
  });

  it('goes on with the same target where there is no other', async (t) => {
    const pair = await startPair(t, { targets: [{}] });
    pair.upstreams[0].enqueue(brokenAfter(8), whole());
    assertWhole(await pair.ask());
  });

  it('asks a target that was silent no second time', async (t) => {
    const pair = await startPair(t, { targets: [{ timeouts: { attempt: '30s', idle: '60s' } }] });
    pair.upstreams[0].enqueue(brokenAfter(8, silence()));
    const reader = await pair.stream();
    await reader.until('; the');
    await pair.clock.advance(30_000);
    assertInterrupted(await reader.rest(), TOKENS.slice(0, 8).join(''));
    assert.equal(pair.upstreams[0].requests.length, 1);
  });

  it('is given up when all have broken twice', async (t) => {
    const pair = await startPair(t);
    for (const upstream of pair.upstreams) upstream.reply(() => brokenAfter(8));
    assertInterrupted(await pair.ask(), TOKENS.slice(0, 8).join(''));
    // The second of each brought nothing new, so it was a failure before anything had passed.
    assert.deepEqual(
      (await pair.line()).tries.map(({ target }) => target),
      ['a/up', 'b/up', 'a/up'],
    );
    await pair.nothingLeft();
  });

  it('goes on eight times at most', async (t) => {
    const names = Array.from({ length: 12 }, (_, at) => `up-${at}`);
    const pair = await startPair(t, { targets: names.map((model) => ({ provider: 'a', model })) });
    let asked = 0;
    pair.upstreams[0].reply(() => brokenAfter(++asked));
    const received = readEvents(await pair.ask());
    assert.equal(asked, 9);
    assert.equal(received.content, TOKENS.slice(0, 9).join(''));
    assert.equal(received.error?.code, 'stream_interrupted');
  });
});

describe('a target that is to go on', () => {
  const begun = TOKENS.slice(0, 8).join('');

  async function asked(t: TestContext, second: Script, options: PairOptions = {}): Promise<Pair> {
    const pair = await startPair(t, options);
    pair.upstreams[0].enqueue(brokenAfter(8));
    pair.upstreams[1].enqueue(second);
    return pair;
  }

  const OTHERS: Record<string, Script> = {
    'gives another answer': chatStream({ content: ['It', ' was', ' a', ' bright', ' day.'] }),
    'gives a shorter answer': chatStream({ content: ['It', ' was', ' a'] }),
    'calls a tool instead': chatStream({ toolCalls: [{ name: 'f', arguments: '{}' }] }),
    'calls a tool too early': stream([
      ROLE,
      text('It was'),
      delta({
        tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }],
      }),
      delta({}, 'tool_calls'),
    ]),
    refuses: stream([ROLE, delta({ refusal: 'I will not.' }), FINISH]),
  };
  for (const [name, other] of Object.entries(OTHERS)) {
    it(`and ${name}: the client gets an error, and nothing of that`, async (t) => {
      const pair = await asked(t, other);
      assertInterrupted(await pair.ask(), begun);
      const { tries, outcome } = await pair.line();
      assert.equal(outcome, 'broken_body');
      // That is nobody's fault: the one that broke is not asked again for another answer of its own.
      assert.deepEqual(
        tries.map((one) => one.outcome),
        ['broken_body', 'diverged'],
      );
      await pair.nothingLeft();
    });
  }

  it('and gives another answer: one that goes on from a prefill is asked all the same', async (t) => {
    const pair = await asked(t, chatStream({ content: ['No.'] }), { targets: [{}, {}, { prefill: true }] });
    pair.upstreams[2].enqueue(restAfter(8));
    assertWhole(await pair.ask());
  });

  it('and gives another answer: one that then refuses a prefill is not asked for all of it', async (t) => {
    const pair = await asked(t, chatStream({ content: ['No.'] }), { targets: [{}, {}, { prefill: true }] });
    pair.upstreams[2].enqueue(apiError(400));
    assertInterrupted(await pair.ask(), begun);
    assert.equal(pair.upstreams[2].requests.length, 1);
  });

  it('and gives another answer: another one that would be asked for all of it is not', async (t) => {
    const pair = await asked(t, chatStream({ content: ['No.'] }), { targets: [{}, {}, {}] });
    assertInterrupted(await pair.ask(), begun);
    assert.equal(pair.upstreams[2].requests.length, 0);
  });

  const REFUSALS: Record<string, Script> = {
    'a 400': apiError(400, { message: 'This model does not support assistant message prefill.' }),
    'a 422': apiError(422),
  };
  for (const [name, refusal] of Object.entries(REFUSALS)) {
    it(`refuses a prefill with ${name}: it is asked for all of the answer`, async (t) => {
      const pair = await asked(t, refusal, { targets: [{}, { prefill: true }] });
      pair.upstreams[1].enqueue(whole());
      assertWhole(await pair.ask());
      const [first, second] = pair.upstreams[1].requests;
      assert.equal(first?.json<{ messages: object[] }>().messages.length, 2);
      assert.equal(second?.json<{ messages: object[] }>().messages.length, 1);
    });
  }

  it('fails before anything new: the next one is asked', async (t) => {
    for (const failure of [
      apiError(503),
      htmlPage(200),
      close(),
      brokenAfter(3),
      brokenAfter(8),
      stream([ROLE, close()]),
    ]) {
      const pair = await asked(t, failure, { targets: [{}, {}, {}] });
      pair.upstreams[2].enqueue(whole());
      assertWhole(await pair.ask());
      await pair.nothingLeft();
    }
  });

  it('fails before anything new: it is asked again where it may be', async (t) => {
    const pair = await asked(t, apiError(503), {
      node: { retry: { attempts: 1, backoff: { base: '1s', max: '1s' } } },
    });
    pair.upstreams[1].enqueue(whole());
    const reader = await pair.stream();
    await pair.upstreams[1].waitFor(1);
    await turns();
    await pair.clock.advance(1000);
    assertWhole(await reader.rest());
    assert.equal(pair.upstreams[1].requests.length, 2);
  });

  it('finds the request too long or at fault: that is not what the client is told', async (t) => {
    for (const failure of [apiError(400), apiError(400, { code: 'content_policy_violation' })]) {
      const pair = await asked(t, failure);
      assertInterrupted(await pair.ask(), begun);
      assert.equal(pair.upstreams[0].requests.length, 1, 'nobody else would find otherwise');
    }
  });

  it('has its first token in time once it has brought what was told', async (t) => {
    const gate = new Gate();
    const pair = await asked(
      t,
      chatStream({ content: [...TOKENS.slice(0, 4), pauseUntil(gate), ...TOKENS.slice(4)] }),
      { node: { timeouts: { first_token: '10s', idle: '60s' } } },
    );
    const reader = await pair.stream();
    await gate.reached();
    await turns();
    await pair.clock.advance(11_000);
    await turns();
    gate.open();
    assertWhole(await reader.rest());
  });

  it('is bound by `idle` while it brings what was told', async (t) => {
    const pair = await asked(t, chatStream({ content: [...TOKENS.slice(0, 4), silence()] }), {
      targets: [{}, {}, {}],
      node: { timeouts: { first_token: '30s', idle: '10s' } },
    });
    pair.upstreams[2].enqueue(whole());
    const reader = await pair.stream();
    await pair.upstreams[1].waitFor(1);
    await turns();
    await pair.clock.advance(10_000);
    assertWhole(await reader.rest());
    assert.equal((await pair.line()).tries[1]?.outcome, 'broken_body');
  });

  it('is silent: the next one is asked after `first_token`', async (t) => {
    const pair = await asked(t, silence(), {
      targets: [{}, {}, {}],
      node: { timeouts: { first_token: '5s' } },
    });
    pair.upstreams[2].enqueue(whole());
    const reader = await pair.stream();
    await pair.upstreams[1].waitFor(1);
    await turns();
    await pair.clock.advance(5000);
    assertWhole(await reader.rest());
    assert.equal(pair.upstreams[1].requests.length, 1);
  });
});
