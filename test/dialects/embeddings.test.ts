import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type OpenAI from 'openai';
import { ApiError } from '../../src/core/errors.ts';
import { embeddings } from '../../src/dialects/embeddings.ts';
import type { Unsupported } from '../../src/providers/adapter.ts';

type Input = OpenAI.EmbeddingCreateParams['input'];

function read(body: unknown) {
  return embeddings.read(Buffer.from(JSON.stringify(body)));
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

describe('a request for embeddings is read', () => {
  it('in each form of its input', () => {
    const inputs: Input[] = ['x', ['x', 'y'], [1, 0, 2 ** 31], [[1], [2, 3]]];
    for (const input of inputs) {
      const request = read({ model: 'm', input, dimensions: 8, stream: true });
      assert.equal(request.dialect, 'embeddings');
      assert.equal(request.model, 'm');
      assert.equal(request.streaming, false);
      assert.deepEqual(request.body.value['input'], input);
    }
  });

  it('and names the field that is wrong', () => {
    const cases: [unknown, string, string | null][] = [
      [[], 'invalid_value', null],
      [{ input: 'x' }, 'missing_required_parameter', 'model'],
      [{ model: '', input: 'x' }, 'invalid_value', 'model'],
      [{ model: 5, input: 'x' }, 'invalid_value', 'model'],
      [{ model: 'm' }, 'missing_required_parameter', 'input'],
      [{ model: 'm', input: null }, 'missing_required_parameter', 'input'],
      ...['', [], {}, 5, true].map((input): [unknown, string, string] => [
        { model: 'm', input },
        'invalid_value',
        'input',
      ]),
      ...[[''], [null], [[]], [-1], [1.5], [{}], [['x']], [[-1]]].map((input): [unknown, string, string] => [
        { model: 'm', input },
        'invalid_value',
        'input[0]',
      ]),
      ...[
        ['x', 5],
        ['x', ''],
        ['x', ['y']],
        [1, 'x'],
        [1, [2]],
        [[1], 'x'],
        [[1], []],
        [[1], [1, null]],
      ].map((input): [unknown, string, string] => [{ model: 'm', input }, 'invalid_value', 'input[1]']),
    ];
    for (const [body, code, param] of cases) {
      assert.deepEqual(refused(body), { code, param }, JSON.stringify(body));
    }
  });

  it('says what is the matter with a list', () => {
    const message = (input: unknown) => {
      try {
        read({ model: 'm', input });
      } catch (error) {
        return (error as Error).message;
      }
      return null;
    };
    assert.match(message(['x', '']) ?? '', /not empty/);
    assert.match(message(['x', 5]) ?? '', /same kind/);
    assert.match(message([{}]) ?? '', /a string or token ids/);
  });
});

describe('embeddings', () => {
  it('are no chat, so a target without them is passed over', () => {
    const request = read({ model: 'm', input: 'x' });
    assert.throws(() => request.chat(), {
      name: 'Unsupported',
      param: 'model',
      message: "This model's targets have no embeddings.",
    } satisfies Partial<Unsupported>);
  });

  it('are relayed, never translated', () => {
    const request = read({ model: 'm', input: 'x' });
    assert.throws(() => embeddings.answer({}, request, 'id'), /nothing to translate/);
    assert.throws(() => embeddings.presenter(request, 'id', 0), /no stream/);
  });

  it('have OpenAI’s errors', () => {
    const error = { message: 'No.', type: 't', param: 'input', code: 'c' };
    assert.deepEqual(embeddings.error(error, 400, 'req'), { error });
  });
});
