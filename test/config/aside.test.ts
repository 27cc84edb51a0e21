import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { compileFindings, LARGE, loadAside } from '../../src/config/aside.ts';
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

/** Counts the threads that begin from now on. */
function threadsBegun(t: TestContext): () => number {
  let count = 0;
  const begun = () => count++;
  process.on('worker', begun);
  t.after(() => process.off('worker', begun));
  return () => count;
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
  return { atOnce, aside: await loadAside(file, env) };
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
    assert.ok(atOnce.ok && aside.ok, JSON.stringify(aside.ok || aside.problems));
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

  it('comes with all that was found, by which another process has the same whatever is on the disk', async (t) => {
    const file = write(t, `${PADDING}version: 1\n${PROVIDERS}admin: { token: "\${file:token}" }\nmodels: {}`);
    const token = join(file, '../token');
    writeFileSync(token, 'token-of-operators\n');
    const first = await loadAside(file, {});
    assert.ok(first.ok);
    writeFileSync(token, 'another-token-of-operators');
    writeFileSync(file, 'version: 1');
    const again = compileFindings(structuredClone(first.findings), { file, env: {} });
    assert.ok(again.ok);
    assert.equal(again.config.admin.token, 'token-of-operators');
    assert.equal(comparable(again.config), comparable(first.config));
  });
});

describe('a large table of a short file', () => {
  const short = `version: 1\n${PROVIDERS}direct_models: true\nmodels: { m: { provider: a } }\n`;
  const prices =
    'prices: [{ models: [m, "*-large"], in: 1.5, out: 0.1, times: [{ hours: ["08:00-20:00"], in: 2, out: 3 }] }]\n';
  const models =
    'extends: built-in\nmodels: [{ models: [m], context: 128k, refuses: [seed], input: [image] }]\n';

  for (const [name, large, kept] of [
    ['prices.yaml', prices, models],
    ['models.yaml', models, prices],
  ] as const) {
    it(`(${name}) is read aside, and comes to the same`, async (t) => {
      const file = write(t, short);
      writeFileSync(join(file, '..', name), PADDING + large);
      writeFileSync(join(file, '..', name === 'prices.yaml' ? 'models.yaml' : 'prices.yaml'), kept);
      const begun = threadsBegun(t);
      const { atOnce, aside } = await both(file);
      assert.ok(atOnce.ok && aside.ok, JSON.stringify(atOnce.ok || atOnce.problems));
      assert.equal(begun(), 1);
      const at = Date.UTC(2026, 10, 20, 12);
      const usage = { input: 1e6, output: 1e6, cached: 0, cacheWrite: 0, reasoning: 0 };
      for (const model of ['m', 'x-large', 'gpt-5.1', 'unknown']) {
        const said = ({ config }: { config: RuntimeConfig }) => [
          config.prices.find('a', model)?.cost(usage, at),
          config.capabilities.find('a', model),
          config.capabilities.isExtended('a', model),
        ];
        assert.deepEqual(said(aside), said(atOnce));
      }
      assert.equal(aside.config.prices.find('a', 'm')?.cost(usage, at), 5e9);
      assert.deepEqual([...aside.config.capabilities.find('a', 'm').refuses], ['seed']);
      assert.deepEqual(aside.warnings, atOnce.warnings);
    });

    it(`(${name}) is told of in the same words where it is faulty`, async (t) => {
      const file = write(t, short);
      writeFileSync(join(file, '..', name), `${PADDING}${large.slice(0, -2)}, {}]\n`);
      const { atOnce, aside } = await both(file);
      assert.ok(!atOnce.ok && !aside.ok);
      assert.deepEqual(aside.problems, atOnce.problems);
      assert.ok(aside.problems.every(({ line }) => line !== null && line > LINES));
    });
  }

  it('needs no thread where all is short', async (t) => {
    const file = write(t, short);
    writeFileSync(join(file, '../prices.yaml'), prices);
    const begun = threadsBegun(t);
    assert.ok((await loadAside(file, {})).ok);
    assert.equal(begun(), 0);
  });
});

it('a thread that fails is told of without its words', async (t) => {
  const file = write(t, `${PADDING}version: 1\n${PROVIDERS}`);
  // No such thing can be sent to it.
  const env = { KEY: Symbol('sw-secret') as unknown as string };
  assert.deepEqual(await loadAside(file, env), {
    ok: false,
    problems: [{ file, line: null, column: null, path: '', message: 'the file cannot be read (unreadable)' }],
  });
});

it('a file that is not there is told of as ever', async () => {
  const file = '/nowhere/spillway.yaml';
  const { atOnce, aside } = await both(file);
  assert.ok(!atOnce.ok && !aside.ok);
  assert.deepEqual(aside.problems, atOnce.problems);
});
