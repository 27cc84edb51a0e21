import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { keyOf } from '../gateways/kit.ts';
import { startGateway } from '../support/gateway.ts';
import { RawClient } from '../support/raw-http.ts';
import { until } from '../support/redis.ts';
import { chatStream, Gate, named, pauseUntil, script, startUpstream, stream } from '../support/upstream.ts';
import {
  ACME,
  asking,
  begin,
  comeBack,
  errorOf,
  GLOBEX,
  numbersIn,
  PATHS,
  type Path,
  StreamClient,
  start,
  withoutPings,
} from './kit.ts';

describe('coming back', () => {
  it('goes by Last-Event-ID where both are said, as browsers do', async (t) => {
    const { origin } = await start(t);
    const client = await begin(origin, { ...ACME, 'x-request-id': 's' });
    const events = (await client.rest()).split(/(?<=\n\n)/);
    const back = await comeBack(origin, 's', 1, { ...ACME, 'last-event-id': '3' });
    assert.equal(withoutPings(await back.rest()), events.slice(3).join(''));
    const alone = await comeBack(origin, 's', null, { ...ACME, 'last-event-id': '2' });
    assert.equal(withoutPings(await alone.rest()), events.slice(2).join(''));
  });

  it('can be as slow as its client', async (t) => {
    const { gateway, upstream, origin } = await start(t);
    upstream.enqueue(chatStream({ content: Array.from({ length: 600 }, () => 'x'.repeat(10_000)) }));
    const whole = await (await begin(origin, { ...ACME, 'x-request-id': 's' })).rest();
    const client = await RawClient.connect(origin);
    client.pause();
    await client.send(
      `GET /v1/streams/s?after=2 HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: ${ACME.authorization}\r\n\r\n`,
    );
    await until(async () => (await gateway.metric('spillway_in_flight')) === 1, 'it to be asked');
    client.resume();
    const text = await client.rest();
    const numbers = numbersIn(whole);
    assert.deepEqual(numbersIn(text), numbers.slice(2));
    assert.match(text, /data: \[DONE\]\n\n/);
  });

  it('may be asked for with the key in the header of any dialect', async (t) => {
    const { origin } = await start(t);
    await (await begin(origin, { ...ACME, 'x-request-id': 's' }, 'messages')).rest();
    const path = `${origin}/v1/streams/s`;
    const key = { 'x-api-key': keyOf('acme') };
    for (const headers of [key, { ...key, ...GLOBEX }, ACME, { ...ACME, 'x-api-key': '' }]) {
      const answer = await fetch(path, { headers });
      assert.equal(answer.status, 200);
      await answer.text();
    }
    const others = { 'x-api-key': keyOf('globex') };
    for (const method of ['GET', 'DELETE']) {
      assert.equal((await errorOf(fetch(path, { method, headers: others }))).code, 'stream_not_found');
      assert.equal((await fetch(path, { method, headers: { 'x-api-key': 'sw-wrong' } })).status, 401);
    }
    assert.equal((await fetch(`${origin}/v1/models`, { headers: key })).status, 401);
    assert.equal((await fetch(path, { method: 'DELETE', headers: key })).status, 200);
  });

  it('is refused with what is wrong about it', async (t) => {
    const { origin } = await start(t);
    await (await begin(origin, { ...ACME, 'x-request-id': 's' })).rest();
    const ask = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
      fetch(`${origin}/v1/streams/${path}`, { method, headers: { ...ACME, ...headers } });
    for (const after of ['-1', '1.5', 'x', '', '1e3', '9'.repeat(16), '1&after=2', '%00']) {
      const answer = await errorOf(ask(`s?after=${after}`));
      assert.deepEqual([answer.status, answer.code, answer.param], [400, 'invalid_value', 'after'], after);
    }
    for (const id of ['x', '-1', '1, 2']) {
      const answer = await errorOf(ask('s', { 'last-event-id': id }));
      assert.deepEqual([answer.status, answer.param], [400, 'Last-Event-ID'], id);
    }
    const strange = [
      'nothing',
      '',
      'a%2Fb',
      '..%2Fs',
      's%00',
      '%7Bacme%7D',
      'a:b',
      '__proto__',
      'x'.repeat(900),
    ];
    for (const id of strange) {
      for (const method of ['GET', 'DELETE']) {
        const answer = await errorOf(ask(id, {}, method));
        assert.deepEqual([answer.status, answer.code], [404, 'stream_not_found'], `${method} ${id}`);
        assert.ok(answer.message.length < 400);
      }
    }
    assert.equal((await errorOf(ask('s', GLOBEX))).code, 'stream_not_found');
    assert.equal((await errorOf(ask('s', GLOBEX, 'DELETE'))).code, 'stream_not_found');
    assert.equal((await errorOf(ask('s', { authorization: 'Bearer sw-wrong' }))).status, 401);
    assert.equal((await errorOf(ask('s', { authorization: 'Bearer sw-wrong' }, 'DELETE'))).status, 401);
    const wrong = await ask('s', {}, 'POST');
    assert.deepEqual([wrong.status, wrong.headers.get('allow')], [405, 'GET, DELETE']);
    assert.equal((await ask('s', {}, 'HEAD')).status, 405);
    assert.equal((await ask('s')).status, 200);
  });

  it('keeps the connection open while it is quiet, in the words of the dialect', async (t) => {
    for (const [path, ping] of [
      ['chat/completions', ': ping\n\n'],
      ['messages', 'event: ping\ndata: {"type":"ping"}\n\n'],
    ] as const) {
      const { upstream, origin } = await start(t, { server: { heartbeat: '50ms' } });
      const gate = new Gate();
      upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate), ' there'] }));
      const client = await begin(origin, ACME, path);
      await client.until('Hello');
      const back = await comeBack(origin, client.id, client.last, ACME);
      await back.until(ping.repeat(3));
      gate.open();
      assert.match(withoutPings(await back.rest()), /^id: \d+\n/);
      assert.deepEqual(numbersIn(client.text).length, new Set(numbersIn(client.text)).size);
    }
  });
});

