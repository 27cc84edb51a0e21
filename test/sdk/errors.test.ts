import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import type OpenAI from 'openai';
import {
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
} from 'openai';
import { AIMOCK_ANSWERS } from '../support/aimock.ts';
import {
  apiError,
  chatAnswer,
  chatStream,
  close,
  Gate,
  htmlPage,
  pauseUntil,
  reset,
  type Script,
  silence,
} from '../support/upstream.ts';
import { says, sdk, throughAimock, throughStandIn } from './through.ts';

const HELLO = { model: 'm', messages: says('hello') };

/** The error that a call ends with. */
async function errorOf(call: Promise<unknown>): Promise<APIError> {
  const error = await call.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof APIError, String(error));
  return error;
}

describe('the official SDK throws', () => {
  const sha256 = createHash('sha256').update('sk-known').digest('hex');
  const TENANTS = {
    auth: 'keys',
    models: { m: { provider: 'a', model: 'up' }, other: { provider: 'a', model: 'up' } },
    tenants: [{ id: 'acme', models: ['m'], keys: [{ id: 'ci', sha256: `sha256:${sha256}` }] }],
  };

  it('AuthenticationError for a key that nobody has', async (t) => {
    const { gateway } = await throughAimock(t, TENANTS);
    const error = await errorOf(sdk(gateway, { apiKey: 'sk-unknown' }).chat.completions.create(HELLO));
    assert.ok(error instanceof AuthenticationError);
    assert.deepEqual(
      [error.status, error.code, error.type],
      [401, 'invalid_api_key', 'invalid_request_error'],
    );
    assert.ok(!error.message.includes('sk-unknown'));
    assert.match(error.requestID ?? '', /./);
  });

  it('PermissionDeniedError for a model that the key may not use', async (t) => {
    const { gateway } = await throughAimock(t, TENANTS);
    const client = sdk(gateway, { apiKey: 'sk-known' });
    assert.ok((await client.chat.completions.create(HELLO)).id);
    const error = await errorOf(client.chat.completions.create({ ...HELLO, model: 'other' }));
    assert.ok(error instanceof PermissionDeniedError);
    assert.deepEqual([error.status, error.code, error.type], [403, 'model_not_allowed', 'permission_error']);
  });

  it('NotFoundError for a model that is none', async (t) => {
    const { client } = await throughAimock(t);
    const calls = [
      () => client.chat.completions.create({ ...HELLO, model: 'nothing' }),
      () => client.models.retrieve('nothing'),
    ];
    for (const call of calls) {
      const error = await errorOf(call());
      assert.ok(error instanceof NotFoundError);
      assert.deepEqual([error.code, error.param], ['model_not_found', 'model']);
    }
  });

  it('BadRequestError where the request is at fault', async (t) => {
    const { client } = await throughAimock(t);
    const error = await errorOf(client.chat.completions.create({ model: 'm' } as typeof HELLO));
    assert.ok(error instanceof BadRequestError);
    assert.deepEqual([error.code, error.param], ['missing_required_parameter', 'messages']);
  });

  it("BadRequestError with the upstream's own words", async (t) => {
    const { client } = await throughAimock(t);
    for (const stream of [false, true]) {
      const call = client.chat.completions.create({ model: 'm', messages: says('bad request'), stream });
      const error = await errorOf(call as Promise<unknown>);
      assert.ok(error instanceof BadRequestError);
      assert.equal(error.code, 'invalid_value');
      assert.match(error.message, /Invalid value/);
    }
  });

  it('RateLimitError where the upstream is rate limited', async (t) => {
    const { client } = await throughAimock(t);
    const error = await errorOf(
      client.chat.completions.create({ model: 'm', messages: says('rate limited') }),
    );
    assert.ok(error instanceof RateLimitError);
    assert.deepEqual([error.code, error.type], ['upstream_rate_limited', 'rate_limit_error']);
    assert.match(error.headers.get('retry-after') ?? '', /^[1-9]\d*$/);
  });

  it('InternalServerError with 503 where it is overloaded', async (t) => {
    const { client } = await throughAimock(t);
    const error = await errorOf(client.chat.completions.create({ model: 'm', messages: says('overloaded') }));
    assert.ok(error instanceof InternalServerError);
    assert.deepEqual([error.status, error.code], [503, 'no_healthy_upstream']);
    assert.match(error.message, /a\/gpt-6-sol: 1 try, overloaded \(HTTP 503\)/);
  });

  const BAD: Record<string, { how: Script; status: number; code: string }> = {
    'an error': { how: apiError(500), status: 502, code: 'upstream_error' },
    'a page': { how: htmlPage(200), status: 502, code: 'upstream_error' },
    'a reset': { how: reset(), status: 502, code: 'upstream_error' },
    'refused credentials': { how: apiError(401), status: 502, code: 'upstream_auth_error' },
    silence: { how: silence(), status: 504, code: 'upstream_timeout' },
  };
  for (const [name, { how, status, code }] of Object.entries(BAD)) {
    it(`InternalServerError with ${status} after ${name}, and does not try again`, async (t) => {
      const target = { provider: 'a', model: 'up', retry: { attempts: 0 }, timeouts: { attempt: '150ms' } };
      const { gateway, upstream } = await throughStandIn(t, { models: { m: target } });
      upstream.reply(() => how);
      const error = await errorOf(sdk(gateway, { maxRetries: 2 }).chat.completions.create(HELLO));
      assert.ok(error instanceof InternalServerError);
      assert.deepEqual([error.status, error.code, error.type], [status, code, 'server_error']);
      assert.match(error.message, /Tried: a\/up: 1 try, /);
      assert.equal(error.headers.get('x-should-retry'), 'false');
      assert.equal(gateway.requests.length, 1);
      assert.equal(upstream.requests.length, 1);
    });
  }
});

