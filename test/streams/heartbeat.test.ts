import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { RawClient } from '../support/raw-http.ts';
import { chatRequest, FINISH, ROLE, readEvents, startRig, text, turns } from '../support/rig.ts';
import { Gate, pauseUntil, silence, stream } from '../support/upstream.ts';

const PING = ': ping\n\n';
const SERVER = { heartbeat: '15s' };

describe('heartbeats', () => {
  it('keep a quiet stream open once it has begun', async (t) => {
    const rig = await startRig(t, { server: SERVER, node: { timeouts: { idle: '5m' } } });
    const gate = new Gate();
    rig.upstream.enqueue(stream([ROLE, text('Hello'), pauseUntil(gate), text(' again'), FINISH]));
    const reader = await rig.stream();
    await reader.until('Hello');
    const before = reader.text;
    for (let beats = 1; beats <= 3; beats++) {
      rig.clock.advance(14_999);
      await turns();
      rig.clock.advance(1);
      await reader.until(before + PING.repeat(beats));
    }
    gate.open();
    const received = readEvents(await reader.rest());
    assert.equal(received.comments, 3);
    assert.equal(received.content, 'Hello again');
    assert.equal(received.done, true);
    await rig.nothingLeft();
  });

  it('are not sent before the stream has begun', async (t) => {
    const rig = await startRig(t, { server: SERVER, node: { timeouts: { first_token: '5m', idle: '5m' } } });
    const gate = new Gate();
    rig.upstream.enqueue(stream([ROLE, pauseUntil(gate), text('Hello'), FINISH]));
    const client = await RawClient.connect(rig.gateway.origin);
    await client.send(chatRequest({ stream: true }));
    await gate.reached();
    await turns();
    rig.clock.advance(60_000);
    await turns();
    assert.equal(client.waiting, 0);
    gate.open();
    const answer = await client.waitFor('data: [DONE]\n\n');
    assert.ok(!answer.includes(PING));
    client.destroy();
    await rig.nothingLeft();
  });

  it('come only when the stream is quiet: each event puts them off', async (t) => {
    const rig = await startRig(t, { server: SERVER });
    const gate = new Gate();
    const events = Array.from({ length: 6 }, (_, n) => [text(`${n}`), pauseUntil(gate)]).flat();
    rig.upstream.enqueue(stream([ROLE, ...events, FINISH]));
    const reader = await rig.stream();
    for (let event = 0; event < 6; event++) {
      await reader.until(`"content":"${event}"`);
      await turns();
      rig.clock.advance(10_000);
      gate.step();
    }
    const received = readEvents(await reader.rest());
    assert.equal(received.content, '012345');
    assert.equal(received.comments, 0);
    await rig.nothingLeft();
  });

  it('come though the upstream sends comments of its own, which end here', async (t) => {
    const rig = await startRig(t, { server: SERVER });
    const gate = new Gate();
    const comments = Array.from({ length: 4 }, () => [': OPENROUTER PROCESSING', pauseUntil(gate)]).flat();
    rig.upstream.enqueue(stream([ROLE, text('Hello'), ...comments, FINISH]));
    const reader = await rig.stream();
    await reader.until('Hello');
    for (let comment = 1; comment <= 4; comment++) {
      await gate.reached(comment);
      await turns();
      rig.clock.advance(10_000);
      gate.step();
    }
    const received = readEvents(await reader.rest());
    assert.equal(received.comments, 2);
    assert.ok(!reader.text.includes('OPENROUTER'));
    await rig.nothingLeft();
  });

  it('do not put off `idle`', async (t) => {
    const rig = await startRig(t, { server: SERVER, node: { timeouts: { idle: '30s' } } });
    rig.upstream.enqueue(stream([ROLE, text('Hello'), silence()]));
    const reader = await rig.stream();
    await reader.until('Hello');
    rig.clock.advance(15_000);
    await reader.until(PING);
    rig.clock.advance(15_000);
    const received = readEvents(await reader.rest());
    assert.equal(received.error?.code, 'stream_interrupted');
    await rig.nothingLeft();
  });

  it('are never sent where they are 0', async (t) => {
    const rig = await startRig(t, { server: { heartbeat: '0' }, node: { timeouts: { idle: '5m' } } });
    const gate = new Gate();
    rig.upstream.enqueue(stream([ROLE, text('Hello'), pauseUntil(gate), FINISH]));
    const reader = await rig.stream();
    await reader.until('Hello');
    rig.clock.advance(120_000);
    await turns();
    gate.open();
    assert.equal(readEvents(await reader.rest()).comments, 0);
    await rig.nothingLeft();
  });

  it('end with the stream', async (t) => {
    const rig = await startRig(t, { server: { heartbeat: '100ms' } });
    await (await rig.stream()).rest();
    await rig.nothingLeft();
    rig.upstream.enqueue(stream([ROLE, text('Hello'), silence()]));
    const reader = await rig.stream();
    await reader.until('Hello');
    await reader.leave();
    await rig.nothingLeft();
  });
});
