import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FINISH, ROLE, readEvents, startRig, text, turns } from '../support/rig.ts';
import { close, Gate, pauseUntil, reset, type Script, silence, stream } from '../support/upstream.ts';

/** Opens at the third failure in a row. */
const BREAKER = { consecutive_failures: 3, min_requests: 100 };

const GOOD = stream([ROLE, text('Hello'), FINISH]);

async function opensAfter(
  t: Parameters<typeof startRig>[0],
  bad: Script,
  options: { advance?: number; leave?: boolean } = {},
): Promise<number> {
  const rig = await startRig(t, { node: { breaker: BREAKER, timeouts: { idle: '5s', attempt: '1m' } } });
  for (let request = 1; request <= 3; request++) {
    rig.upstream.enqueue(bad);
    const reader = await rig.stream();
    await reader.until('Hello');
    if (options.leave === true) await reader.leave();
    else {
      await turns();
      if (options.advance !== undefined) rig.clock.advance(options.advance);
      await reader.rest();
    }
    await rig.gateway.ended(request);
  }
  const [row] = await rig.gateway.upstreams();
  await rig.nothingLeft();
  return row?.opens ?? -1;
}

describe('the breaker and streams that had begun', () => {
  it('counts a cut as a failure', async (t) => {
    assert.equal(await opensAfter(t, stream([ROLE, text('Hello'), close()])), 1);
  });

  it('counts a reset as a failure', async (t) => {
    assert.equal(await opensAfter(t, stream([ROLE, text('Hello'), reset()])), 1);
  });

  it('counts a stall as a failure', async (t) => {
    assert.equal(await opensAfter(t, stream([ROLE, text('Hello'), silence()]), { advance: 5_000 }), 1);
  });

  it('counts an error event as a failure', async (t) => {
    assert.equal(await opensAfter(t, stream([ROLE, text('Hello'), { error: { message: 'no' } }])), 1);
  });

  it('does not count an error event that is the fault of the request', async (t) => {
    const filtered = { error: { message: 'no', code: 'content_filter' } };
    assert.equal(await opensAfter(t, stream([ROLE, text('Hello'), filtered])), 0);
  });

  it('does not count a client that leaves', async (t) => {
    assert.equal(await opensAfter(t, stream([ROLE, text('Hello'), silence()]), { leave: true }), 0);
  });

  it('counts a whole stream as a success, which ends a row of failures', async (t) => {
    const rig = await startRig(t, { node: { breaker: BREAKER } });
    const cut = stream([ROLE, text('Hello'), close()]);
    for (const how of [cut, cut, GOOD, cut, cut]) {
      rig.upstream.enqueue(how);
      await (await rig.stream()).rest();
    }
    assert.equal((await rig.gateway.upstreams())[0]?.opens, 0);
    rig.upstream.enqueue(cut);
    await (await rig.stream()).rest();
    assert.equal((await rig.gateway.upstreams())[0]?.opens, 1);
  });

  it('lets a probe go on that has brought content, and closes at once', async (t) => {
    const rig = await startRig(t, { node: { breaker: { ...BREAKER, open_for: '10s' } } });
    const gate = new Gate();
    for (let request = 1; request <= 3; request++) {
      rig.upstream.enqueue(stream([ROLE, text('Hello'), close()]));
      await (await rig.stream()).rest();
    }
    assert.equal((await rig.gateway.upstreams())[0]?.breaker, 'open');
    rig.clock.advance(11_000);
    rig.upstream.enqueue(stream([ROLE, text('Hello'), pauseUntil(gate), FINISH]), GOOD);
    const probe = await rig.stream();
    await probe.until('Hello');
    assert.equal((await rig.gateway.upstreams())[0]?.breaker, 'closed');
    assert.ok(readEvents(await (await rig.stream()).rest()).done);
    gate.open();
    assert.ok(readEvents(await probe.rest()).done);
    await rig.nothingLeft();
  });
});
