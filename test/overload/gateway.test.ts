/** The whole gateway, on a loop that is late when the test says so. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { refusalOf, serve } from '../server/helpers.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { chatStream, Gate, pauseUntil, silence } from '../support/upstream.ts';
import { StubbornLoop } from './stubborn-loop.ts';

const TENANTS = {
  auth: 'keys',
  tenants: ['a', 'b'].map((id) => ({ id, keys: [{ id: 'k', key: `sw-${id}` }] })),
};
const A = { authorization: 'Bearer sw-a' };
const B = { authorization: 'Bearer sw-b' };
/** As many may wait as are needed to know when there is time again. */
const ROOM = 4;

async function overloaded(t: TestContext, config: object = {}) {
  const loop = new StubbornLoop();
  const clock = new ManualClock(1000);
  const { gateway, upstream } = await serve(t, { ...TENANTS, ...config }, { loop, clock });
  loop.holdForLong();
  return { loop, clock, gateway, upstream };
}

type Gateway = Awaited<ReturnType<typeof overloaded>>['gateway'];

/** Resolves when the metric has come to that. */
async function shows(gateway: Gateway, metric: string, value: number): Promise<void> {
  while ((await gateway.metric(metric)) !== value) await new Promise(setImmediate);
}

function waiting(gateway: Gateway, count: number): Promise<void> {
  return shows(gateway, 'spillway_waiting', count);
}

