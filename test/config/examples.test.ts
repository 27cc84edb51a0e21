import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { targetsOf, treeOf } from './helpers.ts';

const ROOT = join(import.meta.dirname, '../..');
const ENV = {
  OPENAI_API_KEY: 'k1',
  OPENROUTER_API_KEY: 'k2',
  DEEPSEEK_API_KEY: 'k3',
  SPILLWAY_KEY: 'k4',
  TRIAL_KEY: 'k5',
  ACME_KEY: 'k6',
  ANTHROPIC_API_KEY: 'k7',
  GEMINI_API_KEY: 'k8',
  AZURE_API_KEY: 'k9',
  GOOGLE_CLOUD_PROJECT: 'my-project',
};

function load(name: string, readSecrets = true) {
  const loaded = loadConfig(join(ROOT, name), { env: readSecrets ? ENV : {}, readSecrets });
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'));
  assert.deepEqual(loaded.warnings, []);
  return loaded.config;
}

for (const name of ['config/spillway.yaml', ...globSync('config/examples/*.{yaml,json}', { cwd: ROOT })]) {
  test(`${name} loads without a warning, with its secrets and without`, () => {
    load(name);
    load(name, false);
  });
}

test('four levels of fallback as other gateways write them load as written', () => {
  const tree = treeOf(load('config/examples/four-levels.json'), 'smart');
  assert.ok(tree.kind === 'fallback');
  assert.deepEqual(tree.onStatusCodes, new Set([400, 429, 500, 502, 503, 504]));
  assert.deepEqual(
    targetsOf(tree).map(({ id }) => id),
    ['main/gpt-6-sol', 'router/openai/gpt-6-sol', 'main/gpt-6-luna', 'router/openai/gpt-6-luna'],
  );
});

test('a load balancer over two chains loads as written', () => {
  const tree = treeOf(load('config/examples/balanced-chains.yaml'), 'balanced');
  assert.ok(tree.kind === 'loadbalance');
  assert.deepEqual(
    tree.children.map(({ weight, node }) => [weight, node.kind, targetsOf(node).length]),
    [
      [0.7, 'fallback', 2],
      [0.3, 'fallback', 2],
    ],
  );
});
