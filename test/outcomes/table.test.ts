import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { FailureKind } from '../../src/core/outcome.ts';
import {
  apiError,
  close,
  head,
  htmlPage,
  plain,
  refusedPort,
  reset,
  type Script,
  script,
  silence,
  stream,
  write,
} from '../support/upstream.ts';
import {
  ask,
  attemptsMetric,
  onlyLine,
  openGateway,
  openUpstream,
  PacedClock,
  provider,
  rowOf,
  type Seen,
  triesOf,
} from './helpers.ts';

/** One way to fail, and what the contract's table says of it. */
interface Row {
  name: string;
  /** Null: nobody listens. */
  answer: ((streaming: boolean) => Script) | null;
  only?: 'streaming' | 'plain';
  /** Milliseconds of silence after which the try is given up. */
  silentFor?: number;
  outcome: FailureKind;
  /** Of the try, in the log. */
  status: number | null;
  again: boolean;
  next: boolean;
  breaker: boolean;
  end: {
    status: number;
    code: string;
    shouldRetry: 'false' | null;
    retryAfter: string | null;
    /** The upstream's own words are passed on. */
    relayed?: true;
  };
}

const NOBODY_ELSES_FAULT = { again: false, next: false, breaker: false } as const;
const ELSEWHERE = { again: false, next: true, breaker: false } as const;
const TRANSIENT = { again: true, next: true, breaker: true } as const;
const SILENT = { again: false, next: true, breaker: true } as const;

const BAD_GATEWAY = { status: 502, code: 'upstream_error', shouldRetry: 'false', retryAfter: null } as const;
const TIMED_OUT = { status: 504, code: 'upstream_timeout', shouldRetry: 'false', retryAfter: null } as const;
const UNHEALTHY = { status: 503, code: 'no_healthy_upstream', shouldRetry: null, retryAfter: '1' } as const;

/** Status 200 and the first half of an answer. */
const half = (streaming: boolean, ...ending: Script[]): Script =>
  streaming
    ? script(
        head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' }),
        write('5\r\n: hi\n\r\n'),
        ending,
      )
    : script(
        head(200, { 'content-type': 'application/json', 'content-length': '1000' }),
        write('{"id":'),
        ending,
      );

/** An error with status 200: the body of a plain answer, the first event of a stream. */
const inBand = (streaming: boolean, error: object): Script =>
  streaming ? stream([': hello', { error }]) : plain({ json: { error } });

const refusals = [400, 405, 413, 415, 422].map(
  (status): Row => ({
    name: `invalid request (${status})`,
    answer: () => apiError(status, { message: 'no such thing', type: 'invalid_request_error', code: 'bad' }),
    outcome: 'invalid_request',
    status,
    ...NOBODY_ELSES_FAULT,
    end: { status, code: 'bad', shouldRetry: 'false', retryAfter: null, relayed: true },
  }),
);

const serverErrors = [500, 502, 504, 408, 409, 424, 425].map(
  (status): Row => ({
    name: `server error (${status})`,
    answer: () => apiError(status),
    outcome: 'server_error',
    status,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  }),
);

