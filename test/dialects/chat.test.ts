import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ApiError } from '../../src/core/errors.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { chat } from '../../src/dialects/chat.ts';
import type { ClientRequest } from '../../src/dialects/dialect.ts';

const MESSAGES = [{ role: 'user', content: 'Hi' }];

function read(body: unknown): ClientRequest {
  return chat.read(Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)));
}

function refused(body: unknown): { code: string; param: string | null } {
  try {
    read(body);
  } catch (error) {
    assert.ok(error instanceof ApiError, String(error));
    return { code: error.code, param: error.param };
  }
  assert.fail('it was taken');
}

describe('a chat request is read', () => {
  it('as far as a relay must understand it', () => {
    const request = read({ model: 'm', messages: MESSAGES, stream: true, other: 1 });
    assert.equal(request.dialect, 'chat');
    assert.equal(request.model, 'm');
    assert.equal(request.streaming, true);
    assert.equal(request.wantsUsage, false);
    assert.equal(request.chat(), request.body);
    const asking = read({ model: 'm', messages: MESSAGES, stream_options: { include_usage: true } });
    assert.equal(asking.streaming, false);
    assert.equal(asking.wantsUsage, true);
  });

  it('and names the field that is wrong', () => {
    const right = { model: 'm', messages: MESSAGES };
    const cases: [unknown, string, string | null][] = [
      ['', 'invalid_json', null],
      ['{', 'invalid_json', null],
      ['5', 'invalid_value', null],
      [{ messages: MESSAGES }, 'missing_required_parameter', 'model'],
      [{ ...right, model: '' }, 'invalid_value', 'model'],
      [{ ...right, model: null }, 'invalid_value', 'model'],
      [{ model: 'm' }, 'missing_required_parameter', 'messages'],
      [{ ...right, messages: [] }, 'invalid_value', 'messages'],
      [{ ...right, messages: 'x' }, 'invalid_value', 'messages'],
      [{ ...right, messages: [{}, 5] }, 'invalid_value', 'messages[1]'],
      [{ ...right, stream: 1 }, 'invalid_value', 'stream'],
      [{ ...right, stream_options: [] }, 'invalid_value', 'stream_options'],
      [{ ...right, max_tokens: '5' }, 'invalid_value', 'max_tokens'],
      [{ ...right, max_completion_tokens: '5' }, 'invalid_value', 'max_completion_tokens'],
      [{ ...right, n: '2' }, 'invalid_value', 'n'],
    ];
    for (const [body, code, param] of cases) {
      assert.deepEqual(refused(body), { code, param }, JSON.stringify(body));
    }
  });
});

describe('a chat is answered', () => {
  const chunk: JsonObject = { id: 'c', choices: [{ index: 0, delta: { content: 'x' } }] };
  const usage: JsonObject = { id: 'c', choices: [], usage: { prompt_tokens: 1 } };
  const asked = (include_usage: boolean) =>
    read({ model: 'm', messages: MESSAGES, stream: true, stream_options: { include_usage } });

  it('with the completion as it is', () => {
    const completion = { id: 'c' };
    assert.equal(chat.answer(completion, asked(false), 'id'), completion);
  });

  it('with its chunks as they are, and the end mark', () => {
    const presenter = chat.presenter(asked(false), 'id', 0);
    assert.equal(presenter.chunk(chunk)?.toString(), `data: ${JSON.stringify(chunk)}\n\n`);
    assert.equal(presenter.end(false)?.toString(), 'data: [DONE]\n\n');
    assert.equal(presenter.end(true)?.toString(), 'data: [DONE]\n\n');
    assert.equal(presenter.ping.toString(), ': ping\n\n');
  });

  it('with the usage chunk if it was asked for', () => {
    assert.equal(chat.presenter(asked(false), 'id', 0).chunk(usage), null);
    const both = { ...chunk, usage: { prompt_tokens: 1 } };
    assert.notEqual(chat.presenter(asked(false), 'id', 0).chunk(both), null);
    assert.equal(
      chat.presenter(asked(true), 'id', 0).chunk(usage)?.toString(),
      `data: ${JSON.stringify(usage)}\n\n`,
    );
  });

  it('with an error that the SDKs know for one', () => {
    const error = { message: 'It broke.', type: 'server_error', code: 'stream_interrupted' };
    const body = { error: { message: 'It broke.', type: 'server_error', param: null, code: error.code } };
    assert.equal(
      chat.presenter(asked(false), 'id', 0).error(error).toString(),
      `data: ${JSON.stringify(body)}\n\n`,
    );
    assert.deepEqual(chat.error({ ...error, param: null }, 502, 'req'), body);
  });
});
