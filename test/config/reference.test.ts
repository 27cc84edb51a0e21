import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { loadText } from '../../src/config/load.ts';
import { configOf, targetsOf, treeOf } from './helpers.ts';

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

test('the reference loads as it is', () => {
  const config = configOf(REFERENCE, ENV);
  assert.deepEqual(config.listen, { host: '0.0.0.0', port: 8080 });
  assert.deepEqual(config.admin, { listen: { host: '127.0.0.1', port: 9090 }, token: null });
  assert.deepEqual(config.server, {
    workers: 1,
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
  const target = targetsOf(treeOf(configOf(REFERENCE, ENV), 'plain'))[0];
  const bare = configOf(
    'version: 1\nauth: none\nproviders: { a: { adapter: vllm } }\nmodels: { m: { provider: a } }',
  );
  const plain = targetsOf(treeOf(bare, 'm'))[0];
  for (const part of [
    'retry',
    'timeouts',
    'breaker',
    'strictParams',
    'cacheMarkers',
    'midStream',
    'prefill',
    'cacheTtl',
  ] as const)
    assert.deepEqual(target?.[part], plain?.[part]);
  assert.equal(target?.timeouts.attempt, 300_000);
});

test('the reference says of quotas and shared state what is the default anyway', () => {
  const config = configOf(REFERENCE, ENV);
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
  assert.deepEqual(
    [bare.state, bare.quotaDefaults, bare.idempotency],
    [config.state, config.quotaDefaults, config.idempotency],
  );
  assert.deepEqual(config.idempotency, { ttl: 86_400_000, maxBody: 1024 * 1024, encryptionKey: null });
  assert.equal(config.providers.get('openai')?.limits, null);
  assert.equal(config.providers.get('openai')?.adaptive, false);
});

test('without its secrets the reference is checked all the same', () => {
  const loaded = loadText('x.yaml', REFERENCE, { env: {}, readSecrets: false });
  assert.ok(loaded.ok);
});
