import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { type GatewayProcess, startProcess } from '../support/process.ts';
import { RawClient } from '../support/raw-http.ts';
import { chatAnswer, chatStream, Gate, pauseUntil, silence, startUpstream } from '../support/upstream.ts';
import { chatBody, chatHead, leaveLogUnread, refusalOf } from './helpers.ts';

async function start(t: TestContext, server: object = {}) {
  const upstream = await startUpstream();
  const gateway = startProcess(t, {
    server,
    providers: { a: { adapter: 'vllm', base_url: upstream.url } },
    models: { m: { provider: 'a', model: 'up' } },
  });
  t.after(() => upstream.close());
  const { listen, admin } = await gateway.listening();
  const chat = (body: object = {}) =>
    fetch(`${listen}/v1/chat/completions`, { method: 'POST', body: chatBody(body) });
  return { gateway, upstream, listen, admin, chat };
}

/** Reads up to this text; the reader goes on from there. */
async function readTo(reader: ReadableStreamDefaultReader<Uint8Array>, text: string): Promise<string> {
  let got = '';
  while (!got.includes(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`the stream ended after: ${got}`);
    got += Buffer.from(value).toString();
  }
  return got;
}

const ENDED = { code: 0, signal: null };

/** Waits until it says that it is draining, and returns that line. */
function draining(gateway: GatewayProcess) {
  return gateway.line('draining');
}

describe('a process that is told to stop', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    it(`ends with status 0 at once where nothing is under way (${signal})`, async (t) => {
      const { gateway, chat, listen } = await start(t);
      // A connection that is kept for more requests, and one that has not sent any.
      assert.equal((await chat()).status, 200);
      const idle = await RawClient.connect(listen);
      gateway.child.kill(signal);
      assert.deepEqual(await gateway.ended, ENDED);
      await idle.closed;
      assert.equal((await gateway.line('stopped'))['signal'], signal);
      assert.equal(gateway.stderr, '');
    });
  }

  it('ends where nobody reads its log any more', async (t) => {
    const { gateway } = await start(t);
    gateway.child.stdout?.destroy();
    gateway.child.kill('SIGTERM');
    assert.deepEqual(await gateway.ended, ENDED);
  });

  for (const signals of [1, 2]) {
    it(`ends where its log is kept open and not read, told ${signals === 1 ? 'once' : 'twice'}`, async (t) => {
      const { gateway, listen } = await start(t);
      await leaveLogUnread(gateway, listen);
      const exited = once(gateway.child, 'exit');
      for (let n = 0; n < signals; n++) gateway.child.kill('SIGTERM');
      await exited;
      gateway.child.stdout?.resume();
    });
  }

  it('is not ready at once, takes no new request, and lets a stream and an answer under way end', async (t) => {
    const { gateway, upstream, listen, admin, chat } = await start(t);
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }), [
      pauseUntil(gate),
      chatAnswer({ content: 'whole' }),
    ]);
    const kept = await RawClient.connect(listen);
    await kept.send('GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n');
    assert.equal((await kept.response()).status, 200);
    const response = await chat({ stream: true });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    await readTo(reader, 'Hel');
    const plain = chat();
    await upstream.waitFor(2);

    gateway.child.kill('SIGTERM');
    assert.equal((await draining(gateway))['in_flight'], 2);
    const ready = await fetch(`${admin}/readyz`);
    assert.equal(ready.status, 503);
    assert.equal((await fetch(`${admin}/livez`)).status, 200);
    await assert.rejects(RawClient.connect(listen), /ECONNREFUSED/);
    // On a connection that was there before, if it still is.
    await kept.send('GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n');
    const late = await kept.response().catch(() => null);
    if (late !== null) {
      assert.equal(late.status, 503);
      assert.equal(late.headers['retry-after'], '1');
      assert.equal(JSON.parse(late.body).error.code, 'server_shutting_down');
    }

    gate.open();
    assert.match(await readTo(reader, '[DONE]'), /"lo"/);
    assert.match(await (await plain).text(), /whole/);
    assert.deepEqual(await gateway.ended, ENDED);
    assert.equal(upstream.requests.length, 2);
    assert.deepEqual(
      gateway.lines.map(({ msg }) => msg).filter((msg) => msg !== 'request'),
      ['listening', 'draining', 'stopped'],
    );
  });

  it('cuts off what is left when the drain timeout is over: streams are told so, others are refused', async (t) => {
    const { gateway, upstream, chat } = await start(t, { drain_timeout: '100ms' });
    upstream.enqueue(chatStream({ content: ['Hel', silence(), 'lo'] }), silence());
    const response = await chat({ stream: true });
    const text = response.text();
    const plain = chat();
    await upstream.waitFor(2);
    gateway.child.kill('SIGTERM');

    const events = (await text).split('\n\n').filter((event) => event.startsWith('data: '));
    const last = JSON.parse(events.at(-1)?.slice('data: '.length) ?? '');
    assert.deepEqual(Object.keys(last), ['error']);
    assert.equal(last.error.code, 'stream_interrupted');
    assert.doesNotMatch(await text, /\[DONE\]/);
    const { status, code } = await refusalOf(await plain);
    assert.deepEqual([status, code], [503, 'server_shutting_down']);
    assert.deepEqual(await gateway.ended, ENDED);
    await gateway.line('the drain timeout is over: cutting off what is left');
    const outcomes = (await gateway.requests(2)).map((line) => [line['status'], line['outcome']]);
    assert.deepEqual(outcomes.sort(), [
      [200, 'shutdown'],
      [503, 'shutdown'],
    ]);
  });

  it('cuts off a client that is still sending its request, or does not read', async (t) => {
    const { gateway, listen } = await start(t, { drain_timeout: '50ms' });
    const client = await RawClient.connect(listen);
    await client.send(chatHead({ 'content-length': 1000, expect: '100-continue' }));
    assert.equal((await client.response()).status, 100);
    gateway.child.kill('SIGTERM');
    await client.closed;
    assert.deepEqual(await gateway.ended, ENDED);
  });

  it('ends at once where it is told twice', async (t) => {
    const { gateway, upstream, chat } = await start(t);
    upstream.enqueue(silence());
    const hanging = chat().catch(() => null);
    await upstream.waitFor(1);
    gateway.child.kill('SIGTERM');
    await draining(gateway);
    gateway.child.kill('SIGTERM');
    const { code, signal } = await gateway.ended;
    assert.deepEqual([code, signal], [143, null]);
    await gateway.line('stopped at once').catch(() => assert.fail('the log does not say so'));
    await hanging;
  });
});
