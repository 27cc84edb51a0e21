/** `npm run demo` as a newcomer meets it: its commands are copied from the screen and have to work. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';

const DEMO = join(import.meta.dirname, '../demo/run.ts');
const run = promisify(execFile);
const hasCurl = spawnSync('curl', ['--version']).status === 0;

describe('the demo', () => {
  let demo: ChildProcessByStdio<null, Readable, null>;
  let printed = '';
  let commands: string[];
  const shell = async (command: string) => (await run('sh', ['-c', command])).stdout;

  before(async () => {
    demo = spawn(process.execPath, [DEMO], { stdio: ['ignore', 'pipe', 'inherit'] });
    await new Promise<void>((resolve, reject) => {
      demo.stdout.on('data', (text: Buffer) => {
        printed += text.toString();
        if (printed.includes('Ctrl-C')) resolve();
      });
      demo.once('exit', () => reject(new Error(`the demo ended at once:\n${printed}`)));
    });
    commands = printed.split('\n').filter((line) => line.startsWith('curl '));
  });

  after(async () => {
    if (demo.exitCode !== null || demo.signalCode !== null) return;
    demo.kill('SIGTERM');
    await once(demo, 'exit');
  });

  it('prints commands that answer', { skip: hasCurl ? false : 'there is no curl' }, async () => {
    const [
      plain = '',
      stream = '',
      error = '',
      torn = '',
      refused = '',
      upstreams = '',
      quotas = '',
      usage = '',
      metrics = '',
    ] = commands;
    assert.match(await shell(plain), /x-spillway-target: steady\/gpt-6-luna.*Hello from the steady/s);
    assert.match(await shell(stream), /text\/event-stream.*data: \[DONE\]/s);
    assert.match(await shell(error), /^HTTP\/1\.1 50[23] .*"type":"server_error"/s);
    assert.match(await shell(torn), /Once u.*stream_interrupted/s);
    assert.match(await shell(refused), /^HTTP\/1\.1 429 .*2000 output tokens per hour/s);
    assert.match(
      await shell(quotas),
      /"of":"requests","per":"minute","limit":100,"scope":"tenant","models":null,"used":4/,
    );
    assert.match(await shell(usage), /"tenant":"demo","provider":"steady","requests":2,/);
    assert.match(await shell(upstreams), /"id":"shaky\/gpt-6-sol#1"/);
    assert.match(
      await shell(metrics),
      /^spillway_requests_total\{tenant="demo",model="chat",status="200"\} 2$/m,
    );
  });

  it('reports the requests that it served', { skip: hasCurl ? false : 'there is no curl' }, async () => {
    while (!printed.includes('log: chat -> 200 ok')) await once(demo.stdout, 'data');
    assert.match(
      printed,
      /crowded\/gpt-6-sol 429 rate_limited .*, then shaky\/gpt-6-sol - connection_failed/,
    );
  });

  it('ends at one Ctrl-C, and leaves nothing behind', async () => {
    const [, address = ''] = /operators talk to +(\S+)/.exec(printed) ?? [];
    assert.equal((await fetch(`${address}/readyz`)).status, 200);
    const ended = once(demo, 'exit');
    demo.kill('SIGINT');
    assert.deepEqual(await ended, [0, null]);
    await assert.rejects(fetch(`${address}/readyz`));
  });
});

it('`--once` sends the requests itself and says how it went', async () => {
  const { stdout } = await run(process.execPath, [DEMO, '--once']);
  assert.equal(stdout.match(/^As it should be\.$/gm)?.length, 5);
  assert.doesNotMatch(stdout, /NOT as it should be/);
});
