import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startGateway } from '../support/gateway.ts';
import { chatAnswer, chatStream, startUpstream } from '../support/upstream.ts';

it("a model's name that cannot stand in a header does not cost the answer", async (t) => {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const gateway = await startGateway({
    providers: { a: { adapter: 'openai', base_url: upstream.url, api_key: 'key' } },
    direct_models: true,
  });
  t.after(() => gateway.close());
  for (const [name, told] of [
    ['a/模', 'a/%E6%A8%A1'],
    ['a/\ud800', 'a/%EF%BF%BD'],
    ['a/m', 'a/m'],
  ]) {
    for (const stream of [false, true]) {
      upstream.enqueue(stream ? chatStream() : chatAnswer());
      const response = await gateway.chat({ model: name, stream });
      assert.equal(response.status, 200, await response.text());
      assert.equal(response.headers.get('x-spillway-target'), told);
    }
  }
});
