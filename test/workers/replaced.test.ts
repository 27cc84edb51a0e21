import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { temporaryDirectory } from '../support/process.ts';
import { until } from '../support/redis.ts';
import { silence } from '../support/upstream.ts';
import { type Gateway, lives, shortly, start } from './kit.ts';

const ENDED = 'a worker ended: another takes its place';
const AGAIN = 'a worker accepts requests again';
const SILENT = 'a worker does not answer';

/** Asks for the list of models on a connection that is kept. Null: the connection broke. */
function ask(gateway: Gateway, agent: Agent): Promise<number | null> {
  return new Promise((resolve) => {
    const sent = request(`${gateway.listen}/v1/models`, { agent }, (answer) => {
      answer.resume();
      answer.on('end', () => resolve(answer.statusCode ?? 0));
      answer.on('error', () => resolve(null));
    });
    sent.on('error', () => resolve(null));
    sent.end();
  });
}

/** Kills the worker, and resolves when it is known to be gone. */
async function kill(gateway: Gateway, pid: number): Promise<void> {
  const before = gateway.said(ENDED).length;
  process.kill(pid, 'SIGKILL');
  await until(() => gateway.said(ENDED).length > before, 'its end to be said');
}

/** Resolves to the worker's number when the log says that it is silent. */
async function silent(gateway: Gateway, pid: number): Promise<number> {
  const line = await gateway.process.line(SILENT);
  assert.deepEqual([line.level, line['pid']], [40, pid]);
  return Number(line['worker']);
}

describe('a worker that dies', () => {
  it('is replaced and logged; nobody notices but those who had a connection to it', async (t) => {
    const gateway = await start(t);
    const [victim = 0, other = 0] = gateway.workers();
    const clients = Array.from({ length: 10 }, () => ({
      agent: new Agent({ keepAlive: true, maxSockets: 1 }),
    }));
    t.after(() => clients.forEach(({ agent }) => void agent.destroy()));
    let over = false;
    const broken = Promise.all(
      clients.map(async ({ agent }) => {
        let count = 0;
        while (!over) {
          const status = await ask(gateway, agent);
          if (status === null) count++;
          else assert.equal(status, 200);
        }
        return count;
      }),
    );
    await kill(gateway, victim);
    await gateway.process.line(AGAIN);
    await gateway.complete(2);
    over = true;
    // Five had a connection to it, and one more may have been on its way there.
    const lost = (await broken).reduce((sum, count) => sum + count, 0);
    assert.ok(lost >= 1 && lost <= 6, `${lost} lost`);
    assert.ok(!lives(victim) && lives(other));
    const [line] = gateway.said(ENDED);
    assert.equal(line?.level, 50);
    assert.deepEqual(
      [line?.['pid'], line?.['code'], line?.['signal'], line?.['pause_ms']],
      [victim, null, 'SIGKILL', 0],
    );
    const [again] = gateway.said(AGAIN);
    assert.equal(again?.['worker'], line?.['worker']);
    assert.ok(gateway.workers().includes(Number(again?.['pid'])));
    // And it is given connections.
    const workers = new Set<string>();
    for (let i = 0; i < 6; i++) workers.add((await gateway.chat()).worker);
    assert.equal(workers.size, 2);
    assert.equal(await gateway.metric('spillway_worker_deaths_total'), 1);
  });

  it('again and again is replaced after pauses that grow, and the others go on', async (t) => {
    const gateway = await start(t);
    const [, other = 0] = gateway.workers();
    for (let deaths = 1; deaths <= 3; deaths++) {
      await until(() => gateway.said(AGAIN).length === deaths - 1, 'one to take its place');
      const [victim = 0] = gateway.workers().filter((pid) => pid !== other);
      await kill(gateway, victim);
      assert.equal((await gateway.chat()).status, 200);
    }
    const pauses = gateway.said(ENDED).map((line) => Number(line['pause_ms']));
    assert.equal(pauses[0], 0);
    assert.ok((pauses[1] ?? 0) >= 400 && (pauses[1] ?? 0) <= 600, String(pauses));
    assert.ok((pauses[2] ?? 0) >= 800 && (pauses[2] ?? 0) <= 1200, String(pauses));
    assert.ok(lives(other));
  });

  it('with all others comes back at the same port', async (t) => {
    const gateway = await start(t);
    for (const pid of gateway.workers()) process.kill(pid, 'SIGKILL');
    await until(() => gateway.said(ENDED).length === 2, 'both ends to be said');
    await until(() => gateway.said(AGAIN).length === 2, 'both to be replaced');
    assert.equal((await gateway.chat()).status, 200);
    assert.equal((await gateway.operator('GET', '/readyz')).status, 200);
  });

  it('is replaced by one with the configuration in force, whatever has become of the file', async (t) => {
    const gateway = await start(t);
    const { config, process: running } = gateway;
    running.writeConfig({
      version: 1,
      listen: '127.0.0.1:0',
      admin: { listen: '127.0.0.1:0' },
      auth: 'none',
      ...config,
      models: { m: { provider: 'a', model: 'up' }, another: { provider: 'a', model: 'up' } },
    });
    assert.equal((await gateway.operator('POST', '/admin/reload')).status, 200);
    writeFileSync(running.file, 'no configuration: [');
    for (const pid of gateway.workers()) await kill(gateway, pid);
    await until(() => gateway.said(AGAIN).length === 2, 'both to be replaced');
    assert.equal((await gateway.chat({ model: 'another' })).status, 200);
    assert.equal((await gateway.chat({ model: 'another' })).status, 200);
    assert.equal((await gateway.operator('POST', '/admin/reload')).status, 422);
  });

  it('while it begins is said once to have died', async (t) => {
    const marker = join(temporaryDirectory(t), 'no-more');
    const module = `import fs from "node:fs"; import cluster from "node:cluster"; if (cluster.isWorker && fs.existsSync(${JSON.stringify(marker)})) { fs.rmSync(${JSON.stringify(marker)}); process.exit(9); }`;
    const gateway = await start(t, { nodeArgs: ['--import', `data:text/javascript,${module}`] });
    writeFileSync(marker, '');
    await kill(gateway, gateway.workers()[0] ?? 0);
    await gateway.process.line(AGAIN);
    const errors = gateway.process.lines.filter(({ level }) => level >= 50);
    assert.deepEqual(
      errors.map(({ msg, code }) => [msg, code]),
      [
        [ENDED, null],
        [ENDED, 9],
      ],
    );
  });

  it('because of a mistake says so in the log before', async (t) => {
    const module = 'process.on("SIGUSR2", () => { throw new Error("out of order"); });';
    const gateway = await start(t, { nodeArgs: ['--import', `data:text/javascript,${module}`] });
    process.kill(gateway.workers()[0] ?? 0, 'SIGUSR2');
    await gateway.process.line(AGAIN);
    const [line] = gateway.said('uncaught error: the process ends');
    assert.equal(line?.level, 60);
    assert.ok(line?.['worker'] === 1 || line?.['worker'] === 2);
    assert.equal(gateway.said(ENDED)[0]?.['code'], 1);
  });
});

