import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './helpers.ts';

const SECRET = 'hunter2-DO-NOT-SHOW';

/** What is told of a file, faulty or not. */
function told(text: string): string {
  const loaded = load(text, { SECRET });
  return JSON.stringify(loaded.ok ? loaded.warnings : loaded.problems);
}

/** A faulty file, or one with a warning, for each place where a secret can stand or stray to. */
const PLACES = {
  'a key of the wrong kind': (s: string) => `providers: { a: { adapter: openai, api_key: [${s}] } }`,
  'a pool that is no list': (s: string) => `providers: { a: { adapter: openai, api_keys: ${s} } }`,
  'a key with a space': (s: string) =>
    `providers: { a: { adapter: openai, api_key: ${s.replace(/^"|"$/g, '"')} } }\nx: 1`,
  'a header': (s: string) => `providers: { a: { adapter: vllm, headers: ${s} } }`,
  'a header of the connection': (s: string) => `providers: { a: { adapter: vllm, headers: { host: ${s} } } }`,
  'a proxy': (s: string) => `providers: { a: { adapter: vllm, proxy: ${s} } }`,
  'a token': (s: string) => `admin: { token: { a: ${s} } }`,
  'a hash': (s: string) => `tenants: [{ id: t, keys: [{ id: k, sha256: ${s} }] }]`,
  'a tenant key beside a hash': (s: string) =>
    `tenants: [{ id: t, keys: [{ id: k, sha256: ${s}, key: ${s} }] }]`,
  'an unknown key': (s: string) => `providers: { a: { adapter: vllm, api_kye: ${s} } }`,
  'a key that what is kept is encrypted with': (s: string) => `idempotency: { encryption_key: ${s} }`,
};

for (const [name, text] of Object.entries(PLACES)) {
  for (const written of [`"${SECRET}"`, '"${SECRET}"', '"a ${SECRET} b"']) {
    test(`${name} written ${written === `"${SECRET}"` ? 'out' : written} is never shown`, () => {
      const shown = told(`version: 1\n${text(written)}\n`);
      assert.ok(shown.length > 10, 'nothing was told');
      assert.ok(!shown.includes(SECRET), shown);
    });
  }
}

/** Places where a value is shown, but as it was written if it came from elsewhere. */
const SHOWN_PLACES = [
  'listen: "${SECRET}"',
  'providers: { a: { adapter: "${SECRET}" } }',
  'providers: { a: { adapter: vllm, base_url: "${SECRET}" } }',
  'providers: { a: { adapter: vllm, ca: "${SECRET}" } }',
  'defaults: { timeouts: { idle: "${SECRET}" } }',
  'defaults: { retry: { attempts: "${SECRET}" } }',
  'providers: { a: { adapter: bedrock, region: "${SECRET}/" } }',
  'providers: { a: { adapter: azure, resource: "${SECRET}/" } }',
  'capabilities: "${SECRET}"',
  'models: { m: { provider: "${SECRET}" } }',
  'models: { m: { provider: a, override_params: { model: "${SECRET}\\n" } } }',
  'aliases: { a: "${SECRET}" }',
  'tenants: [{ id: "${SECRET}" }]',
  'tenants: [{ id: t, models: ["${SECRET}"] }]',
  'server: { forward_headers: ["${SECRET} x"] }',
  'version: "${SECRET}"',
];

for (const line of SHOWN_PLACES) {
  test(`${line} is shown as it is written`, () => {
    const shown = told(line.startsWith('version') ? line : `version: 1\n${line}\n`);
    assert.ok(!shown.includes(SECRET), shown);
    assert.ok(shown.includes('${SECRET}'), shown);
  });
}

test('a regular expression from the environment is not shown when it is faulty', () => {
  const query = '{ tenant.id: { $regex: "${SECRET}(" } }';
  const strategy = `{ mode: conditional, conditions: [{ query: ${query}, then: a }] }`;
  const shown = told(
    `version: 1\nproviders: { p: { adapter: vllm } }\nmodels: { m: { strategy: ${strategy}, targets: [{ name: a, provider: p }] } }\n`,
  );
  assert.match(shown, /not a regular expression: Unterminated group/);
  assert.ok(!shown.includes(SECRET), shown);
});

test('a syntax error does not quote the file', () => {
  for (const text of [
    `api_key: ${SECRET}: x\n`,
    `api_key: "${SECRET}\n`,
    `api_key: *${SECRET}\n`,
    `api_key: !${SECRET} x\n`,
    `api_key: &${SECRET}\n  - *${SECRET}\n`,
    `api_key: [${SECRET}\n`,
    `"x" ${SECRET}\n`,
    `- a\n${SECRET}\n`,
    `%${SECRET}\n---\n`,
  ]) {
    const shown = told(`version: 1\n${text}`);
    assert.ok(!shown.includes(SECRET), `${text} gave ${shown}`);
  }
});

test('a key that strayed into a field that is shown is not shown', () => {
  for (const key of [
    'sk-proj-abc123',
    'gsk_abcdef',
    'AIza-xyz',
    `${'a1B2'.repeat(10)}`,
    'http://user:pw@host',
  ]) {
    const shown = told(`version: 1\nproviders: { a: { adapter: "${key}" } }\n`);
    assert.match(shown, /a text \(not shown\)/);
    assert.ok(!shown.includes(key), shown);
  }
});
