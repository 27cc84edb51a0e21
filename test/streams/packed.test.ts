import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import {
  brotliCompressSync,
  constants,
  createZstdCompress,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import { FINISH, interruptions, ROLE, readEvents, startRig, text, turns, usage } from '../support/rig.ts';
import {
  close,
  type Encoding,
  Gate,
  inPieces,
  pauseUntil,
  plain,
  reset,
  type StreamItem,
  stream,
} from '../support/upstream.ts';

const PACKERS: Record<Encoding, (bytes: Uint8Array) => Buffer> = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
};
const ENCODINGS = Object.keys(PACKERS) as Encoding[];

const allOf = (items: readonly object[]) =>
  Buffer.from(items.map((event) => `data: ${JSON.stringify(event)}\n\n`).join(''));
const WHOLE = allOf([ROLE, text('Hello'), FINISH]);

/** A packed stream in these pieces. */
const packed = (encoding: string, pieces: readonly StreamItem[], done = false) =>
  stream(pieces, { done, headers: { 'content-encoding': encoding } });

describe('a packed stream', () => {
  for (const encoding of ENCODINGS) {
    it(`reaches the client unpacked: ${encoding}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(stream([ROLE, text('Hello'), FINISH, usage()], { encoding }));
      const reader = await rig.stream();
      assert.equal(await reader.rest(), `${WHOLE}data: [DONE]\n\n`);
      assert.equal(reader.response.headers.get('content-encoding'), null);
      assert.deepEqual((await rig.line()).tokens, { input: 9, output: 12, cached: 0, reasoning: 0 });
      assert.equal(rig.upstream.requests[0]?.headers['accept-encoding'], 'identity', 'we did not ask for it');
      await rig.nothingLeft();
    });

    it(`reaches the client piece by piece, as it comes: ${encoding}`, async (t) => {
      const rig = await startRig(t);
      const gate = new Gate();
      const events = ['one', 'two', 'three'].flatMap((word) => [text(word), pauseUntil(gate)]);
      rig.upstream.enqueue(stream([ROLE, ...events, FINISH], { encoding }));
      const reader = await rig.stream();
      for (const word of ['one', 'two', 'three']) {
        await reader.until(`"content":"${word}"`);
        gate.step();
      }
      assert.ok(readEvents(await reader.rest()).done);
      await rig.nothingLeft();
    });

    it(`may come byte by byte: ${encoding}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(inPieces(packed(encoding, [PACKERS[encoding](WHOLE)]), { every: 1 }));
      assert.equal(await (await rig.stream()).rest(), `${WHOLE}data: [DONE]\n\n`);
      await rig.nothingLeft();
    });

    it(`is broken where it is damaged after the first content: ${encoding}`, async (t) => {
      const rig = await startRig(t);
      const gate = new Gate();
      const noise = Buffer.alloc(4000, 0xfe);
      rig.upstream.enqueue(stream([ROLE, text('Hello'), pauseUntil(gate)], { encoding, done: false }));
      const reader = await rig.stream();
      await reader.until('Hello');
      rig.upstream.dropConnections('reset');
      assert.equal(readEvents(await reader.rest()).error?.code, 'stream_interrupted');
      assert.equal(await interruptions(rig), 1);
      await rig.nothingLeft();
      rig.upstream.enqueue(packed(encoding, [noise]));
      assert.equal((await rig.gateway.chat({ stream: true })).status, 502);
      await rig.nothingLeft();
    });

    it(`is broken where its end is missing: ${encoding}`, async (t) => {
      const rig = await startRig(t);
      const bytes = PACKERS[encoding](allOf([ROLE, text('Hello'), text('x'.repeat(5000))]));
      rig.upstream.enqueue(packed(encoding, [bytes.subarray(0, -20)]));
      const response = await rig.gateway.chat({ stream: true });
      // How much comes out of what is there differs from packer to packer.
      const answer = await response.text();
      if (response.status === 200) assert.equal(readEvents(answer).error?.code, 'stream_interrupted');
      else assert.equal(response.status, 502);
      await rig.nothingLeft();
    });

    for (const [name, ending] of [
      ['a cut', close()],
      ['a reset', reset()],
    ] as const) {
      it(`is whole where ${name} follows its finish: ${encoding}`, async (t) => {
        const rig = await startRig(t);
        rig.upstream.enqueue(stream([ROLE, text('Hello'), FINISH, ending], { encoding }));
        assert.equal(await (await rig.stream()).rest(), `${WHOLE}data: [DONE]\n\n`);
        assert.equal(await interruptions(rig), 0);
        await rig.nothingLeft();
      });
    }

    it(`is handed over where it is damaged before the first content: ${encoding}`, async (t) => {
      const rig = await startRig(t, { second: true });
      rig.upstream.enqueue(packed(encoding, [Buffer.from('this is not packed at all, whatever it says')]));
      assert.ok(readEvents(await (await rig.stream()).rest()).done);
      assert.deepEqual(
        (await rig.line()).tries.map(({ outcome }) => outcome),
        ['broken_body', 'ok'],
      );
      await rig.nothingLeft();
    });
  }

  it('of which a hundred megabytes would have to be remembered is broken, and so is such an answer', async (t) => {
    const rig = await startRig(t);
    for (const streaming of [true, false]) {
      const pack = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 27 } });
      // Of what comes in one piece it is known how little there is to be remembered.
      pack.write(streaming ? WHOLE : JSON.stringify({ choices: [{ message: { content: 'Hello' } }] }));
      pack.end();
      rig.upstream.enqueue(
        streaming
          ? packed('zstd', [await buffer(pack)])
          : plain({ bytes: await buffer(pack), headers: { 'content-encoding': 'zstd' } }),
      );
      assert.equal((await rig.gateway.chat({ stream: streaming })).status, 502);
    }
    const lines = await rig.gateway.ended(2);
    assert.deepEqual(
      lines.map(({ outcome }) => outcome),
      ['broken_body', 'broken_body'],
    );
    await rig.nothingLeft();
  });

  for (const encoding of ['snappy', 'gzip, br', 'compress']) {
    it(`is handed over where nobody can unpack it: ${encoding}`, async (t) => {
      const rig = await startRig(t, { second: true });
      rig.upstream.enqueue(packed(encoding, [WHOLE]));
      assert.ok(readEvents(await (await rig.stream()).rest()).done);
      assert.deepEqual(
        (await rig.line()).tries.map(({ outcome }) => outcome),
        ['broken_body', 'ok'],
      );
      await rig.nothingLeft();
    });
  }

  for (const [encoding, pack] of Object.entries({
    GZIP: gzipSync,
    'x-gzip': gzipSync,
    identity: (bytes: Buffer) => bytes,
    '': (bytes: Buffer) => bytes,
  })) {
    it(`may call its packing ${JSON.stringify(encoding)}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(packed(encoding, [pack(WHOLE)]));
      assert.equal(await (await rig.stream()).rest(), `${WHOLE}data: [DONE]\n\n`);
    });
  }

  it('is bounded before the first content, however small it was packed', async (t) => {
    const rig = await startRig(t, { second: true });
    const quiet = { ...(ROLE as object), padding: 'x'.repeat(1_000_000) };
    rig.upstream.enqueue(packed('gzip', [gzipSync(allOf(Array.from({ length: 50 }, () => quiet)))]));
    assert.ok(readEvents(await (await rig.stream()).rest()).done);
    assert.deepEqual(
      (await rig.line()).tries.map(({ outcome }) => outcome),
      ['broken_body', 'ok'],
    );
    await rig.nothingLeft();
  });

  it('is ended at once when its client leaves', async (t) => {
    const rig = await startRig(t);
    const gate = new Gate();
    rig.upstream.enqueue(stream([ROLE, text('Hello'), pauseUntil(gate), FINISH], { encoding: 'gzip' }));
    const reader = await rig.stream();
    await reader.until('Hello');
    await turns();
    await reader.leave();
    await rig.upstream.requests[0]?.closed;
    assert.equal((await rig.line()).outcome, 'client_gone');
    await rig.nothingLeft();
  });
});