describe('removing a stream', () => {
  for (const path of PATHS) {
    it(`of ${path} ends the work on it, and whoever reads it is told`, async (t) => {
      const { gateway, upstream, origin } = await start(t);
      const gate = new Gate();
      upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate), ' there'] }));
      const client = await begin(origin, ACME, path);
      await client.until('Hello');
      const reader = await comeBack(origin, client.id, client.last, ACME);
      const answer = await fetch(`${origin}/v1/streams/${client.id}`, { method: 'DELETE', headers: ACME });
      assert.deepEqual(await answer.json(), { id: client.id, object: 'stream', deleted: true });
      for (const text of [await client.rest(), await reader.rest()]) {
        assert.match(text, /removed/);
        assert.doesNotMatch(text, /there|\[DONE\]|message_stop|response\.completed/);
      }
      await upstream.requests[0]?.closed;
      const [line] = await gateway.ended(1);
      assert.equal(line?.outcome, 'client_gone');
      assert.ok((line?.tokens?.output ?? 0) > 0);
      assert.equal((await fetch(`${origin}/v1/streams/${client.id}`, { headers: ACME })).status, 404);
      await until(async () => (await gateway.metric('spillway_in_flight')) === 0, 'nothing to be left');
    });
  }

  it('that has no client any more ends the work as well', async (t) => {
    const { gateway, upstream, origin } = await start(t);
    upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(new Gate())] }));
    const client = await begin(origin, ACME);
    await client.until('Hello');
    await client.leave();
    await until(async () => (await gateway.metric('spillway_in_flight')) === 1, 'it to be alone');
    await fetch(`${origin}/v1/streams/${client.id}`, { method: 'DELETE', headers: ACME });
    await upstream.requests[0]?.closed;
    await gateway.ended(1);
    assert.equal(await gateway.metric('spillway_in_flight'), 0);
  });

  it('that has not begun answers its client with an error', async (t) => {
    const { gateway, upstream, origin } = await start(t);
    const gate = new Gate();
    upstream.enqueue(script(pauseUntil(gate), chatStream()));
    const headers = { ...ACME, 'x-request-id': 'waits' };
    const asked = errorOf(fetch(`${origin}/v1/chat/completions`, asking(headers)));
    await gate.reached();
    await fetch(`${origin}/v1/streams/waits`, { method: 'DELETE', headers: ACME });
    const answer = await asked;
    assert.deepEqual([answer.status, answer.code], [502, 'stream_interrupted']);
    await upstream.requests[0]?.closed;
    await gateway.ended(1);
    await until(async () => (await gateway.metric('spillway_in_flight')) === 0, 'nothing to be left');
  });
});

