/** Clients that are refused and ask again at once, over connections that they keep. */
import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import { chatHead, serve } from '../server/helpers.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { RawClient } from '../support/raw-http.ts';
import { StubbornLoop } from './stubborn-loop.ts';

const TENANT = { id: 'a', keys: [{ id: 'k', key: 'sw-a' }] };
const A = { authorization: 'Bearer sw-a' };
/** As many may wait as are needed to know when there is time again. */
const ROOM = 4;
const ASKED = `${chatHead({ ...A, 'content-length': 2 })}{}`;
const REFUSALS = 'spillway_overload_refusals_total{tenant="a",reason="delay"}';

/** A gateway without room, and a client on a plain socket that has been refused so often that its connection rests. */
async function restingClient(t: TestContext) {
  const loop = new StubbornLoop();
  const clock = new ManualClock(1000);
  const { gateway } = await serve(t, { auth: 'keys', tenants: [TENANT] }, { loop, clock });
  loop.holdForLong();
  const taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
  while ((await gateway.metric('spillway_waiting')) !== ROOM) await new Promise(setImmediate);
  const client = await RawClient.connect(gateway.origin);
  t.after(async () => client.destroy());
  for (let n = 0; n < 501; n++) {
    await client.send(ASKED);
    assert.equal((await client.response()).status, 503);
  }
  /** What waits has its turn, and so has the last one's rest. */
  const turn = async () => {
    loop.turn();
    await Promise.all(taken);
  };
  return { loop, gateway, client, turn };
}

it('who asks again and again on a connection waits unread after a while, and others are refused at once', async (t) => {
  const { loop, gateway, client, turn } = await restingClient(t);
  await turn();
  const taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
  while ((await gateway.metric('spillway_waiting')) !== ROOM) await new Promise(setImmediate);
  await client.send(ASKED);
  const other = await RawClient.connect(gateway.origin);
  t.after(async () => other.destroy());
  await other.send(ASKED);
  assert.equal((await other.response()).status, 503);
  assert.equal(client.waiting, 0);
  assert.equal(await gateway.metric(REFUSALS), 502);
  for (let n = 0; n < 50; n++) loop.hold(10);
  assert.equal((await client.response()).status, 503);
  assert.equal(await gateway.metric(REFUSALS), 503);
  loop.turn();
  await Promise.all(taken);
});

it('is not read again in the turn that it was refused in, which is long where a thousand others are ready', async (t) => {
  const { loop, gateway, client, turn } = await restingClient(t);
  await client.send(ASKED);
  const other = await RawClient.connect(gateway.origin);
  t.after(async () => other.destroy());
  await other.send(ASKED);
  assert.equal((await other.response()).status, 503);
  assert.equal(client.waiting, 0);
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
