import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import OpenAI from 'openai';
import { keyOf } from '../gateways/kit.ts';
import type { TestGateway } from '../support/gateway.ts';
import { RawClient } from '../support/raw-http.ts';
import { until } from '../support/redis.ts';
import { apiError, chatStream, Gate, pauseUntil, reset, script } from '../support/upstream.ts';
import {
  ACME,
  asking,
  BODIES,
  begin,
  comeBack,
  errorOf,
  GLOBEX,
  numbersIn,
  PATHS,
  type StreamClient,
  start,
  withoutIds,
  withoutPings,
} from './kit.ts';

async function used(gateway: TestGateway): Promise<number> {
  const response = await fetch(`${gateway.url}/usage`, { headers: ACME });
  const { quotas: standings } = (await response.json()) as { quotas: { used: number; reserved: number }[] };
  assert.equal(standings[0]?.reserved, 0);
  return standings[0]?.used ?? Number.NaN;
}

describe('a stream that was not asked to be resumable', () => {
  it('has no numbers, ends with its client, and cannot be come back to', async (t) => {
    const { gateway, upstream, origin } = await start(t);
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate), ' there'] }));
    for (const value of ['false', '0', '']) {
      upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate), ' there'] }));
      const headers = { ...ACME, 'x-request-id': 'mine', 'x-spillway-resume': value };
      const client = await begin(origin, headers);
      await client.until('Hello');
      assert.deepEqual(numbersIn(client.text), []);
      assert.equal(client.response.headers.get('x-spillway-stream-id'), null);
      await client.leave();
    }
    const lines = await gateway.ended(3);
    assert.deepEqual(
      lines.map(({ outcome }) => outcome),
      ['client_gone', 'client_gone', 'client_gone'],
    );
    for (const request of upstream.requests) await request.closed;
    const answer = await errorOf(fetch(`${origin}/v1/streams/mine`, { headers: ACME }));
    assert.deepEqual([answer.status, answer.code], [404, 'stream_not_found']);
  });

  it('is read by the official SDK as ever', async (t) => {
    const { gateway } = await start(t);
    const sdk = new OpenAI({ baseURL: gateway.url, apiKey: keyOf('acme'), maxRetries: 0 });
    let text = '';
    const messages = [{ role: 'user' as const, content: 'hello' }];
    const chunks = await sdk.chat.completions.create({ model: 'm', stream: true, messages });
    for await (const chunk of chunks) text += chunk.choices[0]?.delta.content ?? '';
    assert.equal(text, 'Hello from upstream.');
  });
});

