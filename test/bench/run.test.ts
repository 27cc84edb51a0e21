/** The bench as a whole, as far as that takes no time: what it refuses to begin with, and what it leaves behind. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Running, startLoader, stopAll } from '../../bench/process.ts';
import { temporaryDirectory } from '../support/process.ts';

const RUN = join(import.meta.dirname, '../../bench/run.ts');

function bench(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [RUN, ...args], { encoding: 'utf8' });
  return { status, stdout, stderr };
}

describe('the bench refuses at once, in one line that names the file,', () => {
  it('what it cannot compare with', (t) => {
    const directory = temporaryDirectory(t);
    const broken = join(directory, 'broken.json');
    writeFileSync(broken, '{"format":');
    const { stderr, ...others } = bench('--against', broken);
    assert.deepEqual(others, { status: 2, stdout: '' });
    assert.equal(stderr, `--against ${broken}: it is not whole, or no JSON\n`);
    const missing = join(directory, 'missing.json');
    assert.match(bench('--against', missing).stderr, /^--against \S+missing\.json: ENOENT.*\n$/);
  });

  it('what it cannot write, and leaves alone what it can', (t) => {
    const directory = temporaryDirectory(t);
    const nowhere = join(directory, 'nowhere', 'after.json');
    const { status, stderr } = bench('--json', nowhere);
    assert.deepEqual([status, stderr.split('\n').length], [2, 2]);
    assert.ok(stderr.startsWith(`--json ${nowhere}: ENOENT`), stderr);
    // What was there stays until there is something to put in its place, and nothing is there before.
    const [before, after] = [join(directory, 'before.json'), join(directory, 'after.json')];
    writeFileSync(before, '{}');
    for (const file of [before, after])
      bench('--json', file, '--profile', 'spillway:plain', join(before, 'no-directory'));
    assert.equal(readFileSync(before, 'utf8'), '{}');
    assert.ok(!existsSync(after));
  });
});

describe('the end of the bench', () => {
  it('is the end of all that it started, of what brings load too; nothing starts afterwards', async (t) => {
    const logFile = join(temporaryDirectory(t), 'log');
    const forever = { command: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'], logFile };
    const running = new Running(forever);
    const options = { env: process.env, timeout: 60_000 };
    const loader = startLoader(forever.command, forever.args, options);
    const ended = once(loader, 'exit');
    await stopAll();
    assert.deepEqual(await ended, [null, 'SIGKILL']);
    assert.ok(running.ended);
    assert.throws(() => new Running(forever), /over/);
    assert.throws(() => startLoader(forever.command, forever.args, options), /over/);
  });
});
