import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../src/core/errors.ts';
import { countTokens, messages } from '../../../src/dialects/messages/messages.ts';
import { ASK, asBytes } from './kit.ts';

function refusal(read: () => unknown): { code: string; param: string | null; message: string } {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof ApiError);
    return { code: error.code, param: error.param, message: error.message };
  }
  throw new Error('it was taken');
}

test('a request says its model and whether it streams', () => {
  const plain = messages.read(asBytes(ASK));
  assert.equal(plain.model, 'smart');
  assert.equal(plain.streaming, false);
  assert.equal(plain.wantsUsage, true);
  assert.equal(plain.dialect, 'messages');
  assert.deepEqual(plain.body.value, ASK);
  assert.equal(messages.read(asBytes({ ...ASK, stream: true })).streaming, true);
  assert.equal(messages.read(asBytes({ ...ASK, stream: null })).streaming, false);
  assert.equal(messages.read(asBytes({ ...ASK, max_tokens: 0 })).model, 'smart');
});

test('what is missing is named', () => {
  for (const name of ['model', 'messages', 'max_tokens']) {
    for (const value of [undefined, null]) {
      const body = asBytes({ ...ASK, [name]: value });
      assert.deepEqual(
        refusal(() => messages.read(body)),
        {
          code: 'missing_required_parameter',
          param: name,
          message: `Missing required parameter: '${name}'.`,
        },
      );
    }
  }
  const noContent = asBytes({ ...ASK, messages: [{ role: 'user' }] });
  assert.equal(refusal(() => messages.read(noContent)).param, 'messages[0].content');
});

test('what is of the wrong type is named with what was expected', () => {
  const wrong: [object, string, RegExp][] = [
    [{ model: '' }, 'model', /a non-empty string/],
    [{ model: 7 }, 'model', /a non-empty string/],
    [{ messages: [] }, 'messages', /at least one message/],
    [{ messages: 'Hi' }, 'messages', /at least one message/],
    [{ messages: [{ role: 'user', content: 'a' }, 'b'] }, 'messages[1]', /an object/],
    [{ messages: [{ role: 'user', content: 5 }] }, 'messages[0].content', /a text or a list of blocks/],
    [{ max_tokens: '100' }, 'max_tokens', /a whole number/],
    [{ max_tokens: 1.5 }, 'max_tokens', /a whole number/],
    [{ max_tokens: -1 }, 'max_tokens', /a whole number/],
    [{ stream: 'yes' }, 'stream', /true or false/],
  ];
  for (const [change, param, expected] of wrong) {
    const said = refusal(() => messages.read(asBytes({ ...ASK, ...change })));
    assert.equal(said.code, 'invalid_value');
    assert.equal(said.param, param);
    assert.match(said.message, expected);
  }
});

test('what is no JSON object is refused', () => {
  assert.equal(refusal(() => messages.read(Buffer.from(''))).code, 'invalid_json');
  assert.equal(refusal(() => messages.read(Buffer.from('{'))).code, 'invalid_json');
  assert.equal(refusal(() => messages.read(Buffer.from('[]'))).code, 'invalid_value');
  const deep = `{"a":${'['.repeat(600)}${']'.repeat(600)}}`;
  assert.match(refusal(() => messages.read(Buffer.from(deep))).message, /nested deeper/);
});

test('whatever else there is passes unseen', () => {
  const odd = { ...ASK, thinking: 7, tools: 'none', system: { a: 1 } };
  assert.deepEqual(messages.read(asBytes(odd)).body.value, odd);
});

test('a question for tokens needs no limit, and is never streamed', () => {
  const asked = countTokens.read(asBytes({ model: 'smart', messages: ASK.messages, stream: true }));
  assert.equal(asked.dialect, 'count_tokens');
  assert.equal(asked.streaming, false);
  const plain = countTokens.read(asBytes({ model: 'smart', messages: ASK.messages }));
  assert.deepEqual(plain.chat().value, { model: 'smart', messages: ASK.messages });
  assert.equal(refusal(() => countTokens.read(asBytes({ model: 'smart' }))).param, 'messages');
});

test('a count of tokens passes as it is', () => {
  const request = countTokens.read(asBytes(ASK));
  const counted = { input_tokens: 12, context_management: null };
  assert.deepEqual(countTokens.answer(counted, request, 'id1'), counted);
});
