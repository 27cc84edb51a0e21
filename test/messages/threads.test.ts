/** Anthropic's SDK for Python has its tool runner begin a thread unasked, and go on from it by the id of the last answer. Bodies are as it sends them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { TestGateway } from '../support/gateway.ts';
import { apiError, chatAnswer, plain } from '../support/upstream.ts';
import { message, relayed } from './kit.ts';

const TOOL = {
  name: 'get_weather',
  description: 'Weather. Args: city: c',
  input_schema: {
    additionalProperties: false,
    properties: { city: { title: 'City', type: 'string' } },
    required: ['city'],
    type: 'object',
  },
};
const BEGUN = {
  max_tokens: 200,
  messages: [{ role: 'user', content: 'hello' }],
  model: 'm',
  thread: { type: 'create' },
  tools: [TOOL],
};
const RESULT = { type: 'tool_result', tool_use_id: 'call_1', content: '25' };
const CONTINUED = {
  max_tokens: 200,
  messages: [{ role: 'user', content: [RESULT] }],
  model: 'm',
  thread: { type: 'continue', previous_message_id: 'msg_1' },
};

function ask({ origin }: TestGateway, body: object): Promise<Response> {
  return fetch(`${origin}/v1/messages?beta=true`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'message-threads-2026-08-12',
    },
    body: JSON.stringify(body),
  });
}

/** Status, and the code by which the SDK sees whether to send the whole conversation instead. */
async function refusalOf(response: Response): Promise<[status: number, code: string | undefined]> {
  const { error } = (await response.json()) as { error: { details?: { error_code: string } } };
  return [response.status, error.details?.error_code];
}

test('a request that begins a thread is answered by a target that keeps none', async (t) => {
  const { gateway, openai } = await relayed(t);
  openai.enqueue(chatAnswer({ content: 'Yes' }));
  const response = await ask(gateway, BEGUN);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get('x-spillway-dropped'), 'thread');
  assert.equal((await openai.nextRequest()).json()['thread'], undefined);
});

test('one that goes on from a thread is refused by it as a thread that is lost, which has the SDK send all', async (t) => {
  const { gateway, openai } = await relayed(t);
  const response = await ask(gateway, CONTINUED);
  assert.deepEqual(await refusalOf(response), [400, 'thread_not_found']);
  assert.equal(openai.requests.length, 0);
});

test('a strict target says that it has no threads', async (t) => {
  const { gateway } = await relayed(t, {
    defaults: { strict_params: true },
  });
  assert.deepEqual(await refusalOf(await ask(gateway, BEGUN)), [400, 'thread_unsupported_request']);
});

test('what Anthropic says of a thread is told as it is, and to nobody else', async (t) => {
  const { gateway, claude, openai } = await relayed(t);
  for (const [status, type, code] of [
    [404, 'not_found_error', 'thread_not_found'],
    [409, 'conflict_error', 'thread_continue_in_flight'],
    [409, 'conflict_error', 'thread_already_continued'],
    [400, 'invalid_request_error', 'thread_unsupported_request'],
  ] as const) {
    const error = { type, message: 'The thread cannot be used.', details: { error_code: code } };
    claude.enqueue(plain({ status, json: { type: 'error', error, request_id: 'req_1' } }));
    const response = await ask(gateway, { ...CONTINUED, model: 'both' });
    assert.equal(response.headers.get('x-spillway-attempts'), '1');
    assert.deepEqual(await refusalOf(response), [status, code]);
  }
  claude.enqueue(plain({ json: message([{ type: 'text', text: 'Hello', citations: null }]) }));
  assert.equal((await ask(gateway, { ...CONTINUED, model: 'both' })).status, 200);
  assert.equal(openai.requests.length, 0);
});

test('no other error has such a code', async (t) => {
  const { gateway, openai } = await relayed(t);
  openai.enqueue(apiError(400, { code: 'invalid_value', param: 'tools' }));
  assert.deepEqual(await refusalOf(await ask(gateway, BEGUN)), [400, undefined]);
});
