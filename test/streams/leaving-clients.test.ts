import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RawClient } from '../support/raw-http.ts';
import {
  chatRequest,
  FINISH,
  interruptions,
  type Rig,
  ROLE,
  startRig,
  text,
  turns,
  until,
} from '../support/rig.ts';
import {
  apiError,
  chunk,
  Gate,
  head,
  pauseUntil,
  type Script,
  script,
  silence,
  stream,
  write,
} from '../support/upstream.ts';

const BREAKER = { consecutive_failures: 1 };
const PLAIN = { 'content-type': 'application/json', 'content-length': '5000' };

async function connectAndAsk(rig: Rig, body: object = {}): Promise<RawClient> {
  const client = await RawClient.connect(rig.gateway.origin);
  await client.send(chatRequest(body));
  return client;
}

/** Fails unless the books say that the client left, that it was nobody's fault, and that nothing is left of it. */
async function assertGone(rig: Rig, status: number, tries: number): Promise<void> {
  const line = await rig.line();
  assert.equal(line.outcome, 'client_gone');
  assert.equal(line.status, status);
  assert.equal(line.tries.length, tries);
  const series = `spillway_requests_total{tenant="anonymous",model="m",status="${status}"}`;
  assert.equal(await rig.gateway.metric(series), 1);
  assert.equal(await interruptions(rig), 0);
  for (const { opens, last_error } of await rig.gateway.upstreams()) {
    assert.equal(opens, 0);
    if (tries < 2) assert.equal(last_error, null);
  }
  await rig.nothingLeft();
}

/** Where a client can leave while an upstream is at work: what was sent so far, and what the client has seen of it. */
const PLACES: Record<string, { asks: object; sent: Script; sees: string | null; status: number }> = {
  'before the headers of a plain answer': { asks: {}, sent: [], sees: null, status: 499 },
  'before the headers of a stream': { asks: { stream: true }, sent: [], sees: null, status: 499 },
  'in the middle of a plain answer': {
    asks: {},
    sent: script(head(200, PLAIN), write('{"choices":[{')),
    sees: null,
    status: 499,
  },
  "in the middle of an error's body": {
    asks: {},
    sent: script(head(500, PLAIN), write('{"err')),
    sees: null,
    status: 499,
  },
  'before the first content': {
    asks: { stream: true },
    sent: script(
      head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' }),
      write(chunk(`data: ${JSON.stringify(ROLE)}\n\n`)),
    ),
    sees: null,
    status: 499,
  },
  'in the middle of a stream': {
    asks: { stream: true },
    sent: script(
      head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' }),
      write(chunk(`data: ${JSON.stringify(text('Hello'))}\n\n`)),
    ),
    sees: 'Hello',
    status: 200,
  },
  'between the finish and the end of a stream': {
    asks: { stream: true },
    sent: script(
      head(200, { 'content-type': 'text/event-stream', 'transfer-encoding': 'chunked' }),
      write(chunk(`data: ${JSON.stringify(FINISH)}\n\n`)),
    ),
    sees: '"stop"',
    status: 200,
  },
};

