import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { Connection, getBytes } from '../../bench/client.ts';
import { picture } from '../../bench/loads.ts';
import { probesDuring } from '../../bench/probes.ts';

/** A connection to a server that has `answer` answer each request: the how many-eth it is, too. */
async function probed(t: TestContext, answer: (response: ServerResponse, nth: number) => void) {
  let count = 0;
  const server = createServer((_request, response) => answer(response, ++count));
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const connection = new Connection(port);
  t.after(() => connection.close());
  return { connection, probe: getBytes(`http://127.0.0.1:${port}/v1/models`, {}) };
}

describe('probes', () => {
  it('go on until the work is over, and one that is under way then counts', async (t) => {
    const held = Promise.withResolvers<void>();
    const released = Promise.withResolvers<void>();
    const { connection, probe } = await probed(t, (response, nth) => {
      if (nth < 5) response.end('{}');
      else {
        held.resolve();
        void released.promise.then(() => response.end('{}'));
      }
    });
    let worked = 0;
    const waits = await probesDuring(connection, probe, async () => {
      await held.promise;
      const begun = performance.now();
      while (performance.now() < begun + 20) await new Promise((resolve) => setImmediate(resolve));
      worked = performance.now() - begun;
      released.resolve();
    });
    assert.equal(waits.length, 5);
    assert.ok((waits[4] as number) >= worked, `${waits}`);
  });

  it('are worth nothing where they are not answered, or their connection is gone', async (t) => {
    const refusing = await probed(t, (response) => void response.writeHead(503).end());
    const never = new Promise<void>(() => {});
    await assert.rejects(
      probesDuring(refusing.connection, refusing.probe, () => never),
      /not answered/,
    );
    const gone = await probed(t, (response) => void response.socket?.destroy());
    await assert.rejects(
      probesDuring(gone.connection, gone.probe, () => never),
      /not answered/,
    );
    await assert.rejects(
      probesDuring(gone.connection, gone.probe, () => never),
      /broke/,
    );
  });
});

it('a picture is JSON of exactly so many bytes, nearly all of them the image', () => {
  for (const size of [1000, 4097, 100_002]) {
    const body = picture(size);
    assert.equal(body.length, size);
    const asked = JSON.parse(body.toString()) as {
      messages: { content: { image_url?: { url: string } }[] }[];
    };
    const { url = '' } = asked.messages[0]?.content[1]?.image_url ?? {};
    assert.ok(url.length > size - 600, `${url.length} of ${size}`);
    assert.match(url.slice(-8), /^[A-Za-z0-9+/]+$/);
  }
});