const ROWS: Row[] = [
  ...refusals,
  {
    name: 'invalid request (404 for something that the client named)',
    answer: () =>
      apiError(404, { message: 'No such file: file-1', type: 'invalid_request_error', code: 'gone' }),
    outcome: 'invalid_request',
    status: 404,
    ...NOBODY_ELSES_FAULT,
    end: { status: 404, code: 'gone', shouldRetry: 'false', retryAfter: null, relayed: true },
  },
  {
    name: 'context too long',
    answer: () => apiError(400, { message: 'too many messages', code: 'context_length_exceeded' }),
    outcome: 'context_too_long',
    status: 400,
    ...ELSEWHERE,
    end: { status: 400, code: 'context_length_exceeded', shouldRetry: 'false', retryAfter: null },
  },
  {
    name: 'content filtered',
    answer: () => apiError(400, { message: 'not that', code: 'content_policy_violation' }),
    outcome: 'content_filtered',
    status: 400,
    ...NOBODY_ELSES_FAULT,
    end: {
      status: 400,
      code: 'content_policy_violation',
      shouldRetry: 'false',
      retryAfter: null,
      relayed: true,
    },
  },
  {
    name: 'target misconfigured (404, no such model)',
    answer: () => apiError(404, { message: 'The model m does not exist', code: 'model_not_found' }),
    outcome: 'target_misconfigured',
    status: 404,
    ...ELSEWHERE,
    end: BAD_GATEWAY,
  },
  {
    name: 'target misconfigured (404 without an error of the host)',
    answer: () => htmlPage(404),
    outcome: 'target_misconfigured',
    status: 404,
    ...ELSEWHERE,
    end: BAD_GATEWAY,
  },
  {
    name: 'target misconfigured (redirect)',
    answer: () => plain({ status: 307, text: '', headers: { location: 'https://example.com/' } }),
    outcome: 'target_misconfigured',
    status: 307,
    ...ELSEWHERE,
    end: BAD_GATEWAY,
  },
  {
    name: 'target misconfigured (400 about our key)',
    answer: () => apiError(400, { message: 'API key not valid. Please pass a valid API key.' }),
    outcome: 'target_misconfigured',
    status: 400,
    ...ELSEWHERE,
    end: BAD_GATEWAY,
  },
  ...[401, 403].map(
    (status): Row => ({
      name: `credentials refused (${status})`,
      answer: () => apiError(status, { code: 'invalid_api_key' }),
      outcome: 'credentials_refused',
      status,
      ...ELSEWHERE,
      end: { status: 502, code: 'upstream_auth_error', shouldRetry: 'false', retryAfter: null },
    }),
  ),
  ...[
    { status: 402, code: null },
    { status: 429, code: 'insufficient_quota' },
  ].map(
    ({ status, code }): Row => ({
      name: `out of credit (${status})`,
      answer: () => apiError(status, { code }),
      outcome: 'out_of_credit',
      status,
      ...ELSEWHERE,
      end: { status: 502, code: 'upstream_out_of_credit', shouldRetry: 'false', retryAfter: null },
    }),
  ),
  {
    name: 'rate limited without a word on how long',
    answer: () => apiError(429, { code: 'rate_limit_exceeded' }),
    outcome: 'rate_limited',
    status: 429,
    again: true,
    next: true,
    breaker: false,
    end: { status: 429, code: 'upstream_rate_limited', shouldRetry: null, retryAfter: '4' },
  },
  {
    name: 'rate limited for longer than anyone waits',
    answer: () => apiError(429, { code: 'rate_limit_exceeded' }, { 'retry-after': '61' }),
    outcome: 'rate_limited',
    status: 429,
    ...ELSEWHERE,
    end: { status: 429, code: 'upstream_rate_limited', shouldRetry: 'false', retryAfter: '61' },
  },
  ...[503, 529].map(
    (status): Row => ({
      name: `overloaded (${status})`,
      answer: () => apiError(status),
      outcome: 'overloaded',
      status,
      ...TRANSIENT,
      end: UNHEALTHY,
    }),
  ),
  ...serverErrors,
  {
    name: 'server error that `retry.on_status_codes` does not list (520)',
    answer: () => apiError(520),
    outcome: 'server_error',
    status: 520,
    ...TRANSIENT,
    again: false,
    end: BAD_GATEWAY,
  },
  {
    name: 'server error (502, an HTML page of a proxy)',
    answer: () => htmlPage(502),
    outcome: 'server_error',
    status: 502,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'server error whose body breaks off',
    answer: () => script(head(500, { 'content-length': '100' }), write('{"error":'), reset()),
    outcome: 'server_error',
    status: 500,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'server error whose body does not come',
    answer: () => script(head(500, { 'content-length': '100' }), silence()),
    silentFor: 25_000,
    outcome: 'server_error',
    status: 500,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'connection refused',
    answer: null,
    outcome: 'connection_failed',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'connection reset before an answer',
    answer: () => reset(),
    outcome: 'connection_failed',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'connection closed before an answer',
    answer: () => close(),
    outcome: 'connection_failed',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'an answer that is no HTTP',
    answer: () => script(write('220 mail.example.com ESMTP\r\n\r\n'), close()),
    outcome: 'connection_failed',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'no first token in time',
    only: 'streaming',
    answer: () => silence(),
    silentFor: 30_000,
    outcome: 'timeout',
    status: null,
    ...SILENT,
    end: TIMED_OUT,
  },
  {
    name: 'no answer within `attempt`',
    only: 'plain',
    answer: () => silence(),
    silentFor: 300_000,
    outcome: 'timeout',
    status: null,
    ...SILENT,
    end: TIMED_OUT,
  },
  {
    name: 'headers and then silence',
    answer: (streaming) => half(streaming, silence()),
    silentFor: 25_000,
    outcome: 'broken_body',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'a body that is reset',
    answer: (streaming) => half(streaming, reset()),
    outcome: 'broken_body',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'a body shorter than its length',
    answer: (streaming) => half(streaming, close()),
    outcome: 'broken_body',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'a whole body that is no whole answer',
    answer: (streaming) => (streaming ? stream([': hi'], { done: false }) : plain({ json: { id: 'x' } })),
    outcome: 'broken_body',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'an answer without a choice',
    answer: (streaming) =>
      streaming ? stream([{ choices: [] }]) : plain({ json: { id: 'x', choices: [] } }),
    outcome: 'broken_body',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'a body that is cut in the middle of its JSON',
    answer: (streaming) =>
      streaming
        ? stream(['data: {"choices":[{"index":0,"delta":{"con'], { done: false })
        : plain({ text: '{"choices":[{"index":0,', headers: { 'content-type': 'application/json' } }),
    outcome: 'broken_body',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'an empty body with status 200',
    answer: () => plain({ text: '' }),
    outcome: 'broken_body',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'an HTML page with status 200',
    answer: () => htmlPage(200),
    outcome: 'broken_body',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'an error with status 200 that names nothing known',
    answer: (streaming) => inBand(streaming, { message: 'oh no' }),
    outcome: 'broken_body',
    status: null,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'a rate limit with status 200',
    answer: (streaming) => inBand(streaming, { message: 'slow', code: 429 }),
    outcome: 'rate_limited',
    status: 429,
    again: true,
    next: true,
    breaker: false,
    end: { status: 429, code: 'upstream_rate_limited', shouldRetry: null, retryAfter: '4' },
  },
  {
    name: 'an overload with status 200',
    answer: (streaming) => inBand(streaming, { message: 'busy', type: 'overloaded_error' }),
    outcome: 'overloaded',
    status: 529,
    ...TRANSIENT,
    end: UNHEALTHY,
  },
  {
    name: 'a server error with status 200',
    answer: (streaming) => inBand(streaming, { message: 'sorry', type: 'server_error' }),
    outcome: 'server_error',
    status: 500,
    ...TRANSIENT,
    end: BAD_GATEWAY,
  },
  {
    name: 'a context that is too long with status 200',
    answer: (streaming) =>
      inBand(streaming, { message: 'prompt is too long: 9 > 8', type: 'invalid_request_error' }),
    outcome: 'context_too_long',
    status: 400,
    ...ELSEWHERE,
    end: { status: 400, code: 'context_length_exceeded', shouldRetry: 'false', retryAfter: null },
  },
  {
    name: 'a context that is too long with status 200, in words alone',
    answer: (streaming) => inBand(streaming, { message: "this model's maximum context length is 8" }),
    outcome: 'context_too_long',
    status: null,
    ...ELSEWHERE,
    end: { status: 400, code: 'context_length_exceeded', shouldRetry: 'false', retryAfter: null },
  },
  {
    name: 'an invalid request with status 200',
    answer: (streaming) => inBand(streaming, { message: 'no', type: 'invalid_request_error', code: 'bad' }),
    outcome: 'invalid_request',
    status: 400,
    ...NOBODY_ELSES_FAULT,
    end: { status: 400, code: 'bad', shouldRetry: 'false', retryAfter: null, relayed: true },
  },
  {
    name: 'a refused key with status 200',
    answer: (streaming) => inBand(streaming, { message: 'who?', type: 'authentication_error' }),
    outcome: 'credentials_refused',
    status: 401,
    ...ELSEWHERE,
    end: { status: 502, code: 'upstream_auth_error', shouldRetry: 'false', retryAfter: null },
  },
  {
    name: 'an empty account with status 200',
    answer: (streaming) => inBand(streaming, { message: 'pay', code: 402 }),
    outcome: 'out_of_credit',
    status: 402,
    ...ELSEWHERE,
    end: { status: 502, code: 'upstream_out_of_credit', shouldRetry: 'false', retryAfter: null },
  },
];

