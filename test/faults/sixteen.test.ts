import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  apiError,
  chatEvents,
  chatStream,
  chunk,
  close,
  reset,
  type Script,
  silence,
  stream,
  type UpstreamRequest,
  write,
} from '../support/upstream.ts';
import {
  ANSWER,
  after,
  costOf,
  good,
  type IdleClock,
  type Seen,
  type Stage,
  startStage,
  TOKENS,
  USAGE,
} from './stage.ts';

/** What one calls for: the fault, and what the client must see of it. */
interface Case {
  name: string;
  /** Only where the fault can be had so. */
  only?: 'streamed' | 'plain';
  first(request: UpstreamRequest, clock: IdleClock, count: number): Script;
  second?(request: UpstreamRequest): Script;
  defaults?: object;
  /** Whose answer it is, or how the error is. */
  answeredBy?: 'first' | 'second';
  error?: { status: number; code: string };
  /** At most, in milliseconds. */
  within?: number;
  atLeast?: number;
  /** Tries that each target sees. */
  tries: [first: number | ((count: number) => boolean), second: number];
}

const isStreamed = (request: UpstreamRequest) => request.json()['stream'] === true;
const TOO_LONG = { code: 'context_length_exceeded', message: 'maximum context length is 8192 tokens' };

const CASES: readonly Case[] = [
  {
    name: '429 with Retry-After: 2 once, then fine',
    first: (request, _, count) =>
      count === 1
        ? apiError(429, { code: 'rate_limit_exceeded' }, { 'retry-after': '2' })
        : good('first', request),
    answeredBy: 'first',
    atLeast: 2000,
    within: 2600,
    tries: [2, 0],
  },
  {
    name: '429 for ever',
    first: () => apiError(429, { code: 'rate_limit_exceeded' }),
    answeredBy: 'second',
    within: 3000,
    tries: [(count) => count >= 1 && count <= 4, 1],
  },
  {
    name: '500 once',
    first: (request, _, count) => (count === 1 ? apiError(500) : good('first', request)),
    answeredBy: 'first',
    within: 1000,
    tries: [2, 0],
  },
  {
    name: '503 for ever',
    first: () => apiError(503),
    answeredBy: 'second',
    within: 3000,
    tries: [(count) => count <= 4, 1],
  },
  {
    name: 'a reset before headers',
    first: () => reset(),
    answeredBy: 'second',
    within: 3000,
    tries: [3, 1],
  },
  {
    name: 'no answer at all',
    only: 'streamed',
    first: () => silence(),
    defaults: { timeouts: { first_token: '10s' } },
    answeredBy: 'second',
    within: 11_000,
    tries: [1, 1],
  },
  {
    name: 'no answer at all',
    only: 'plain',
    first: () => silence(),
    defaults: { timeouts: { attempt: '10s' } },
    answeredBy: 'second',
    within: 11_000,
    tries: [1, 1],
  },
  {
    name: 'the first token after 20 s',
    only: 'streamed',
    first: (request, clock) => [after(clock, 20_000), good('first', request)],
    defaults: { timeouts: { first_token: '10s' } },
    answeredBy: 'second',
    within: 15_000,
    tries: [1, 1],
  },
  {
    name: 'a plain answer after 20 s, which is no fault',
    only: 'plain',
    first: (request, clock) => [after(clock, 20_000), good('first', request)],
    defaults: { timeouts: { first_token: '10s' } },
    answeredBy: 'first',
    within: 20_100,
    tries: [1, 0],
  },
  {
    name: 'a stream cut after 40 of 60 tokens',
    only: 'streamed',
    first: () => chatStream({ model: 'first-model', content: [...TOKENS.slice(0, 40), reset()] }),
    answeredBy: 'first',
    within: 1000,
    tries: [1, 1],
  },
  {
    name: 'a plain answer cut in the middle',
    only: 'plain',
    first: () => [
      write(
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n{"id":"x","choices":[{"mess',
      ),
      reset(),
    ],
    answeredBy: 'second',
    within: 3000,
    tries: [3, 1],
  },
  {
    name: 'a stream silent after 20 tokens',
    only: 'streamed',
    first: () => chatStream({ model: 'first-model', content: [...TOKENS.slice(0, 20), silence()] }),
    defaults: { timeouts: { idle: '5s' } },
    answeredBy: 'first',
    within: 6000,
    tries: [1, 1],
  },
  {
    name: 'an event that is not JSON in mid-stream',
    only: 'streamed',
    first: () =>
      chatStream({
        model: 'first-model',
        usage: USAGE.first,
        content: [...TOKENS.slice(0, 30), write(chunk('data: {"id\n\n')), ...TOKENS.slice(30)],
      }),
    answeredBy: 'first',
    within: 100,
    tries: [1, 0],
  },
  {
    name: 'no [DONE]',
    only: 'streamed',
    first: (request) => good('first', request, { done: false }),
    answeredBy: 'first',
    within: 100,
    tries: [1, 0],
  },
  {
    name: 'no [DONE], and the connection stays open',
    only: 'streamed',
    first: (request) => {
      const answer = { content: TOKENS, usage: USAGE.first, model: 'first-model' };
      return stream([...chatEvents(answer, request), silence()]);
    },
    answeredBy: 'first',
    within: 100,
    tries: [1, 0],
  },
  {
    name: 'a context that is too long',
    first: () => apiError(400, TOO_LONG),
    answeredBy: 'second',
    within: 100,
    tries: [1, 1],
  },
  {
    name: 'a content filter',
    first: () => apiError(400, { code: 'content_filter', message: 'The response was filtered.' }),
    error: { status: 400, code: 'content_filter' },
    within: 100,
    tries: [1, 0],
  },
  {
    name: 'a cut, with a second target that refuses prefill',
    only: 'streamed',
    first: () => chatStream({ model: 'first-model', content: [...TOKENS.slice(0, 40), close()] }),
    second: (request) => {
      const messages = request.json<{ messages: { role: string }[] }>().messages;
      return messages.at(-1)?.role === 'assistant'
        ? apiError(400, { message: 'This model does not support assistant message prefill.' })
        : good('second', request);
    },
    answeredBy: 'first',
    within: 1000,
    tries: [1, 1],
  },
];

function check(stage: Stage, seen: Seen, { answeredBy, error, within, atLeast = 0, tries }: Case): void {
  const line = stage.line();
  const counts = [stage.first.requests.length, stage.second.requests.length];
  if (answeredBy !== undefined) {
    assert.equal(seen.status, 200, JSON.stringify(seen.error));
    assert.equal(seen.error, null);
    assert.equal(seen.text, ANSWER);
    assert.deepEqual([seen.finish, seen.whole], ['stop', true]);
    assert.equal(seen.ids.size <= 1, true, 'one answer has one id');
    assert.equal(seen.model, `${answeredBy}-model`);
    assert.equal(seen.headers.get('x-spillway-target'), `${answeredBy}/${answeredBy}-model`);
    assert.equal(line.target, `${answeredBy}/${answeredBy}-model`);
    assert.equal(line.outcome, 'ok');
    if (tries[1] === 0 || answeredBy === 'second') {
      const { prompt_tokens: input, completion_tokens: output } = USAGE[answeredBy];
      assert.deepEqual([seen.usage?.prompt_tokens, seen.usage?.completion_tokens], [input, output]);
      assert.deepEqual([line.tokens?.input, line.tokens?.output], [input, output]);
      assert.equal(line.cost_usd, costOf(answeredBy));
    } else {
      // Written by both: the client is told what it has, as the log is.
      assert.equal(seen.usage?.prompt_tokens, line.tokens?.input);
      assert.equal(seen.usage?.completion_tokens, line.tokens?.output);
      assert.ok((line.cost_usd ?? 0) > 0);
    }
  } else {
    assert.deepEqual([seen.status, seen.error?.code], [error?.status, error?.code]);
    assert.equal(seen.text, '');
  }
  assert.ok(seen.took >= atLeast, `it took only ${seen.took} ms`);
  assert.ok(seen.took <= (within ?? 0), `it took ${seen.took} ms`);
  const [first, second] = tries;
  assert.ok(
    typeof first === 'number' ? counts[0] === first : first(counts[0] ?? 0),
    `${counts[0]} tries on the first`,
  );
  assert.equal(counts[1], second);
}

for (const mode of ['streamed', 'plain'] as const) {
  describe(`${mode}, with a working second target`, () => {
    for (const one of CASES.filter(({ only }) => only === undefined || only === mode)) {
      it(one.name, async (t) => {
        const { first, second, defaults = {} } = one;
        const stage = await startStage(t, first, {
          defaults,
          ...(second === undefined ? {} : { second }),
        });
        const streaming = { stream: true, stream_options: { include_usage: true } };
        const seen = await stage.ask(mode === 'streamed' ? streaming : {});
        check(stage, seen, one);
        // And afterwards it is as well as before.
        stage.first.reply((request) => good('first', request));
        await stage.pass(60_000);
        const next = await stage.ask();
        assert.deepEqual([next.status, next.text, next.model], [200, ANSWER, 'first-model']);
        assert.equal(await stage.gateway.metric('spillway_in_flight'), 0);
        assert.ok(isStreamed(stage.first.requests[0] as UpstreamRequest) === (mode === 'streamed'));
      });
    }
  });
}
