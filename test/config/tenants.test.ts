import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { configOf, problemsOf, warningsOf } from './helpers.ts';

const file = (tenants: string, more = '') => `version: 1
providers: { a: { adapter: vllm } }
models: { m: { provider: a }, n: { provider: a } }
aliases: { short: m }
tenants:
  ${tenants}
${more}`;
const HASH = 'AB'.repeat(32);
const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');

test('a key is given by its hash, in any case and with a prefix, or by itself', () => {
  const [tenant] = configOf(
    file(
      `- { id: acme, tier: pro, models: [m, short], keys: [{ id: a, sha256: "${HASH}" }, { id: b, sha256: "sha256:${'cd'.repeat(32)}" }, { id: c, key: plain }] }`,
    ),
  ).tenants;
  assert.deepEqual(tenant, {
    id: 'acme',
    tier: 'pro',
    models: new Set(['m', 'short']),
    keys: [
      { id: 'a', sha256: HASH.toLowerCase(), quotas: [] },
      { id: 'b', sha256: 'cd'.repeat(32), quotas: [] },
      { id: 'c', sha256: hashOf('plain'), quotas: [] },
    ],
    quotas: [],
  });
});

const withKeys = (keys: string) => file(`- { id: acme, keys: [${keys}] }`);

for (const [name, text, expected, env] of [
  ['neither hash nor key', withKeys('{ id: a }'), /keys\[0\]\.sha256: missing/, {}],
  [
    'both',
    withKeys(`{ id: a, sha256: "${HASH}", key: k }`),
    /keys\[0\]\.key: takes the place of `sha256`/,
    {},
  ],
  [
    'a hash that is none',
    withKeys('{ id: a, sha256: abc }'),
    /sha256: expected 64 hexadecimal digits, found a text \(not shown\)/,
    {},
  ],
  [
    'a hash that is a number',
    withKeys('{ id: a, sha256: 123 }'),
    /sha256: expected a text, found a number \(not shown\)/,
    {},
  ],
  ['an empty key', withKeys('{ id: a, key: "" }'), /keys\[0\]\.key: expected a key, found an empty text/, {}],
  [
    'a key that comes out empty',
    withKeys('{ id: a, key: "${K}" }'),
    /found \$\{K\}, which is empty/,
    { K: '' },
  ],
  [
    'a hash that comes out empty',
    withKeys('{ id: a, sha256: "${K}" }'),
    /found \$\{K\}, which is empty/,
    { K: '' },
  ],
  ['the hash of nothing', withKeys(`{ id: a, sha256: "${hashOf('')}" }`), /is the hash of an empty text/, {}],
  ['a key that no header carries', withKeys('{ id: a, key: "a b" }'), /holds a space/, {}],
  [
    'a key twice',
    withKeys(`{ id: a, sha256: "${hashOf('k')}" }, { id: b, key: k }`),
    /keys\[1\]\.key: is the same key as `acme\/a`/,
    {},
  ],
  [
    'a key id twice',
    withKeys('{ id: a, key: k }, { id: a, key: l }'),
    /keys\[1\]\.id: another key of this tenant has this id/,
    {},
  ],
  [
    'a key id with capitals',
    withKeys('{ id: A, key: k }'),
    /keys\[0\]\.id: expected 1 to 64 of the characters .*found "A"/,
    {},
  ],
  [
    'a tenant twice',
    file('- { id: a, keys: [{ id: k, key: k }] }\n  - { id: a }'),
    /tenants\[1\]\.id: another tenant has this id/,
    {},
  ],
  [
    'an id that is empty',
    file('- { id: "", keys: [{ id: k, key: k }] }'),
    /tenants\[0\]\.id: expected 1 to 64/,
    {},
  ],
  [
    'a model that is not there',
    file('- { id: a, models: [m, nn], keys: [{ id: k, key: k }] }'),
    /models\[1\]: there is no model "nn"; did you mean n\?/,
    {},
  ],
] as const) {
  test(`${name} is a problem`, () => {
    const problems = problemsOf(text, { ...env });
    assert.match(problems[0] ?? '', expected);
    assert.equal(problems.length, 1, problems.join('\n'));
  });
}

test('a tenant may be given a model of a provider only where those are on', () => {
  const text = file('- { id: t, models: [a/x], keys: [{ id: k, key: k }] }', 'direct_models: true');
  assert.deepEqual(configOf(text).tenants[0]?.models, new Set(['a/x']));
  assert.match(problemsOf(text.replace('true', 'false'))[0] ?? '', /there is no model "a\/x"/);
  assert.match(problemsOf(text.replace('a/x', 'b/x'))[0] ?? '', /there is no model "b\/x"/);
});

test('without keys everyone is anonymous, listed or not', () => {
  assert.deepEqual(configOf('version: 1\nauth: none\n').tenants, [
    { id: 'anonymous', tier: null, models: null, keys: [], quotas: [] },
  ]);
  const listed = configOf(file('- { id: anonymous, tier: free, models: [m] }', 'auth: none')).tenants;
  assert.deepEqual(listed, [{ id: 'anonymous', tier: 'free', models: new Set(['m']), keys: [], quotas: [] }]);
});

test('a file that lets nobody in says so', () => {
  assert.ok(warningsOf(file('- { id: t }')).some((warning) => warning.includes('nobody can call')));
});
