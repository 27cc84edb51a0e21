import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { brotliDecompressSync, gunzipSync, inflateSync, zstdDecompressSync } from 'node:zlib';
import { Agent, type Dispatcher } from 'undici';
import {
  apiError,
  bytesOf,
  chatAnswer,
  chatEvents,
  chatStream,
  close,
  Gate,
  head,
  htmlPage,
  inPieces,
  named,
  pauseUntil,
  plain,
  refusedPort,
  reset,
  script,
  silence,
  startUpstream,
  stream,
  type Upstream,
  write,
} from './upstream.ts';

/** Speaks raw HTTP and keeps each read apart. */
class RawClient {
  readonly socket: Socket;
  readonly reads: string[] = [];
  /** How the connection ended: 'end' or an error's code. */
  readonly over: Promise<string>;
  #wake: () => void = () => {};

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (bytes: Buffer) => {
      this.reads.push(bytes.toString());
      this.#wake();
    });
    this.over = new Promise((resolve) => {
      this.socket.once('end', () => resolve('end'));
      this.socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    });
  }

  get text(): string {
    return this.reads.join('');
  }

  post(body: object = { model: 'm' }, headers = ''): void {
    const text = JSON.stringify(body);
    this.socket.write(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n${headers}content-length: ${text.length}\r\n\r\n${text}`,
    );
  }

  /** Resolves when what was read so far contains this. */
  async sees(expected: string): Promise<void> {
    while (!this.text.includes(expected)) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

describe('the stand-in upstream', () => {
  let upstream: Upstream;
  let agent: Agent;

  before(async () => {
    upstream = await startUpstream();
    agent = new Agent({ connections: 1 });
  });

  after(async () => {
    await agent.destroy();
    await upstream.close();
  });

  const ask = (body: object = { model: 'm' }): Promise<Dispatcher.ResponseData> =>
    agent.request({
      origin: `http://127.0.0.1:${upstream.port}`,
      path: '/v1/chat/completions',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  const raw = (body?: object): RawClient => {
    const client = new RawClient(upstream.port);
    client.post(body);
    return client;
  };

  describe('as a good upstream', () => {
    it('answers a chat completion with the model that was asked for', async () => {
      const answer = await ask({ model: 'gpt-test' });
      const body = (await answer.body.json()) as { model: string; choices: { finish_reason: string }[] };
      assert.equal(answer.statusCode, 200);
      assert.equal(body.model, 'gpt-test');
      assert.equal(body.choices[0]?.finish_reason, 'stop');
    });

    it('streams when the request asks for it, with usage only if that was asked for too', async () => {
      const without = await (await ask({ model: 'm', stream: true })).body.text();
      assert.match(without, /^data: \{.*"role":"assistant"/);
      assert.ok(without.endsWith('data: [DONE]\n\n'));
      assert.ok(!without.includes('usage'));
      const asked = { model: 'm', stream: true, stream_options: { include_usage: true } };
      const withUsage = await (await ask(asked)).body.text();
      assert.match(
        withUsage,
        /"choices":\[\],"usage":\{"prompt_tokens":9,"completion_tokens":12,"total_tokens":21/,
      );
    });

    it('serves many requests on one connection', async () => {
      const before = upstream.connections;
      for (let i = 0; i < 3; i++) await (await ask()).body.dump();
      assert.ok(upstream.connections - before <= 1);
      assert.equal(new Set(upstream.requests.slice(-3).map((request) => request.connection)).size, 1);
    });

    it('reads two requests that came in one packet, one after the other', async () => {
      const client = new RawClient(upstream.port);
      upstream.enqueue(plain({ text: 'first' }), plain({ text: 'second' }));
      const one = 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}';
      client.socket.write(one + one);
      await client.sees('second');
      assert.ok(client.text.indexOf('first') < client.text.indexOf('second'));
      client.socket.destroy();
    });

    it('reads chunked request bodies, however they are cut', async () => {
      const client = new RawClient(upstream.port);
      const count = upstream.requests.length;
      const start = 'POST /v1/x?y=1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n';
      const wire = `${start}4\r\n{"a"\r\n4;ext=1\r\n:"b"\r\n1\r\n}\r\n0\r\n\r\n`;
      for (const byte of wire) {
        client.socket.write(byte);
        await new Promise((resolve) => setImmediate(resolve));
      }
      const request = (await upstream.waitFor(count + 1))[count];
      assert.equal(request?.path, '/v1/x?y=1');
      assert.deepEqual(request?.json(), { a: 'b' });
      await client.sees('chat.completion');
      client.socket.destroy();
    });

    it('records what came: method, path, headers in both forms, body', async () => {
      const count = upstream.requests.length;
      await (await ask({ model: 'm', n: 1 })).body.dump();
      const request = upstream.requests[count];
      assert.equal(request?.method, 'POST');
      assert.equal(request?.headers['content-type'], 'application/json');
      assert.equal(
        request?.rawHeaders.some(([name]) => name.toLowerCase() === 'host'),
        true,
      );
      assert.deepEqual(request?.json(), { model: 'm', n: 1 });
      await request?.answered;
      assert.equal(request?.aborted, false);
    });

    it('closes after an answer to a client that wants it closed', async () => {
      const client = new RawClient(upstream.port);
      client.post({}, 'connection: close\r\n');
      assert.equal(await client.over, 'end');
    });
  });

  describe('takes its answers', () => {
    it('from the queue first and then from the reply', async () => {
      upstream.reply((request) => plain({ json: { echo: request.json()['n'] ?? null } }));
      upstream.enqueue(apiError(503), htmlPage(502));
      const answers = [await ask({ n: 1 }), await ask({ n: 2 }), await ask({ n: 3 })];
      assert.deepEqual(
        answers.map((answer) => answer.statusCode),
        [503, 502, 200],
      );
      assert.deepEqual(await answers[0]?.body.json(), {
        error: { message: 'upstream says 503', type: 'server_error', param: null, code: null },
      });
      assert.match((await answers[1]?.body.text()) ?? '', /<h1>502 Bad Gateway/);
      assert.deepEqual(await answers[2]?.body.json(), { echo: 3 });
    });

    it('and hands out requests in order, those that came before being asked as well', async () => {
      const own = await startUpstream();
      const client = new RawClient(own.port);
      client.post({ n: 1 });
      await own.waitFor(1);
      assert.equal((await own.nextRequest()).json()['n'], 1);
      const second = own.nextRequest();
      client.post({ n: 2 });
      assert.equal((await second).json()['n'], 2);
      await own.close();
    });

    it('and reports an error thrown in a script when it is closed', async () => {
      const own = await startUpstream();
      own.reply(() => {
        throw new Error('the test is wrong');
      });
      const client = new RawClient(own.port);
      client.post();
      assert.equal(await client.over, 'ECONNRESET');
      await assert.rejects(own.close(), /the test is wrong/);
    });
  });

  describe('answers in every content encoding', () => {
    const unpack = {
      gzip: gunzipSync,
      br: brotliDecompressSync,
      deflate: inflateSync,
      zstd: zstdDecompressSync,
    };
    for (const encoding of ['gzip', 'br', 'deflate', 'zstd'] as const) {
      it(`plain ${encoding}`, async () => {
        upstream.enqueue(plain({ json: { packed: true }, encoding }));
        const answer = await ask();
        assert.equal(answer.headers['content-encoding'], encoding);
        const body = Buffer.from(await answer.body.arrayBuffer());
        assert.deepEqual(JSON.parse(unpack[encoding](body).toString()), { packed: true });
      });

      it(`streamed ${encoding}, each event delivered while the next is held back`, async () => {
        const gate = new Gate();
        upstream.enqueue(stream([{ n: 1 }, pauseUntil(gate), { n: 2 }], { encoding }));
        const answer = await ask();
        const parts: Buffer[] = [];
        for await (const part of answer.body) {
          parts.push(part as Buffer);
          await gate.reached();
          gate.open();
        }
        assert.ok(parts.length >= 2);
        assert.equal(
          unpack[encoding](Buffer.concat(parts)).toString(),
          'data: {"n":1}\n\ndata: {"n":2}\n\ndata: [DONE]\n\n',
        );
      });
    }
  });

  describe('streams', () => {
    const body = async (bytes: Promise<Buffer>) =>
      (await bytes).toString().split('\r\n\r\n').slice(1).join('\r\n\r\n');

    it('objects as data, strings as lines, bytes as they are', async () => {
      const wire = bytesOf(
        stream([{ a: 1 }, ': ping', named('message_stop', {}), Buffer.from('data: cu')], {
          done: false,
          framing: 'close',
        }),
      );
      assert.equal(await body(wire), 'data: {"a":1}\n\n: ping\n\nevent: message_stop\ndata: {}\n\ndata: cu');
    });

    it('with any line end', async () => {
      const wire = bytesOf(stream([named('x', {})], { lineEnd: '\r\n', framing: 'close' }));
      assert.equal(await body(wire), 'event: x\r\ndata: {}\r\n\r\ndata: [DONE]\r\n\r\n');
    });

    it('chat chunks with reasoning, text, tool calls, finish and usage', () => {
      const events = chatEvents({
        reasoning: ['hm'],
        content: ['a'],
        toolCalls: [{ name: 'f', arguments: ['{"x"', ':1}'] }],
        usage: { prompt_tokens: 1, completion_tokens: 2 },
      }) as { choices: { delta: object; finish_reason: string | null }[]; usage: object | null }[];
      assert.deepEqual(
        events.map((event) => event.choices[0]?.delta),
        [
          { role: 'assistant', content: '' },
          { reasoning_content: 'hm' },
          { content: 'a' },
          {
            tool_calls: [
              { index: 0, id: 'call_0', type: 'function', function: { name: 'f', arguments: '' } },
            ],
          },
          { tool_calls: [{ index: 0, function: { arguments: '{"x"' } }] },
          { tool_calls: [{ index: 0, function: { arguments: ':1}' } }] },
          {},
          undefined,
        ],
      );
      assert.equal(events.at(-2)?.choices[0]?.finish_reason, 'tool_calls');
      assert.equal(events.at(0)?.usage, null);
      assert.deepEqual(events.at(-1)?.usage, { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 });
    });

    it('without a finish and without [DONE] if told to', async () => {
      const text = (await bytesOf(chatStream({ content: ['a'], finish: null, done: false }))).toString();
      assert.ok(!text.includes('[DONE]') && !text.includes('"finish_reason":"stop"'));
    });

    it('as a trickle: each step of the gate lets one event out', async () => {
      const gate = new Gate();
      upstream.enqueue(chatStream({ content: ['one', pauseUntil(gate), 'two', pauseUntil(gate), 'three'] }));
      const client = raw();
      await client.sees('one');
      await gate.reached(1);
      assert.ok(!client.text.includes('two'));
      gate.step();
      await client.sees('two');
      await gate.reached(2);
      assert.ok(!client.text.includes('three'));
      gate.step();
      await client.sees('[DONE]');
      client.socket.destroy();
    });
  });

  describe('cuts bytes into pieces', () => {
    it('that arrive one read each, at every byte', async () => {
      const wire = await bytesOf(chatAnswer({ content: 'x' }));
      upstream.enqueue(inPieces(wire, { every: 1 }));
      const client = raw();
      await client.sees(wire.toString());
      assert.equal(client.reads.length, wire.length);
      client.socket.destroy();
    });

    it('at given positions, and the bytes of a script in one write', async () => {
      upstream.enqueue(
        inPieces('abcdef', { at: [5, 2, 99] }),
        inPieces(chatStream({ content: ['a', 'b'] }), { every: Number.POSITIVE_INFINITY }),
      );
      const client = raw();
      await client.sees('f');
      assert.deepEqual(client.reads, ['ab', 'cde', 'f']);
      client.reads.length = 0;
      client.post({ model: 'seen-by-the-script' });
      await client.sees('[DONE]');
      assert.equal(client.reads.length, 1);
      assert.match(client.text, /seen-by-the-script/);
      client.socket.destroy();
    });
  });

  describe('misbehaves', () => {
    it('by resetting before the headers', async () => {
      upstream.enqueue(reset());
      const client = raw();
      assert.equal(await client.over, 'ECONNRESET');
      assert.equal(client.text, '');
    });

    it('by resetting in the body, after what was written has arrived', async () => {
      const gate = new Gate();
      upstream.enqueue(chatStream({ content: ['half', pauseUntil(gate), reset(), 'never'] }));
      const client = raw();
      await client.sees('half');
      gate.open();
      assert.equal(await client.over, 'ECONNRESET');
      assert.ok(!client.text.includes('never'));
    });

    it('by closing without a word', async () => {
      upstream.enqueue(close());
      const client = raw();
      assert.equal(await client.over, 'end');
      assert.equal(client.text, '');
    });

    it('by sending headers and then nothing', async () => {
      upstream.enqueue(script(head(200, { 'content-length': '5' }), silence()));
      const client = raw();
      await client.sees('\r\n\r\n');
      assert.match(client.text, /^HTTP\/1\.1 200 OK\r\ncontent-length: 5\r\n\r\n$/);
      assert.equal(upstream.inFlight, 1);
      client.socket.destroy();
      await upstream.requests.at(-1)?.answered;
      assert.equal(upstream.inFlight, 0);
    });

    it('by being silent from the start, and sees the client leave', async () => {
      upstream.enqueue(silence());
      const count = upstream.requests.length;
      const client = raw();
      const request = (await upstream.waitFor(count + 1))[count];
      client.socket.destroy();
      await request?.closed;
      assert.equal(request?.aborted, true);
      assert.equal(client.text, '');
    });

    it('by announcing more bytes than it sends', async () => {
      upstream.enqueue(script(plain({ text: 'short', contentLength: 100 }), close()));
      await assert.rejects((await ask()).body.text(), { code: 'UND_ERR_SOCKET' });
    });

    it('by leaving out the last chunk', async () => {
      upstream.enqueue(stream([{ a: 1 }, close()]));
      const client = raw();
      assert.equal(await client.over, 'end');
      assert.ok(client.text.endsWith('\r\nf\r\ndata: {"a":1}\n\n\r\n'));
    });

    it('by an error as the first event, or an error object with status 200', async () => {
      upstream.enqueue(
        stream([{ error: { message: 'overloaded' } }], { done: false }),
        plain({ json: { error: { message: 'overloaded' } } }),
      );
      assert.equal(await (await ask()).body.text(), 'data: {"error":{"message":"overloaded"}}\n\n');
      assert.deepEqual(await (await ask()).body.json(), { error: { message: 'overloaded' } });
    });

    it('by bytes that are not HTTP', async () => {
      upstream.enqueue(script(write('SSH-2.0-nonsense\r\n'), close()));
      await assert.rejects(ask(), { name: 'HTTPParserError' });
    });

    it('by dropping idle connections', async () => {
      const client = raw();
      await client.sees('echo');
      upstream.dropConnections('fin');
      assert.equal(await client.over, 'end');
    });

    it('by not being there: a refused port stays refused', async () => {
      const port = await refusedPort();
      for (let i = 0; i < 3; i++) {
        const client = new RawClient(port);
        assert.equal(await client.over, 'ECONNREFUSED');
      }
    });
  });

  it('counts sockets and leaves none behind', async () => {
    const own = await startUpstream();
    const clients = [new RawClient(own.port), new RawClient(own.port)];
    for (const client of clients) client.post();
    await own.waitFor(2);
    assert.equal(own.openSockets, 2);
    await own.close();
    assert.equal(own.openSockets, 0);
    await Promise.all(clients.map((client) => client.over));
  });

  it('speaks TLS, and resets there too', async (t) => {
    const made = spawnSync(
      'openssl',
      'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -days 2 -keyout - -out -'.split(
        ' ',
      ),
      { encoding: 'utf8' },
    );
    if (made.status !== 0) return t.skip('no openssl to make a certificate with');
    const own = await startUpstream({ tls: { key: made.stdout, cert: made.stdout } });
    own.enqueue(chatAnswer({ model: 'over-tls' }), chatStream({ content: ['a', reset()] }));
    const client = new Agent({ connect: { rejectUnauthorized: false } });
    const get = () => client.request({ origin: own.url.replace('/v1', ''), path: '/', method: 'GET' });
    assert.match(await (await get()).body.text(), /over-tls/);
    await assert.rejects((await get()).body.text());
    await client.destroy();
    await own.close();
  });
});
