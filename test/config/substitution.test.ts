import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { configOf, fileWith, problemsOf, targetsOf, treeOf } from './helpers.ts';

const withKey = (key: string, more = '') => `version: 1
auth: none
providers:
  one:
    adapter: openai
    api_key: ${key}
models: { m: { provider: one, model: x } }
${more}`;

test('a variable is read from the environment', () => {
  assert.deepEqual(configOf(withKey('${KEY}'), { KEY: 'sk-1' }).providers.get('one')?.apiKeys, ['sk-1']);
});

test('a variable that is not set is a problem that names file, line, key and variable', () => {
  assert.deepEqual(problemsOf(withKey('${KEY}')), [
    '6:14 providers.one.api_key: the environment variable KEY is not set; set it, or give a default with ${KEY:-text}',
  ]);
});

test('a default stands in for a variable that is unset or empty', () => {
  for (const env of [{}, { KEY: '' }] as Record<string, string>[]) {
    assert.deepEqual(configOf(withKey('${KEY:-sk-fallback}'), env).providers.get('one')?.apiKeys, [
      'sk-fallback',
    ]);
  }
});

test('a key that comes out empty is a problem', () => {
  assert.match(
    problemsOf(withKey('${KEY}'), { KEY: '' })[0] ?? '',
    /^6:14 .*expected a key, found \$\{KEY\}, which is empty/,
  );
});

test('a value cannot change the structure of the file', () => {
  const key = `sk-"x'}\n,:-#&*`.replaceAll('\n', '');
  assert.deepEqual(configOf(withKey('${KEY}'), { KEY: key }).providers.get('one')?.apiKeys, [key]);
});

test('text around a variable stays, and several may stand in one text', () => {
  const text = fileWith(`models: { m: { provider: one, model: "\${A}-\${B:-b}!" } }`);
  assert.equal(targetsOf(treeOf(configOf(text, { A: 'a' }), 'm'))[0]?.model, 'a-b!');
});

test('$${ stands for a plain ${', () => {
  const text = fileWith('models: { m: { provider: one, override_params: { user: "$${A}" } } }');
  assert.equal(targetsOf(treeOf(configOf(text), 'm'))[0]?.overrideParams['user'], '${A}');
});

test('where a number, a yes or no, or an address is wanted, text from the environment is one', () => {
  const text = fileWith(`listen: 127.0.0.1:\${PORT:-8080}
server: { max_in_flight: "\${MANY}" }
direct_models: \${DIRECT}
defaults: { retry: { attempts: "\${N:-7}", budget: { ratio: "\${R}" } }, timeouts: { idle: "\${IDLE}" } }
models: { m: { provider: one } }`);
  const config = configOf(text, { MANY: '12', DIRECT: 'true', R: ' 0.5 ', IDLE: '3s' });
  const target = targetsOf(treeOf(config, 'm'))[0];
  assert.equal(config.listen.port, 8080);
  assert.equal(config.server.maxInFlight, 12);
  assert.ok(config.directModel('one/x'));
  assert.equal(target?.retry.attempts, 7);
  assert.equal(target?.retry.budget.ratio, 0.5);
  assert.equal(target?.timeouts.idle, 3000);
});

test('text stays text where text is wanted, even if it looks like a number', () => {
  assert.deepEqual(configOf(withKey('${KEY}'), { KEY: '12345' }).providers.get('one')?.apiKeys, ['12345']);
});

test('text of the file is no number: only what came from the environment is read as one', () => {
  assert.match(
    problemsOf(fileWith('server: { max_in_flight: "12" }'))[0] ?? '',
    /^6:26 server\.max_in_flight: expected a whole number, found "12"/,
  );
});

test('what is not a form of substitution is a problem', () => {
  for (const written of ['${KEY-x}', '${}', '${a b}', '${file:}', '"${KEY"']) {
    const problems = problemsOf(withKey(written), { KEY: 'x' });
    assert.equal(problems.length, 1, written);
    assert.match(problems[0] ?? '', /expected \$\{NAME\}, \$\{NAME:-text\} or \$\{file:PATH\}/);
  }
});

test('a file is read relative to the configuration and trimmed; one that is missing is a problem', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-'));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(join(directory, 'secret'), '  sk-from-file\n');
  const file = join(directory, 'spillway.yaml');
  writeFileSync(file, withKey('${file:secret}'));
  const options = { env: {}, readSecrets: true };
  const loaded = loadConfig(file, options);
  assert.ok(loaded.ok);
  assert.deepEqual(loaded.config.providers.get('one')?.apiKeys, ['sk-from-file']);
  writeFileSync(file, withKey('${file:nowhere}'));
  const failed = loadConfig(file, options);
  assert.ok(!failed.ok);
  assert.deepEqual(failed.problems, [
    {
      file,
      line: 6,
      column: 14,
      path: 'providers.one.api_key',
      message: 'cannot read the file of ${file:nowhere} (ENOENT)',
    },
  ]);
});

test('a variable without quotes inside braces is told how to be written', () => {
  assert.match(
    problemsOf('version: 1\nproviders: { a: { api_key: ${KEY} } }')[0] ?? '',
    /^2:\d+ .*write "\$\{NAME\}" with quotes/,
  );
});
