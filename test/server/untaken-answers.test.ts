/** Whole answers whose clients do not take them. The clock of the gateway stands still unless it is moved. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { TestGateway } from '../support/gateway.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { RawClient } from '../support/raw-http.ts';
import { chatAnswer, Gate, pauseUntil } from '../support/upstream.ts';
import { chatBody, chatHead, serve } from './helpers.ts';

const TENANTS = {
  auth: 'keys',
  tenants: ['a', 'b'].map((id) => ({ id, keys: [{ id: 'k', key: `sw-${id}` }] })),
};
/** More than the kernel keeps for a client that does not read. Bytes. */
const LENGTH = 16_000_000;
const LONG = 'x'.repeat(LENGTH);
const HELD = 'spillway_untaken_answer_bytes';
const IN_FLIGHT = 'spillway_in_flight';

/** There is room for four of the answers: a tenant gets two. */
async function open(t: TestContext, bodyBytes = 4.2 * LENGTH) {
  const clock = new ManualClock(1000);
  const { gateway, upstream } = await serve(t, TENANTS, { clock, bodyBytes });
  upstream.reply(() => [chatAnswer({ content: LONG })]);
  return { clock, gateway, upstream };
}

/** Of a request with one long answer, of which it takes as much as it is told to. */
class SlowClient {
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  #taken = 0;

  constructor(t: TestContext, gateway: TestGateway) {
    const { hostname, port } = new URL(gateway.origin);
    this.socket = connect(Number(port), hostname);
    this.socket.on('error', () => {});
    this.closed = once(this.socket, 'close');
    t.after(async () => void this.socket.destroy());
  }

  ask(tenant: string): void {
    const body = chatBody();
    this.socket.write(
      chatHead({ authorization: `Bearer sw-${tenant}`, 'content-length': body.length }) + body,
    );
  }

  /** Takes on until it has so many bytes in all. */
  async takeUpTo(bytes: number): Promise<void> {
    while (this.#taken < bytes) {
      const piece = this.socket.read() as Buffer | null;
      if (piece === null) await once(this.socket, 'readable');
      else this.#taken += piece.length;
    }
  }

  /** How much more comes until the connection is gone. */
  async rest(): Promise<number> {
    let bytes = 0;
    this.socket.on('data', (piece: Buffer) => {
      bytes += piece.length;
    });
    await this.closed;
    return bytes;
  }
}

/** A client whose answer waits for it. */
async function asking(t: TestContext, gateway: TestGateway, tenant = 'a'): Promise<SlowClient> {
  const client = new SlowClient(t, gateway);
  const before = gateway.requests.length;
  client.ask(tenant);
  await gateway.ended(before + 1);
  return client;
}

function cut(gateway: TestGateway, tenant: string, reason: string): Promise<number | null> {
  return gateway.metric(`spillway_answers_cut_total{tenant="${tenant}",reason="${reason}"}`);
}

/** Resolves when the metric has come to that. */
async function shows(gateway: TestGateway, metric: string, value: number): Promise<void> {
  while ((await gateway.metric(metric)) !== value);
}

describe('answers that clients do not read', () => {
  it('cost their tenant those that wait for longest, and nobody else anything', async (t) => {
    const { clock, gateway } = await open(t);
    const clients: SlowClient[] = [];
    for (let n = 0; n < 5; n++) {
      clients.push(await asking(t, gateway));
      clock.advance(5_000);
    }
    const held = (await gateway.metric(HELD)) ?? 0;
    assert.ok(held > 2 * LENGTH && held < 2.1 * LENGTH, `${held} bytes`);
    assert.equal(await cut(gateway, 'a', 'memory'), 3);
    for (const client of clients.slice(0, 3)) {
      const got = await client.rest();
      assert.ok(got < LENGTH, `${got} bytes came`);
    }

    const response = await gateway.chat({}, { authorization: 'Bearer sw-b' });
    assert.ok((await response.text()).length > LENGTH, 'all of the answer to b came');
    assert.equal(await cut(gateway, 'b', 'memory'), null);
    assert.equal(await cut(gateway, 'a', 'memory'), 3);

    // Those that were not cut off can still be taken.
    for (const client of clients.slice(3)) await client.takeUpTo(LENGTH);
    await shows(gateway, HELD, 0);
    await shows(gateway, IN_FLIGHT, 0);
  });

  it('are in the books as answered, and in the log as cut off, once each', async (t) => {
    const { gateway } = await open(t, 1.5 * LENGTH);
    await asking(t, gateway);
    await asking(t, gateway);
    const [first] = gateway.requests;
    assert.equal(await cut(gateway, 'a', 'memory'), 1);
    await shows(gateway, IN_FLIGHT, 1);
    assert.deepEqual(
      gateway.requests.map(({ status, outcome }) => [status, outcome]),
      [
        [200, 'ok'],
        [200, 'ok'],
      ],
    );
    assert.equal(await gateway.metric('spillway_requests_total{tenant="a",model="m",status="200"}'), 2);
    const said = gateway.logs.filter(({ message }) => message.startsWith('an answer'));
    assert.deepEqual(said, [
      {
        level: 'warn',
        message: 'an answer that its client did not take was cut off',
        fields: { id: first?.id, tenant: 'a', reason: 'memory' },
      },
    ]);
  });

  it('leave no room for bodies that take as much, until they are taken', async (t) => {
    const { gateway, upstream } = await open(t, 2.1 * LENGTH);
    const client = await asking(t, gateway);
    const body = { messages: [{ role: 'user', content: 'x'.repeat(LENGTH / 10) }] };
    const ask = () => gateway.chat(body, { authorization: 'Bearer sw-a' });
    const refused = await ask();
    assert.equal(refused.status, 503);
    assert.equal(await gateway.metric('spillway_overload_refusals_total{tenant="a",reason="bodies"}'), 1);
    assert.equal(await gateway.metric('spillway_request_body_bytes'), 0);
    await client.takeUpTo(LENGTH);
    await shows(gateway, HELD, 0);
    upstream.enqueue(chatAnswer());
    assert.equal((await ask()).status, 200);
  });

  it('wait in place of the bodies of their requests', async (t) => {
    const { gateway, upstream } = await open(t);
    const gate = new Gate();
    upstream.enqueue([pauseUntil(gate), chatAnswer({ content: LONG })]);
    const body = chatBody({ messages: [{ role: 'user', content: 'x'.repeat(100_000) }] });
    const client = new SlowClient(t, gateway);
    client.socket.write(chatHead({ authorization: 'Bearer sw-a', 'content-length': body.length }) + body);
    await upstream.waitFor(1);
    assert.equal(await gateway.metric('spillway_request_body_bytes'), body.length);
    gate.open();
    await gateway.ended(1);
    assert.equal(await gateway.metric('spillway_request_body_bytes'), 0);
    assert.ok(((await gateway.metric(HELD)) ?? 0) > LENGTH);
  });
});