const ATTEMPTS = 2;

/** What the operator has to mend. */
const LOGGED = new Set<FailureKind>(['target_misconfigured', 'credentials_refused', 'out_of_credit']);

async function scene(t: TestContext, row: Row, streaming: boolean, targets: object[]) {
  const clock = new PacedClock();
  const { answer } = row;
  const a =
    answer === null
      ? { url: `http://127.0.0.1:${await refusedPort()}/v1`, requests: [] }
      : await openUpstream(t, (request) => answer(request.json()['stream'] === true));
  const b = await openUpstream(t);
  const gateway = await openGateway(
    t,
    {
      providers: { a: provider(a), b: provider(b) },
      models: { m: { strategy: { mode: 'fallback' }, targets } },
      defaults: { timeouts: { idle: '25s' } },
    },
    { clock },
  );

  /** Asks once, and lets time pass whenever the upstream has been asked. */
  async function askThroughSilence(): Promise<Seen> {
    let over = false;
    const seen = ask(gateway, { stream: streaming }).finally(() => {
      over = true;
    });
    let waited = 0;
    while (!over) {
      await new Promise(setImmediate);
      if (row.silentFor === undefined || a.requests.length === waited) continue;
      waited = a.requests.length;
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      clock.advance(row.silentFor);
    }
    return seen;
  }
  return { a, b, gateway, ask: askThroughSilence };
}

