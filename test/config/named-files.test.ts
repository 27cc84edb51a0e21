import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { loadAside } from '../../src/config/aside.ts';
import { FilesAsRead } from '../../src/config/files.ts';
import { loadText } from '../../src/config/load.ts';
import { readNamed } from '../../src/config/named-files.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { temporaryDirectory } from '../support/process.ts';

const SOURCES = join(import.meta.dirname, '../../src/config');

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

  it('that hang are told of with the file, the line and the key, and hold up no others, be they many', async (t) => {
    const directory = temporaryDirectory(t);
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const name of names) hanging(join(directory, name));
    writeFileSync(join(directory, 'token'), 'token-of-operators');
    const file = join(directory, 'spillway.yaml');
    writeFileSync(
      file,
      `version: 1
providers:
${names.map((name) => `  ${name}: { adapter: openai, api_key: "\${file:${name}}" }`).join('\n')}
admin: { token: "\${file:token}" }
models: {}
`,
    );
    const loaded = await loadAside(file, {});
    assert.ok(!loaded.ok);
    assert.deepEqual(
      loaded.problems.map(formatProblem),
      names.map(
        (name, i) =>
          `${file}:${i + 3}:34: providers.${name}.api_key: cannot read the file of \${file:${name}} (ETIMEDOUT); it did not come in time: does a mount hang?`,
      ),
    );
  });
});

it('leaves those that this process alone has, such as its standard input, to be read by itself', async () => {
  assert.deepEqual(await readNamed('${file:/dev/stdin} ${file:/dev/fd/5} ${file:/proc/self/fd/5}', '/'), []);
});

describe('the process that reads them', () => {
  /** What is found under the path by a process that may open 100 files, and has as many open but for so many. */
  function readWithout(room: number, path: string) {
    const code = `
      import { closeSync, openSync } from 'node:fs';
      const { readNamed } = await import(${JSON.stringify(join(SOURCES, 'named-files.ts'))});
      const open = [];
      try {
        for (;;) open.push(openSync('/dev/null'));
      } catch {}
      for (const one of open.splice(0, ${room})) closeSync(one);
      const found = await readNamed(${JSON.stringify(`\${file:${path}}`)}, '/');
      for (const one of open) closeSync(one);
      process.stdout.write(JSON.stringify(found));
      // Node's timer for the end of a process is set even where none began.
      process.exit();
    `;
    const args = ['-c', 'ulimit -n 100; exec "$0" --input-type=module -e "$1"', process.execPath, code];
    const { stdout, stderr } = spawnSync('sh', args, { encoding: 'utf8' });
    assert.equal(stderr, '');
    return JSON.parse(stdout) as unknown;
  }

  it('may find no room: then each file is told of as if there were none for it', (t) => {
    const path = join(temporaryDirectory(t), 'secret');
    writeFileSync(path, 'sk-1');
    // Its pipes take three and more.
    for (const room of [0, 2]) assert.deepEqual(readWithout(room, path), [[path, { code: 'EMFILE' }]]);
    assert.deepEqual(readWithout(20, path), [[path, { text: 'sk-1' }]]);
  });

  it('is told nothing that its group is told, and hung if somebody ends it: nobody tries that again', async (t) => {
    const path = hanging(join(temporaryDirectory(t), 'hangs'));
    const read = readNamed(`\${file:${path}}`, '/');
    const [reader = ''] = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').split(' ');
    const group = readFileSync(`/proc/${reader}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[2];
    assert.equal(group, reader);
    process.kill(Number(reader), 'SIGTERM');
    assert.deepEqual(await read, [[path, { code: 'ETIMEDOUT' }]]);
  });

  it('ends when whoever asked is gone, even if it hangs', async (t) => {
    const directory = temporaryDirectory(t);
    const hangs = hanging(join(directory, 'hangs'));
    const good = join(directory, 'good');
    writeFileSync(good, 'x');
    const reader = spawn(process.execPath, [join(SOURCES, 'file-reader.ts')], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const ended = once(reader, 'close');
    t.after(() => reader.kill('SIGKILL'));
    reader.stdin.write(`${JSON.stringify([hangs, good])}\n`);
    const [line] = await once(reader.stdout.setEncoding('utf8'), 'data');
    assert.deepEqual(JSON.parse(line), [good, { text: 'x' }]);
    // As the system does for a process that has ended.
    reader.stdin.end();
    assert.deepEqual(await ended, [null, 'SIGKILL']);
  });
});

it('says what there is no room for, with the place in the file', () => {
  const text = 'version: 1\nproviders:\n  a: { adapter: openai, api_key: "${file:/secret}" }\nmodels: {}\n';
  const files = new FilesAsRead([['/secret', { code: 'EMFILE' }]]);
  const loaded = loadText('spillway.yaml', text, { env: {}, readSecrets: true, files });
  assert.ok(!loaded.ok);
  assert.deepEqual(loaded.problems.map(formatProblem), [
    'spillway.yaml:3:34: providers.a.api_key: cannot read the file of ${file:/secret} (EMFILE); there is no room for another open file or process: look at their limits',
  ]);
});
