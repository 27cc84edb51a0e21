import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startRig, turns, until } from '../support/rig.ts';
import { chatAnswer, Gate, pauseUntil, script } from '../support/upstream.ts';

describe('`connections: 1`', () => {
  it('has requests wait for each other', async (t) => {
    const { gateway, upstream } = await startRig(t, { provider: { connections: 1 } });
    const gate = new Gate();
    upstream.reply(() => script(pauseUntil(gate), chatAnswer()));
    const asked = [gateway.chat(), gateway.chat(), gateway.chat()];
    for (let answered = 1; answered <= 3; answered++) {
      await gate.reached(answered);
      await turns();
      assert.equal(upstream.requests.length, answered);
      gate.step();
    }
    for (const response of await Promise.all(asked)) {
      assert.equal(response.status, 200);
      await response.text();
    }
    assert.equal(upstream.connections, 1);
  });

  it('does not send a request whose client left while it waited', async (t) => {
    const rig = await startRig(t, { provider: { connections: 1 } });
    const { gateway, upstream } = rig;
    const gate = new Gate();
    upstream.reply(() => script(pauseUntil(gate), chatAnswer()));
    const first = gateway.chat();
    await gate.reached(1);
    const leaves = new AbortController();
    const second = gateway.chat({ user: 'leaves' }, {}, leaves.signal).catch(() => null);
    const waiting = () => gateway.metric('spillway_upstream_waiting{provider="a"}');
    while ((await waiting()) !== 1) await turns(1);
    leaves.abort();
    await second;
    const [line] = await gateway.ended(1);
    assert.equal(line?.outcome, 'client_gone');
    while ((await waiting()) !== 0) await turns(1);
    const third = gateway.chat({ user: 'stays' });
    gate.open();
    for (const response of await Promise.all([first, third])) {
      assert.equal(response.status, 200);
      await response.text();
    }
    await until(() => upstream.inFlight === 0);
    assert.deepEqual(
      upstream.requests.map((request) => request.json()['user']),
      [undefined, 'stays'],
    );
    await rig.nothingLeft();
  });
});
