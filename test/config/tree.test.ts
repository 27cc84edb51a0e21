import assert from 'node:assert/strict';
import { test } from 'node:test';
import { configOf, fileWith, problemsOf, targetsOf, treeOf } from './helpers.ts';

const models = (text: string) => configOf(fileWith(`models:\n${text}`));
const faults = (text: string) => problemsOf(fileWith(`models:\n${text}`));

test('a target alone is a tree, and one without a model has the name it is listed under', () => {
  const config = models('  gpt-6-sol: { provider: one }\n  plain: { provider: two, model: x }');
  assert.deepEqual(treeOf(config, 'gpt-6-sol').label, 'models.gpt-6-sol');
  assert.equal(targetsOf(treeOf(config, 'gpt-6-sol'))[0]?.id, 'one/gpt-6-sol');
  assert.equal(targetsOf(treeOf(config, 'plain'))[0]?.id, 'two/x');
});

test('settings come from the node, the nodes above it, the defaults, in that order, key by key', () => {
  const config = configOf(
    fileWith(`defaults:
  retry: { attempts: 5, backoff: { base: 1s }, on_status_codes: [500, 502], max_delay_by_status: { 429: 9s } }
  timeouts: { idle: 1s, connect: 1s }
models:
  m:
    strategy: { mode: fallback }
    timeouts: { idle: 2s }
    retry: { backoff: { max: 3s }, max_delay_by_status: { 503: 8s } }
    targets:
      - provider: one
        timeouts: { idle: 3s }
        retry: { on_status_codes: [503] }
      - { provider: two }
`),
  );
  const [first, second] = targetsOf(treeOf(config, 'm'));
  assert.deepEqual([first?.timeouts.idle, second?.timeouts.idle], [3000, 2000]);
  assert.deepEqual([first?.timeouts.connect, first?.timeouts.total], [1000, 600_000]);
  assert.deepEqual(
    [first?.retry.attempts, first?.retry.backoff.base, first?.retry.backoff.max],
    [5, 1000, 3000],
  );
  assert.deepEqual([first?.retry.onStatusCodes, second?.retry.onStatusCodes], [[503], [500, 502]]);
  assert.deepEqual(first?.retry.maxDelayByStatus, { 429: 9000, 503: 8000 });
});

test('parameters are inherited one by one and whole, the nearest wins, and null stays', () => {
  const config = models(`  m:
    strategy: { mode: fallback }
    override_params: { temperature: 0.1, response_format: { type: json_schema, strict: true }, model: upper }
    targets:
      - { provider: one, override_params: { temperature: null, response_format: { type: text }, user: u } }
      - { provider: two, model: lower }
`);
  const [first, second] = targetsOf(treeOf(config, 'm'));
  assert.equal(first?.model, 'upper');
  assert.deepEqual(first?.overrideParams, {
    temperature: null,
    response_format: { type: 'text' },
    user: 'u',
  });
  assert.equal(second?.model, 'lower');
  assert.deepEqual(second?.overrideParams['response_format'], { type: 'json_schema', strict: true });
});

test('a provider is inherited; strategy, weight and name are not', () => {
  const config = models(`  m:
    provider: one
    strategy: { mode: loadbalance, on_status_codes: [500] }
    targets:
      - name: named
        weight: 3
        targets: [{ model: a }]
      - { model: b }
`);
  const tree = treeOf(config, 'm');
  assert.ok(tree.kind === 'loadbalance');
  assert.deepEqual(
    tree.children.map(({ weight, node }) => [weight, node.kind, node.label]),
    [
      [3, 'fallback', 'named'],
      [1, 'target', 'models.m.targets[1]'],
    ],
  );
  assert.deepEqual(tree.onStatusCodes, new Set([500]));
  const inner = tree.children[0]?.node;
  assert.ok(inner?.kind === 'fallback');
  assert.equal(inner.onStatusCodes, null);
  assert.deepEqual(
    targetsOf(tree).map(({ id }) => id),
    ['one/a', 'one/b'],
  );
});

test('a weight of 0 is a weight, and all of them 0 is a problem', () => {
  const file = (weight: number) =>
    `  m: { strategy: { mode: loadbalance }, targets: [{ provider: one, weight: 0 }, { provider: two, weight: ${weight} }] }`;
  const tree = treeOf(models(file(2)), 'm');
  assert.ok(tree.kind === 'loadbalance');
  assert.deepEqual(
    tree.children.map(({ weight }) => weight),
    [0, 2],
  );
  assert.match(faults(file(0))[0] ?? '', /^7:41 models\.m\.targets: no target has a weight above 0/);
  assert.match(faults(file(-1))[0] ?? '', /weight: expected 0 or more, found -1/);
});

test('a conditional takes its children by name', () => {
  const config = models(`  m:
    strategy:
      mode: conditional
      conditions: [{ query: { tenant.tier: free }, then: small }]
      default: large
    targets: [{ name: large, provider: one }, { name: small, provider: two }]
`);
  const tree = treeOf(config, 'm');
  assert.ok(tree.kind === 'conditional');
  assert.equal(tree.conditions[0]?.child.label, 'small');
  assert.equal(tree.default?.label, 'large');
});

const conditional = (
  strategy: string,
  targets = '{ name: small, provider: one }, { name: big, provider: two }',
) => `  m: { strategy: { mode: conditional, ${strategy} }, targets: [${targets}] }`;

