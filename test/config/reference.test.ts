import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseDocument } from 'yaml';
import { loadText } from '../../src/config/load.ts';
import { configOf, problemsOf, targetsOf, treeOf } from './helpers.ts';

/** The tables that it names stand beside it where it is used, and here elsewhere. */
const REFERENCE = readFileSync(`${import.meta.dirname}/fixtures/config.reference.yaml`, 'utf8')
  .replace('prices: prices.yaml', 'prices: ../../config/prices.yaml')
  .replace('capabilities: models.yaml', 'capabilities: ../../config/models.yaml');
const ENV = {
  OPENAI_API_KEY: 'sk-openai-0123456789',
  DEEPSEEK_API_KEY: 'sk-deepseek-0123456789',
  ANTHROPIC_API_KEY: 'sk-anthropic',
  AZURE_API_KEY: 'azure-key',
  GEMINI_API_KEY: 'gemini-key',
  ACME_CI_KEY_SHA256: 'ab'.repeat(32),
  ACME_LAPTOP_KEY: 'sw-laptop-key',
};

/** The reference without what its letters mark as a later piece of work. */
function withoutLaterKeys(): string {
  const document = parseDocument(REFERENCE);
  const gone = [
    ['providers', 'openai', 'limits'],
    ['providers', 'openai', 'adaptive'],
    ['defaults', 'breaker', 'share'],
    ...['mode', 'ttl', 'shared'].map((key) => ['defaults', 'cache', key]),
    ['models', 'balanced', 'targets', 0, 'targets', 1, 'prefill'],
    ['idempotency'],
  ];
  for (const path of gone) assert.ok(document.deleteIn(path), `the reference has no ${path.join('.')}`);
  return document.toString();
}

test('the reference loads as it is once the keys of later work are taken out', () => {
  const config = configOf(withoutLaterKeys(), ENV);
  assert.deepEqual(config.listen, { host: '0.0.0.0', port: 8080 });
  assert.deepEqual(config.admin, { listen: { host: '127.0.0.1', port: 9090 }, token: null });
  assert.deepEqual(config.server, {
    maxBody: 32 * 1024 * 1024,
    maxInFlight: 10_000,
    drainTimeout: 30_000,
    heartbeat: 15_000,
    forwardHeaders: [],
    tls: null,
  });
  assert.deepEqual([...config.models.keys()], ['smart', 'balanced', 'by-plan', 'plain', 'cheap', 'premium']);
  assert.equal(config.models.get('cheap')?.name, 'balanced');
  assert.deepEqual(
    targetsOf(treeOf(config, 'premium')).map(({ id }) => id),
    [
      'anthropic/claude-opus-5-5',
      'bedrock/us.anthropic.claude-opus-5-5-v1:0',
      'anthropic/claude-sonnet-5-5',
      'bedrock/us.anthropic.claude-sonnet-5-5-v1:0',
    ],
  );
  assert.deepEqual(
    [...config.providers].map(([id, { adapter, apiKeys }]) => [id, adapter, apiKeys.length]),
    ['openai', 'deepseek', 'anthropic', 'bedrock', 'azure', 'gemini', 'vertex'].map((name) => [
      name,
      name,
      1,
    ]),
  );
  assert.deepEqual(
    config.secrets.toSorted(),
    [
      ENV.ANTHROPIC_API_KEY,
      ENV.AZURE_API_KEY,
      ENV.DEEPSEEK_API_KEY,
      ENV.GEMINI_API_KEY,
      ENV.OPENAI_API_KEY,
    ].toSorted(),
  );
  assert.ok(config.capabilities.knows('anthropic', 'claude-opus-5-5'));
  assert.equal(config.tenants[0]?.keys.length, 2);
});

test('its defaults are those that hold without them', () => {
  const target = targetsOf(treeOf(configOf(withoutLaterKeys(), ENV), 'plain'))[0];
  const bare = configOf(
    'version: 1\nauth: none\nproviders: { a: { adapter: vllm } }\nmodels: { m: { provider: a } }',
  );
  const plain = targetsOf(treeOf(bare, 'm'))[0];
  for (const part of ['retry', 'timeouts', 'breaker', 'strictParams', 'cacheMarkers'] as const)
    assert.deepEqual(target?.[part], plain?.[part]);
  assert.equal(target?.timeouts.attempt, 300_000);
});

test('the reference says of quotas and shared state what is the default anyway', () => {
  const config = configOf(withoutLaterKeys(), ENV);
  assert.deepEqual(config.state, {
    redis: null,
    keyPrefix: 'spillway',
    commandTimeout: 250,
    onOutage: 'local',
  });
  assert.deepEqual(config.quotaDefaults, {
    outputTokens: 4096,
    keyGrace: 86_400_000,
    ledgerDays: 400,
  });
  assert.deepEqual(
    config.tenants[0]?.quotas.map(({ limit, of, per }) => [limit, of, per]),
    [
      [100, 'requests', 'minute'],
      [1_000_000, 'tokens', 'hour'],
      [50, 'usd', 'day'],
      [8, 'concurrent', null],
      [200_000, 'output_tokens', 'day'],
    ],
  );
  assert.deepEqual(config.tenants[0]?.keys[1]?.quotas, [{ limit: 5, of: 'usd', per: 'day', models: null }]);
  const bare = configOf(
    'version: 1\nauth: none\nproviders: { a: { adapter: vllm } }\nmodels: { m: { provider: a } }',
    ENV,
  );
  assert.deepEqual([bare.state, bare.quotaDefaults], [config.state, config.quotaDefaults]);
});

test('each key of later work is refused as not supported yet, all of them at once, and nothing else is', () => {
  const problems = problemsOf(REFERENCE, ENV);
  const refused = problems.map((problem) => problem.split(' ')[1]);
  assert.ok(
    problems.every((problem) => problem.includes('not supported yet')),
    problems.join('\n'),
  );
  assert.deepEqual(refused, [
    'providers.openai.limits:',
    'providers.openai.adaptive:',
    'defaults.breaker.share:',
    'defaults.cache.mode:',
    'defaults.cache.ttl:',
    'defaults.cache.shared:',
    'models.balanced.targets[0].targets[1].prefill:',
    'idempotency:',
  ]);
});

test('without its secrets the reference is checked all the same', () => {
  const loaded = loadText('x.yaml', withoutLaterKeys(), { env: {}, readSecrets: false });
  assert.ok(loaded.ok);
});

for (const key of ['hedge: { after: p95 }', 'by: latency', 'sticky: x-id', 'by:']) {
  test(`strategy.${key} is refused as not supported yet`, () => {
    const [problem, ...others] = problemsOf(`version: 1
auth: none
providers: { a: { adapter: vllm } }
models: { m: { strategy: { mode: fallback, ${key} }, targets: [{ provider: a }] } }`);
    assert.match(problem ?? '', /^4:\d+ models\.m\.strategy\.(hedge|by|sticky): not supported yet/);
    assert.deepEqual(others, []);
  });
}

test('mid_stream: error is taken, mid_stream: continue is not supported yet', () => {
  const file = (word: string) => `version: 1
auth: none
providers: { a: { adapter: vllm } }
defaults: { mid_stream: ${word} }
models: { m: { provider: a, mid_stream: ${word} } }`;
  configOf(file('error'));
  const problems = problemsOf(file('continue'));
  assert.equal(problems.length, 2);
  assert.match(problems[0] ?? '', /^4:25 defaults\.mid_stream: .*not supported yet/);
});
