import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { configOf, fileWith, problemsOf, targetsOf, treeOf } from './helpers.ts';

test('a file that is not there is a problem', () => {
  const loaded = loadConfig('/nowhere/spillway.yaml', { env: {}, readSecrets: true });
  assert.deepEqual(loaded, {
    ok: false,
    problems: [
      {
        file: '/nowhere/spillway.yaml',
        line: null,
        column: null,
        path: '',
        message: 'there is no such file',
      },
    ],
  });
});

test('a folder in its place is a problem', () => {
  const loaded = loadConfig(import.meta.dirname, { env: {}, readSecrets: true });
  assert.ok(!loaded.ok);
  assert.equal(loaded.problems[0]?.message, 'the file cannot be read (EISDIR)');
});

test('an empty file, and one of comments only, is a problem', () => {
  for (const text of ['', '\n\n', '# nothing\n', '---\n', 'null']) {
    assert.match(problemsOf(text)[0] ?? '', /^1:1 : the file is empty/);
  }
});

test('a file that is no map is a problem', () => {
  for (const text of ['[]', 'hello', '12', '- version: 1']) {
    assert.match(problemsOf(text)[0] ?? '', /^1:1 : expected a map of keys, found /);
  }
});

for (const [what, text, at] of [
  ['a bracket that is not closed', 'version: 1\nmodels: [a\n', '3:1'],
  ['a text with a colon', 'version: 1\nlisten: a: b\n', '2:9'],
  ['a tab as indentation', 'version: 1\nadmin:\n\tlisten: x\n', '3:1'],
  ['a second document', 'version: 1\n---\nversion: 1\n', '2:1'],
  ['a tag', 'version: 1\nlisten: !secret x\n', '2:9'],
  ['an alias to nothing', 'version: 1\nlisten: *there\n', '2:9'],
  ['an alias to what it is part of', 'version: 1\nmodels: &a { x: *a }\n', '2:17'],
  ['a key twice', 'version: 1\nlog: {}\nlog: {}\n', '3:1'],
  [
    'a key twice, once as a number',
    'version: 1\nmodels: { 4: { provider: a }, "4": { provider: a } }\n',
    '2:31',
  ],
  ['a key that is a list', 'version: 1\n? [a, b]\n: 1\n', '2:3'],
  ['an infinite number', 'version: 1\nserver: { max_in_flight: .inf }\n', '2:26'],
] as const) {
  test(`${what} is a problem at its place`, () => {
    const places = problemsOf(text).map((problem) => problem.split(' ')[0]);
    assert.ok(places.includes(at), problemsOf(text).join('\n'));
  });
}

test('aliases and merged keys are followed', () => {
  const config = configOf(
    fileWith(`models:
  a: &a { provider: one, model: x, timeouts: { idle: 1s } }
  b: *a
  c: { <<: *a, model: y }`),
  );
  assert.equal(targetsOf(treeOf(config, 'b'))[0]?.model, 'x');
  assert.equal(targetsOf(treeOf(config, 'c'))[0]?.model, 'y');
  assert.equal(targetsOf(treeOf(config, 'c'))[0]?.timeouts.idle, 1000);
});

test('aliases that stand for billions of values are a problem, soon', () => {
  const levels = Array.from(
    { length: 12 },
    (_, i) => `  l${i}: &l${i} [${Array(10).fill(i === 0 ? 'x' : `*l${i - 1}`)}]`,
  );
  const started = performance.now();
  const problems = problemsOf(`version: 1\nmodels:\n${levels.join('\n')}\n`);
  assert.ok(problems.some((problem) => problem.includes('aliases repeat more than')));
  assert.ok(performance.now() - started < 5000);
});

for (const depth of [350, 1000, 5000]) {
  test(`a tree nested ${depth} levels deep is a problem and no crash`, () => {
    const tree = `${'{targets: ['.repeat(depth)}x${']}'.repeat(depth)}`;
    const problems = problemsOf(`version: 1\nmodels:\n  deep: ${tree}\n`);
    assert.ok(
      problems.some((problem) => /nested/.test(problem)),
      problems[0],
    );
  });
}

test('a tree nested a hundred levels deep loads', () => {
  const depth = 100;
  const tree = `${'{targets: ['.repeat(depth)}{provider: one}${']}'.repeat(depth)}`;
  assert.equal(targetsOf(treeOf(configOf(fileWith(`models: { deep: ${tree} }`)), 'deep')).length, 1);
});

test('names of every object are names like others, but for __proto__', () => {
  const config = configOf(
    fileWith('models: { constructor: { provider: one }, toString: { provider: one } }'),
  );
  assert.equal(config.models.size, 2);
  assert.equal(config.models.get('hasOwnProperty'), undefined);
  assert.match(
    problemsOf(fileWith('models: { __proto__: { provider: one } }'))[0] ?? '',
    /^6:11 models: expected a plain name/,
  );
});

test('JSON, Windows line ends and a byte order mark are no matter', () => {
  configOf(
    '{"version":1,"auth":"none","providers":{"a":{"adapter":"vllm"}},"models":{"m":{"provider":"a"}}}',
  );
  configOf(`\uFEFF${fileWith('models: { m: { provider: one } }').replaceAll('\n', '\r\n')}`);
  assert.match(problemsOf('version: 1\r\nlisten: x\r\n')[0] ?? '', /^2:9 listen/);
});