describe('a client that leaves', () => {
  for (const [name, { asks, sent, sees, status }] of Object.entries(PLACES)) {
    it(`ends the upstream request at once: ${name}`, async (t) => {
      const rig = await startRig(t, { node: { breaker: BREAKER, retry: { attempts: 2 } }, second: true });
      rig.upstream.enqueue(script(sent, silence()));
      const client = await connectAndAsk(rig, asks);
      const request = await rig.upstream.nextRequest();
      if (sees !== null) await client.waitFor(sees);
      await turns();
      assert.equal((await rig.gateway.upstreams())[0]?.in_flight, 1);
      client.destroy();
      await request.closed;
      assert.equal(request.aborted, true);
      await assertGone(rig, status, 1);
      assert.equal(rig.upstream.requests.length, 1, 'it was not asked again');
      assert.equal(rig.second.requests.length, 0, 'nor was anybody else');
      await until(() => rig.upstream.openSockets === 0);
    });
  }

  it('ends the wait between tries', async (t) => {
    const rig = await startRig(t, { node: { retry: { attempts: 2 } }, second: true });
    rig.upstream.enqueue(apiError(503));
    const client = await connectAndAsk(rig);
    await (await rig.upstream.nextRequest()).answered;
    await turns();
    assert.equal(rig.clock.pending, 1, 'it waits');
    client.destroy();
    const line = await rig.line();
    assert.deepEqual([line.outcome, line.status], ['client_gone', 499]);
    assert.deepEqual(
      line.tries.map(({ outcome }) => outcome),
      ['overloaded'],
    );
    await rig.nothingLeft();
    assert.equal(rig.upstream.requests.length, 1);
    assert.equal(rig.second.requests.length, 0);
  });

  it('ends the wait for a cooldown', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(apiError(429, {}, { 'retry-after': '5' }));
    assert.equal((await rig.gateway.chat()).status, 429);
    const client = await connectAndAsk(rig);
    await until(() => rig.clock.pending === 1);
    client.destroy();
    const line = (await rig.gateway.ended(2))[1];
    assert.deepEqual([line?.outcome, line?.status, line?.tries.length], ['client_gone', 499, 0]);
    await rig.nothingLeft();
    assert.equal(rig.upstream.requests.length, 1);
  });

  it('leaves the queue for a connection', async (t) => {
    const rig = await startRig(t, { provider: { connections: 1 }, node: { breaker: BREAKER } });
    const gate = new Gate();
    rig.upstream.enqueue(stream([ROLE, text('Hello'), pauseUntil(gate), FINISH]));
    const first = await rig.stream();
    await first.until('Hello');
    const waiting = [await connectAndAsk(rig), await connectAndAsk(rig, { stream: true })];
    while ((await rig.gateway.metric('spillway_upstream_waiting{provider="a"}')) !== 2) await turns(1);
    for (const client of waiting) client.destroy();
    const lines = await rig.gateway.ended(2);
    assert.deepEqual(
      lines.map(({ outcome, status }) => [outcome, status]),
      [
        ['client_gone', 499],
        ['client_gone', 499],
      ],
    );
    assert.equal((await rig.gateway.upstreams())[0]?.in_flight, 1);
    gate.open();
    await first.rest();
    await rig.nothingLeft();
    assert.equal((await rig.gateway.chat()).status, 200);
    assert.equal(rig.upstream.requests.length, 2, 'those that left were never sent');
    assert.equal((await rig.gateway.upstreams())[0]?.opens, 0);
  });

  it('does not take the others of its upstream with it', async (t) => {
    const rig = await startRig(t);
    const gate = new Gate();
    rig.upstream.reply(() => stream([ROLE, text('Hello'), pauseUntil(gate), FINISH]));
    const readers = await Promise.all(Array.from({ length: 6 }, () => rig.stream()));
    for (const reader of readers) await reader.until('Hello');
    for (const reader of readers.slice(0, 3)) await reader.leave();
    await rig.gateway.ended(3);
    gate.open();
    for (const reader of readers.slice(3)) assert.ok((await reader.rest()).endsWith('data: [DONE]\n\n'));
    await rig.nothingLeft();
  });

  it('leaves nothing behind, however often', async (t) => {
    const rig = await startRig(t, { provider: { connections: 4 }, server: { heartbeat: '1s' } });
    rig.upstream.reply(() => stream([ROLE, text('Hello'), silence()]));
    for (let round = 1; round <= 10; round++) {
      const clients = await Promise.all(
        Array.from({ length: 8 }, () => connectAndAsk(rig, { stream: true })),
      );
      await rig.upstream.waitFor(round === 1 ? 1 : rig.upstream.requests.length);
      await turns();
      for (const client of clients) client.destroy();
      await rig.gateway.ended(round * 8);
      assert.ok(rig.upstream.openSockets <= 8, `${rig.upstream.openSockets} sockets`);
    }
    await rig.nothingLeft();
    assert.ok(rig.gateway.requests.every(({ outcome }) => outcome === 'client_gone'));
    rig.upstream.reply(() => stream([ROLE, text('Hello'), FINISH]));
    assert.ok((await (await rig.stream()).rest()).endsWith('data: [DONE]\n\n'));
    assert.equal((await rig.gateway.upstreams())[0]?.opens, 0);
  });

  it('with a reset ends things just as well', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(stream([ROLE, text('Hello'), silence()]));
    const client = await connectAndAsk(rig, { stream: true });
    await client.waitFor('Hello');
    client.reset();
    const request = await rig.upstream.nextRequest();
    await request.closed;
    assert.equal(request.aborted, true);
    await assertGone(rig, 200, 1);
  });

  it('that only closes its own side has left too', async (t) => {
    const rig = await startRig(t);
    rig.upstream.enqueue(silence());
    const client = await connectAndAsk(rig);
    const request = await rig.upstream.nextRequest();
    client.end();
    await request.closed;
    await assertGone(rig, 499, 1);
  });
});
