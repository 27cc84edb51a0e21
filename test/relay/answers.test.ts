import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { startRig } from '../support/rig.ts';
import {
  chatAnswer,
  chunk,
  close,
  type Encoding,
  head,
  plain,
  reset,
  type Script,
  script,
  write,
} from '../support/upstream.ts';

const JSON_TYPE = { 'content-type': 'application/json' };

/** Answers as hosts may write them: what stands in them is none of our business. */
const ANSWERS: Record<string, string> = {
  'with spaces and line ends': ' {\n  "choices" : [ { "message" : { "content" : "hi" } } ]\r\n}\n',
  'with blank lines in front, as DeepSeek sends them to stay awake': `\n\n\n{"choices":[{"message":{}}]}`,
  'with numbers of all kinds': '{"choices":[{"x":[1e400,12345678901234567890,1.10,-0]}]}',
  'with escapes and text beyond ASCII':
    '{"choices":[{"message":{"content":"\\u00fc ü 世界 🙂 \\ud800 \\/"}}]}',
  'with fields that nobody knows': '{"x_new":{"a":[null]},"choices":[{}],"error":null}',
  'with the same name twice': '{"choices":[{}],"id":"a","id":"b"}',
  'with tool calls': '{"choices":[{"message":{"tool_calls":[{"function":{"arguments":"{\\"a\\": 1.0}"}}]}}]}',
  'with an error of "", which is none': '{"choices":[{}],"error":""}',
  'with usage that makes no sense':
    '{"choices":[{}],"usage":{"prompt_tokens":"many","completion_tokens":-1}}',
};

const PACKERS: Record<Encoding, (bytes: Uint8Array) => Buffer> = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
};

const COMPLETION = JSON.stringify({
  choices: [{ message: { content: 'Hello' } }],
  padding: 'x'.repeat(5000),
});

