import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { RawClient } from '../support/raw-http.ts';
import { chatRequest, untilStill } from '../support/rig.ts';
import { chunk, head, plain, type Script, script, write } from '../support/upstream.ts';
import { openScene } from './helpers.ts';

const MB = 1024 * 1024;

/** A short name for many bytes, so that a failure can be read. */
function digest(bytes: Uint8Array | string): string {
  return `${Buffer.byteLength(bytes)} ${createHash('sha256').update(bytes).digest('hex')}`;
}

describe('an answer of 5 MB', () => {
  const answer = Buffer.from(
    `{"object": "chat.completion",\n"x": 1e400, "choices": [{"index":0,"message":{"role":"assistant","content":"${'Größe \\u00fc 🎈 '.repeat(300_000)}"}}]}\r\n`,
  );
  assert.ok(answer.length > 5 * MB);
  const type = { 'content-type': 'application/json' };
  const ways: Record<string, Script> = {
    'with its length': plain({ bytes: answer, headers: type }),
    'in chunks that cut its letters': script(
      head(200, { ...type, 'transfer-encoding': 'chunked' }),
      ...Array.from({ length: Math.ceil(answer.length / 65_537) }, (_, at) =>
        write(chunk(answer.subarray(at * 65_537, (at + 1) * 65_537))),
      ),
      write('0\r\n\r\n'),
    ),
    'up to the end of its connection': script(
      head(200, { ...type, connection: 'close' }),
      write(answer),
      (exchange) => exchange.end('fin'),
    ),
  };
  for (const [way, answered] of Object.entries(ways)) {
    it(`comes byte for byte: ${way}`, async (t) => {
      const { upstream, gateway } = await openScene(t);
      upstream.enqueue(answered);
      const response = await gateway.chat();
      assert.equal(response.headers.get('content-length'), String(answer.length));
      assert.equal(digest(Buffer.from(await response.arrayBuffer())), digest(answer));
    });

    it(`comes byte for byte to one who reads late: ${way}`, async (t) => {
      const { upstream, gateway } = await openScene(t);
      upstream.enqueue(answered);
      const client = await RawClient.connect(gateway.origin);
      client.pause();
      await client.send(chatRequest({}, { connection: 'close' }));
      const request = await upstream.nextRequest();
      await request.answered;
      await untilStill(() => client.waiting);
      client.resume();
      const response = await client.response();
      assert.equal(digest(response.body), digest(answer));
    });
  }
});
