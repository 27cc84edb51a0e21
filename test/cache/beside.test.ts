/** Kept and shared answers beside what else survives: idempotency, streams to come back to, hedges, continuations; and trees that cross. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  apiError,
  chatAnswer,
  chatStream,
  Gate,
  pauseUntil,
  reset,
  startUpstream,
} from '../support/upstream.ts';
import { cachedGateway, counted, Listener, seen, underWay } from './kit.ts';

const KEEPS = { mode: 'exact' };

describe('beside an Idempotency-Key', () => {
  it('what was found is what that key stands for', async (t) => {
    const { gateway, upstream } = await cachedGateway(t);
    const kept = await seen(gateway.chat());
    const key = { 'idempotency-key': 'one' };
    assert.equal((await seen(gateway.chat({}, key))).cache, 'hit');
    assert.equal((await seen(gateway.chat({}, key))).text, kept.text);
    assert.equal(upstream.requests.length, 1);
  });

  it('a stream that went on for others without its client is not taken for a whole one', async (t) => {
    const { gateway, upstream } = await cachedGateway(t);
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const leave = new AbortController();
    const key = { 'idempotency-key': 'one' };
    const own = new Listener(await gateway.chat({ stream: true }, key, leave.signal));
    await own.until('Hel');
    const other = new Listener(await gateway.chat({ stream: true }));
    await other.until('Hel');
    leave.abort();
    await underWay(gateway, 1);
    gate.open();
    const text = await other.end();
    await gateway.ended(2);
    const again = await seen(gateway.chat({ stream: true }, key));
    assert.equal(again.text, text);
    assert.ok(text.endsWith('data: [DONE]\n\n'));
    assert.equal(upstream.requests.length, 1);
  });
});

it('a stream that its client can come back to is shared and kept without the numbers of its events', async (t) => {
  const { gateway, upstream } = await cachedGateway(t);
  const gate = new Gate();
  upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
  const own = new Listener(await gateway.chat({ stream: true }, { 'x-spillway-resume': 'true' }));
  await own.until('Hel');
  const other = await gateway.chat({ stream: true });
  assert.equal(other.headers.get('x-spillway-stream-id'), null);
  gate.open();
  const shared = await other.text();
  assert.match(await own.end(), /^id: /m);
  assert.doesNotMatch(shared, /^id: /m);
  const hit = await gateway.chat({ stream: true }, { 'x-spillway-resume': 'true' });
  assert.equal(hit.headers.get('x-spillway-cache'), 'hit');
  assert.match(hit.headers.get('x-spillway-stream-id') ?? '', /./);
  assert.equal((await hit.text()).replaceAll(/^id: .*\n/gm, ''), shared);
  assert.equal(upstream.requests.length, 1);
});

describe('a stream that another target went on with', () => {
  const models = (second: object) => ({
    m: {
      cache: KEEPS,
      mid_stream: 'continue',
      strategy: { mode: 'fallback' },
      retry: { attempts: 0 },
      targets: [
        { provider: 'a', model: 'one', prefill: true },
        { provider: 'a', model: 'two', prefill: true, ...second },
      ],
    },
  });

  it('is one answer, shared and kept', async (t) => {
    const { gateway, upstream } = await cachedGateway(t, { models: models({}) });
    const gate = new Gate();
    upstream.enqueue(
      chatStream({ content: ['Hel', pauseUntil(gate), reset()] }),
      chatStream({ content: ['lo'] }),
    );
    const own = new Listener(await gateway.chat({ stream: true }));
    const other = new Listener(await gateway.chat({ stream: true }));
    await Promise.all([own.until('Hel'), other.until('Hel')]);
    gate.open();
    const text = await own.end();
    assert.ok(text.endsWith('data: [DONE]\n\n'), text);
    assert.equal(await other.end(), text);
    const again = await seen(gateway.chat({ stream: true }));
    assert.deepEqual([again.cache, again.text], ['hit', text]);
    assert.equal(upstream.requests.length, 2);
  });

  it('is not kept where that one’s answers are not to be', async (t) => {
    const { gateway, upstream } = await cachedGateway(t, { models: models({ cache: { mode: 'none' } }) });
    upstream.enqueue(chatStream({ content: ['Hel', reset()] }), chatStream({ content: ['lo'] }));
    assert.match((await seen(gateway.chat({ stream: true }))).text, /\[DONE\]/);
    assert.equal((await seen(gateway.chat({ stream: true }))).cache, 'miss');
  });
});

describe('beside a hedge', () => {
  it('one that waited for another’s answer lets go of it when its own came first', async (t) => {
    const slow = await startUpstream();
    t.after(() => slow.close());
    const upstream = await startUpstream();
    t.after(() => upstream.close());
    const { gateway } = await cachedGateway(
      t,
      {
        providers: {
          a: { adapter: 'openai', base_url: upstream.url, api_key: 'sk-a' },
          b: { adapter: 'openai', base_url: slow.url, api_key: 'sk-b' },
        },
        models: {
          m: {
            strategy: { mode: 'fallback', hedge: { after: '20ms', max_extra: 1 } },
            targets: [
              { provider: 'b', model: 'slow', cache: KEEPS },
              { provider: 'a', model: 'fast' },
            ],
          },
        },
      },
      { upstream },
    );
    const gate = new Gate();
    const held = new Gate();
    slow.enqueue([pauseUntil(gate), chatAnswer()]);
    // The first one's hedge has no answer either, for now; that of the second one has.
    upstream.enqueue([pauseUntil(held), chatAnswer()]);
    const first = seen(gateway.chat());
    await held.reached();
    const second = await seen(gateway.chat());
    assert.equal(second.target, 'a/fast');
    const request = await slow.nextRequest();
    assert.equal(request.aborted, false, 'the first one still waits for it');
    held.open();
    assert.equal((await first).target, 'a/fast');
    await request.closed;
    gate.open();
    assert.equal(slow.requests.length, 1);
    assert.equal(await gateway.metric('spillway_in_flight'), 0);
  });
});

it('two requests that come by the same nodes in another order do not wait for each other', async (t) => {
  const models = {
    m: {
      strategy: { mode: 'loadbalance' },
      retry: { attempts: 0 },
      targets: [
        { provider: 'a', model: 'one', cache: KEEPS },
        { provider: 'a', model: 'two', cache: KEEPS },
      ],
    },
  };
  // The first request begins with `one`, the second with `two`.
  const chances = [0, 0.9];
  const { gateway, upstream } = await cachedGateway(t, { models }, { chance: () => chances.shift() ?? 0 });
  const gate = new Gate();
  upstream.reply((request) =>
    request.receivedAt > 0 && upstream.requests.length <= 2
      ? [pauseUntil(gate), apiError(503)]
      : chatAnswer({ content: 'at last' }),
  );
  const first = seen(gateway.chat());
  await gate.reached(1);
  const second = seen(gateway.chat());
  await gate.reached(2);
  gate.open();
  const all = await Promise.all([first, second]);
  assert.deepEqual(counted(all.map(({ status }) => String(status))), { 200: 2 });
});
