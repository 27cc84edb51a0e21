import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import {
  chatRequest,
  FINISH,
  type Rig,
  ROLE,
  startRig,
  text,
  turns,
  until,
  untilStill,
} from '../support/rig.ts';
import {
  chunk,
  type Encoding,
  type Exchange,
  Gate,
  pauseUntil,
  type Step,
  stream,
} from '../support/upstream.ts';

const MB = 1024 * 1024;
/** Bytes of text in one event. */
const PIECE = 16 * 1024;

/** What the sockets of the machine may hold on their own: sending and receiving, to and from the gateway. */
const IN_SOCKETS = 24 * MB;

const PACKERS: Record<Encoding, (text: string) => Buffer> = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: (text) => brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  zstd: zstdCompressSync,
};

/** A client that does not read until it is told to. */
class Reader {
  readonly socket: Socket;
  received = 0;
  /** The last of what came. */
  tail = '';

  constructor({ gateway }: Rig) {
    this.socket = connect(Number(new URL(gateway.origin).port), '127.0.0.1');
    this.socket.on('error', () => {});
    this.socket.write(chatRequest({ stream: true }));
  }

  readOn(): void {
    if (this.socket.listenerCount('data') === 0) {
      this.socket.on('data', (bytes: Buffer) => {
        this.received += bytes.length;
        this.tail = (this.tail + bytes.toString('latin1')).slice(-1000);
      });
    }
    this.socket.resume();
  }
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes in use: the least of several looks, for what was collected is given back by another thread, a little later. */
async function memory(): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < 10; look++) {
    collectGarbage();
    await turns(20);
    const { arrayBuffers, heapUsed } = process.memoryUsage();
    least = Math.min(least, arrayBuffers + heapUsed);
  }
  return least;
}

/** Sends so many bytes of text, and counts those that were taken. */
function flood(total: number, counted: { bytes: number }): Step {
  const event = chunk(`data: ${JSON.stringify(text('x'.repeat(PIECE)))}\n\n`);
  return async (exchange: Exchange) => {
    for (let sent = 0; sent < total; sent += PIECE) {
      await exchange.write(event);
      counted.bytes += event.length;
    }
  };
}

/** A stream to a client that does not read, stuck. */
async function stuck(t: TestContext, node: object = {}, total = 200 * MB, after: Step[] = []) {
  const rig = await startRig(t, { node });
  const taken = { bytes: 0 };
  rig.upstream.enqueue(stream([ROLE, flood(total, taken), ...after, FINISH]));
  const reader = new Reader(rig);
  const request = await rig.upstream.nextRequest();
  await until(() => taken.bytes > 0);
  const bytes = await untilStill(() => taken.bytes);
  return { rig, taken, reader, request, bytes };
}

