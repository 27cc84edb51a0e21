import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../support/redis.ts';
import { chatStream, Gate, pauseUntil, silence } from '../support/upstream.ts';
import { type Gateway, lives, start } from './kit.ts';

const ENDED = { code: 0, signal: null };

/** Streams that have begun, one in each of two workers, and go on when the gate opens. */
async function streams(gateway: Gateway, gate: Gate) {
  const broken = () => chatStream({ content: ['Hel', pauseUntil(gate), 'lo'] });
  gateway.upstream.enqueue(broken(), broken());
  const first = await gateway.stream();
  const second = await gateway.stream();
  assert.notEqual(first.worker, second.worker);
  return [first, second];
}

async function gone(pids: readonly number[]): Promise<void> {
  await until(() => pids.every((pid) => !lives(pid)), 'the workers to end');
}

describe('a gateway of several workers that is told to stop', () => {
  for (const how of ['alone', 'with its whole group'] as const) {
    it(`is not ready at once, lets the streams of all workers end, and ends with status 0 (told ${how})`, async (t) => {
      const gateway = await start(t, { server: { drain_timeout: '20s' }, ownGroup: true });
      const pids = gateway.workers();
      const gate = new Gate();
      const begun = await streams(gateway, gate);
      const { pid = 0 } = gateway.process.child;
      // As a terminal does it, and some who stop containers.
      process.kill(how === 'alone' ? pid : -pid, 'SIGTERM');
      await gateway.process.line('draining all workers');
      const { status, text } = await gateway.operator('GET', '/readyz');
      assert.deepEqual([status, text], [503, '{"status":"not ready","reason":"draining"}']);
      assert.equal((await gateway.operator('GET', '/livez')).status, 200);
      await until(() => gateway.said('draining').length === 2, 'both to drain');
      await assert.rejects(gateway.chat(), /ECONNREFUSED|ECONNRESET/);
      assert.equal(await gateway.metric('spillway_in_flight'), 2);
      gate.open();
      for (const { rest } of begun) assert.match(await rest, /lo.*\[DONE\]/s);
      assert.deepEqual(await gateway.process.ended, ENDED);
      await gone(pids);
      assert.equal(gateway.said('stopped').length, 1);
      assert.deepEqual(
        gateway.process.lines.filter(({ level }) => level > 30),
        [],
      );
      assert.equal(gateway.process.stderr, '');
    });
  }

  it('cuts off what is left when the drain timeout is over', async (t) => {
    const gateway = await start(t, { server: { drain_timeout: '100ms' } });
    const [first, second] = await streams(gateway, new Gate());
    gateway.process.child.kill('SIGTERM');
    for (const stream of [first, second]) assert.match((await stream?.rest) ?? '', /stream_interrupted/);
    assert.deepEqual(await gateway.process.ended, ENDED);
  });

  it('ends at once, with all workers, where it is told twice', async (t) => {
    const gateway = await start(t, { server: { drain_timeout: '60s' } });
    const pids = gateway.workers();
    gateway.upstream.enqueue(silence());
    const hanging = gateway.chat().catch(() => null);
    await gateway.upstream.waitFor(1);
    gateway.process.child.kill('SIGTERM');
    await gateway.process.line('draining all workers');
    gateway.process.child.kill('SIGTERM');
    assert.deepEqual(await gateway.process.ended, { code: 143, signal: null });
    await gateway.process.line('stopped at once');
    await gone(pids);
    await hanging;
  });

  it('replaces nobody any more: a worker that dies meanwhile only takes its own streams along', async (t) => {
    const gateway = await start(t, { server: { drain_timeout: '20s' } });
    const pids = gateway.workers();
    const gate = new Gate();
    const [first, second] = await streams(gateway, gate);
    gateway.process.child.kill('SIGTERM');
    await until(() => gateway.said('draining').length === 2, 'both to drain');
    process.kill(pids[0] ?? 0, 'SIGKILL');
    const ends = Promise.allSettled([first?.rest, second?.rest]);
    await until(() => !lives(pids[0] ?? 0), 'one to end');
    gate.open();
    const whole = (await ends).filter(
      (end) => end.status === 'fulfilled' && /\[DONE\]/.test(end.value ?? ''),
    );
    assert.equal(whole.length, 1);
    assert.deepEqual(await gateway.process.ended, ENDED);
    assert.equal(gateway.said('a worker ended: another takes its place').length, 0);
  });

  it('does not wait for a worker that hangs for longer than streams may take', async (t) => {
    const gateway = await start(t, { server: { drain_timeout: '0s' } });
    const [pid = 0] = gateway.workers();
    process.kill(pid, 'SIGSTOP');
    gateway.process.child.kill('SIGTERM');
    assert.deepEqual(await gateway.process.ended, ENDED);
    assert.equal(gateway.said('a worker did not end: killed').length, 1);
    assert.ok(!lives(pid));
  });
});

describe('a gateway of several workers that is killed', () => {
  it('leaves nobody behind: what is under way may end, then the workers do', async (t) => {
    const gateway = await start(t, { server: { drain_timeout: '20s' } });
    const pids = gateway.workers();
    const gate = new Gate();
    const begun = await streams(gateway, gate);
    gateway.process.child.kill('SIGKILL');
    await assert.rejects(gateway.chat(), /ECONNREFUSED|ECONNRESET/);
    gate.open();
    for (const { rest } of begun) assert.match(await rest, /lo.*\[DONE\]/s);
    await gone(pids);
  });

  it('leaves nobody behind who drains already, nor cuts that short', async (t) => {
    const gateway = await start(t, { server: { drain_timeout: '20s' } });
    const pids = gateway.workers();
    const gate = new Gate();
    const begun = await streams(gateway, gate);
    gateway.process.child.kill('SIGTERM');
    await until(() => gateway.said('draining').length === 2, 'both to drain');
    gateway.process.child.kill('SIGKILL');
    await until(() => gateway.process.child.signalCode !== null, 'it to end');
    gate.open();
    for (const { rest } of begun) assert.match(await rest, /lo.*\[DONE\]/s);
    await gone(pids);
  });
});
