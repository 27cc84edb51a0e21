import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ManualClock } from '../support/manual-clock.ts';
import { apiError, chatAnswer, chatStream, close, Gate, pauseUntil, plain } from '../support/upstream.ts';
import { serve } from './helpers.ts';

describe('the log line of a request', () => {
  it('has just the fields of the contract, in their order', async (t) => {
    const clock = new ManualClock();
    const { gateway, upstream } = await serve(
      t,
      { auth: 'keys', tenants: [{ id: 'acme', keys: [{ id: 'ci', key: 'sw-acme' }] }] },
      { clock },
    );
    upstream.enqueue(
      chatAnswer({
        usage: {
          prompt_tokens: 20,
          completion_tokens: 80,
          prompt_tokens_details: { cached_tokens: 5 },
          completion_tokens_details: { reasoning_tokens: 3 },
        },
      }),
    );
    await gateway.chat({}, { authorization: 'Bearer sw-acme', 'x-request-id': 'mine' });
    const [line] = await gateway.ended(1);
    assert.equal(
      JSON.stringify(line),
      JSON.stringify({
        level: 30,
        time: Date.UTC(2026, 10, 22, 9),
        msg: 'request',
        id: 'mine',
        tenant: 'acme',
        key: 'ci',
        model: 'm',
        target: 'a/up',
        status: 200,
        outcome: 'ok',
        stream: false,
        tries: [{ target: 'a/up', outcome: 'ok', status: 200, ms: 0 }],
        first_token_ms: null,
        ms: 0,
        gateway_ms: 0,
        tokens: { input: 20, output: 80, cached: 5, reasoning: 3 },
        cost_usd: null,
      }),
    );
  });

  it('tells every try, how long it took, and what was spent in the gateway itself', async (t) => {
    const clock = new ManualClock();
    const { gateway, upstream } = await serve(
      t,
      {
        models: {
          m: {
            provider: 'a',
            model: 'up',
            retry: { attempts: 1, backoff: { kind: 'constant', base: '200ms', jitter: 'none' } },
          },
        },
      },
      { clock },
    );
    const gate = new Gate();
    const stop = new Gate();
    upstream.enqueue(
      [pauseUntil(gate), apiError(503)],
      [pauseUntil(gate), chatStream({ content: ['Hel', pauseUntil(stop), 'lo'] })],
    );
    const answer = gateway.chat({ stream: true });
    await upstream.waitFor(1);
    clock.advance(41);
    gate.step();
    while (clock.pending < 1 || (await gateway.upstreams())[0]?.last_error === null);
    await clock.advanceAsync(200);
    await upstream.waitFor(2);
    clock.advance(300);
    gate.step();
    const response = await answer;
    clock.advance(1000);
    stop.open();
    await response.text();
    const [line] = await gateway.ended(1);
    assert.deepEqual(line?.tries, [
      { target: 'a/up', outcome: 'overloaded', status: 503, ms: 41 },
      { target: 'a/up', outcome: 'ok', status: 200, ms: 1300 },
    ]);
    assert.deepEqual(
      [line.first_token_ms, line.ms, line.gateway_ms, line.stream, line.status],
      [541, 1541, 0, true, 200],
    );
    assert.deepEqual(line.tokens, { input: 9, output: 12, cached: 0, reasoning: 0 });
  });

  it('is one for each request, however it ended', async (t) => {
    const { gateway, upstream } = await serve(t);
    const ends: [
      what: () => void,
      body: Record<string, unknown>,
      status: number,
      outcome: string,
      target: string | null,
    ][] = [
      [() => {}, {}, 200, 'ok', 'a/up'],
      [() => upstream.enqueue(apiError(400)), {}, 400, 'invalid_request', 'a/up'],
      [() => upstream.enqueue(apiError(500)), {}, 502, 'server_error', null],
      [
        () => upstream.enqueue(chatStream({ content: ['Hel', close()] })),
        { stream: true },
        200,
        'broken_body',
        'a/up',
      ],
      [() => {}, { model: 'unknown' }, 404, 'refused', null],
      [() => {}, { messages: 5 }, 400, 'refused', null],
    ];
    for (const [index, [prepare, body, status, outcome, target]] of ends.entries()) {
      prepare();
      await (await gateway.chat(body)).text();
      const lines = await gateway.ended(index + 1);
      assert.equal(lines.length, index + 1);
      const line = lines[index];
      assert.deepEqual([line?.status, line?.outcome, line?.target], [status, outcome, target]);
    }
  });

  it('tells of a client that left, before the answer and in the middle of it', async (t) => {
    const { gateway, upstream } = await serve(t);
    const gate = new Gate();
    upstream.enqueue(
      [pauseUntil(gate), chatAnswer()],
      chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }),
    );
    const left = new AbortController();
    const hanging = gateway.chat({}, {}, left.signal).catch(() => null);
    await upstream.waitFor(1);
    left.abort();
    await hanging;
    const [before] = await gateway.ended(1);
    assert.deepEqual([before?.status, before?.outcome, before?.target], [499, 'client_gone', null]);
    assert.equal(before?.tries[0]?.outcome, 'client_gone');

    const response = await gateway.chat({ stream: true });
    await response.body?.cancel();
    const after = (await gateway.ended(2))[1];
    assert.deepEqual([after?.status, after?.outcome, after?.target], [200, 'client_gone', 'a/up']);
  });
});

