import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, problemsOf, targetsOf, treeOf, warningsOf } from './helpers.ts';

const HEAD = 'version: 1\nauth: none\nproviders: { a: { adapter: vllm }, b: { adapter: vllm } }\n';

function tree(strategy: string, more = '') {
  return treeOf(
    configOf(
      `${HEAD}models: { m: { ${more} strategy: { ${strategy} }, targets: [{ provider: a }, { provider: b }] } }`,
    ),
    'm',
  );
}

test('a hedge is a duration or a quantile of what was measured, p95 and a twentieth unless said', () => {
  const hedge = (said: string) => {
    const node = tree(`mode: fallback, hedge: ${said}`);
    assert.equal(node.kind, 'fallback');
    return node.kind === 'fallback' ? node.hedge : null;
  };
  assert.deepEqual(hedge('{}'), { after: { quantile: 0.95 }, maxExtra: 0.05 });
  assert.deepEqual(hedge('{ after: 2s, max_extra: 0.2 }'), { after: { ms: 2000 }, maxExtra: 0.2 });
  assert.deepEqual(hedge('{ after: p50 }'), { after: { quantile: 0.5 }, maxExtra: 0.05 });
  const without = tree('mode: fallback');
  assert.equal(without.kind === 'fallback' && without.hedge, null);
});

test('what a load balancer goes by, and what keeps to one target', () => {
  const node = tree('mode: loadbalance, by: latency, sticky: x-conversation-id');
  assert.ok(node.kind === 'loadbalance');
  assert.deepEqual([node.by, node.sticky], ['latency', 'x-conversation-id']);
  const plain = tree('mode: loadbalance');
  assert.ok(plain.kind === 'loadbalance');
  assert.deepEqual([plain.by, plain.sticky], ['weight', null]);
});

for (const [strategy, problem] of [
  ['mode: loadbalance, hedge: {}', /strategy\.hedge: belongs to `mode: fallback`/],
  ['mode: fallback, by: latency', /strategy\.by: belongs to `mode: loadbalance`/],
  ['mode: fallback, sticky: x-id', /strategy\.sticky: belongs to `mode: loadbalance`/],
  ['mode: loadbalance, by: latancy', /strategy\.by: .*did you mean latency/],
  ['mode: loadbalance, sticky: "a b"', /strategy\.sticky: expected the name of a header/],
  ['mode: fallback, hedge: { after: p42 }', /hedge\.after: expected a duration such as 2s, or p50/],
  ['mode: fallback, hedge: { after: 0s }', /hedge\.after: expected a duration/],
  ['mode: fallback, hedge: { max_extra: 2 }', /hedge\.max_extra: /],
  ['mode: fallback, hedge: { extra: 1 }', /hedge\.extra: /],
] as const) {
  test(`{ ${strategy} } is refused`, () => {
    const problems = problemsOf(
      `${HEAD}models: { m: { strategy: { ${strategy} }, targets: [{ provider: a }, { provider: b }] } }`,
    );
    assert.equal(problems.length, 1, problems.join('\n'));
    assert.match(problems[0] ?? '', problem);
  });
}

test('an answer that is kept is looked for at the outermost node that says so; each target says for how long', () => {
  const node = tree('mode: fallback', 'cache: { mode: exact, ttl: 5m },');
  assert.deepEqual(node.cache, { shared: false });
  const inner = node.kind === 'fallback' ? node.children : [];
  assert.deepEqual(
    inner.map(({ cache }) => cache),
    [null, null],
  );
  assert.deepEqual(
    targetsOf(node).map(({ cacheTtl }) => cacheTtl),
    [300_000, 300_000],
  );

  const config = configOf(`${HEAD}models:
  m:
    strategy: { mode: fallback }
    targets:
      - { provider: a, cache: { mode: exact, shared: true } }
      - { provider: b }`);
  const root = treeOf(config, 'm');
  assert.equal(root.cache, null);
  assert.ok(root.kind === 'fallback');
  assert.deepEqual(
    root.children.map(({ cache }) => cache),
    [{ shared: true }, null],
  );
  assert.deepEqual(
    targetsOf(root).map(({ cacheTtl }) => cacheTtl),
    [3_600_000, null],
  );

  const all = configOf(`${HEAD}defaults: { cache: { mode: exact } }
models:
  m:
    strategy: { mode: fallback }
    targets:
      - { provider: a }
      - { provider: b, cache: { mode: none } }`);
  const every = treeOf(all, 'm');
  assert.deepEqual(every.cache, { shared: false });
  assert.deepEqual(
    targetsOf(every).map(({ cacheTtl }) => cacheTtl),
    [3_600_000, null],
  );
});

test('mid_stream is inherited, prefill is not', () => {
  const config = configOf(`${HEAD}models:
  m:
    mid_stream: continue
    strategy: { mode: fallback }
    targets:
      - { provider: a, prefill: true }
      - { provider: b, mid_stream: error, prefill: false }
      - { provider: b, model: other }`);
  assert.deepEqual(
    targetsOf(treeOf(config, 'm')).map(({ midStream, prefill }) => [midStream, prefill]),
    [
      ['continue', true],
      ['error', false],
      ['continue', null],
    ],
  );
});