describe('a loop that has more to do than it can', () => {
  it('as many as will soon be begun wait, the others are refused at once; the first are answered', async (t) => {
    const { loop, gateway, upstream } = await overloaded(t);
    const taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
    await waiting(gateway, ROOM);
    const refused = await gateway.chat({}, A);
    const wait = Number(refused.headers.get('retry-after-ms'));
    assert.ok(wait >= 1000 && wait <= 2000, `${wait} ms`);
    assert.equal(refused.headers.get('retry-after'), String(Math.ceil(wait / 1000)));
    assert.equal(refused.headers.get('x-should-retry'), null);
    const { message, ...rest } = await refusalOf(refused);
    assert.deepEqual(rest, { status: 503, type: 'server_error', code: 'server_is_overloaded', param: null });
    assert.match(message, /more requests than it can answer in time/);
    assert.equal(upstream.requests.length, 0);

    loop.turn();
    assert.deepEqual(
      (await Promise.all(taken)).map(({ status }) => status),
      [200, 200, 200, 200],
    );
    assert.equal(await gateway.metric('spillway_waiting'), 0);
  });

  it('is recovered from without anybody doing anything', async (t) => {
    const { loop, gateway } = await overloaded(t);
    const taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
    await waiting(gateway, ROOM);
    assert.equal((await gateway.chat({}, A)).status, 503);
    loop.turn();
    await Promise.all(taken);
    loop.recover();
    const all = await Promise.all(Array.from({ length: 50 }, () => gateway.chat({}, A)));
    assert.deepEqual([...new Set(all.map(({ status }) => status))], [200]);
  });

  it('a tenant that has nothing waiting is not refused for another one that has much', async (t) => {
    const { loop, gateway } = await overloaded(t);
    const taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
    await waiting(gateway, ROOM);
    assert.equal((await gateway.chat({}, A)).status, 503);
    const other = gateway.chat({}, B);
    await waiting(gateway, ROOM + 1);
    loop.turn();
    assert.equal((await other).status, 200);
    await Promise.all(taken);
  });

  it('is no matter to streams that have begun, to operators, and to keys that are not known', async (t) => {
    const { loop, gateway, upstream } = await overloaded(t);
    const gate = new Gate();
    upstream.enqueue(chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] }));
    const begun = gateway.chat({ stream: true }, A);
    await waiting(gateway, 1);
    loop.turn();
    const streamed = await begun;
    const taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
    await waiting(gateway, ROOM);
    assert.equal((await gateway.chat({}, A)).status, 503);
    gate.open();
    assert.match(await streamed.text(), /"lo".*\[DONE\]/s);
    assert.equal((await fetch(`${gateway.admin}/readyz`)).status, 200);
    assert.equal((await fetch(`${gateway.url}/models`, { headers: A })).status, 200);
    assert.equal((await gateway.chat({}, { authorization: 'Bearer sw-nobody' })).status, 401);
    loop.turn();
    await Promise.all(taken);
  });

  it('a request is refused before its body has come', async (t) => {
    const { loop, gateway } = await overloaded(t);
    const taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
    await waiting(gateway, ROOM);
    const { hostname, port } = new URL(gateway.origin);
    const socket = connect(Number(port), hostname);
    t.after(async () => void socket.destroy());
    socket.write(
      'POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sw-a\r\ncontent-length: 2000\r\n\r\n',
    );
    const [answer] = (await new Promise<Buffer[]>((resolve) => {
      socket.once('data', (bytes) => resolve([bytes]));
    })) as [Buffer];
    assert.match(answer.toString(), /^HTTP\/1.1 503 /);
    loop.turn();
    await Promise.all(taken);
  });

  it('whoever leaves while waiting is not asked for upstream', async (t) => {
    const { loop, gateway, upstream } = await overloaded(t);
    const left = new AbortController();
    const leaving = gateway.chat({}, A, left.signal).catch(() => null);
    await waiting(gateway, 1);
    const staying = gateway.chat({}, B);
    await waiting(gateway, 2);
    left.abort();
    await leaving;
    // Nothing of it is kept until its turn would have come.
    await shows(gateway, 'spillway_in_flight', 1);
    await shows(gateway, 'spillway_waiting', 1);
    const [line] = await gateway.ended(1);
    assert.deepEqual([line?.tenant, line?.status, line?.outcome], ['a', 499, 'client_gone']);
    loop.turn();
    assert.equal((await staying).status, 200);
    assert.equal((await gateway.ended(2)).length, 2);
    assert.equal(upstream.requests.length, 1);
  });

  it('a stream that its client may come back to is begun though that has left', async (t) => {
    const { loop, gateway, upstream } = await overloaded(t);
    const left = new AbortController();
    const leaving = gateway
      .chat({ stream: true }, { ...A, 'x-spillway-resume': 'true' }, left.signal)
      .catch(() => null);
    await waiting(gateway, 1);
    left.abort();
    await leaving;
    await shows(gateway, 'spillway_in_flight', 0);
    await waiting(gateway, 1);
    loop.turn();
    await upstream.waitFor(1);
    await gateway.ended(1);
  });

  it('refusals are counted, and each is in one line of the log and only in one', async (t) => {
    const { loop, clock, gateway } = await overloaded(t);
    const taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
    await waiting(gateway, ROOM);
    for (let n = 0; n < 130; n++) assert.equal((await gateway.chat({}, A)).status, 503);
    clock.advance(1000);
    assert.equal(await gateway.metric('spillway_overload_refusals_total{tenant="a",reason="delay"}'), 130);
    assert.equal(
      await gateway.metric('spillway_requests_total{tenant="a",model="unknown",status="503"}'),
      130,
    );
    assert.equal(gateway.requests.filter(({ error }) => error === 'server_is_overloaded').length, 100);
    const sums = gateway.logs.filter(({ message }) => message === 'requests refused');
    assert.deepEqual(
      sums.map(({ level, fields }) => ({ level, ...fields })),
      [{ level: 'warn', tenant: 'a', status: 503, error: 'server_is_overloaded', count: 30 }],
    );
    loop.turn();
    await Promise.all(taken);
    assert.equal(gateway.requests.length, 100 + ROOM);
  });

  it('its delay is measured', async (t) => {
    const { loop, gateway } = await overloaded(t);
    const count = (await gateway.metric('spillway_event_loop_delay_seconds_count')) ?? 0;
    const sum = (await gateway.metric('spillway_event_loop_delay_seconds_sum')) ?? 0;
    loop.hold(312);
    assert.equal(await gateway.metric('spillway_event_loop_delay_seconds_count'), count + 1);
    const more = ((await gateway.metric('spillway_event_loop_delay_seconds_sum')) ?? 0) - sum;
    assert.ok(Math.abs(more - 0.3) < 1e-9, `${more} s`);
  });
});

