import assert from 'node:assert/strict';
import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { describe, it } from 'node:test';
import { connect } from 'node:tls';
import { AUTHORITY, SERVER_FILES } from '../support/certificates.ts';
import { startProcess } from '../support/process.ts';
import { chatAnswer, Gate, pauseUntil } from '../support/upstream.ts';
import { type Seen, shortly, start, startWithout } from './kit.ts';

/** By their whole paths: the configuration stands elsewhere. */
const CERTIFICATE = {
  cert: resolve(import.meta.dirname, '../config', SERVER_FILES.cert),
  key: resolve(import.meta.dirname, '../config', SERVER_FILES.key),
};

describe('several workers', () => {
  it('share one port, are said to listen once, and get the connections in turn', async (t) => {
    const gateway = await start(t, { server: { workers: 3 } });
    assert.match(gateway.listen, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    assert.match(gateway.admin, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
    assert.equal(gateway.workers().length, 3);
    const byWorker: Record<string, number> = {};
    for (let i = 0; i < 30; i++) {
      const { status, worker } = await gateway.chat();
      assert.equal(status, 200);
      byWorker[worker] = (byWorker[worker] ?? 0) + 1;
    }
    assert.deepEqual(Object.values(byWorker), [10, 10, 10]);
    assert.equal(gateway.said('listening').length, 1);
    assert.equal(gateway.said('listening')[0]?.['pid'], gateway.process.child.pid);
    assert.equal((await gateway.process.requests(30)).length, 30);
    assert.equal(gateway.process.stderr, '');
  });

  it('are as many as there are cores where it says auto', async (t) => {
    const gateway = await start(t, { server: { workers: 'auto' } });
    const cores = availableParallelism();
    assert.equal(gateway.workers().length, cores === 1 ? 0 : cores);
    assert.equal((await gateway.chat()).status, 200);
  });

  it('are none where it says 1: the process serves by itself', async (t) => {
    const gateway = await start(t, { server: { workers: 1 } });
    assert.deepEqual(gateway.workers(), []);
    assert.equal((await gateway.chat()).status, 200);
    assert.equal(await gateway.metric('spillway_workers'), 1);
  });

  it('serve over TLS, too', async (t) => {
    const gateway = await start(t, { server: { tls: CERTIFICATE } });
    assert.match(gateway.listen, /^https:/);
    const { hostname, port } = new URL(gateway.listen);
    for (let i = 0; i < 4; i++) {
      const text = await new Promise<string>((resolve, reject) => {
        const socket = connect({ host: hostname, port: Number(port), ca: AUTHORITY });
        let got = '';
        socket.on('error', reject).setEncoding('utf8');
        socket.on('data', (part: string) => {
          got += part;
        });
        socket.on('end', () => resolve(got));
        socket.write('GET /v1/models HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
      });
      assert.match(text, /^HTTP\/1\.1 200/);
    }
  });

  it('write whole lines into one log, however long', async (t) => {
    const gateway = await start(t, { config: { log: { request_bodies: true } } });
    const content = 'long '.repeat(40_000);
    const asked = Array.from({ length: 24 }, () => gateway.chat({ messages: [{ role: 'user', content }] }));
    for (const { status } of await Promise.all(asked)) assert.equal(status, 200);
    // Each was parsed as JSON when it was read.
    const lines = await gateway.process.requests(24);
    for (const line of lines) assert.ok(String(line['prompt']).includes(content));
  });

  it('may have as many requests at a time as is said, each of them', async (t) => {
    const gateway = await start(t, { server: { max_in_flight: 2 } });
    const gate = new Gate();
    const held = [pauseUntil(gate), chatAnswer()];
    gateway.upstream.enqueue(held, held, held, held);
    const asked: Promise<Seen>[] = [];
    for (let count = 1; count <= 4; count++) {
      asked.push(gateway.chat());
      await gateway.upstream.waitFor(count);
    }
    for (let i = 0; i < 2; i++)
      assert.deepEqual(shortly(await gateway.chat()), [503, 'server_is_overloaded']);
    gate.open();
    for (const { status } of await Promise.all(asked)) assert.equal(status, 200);
  });
});

describe('a gateway of several workers that cannot begin', () => {
  it('says why, and ends with status 1: the port is another process’', async (t) => {
    const first = await start(t);
    const address = first.listen.slice('http://'.length);
    const second = startProcess(
      t,
      { ...first.config },
      { args: ['--config', 'CONFIG', '--listen', address] },
    );
    assert.deepEqual(await second.ended, { code: 1, signal: null });
    assert.match(second.stderr, /cannot listen: .*Another process has this port/);
    assert.ok(!second.lines.some(({ msg }) => msg === 'listening'));
    assert.equal((await first.chat()).status, 200);
  });

  it('ends with status 1 where a worker dies before it accepts requests', async (t) => {
    const gateway = await startWithout(t, {
      nodeArgs: [
        '--import',
        'data:text/javascript,import cluster from "node:cluster"; if (cluster.worker?.id === 2) process.exit(9)',
      ],
    });
    assert.deepEqual(await gateway.process.ended, { code: 1, signal: null });
    assert.match(gateway.process.stderr, /cannot listen: worker 2 has ended/);
  });
});