test('what a provider may be asked', () => {
  const limits = (said: string) =>
    configOf(
      `version: 1\nauth: none\nproviders: { a: { adapter: vllm, ${said} } }\nmodels: { m: { provider: a } }`,
    ).providers.get('a');
  const one = limits('limits: { requests: 500/minute, tokens: 200000/hour, concurrent: 50 }, adaptive: true');
  assert.deepEqual(one?.limits, {
    requests: { limit: 500, per: 'minute' },
    tokens: { limit: 200_000, per: 'hour' },
    concurrent: 50,
  });
  assert.equal(one?.adaptive, true);
  assert.deepEqual(limits('limits: { requests: 5 / second }')?.limits, {
    requests: { limit: 5, per: 'second' },
    tokens: null,
    concurrent: null,
  });
  assert.equal(limits('limits: {}')?.limits, null);
  for (const wrong of ['500', '500/fortnight', '0/minute', '-1/minute', '1.5/minute', 'many/minute']) {
    const [problem] = problemsOf(
      `version: 1\nauth: none\nproviders: { a: { adapter: vllm, limits: { requests: ${wrong} } } }\nmodels: { m: { provider: a } }`,
    );
    assert.match(problem ?? '', /limits\.requests: expected a rate such as 500\/minute/, wrong);
  }
});

test('the key that answers are encrypted with is a secret, and none that can be guessed', () => {
  const file = (key: string) => `${HEAD}idempotency: { ttl: 1h, max_body: 2mb, encryption_key: "${key}" }
models: { m: { provider: a } }`;
  const config = configOf(file('correct-horse-battery-staple'));
  assert.deepEqual(config.idempotency, {
    ttl: 3_600_000,
    maxBody: 2 * 1024 * 1024,
    encryptionKey: 'correct-horse-battery-staple',
  });
  assert.ok(config.secrets.includes('correct-horse-battery-staple'));
  const [problem, ...others] = problemsOf(file('short'));
  assert.match(problem ?? '', /idempotency\.encryption_key: expected at least 16 characters/);
  assert.deepEqual(others, []);
});

test('a breaker may tell the other gateways', () => {
  const config = configOf(`${HEAD}models: { m: { provider: a, breaker: { share: true } } }`);
  assert.equal(targetsOf(treeOf(config, 'm'))[0]?.breaker.share, true);
});

const TARGETS = 'targets: [{ provider: a }, { provider: b }]';

for (const [what, file, warning] of [
  [
    'a hedge that no request may have',
    `models: { m: { strategy: { mode: fallback, hedge: { max_extra: 0 } }, ${TARGETS} } }`,
    /hedge\.max_extra: is 0/,
  ],
  [
    'a hedge that comes after a stream was given up',
    `models: { m: { strategy: { mode: fallback, hedge: { after: 30s } }, ${TARGETS} } }`,
    /hedge\.after: is not below `timeouts\.first_token` \(30s\)/,
  ],
  [
    'a hedge that comes in time for the last target alone, which is never hedged,',
    'models: { m: { strategy: { mode: fallback, hedge: { after: 40s } }, targets: [{ provider: a }, { provider: b, timeouts: { first_token: 50s } }] } }',
    /hedge\.after: is not below/,
  ],
  [
    'a breaker that is shared with nobody',
    `defaults: { breaker: { share: true } }\nmodels: { m: { provider: a } }`,
    /defaults\.breaker\.share: has no effect without `state\.redis`/,
  ],
  [
    'a breaker of one target that is shared with nobody',
    'models: { m: { provider: a, breaker: { share: true } } }',
    /models\.m\.breaker\.share: has no effect/,
  ],
] as const) {
  test(`${what} is warned of, once`, () => {
    const warnings = warningsOf(`${HEAD}${file}`);
    assert.equal(warnings.length, 1, warnings.join('\n'));
    assert.match(warnings[0] ?? '', warning);
  });
}

test('nothing is said of hedges and breakers that may well do something', () => {
  for (const file of [
    `models: { m: { strategy: { mode: fallback, hedge: { after: 29s } }, ${TARGETS} } }`,
    `models: { m: { strategy: { mode: fallback, hedge: { after: p95 } }, ${TARGETS} } }`,
    `models: { m: { strategy: { mode: fallback, hedge: { after: 40s } }, targets: [{ provider: a, timeouts: { first_token: 50s } }, { provider: b }] } }`,
    'state: { redis: "${REDIS_URL:-}" }\nmodels: { m: { provider: a, breaker: { share: true } } }',
    'models: { m: { provider: a, breaker: { share: false } } }',
  ]) {
    assert.deepEqual(warningsOf(HEAD + file), [], file);
  }
});

test('an answer that is kept under a key has 16mb at most', () => {
  const file = (said: string) => `${HEAD}idempotency: { max_body: ${said} }\nmodels: { m: { provider: a } }`;
  assert.equal(configOf(file('16mb')).idempotency.maxBody, 16 * 1024 * 1024);
  for (const said of ['17mb', '1gb', '0b', 'large']) {
    const problems = problemsOf(file(said));
    assert.equal(problems.length, 1);
    assert.match(
      problems[0] ?? '',
      /idempotency\.max_body: expected a size such as 64kb or 32mb, at most 16mb/,
    );
  }
});
