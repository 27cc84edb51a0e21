import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { it, type TestContext } from 'node:test';
import { openLoop } from '../../bench/open-loop.ts';

/** A server that answers at once, and how many requests came on each of its connections. */
async function counting(t: TestContext) {
  const requests = new Map<Socket, number>();
  const server = createServer((request, response) => {
    request.resume();
    response.end('whole');
  });
  server.on('connection', (socket) => requests.set(socket, 0));
  server.on('request', ({ socket }) => requests.set(socket, (requests.get(socket) ?? 0) + 1));
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    requests,
    asked: { url: `http://127.0.0.1:${port}/`, headers: {}, body: Buffer.from('{}') },
  };
}

it('a fixed rate comes on all of its connections in turn, so that each process that shares them out has its part', async (t) => {
  const { requests, asked } = await counting(t);
  const { failed } = await openLoop(asked, 1000, 0.4, 8);
  assert.equal(failed, 0);
  // More are opened where answers were late for once.
  const counts = [...requests.values()].slice(0, 8);
  assert.equal(counts.length, 8);
  assert.ok(Math.min(...counts) >= 10, counts.join(' '));
});
