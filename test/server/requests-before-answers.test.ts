import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RawClient } from '../support/raw-http.ts';
import { silence } from '../support/upstream.ts';
import { chatBody, chatHead, serve } from './helpers.ts';

const CHAT = chatHead({ 'content-length': Buffer.byteLength(chatBody()) }) + chatBody();
const NOTHING_THERE = 'GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n';

describe('requests that come before the answer to the one before them', () => {
  it('are answered one after the other, a hundred of them', async (t) => {
    const { gateway } = await serve(t);
    for (let time = 0; time < 3; time++) {
      const client = await RawClient.connect(gateway.url);
      await client.send(CHAT + NOTHING_THERE.repeat(100));
      assert.equal((await client.response()).status, 200);
      for (let answer = 0; answer < 100; answer++) assert.equal((await client.response()).status, 404);
      // Those that have been answered do not count.
      await client.send(CHAT + NOTHING_THERE.repeat(100));
      assert.equal((await client.response()).status, 200);
      client.destroy();
    }
  });

  it('end their connection where there are more, and nothing more is done for it', async (t) => {
    const { gateway, upstream } = await serve(t);
    upstream.enqueue(silence());
    const client = await RawClient.connect(gateway.url);
    await client.send(CHAT);
    await upstream.waitFor(1);
    await client.send(NOTHING_THERE.repeat(1000) + CHAT);
    assert.equal(await client.rest(), '');
    await gateway.app.drain();
    const statuses = gateway.requests.map(({ status }) => status);
    assert.equal(statuses.filter((status) => status === 404).length, 100);
    assert.equal(upstream.requests.length, 1);
  });
});
