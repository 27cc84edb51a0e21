import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAside } from '../../src/config/aside.ts';
import { readNamed } from '../../src/config/named-files.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { temporaryDirectory } from '../support/process.ts';

/** Reading it waits until somebody writes to it: nobody does. */
function hanging(path: string): string {
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  return path;
}

describe('files that a configuration takes values from', () => {
  it('are read, or told of as the system does, each under its path', async (t) => {
    const directory = temporaryDirectory(t);
    writeFileSync(join(directory, 'one'), 'sk-öne\n"quoted"\n');
    writeFileSync(join(directory, 'two'), '');
    const text =
      'a: ${file:one}-${file: two }\nb: ["${file:one}", "$${file:none}", "${file:missing}", "${file:}"]';
    const read = new Map(await readNamed(text, directory));
    assert.deepEqual(
      read,
      new Map([
        [join(directory, 'one'), { text: 'sk-öne\n"quoted"\n' }],
        [join(directory, 'two'), { text: '' }],
        [join(directory, 'missing'), { code: 'ENOENT' }],
      ]),
    );
  });

  it('that hang are told of with the file, the line and the key, and hold up no others', async (t) => {
    const directory = temporaryDirectory(t);
    hanging(join(directory, 'hangs'));
    writeFileSync(join(directory, 'token'), 'token-of-operators');
    const file = join(directory, 'spillway.yaml');
    writeFileSync(
      file,
      `version: 1
providers:
  a: { adapter: openai, api_key: "\${file:hangs}" }
admin: { token: "\${file:token}" }
models: {}
`,
    );
    const loaded = await loadAside(file, {});
    assert.ok(!loaded.ok);
    assert.deepEqual(loaded.problems.map(formatProblem), [
      `${file}:3:34: providers.a.api_key: cannot read the file of \${file:hangs} (ETIMEDOUT); it did not come in time: does a mount hang?`,
    ]);
  });
});

it('leaves those that this process alone has, such as its standard input, to be read by itself', async () => {
  assert.deepEqual(await readNamed('${file:/dev/stdin} ${file:/dev/fd/5} ${file:/proc/self/fd/5}', '/'), []);
});
