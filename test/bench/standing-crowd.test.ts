import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it, type TestContext } from 'node:test';
import { StandingCrowd } from '../../bench/standing-crowd.ts';

/** So often a second that each look at the clock finds something due. */
const RATE = 2000;

interface Served {
  crowd: StandingCrowd;
  connections(): number;
  /** Resolves at so many requests. */
  came(requests: number): Promise<void>;
}

/** A crowd on some connections before a server that has `answer` answer: the how many-eth it is, too. */
async function served(
  t: TestContext,
  connections: number,
  answer: (response: ServerResponse, nth: number) => void,
): Promise<Served> {
  let count = 0;
  let opened = 0;
  const waiting: { requests: number; resolve: () => void }[] = [];
  const server = createServer((request: IncomingMessage, response) => {
    request.resume();
    answer(response, ++count);
    for (const { requests, resolve } of waiting) if (count >= requests) resolve();
  });
  server.on('connection', () => opened++);
  server.listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/`;
  const crowd = await StandingCrowd.open({ url, headers: {}, body: Buffer.from('{}') }, connections);
  t.after(() => crowd.close());
  return {
    crowd,
    connections: () => opened,
    came: (requests) => new Promise((resolve) => waiting.push({ requests, resolve })),
  };
}

it('all of its connections stand before it begins, and it asks on no others', async (t) => {
  const { crowd, connections, came } = await served(t, 120, (response) => void response.end('whole'));
  assert.equal(connections(), 120);
  const enough = came(300);
  crowd.begin(RATE);
  await enough;
  assert.equal(connections(), 120);
});

it('what is due while no connection is free is counted and never sent', async (t) => {
  const unanswered: ServerResponse[] = [];
  const { crowd, came } = await served(t, 4, (response) => void unanswered.push(response));
  const all = came(4);
  crowd.begin(RATE);
  await all;
  while (crowd.tally().unsent < 20) await new Promise((resolve) => setImmediate(resolve));
  const { sent, answered } = crowd.tally();
  assert.deepEqual([unanswered.length, sent, answered], [4, 4, 0]);
});

it('whoever was refused asks again all the same; an error is no refusal, and no answer', async (t) => {
  const { crowd, came } = await served(t, 3, (response, nth) => {
    if (nth % 3 === 0) response.writeHead(503, { 'retry-after': '60' }).end('{}');
    else if (nth % 3 === 1) response.writeHead(503).end('{}');
    else response.end('whole');
  });
  const enough = came(30);
  crowd.begin(RATE);
  await enough;
  const { sent, answered, refused, failed } = crowd.tally();
  assert.ok(sent >= 30, `${sent}`);
  // Those under way have yet to be counted.
  for (const one of [answered, refused, failed]) assert.ok(one >= 8, `${answered} ${refused} ${failed}`);
});

it('a connection that was closed is replaced', async (t) => {
  const { crowd, connections, came } = await served(t, 2, (response, nth) => {
    if (nth <= 2) response.socket?.destroy();
    else response.end('whole');
  });
  const enough = came(10);
  crowd.begin(RATE);
  await enough;
  assert.equal(connections(), 4);
  assert.equal(crowd.tally().failed, 2);
});