describe('an answer that a client takes slowly', () => {
  /** A minute for the first 1 MiB, and the rest at 64 KiB a second. It is a little longer than what it says. */
  const BOUND = 60_000 + ((LENGTH - 2 ** 20) / 2 ** 16) * 1000;

  it('is cut off when it has taken too long, though it took some of it all the time', async (t) => {
    const { clock, gateway } = await open(t);
    const client = await asking(t, gateway);
    for (let step = 1; step <= 8; step++) {
      clock.advance(BOUND / 8 - 1);
      await client.takeUpTo(step * 50_000);
    }
    assert.equal(await gateway.metric(IN_FLIGHT), 1);
    clock.advance(1000);
    await shows(gateway, IN_FLIGHT, 0);
    assert.equal(await gateway.metric(HELD), 0);
    assert.equal(await cut(gateway, 'a', 'slow'), 1);
    assert.ok((await client.rest()) < LENGTH);
  });

  it('is given to its end at the rate of a poor line, and its connection goes on', async (t) => {
    const { clock, gateway, upstream } = await open(t);
    const client = await asking(t, gateway);
    for (let step = 1; step <= 16; step++) {
      clock.advance(BOUND / 16 - 1);
      await client.takeUpTo((step * LENGTH) / 16);
    }
    client.socket.resume();
    await shows(gateway, IN_FLIGHT, 0);
    assert.equal(await gateway.metric(HELD), 0);
    clock.advance(BOUND);
    assert.equal(await cut(gateway, 'a', 'slow'), null);
    upstream.enqueue(chatAnswer());
    client.ask('a');
    await gateway.ended(2);
    await shows(gateway, IN_FLIGHT, 0);
    assert.equal(client.socket.destroyed, false);
  });

  it('has no time of its own yet while the answer before it on its connection is still to come', async (t) => {
    const { clock, gateway, upstream } = await open(t);
    const gate = new Gate();
    upstream.enqueue([pauseUntil(gate), chatAnswer()], chatAnswer({ content: LONG }));
    const client = await RawClient.connect(gateway.origin);
    const body = chatBody();
    const request = chatHead({ authorization: 'Bearer sw-a', 'content-length': body.length }) + body;
    await client.send(request + request);
    await gateway.ended(1);
    assert.ok(((await gateway.metric(HELD)) ?? 0) > LENGTH);
    clock.advance(BOUND + 1000);
    gate.open();
    assert.equal((await client.response()).status, 200);
    client.pause();
    await gateway.ended(2);
    assert.equal(await gateway.metric(IN_FLIGHT), 1);
    clock.advance(BOUND + 1000);
    await shows(gateway, IN_FLIGHT, 0);
    assert.equal(await cut(gateway, 'a', 'slow'), 1);
    assert.equal(await gateway.metric(HELD), 0);
    client.destroy();
  });
});

it('a client that takes nothing at all has a minute, however long its answer is', async (t) => {
  const { gateway, upstream } = await serve(t, TENANTS, { limits: { unread: 50 } });
  upstream.enqueue(chatAnswer({ content: LONG }));
  const client = await asking(t, gateway);
  await shows(gateway, IN_FLIGHT, 0);
  assert.equal(await gateway.metric(HELD), 0);
  assert.equal(await cut(gateway, 'a', 'slow'), 1);
  assert.ok((await client.rest()) < LENGTH);
});

describe('what is held of an answer is given back', () => {
  it('when its client goes', async (t) => {
    const { clock, gateway } = await open(t);
    const timers = clock.pending;
    const client = await asking(t, gateway);
    assert.ok(((await gateway.metric(HELD)) ?? 0) > LENGTH);
    client.socket.destroy();
    await shows(gateway, HELD, 0);
    await shows(gateway, IN_FLIGHT, 0);
    assert.ok(clock.pending <= timers, 'a timer is left');
    assert.equal(await cut(gateway, 'a', 'slow'), null);
  });

  it('when the process ends before it was taken', async (t) => {
    const { clock, gateway } = await open(t);
    await asking(t, gateway);
    const drained = gateway.app.drain();
    clock.advance(10 * 60_000);
    await drained;
    const { text } = await gateway.app.operations.metrics();
    assert.match(text, new RegExp(`^${HELD} 0$`, 'm'));
  });
});
