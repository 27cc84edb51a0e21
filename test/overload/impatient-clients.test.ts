import assert from 'node:assert/strict';
import { Agent, request } from 'node:http';
import { it, type TestContext } from 'node:test';
import { chatHead, serve } from '../server/helpers.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { RawClient } from '../support/raw-http.ts';
import { StubbornLoop } from './stubborn-loop.ts';

const TENANT = { id: 'a', keys: [{ id: 'k', key: 'sw-a' }] };
const A = { authorization: 'Bearer sw-a' };
/** As many may wait as are needed to know when there is time again. */
const ROOM = 4;

it('who asks again and again on a connection is refused in turn after a while, others at once', async (t) => {
  const loop = new StubbornLoop();
  const clock = new ManualClock(1000);
  const { gateway } = await serve(t, { auth: 'keys', tenants: [TENANT] }, { loop, clock });
  loop.holdForLong();
  const shows = async (metric: string, value: number) => {
    while ((await gateway.metric(metric)) !== value) await new Promise(setImmediate);
  };
  const taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
  await shows('spillway_waiting', ROOM);
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  t.after(async () => agent.destroy());
  const ask = () =>
    new Promise<number | undefined>((resolve, reject) => {
      const asked = request(`${gateway.url}/chat/completions`, { method: 'POST', agent, headers: A });
      asked.on('error', reject);
      asked.on('response', (response) => {
        response.resume().on('end', () => resolve(response.statusCode));
      });
      asked.end('{}');
    });
  for (let n = 0; n < 501; n++) assert.equal(await ask(), 503);
  let isAnswered = false;
  const inTurn = ask().then((status) => {
    isAnswered = true;
    return status;
  });
  const reason = 'spillway_overload_refusals_total{tenant="a",reason="delay"}';
  assert.equal((await gateway.chat({}, A)).status, 503);
  await shows(reason, 502);
  assert.equal(await gateway.metric('spillway_in_flight'), ROOM);
  assert.equal(isAnswered, false);
  loop.hold(10);
  assert.equal(await inTurn, 503);
  assert.equal(await gateway.metric(reason), 503);
  loop.turn();
  await Promise.all(taken);
});

const ASKED = `${chatHead({ ...A, 'content-length': 2 })}{}`;

/** A gateway without room, and a client on a plain socket that has sent `last`, whose refusal waits. */
async function refusedInTurn(t: TestContext, last: string) {
  const loop = new StubbornLoop();
  const clock = new ManualClock(1000);
  const { gateway } = await serve(t, { auth: 'keys', tenants: [TENANT] }, { loop, clock });
  loop.holdForLong();
  const taken = Array.from({ length: ROOM }, () => gateway.chat({}, A));
  while ((await gateway.metric('spillway_waiting')) !== ROOM) await new Promise(setImmediate);
  const client = await RawClient.connect(gateway.origin);
  t.after(async () => client.destroy());
  for (let n = 0; n < 501; n++) {
    // What comes together is read together.
    await client.send(n < 500 ? ASKED : ASKED + last);
    assert.equal((await client.response()).status, 503);
  }
  return { loop, gateway, client, taken };
}

it('who leaves in the middle of a body while its refusal waits is counted once', async (t) => {
  const last = `${chatHead({ ...A, 'content-length': 100 })}{"mo`;
  const { loop, gateway, client, taken } = await refusedInTurn(t, last);
  let isClosed = false;
  void client.closed.then(() => {
    isClosed = true;
  });
  client.end();
  while (!isClosed) {
    await gateway.metrics();
    loop.hold(10);
  }
  loop.turn();
  await Promise.all(taken);
  const counted = (await gateway.metrics())
    .split('\n')
    .filter((line) => line.startsWith('spillway_requests_total{'))
    .map((line) => line.replace(/^.*status=/, ''));
  assert.deepEqual(counted.toSorted(), ['"200"} 4', '"499"} 1', '"503"} 501']);
});

it('whose refusal waits when the gateway is stopped is refused before the connection is closed', async (t) => {
  const { loop, gateway, client, taken } = await refusedInTurn(t, ASKED);
  loop.turn();
  await Promise.all(taken);
  const drained = gateway.app.drain();
  const { status, headers } = await client.response();
  assert.deepEqual([status, headers['connection']], [503, 'close']);
  await drained;
});