type Told = Pick<Response, 'status' | 'headers'>;

/** An SDK that waits no longer than it is told to, and notes what it was told. */
function patient(gateway: Parameters<typeof sdk>[0], answers: Told[]): OpenAI {
  return sdk(gateway, {
    maxRetries: 2,
    fetch: async (...args) => {
      const response = await fetch(...args);
      const { status, headers } = response;
      answers.push({ status, headers });
      return response;
    },
  });
}

describe('the official SDK tries again', () => {
  it('after 429 of every target, when it is told to', async (t) => {
    const { gateway, upstream } = await throughStandIn(t);
    upstream.enqueue(apiError(429, {}, { 'retry-after-ms': '20' }));
    const answers: Told[] = [];
    const answer = await patient(gateway, answers).chat.completions.create(HELLO);
    assert.equal(answer.choices[0]?.message.content, 'Hello from upstream.');
    assert.deepEqual(
      answers.map(({ status }) => status),
      [429, 200],
    );
    assert.equal(answers[0]?.headers.get('x-should-retry'), null);
    assert.equal(answers[0]?.headers.get('retry-after'), '1');
    assert.equal(upstream.requests.length, 2);
  });

  it('after 503 of a gateway that is full', async (t) => {
    const { gateway, upstream } = await throughStandIn(t, { server: { max_in_flight: 1 } });
    const gate = new Gate();
    upstream.enqueue([pauseUntil(gate), chatAnswer()] as Script);
    const answers: Told[] = [];
    const first = sdk(gateway).chat.completions.create(HELLO);
    await gate.reached(1);
    const second = patient(gateway, answers).chat.completions.create(HELLO);
    const [refused] = await gateway.ended(1);
    assert.equal(refused?.status, 503);
    gate.open();
    await first;
    assert.equal((await second).choices[0]?.message.content, 'Hello from upstream.');
    assert.deepEqual(
      answers.map(({ status }) => status),
      [503, 200],
    );
    assert.match(answers[0]?.headers.get('retry-after') ?? '', /^[12]$/);
  });

  it('not when the wait is over a minute', async (t) => {
    const { gateway, upstream } = await throughStandIn(t);
    upstream.reply(() => apiError(429, {}, { 'retry-after': '90' }));
    const answers: Told[] = [];
    const error = await errorOf(patient(gateway, answers).chat.completions.create(HELLO));
    assert.ok(error instanceof RateLimitError);
    assert.equal(answers.length, 1);
  });
});

describe('a stream that is cut upstream', () => {
  const story = { model: 'm', messages: says('cut off'), stream: true as const };

  it('throws in the official SDK', async (t) => {
    const { client } = await throughAimock(t);
    let content = '';
    const read = async () => {
      for await (const event of await client.chat.completions.create(story)) {
        assert.equal(event.choices[0]?.finish_reason ?? null, null);
        content += event.choices[0]?.delta.content ?? '';
      }
    };
    const error = await errorOf(read());
    // The mock resets the connection, which may overtake all that it had sent.
    assert.equal(error.code, content === '' ? 'upstream_error' : 'stream_interrupted');
    assert.ok(AIMOCK_ANSWERS.story.startsWith(content) && content !== AIMOCK_ANSWERS.story);
  });

  for (const [name, how] of Object.entries({ closed: close(), reset: reset() })) {
    it(`is no whole answer to its helper where it was ${name}`, async (t) => {
      const { client, upstream } = await throughStandIn(t);
      upstream.reply(() => chatStream({ content: ['Once', how] }));
      const stream = client.chat.completions.stream({ model: 'm', messages: says('story') });
      const error = await errorOf(stream.finalChatCompletion());
      assert.match(error.message, /stream|interrupted|broke/i);
    });
  }
});