for (const [name, text, expected] of [
  [
    'a provider that is not there',
    '  m: { provider: on }',
    /^7:18 models\.m\.provider: there is no provider "on"; did you mean one\?/,
  ],
  [
    'a virtual key that is not there',
    '  m: { virtual_key: tow }',
    /virtual_key: there is no provider "tow"; did you mean two\?/,
  ],
  ['a target without a provider', '  m: { model: x }', /^7:3 models\.m\.provider: missing/],
  [
    'both names of a provider',
    '  m: { provider: one, virtual_key: one }',
    /virtual_key: is another name for `provider`/,
  ],
  [
    'both names of a model',
    '  m: { provider: one, model: x, override_params: { model: x } }',
    /^7:30 models\.m\.model: is short for/,
  ],
  [
    'a model of null',
    '  m: { provider: one, override_params: { model: null } }',
    /override_params\.model: expected the name of a model, found nothing/,
  ],
  [
    'a model that is no text',
    '  m: { provider: one, model: 4 }',
    /models\.m\.model: expected a text, found 4/,
  ],
  ['an empty list of targets', '  m: { strategy: { mode: fallback }, targets: [] }', /targets: is empty/],
  [
    'a strategy without targets',
    '  m: { strategy: { mode: fallback }, provider: one }',
    /targets: missing; a strategy needs targets/,
  ],
  [
    'several targets without a strategy',
    '  m: { targets: [{ provider: one }, { provider: two }] }',
    /strategy: missing; with several targets/,
  ],
  [
    'a strategy without a mode',
    '  m: { strategy: {}, targets: [{ provider: one }] }',
    /strategy\.mode: missing; expected one of/,
  ],
  [
    'single with two targets',
    '  m: { strategy: { mode: single }, targets: [{ provider: one }, { provider: two }] }',
    /mode: `single` takes one target, found 2/,
  ],
  [
    'conditions that do not belong',
    '  m: { strategy: { mode: fallback, conditions: [] }, targets: [{ provider: one }] }',
    /conditions: belongs to `mode: conditional`/,
  ],
  ['a conditional without conditions', conditional('default: small'), /conditions: expected at least one/],
  [
    'then to nothing',
    conditional('conditions: [{ query: { tenant.id: x }, then: smal }]'),
    /conditions\[0\]\.then: there is no target here named "smal"; did you mean small\?/,
  ],
  [
    'default to nothing',
    conditional('conditions: [{ query: { tenant.id: x }, then: big }], default: bog'),
    /default: there is no target here named "bog"; did you mean big\?/,
  ],
  [
    'a name twice',
    conditional(
      'conditions: [{ query: { tenant.id: x }, then: a }]',
      '{ name: a, provider: one }, { name: a, provider: two }',
    ),
    /targets\[1\]\.name: another target here has this name/,
  ],
  [
    'a query with an unknown operator',
    conditional('conditions: [{ query: { tenant.id: { $qe: x } }, then: big }]'),
    /query\["tenant\.id"\]\["\$qe"\]: unknown operator, did you mean \$eq\?/,
  ],
  [
    'an alias that hides a model',
    '  m: { provider: one }\naliases: { m: m }',
    /^8:15 aliases\.m: hides the model/,
  ],
  [
    'an alias to itself',
    '  m: { provider: one }\naliases: { a: a }',
    /^8:15 aliases\.a: leads in a circle: a -> a/,
  ],
] as const) {
  test(`${name} is a problem`, () => {
    assert.match(faults(text)[0] ?? '', expected);
    assert.equal(faults(text).length, 1, faults(text).join('\n'));
  });
}

test('single takes one target, and one target needs no strategy', () => {
  const config = models(`  a: { strategy: { mode: single }, targets: [{ provider: one }] }
  b: { targets: [{ provider: one }] }`);
  for (const name of ['a', 'b']) {
    const tree = treeOf(config, name);
    assert.ok(tree.kind === 'fallback');
    assert.equal(tree.children.length, 1);
  }
});

test('an alias may lead to an alias', () => {
  const config = configOf(fileWith('models: { m: { provider: one } }\naliases: { a: b, b: m }'));
  assert.equal(config.models.get('a'), config.models.get('m'));
  assert.equal(config.models.get('a')?.name, 'm');
});

test('direct models reach any provider with the defaults, where they are on', () => {
  const more = 'defaults: { timeouts: { idle: 1s } }\nmodels: { m: { provider: one } }\n';
  const config = configOf(fileWith(`${more}direct_models: true\naliases: { a: two/y }`));
  const entry = config.directModel('one/a/b');
  assert.equal(entry?.name, 'one/a/b');
  assert.ok(entry?.tree.kind === 'target');
  assert.equal(entry.tree.target.id, 'one/a/b');
  assert.equal(entry.tree.target.model, 'a/b');
  assert.equal(entry.tree.target.timeouts.idle, 1000);
  assert.equal(config.models.get('a')?.name, 'two/y');
  for (const name of ['nobody/x', 'one/', '/x', 'one', `one/${'x'.repeat(300)}`, 'one/a\nb']) {
    assert.equal(config.directModel(name), null, name);
  }
  assert.equal(configOf(fileWith(more)).directModel('one/a'), null);
});

test('whether an answer is streamed stays the choice of the client', () => {
  assert.match(
    String(faults('  m: { provider: one, override_params: { stream: true } }')),
    /models\.m\.override_params\.stream: is the choice of the client/,
  );
});
