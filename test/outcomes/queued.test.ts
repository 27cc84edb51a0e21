import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startRig, turns } from '../support/rig.ts';
import { chatAnswer, Gate, pauseUntil, script } from '../support/upstream.ts';

describe('a request that gets no connection because all are in use', () => {
  it('does not count against the upstream, which was never asked', async (t) => {
    const rig = await startRig(t, {
      provider: { connections: 1 },
      node: { timeouts: { attempt: '10s' }, retry: { attempts: 0 }, breaker: { consecutive_failures: 1 } },
    });
    const { gateway, upstream, clock } = rig;
    const gate = new Gate();
    upstream.enqueue(script(pauseUntil(gate), chatAnswer()));
    const first = gateway.chat();
    await gate.reached(1);
    clock.advance(5_000);
    const second = gateway.chat();
    while ((await gateway.metric('spillway_upstream_waiting{provider="a"}')) !== 1) await turns(1);
    // The first one's time is over first: let it have its answer before that.
    clock.advance(4_000);
    gate.open();
    assert.equal((await first).status, 200);
    assert.equal((await second).status, 200, 'it has its own ten seconds, from when it was sent');
    assert.equal((await gateway.upstreams())[0]?.breaker, 'closed');
    await rig.nothingLeft();
  });

  it('is told so when it waits too long, and the breaker stays closed', async (t) => {
    const rig = await startRig(t, {
      provider: { connections: 1 },
      node: {
        timeouts: { connect: '10s', first_token: '8s', attempt: '1h', idle: '1h', total: '2h' },
        breaker: { consecutive_failures: 1 },
      },
    });
    const { gateway, upstream, clock } = rig;
    const gate = new Gate();
    upstream.enqueue(script(pauseUntil(gate), chatAnswer()));
    const first = gateway.chat();
    await gate.reached(1);
    const second = gateway.chat({ stream: true });
    while ((await gateway.metric('spillway_upstream_waiting{provider="a"}')) !== 1) await turns(1);
    clock.advance(9_999);
    await turns();
    assert.equal(gateway.logs.length, 0, 'the wait is not the upstream being silent');
    clock.advance(2);
    const response = await second;
    assert.equal(response.status, 503);
    assert.equal(response.headers.get('retry-after'), '1');
    assert.match(
      await response.text(),
      /a\/up: skipped, the only connection to its provider \(`connections`\) is in use\./,
    );
    const [row] = await gateway.upstreams();
    assert.equal(row?.breaker, 'closed');
    assert.equal(upstream.requests.length, 1);
    assert.equal(await gateway.metric('spillway_upstream_limited_total{upstream="a/up#1"}'), 1);
    gate.open();
    await (await first).text();
    await rig.nothingLeft();
  });
});