describe('a client that does not read', () => {
  it('makes the gateway stop reading from the upstream', async (t) => {
    const { bytes, reader, rig } = await stuck(t);
    assert.ok(bytes < IN_SOCKETS, `${bytes} bytes of 200 MB were taken`);
    reader.socket.destroy();
    await rig.nothingLeft();
  });

  it('costs the gateway no more than a little memory', async (t) => {
    const readers: Reader[] = [];
    const rig = await startRig(t);
    const before = await memory();
    const taken = { bytes: 0 };
    rig.upstream.reply(() => stream([ROLE, flood(20 * MB, taken), FINISH]));
    for (let client = 0; client < 5; client++) readers.push(new Reader(rig));
    await until(() => taken.bytes > 0);
    await untilStill(() => taken.bytes);
    const grown = (await memory()) - before;
    assert.ok(grown < 5 * MB, `${grown} bytes more than before, for five clients`);
    for (const { socket } of readers) socket.destroy();
    await rig.nothingLeft();
  });

  it('gets everything once it reads on', async (t) => {
    const { reader, rig } = await stuck(t, {}, 40 * MB);
    reader.readOn();
    await until(() => reader.tail.includes('data: [DONE]\n\n'));
    assert.ok(reader.received > 40 * MB);
    const line = await rig.line();
    assert.equal(line.outcome, 'ok');
    reader.socket.destroy();
    await rig.nothingLeft();
  });

  it('does not run into `idle`', async (t) => {
    const { reader, rig } = await stuck(t, { timeouts: { idle: '10s' } }, 40 * MB);
    rig.clock.advance(60_000);
    reader.readOn();
    await until(() => reader.tail.includes('data: [DONE]\n\n'));
    assert.equal((await rig.line()).outcome, 'ok');
    reader.socket.destroy();
    await rig.nothingLeft();
  });

  it('has `idle` begin anew once it reads on', async (t) => {
    const gate = new Gate();
    const { reader, rig } = await stuck(t, { timeouts: { idle: '10s' } }, 40 * MB, [pauseUntil(gate)]);
    rig.clock.advance(60_000);
    reader.readOn();
    await gate.reached();
    await untilStill(() => reader.received);
    rig.clock.advance(9_999);
    await untilStill(() => reader.received);
    assert.ok(!reader.tail.includes('stream_interrupted'));
    rig.clock.advance(1);
    await until(() => reader.tail.includes('stream_interrupted'));
    reader.socket.destroy();
    await rig.nothingLeft();
  });

  it('is cleaned up after when it leaves', async (t) => {
    const { reader, request, rig } = await stuck(t);
    reader.socket.resetAndDestroy();
    await request.closed;
    assert.equal(request.aborted, true);
    const line = await rig.line();
    assert.deepEqual([line.outcome, line.tries[0]?.outcome], ['client_gone', 'client_gone']);
    await rig.nothingLeft();
  });

  for (const [bound, outcome] of [
    ['attempt', 'timeout'],
    ['total', 'deadline'],
  ] as const) {
    it(`is bounded by \`${bound}\`, which is not held against the upstream`, async (t) => {
      const breaker = { consecutive_failures: 1 };
      const timeouts = { first_token: '5s', [bound]: '1m' };
      const { reader, request, rig } = await stuck(t, { breaker, timeouts });
      rig.clock.advance(60_000);
      await request.closed;
      assert.equal((await rig.line()).outcome, outcome);
      const [row] = await rig.gateway.upstreams();
      assert.deepEqual([row?.opens, row?.in_flight], [0, 0]);
      reader.readOn();
      await until(() => reader.tail.includes('stream_interrupted'));
      assert.ok(!reader.tail.includes('[DONE]'));
      reader.socket.destroy();
      await rig.nothingLeft();
    });
  }

  it('still gets usage that the upstream sent long ago', async (t) => {
    const rig = await startRig(t);
    const taken = { bytes: 0 };
    const usage = { choices: [], usage: { prompt_tokens: 9, completion_tokens: 12 } };
    // A finish, then so much that the client holds it up, then usage.
    rig.upstream.enqueue(stream([ROLE, FINISH, flood(30 * MB, taken), usage]));
    const reader = new Reader(rig);
    await until(() => taken.bytes > 0);
    await untilStill(() => taken.bytes);
    rig.clock.advance(5_000);
    reader.readOn();
    await until(() => reader.tail.includes('data: [DONE]\n\n'));
    assert.deepEqual((await rig.line()).tokens, { input: 9, output: 12, cached: 0, reasoning: 0 });
    reader.socket.destroy();
    await rig.nothingLeft();
  });

  describe('of a packed stream', () => {
    // Text that cannot be packed well, or all of it would fit into the sockets.
    const events = Array.from({ length: 1000 }, () => text(randomBytes(PIECE).toString('base64')));
    const bytes = [ROLE, ...events, FINISH].map((event) => `data: ${JSON.stringify(event)}\n\n`).join('');

    for (const [encoding, pack] of Object.entries(PACKERS)) {
      it(`holds that up, and gets all of it in the end: ${encoding}`, async (t) => {
        const rig = await startRig(t);
        const packed = pack(bytes);
        let taken = 0;
        const count: Step = () => {
          taken++;
        };
        const pieces = Array.from({ length: Math.ceil(packed.length / PIECE) }, (_, index) =>
          packed.subarray(index * PIECE, (index + 1) * PIECE),
        );
        const headers = { 'content-encoding': encoding };
        rig.upstream.enqueue(
          stream(
            pieces.flatMap((piece) => [piece, count]),
            { headers, done: false },
          ),
        );
        const reader = new Reader(rig);
        await until(() => taken > 0);
        await untilStill(() => taken, 20_000);
        assert.ok(taken < pieces.length, 'it was not held up at all');
        reader.readOn();
        await until(() => reader.tail.includes('data: [DONE]\n\n'));
        assert.ok(reader.received > bytes.length);
        assert.equal((await rig.line()).outcome, 'ok');
        reader.socket.destroy();
        await rig.nothingLeft();
      });
    }
  });
});
