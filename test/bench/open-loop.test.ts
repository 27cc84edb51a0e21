import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { it, type TestContext } from 'node:test';
import type { Asked } from '../../bench/client.ts';
import { openLoop } from '../../bench/open-loop.ts';

interface Served {
  /** How many requests came on each connection. */
  requests: Map<Socket, number>;
  asked: Asked;
}

/** A server that has `answer` answer; at once unless said. */
async function counting(
  t: TestContext,
  answer = (response: ServerResponse, _served: Served) => void response.end('whole'),
): Promise<Served> {
  const requests = new Map<Socket, number>();
  const server = createServer((request, response) => {
    request.resume();
    answer(response, served);
  });
  server.on('connection', (socket) => requests.set(socket, 0));
  server.on('request', ({ socket }) => requests.set(socket, (requests.get(socket) ?? 0) + 1));
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const served = {
    requests,
    asked: { url: `http://127.0.0.1:${port}/`, headers: {}, body: Buffer.from('{}') },
  };
  return served;
}

it('a fixed rate comes on all of its connections in turn, so that each process that shares them out has its part', async (t) => {
  const { requests, asked } = await counting(t);
  const { failed } = await openLoop(asked, 1000, 0.4, 8);
  assert.equal(failed, 0);
  // More are opened where answers were late for once; but none gets more than its eighth, or little more where another one was late.
  const counts = [...requests.values()];
  assert.ok(counts.length >= 8);
  assert.ok(Math.max(...counts) <= 100, counts.join(' '));
});

it('whoever stood still is asked on no more connections than a listener keeps, and works off what came meanwhile', async (t) => {
  let standing: ServerResponse[] | null = [];
  const { requests, asked } = await counting(t, (response) => {
    if (standing === null) response.end('whole');
    else if (standing.push(response) === 500) {
      for (const one of standing) one.end('whole');
      standing = null;
    }
  });
  const { failed, latencies } = await openLoop(asked, 2000, 0.4);
  assert.deepEqual([requests.size, failed, latencies.length], [500, 0, 200]);
});

it('a connection that was closed while nothing was asked on it is not asked again', async (t) => {
  const { asked } = await counting(t, (response) => {
    response.end('whole', () => response.socket?.end());
  });
  const { failed } = await openLoop(asked, 20, 0.5);
  // One that is asked and closed in the same moment fails. Of those closed before, every second request would.
  assert.ok(failed <= 2, `${failed} of 10`);
});