describe('prompts and answers', () => {
  const PROMPT = 'the-prompt-of-the-client';
  const ANSWER = 'the-answer-of-the-model';
  const body = { messages: [{ role: 'user', content: PROMPT }] };

  it('are nowhere in the log unless they are asked for', async (t) => {
    const { gateway, upstream } = await serve(t);
    upstream.enqueue(chatAnswer({ content: ANSWER }), chatStream({ content: [ANSWER] }));
    upstream.enqueue(apiError(400, { message: `cannot make sense of ${PROMPT}` }));
    upstream.enqueue(chatStream({ content: [ANSWER, close()] }));
    for (const stream of [false, true, false, true]) await (await gateway.chat({ ...body, stream })).text();
    await (await gateway.chat({ ...body, model: 5 })).text();
    await (await gateway.chat({ ...body, model: 'unknown' })).text();
    upstream.enqueue(plain({ text: `{"choices":[{"message":{"content":"${ANSWER}` }));
    assert.equal((await gateway.chat(body)).status, 502);
    const said = JSON.stringify([
      await gateway.ended(7),
      gateway.logs,
      await gateway.metrics(),
      await gateway.upstreams(),
    ]);
    assert.doesNotMatch(said, /the-prompt|the-answer/);
  });

  it('are in the line of the request where they are asked for, streamed or not', async (t) => {
    const { gateway, upstream } = await serve(t, { log: { request_bodies: true } });
    upstream.enqueue(
      chatAnswer({ content: ANSWER }),
      chatStream({ content: ['the-answer', '-of-the-model'] }),
    );
    for (const stream of [false, true]) await (await gateway.chat({ ...body, stream })).text();
    const lines = (await gateway.ended(2)) as unknown as { prompt: string; answer: string }[];
    for (const { prompt } of lines) {
      assert.equal((JSON.parse(prompt) as typeof body).messages[0]?.content, PROMPT);
    }
    assert.match(lines[0]?.answer ?? '', /the-answer-of-the-model/);
    assert.match(lines[1]?.answer ?? '', /"the-answer".*"-of-the-model".*\[DONE\]/s);
  });

  it('are logged without our own keys, though an upstream wrote them', async (t) => {
    const { gateway, upstream } = await serve(t);
    const key = 'sk-provider-key-0123456789';
    gateway.changeConfig({
      providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: key } },
      models: { m: { provider: 'a' } },
      log: { request_bodies: true },
    });
    await fetch(`${gateway.admin}/admin/reload`, { method: 'POST' });
    upstream.enqueue(chatAnswer({ content: `it is ${key}` }), chatStream({ content: [`it is ${key}`] }));
    for (const stream of [false, true]) await (await gateway.chat({ stream })).text();
    assert.doesNotMatch(JSON.stringify(await gateway.ended(2)), /sk-provider/);
  });
});

for (const [status, outcome] of [
  [401, 'credentials_refused'],
  [404, 'target_misconfigured'],
] as const) {
  it(`an answer of ${status} is logged as an error too, with the upstream that somebody must look at`, async (t) => {
    const { gateway, upstream } = await serve(t);
    upstream.enqueue(apiError(status, { message: 'no such model', code: 'model_not_found' }));
    await gateway.chat();
    const fields = { upstream: 'a/up#1', outcome, status, error: 'no such model' };
    assert.deepEqual(gateway.logs, [{ level: 'error', message: 'upstream refuses us', fields }]);
  });
}

it('what nobody needs to see is not logged', async (t) => {
  const { gateway } = await serve(t, { models: { m: { provider: 'a', model: 'up' } } });
  await gateway.chat();
  assert.deepEqual(gateway.logs, []);
});
