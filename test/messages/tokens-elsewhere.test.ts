import assert from 'node:assert/strict';
import { it } from 'node:test';
import { startGateway } from '../support/gateway.ts';
import { apiError, startUpstream } from '../support/upstream.ts';

it('tokens are estimated where a host that is like Anthropic does not count them', async (t) => {
  const upstream = await startUpstream();
  t.after(() => upstream.close());
  const gateway = await startGateway({
    providers: { p: { adapter: 'anthropic', base_url: upstream.url, api_key: 'sk-a' } },
    models: { m: { provider: 'p', model: 'claude-opus-5-5' } },
  });
  t.after(() => gateway.close());
  const ask = () =>
    fetch(`${gateway.url}/messages/count_tokens`, {
      method: 'POST',
      body: JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'word '.repeat(80) }] }),
    });
  upstream.enqueue(apiError(404));
  const estimated = await ask();
  assert.equal(estimated.status, 200);
  const { input_tokens: tokens } = (await estimated.json()) as { input_tokens: number };
  assert.ok(tokens > 50 && tokens < 200, String(tokens));
  upstream.enqueue(apiError(400));
  assert.equal((await ask()).status, 400, 'what it refuses is refused');
});
