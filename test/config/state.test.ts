import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, problemsOf } from './helpers.ts';

const file = (more: string, quotas = '[]') => `version: 1
auth: none
providers: { a: { adapter: vllm } }
models: { m: { provider: a } }
tenants: [{ id: anonymous, quotas: ${quotas} }]
${more}`;
const ONE = '[{ limit: 1, of: requests, per: minute }]';

for (const workers of ['2', 'auto']) {
  test(`workers: ${workers} with quotas and no Redis is refused, with the reason`, () => {
    const problems = problemsOf(file(`server: { workers: ${workers} }`, ONE));
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', /server\.workers: more than one process and no `state\.redis`/);
  });

  test(`workers: ${workers} with limits of a provider and no Redis is refused, with the reason`, () => {
    const limited = 'virtual_keys: { b: { adapter: vllm, limits: { concurrent: 10 } } }';
    const problems = problemsOf(file(`server: { workers: ${workers} }\n${limited}`));
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', /server\.workers: .*let every limit of a provider be used/);
  });

  test(`workers: ${workers} with Redis, or where nothing is counted, is what runs`, () => {
    const state = 'state: { redis: "redis://127.0.0.1" }';
    const expected = workers === 'auto' ? 'auto' : 2;
    for (const text of [
      file(`server: { workers: ${workers} }\n${state}`, ONE),
      file(`server: { workers: ${workers} }`),
    ]) {
      assert.equal(configOf(text).server.workers, expected);
    }
  });
}

for (const workers of ['0', '-1', '1.5', 'many', '"2"']) {
  test(`workers: ${workers} is refused`, () => {
    const [problem = ''] = problemsOf(file(`server: { workers: ${workers} }`));
    assert.match(problem, /server\.workers: expected 1, a higher whole number, or auto/);
  });
}

test('one worker is what there is', () => {
  assert.equal(configOf(file('server: { workers: 1 }', ONE)).state.redis, null);
});

test('state.redis is a URL, a list of them, or sentinels', () => {
  const redis = (text: string) => configOf(file(`state: { redis: ${text} }`)).state.redis;
  assert.deepEqual(redis('"rediss://me:secret@r:6380/2"'), {
    kind: 'single',
    url: 'rediss://me:secret@r:6380/2',
  });
  assert.deepEqual(redis('[redis://a, redis://b:1]'), {
    kind: 'cluster',
    urls: ['redis://a', 'redis://b:1'],
  });
  assert.deepEqual(redis('{ sentinels: ["a:26379"], name: mymaster, password: secret, database: 3 }'), {
    kind: 'sentinel',
    sentinels: ['a:26379'],
    name: 'mymaster',
    username: null,
    password: 'secret',
    database: 3,
    tls: false,
  });
  assert.equal(redis('""'), null);
});

for (const [what, text] of [
  ['another protocol', 'http://a:6379'],
  ['a host alone', 'localhost:6379'],
  ['an empty list', '[]'],
  ['a database in a cluster', '[redis://a, "redis://b/3"]'],
  ['sentinels without a name', '{ sentinels: ["a:1"] }'],
  ['an unknown key beside sentinels', '{ sentinels: ["a:1"], name: m, tsl: true }'],
  ['a number', '6379'],
] as const) {
  test(`state.redis that is ${what} is refused`, () => {
    const problems = problemsOf(file(`state: { redis: ${text} }`));
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', /state\.redis: expected a redis:\/\/ or rediss:\/\/ URL/);
  });
}

test('a password of Redis is a secret, in the URL and as it is', () => {
  const { secrets } = configOf(file('state: { redis: "redis://:p%40ss-word@r" }'));
  assert.ok(secrets.includes('p@ss-word') && secrets.includes('p%40ss-word'), secrets.join());
  const [problem = ''] = problemsOf(file('state: { redis: "http://:p4ssword@r" }'));
  assert.doesNotMatch(problem, /p4ssword/);
});

test('a prefix that would be a pattern, or name a slot, is refused', () => {
  for (const prefix of ['a*', 'a{b}', 'a[b]', '']) {
    assert.match(
      problemsOf(file(`state: { key_prefix: "${prefix}" }`))[0] ?? '',
      /state\.key_prefix: expected 1 to 64/,
    );
  }
});

for (const [quota, expected] of [
  ['{ limit: 1.5, of: requests, per: minute }', /limit: expected a whole number, found 1\.5/],
  ['{ limit: -1, of: usd, per: day }', /limit: expected 0 or more, found -1/],
  ['{ limit: 1000001, of: usd, per: day }', /limit: expected at most 1000000/],
  ['{ limit: 1, of: tokens }', /per: missing; expected one of second, minute, hour, day, month/],
  ['{ limit: 1, of: concurrent, per: day }', /per: expected no `per` beside `concurrent`/],
  ['{ limit: 1, of: token, per: day }', /of: expected one of .*did you mean tokens\?/],
  ['{ limit: 1, of: tokens, per: day, models: [n] }', /models\[0\]: there is no model/],
] as const) {
  test(`the quota ${quota} is refused where it is wrong`, () => {
    const problems = problemsOf(file('', `[${quota}]`));
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', expected);
    assert.match(problems[0] ?? '', /tenants\[0\]\.quotas\[0\]/);
  });
}

test('two quotas that share a counter are refused, and two that differ are not', () => {
  const [problem = ''] = problemsOf(
    file('', '[{ limit: 1, of: usd, per: day }, { limit: 2, of: usd, per: day }]'),
  );
  assert.match(problem, /quotas\[1\]: counts the same as `tenants\[0\]\.quotas\[0\]`/);
  const both = '[{ limit: 1, of: usd, per: day }, { limit: 2, of: usd, per: day, models: [m] }]';
  assert.equal(configOf(file('', both)).tenants[0]?.quotas.length, 2);
});
