import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, problemsOf } from './helpers.ts';

const file = (providers: string, more = '') =>
  `version: 1\nauth: none\nproviders:\n  ${providers}\nmodels: { m: { provider: a, model: x } }\n${more}`;
const providerOf = (text: string) => configOf(file(`a: ${text}`)).providers.get('a');

test('a preset knows where its host is', () => {
  assert.equal(providerOf('{ adapter: groq, api_key: k }')?.baseUrl, 'https://api.groq.com/openai/v1');
  assert.equal(providerOf('{ adapter: ollama }')?.baseUrl, 'http://localhost:11434/v1');
});

test('a base URL of its own takes the place of it, without a slash at the end', () => {
  assert.equal(
    providerOf('{ adapter: vllm, base_url: "http://gpu:8000/v1//" }')?.baseUrl,
    'http://gpu:8000/v1',
  );
});

test('a host that needs no key has none, or takes one', () => {
  assert.deepEqual(providerOf('{ adapter: ollama }')?.apiKeys, [null]);
  assert.deepEqual(providerOf('{ adapter: ollama, api_key: "" }')?.apiKeys, [null]);
  assert.deepEqual(providerOf('{ adapter: ollama, api_key: k }')?.apiKeys, ['k']);
});

test('a pool has its keys in order', () => {
  assert.deepEqual(providerOf('{ adapter: openai, api_keys: [k1, k2] }')?.apiKeys, ['k1', 'k2']);
});

test('all secrets are gathered', () => {
  const config = configOf(
    file(
      'a: { adapter: openai, api_keys: [key-one, key-two], proxy: "http://me:p%40ssword@proxy:3128", headers: { X-Token: hidden-header, X-Beta: v2 } }',
      'admin: { token: admin-token }',
    ),
  );
  assert.deepEqual(config.secrets.toSorted(), [
    'admin-token',
    'hidden-header',
    'key-one',
    'key-two',
    'p%40ssword',
    'p@ssword',
  ]);
  assert.deepEqual(config.providers.get('a')?.headers, { 'x-token': 'hidden-header', 'x-beta': 'v2' });
});

test('a key in a header is a secret without the scheme before it, too', () => {
  const config = configOf(
    file(
      'a: { adapter: vllm, headers: { Authorization: "Bearer  key-in-a-header", X-Name: "some three words" } }',
    ),
  );
  assert.deepEqual(config.secrets.toSorted(), [
    'Bearer  key-in-a-header',
    'key-in-a-header',
    'some three words',
  ]);
});

test('virtual_keys are providers', () => {
  const config = configOf(`version: 1
auth: none
providers: { a: { adapter: vllm } }
virtual_keys: { b: { adapter: ollama } }
models: { m: { virtual_key: a }, n: { provider: b } }`);
  assert.deepEqual([...config.providers.keys()], ['a', 'b']);
});

for (const [name, text, expected] of [
  [
    'a missing key',
    'a: { adapter: openai }',
    /^4:3 providers\.a\.api_key: missing; `adapter: openai` needs a key/,
  ],
  ['an empty key', 'a: { adapter: openai, api_key: "" }', /api_key: expected a key, found an empty text/],
  ['an empty pool', 'a: { adapter: openai, api_keys: [] }', /api_keys: missing/],
  ['an empty key in a pool', 'a: { adapter: ollama, api_keys: [k, ""] }', /api_keys\[1\]: expected a key/],
  [
    'a key with a line break',
    'a: { adapter: openai, api_key: "k\\n" }',
    /api_key: holds a space, line break/,
  ],
  [
    'a key and a pool',
    'a: { adapter: openai, api_key: k, api_keys: [k] }',
    /api_keys: takes the place of `api_key`/,
  ],
  ['no adapter', 'a: { api_key: k }', /providers\.a\.adapter: missing; expected one of openai/],
  [
    'a base URL that is none',
    'a: { adapter: vllm, base_url: api.example.com }',
    /base_url: expected a URL such as .*found "api\.example\.com"/,
  ],
  [
    'a base URL for another protocol',
    'a: { adapter: vllm, base_url: "ftp://x/" }',
    /base_url: expected a URL/,
  ],
  [
    'a base URL with a password',
    'a: { adapter: vllm, base_url: "http://u:pw@x/" }',
    /base_url: expected a URL without a user or password/,
  ],
  [
    'a base URL with a query',
    'a: { adapter: vllm, base_url: "http://x/?key=1" }',
    /base_url: expected a URL without `\?`/,
  ],
  [
    'a proxy that is none',
    'a: { adapter: vllm, proxy: "socks5://x" }',
    /proxy: expected the URL of an HTTP proxy/,
  ],
  [
    'a header name that is none',
    'a: { adapter: vllm, headers: { "x y": z } }',
    /headers\["x y"\]: not a name/,
  ],
  [
    'a header of the connection',
    'a: { adapter: vllm, headers: { Content-Length: "3" } }',
    /headers\.Content-Length: is set by/,
  ],
  [
    'a header twice',
    'a: { adapter: vllm, headers: { X-A: "1", x-a: "2" } }',
    /headers\.x-a: is there already/,
  ],
  [
    'a header with a line break',
    'a: { adapter: vllm, headers: { X-A: "1\\n2" } }',
    /headers\.X-A: holds a character/,
  ],
  ['no connections at all', 'a: { adapter: vllm, connections: 0 }', /connections: expected 1 or more/],
  [
    'a CA file that is not there',
    'a: { adapter: vllm, ca: nowhere.pem }',
    /ca: cannot read the file "nowhere\.pem".*ENOENT/,
  ],
  ['a CA file of something else', 'a: { adapter: vllm, ca: helpers.ts }', /ca: expected a PEM file/],
] as const) {
  test(`${name} is a problem`, () => {
    const problems = problemsOf(file(text));
    assert.match(problems[0] ?? '', expected);
    assert.equal(problems.length, 1, problems.join('\n'));
  });
}

test('a name under both providers and virtual_keys is a problem', () => {
  const problems = problemsOf(file('a: { adapter: vllm }', 'virtual_keys: { a: { adapter: vllm } }'));
  assert.deepEqual(problems, [
    '6:17 virtual_keys.a: there is a provider of this name under `providers` already',
  ]);
});
