import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readEvents, startRig } from '../support/rig.ts';
import { head, plain, type Script, script, stream, write } from '../support/upstream.ts';

const nested = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;

/** What an upstream may send in place of a stream, none of which is one. */
const NO_STREAM: Record<string, Script> = {
  'an error that is a text': plain({ json: { error: 'no' } }),
  'a text': plain({ text: 'Bad gateway' }),
  nothing: plain({ text: '' }),
  'nothing at all, with status 204': head(204),
  'an error nested deeper than can be printed': plain({
    bytes: Buffer.from(`{"error":{"x":${nested}}}`),
    headers: { 'content-type': 'application/json' },
  }),
  'an error event nested deeper than can be printed': stream([
    Buffer.from(`data: {"error":{"x":${nested}}}\n\n`),
  ]),
  'such an error event without its end': stream([Buffer.from(`data: {"error":{"x":${nested}}}`)], {
    done: false,
  }),
  'a status nobody knows': script(head(299, { 'content-length': '2' }), write('{}')),
};

/** What it may send in place of a plain answer. */
const NO_ANSWER: Record<string, Script> = {
  'an event stream with an error': stream([{ error: { message: 'no', code: 429 } }]),
  'a text': plain({ text: 'Bad gateway' }),
  nothing: plain({ text: '' }),
  'nothing at all, with status 204': head(204),
  'a list': plain({ json: [{ choices: [] }] }),
  'no choices': plain({ json: { object: 'chat.completion' } }),
};

describe('an upstream that was asked for a stream', () => {
  for (const [name, how] of Object.entries(NO_STREAM)) {
    it(`is passed over if it sends ${name}`, async (t) => {
      const rig = await startRig(t, { second: true });
      rig.upstream.enqueue(how);
      assert.ok(readEvents(await (await rig.stream()).rest()).done);
      assert.deepEqual(
        (await rig.line()).tries.map((made) => made.outcome),
        ['broken_body', 'ok'],
      );
      await rig.nothingLeft();
    });
  }
});

describe('an upstream that was asked for a plain answer', () => {
  for (const [name, how] of Object.entries(NO_ANSWER)) {
    it(`is passed over if it sends ${name}`, async (t) => {
      const rig = await startRig(t, { second: true });
      rig.upstream.enqueue(how);
      const response = await rig.gateway.chat();
      assert.equal(response.status, 200, await response.clone().text());
      assert.deepEqual(
        (await rig.line()).tries.map((made) => made.outcome),
        ['broken_body', 'ok'],
      );
      await rig.nothingLeft();
    });
  }

  it('is known by its status if its error is nested deeper than can be printed', async (t) => {
    const rig = await startRig(t, { second: true });
    const bytes = Buffer.from(`{"error":{"x":${nested}}}`);
    rig.upstream.enqueue(plain({ status: 503, bytes, headers: { 'content-type': 'application/json' } }));
    assert.equal((await rig.gateway.chat()).status, 200);
    assert.deepEqual(
      (await rig.line()).tries.map((made) => [made.outcome, made.status]),
      [
        ['overloaded', 503],
        ['ok', 200],
      ],
    );
    await rig.nothingLeft();
  });
});
