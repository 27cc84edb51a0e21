import assert from 'node:assert/strict';
import { it } from 'node:test';
import { chatStream, Gate, pauseUntil, silence } from '../support/upstream.ts';
import { refusalOf, reloadWith, serve } from './helpers.ts';

const LIMIT = { server: { max_in_flight: 2 } };

it('one request more than may be under way is refused at once, while the others hang', async (t) => {
  const { gateway, upstream } = await serve(t, LIMIT);
  upstream.enqueue(silence(), silence());
  const left = new AbortController();
  const hanging = [0, 1].map(() => gateway.chat({}, {}, left.signal).catch(() => null));
  await upstream.waitFor(2);
  assert.equal(await gateway.metric('spillway_in_flight'), 2);

  for (const attempt of [1, 2, 3]) {
    const response = await gateway.chat();
    const wait = Number(response.headers.get('retry-after-ms'));
    assert.ok(wait >= 1000 && wait <= 2000, `attempt ${attempt}: ${wait} ms`);
    assert.equal(response.headers.get('retry-after'), String(Math.ceil(wait / 1000)));
    assert.equal(response.headers.get('x-should-retry'), null);
    const { message, ...rest } = await refusalOf(response);
    assert.deepEqual(rest, { status: 503, type: 'server_error', code: 'server_is_overloaded', param: null });
    assert.match(message, /as many requests under way as it may have/);
  }
  assert.equal(upstream.requests.length, 2, 'a refused one was sent');
  left.abort();
  await Promise.all(hanging);
  await gateway.ended(5);
  assert.equal((await gateway.chat()).status, 200);
});

it('a stream is under way until its end', async (t) => {
  const { gateway, upstream } = await serve(t, { server: { max_in_flight: 1 } });
  const gate = new Gate();
  upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
  const streamed = await gateway.chat({ stream: true });
  assert.equal(streamed.status, 200);
  assert.equal((await gateway.chat()).status, 503);
  gate.open();
  await streamed.text();
  assert.equal((await gateway.chat()).status, 200);
});

it('the probes of the operators do not count, and are not refused; nor is what is soon over', async (t) => {
  const { gateway, upstream } = await serve(t, { server: { max_in_flight: 1 } });
  upstream.enqueue(silence());
  const left = new AbortController();
  const hanging = gateway.chat({}, {}, left.signal).catch(() => null);
  await upstream.waitFor(1);
  assert.equal((await fetch(`${gateway.admin}/readyz`)).status, 200);
  assert.equal((await fetch(`${gateway.url}/models`)).status, 200);
  assert.equal((await fetch(`${gateway.url}/usage`)).status, 200);
  assert.equal((await gateway.chat()).status, 503);
  left.abort();
  await hanging;
});

it('a hundred at a time are all answered, as many as may at a time and the others with a refusal', async (t) => {
  const { gateway, upstream } = await serve(t, { server: { max_in_flight: 10 } });
  const gate = new Gate();
  upstream.reply(() => [pauseUntil(gate), chatStream()]);
  const all = Array.from({ length: 100 }, () => gateway.chat({ stream: true }));
  await gateway.ended(90);
  gate.open();
  const statuses = (await Promise.all(all)).map(({ status }) => status);
  assert.equal(statuses.filter((status) => status === 200).length, 10);
  assert.equal(statuses.filter((status) => status === 503).length, 90);
});

it('the limit is that of the configuration in force', async (t) => {
  const { gateway, upstream, configWith } = await serve(t, LIMIT);
  upstream.enqueue(silence());
  const left = new AbortController();
  const hanging = gateway.chat({}, {}, left.signal).catch(() => null);
  await upstream.waitFor(1);
  assert.equal((await gateway.chat()).status, 200);
  await reloadWith(gateway, configWith({ server: { max_in_flight: 1 } }));
  assert.equal((await gateway.chat()).status, 503);
  left.abort();
  await hanging;
});
