import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileWith, problemsOf, warningsOf } from './helpers.ts';

const MODEL = 'models: { m: { provider: one, model: x } }\n';

/** The only problem of a file. */
function problemOf(text: string): string {
  const problems = problemsOf(text);
  assert.equal(problems.length, 1, problems.join('\n'));
  return problems[0] ?? '';
}

test('an unknown key names the nearest one', () => {
  assert.equal(
    problemOf(fileWith(`models:\n  smart:\n    provider: one\n    retires: { attempts: 3 }\n`)),
    '9:5 models.smart.retires: unknown key; did you mean retry?',
  );
  assert.match(
    problemOf(fileWith(`${MODEL}zzzzzz: 1\n`)),
    /^7:1 zzzzzz: unknown key; known here: version, listen, admin, /,
  );
});

test('all problems are told at once, in the order of the file', () => {
  const text = `version: 1
listen: 8080
server: { max_body: 32, maxInFlight: 3, drain_timeout: 30 }
providers:
  openai: { adapter: opnai, api_key: k }
  Other: { adapter: vllm }
defaults:
  retry: { attempts: many, backof: {} }
models:
  a: { provider: opanai, model: x }
  b: { strategy: { mode: fallbak }, targets: [{ provider: openai, model: x }] }
aliases: { c: bb, d: e, e: d }
tenants:
  - { id: acme, models: [a, bbb], keys: [{ id: k1 }] }
  - { tier: pro }
`;
  assert.deepEqual(problemsOf(text), [
    '2:9 listen: expected an address such as 0.0.0.0:8080 or "[::1]:8080", found 8080',
    '3:21 server.max_body: expected a size such as 64kb or 32mb, found 32',
    '3:25 server.maxInFlight: unknown key; did you mean max_in_flight?',
    '3:56 server.drain_timeout: expected a duration such as 250ms, 5s, 10m or 24h, or 0, found 30',
    '5:22 providers.openai.adapter: expected one of openai, deepseek, groq, mistral, together, openrouter, xai, ollama, vllm, anthropic, azure, bedrock, gemini, vertex, found "opnai"; did you mean openai?',
    '6:3 providers.Other: expected a name of 1 to 64 of the characters a-z 0-9 _ -',
    '8:22 defaults.retry.attempts: expected a whole number, found "many"',
    '8:28 defaults.retry.backof: unknown key; did you mean backoff?',
    '10:18 models.a.provider: there is no provider "opanai"; did you mean openai?',
    '11:26 models.b.strategy.mode: expected one of single, fallback, loadbalance, conditional, found "fallbak"; did you mean fallback?',
    '12:15 aliases.c: there is no model "bb"; did you mean b?',
    '12:22 aliases.d: leads in a circle: d -> e -> d',
    '12:28 aliases.e: leads in a circle: e -> d -> e',
    '14:29 tenants[0].models[1]: there is no model "bbb"; there are: a, b, c, d, e',
    '14:42 tenants[0].keys[0].sha256: missing; give `sha256` (`npx spillway key` prints a new key and its hash) or `key`',
    '15:5 tenants[1].id: missing; expected a text',
  ]);
});

test('what is faulty itself has no followers: nothing is said of names that point to it', () => {
  assert.match(
    problemOf(`version: 1
providers: { a: { adapter: nonesuch, api_key: k } }
models: { m: { provider: a, weight: 1 }, n: { strategy: { mode: fallback }, targets: [{ provider: a }] } }
aliases: { x: m }
auth: none
`),
    /^2:28 /,
  );
});

test('the version is required, and another one is all that is said', () => {
  assert.match(problemOf('auth: none\nproviders: {}\n'), /^1:1 version: missing; expected `version: 1`/);
  assert.match(problemOf('version: 2\nnonsense: 3\n'), /^1:1 version: expected 1, .*found 2/);
  assert.match(problemOf('version: "one"\n'), /^1:1 version: expected 1/);
});

for (const [name, line, expected] of [
  ['a duration without a unit', 'defaults: { timeouts: { idle: 30 } }', /a duration such as 250ms.*found 30/],
  ['a duration in days', 'defaults: { timeouts: { idle: 2d } }', /a duration such as .*found "2d"/],
  ['a negative duration', 'defaults: { timeouts: { idle: -5s } }', /a duration such as .*found "-5s"/],
  ['a timeout of 0', 'defaults: { timeouts: { idle: 0 } }', /more than 0, found 0/],
  [
    'a status below 100',
    'defaults: { retry: { on_status_codes: [99] } }',
    /on_status_codes\[0\]: expected 100 or more, found 99/,
  ],
  [
    'a status above 599',
    'defaults: { retry: { on_status_codes: [429, 600] } }',
    /\[1\]: expected 599 or less, found 600/,
  ],
  [
    'a delay for a status that is none',
    'defaults: { retry: { max_delay_by_status: { 42: 1s } } }',
    /expected a status/,
  ],
  ['a factor below 1', 'defaults: { retry: { backoff: { factor: 0.5 } } }', /expected 1 or more, found 0.5/],
  ['a negative ratio', 'defaults: { retry: { budget: { ratio: -1 } } }', /expected 0 or more, found -1/],
  ['a failure rate of 0', 'defaults: { breaker: { failure_rate: 0 } }', /expected more than 0, found 0/],
  ['a failure rate above 1', 'defaults: { breaker: { failure_rate: 1.1 } }', /expected 1 or less, found 1.1/],
  ['half a retry', 'defaults: { retry: { attempts: 1.5 } }', /expected a whole number, found 1.5/],
  ['a list for a map', 'defaults: { retry: [] }', /expected a map of keys, found a list/],
  ['a section with nothing in it', 'defaults:', /expected a map of keys, found nothing/],
  [
    'an admin listener for all without a token',
    'admin: { listen: "0.0.0.0:9090" }',
    /admin\.token: missing; a token is required/,
  ],
  ['one address for both listeners', 'listen: 127.0.0.1:9090', /admin\.listen: is the same address/],
  ['a port that is none', 'listen: 127.0.0.1:70000', /expected an address/],
  [
    'a credential to be forwarded',
    'server: { forward_headers: [X-Trace, Authorization] }',
    /\[1\]: carries a client's credentials/,
  ],
  [
    'a header of the gateway itself to be forwarded',
    'server: { forward_headers: [X-Request-Id] }',
    /\[0\]: is given by the gateway itself/,
  ],
  [
    'a header name that is none',
    'server: { forward_headers: ["x y"] }',
    /\[0\]: not a name that a header can have/,
  ],
  [
    'a certificate without its key',
    'server: { tls: { cert: a.pem } }',
    /server\.tls\.key: missing; TLS needs both/,
  ],
  [
    'a certificate that is not there',
    'server: { tls: { cert: a.pem, key: b.pem } }',
    /cert: cannot read the file "a.pem".*ENOENT/,
  ],
] as const) {
  test(`${name} is a problem`, () => {
    assert.match(problemsOf(fileWith(`${MODEL}${line}\n`))[0] ?? '', expected);
  });
}

test('what loads but does nothing is a warning', () => {
  assert.deepEqual(
    warningsOf(
      fileWith(`models:
  m: { strategy: { mode: fallback }, targets: [{ provider: one, weight: 2 }] }
tenants: [{ id: acme }]
`),
    ),
    [
      '7 models.m.targets[0].weight: has no effect under `fallback`',
      '8 tenants[0]: is never seen: with `auth: none` everyone is the tenant `anonymous`',
    ],
  );
});
