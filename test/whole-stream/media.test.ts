import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openHost, PNG_64 } from '../media/kit.ts';
import { startGateway } from '../support/gateway.ts';

describe('a whole answer that is asked for in place of a stream', () => {
  it('is asked for with what the request names by URL, where the host does not fetch it', async (t) => {
    const host = await openHost(t);
    const asked: { path: string; body: string }[] = [];
    const gemini = await openHost(t, async (request, response) => {
      const pieces: Buffer[] = [];
      for await (const piece of request) pieces.push(piece as Buffer);
      const path = request.url ?? '';
      asked.push({ path, body: Buffer.concat(pieces).toString() });
      response.setHeader('content-type', 'application/json');
      if (path.includes('stream')) response.writeHead(503).end('{"error":{"code":503,"message":"full"}}');
      else {
        const candidates = [
          { content: { role: 'model', parts: [{ text: 'A cat.' }] }, finishReason: 'STOP' },
        ];
        response.end(JSON.stringify({ candidates }));
      }
    });
    const config = {
      providers: { gemini: { adapter: 'gemini', base_url: gemini.url, api_key: 'key' } },
      models: { m: { provider: 'gemini', model: 'gemini-3.5-flash', retry: { attempts: 0 } } },
    };
    const gateway = await startGateway(config, { media: { allow: ['127.0.0.1'] } });
    t.after(() => gateway.close());
    const content = [{ type: 'image_url', image_url: { url: `${host.url}/cat.png` } }];
    const response = await gateway.chat({ stream: true, messages: [{ role: 'user', content }] });
    const text = await response.text();
    assert.equal(response.status, 200, text);
    assert.equal(response.headers.get('x-spillway-stream'), 'whole');
    assert.match(text, /A cat\./);
    assert.deepEqual(
      asked.map(({ path, body }) => [path.includes('stream'), body.includes(PNG_64)]),
      [
        [true, true],
        [false, true],
      ],
    );
  });
});
