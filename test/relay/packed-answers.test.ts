import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  brotliCompressSync,
  createGzip,
  deflateRawSync,
  deflateSync,
  gzipSync,
  zstdCompressSync,
} from 'node:zlib';
import { FINISH, ROLE, readEvents, text } from '../support/rig.ts';
import {
  chatStream,
  close,
  type Encoding,
  head,
  plain,
  type Script,
  script,
  write,
} from '../support/upstream.ts';
import { openScene, triesOf } from './helpers.ts';

const MESSAGES = '"messages":[{"role":"user","content":"hello"}]';
const STREAMED = `{"model":"m","stream":true,${MESSAGES}}`;
const PLAIN = `{"model":"m",${MESSAGES}}`;
const RETRIED = { node: { retry: { attempts: 1 } } };

const PACK: Record<Encoding, (bytes: Buffer) => Buffer> = {
  gzip: gzipSync,
  br: brotliCompressSync,
  deflate: deflateSync,
  zstd: zstdCompressSync,
};

const ENCODINGS = Object.keys(PACK) as Encoding[];

const ANSWER = Buffer.from(
  `{"id":"c","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"${'Größe 🎈 '.repeat(5000)}"},"finish_reason":"stop"}]}`,
);

const EVENTS = Buffer.from(
  `${[ROLE, text('Hello'), FINISH].map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')}data: [DONE]\n\n`,
);

function packed(coding: string, bytes: Buffer, type = 'application/json', status = 200): Script {
  return plain({ status, bytes, headers: { 'content-type': type, 'content-encoding': coding } });
}

describe('an answer that comes packed though it was not asked for so', () => {
  const names: [coding: string, pack: (bytes: Buffer) => Buffer][] = [
    ...ENCODINGS.map((coding): [string, (bytes: Buffer) => Buffer] => [coding, PACK[coding]]),
    ['x-gzip', gzipSync],
    ['GZIP', gzipSync],
    ['deflate, as some servers understand it', deflateRawSync],
    [
      'gzip, in two parts',
      (bytes) => Buffer.concat([gzipSync(bytes.subarray(0, 9)), gzipSync(bytes.subarray(9))]),
    ],
    ['identity', (bytes) => bytes],
  ];
  for (const [name, pack] of names) {
    const coding = name.split(',')[0] as string;
    it(`reaches the client as it was before it was packed: ${name}`, async (t) => {
      const { upstream, post } = await openScene(t);
      upstream.enqueue(packed(coding, pack(ANSWER)));
      const seen = await post(PLAIN);
      assert.ok(seen.text === ANSWER.toString(), seen.text.slice(0, 200));
      assert.equal(seen.headers.get('content-encoding'), null);
      assert.equal(seen.headers.get('content-length'), String(ANSWER.length));
    });

    it(`reaches the client event by event: ${name}`, async (t) => {
      const { upstream, post } = await openScene(t);
      upstream.enqueue(packed(coding, pack(EVENTS), 'text/event-stream'));
      const seen = await post(STREAMED);
      assert.equal(seen.headers.get('content-encoding'), null);
      const received = readEvents(seen.text);
      assert.equal(received.content, 'Hello');
      assert.ok(received.done);
    });

    it(`is read where it is an error: ${name}`, async (t) => {
      for (const body of [PLAIN, STREAMED]) {
        const { upstream, post } = await openScene(t);
        const error = { message: 'Größe', type: 'invalid_request_error', param: 'x', code: 'bad' };
        upstream.enqueue(
          packed(coding, pack(Buffer.from(JSON.stringify({ error }))), 'application/json', 400),
        );
        const seen = await post(body);
        assert.equal(seen.status, 400);
        assert.deepEqual(seen.error, error);
        assert.equal(seen.headers.get('content-encoding'), null);
      }
    });
  }

  for (const encoding of ENCODINGS) {
    it(`may come in pieces, each of one byte: ${encoding}`, async (t) => {
      const { upstream, post } = await openScene(t);
      upstream.enqueue(
        chatStream({ encoding, content: ['Hel', 'lo'] }),
        script(
          head(200, {
            'content-type': 'text/event-stream',
            'content-encoding': encoding,
            connection: 'close',
          }),
          ...[...PACK[encoding](EVENTS)].map((byte) => write(Buffer.from([byte]))),
          close(),
        ),
      );
      for (let request = 1; request <= 2; request++)
        assert.equal(readEvents((await post(STREAMED)).text).content, 'Hello');
    });
  }
});

