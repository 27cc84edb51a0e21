import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAside } from '../../src/config/aside.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { startProcess, temporaryDirectory } from '../support/process.ts';

/** Reading it waits until somebody writes to it: nobody does. */
function pipe(path: string): string {
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  return path;
}

describe('a pipe in the place of a file', () => {
  it('is told of, and not waited for: tables and certificates', async (t) => {
    const directory = temporaryDirectory(t);
    pipe(join(directory, 'pipe'));
    const file = join(directory, 'spillway.yaml');
    const text = `version: 1
providers: { a: { adapter: openai, api_key: k, ca: pipe } }
models: {}
prices: pipe
capabilities: pipe
server: { tls: { cert: pipe, key: pipe } }
`;
    writeFileSync(file, text);
    const loaded = await loadAside(file, {});
    assert.ok(!loaded.ok);
    const problems = loaded.problems.map(formatProblem);
    assert.equal(problems.length, 5, problems.join('\n'));
    for (const problem of problems) assert.match(problem, /"pipe".*\(a pipe, not a file\)$/);
  });

  it('does not hold up a gateway that is told to load its configuration again', async (t) => {
    const gateway = startProcess(t, {
      providers: { a: { adapter: 'vllm', base_url: 'http://127.0.0.1:9/v1' } },
      models: { m: { provider: 'a' } },
    });
    const { admin } = await gateway.listening();
    renameSync(gateway.file, `${gateway.file}.before`);
    pipe(gateway.file);
    gateway.child.kill('SIGHUP');
    const line = await gateway.line('the configuration was not reloaded: the running one stays');
    assert.match(String(line['problems']), /the file cannot be read \(a pipe, not a file\)/);
    assert.equal((await fetch(`${admin}/readyz`)).status, 200);
  });
});
