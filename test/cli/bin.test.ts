import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';

const BIN = join(import.meta.dirname, '../../bin/spillway.js');

test('bin/spillway.js runs the command line and hands on its exit status', () => {
  const help = spawnSync(process.execPath, [BIN, 'help'], { encoding: 'utf8' });
  assert.equal(help.status, 0, help.stderr);
  assert.match(help.stdout, /^Usage/);
  const faulty = spawnSync(process.execPath, [BIN, 'check', '/nowhere.yaml'], { encoding: 'utf8' });
  assert.equal(faulty.status, 1);
  assert.equal(spawnSync(process.execPath, [BIN, 'nonsense'], { encoding: 'utf8' }).status, 2);
});

test('on a Node that is too old it says so and exits with 2', () => {
  const script = `Object.defineProperty(process, 'versions', { value: { node: '20.1.0' } });
import(${JSON.stringify(pathToFileURL(BIN).href)});`;
  const run = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  assert.equal(run.status, 2, run.stderr);
  assert.match(run.stderr, /^spillway needs Node 24 or newer/);
});

test('a reader that has read enough is no fault', async () => {
  const example = join(import.meta.dirname, '../../config/spillway.yaml');
  const child = spawn(process.execPath, [BIN, 'explain', 'smart', '--no-env', '--config', example]);
  child.stdout.destroy();
  let complaints = '';
  child.stderr.on('data', (text) => {
    complaints += text;
  });
  const [status] = await once(child, 'close');
  assert.equal(complaints, '');
  assert.equal(status, 0);
});