describe('a packed answer that cannot be unpacked', () => {
  const damages: [name: string, (coding: Encoding, type: string, bytes: Buffer) => Script][] = [
    ['that is cut', (coding, type, bytes) => packed(coding, cut(PACK[coding](bytes)), type)],
    [
      'that is cut by the end of its connection',
      (coding, type, bytes) => [
        head(200, { 'content-type': type, 'content-encoding': coding, connection: 'close' }),
        write(cut(PACK[coding](bytes))),
        close(),
      ],
    ],
    ['that is not packed at all', (coding, type, bytes) => packed(coding, bytes, type)],
    ['that is empty', (coding, type) => packed(coding, Buffer.alloc(0), type)],
    ['whose coding nobody knows', (_coding, type, bytes) => packed('compress', bytes, type)],
    [
      'that is packed twice',
      (coding, type, bytes) => packed(`${coding}, gzip`, gzipSync(PACK[coding](bytes)), type),
    ],
  ];
  for (const [name, damage] of damages) {
    for (const coding of ENCODINGS) {
      it(`is broken, and asked for again: one ${name}, ${coding}`, async (t) => {
        const { upstream, post, gateway } = await openScene(t, RETRIED);
        upstream.enqueue(damage(coding, 'application/json', ANSWER));
        assert.ok((await post(PLAIN)).text.includes('Hello from upstream.'));
        upstream.enqueue(damage(coding, 'text/event-stream', Buffer.from(EVENTS.subarray(0, 100))));
        assert.equal(readEvents((await post(STREAMED)).text).content, 'Hello from upstream.');
        for (const line of await gateway.ended(2))
          assert.deepEqual(triesOf(line), ['broken_body -', 'ok 200']);
      });
    }
  }

  it('has the outcome of its status where it is an error', async (t) => {
    for (const coding of ENCODINGS) {
      const { upstream, post, gateway } = await openScene(t, RETRIED);
      upstream.enqueue(packed(coding, cut(PACK[coding](ANSWER)), 'application/json', 503));
      assert.equal((await post(PLAIN)).status, 200);
      assert.deepEqual(triesOf((await gateway.ended(1))[0]), ['overloaded 503', 'ok 200']);
    }
  });
});

function cut(bytes: Buffer): Buffer {
  return bytes.subarray(0, Math.ceil(bytes.length / 2));
}

describe('a packed answer that would fill the memory', () => {
  const MB = 1024 * 1024;

  it('is refused, whole or as an error, and the gateway goes on', async (t) => {
    const bomb = await zeros(400);
    for (const [status, outcome] of [
      [200, 'broken_body -'],
      [503, 'overloaded 503'],
    ] as const) {
      const { upstream, post, gateway } = await openScene(t, RETRIED);
      const before = process.memoryUsage.rss();
      upstream.enqueue(packed('gzip', bomb, 'application/json', status));
      assert.equal((await post(PLAIN)).status, 200);
      assert.deepEqual(triesOf((await gateway.ended(1))[0]), [outcome, 'ok 200']);
      assert.ok(process.memoryUsage.rss() - before < 300 * MB);
    }
  });

  it('is refused as a stream whose first event does not end', async (t) => {
    const { upstream, post, gateway } = await openScene(t, RETRIED);
    upstream.enqueue(packed('gzip', await zeros(400), 'text/event-stream'));
    assert.equal(readEvents((await post(STREAMED)).text).content, 'Hello from upstream.');
    assert.deepEqual(triesOf((await gateway.ended(1))[0]), ['broken_body -', 'ok 200']);
    assert.equal(upstream.requests.length, 2);
  });

  /** So many megabytes of zeros, packed. */
  async function zeros(megabytes: number): Promise<Buffer> {
    const packer = createGzip();
    const packedBytes: Buffer[] = [];
    packer.on('data', (bytes: Buffer) => packedBytes.push(bytes));
    const ended = new Promise((resolve) => packer.once('end', resolve));
    const block = Buffer.alloc(MB);
    for (let written = 0; written < megabytes; written++)
      if (!packer.write(block)) await new Promise((resolve) => packer.once('drain', resolve));
    packer.end();
    await ended;
    return Buffer.concat(packedBytes);
  }
});