/** A request of which the headers are sent, and the beginning of its body. */
function sending(t: TestContext, gateway: Gateway, headers: string, begun: string) {
  const { hostname, port } = new URL(gateway.origin);
  const socket = connect(Number(port), hostname);
  t.after(async () => void socket.destroy());
  socket.on('error', () => {});
  const status = new Promise<number>((resolve) => {
    socket.once('data', (answer) => resolve(Number(answer.toString().slice('HTTP/1.1 '.length, 12))));
  });
  socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n${headers}\r\n\r\n${begun}`);
  return { socket, status };
}

describe('room for bodies', () => {
  const LONG = { messages: [{ role: 'user', content: 'x'.repeat(90_000) }] };

  async function holding(t: TestContext) {
    const { gateway, upstream } = await serve(t, TENANTS, { bodyBytes: 300_000 });
    upstream.enqueue(silence());
    const left = new AbortController();
    const hanging = gateway.chat(LONG, A, left.signal).catch(() => null);
    await upstream.waitFor(1);
    const end = async () => {
      left.abort();
      await hanging;
      await shows(gateway, 'spillway_in_flight', 0);
    };
    return { gateway, upstream, end };
  }

  it('one too many is refused before it is read, short ones and those of others are not', async (t) => {
    const { gateway, upstream, end } = await holding(t);
    assert.ok(((await gateway.metric('spillway_request_body_bytes')) ?? 0) > 90_000);
    const refused = await gateway.chat(LONG, A);
    const { status, code, message } = await refusalOf(refused);
    assert.deepEqual([status, code], [503, 'server_is_overloaded']);
    assert.match(message, /memory/);
    assert.notEqual(refused.headers.get('retry-after'), null);
    assert.equal((await gateway.chat({}, A)).status, 200);
    assert.equal((await gateway.chat(LONG, B)).status, 200);
    assert.equal(await gateway.metric('spillway_overload_refusals_total{tenant="a",reason="bodies"}'), 1);
    await end();
    assert.equal(await gateway.metric('spillway_request_body_bytes'), 0);
    assert.equal((await gateway.chat(LONG, A)).status, 200);
    assert.equal(await gateway.metric('spillway_request_body_bytes'), 0);
    assert.equal(upstream.requests.length, 4);
  });

  it('one that does not say how long it is, is refused when it has come to be too long', async (t) => {
    const { gateway, upstream, end } = await holding(t);
    const chunked = (size: number) =>
      fetch(`${gateway.url}/chat/completions`, {
        method: 'POST',
        headers: { ...A, 'content-type': 'application/json' },
        body: new Blob([
          JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(size) }] }),
        ]).stream(),
        duplex: 'half',
      } as RequestInit);
    assert.equal((await chunked(1000)).status, 200);
    const { status, code } = await refusalOf(await chunked(120_000));
    assert.deepEqual([status, code], [503, 'server_is_overloaded']);
    await end();
    assert.equal(await gateway.metric('spillway_request_body_bytes'), 0);
    assert.equal((await chunked(90_000)).status, 200);
    assert.equal(await gateway.metric('spillway_request_body_bytes'), 0);
    assert.equal(upstream.requests.length, 3);
  });

  it('is taken by what has come of a body, not by what was announced', async (t) => {
    const { gateway } = await serve(t, TENANTS, { bodyBytes: 300_000 });
    const held = (bytes: number) => shows(gateway, 'spillway_request_body_bytes', bytes);
    const body = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'x'.repeat(60_000) }] });
    const headers = `authorization: Bearer sw-a\r\ncontent-length: ${body.length}`;
    const { socket, status } = sending(t, gateway, headers, body.slice(0, 1));
    await held(4096);
    socket.write(body.slice(1, 5000));
    await held(40_000);
    socket.write(body.slice(5000, 41_000));
    await held(body.length);
    socket.write(body.slice(41_000));
    assert.equal(await status, 200);
    await held(0);
  });

  it('short bodies that do not come keep no other tenant out, however many are announced', async (t) => {
    const { gateway } = await serve(t, TENANTS, { bodyBytes: 300_000 });
    const headers = 'authorization: Bearer sw-a\r\ncontent-length: 65000';
    await Promise.all(Array.from({ length: 100 }, () => sending(t, gateway, headers, '{')));
    const refused = 'spillway_overload_refusals_total{tenant="a",reason="bodies"}';
    const inFlight = 'spillway_in_flight';
    for (;;) {
      const all = ((await gateway.metric(refused)) ?? 0) + ((await gateway.metric(inFlight)) ?? 0);
      if (all === 100) break;
    }
    assert.ok(((await gateway.metric(refused)) ?? 0) > 0);
    assert.ok(((await gateway.metric('spillway_request_body_bytes')) ?? 0) <= 270_000);
    assert.equal((await gateway.chat({}, B)).status, 200);
  });

  it('one whose room is gone before it has come whole is refused, and what it held is free', async (t) => {
    const { gateway } = await serve(t, TENANTS, { bodyBytes: 300_000 });
    const headers = 'authorization: Bearer sw-a\r\ncontent-length: 100000';
    const sent = await Promise.all([0, 1, 2].map(() => sending(t, gateway, headers, '{')));
    await shows(gateway, 'spillway_request_body_bytes', 3 * 4096);
    for (const { socket } of sent) socket.write('x'.repeat(20_000));
    assert.equal(await Promise.race(sent.map(({ status }) => status)), 503);
    await shows(gateway, 'spillway_request_body_bytes', 100_000);
    assert.equal(await gateway.metric('spillway_overload_refusals_total{tenant="a",reason="bodies"}'), 2);
  });
});

it('the last places under way are kept for tenants that have few, where there are others', async (t) => {
  const { gateway, upstream } = await serve(t, { ...TENANTS, server: { max_in_flight: 20 } });
  const gate = new Gate();
  upstream.reply(() => [pauseUntil(gate), chatStream()]);
  const hanging = [gateway.chat({ stream: true }, B)];
  for (let n = 0; n < 17; n++) hanging.push(gateway.chat({ stream: true }, A));
  await upstream.waitFor(18);
  const refused = await gateway.chat({ stream: true }, A);
  const { status, code, message } = await refusalOf(refused);
  assert.deepEqual([status, code], [503, 'server_is_overloaded']);
  assert.match(message, /as many requests under way as it may have/);
  hanging.push(gateway.chat({ stream: true }, B), gateway.chat({ stream: true }, B));
  await upstream.waitFor(20);
  assert.equal(await gateway.metric('spillway_overload_refusals_total{tenant="a",reason="in_flight"}'), 1);
  gate.open();
  for (const response of await Promise.all(hanging)) assert.equal(response.status, 200);
});

describe('a tenant that has all places under way', () => {
  /** It has ten, and there is one in reserve. */
  async function flooded(t: TestContext) {
    const { gateway, upstream } = await serve(t, { ...TENANTS, server: { max_in_flight: 10 } });
    const gate = new Gate();
    upstream.reply(() => [pauseUntil(gate), chatStream()]);
    const hanging = Array.from({ length: 10 }, () => gateway.chat({ stream: true }, A));
    await upstream.waitFor(10);
    const end = async () => {
      gate.open();
      for (const response of await Promise.all(hanging)) assert.equal(response.status, 200);
    };
    return { gateway, upstream, hanging, end };
  }

  const OF_A = 'spillway_overload_refusals_total{tenant="a",reason="in_flight"}';
  const OF_NOBODY = 'spillway_overload_refusals_total{tenant="unknown",reason="in_flight"}';

  it('is refused itself, under its name, and the others are not', async (t) => {
    const { gateway, upstream, hanging, end } = await flooded(t);
    const waits = new Set<string | null>();
    for (let n = 0; n < 50; n++) {
      const refused = await gateway.chat({}, A);
      assert.equal(refused.status, 503);
      waits.add(refused.headers.get('retry-after-ms'));
    }
    assert.ok(waits.size > 1, 'all are to come back at the same moment');
    hanging.push(gateway.chat({ stream: true }, B));
    await upstream.waitFor(11);
    assert.equal(await gateway.metric(OF_A), 50);
    assert.equal(await gateway.metric(OF_NOBODY), null);
    await gateway.ended(50);
    assert.deepEqual([...new Set(gateway.requests.map(({ tenant }) => tenant))], ['a']);
    await end();
  });

  it('is told what it has and may, as the others are, and keys that are not known are refused as such', async (t) => {
    const { gateway, end } = await flooded(t);
    for (const headers of [A, B]) {
      for (const path of ['/models', '/usage', '/models/m']) {
        assert.equal((await fetch(`${gateway.url}${path}`, { headers })).status, 200, path);
      }
    }
    assert.equal((await gateway.chat({}, { authorization: 'Bearer sw-nobody' })).status, 401);
    await end();
  });

  it('takes none with streams that it comes back to, and may end them', async (t) => {
    const { gateway, end } = await flooded(t);
    const ask = async (method: string, headers: Record<string, string>) =>
      (await fetch(`${gateway.url}/streams/nothing`, { method, headers })).status;
    assert.deepEqual([await ask('GET', A), await ask('DELETE', A), await ask('GET', B)], [503, 404, 404]);
    await end();
  });

  it('with the reserve taken too, all are refused, whoever asks', async (t) => {
    const { gateway, upstream, hanging, end } = await flooded(t);
    hanging.push(gateway.chat({ stream: true }, B));
    await upstream.waitFor(11);
    assert.equal((await gateway.chat({}, B)).status, 503);
    assert.equal((await fetch(`${gateway.url}/models`, { headers: B })).status, 503);
    assert.equal(await gateway.metric(OF_NOBODY), 2);
    await end();
  });

  it('sends bodies that never come, and keeps nobody else out', async (t) => {
    const { gateway } = await serve(t, { ...TENANTS, server: { max_in_flight: 20 } });
    const headers = 'authorization: Bearer sw-a\r\ncontent-length: 65000';
    await Promise.all(Array.from({ length: 100 }, () => sending(t, gateway, headers, '{')));
    await shows(gateway, OF_A, 80);
    assert.equal((await gateway.chat({}, B)).status, 200);
  });
});
