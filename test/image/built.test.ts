/** What `npm run build` makes, as it lies in the package and in the image. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { buildInto, PROGRAMS } from '../../tools/build.ts';
import { temporaryDirectory } from '../support/process.ts';
import { start } from '../workers/kit.ts';
import { ROOT } from './closure.ts';

/** Beside what it looks for. */
async function install(t: TestContext): Promise<string> {
  const folder = temporaryDirectory(t);
  for (const part of ['bin', 'config', 'package.json']) {
    cpSync(join(ROOT, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await buildInto(join(folder, 'dist'));
  return folder;
}

describe('the built gateway', () => {
  it('is a few files, and serves with all that it starts by its path: workers, a thread for a long file, a process for secrets', async (t) => {
    const folder = await install(t);
    const files = readdirSync(join(folder, 'dist'), { recursive: true, encoding: 'utf8' });
    assert.ok(files.length < 60, `${files.length} files`);
    for (const program of PROGRAMS) assert.ok(files.includes(`${program}.js`), program);
    writeFileSync(join(folder, 'secret'), 'sk-in-a-file');
    const many = Array.from({ length: 6000 }, (_, i) => [`m-${i}`, { provider: 'a', model: 'up' }]);
    const gateway = await start(t, {
      program: join(folder, 'dist/main.js'),
      config: {
        models: { m: { provider: 'a', model: 'up' }, ...Object.fromEntries(many) },
        admin: { listen: '127.0.0.1:0', token: `\${file:${join(folder, 'secret')}}` },
      },
    });
    assert.equal((await gateway.chat({ model: 'm-5999' })).status, 200);
    const { status } = await fetch(`${gateway.admin}/admin/upstreams`, {
      headers: { authorization: 'Bearer sk-in-a-file' },
    });
    assert.equal(status, 200);
    assert.equal(gateway.workers().length, 2);
  });

  it('has the command line', async (t) => {
    const folder = await install(t);
    const run = (...args: string[]) => {
      const ran = spawnSync(process.execPath, [join(folder, 'bin/spillway.js'), ...args], {
        encoding: 'utf8',
        // It would be kept among the project's own packages, for a folder that will be gone.
        env: { ...process.env, NODE_DISABLE_COMPILE_CACHE: '1' },
      });
      return { status: ran.status, said: ran.stdout + ran.stderr };
    };
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    assert.match(run('--version').said, new RegExp(version.replaceAll('.', '\\.')));
    const checked = run('check', '--no-env', join(folder, 'config/spillway.yaml'));
    assert.equal(checked.status, 0, checked.said);
  });
});
