import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { openScene } from '../../relay/helpers.ts';
import { PROVIDER_KEY, readEvents, startRig } from '../../support/rig.ts';
import { plain, stream } from '../../support/upstream.ts';
import { CALLS, FILTER_ERROR, TEXT } from './recorded.ts';

const BODY = { model: 'm', stream: true, messages: [{ role: 'user', content: 'Hi' }] };

const scene = (t: TestContext, provider: object = {}) =>
  openScene(t, { provider: { adapter: 'azure', ...provider } });

describe('Azure behind the gateway', () => {
  it('streams without the chunk of nothing, and with all that its filters say', async (t) => {
    const rig = await startRig(t, { provider: { adapter: 'azure' } });
    rig.upstream.enqueue(stream([...TEXT, 'data: [DONE]']));
    const text = await (await rig.stream()).rest();
    const { chunks, content, done } = readEvents(text);
    assert.equal(content, 'Grüße aus Ulm.');
    assert.equal(done, true);
    assert.ok(!text.includes('prompt_filter_results'));
    assert.ok(
      chunks.every((chunk) => chunk.choices.every(({ delta }: { delta?: object }) => delta !== undefined)),
    );
    assert.equal(text.split('content_filter_offsets').length, 3);
    const [request] = rig.upstream.requests;
    assert.equal(request?.path, '/v1/chat/completions');
    assert.equal(request?.headers['api-key'], PROVIDER_KEY);
    assert.equal(request?.headers['authorization'], undefined);
    assert.deepEqual(request?.json()['stream_options'], { include_usage: true });
  });

  it('streams calls whole', async (t) => {
    const { upstream, post } = await scene(t);
    upstream.enqueue(stream([...CALLS, 'data: [DONE]']));
    const seen = await post(JSON.stringify(BODY));
    const pieces = [...seen.text.matchAll(/"arguments":"((?:[^"\\]|\\.)*)"/g)].map(([, text]) =>
      JSON.parse(`"${text}"`),
    );
    assert.equal(pieces.join(''), '{"city":"Ulm"}{}');
  });

  it('tells of a filter as the error that it is, also after it has begun', async (t) => {
    const { upstream, post } = await scene(t);
    upstream.enqueue(stream(FILTER_ERROR));
    const begun = await post(JSON.stringify(BODY));
    assert.equal(readEvents(begun.text).done, false);
    assert.match(begun.text, /"error"/);
    const blocked = FILTER_ERROR[2] as object;
    upstream.enqueue(plain({ status: 400, json: blocked }));
    const refused = await post(JSON.stringify(BODY));
    assert.equal(refused.status, 400);
    assert.deepEqual(JSON.parse(refused.text), blocked);
  });

  it('is called by its deployments, with the version of the API in the query', async (t) => {
    const { upstream, post } = await scene(t, {
      api_version: '2025-04-01-preview',
      deployments: { up: 'mine' },
    });
    await post(JSON.stringify({ ...BODY, stream: false }));
    const [request] = upstream.requests;
    assert.match(
      request?.path ?? '',
      /^\/v1\/deployments\/mine\/chat\/completions\?api-version=2025-04-01-preview$/,
    );
  });
});
