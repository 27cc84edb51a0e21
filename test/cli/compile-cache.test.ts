import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { temporaryDirectory } from '../support/process.ts';

const BIN = join(import.meta.dirname, '../../bin/spillway.js');

/** Another command line behind the same `bin`: it says where what is compiled is kept. */
const SAYS_WHERE = `import { getCompileCacheDir } from 'node:module';
export const main = () => { console.log(getCompileCacheDir() ?? 'nowhere'); };
`;

function install(t: TestContext) {
  const folder = temporaryDirectory(t);
  cpSync(BIN, join(folder, 'bin/spillway.js'));
  mkdirSync(join(folder, 'dist/cli'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  writeFileSync(join(folder, 'dist/cli/main.js'), SAYS_WHERE);
  const run = (env: NodeJS.ProcessEnv = {}) => {
    const { NODE_COMPILE_CACHE: _, ...own } = process.env;
    const ran = spawnSync(process.execPath, [join(folder, 'bin/spillway.js')], {
      env: { ...own, ...env },
      encoding: 'utf8',
    });
    assert.equal(ran.status, 0, ran.stderr);
    assert.equal(ran.stderr, '');
    return ran.stdout.trim();
  };
  return { folder, run };
}

describe('what Node compiles of the gateway', () => {
  it('is kept beside the code, for the next start', (t) => {
    const { folder, run } = install(t);
    const where = run();
    assert.ok(where.startsWith(join(folder, 'node_modules/.compile-cache')), where);
    assert.ok(readdirSync(where).length > 0);
    assert.equal(run(), where);
  });

  it('is kept nowhere, and the gateway starts, where nothing can be written', (t) => {
    const { folder, run } = install(t);
    // Whoever runs the tests may write everywhere, but to no folder in the place of a file.
    writeFileSync(join(folder, 'node_modules'), '');
    assert.equal(run(), 'nowhere');
  });

  it('is kept nowhere if the environment says so', (t) => {
    assert.equal(install(t).run({ NODE_DISABLE_COMPILE_CACHE: '1' }), 'nowhere');
  });
});
