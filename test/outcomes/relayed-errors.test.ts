import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { apiError, htmlPage, plain, type Script, stream } from '../support/upstream.ts';
import { ask, onlyLine, openGateway, openUpstream, provider } from './helpers.ts';

async function relayed(t: TestContext, answer: Script, streaming = false) {
  const a = await openUpstream(t, () => answer);
  const gateway = await openGateway(t, {
    providers: { a: provider(a) },
    models: { m: { provider: 'a', model: 'real' } },
  });
  const seen = await ask(gateway, { stream: streaming });
  assert.equal(seen.headers.get('x-spillway-target'), 'a/real');
  assert.equal(seen.headers.get('content-type'), 'application/json');
  assert.equal((await onlyLine(gateway)).target, 'a/real');
  return seen;
}

describe("The upstream's own error", () => {
  for (const streaming of [false, true]) {
    it(`goes to the client as it is if it has OpenAI's shape (${streaming ? 'a stream' : 'a plain call'})`, async (t) => {
      const text =
        '{ "error": {"message":"Kein Wert für \\u00fc","type":"t","param":"p","code":null, "more": [1.0]},\n"id":1e2}';
      const seen = await relayed(
        t,
        plain({ status: 422, text, headers: { 'content-type': 'application/json' } }),
        streaming,
      );
      assert.equal(seen.status, 422);
      assert.equal(seen.text, text);
    });
  }

  it('brings no headers of the upstream along', async (t) => {
    const theirs = {
      'set-cookie': 'session=1',
      server: 'nginx',
      'openai-organization': 'org-1',
      'openai-processing-ms': '12',
      'x-ratelimit-limit-requests': '100',
      'x-ratelimit-remaining-requests': '99',
      'retry-after': '5',
      'x-should-retry': 'true',
      'x-request-id': 'theirs',
      'cf-ray': '1',
      'access-control-allow-origin': '*',
    };
    const { headers } = await relayed(t, apiError(400, {}, theirs));
    assert.deepEqual([...headers.keys()].sort(), [
      'connection',
      'content-length',
      'content-type',
      'date',
      'keep-alive',
      'x-request-id',
      'x-should-retry',
      'x-spillway-attempts',
      'x-spillway-target',
    ]);
    assert.equal(headers.get('x-should-retry'), 'false');
    assert.notEqual(headers.get('x-request-id'), 'theirs');
  });

  it("has its words put into OpenAI's shape if it has another", async (t) => {
    const shapes: [number, object, object][] = [
      [
        400,
        { code: 'Client specified an invalid argument', error: 'temperature must be at most 2' },
        { message: 'temperature must be at most 2', code: 'Client specified an invalid argument' },
      ],
      [
        400,
        { object: 'error', message: 'n must be 1', type: 'BadRequestError', param: 'n', code: 400 },
        { message: 'n must be 1', type: 'BadRequestError', param: 'n', code: '400' },
      ],
      [422, { detail: [{ msg: 'Field required' }] }, { message: '[{"msg":"Field required"}]' }],
      [400, { error: { reason: 'x' } }, { message: '{"reason":"x"}' }],
    ];
    for (const [status, body, expected] of shapes) {
      const seen = await relayed(t, plain({ status, json: body }));
      assert.equal(seen.status, status);
      assert.deepEqual(seen.error, {
        type: 'invalid_request_error',
        param: null,
        code: 'invalid_value',
        ...expected,
      });
    }
  });

  it("is told in OpenAI's shape if it was a page", async (t) => {
    const seen = await relayed(t, htmlPage(413));
    assert.equal(seen.status, 413);
    assert.equal(seen.error?.type, 'invalid_request_error');
    assert.match(seen.error?.message ?? '', /^HTTP 413: <!doctype html>/);
  });

  it('keeps what a filter says of its reasons', async (t) => {
    const error = {
      message: 'filtered',
      type: null,
      param: 'prompt',
      code: 'content_filter',
      innererror: {
        code: 'ResponsibleAIPolicyViolation',
        content_filter_result: { hate: { filtered: true } },
      },
    };
    const seen = await relayed(t, plain({ status: 400, json: { error } }));
    assert.deepEqual(JSON.parse(seen.text), { error });
  });

  it('has the status that it names if it came with 200', async (t) => {
    const error = { message: 'flagged', code: 403, metadata: { reasons: ['violence'] } };
    for (const streaming of [false, true]) {
      const answer = streaming ? stream([{ error }]) : plain({ json: { error } });
      const seen = await relayed(t, answer, streaming);
      assert.equal(seen.status, 403);
      assert.deepEqual(JSON.parse(seen.text), { error });
    }
    const unnamed = await relayed(t, plain({ json: { error: 'content_policy_violation' } }));
    assert.equal(unnamed.status, 400);
    assert.equal(unnamed.error?.code, 'content_policy_violation');
  });
});