describe('a plain answer', () => {
  for (const [name, text] of Object.entries(ANSWERS)) {
    it(`reaches the client byte for byte: ${name}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(plain({ bytes: Buffer.from(text), headers: JSON_TYPE }));
      const response = await rig.gateway.chat();
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('content-type'), 'application/json');
      assert.equal(response.headers.get('content-length'), String(Buffer.byteLength(text)));
      assert.equal(await response.text(), text);
      await rig.nothingLeft();
    });
  }

  it('may be five megabytes', async (t) => {
    const rig = await startRig(t);
    const text = JSON.stringify({ choices: [{ message: { content: 'ü🙂'.repeat(1_000_000) } }] });
    rig.upstream.enqueue(plain({ bytes: Buffer.from(text), headers: JSON_TYPE }));
    assert.equal(await (await rig.gateway.chat()).text(), text);
    await rig.nothingLeft();
  });

  it('is not taken for one if it is larger than any', async (t) => {
    const rig = await startRig(t, { second: true });
    const part = chunk(Buffer.alloc(1024 * 1024, 'x'));
    const endless = script(head(200, { ...JSON_TYPE, 'transfer-encoding': 'chunked' }), async (exchange) => {
      for (;;) await exchange.write(part);
    });
    rig.upstream.enqueue(endless);
    assert.equal((await rig.gateway.chat()).headers.get('x-spillway-target'), 'b/up');
    assert.match((await rig.gateway.upstreams())[0]?.last_error ?? '', /larger than/);
    await rig.nothingLeft();
  });

  it('may come in chunks', async (t) => {
    const rig = await startRig(t);
    const pieces = COMPLETION.match(/.{1,700}/g) ?? [];
    rig.upstream.enqueue(
      script(
        head(200, { ...JSON_TYPE, 'transfer-encoding': 'chunked' }),
        ...pieces.map((piece) => write(chunk(piece))),
        write('0\r\n\r\n'),
      ),
    );
    const response = await rig.gateway.chat();
    assert.equal(await response.text(), COMPLETION);
    assert.equal(response.headers.get('transfer-encoding'), null);
    await rig.nothingLeft();
  });

  it('may end with its connection', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(
      script(head(200, { ...JSON_TYPE, connection: 'close' }), write(COMPLETION), close()),
    );
    assert.equal(await (await rig.gateway.chat()).text(), COMPLETION);
    await rig.nothingLeft();
  });

  it('may come after informational ones', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(script(write('HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n'), chatAnswer()));
    const response = await rig.gateway.chat();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('link'), null);
    await rig.nothingLeft();
  });

  const cut: Record<string, Script> = {
    'less than its content-length': script(
      head(200, { ...JSON_TYPE, 'content-length': '9000' }),
      write(COMPLETION),
      close(),
    ),
    'a reset in the middle': script(
      head(200, { ...JSON_TYPE, 'content-length': '9000' }),
      write(COMPLETION.slice(0, 100)),
      reset(),
    ),
    'no last chunk': script(
      head(200, { ...JSON_TYPE, 'transfer-encoding': 'chunked' }),
      write(chunk(COMPLETION)),
      close(),
    ),
    'half of it, and the end of the connection': script(
      head(200, { ...JSON_TYPE, connection: 'close' }),
      write(COMPLETION.slice(0, 100)),
      close(),
    ),
  };
  for (const [name, how] of Object.entries(cut)) {
    it(`is asked for again where it is cut: ${name}`, async (t) => {
      const rig = await startRig(t, { second: true });
      rig.upstream.enqueue(how);
      assert.equal((await rig.gateway.chat()).status, 200);
      assert.deepEqual(
        (await rig.line()).tries.map(({ outcome }) => outcome),
        ['broken_body', 'ok'],
      );
      await rig.nothingLeft();
    });
  }
});

describe('a packed plain answer', () => {
  for (const [encoding, pack] of Object.entries(PACKERS)) {
    it(`reaches the client unpacked: ${encoding}`, async (t) => {
      const rig = await startRig(t);
      rig.upstream.enqueue(
        plain({
          bytes: pack(Buffer.from(COMPLETION)),
          headers: { ...JSON_TYPE, 'content-encoding': encoding },
        }),
      );
      const response = await rig.gateway.chat();
      assert.equal(response.headers.get('content-encoding'), null);
      assert.equal(response.headers.get('content-length'), String(COMPLETION.length));
      assert.equal(await response.text(), COMPLETION);
      await rig.nothingLeft();
    });

    it(`has its error read: ${encoding}`, async (t) => {
      const rig = await startRig(t);
      const error = { message: 'too long', type: 'invalid_request_error', param: null, code: 'x' };
      rig.upstream.enqueue(
        plain({
          status: 400,
          bytes: pack(Buffer.from(JSON.stringify({ error }))),
          headers: { ...JSON_TYPE, 'content-encoding': encoding },
        }),
      );
      const response = await rig.gateway.chat();
      assert.equal(response.status, 400);
      assert.deepEqual(await response.json(), { error });
    });

    for (const [damage, bytes] of Object.entries({
      'cut short': pack(Buffer.from(COMPLETION)).subarray(0, -10),
      'no packing at all': Buffer.from(COMPLETION),
      empty: Buffer.alloc(0),
    })) {
      it(`is broken where it is ${damage}: ${encoding}`, async (t) => {
        const rig = await startRig(t, { second: true });
        const headers = { ...JSON_TYPE, 'content-encoding': encoding };
        rig.upstream.enqueue(plain({ bytes, headers }));
        assert.equal((await rig.gateway.chat()).status, 200);
        assert.deepEqual(
          (await rig.line()).tries.map(({ outcome }) => outcome),
          ['broken_body', 'ok'],
        );
        await rig.nothingLeft();
      });
    }
  }

  it('is broken where nobody can unpack it', async (t) => {
    const rig = await startRig(t, { second: true });
    const headers = { ...JSON_TYPE, 'content-encoding': 'snappy' };
    rig.upstream.enqueue(plain({ bytes: Buffer.from(COMPLETION), headers }));
    assert.equal((await rig.gateway.chat()).status, 200);
    assert.match((await rig.gateway.upstreams())[0]?.last_error ?? '', /snappy/);
  });

  it('is broken where it would unpack to more than any answer has', async (t) => {
    const rig = await startRig(t, { second: true });
    const bytes = gzipSync(Buffer.alloc(65 * 1024 * 1024, 'x'));
    rig.upstream.enqueue(plain({ bytes, headers: { ...JSON_TYPE, 'content-encoding': 'gzip' } }));
    assert.equal((await rig.gateway.chat()).status, 200);
    await rig.nothingLeft();
  });

  it('keeps its status where its error cannot be unpacked', async (t) => {
    const rig = await startRig(t, { second: true });
    const headers = { ...JSON_TYPE, 'content-encoding': 'gzip' };
    rig.upstream.enqueue(plain({ status: 503, bytes: Buffer.from('{"error":{}}'), headers }));
    assert.equal((await rig.gateway.chat()).status, 200);
    assert.deepEqual(
      (await rig.line()).tries.map(({ outcome, status }) => [outcome, status]),
      [
        ['overloaded', 503],
        ['ok', 200],
      ],
    );
  });
});
