import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { LARGE, loadAside } from '../../src/config/aside.ts';
import { loadConfig } from '../../src/config/load.ts';
import type { RuntimeConfig } from '../../src/config/runtime.ts';
import { temporaryDirectory } from '../support/process.ts';

const TABLES = join(import.meta.dirname, '../../config');

/** Lines that say nothing, and make a file large. */
const LINES = 5000;
const PADDING = `# ${'-'.repeat(Math.ceil(LARGE / LINES))}\n`.repeat(LINES);

const PROVIDERS = 'providers: { a: { adapter: openai, api_key: sk-one } }\n';

function write(t: TestContext, text: string): string {
  const file = join(temporaryDirectory(t), 'spillway.yaml');
  writeFileSync(file, text);
  return file;
}

/** What can be compared; of functions, that there is one. */
function comparable({ directModel, ...config }: RuntimeConfig): string {
  return JSON.stringify([config, directModel('a/some-model')], (_key, value: unknown) => {
    if (typeof value === 'function') return 'a function';
    return value instanceof Set || value instanceof Map ? [...value] : value;
  });
}

/** What it is read to at once, and by a thread. */
async function both(file: string, env: Record<string, string> = {}) {
  const atOnce = loadConfig(file, { env, readSecrets: true });
  return { atOnce, aside: await loadAside({ file, env, asRead: null }) };
}

describe('a large file, read in a thread', () => {
  it('comes to the same configuration, with the same warnings', async (t) => {
    const file = write(
      t,
      `${PADDING}version: 1
${PROVIDERS}direct_models: true
defaults: { retry: { attempts: 1 }, override_params: { temperature: 0.5 } }
models:
  m:
    strategy:
      mode: conditional
      conditions: [{ query: { "metadata.tier": { $eq: premium } }, then: fast }]
      default: cheap
    targets:
      - { name: fast, provider: a, model: one, timeouts: { total: 2m } }
      - { name: cheap, provider: a, model: two, override_params: { seed: 1 } }
aliases: { n: m }
admin: { token: "\${TOKEN}" }
tenants:
  - id: acme
    models: [m]
    keys: [{ id: k, key: "\${KEY}", quotas: [{ limit: 5, of: usd, per: day }] }]
`,
    );
    const { atOnce, aside } = await both(file, { TOKEN: 'token-of-operators', KEY: 'sw-acme' });
    assert.ok(atOnce.ok && aside.ok);
    assert.equal(comparable(aside.config), comparable(atOnce.config));
    assert.ok(aside.warnings.length > 0);
    assert.deepEqual(aside.warnings, atOnce.warnings);
    assert.deepEqual(aside.config.secrets, ['sk-one', 'token-of-operators']);
  });

  it('loses nothing of any key on its way', async (t) => {
    const reference = join(import.meta.dirname, 'fixtures/config.reference.yaml');
    const text = readFileSync(reference, 'utf8')
      .replace('prices: prices.yaml', `prices: ${TABLES}/prices.yaml`)
      .replace('capabilities: models.yaml', `capabilities: ${TABLES}/models.yaml`);
    const names = [...text.matchAll(/\$\{([A-Z_0-9]+)\}/g)].map(([, name = '']) => name);
    const env = Object.fromEntries(
      names.map((name) => [name, name.endsWith('SHA256') ? 'ab'.repeat(32) : `a-${name}`]),
    );
    const { atOnce, aside } = await both(write(t, PADDING + text), env);
    assert.ok(atOnce.ok && aside.ok, JSON.stringify(aside));
    assert.equal(comparable(aside.config), comparable(atOnce.config));
    assert.deepEqual(aside.warnings, atOnce.warnings);
  });

  for (const [name, text] of Object.entries({
    'is no YAML': 'models: { a: [ }',
    'does not fit': 'version: 1\nmodels: { m: { provider: a, retry: { attempts: many } } }\nmodles: {}',
    'names what is not there': `version: 1\n${PROVIDERS}models: { m: { provider: b } }\naliases: { n: o }`,
    'names a variable that is not set': 'version: 1\nadmin: { token: "${TOKEN}" }',
    'names files that are not there': `version: 1\nprices: none.yaml\nadmin: { token: "\${file:token}" }`,
  })) {
    it(`is told of in the same words where it ${name}`, async (t) => {
      const { atOnce, aside } = await both(write(t, `${PADDING}${text}\n`));
      assert.ok(!atOnce.ok && !aside.ok);
      assert.deepEqual(aside.problems, atOnce.problems);
      assert.ok(aside.problems.every(({ line }) => line !== null && line > LINES));
    });
  }

  it('comes with all that was read for it, by which it is read again whatever is on the disk', async (t) => {
    const file = write(t, `${PADDING}version: 1\n${PROVIDERS}admin: { token: "\${file:token}" }\nmodels: {}`);
    const token = join(file, '../token');
    writeFileSync(token, 'token-of-operators\n');
    const first = await loadAside({ file, env: {}, asRead: null });
    writeFileSync(token, 'another-token-of-operators');
    const again = await loadAside({ file, env: {}, asRead: first.files });
    assert.ok(again.ok);
    assert.equal(again.config.admin.token, 'token-of-operators');
    assert.deepEqual(again.files, first.files);
    assert.deepEqual(
      first.files.map(([path]) => path.slice(file.length - 'spillway.yaml'.length)),
      ['spillway.yaml', 'token', 'prices.yaml', 'models.yaml'],
    );
  });
});

it('a thread that fails is told of without its words', async (t) => {
  const file = write(t, `${PADDING}version: 1\n${PROVIDERS}`);
  // No such thing can be sent to it.
  const env = { KEY: Symbol('sw-secret') as unknown as string };
  assert.deepEqual(await loadAside({ file, env, asRead: null }), {
    ok: false,
    problems: [{ file, line: null, column: null, path: '', message: 'the file cannot be read (unreadable)' }],
    files: [],
  });
});

it('a file that is not there is told of as ever', async () => {
  const file = '/nowhere/spillway.yaml';
  const { atOnce, aside } = await both(file);
  assert.ok(!atOnce.ok && !aside.ok);
  assert.deepEqual(aside.problems, atOnce.problems);
});