describe('a worker that hangs', () => {
  it('holds up neither probes nor scrapes, and counts as it did before', async (t) => {
    const gateway = await start(t);
    for (let i = 0; i < 4; i++) await gateway.chat();
    const count = 'spillway_requests_total{tenant="anonymous",model="m",status="200"}';
    assert.equal(await gateway.metric(count), 4);
    const [pid = 0] = gateway.workers();
    process.kill(pid, 'SIGSTOP');
    t.after(async () => void (lives(pid) && process.kill(pid, 'SIGCONT')));
    assert.equal((await gateway.operator('GET', '/readyz')).status, 200);
    assert.equal((await gateway.operator('GET', '/livez')).status, 200);
    const lines = (await gateway.metrics()).split('\n');
    assert.ok(lines.includes(`${count} 4`) && lines.includes('spillway_workers 1'));
    const number = await silent(gateway, pid);
    const rows = JSON.parse((await gateway.operator('GET', '/admin/upstreams')).text);
    assert.equal(rows.upstreams.length, 1);
    assert.deepEqual(rows.missing_workers, [number]);
    // What is billed from is all or nothing.
    const usage = await gateway.operator('GET', '/admin/usage');
    assert.deepEqual(shortly(usage), [503, 'state_unavailable']);
    assert.ok(usage.text.includes(`Worker ${number} does not answer`), usage.text);
    // What any of them can do, another one does.
    assert.equal((await gateway.operator('GET', '/admin/tenants')).status, 200);
    // A configuration that it has not looked at is taken over by nobody.
    const { status, text: refusal } = await gateway.operator('POST', '/admin/reload');
    assert.equal(status, 422);
    assert.match(refusal, /did not answer/);
    process.kill(pid, 'SIGCONT');
    await gateway.process.line('a worker answers again');
    assert.equal((await gateway.operator('POST', '/admin/reload')).status, 200);
    assert.equal(await gateway.metric('spillway_workers'), 2);
    const { text } = await gateway.operator('GET', '/admin/upstreams');
    assert.deepEqual(Object.keys(JSON.parse(text)), ['upstreams']);
    const { total } = JSON.parse((await gateway.operator('GET', '/admin/usage')).text);
    assert.equal(total.requests, 4);
    assert.equal(gateway.said(SILENT).length, 1);
  });

  it('and dies while it is asked is missed in what is billed from, and that is said', async (t) => {
    const gateway = await start(t);
    for (let i = 0; i < 4; i++) await gateway.chat();
    const [pid = 0] = gateway.workers();
    process.kill(pid, 'SIGSTOP');
    const asked = gateway.operator('GET', '/admin/usage');
    // Waits for it for half a second: by then it was asked for the other, too, which takes longer.
    await gateway.operator('GET', '/readyz');
    process.kill(pid, 'SIGKILL');
    const usage = await asked;
    assert.deepEqual(shortly(usage), [503, 'state_unavailable']);
    assert.match(usage.text, /Worker [12] ended while it was asked/);
    // From then on it is lost.
    await gateway.process.line(AGAIN);
    const { total } = JSON.parse((await gateway.operator('GET', '/admin/usage')).text);
    assert.equal(total.requests, 2);
  });

  it('for long is killed and replaced', { timeout: 120_000 }, async (t) => {
    const gateway = await start(t);
    gateway.upstream.enqueue(silence());
    const [pid = 0] = gateway.workers();
    process.kill(pid, 'SIGSTOP');
    await until(() => gateway.said(AGAIN).length === 1, 'it to be replaced', 90_000);
    assert.equal(gateway.said('a worker does not answer any more: killed').length, 1);
    assert.ok(!lives(pid));
  });
});