describe('a gateway that shuts down', () => {
  async function detached(t: TestContext, drainTimeout: string) {
    const { gateway, upstream, origin } = await start(t, { server: { drain_timeout: drainTimeout } });
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate), ' there'] }));
    const client = await begin(origin, ACME);
    await client.until('Hello');
    await client.leave();
    await until(async () => (await gateway.metric('spillway_in_flight')) === 1, 'it to be alone');
    return { gateway, gate, upstream };
  }

  it('lets streams end that have no client any more', async (t) => {
    const { gateway, gate } = await detached(t, '20s');
    let over = false;
    const drained = gateway.app.drain().then(() => {
      over = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 200));
    assert.equal(over, false);
    gate.open();
    await drained;
    const [line] = await gateway.ended(1);
    assert.equal(line?.outcome, 'ok');
  });

  it('lets them end, too, where it has not heard yet that their clients have gone', async (t) => {
    const { gateway, upstream, origin } = await start(t);
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate), ' there'] }));
    const client = await begin(origin, ACME);
    await client.until('Hello');
    const left = client.leave();
    const drained = gateway.app.drain();
    await left;
    await new Promise((resolve) => setTimeout(resolve, 100));
    gate.open();
    await drained;
    const [line] = await gateway.ended(1);
    assert.equal(line?.outcome, 'ok');
  });

  it('cuts them off when it has waited for long enough', async (t) => {
    const { gateway, upstream } = await detached(t, '100ms');
    await gateway.app.drain();
    await upstream.requests[0]?.closed;
    const [line] = await gateway.ended(1);
    assert.equal(line?.outcome, 'shutdown');
  });

  it('tells those who read one, and they may ask elsewhere', async (t) => {
    const { gateway, upstream, origin } = await start(t, { server: { drain_timeout: '100ms' } });
    upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(new Gate())] }));
    const client = await begin(origin, ACME);
    await client.until('Hello');
    const reader = await comeBack(origin, client.id, 0, ACME);
    await reader.until('Hello');
    await gateway.app.drain();
    for (const text of [await client.rest(), await reader.rest()]) {
      assert.match(text, /shutting down/);
      assert.doesNotMatch(text, /\[DONE\]/);
    }
  });
});

describe("Anthropic's own events", () => {
  it('are numbered as they are, without its pings', async (t) => {
    const upstream = await startUpstream();
    const gateway = await startGateway({
      providers: { a: { adapter: 'anthropic', base_url: upstream.url, api_key: 'sk-a' } },
      models: { m: { provider: 'a', model: 'claude-opus-5' } },
    });
    t.after(async () => {
      await gateway.close();
      await upstream.close();
    });
    const message = { id: 'msg_1', type: 'message', role: 'assistant', model: 'c', content: [] };
    const usage = { input_tokens: 3, output_tokens: 1 };
    const events = [
      named('message_start', { type: 'message_start', message: { ...message, usage } }),
      named('content_block_start', {
        type: 'content_block_start',
        index: 0,
        content_block: { type: 'text', text: '' },
      }),
      named('ping', { type: 'ping' }),
      named('content_block_delta', {
        type: 'content_block_delta',
        index: 0,
        delta: { type: 'text_delta', text: 'Hi' },
      }),
      named('content_block_stop', { type: 'content_block_stop', index: 0 }),
      named('message_delta', { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage }),
      named('message_stop', { type: 'message_stop' }),
    ];
    upstream.enqueue(stream(events, { done: false }));
    const path: Path = 'messages';
    const client = await begin(gateway.origin, {}, path);
    const text = await client.rest();
    assert.deepEqual(numbersIn(text), [1, 2, 3, 4, 5, 6]);
    const back = await StreamClient.open(`${gateway.origin}/v1/streams/${client.id}?after=2`);
    assert.equal(withoutPings(await back.rest()), text.slice(text.indexOf('id: 3\n')));
  });
});
