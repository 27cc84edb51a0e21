/** Clients that are refused and ask again at once, over connections that they keep. */
import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { chatBody, chatHead, serve } from '../server/helpers.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { RawClient } from '../support/raw-http.ts';
import { StubbornLoop } from './stubborn-loop.ts';

const TENANT = { id: 'a', keys: [{ id: 'k', key: 'sw-a' }] };
const A = { authorization: 'Bearer sw-a' };
/** As many may wait as are needed to know when there is time again. */
const ROOM = 4;
const ASKED = `${chatHead({ ...A, 'content-length': 2 })}{}`;
const REFUSALS = 'spillway_overload_refusals_total{tenant="a",reason="delay"}';

/** A gateway without room. */
async function full(t: TestContext) {
  const loop = new StubbornLoop();
  const clock = new ManualClock(1000);
  const { gateway } = await serve(t, { auth: 'keys', tenants: [TENANT] }, { loop, clock });
  loop.holdForLong();
  let taken: Promise<unknown>[] = [];
  const fill = async () => {
    taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
    while ((await gateway.metric('spillway_waiting')) !== ROOM) await new Promise(setImmediate);
  };
  /** What waits has its turn, and so has the last one's rest. */
  const turn = async () => {
    loop.turn();
    await Promise.all(taken);
  };
  await fill();
  return { loop, gateway, fill, turn };
}

async function clientOf(t: TestContext, { origin }: { origin: string }): Promise<RawClient> {
  const client = await RawClient.connect(origin);
  t.after(async () => client.destroy());
  return client;
}

/** Another client is refused meanwhile, and this one has not been told anything. */
async function isNotRead(t: TestContext, client: RawClient, gateway: { origin: string }) {
  const other = await clientOf(t, gateway);
  await other.send(ASKED);
  assert.equal((await other.response()).status, 503);
  assert.equal(client.waiting, 0);
}

/** And a client on a plain socket that has been refused so often that its connection rests. */
async function restingClient(t: TestContext) {
  const parts = await full(t);
  const client = await clientOf(t, parts.gateway);
  for (let n = 0; n < 501; n++) {
    await client.send(ASKED);
    assert.equal((await client.response()).status, 503);
  }
  return { ...parts, client };
}

it('who asks again and again on a connection waits unread after a while, and others are refused at once', async (t) => {
  const { loop, gateway, client, fill, turn } = await restingClient(t);
  await turn();
  await fill();
  await client.send(ASKED);
  await isNotRead(t, client, gateway);
  assert.equal(await gateway.metric(REFUSALS), 502);
  for (let n = 0; n < 50; n++) loop.hold(10);
  assert.equal((await client.response()).status, 503);
  assert.equal(await gateway.metric(REFUSALS), 503);
  await turn();
});

it('is not read again in the turn that it was refused in, which is long where a thousand others are ready', async (t) => {
  const { loop, gateway, client, turn } = await restingClient(t);
  await client.send(ASKED);
  await isNotRead(t, client, gateway);
  assert.equal(await gateway.metric(REFUSALS), 502);
  await turn();
  loop.recover();
  // It is read, and has no model.
  assert.equal((await client.response()).status, 400);
});

it('is answered after its rest, if there is room then', async (t) => {
  const { loop, client, turn } = await restingClient(t);
  await turn();
  await client.send(ASKED);
  loop.recover();
  // It is read, and has no model.
  assert.equal((await client.response()).status, 400);
});

it('what it has sent is answered before its connection is closed, when the gateway is stopped', async (t) => {
  const { gateway, client, turn } = await restingClient(t);
  await turn();
  await client.send(ASKED);
  const drained = gateway.app.drain();
  const { status, headers, body } = await client.response();
  assert.deepEqual([status, headers['connection']], [503, 'close']);
  assert.match(body, /server_shutting_down/);
  await drained;
});

it('requests that it sends one after the other without waiting are all answered, in their order', async (t) => {
  const { loop, client, turn } = await restingClient(t);
  await turn();
  const paths = ['/v1/nothing-1', '/v1/nothing-2', '/v1/nothing-3'];
  for (const path of paths) {
    await client.send(`GET ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer sw-a\r\n\r\n`);
  }
  loop.recover();
  for (const path of paths) {
    const { status, body } = await client.response();
    assert.equal(status, 404);
    assert.match(body, new RegExp(path));
  }
});

describe('a client with long bodies', () => {
  const LONG = chatBody({ messages: [{ role: 'user', content: 'x'.repeat(100_000) }] });
  const ASKED_LONG = `${chatHead({ ...A, 'content-length': LONG.length })}${LONG}`;

  it('that sends all of one before it looks is told that it is refused, and asks again on the same connection', async (t) => {
    const { loop, gateway, turn } = await full(t);
    const client = await clientOf(t, gateway);
    await client.send(ASKED_LONG);
    const { status, headers } = await client.response();
    assert.deepEqual([status, headers['connection']], [503, 'keep-alive']);
    assert.ok(Number(headers['retry-after']) >= 1);
    await turn();
    loop.recover();
    await client.send(ASKED_LONG);
    assert.equal((await client.response()).status, 200);
  });

  it('waits unread sooner than one with short ones', async (t) => {
    const { loop, gateway, turn } = await full(t);
    const client = await clientOf(t, gateway);
    // Each is like six refusals without a body, and for five hundred of those nobody rests.
    for (let n = 0; n < 84; n++) {
      await client.send(ASKED_LONG);
      assert.equal((await client.response()).status, 503);
    }
    await client.send(ASKED_LONG);
    await isNotRead(t, client, gateway);
    loop.recover();
    await turn();
    assert.equal((await client.response()).status, 200);
  });

  it('of which more than is read over is to come is told too, and its connection is closed then', async (t) => {
    const { gateway, turn } = await full(t);
    const client = await clientOf(t, gateway);
    const body = chatBody({ messages: [{ role: 'user', content: 'x'.repeat(2_000_000) }] });
    await client.send(`${chatHead({ ...A, 'content-length': body.length })}${body}`);
    const { status, headers } = await client.response();
    assert.deepEqual([status, headers['connection']], [503, 'close']);
    await client.closed;
    await turn();
  });
});
