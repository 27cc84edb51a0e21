import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { inOneWrite } from '../../src/upstream/one-write.ts';

type Piece = [text: string, encoding: BufferEncoding] | [bytes: Buffer];

/** What comes at the other end of what is written in these pieces, and how many of the writes were of one piece. */
async function written(t: TestContext, pieces: readonly Piece[]) {
  const server = createServer();
  t.after(() => server.close());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const socket = inOneWrite(connect((server.address() as AddressInfo).port, '127.0.0.1'));
  const [other] = (await once(server, 'connection')) as [Socket];
  const { _write: write } = socket;
  let writes = 0;
  socket._write = (...args) => {
    writes++;
    write.apply(socket, args);
  };
  socket.cork();
  for (const [chunk, encoding] of pieces) {
    if (typeof chunk === 'string') socket.write(chunk, encoding);
    else socket.write(chunk);
  }
  socket.uncork();
  socket.end();
  return { bytes: await buffer(other), writes };
}

const HEAD: Piece = ['POST / HTTP/1.1\r\nx-name: M\xfcller\r\n\r\n', 'latin1'];
const HEAD_BYTES = Buffer.from(HEAD[0], 'latin1');

describe('what is written in pieces', () => {
  it('goes out in one where it is short, byte for byte', async (t) => {
    const body = Buffer.from([...Array(256).keys()]);
    const { bytes, writes } = await written(t, [HEAD, [body]]);
    assert.deepEqual(bytes, Buffer.concat([HEAD_BYTES, body]));
    assert.equal(writes, 1);
  });

  it('goes out as it is where it is long', async (t) => {
    const body = Buffer.alloc(40_000, 'é');
    const { bytes, writes } = await written(t, [HEAD, [body]]);
    assert.deepEqual(bytes, Buffer.concat([HEAD_BYTES, body]));
    assert.equal(writes, 0);
  });

  it('goes out as it is where a text is more than a character for each byte', async (t) => {
    const { bytes, writes } = await written(t, [HEAD, ['é€😀', 'utf8']]);
    assert.deepEqual(bytes, Buffer.concat([HEAD_BYTES, Buffer.from('é€😀')]));
    assert.equal(writes, 0);
  });
});
