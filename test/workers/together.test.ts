import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { until } from '../support/redis.ts';
import { apiError, chatStream, Gate, pauseUntil } from '../support/upstream.ts';
import { type Gateway, shortly, start } from './kit.ts';

const REQUESTS = 'spillway_requests_total{tenant="anonymous",model="m",status="200"}';

async function ask(gateway: Gateway, count: number): Promise<void> {
  for (let i = 0; i < count; i++) assert.equal((await gateway.chat()).status, 200);
}

describe('what operators are told of several workers', () => {
  it('is the sum of what they count, the worst of what they are in, and clean for Prometheus', async (t) => {
    const gateway = await start(t);
    await ask(gateway, 6);
    assert.equal(await gateway.metric(REQUESTS), 6);
    assert.equal(await gateway.metric('spillway_attempts_total{provider="a",model="up",outcome="ok"}'), 6);
    assert.equal(await gateway.metric('spillway_request_duration_seconds_count{model="m"}'), 6);
    assert.equal(await gateway.metric('spillway_request_duration_seconds_bucket{model="m",le="+Inf"}'), 6);
    assert.equal(await gateway.metric('spillway_state_store_up'), 1);
    assert.equal(await gateway.metric('spillway_breaker_state{upstream="a/up#1"}'), 0);
    assert.equal(await gateway.metric('spillway_workers'), 2);
    // Descriptors are not put together: each process has its own.
    const limits = readFileSync(`/proc/${gateway.workers()[0]}/limits`, 'utf8');
    assert.equal(
      await gateway.metric('process_max_fds'),
      Number(/^Max open files +(\d+)/m.exec(limits)?.[1]),
    );
    const text = await gateway.metrics();
    const names = text.split('\n').flatMap((line) => /^# TYPE (\S+)/.exec(line)?.[1] ?? []);
    assert.deepEqual(names, [...new Set(names)]);
    assert.ok(names.includes('process_start_time_seconds') && names.includes('nodejs_version_info'));
    const series = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    const keys = series.map((line) => line.slice(0, line.lastIndexOf(' ')));
    assert.equal(keys.length, new Set(keys).size);
    const { error, stdout, stderr } = spawnSync('promtool', ['check', 'metrics'], { input: text });
    if (error === undefined) assert.equal(`${stdout}${stderr}`, '');
  });

  it('has one row for each upstream', async (t) => {
    const gateway = await start(t, {
      config: { defaults: { breaker: { consecutive_failures: 1, min_requests: 100 } } },
    });
    const gate = new Gate();
    gateway.upstream.enqueue(
      chatStream({ content: ['a', pauseUntil(gate)] }),
      chatStream({ content: ['a', pauseUntil(gate)] }),
    );
    const streams = [await gateway.stream(), await gateway.stream()];
    const rows = async () => JSON.parse((await gateway.operator('GET', '/admin/upstreams')).text).upstreams;
    const row = { id: 'a/up#1', provider: 'a', model: 'up', cooldown_until: null };
    assert.deepEqual(await rows(), [{ ...row, breaker: 'closed', opens: 0, in_flight: 2, last_error: null }]);
    gate.open();
    for (const { rest } of streams) await rest;
    // In one worker only: what is worst is said.
    gateway.upstream.enqueue(...Array.from({ length: 3 }, () => apiError(500)));
    assert.equal((await gateway.chat()).status, 502);
    const [after] = await rows();
    assert.equal(after.breaker, 'open');
    assert.equal(after.opens, 1);
    assert.match(after.last_error, /server_error|500/);
  });

  it('never shrinks when one is replaced', async (t) => {
    const gateway = await start(t);
    await ask(gateway, 6);
    assert.equal(await gateway.metric(REQUESTS), 6);
    const cpu = (await gateway.metric('process_cpu_seconds_total')) ?? 0;
    process.kill(gateway.workers()[0] ?? 0, 'SIGKILL');
    await until(async () => (await gateway.metric('spillway_worker_deaths_total')) === 1, 'it to be noticed');
    assert.equal(await gateway.metric(REQUESTS), 6);
    await gateway.process.line('a worker accepts requests again');
    await ask(gateway, 4);
    assert.equal(await gateway.metric(REQUESTS), 10);
    assert.ok(((await gateway.metric('process_cpu_seconds_total')) ?? 0) >= cpu);
    assert.equal(await gateway.metric('spillway_in_flight'), 0);
  });

  it('is ready only where all that accept requests are', async (t) => {
    const gateway = await start(t);
    assert.deepEqual((await gateway.operator('GET', '/readyz')).text, '{"status":"ready"}');
    for (const pid of gateway.workers()) process.kill(pid, 'SIGKILL');
    await until(async () => (await gateway.operator('GET', '/readyz')).status === 503, 'it not to be ready');
    await until(async () => (await gateway.operator('GET', '/readyz')).status === 200, 'it to be ready');
  });
});

describe('several workers without Redis', () => {
  it('refuse what would hold in one of them only, before anything is sent', async (t) => {
    const gateway = await start(t);
    for (let i = 0; i < 2; i++) {
      const once = await gateway.chat({}, { 'idempotency-key': 'k' });
      assert.deepEqual(shortly(once), [400, 'needs_shared_state']);
      assert.equal(once.headers['x-should-retry'], 'false');
      const resumable = await gateway.chat({ stream: true }, { 'x-spillway-resume': 'true' });
      assert.deepEqual(shortly(resumable), [400, 'needs_shared_state']);
    }
    assert.equal(gateway.upstream.requests.length, 0);
    const made = await gateway.operator('POST', '/admin/tenants', { id: 'acme', keys: [{ id: 'ci' }] });
    assert.deepEqual(shortly(made), [400, 'needs_shared_state']);
    const { tenants } = JSON.parse((await gateway.operator('GET', '/admin/tenants')).text);
    assert.deepEqual(
      tenants.map(({ id }: { id: string }) => id),
      ['anonymous'],
    );
    assert.equal((await gateway.operator('GET', '/admin/tenants/acme')).status, 404);
  });

  it('tell what all of them have used', async (t) => {
    const gateway = await start(t);
    await ask(gateway, 5);
    const { rows, total } = JSON.parse((await gateway.operator('GET', '/admin/usage')).text);
    assert.equal(rows.length, 1);
    assert.equal(total.requests, 5);
    const { status } = await gateway.operator('GET', '/admin/usage?by=nothing');
    assert.equal(status, 400);
  });
});
