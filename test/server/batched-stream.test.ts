import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerOptions, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { it, type TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BatchedStream } from '../../src/server/batched-stream.ts';
import { turns, until, untilStill } from '../support/rig.ts';

const KIB = 1024;
const ENOUGH = 64 * KIB;

interface Begun {
  stream: BatchedStream;
  response: ServerResponse;
  client: Socket;
  /** What the stream told: how often each. */
  told: { ended: number; backlog: number; room: number; drained: number };
}

/** A streamed answer to a client that does not read before it is told to. */
async function begin(t: TestContext, options: ServerOptions = {}): Promise<Begun> {
  const server = createServer(options);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
  client.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
  const [, response] = (await once(server, 'request')) as [unknown, ServerResponse];
  response.writeHead(200);
  t.after(() => {
    client.destroy();
    server.close();
  });
  const told = { ended: 0, backlog: 0, room: 0, drained: 0 };
  response.on('drain', () => told.drained++);
  const stream = new BatchedStream(response, {
    ended: () => void told.ended++,
    backlog: () => void told.backlog++,
    room: () => void told.room++,
  });
  return { stream, response, client, told };
}

/** Writes as much as it is let, a piece in each turn. */
async function fill({ stream, response }: Begun, piece: () => Buffer): Promise<void> {
  for (;;) {
    const more = stream.write(piece());
    await turns(2);
    if (!more && response.writableNeedDrain) return;
  }
}

it('what is written in one turn goes out in one piece, in its order', async (t) => {
  const begun = await begin(t);
  for (const text of ['one ', 'two ', 'three']) begun.stream.write(Buffer.from(text));
  const [bytes] = (await once(begun.client, 'data')) as [Buffer];
  assert.match(bytes.toString(), /\r\n\r\nd\r\none two three\r\n$/);
});

it('a turn that brings much is told to wait, and to go on as soon as the client has taken it', async (t) => {
  const begun = await begin(t);
  begun.client.resume();
  assert.equal(begun.stream.write(Buffer.alloc(ENOUGH - 1)), true);
  assert.equal(begun.stream.write(Buffer.alloc(1)), false);
  await until(() => begun.told.room + begun.told.drained > 0);
});

it('where nothing has to wait for the client, one that was told to wait hears that there is room', async (t) => {
  // A response that takes more than we let wait has nothing to say when that is through.
  const begun = await begin(t, { highWaterMark: 16 * ENOUGH });
  begun.client.resume();
  assert.equal(begun.stream.write(Buffer.alloc(ENOUGH)), false);
  await turns(10);
  assert.deepEqual(begun.told, { ended: 0, backlog: 0, room: 1, drained: 0 });
});

it('of what a client does not take, little waits', async (t) => {
  const begun = await begin(t);
  const piece = Buffer.alloc(10 * KIB);
  await fill(begun, () => piece);
  const waiting = begun.response.writableLength;
  assert.ok(waiting >= ENOUGH && waiting < ENOUGH + 2 * piece.length + KIB, `${waiting} bytes wait`);
  assert.ok(begun.told.backlog > 0);
});

it('what waits keeps no other memory alive than its own', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const memory = async () => {
    let least = Number.POSITIVE_INFINITY;
    for (let look = 0; look < 10; look++) {
      collect();
      await turns(20);
      least = Math.min(least, process.memoryUsage().arrayBuffers);
    }
    return least;
  };
  const clients = 20;
  const all = await Promise.all(Array.from({ length: clients }, () => begin(t)));
  const before = await memory();
  // Each piece is a small part of a large read.
  const read = 512 * KIB;
  for (const begun of all) await fill(begun, () => Buffer.allocUnsafeSlow(read).subarray(0, 10 * KIB));
  const each = ((await memory()) - before) / clients;
  // One may be on its way into the socket as it is.
  assert.ok(each < 2 * read, `${each} bytes for each client`);
});

it('the end comes after all that was written', async (t) => {
  const begun = await begin(t);
  begun.stream.write(Buffer.alloc(10 * KIB, 'a'));
  begun.stream.write(Buffer.from('last'));
  begun.stream.end();
  let text = '';
  begun.client.on('data', (bytes: Buffer) => {
    text += bytes.toString('latin1');
  });
  await until(() => text.endsWith('alast\r\n0\r\n\r\n'));
  assert.equal(begun.told.ended, 1);
});

it('to a client that has left, nothing is written, and nobody is told to wait', async (t) => {
  const begun = await begin(t);
  begun.client.destroy();
  await until(() => begun.response.destroyed);
  assert.equal(begun.stream.write(Buffer.alloc(2 * ENOUGH)), true);
  await untilStill(() => begun.response.writableLength, 10);
  assert.equal(begun.told.room + begun.told.backlog, 0);
});