for (const row of ROWS) {
  for (const streaming of [false, true]) {
    if (row.only !== undefined && streaming !== (row.only === 'streaming')) continue;
    const form = streaming ? 'a stream' : 'a plain call';

    describe(`${row.name}, of ${form}`, () => {
      // Where there is no room for a stream, there may be some for a whole answer.
      const whole = streaming && row.outcome === 'overloaded' ? 1 : 0;
      const tries = (row.again ? 1 + ATTEMPTS : 1) + whole;

      it(`is ${row.again ? '' : 'not '}tried again, and ends in ${row.end.status} ${row.end.code}`, async (t) => {
        const alone = await scene(t, row, streaming, [{ provider: 'a', retry: { attempts: ATTEMPTS } }]);
        const seen = await alone.ask();

        assert.equal(seen.status, row.end.status);
        assert.equal(seen.error?.code, row.end.code);
        assert.equal(seen.headers.get('content-type'), 'application/json');
        assert.equal(seen.headers.get('x-should-retry'), row.end.shouldRetry);
        assert.equal(seen.headers.get('retry-after'), row.end.retryAfter);
        assert.equal(seen.headers.has('retry-after-ms'), row.end.retryAfter !== null);
        assert.equal(seen.headers.get('x-spillway-attempts'), String(tries));
        assert.equal(seen.headers.get('x-spillway-target'), row.end.relayed ? 'a/m' : null);
        assert.ok(seen.headers.get('x-request-id'));
        if (!row.end.relayed && row.outcome !== 'context_too_long') {
          const status = row.status === null ? '' : ` (HTTP ${row.status})`;
          const story = `a/m: ${tries === 1 ? '1 try' : `${tries} tries`}, ${row.outcome.replaceAll('_', ' ')}${status}`;
          assert.ok(seen.error?.message.includes(story), `${seen.error?.message}\ndoes not say: ${story}`);
        }

        const line = await onlyLine(alone.gateway);
        assert.deepEqual(triesOf(line), new Array(tries).fill(`a/m ${row.outcome} ${row.status ?? '-'}`));
        assert.equal(line.status, row.end.status);
        assert.equal(line.outcome, row.outcome);
        assert.equal(line.target, row.end.relayed ? 'a/m' : null);
        assert.equal(await attemptsMetric(alone.gateway, 'a', row.outcome), tries);
        if (row.answer !== null) assert.equal(alone.a.requests.length, tries);
        const errors = alone.gateway.logs.filter(({ level }) => level === 'error');
        assert.deepEqual(
          errors.map(({ fields }) => fields['outcome']),
          LOGGED.has(row.outcome) ? [row.outcome] : [],
        );
      });

      it(`${row.next ? 'goes on' : 'does not go on'} to the next target; the breaker counts ${row.breaker ? 'a failure' : 'nothing'}`, async (t) => {
        const pair = await scene(t, row, streaming, [
          { provider: 'a', retry: { attempts: 0 }, breaker: { consecutive_failures: 1 } },
          { provider: 'b' },
        ]);
        const seen = await pair.ask();

        assert.equal(pair.b.requests.length, row.next ? 1 : 0);
        assert.equal(seen.status, row.next ? 200 : row.end.status);
        assert.equal(seen.headers.get('x-spillway-attempts'), row.next ? '2' : '1');
        assert.equal(seen.headers.get('x-spillway-target'), row.next ? 'b/m' : 'a/m');
        const line = await onlyLine(pair.gateway);
        assert.deepEqual(triesOf(line), [
          `a/m ${row.outcome} ${row.status ?? '-'}`,
          ...(row.next ? ['b/m ok 200'] : []),
        ]);
        assert.equal(await attemptsMetric(pair.gateway, 'a', row.outcome), 1);
        assert.equal(await attemptsMetric(pair.gateway, 'b', 'ok'), row.next ? 1 : 0);
        const upstream = await rowOf(pair.gateway, 'a/m#1');
        assert.equal(upstream.breaker, row.breaker ? 'open' : 'closed');
        assert.equal(upstream.opens, row.breaker ? 1 : 0);
        assert.equal(upstream.in_flight, 0);
      });
    });
  }
}