describe('a resumable stream', () => {
  for (const path of PATHS) {
    it(`of ${path} is the same as any other, but for its numbers`, async (t) => {
      const { origin } = await start(t);
      const numbered = await begin(origin, { ...ACME, 'x-request-id': 'mine' }, path);
      const text = await numbered.rest();
      assert.equal(numbered.id, 'mine');
      const plain = await fetch(`${origin}/v1/${path}`, asking({ ...ACME, 'x-spillway-resume': '' }, path));
      const expected = await plain.text();
      // But for ids and times of their own.
      const same = (one: string) => one.replaceAll(/"(\w+_)?\w{23,}"|"created(_at)?":\d+/g, '');
      assert.equal(same(withoutIds(text)), same(expected));
      const events = expected.split('\n\n').length - 1;
      assert.deepEqual(
        numbersIn(text),
        Array.from({ length: events }, (_, i) => i + 1),
      );
      for (const after of [null, 0, 1, events - 1, events, events + 5]) {
        const back = await comeBack(origin, 'mine', after, ACME);
        assert.equal(back.id, 'mine');
        const rest = text.split(/(?<=\n\n)/).slice(after ?? 0);
        assert.equal(withoutPings(await back.rest()), rest.join(''), `after ${after}`);
      }
    });

    it(`of ${path} goes on without its client, who finds the rest of it later and pays for all`, async (t) => {
      const { gateway, upstream, origin } = await start(t);
      const gate = new Gate();
      upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate), ' from', ' upstream.'] }));
      const client = await begin(origin, ACME, path);
      await client.until('Hello');
      await client.leave();
      await until(async () => (await gateway.metric('spillway_in_flight')) === 1, 'it to be alone');
      const back = await comeBack(origin, client.id, client.last, ACME);
      gate.open();
      const whole = client.whole + withoutPings(await back.rest());
      assert.deepEqual(
        numbersIn(whole),
        Array.from({ length: numbersIn(whole).length }, (_, i) => i + 1),
      );
      assert.match(whole, /Hello/);
      assert.match(whole, /upstream\./);
      const [line] = await gateway.ended(1);
      assert.deepEqual([line?.outcome, line?.status], ['ok', 200]);
      assert.equal(line?.tokens?.output, 12);
      assert.equal(await used(gateway), (line?.tokens?.input ?? 0) + 12);
      assert.equal(upstream.requests[0]?.aborted, false);
      await until(async () => (await gateway.metric('spillway_in_flight')) === 0, 'nothing to be left');
    });
  }

  it('can be come back to by the id that its client chose, before it has begun', async (t) => {
    const { gateway, upstream, origin } = await start(t);
    const gate = new Gate();
    upstream.enqueue(script(pauseUntil(gate), chatStream()));
    const left = new AbortController();
    const asked = fetch(`${origin}/v1/chat/completions`, {
      ...asking({ ...ACME, 'x-request-id': 'chosen' }),
      signal: left.signal,
    });
    await gate.reached();
    left.abort();
    await assert.rejects(asked);
    const back = await comeBack(origin, 'chosen', null, ACME);
    assert.equal(back.text, '');
    gate.open();
    const text = await back.rest();
    assert.match(text, /upstream\./);
    assert.ok(text.endsWith('data: [DONE]\n\n'));
    const [line] = await gateway.ended(1);
    assert.equal(line?.outcome, 'ok');
  });

  it('has another id where the one that was chosen is in use', async (t) => {
    const { origin } = await start(t);
    const headers = { ...ACME, 'x-request-id': 'chosen' };
    const [first, second] = [await begin(origin, headers), await begin(origin, headers)];
    await Promise.all([first.rest(), second.rest()]);
    assert.equal(first.id, 'chosen');
    assert.notEqual(second.id, 'chosen');
    assert.equal(second.response.headers.get('x-request-id'), 'chosen');
    const back = await comeBack(origin, second.id, 0, ACME);
    assert.equal(withoutPings(await back.rest()), second.text);
    const other = await begin(origin, { ...GLOBEX, 'x-request-id': 'chosen' });
    await other.rest();
    assert.equal(other.id, 'chosen');
  });

  it('is read by several at once, each from where it wants', async (t) => {
    const { upstream, origin } = await start(t);
    const gate = new Gate();
    const content = Array.from({ length: 40 }, (_, i) => [`word${i} `, pauseUntil(gate)]).flat();
    upstream.enqueue(chatStream({ content }));
    const client = await begin(origin, ACME);
    await client.until('word0 ');
    const readers: StreamClient[] = [];
    for (let i = 0; i < 10; i++) {
      readers.push(await comeBack(origin, client.id, i, ACME));
      gate.step(2);
      await client.until(`word${2 * i + 2} `);
    }
    await readers[3]?.leave();
    gate.open();
    const whole = await client.rest();
    for (const [i, reader] of readers.entries()) {
      if (i === 3) continue;
      const rest = whole
        .split(/(?<=\n\n)/)
        .slice(i)
        .join('');
      assert.equal(withoutPings(await reader.rest()), rest);
    }
  });

  it('that broke ends for who comes back as it ended', async (t) => {
    for (const path of PATHS) {
      const { gateway, upstream, origin } = await start(t);
      const gate = new Gate();
      upstream.enqueue(chatStream({ content: ['Hello', pauseUntil(gate), reset()] }));
      const client = await begin(origin, ACME, path);
      await client.until('Hello');
      const before = client.last;
      gate.open();
      const whole = await client.rest();
      const back = await comeBack(origin, client.id, before, ACME);
      const rest = withoutPings(await back.rest());
      assert.ok(whole.endsWith(rest) && rest.startsWith(`id: ${before + 1}\n`), rest);
      assert.match(rest, /interrupted/);
      assert.doesNotMatch(whole, /\[DONE\]|message_stop|response\.completed/);
      const [line] = await gateway.ended(1);
      assert.equal(line?.outcome, 'broken_body');
    }
  });

  it('that has not begun is an error like any other, and is not kept', async (t) => {
    const { upstream, origin } = await start(t);
    upstream.enqueue(apiError(500));
    const headers = { ...ACME, 'x-request-id': 'failed' };
    const answer = await fetch(`${origin}/v1/chat/completions`, asking(headers));
    assert.equal(answer.headers.get('x-spillway-stream-id'), null);
    assert.deepEqual((await errorOf(answer)).code, 'upstream_error');
    const back = await errorOf(fetch(`${origin}/v1/streams/failed`, { headers: ACME }));
    assert.equal(back.code, 'stream_not_found');
    // The name is free again.
    assert.equal((await begin(origin, headers)).id, 'failed');
  });

  it('whose client left before it failed to begin is kept as that error', async (t) => {
    for (const path of PATHS) {
      const { gateway, upstream, origin } = await start(t);
      const gate = new Gate();
      upstream.enqueue(script(pauseUntil(gate), apiError(500)));
      const left = new AbortController();
      const headers = { ...ACME, 'x-request-id': 'failed' };
      const asked = fetch(`${origin}/v1/${path}`, { ...asking(headers, path), signal: left.signal });
      await gate.reached();
      left.abort();
      await assert.rejects(asked);
      await until(async () => (await gateway.metric('spillway_in_flight')) === 1, 'it to be alone');
      const waits = await comeBack(origin, 'failed', 0, ACME);
      gate.open();
      await gateway.ended(1);
      const text = withoutPings(await waits.rest());
      assert.deepEqual(numbersIn(text), [1]);
      assert.match(text, /upstream says 500|upstream_error|error/);
      const back = await comeBack(origin, 'failed', null, ACME);
      assert.equal(withoutPings(await back.rest()), text);
      assert.equal(await gateway.metric('spillway_in_flight'), 0);
    }
  });

  it('is asked for in any of the ways in which one says yes', async (t) => {
    const { upstream, origin } = await start(t);
    for (const [said, isResumable] of [
      ['True', true],
      ['TRUE', true],
      ['1', true],
      ['false', false],
      ['False', false],
      ['0', false],
      ['', false],
    ] as const) {
      const answer = await fetch(
        `${origin}/v1/chat/completions`,
        asking({ ...ACME, 'x-spillway-resume': said }),
      );
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get('x-spillway-stream-id') !== null, isResumable, said);
      await answer.text();
    }
    const before = upstream.requests.length;
    for (const said of ['yes', 'on', 'treu', 'true, true', '2']) {
      const refused = fetch(`${origin}/v1/chat/completions`, asking({ ...ACME, 'x-spillway-resume': said }));
      const { status, code, param, message } = await errorOf(refused);
      assert.deepEqual([status, code, param], [400, 'invalid_value', 'x-spillway-resume'], said);
      assert.match(message, /`true` or `false`/);
    }
    assert.equal(upstream.requests.length, before);
  });

  it('is none where no stream was asked for', async (t) => {
    const { gateway, upstream, origin } = await start(t);
    const gate = new Gate();
    upstream.enqueue(script(pauseUntil(gate), []));
    const headers = { ...ACME, 'x-request-id': 'plain' };
    const left = new AbortController();
    const init = asking(headers, 'chat/completions', { stream: false });
    const asked = fetch(`${origin}/v1/chat/completions`, { ...init, signal: left.signal });
    await gate.reached();
    left.abort();
    await assert.rejects(asked);
    const [line] = await gateway.ended(1);
    assert.equal(line?.outcome, 'client_gone');
    const answer = await fetch(`${origin}/v1/chat/completions`, init);
    assert.equal(answer.headers.get('x-spillway-stream-id'), null);
    assert.equal(((await answer.json()) as { object: string }).object, 'chat.completion');
    assert.equal((await fetch(`${origin}/v1/streams/plain`, { headers: ACME })).status, 404);
  });

  it('comes as fast as its client reads, and when that has gone, as fast as it can', async (t) => {
    const { gateway, upstream, origin } = await start(t);
    const word = 'x'.repeat(10_000);
    upstream.enqueue(chatStream({ content: Array.from({ length: 700 }, () => word) }));
    const client = await RawClient.connect(origin);
    const body = JSON.stringify(BODIES['chat/completions']);
    await client.send(
      `POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: ${ACME.authorization}\r\nx-request-id: slow\r\n` +
        `x-spillway-resume: true\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
    await client.waitFor('xxxx');
    client.pause();
    const written = async () => {
      const reader = await comeBack(origin, 'slow', 0, ACME);
      // As far as it has come: the reader itself is quick.
      await reader.until('xxxx');
      await new Promise((resolve) => setTimeout(resolve, 300));
      await Promise.race([reader.rest(), new Promise((resolve) => setTimeout(resolve, 300))]);
      await reader.leave();
      return reader.last;
    };
    // On a busy machine it takes more than one look until nothing more comes.
    let first = -1;
    await until(async () => {
      const before = first;
      first = await written();
      return first === before;
    }, 'the stream to rest');
    assert.ok(first < 700, `${first} of 700, with a client that reads nothing`);
    client.destroy();
    const [line] = await gateway.ended(1);
    assert.equal(line?.outcome, 'ok');
    const back = await comeBack(origin, 'slow', first, ACME);
    const rest = withoutPings(await back.rest());
    assert.equal(numbersIn(rest)[0], first + 1);
    assert.ok(rest.endsWith('data: [DONE]\n\n'));
  });

  it('is given again as it was under an Idempotency-Key', async (t) => {
    const { upstream, origin } = await start(t);
    const headers = { ...ACME, 'idempotency-key': 'once' };
    const first = await begin(origin, headers);
    const text = await first.rest();
    const second = await begin(origin, headers);
    assert.equal(await second.rest(), text);
    assert.notEqual(second.id, first.id);
    assert.equal(upstream.requests.length, 1);
    assert.equal(withoutPings(await (await comeBack(origin, second.id, 0, ACME)).rest()), text);
  });
});
