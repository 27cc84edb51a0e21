import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import fc from 'fast-check';
import { readPrices } from '../../src/config/compile-prices.ts';
import { type Loaded, loadConfig } from '../../src/config/load.ts';
import { formatProblem } from '../../src/config/problem.ts';
import { Prices } from '../../src/pricing/prices.ts';

const PROVIDERS = new Set(['openai', 'deepseek']);

/** Every problem of a file of prices as `line:column path: message`. */
function problemsOf(text: string): string[] {
  const { problems } = readPrices('prices.yaml', text, PROVIDERS);
  return problems.map(({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`);
}

/** The only problem of one entry with these keys. */
function problemOf(keys: string, before = ''): string {
  const problems = problemsOf(`${before}prices: [{ models: [m], ${keys} }]\n`);
  assert.equal(problems.length, 1, problems.join('\n'));
  return problems[0] ?? '';
}

function warningsOf(keys: string): string[] {
  const { problems, warnings } = readPrices('prices.yaml', `prices: [{ models: [m], ${keys} }]\n`, PROVIDERS);
  assert.deepEqual(problems.map(formatProblem), []);
  return warnings.map(formatProblem);
}

describe('a file of prices', () => {
  it('is told all that is wrong with it at once, in the order of the file, with its places', () => {
    assert.deepEqual(
      problemsOf(`spellings: ["{}", "*/{}"]
currencies: { EUR: 1.32/0, CNY: 1.32/9, yuan: 1 }
prices:
  - models: [a]
    in: -1
    ouput: 3
  - { models: [b], currency: CYN, in: two, out: 3 }
  - models: [c]
    periods:
      - { until: 2026-12-01, in: 1, out: 2 }
      - { from: 2026-11-31, in: 1, out: 2 }
      - { from: 2027-01-01, in: 1 }
  - models: []
    in: 1
    out: 1
`).sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)),
      [
        '1:13 spellings[0]: expected a text with {} once, where the name stands, such as "*/{}", found "{}"',
        '2:20 currencies.EUR: expected US dollars for one, such as 1.08 or 1.32/9, found "1.32/0"',
        '2:41 currencies.yuan: expected the three capital letters of a currency, such as CNY',
        '5:9 prices[0].in: expected 0 or more, found -1',
        '6:5 prices[0].ouput: unknown key; did you mean out?',
        '4:5 prices[0].out: missing; expected a number, or `periods`',
        '7:39 prices[1].in: expected a number, found "two"',
        '7:30 prices[1].currency: there is no currency "CYN"; did you mean CNY?',
        '11:17 prices[2].periods[1].from: expected a date such as 2026-12-01 (from its first moment, UTC) or an instant such as 2026-12-01T00:00:00+08:00, found "2026-11-31"',
        '12:9 prices[2].periods[2].out: missing; expected a number',
        '13:13 prices[3].models: expected a list of at least 1, found a list',
      ].sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10)),
    );
  });

  for (const [name, keys, expected] of [
    ['no price of output', 'in: 1', /^1:10 prices\[0\]\.out: missing; expected a number, or `periods`/],
    ['a price as text', 'in: "1", out: 1', /in: expected a number, found "1"/],
    ['a price beyond a dollar a token', 'in: 1, out: 2000000', /out: expected 1000000 or less/],
    [
      'dates the wrong way round',
      'from: 2026-12-01, until: 2026-11-01, in: 1, out: 1',
      /until: is not after `from`/,
    ],
    [
      'no time between dates',
      'from: 2026-12-01, until: 2026-12-01, in: 1, out: 1',
      /until: is not after `from`/,
    ],
    [
      'a date without quotes or dashes',
      'from: 20261201, in: 1, out: 1',
      /from: expected a date such as .*found 20261201/,
    ],
    ['a time without a zone', 'from: 2026-12-01T10:00, in: 1, out: 1', /from: expected a date such as/],
    [
      'periods that overlap',
      'periods: [{ until: 2026-12-02, in: 1, out: 1 }, { from: 2026-12-01, in: 2, out: 2 }]',
      /^1:\d+ prices\[0\]\.periods\[1\]\.from: begins before the one before it ends; .*\(see `prices\[0\]\.periods\[0\]`\)/,
    ],
    [
      'two periods without an end',
      'periods: [{ in: 1, out: 1 }, { in: 2, out: 2 }]',
      /^1:\d+ prices\[0\]\.periods\[1\]: begins before/,
    ],
    [
      'prices beside periods',
      'in: 1, periods: [{ in: 1, out: 1 }]',
      /prices\[0\]\.in: belongs into `periods`, where there are some/,
    ],
    [
      'tiers out of order',
      'in: 1, out: 1, tiers: [{ above: 200k, in: 2, out: 2 }, { above: 100k, in: 3, out: 3 }]',
      /tiers\[1\]\.above: is not above the tier before it/,
    ],
    [
      'two tiers of one length',
      'in: 1, out: 1, tiers: [{ above: 1k, in: 2, out: 2 }, { above: 1000, in: 3, out: 3 }]',
      /tiers\[1\]\.above: is not above the tier before it/,
    ],
    ['periods that are no list', 'periods: 5', /^1:\d+ prices\[0\]\.periods: expected a list, found 5/],
    [
      'a tier of nothing',
      'in: 1, out: 1, tiers: [{ above: 0, in: 2, out: 2 }]',
      /above: expected a number of tokens such as/,
    ],
    [
      'a tier of half a token',
      'in: 1, out: 1, tiers: [{ above: 0.0001k, in: 2, out: 2 }]',
      /above: expected a number of tokens/,
    ],
    [
      'a tier beyond the bound',
      'in: 1, out: 1, up_to: 100k, tiers: [{ above: 100k, in: 2, out: 2 }]',
      /above: is not below `up_to`/,
    ],
    [
      'a tier without output',
      'in: 1, out: 1, tiers: [{ above: 1k, in: 2 }]',
      /tiers\[0\]\.out: missing; expected a number/,
    ],
    [
      'an unknown currency',
      'currency: CNY, in: 1, out: 1',
      /currency: there is no currency "CNY"; there are: USD/,
    ],
    [
      'an unknown time zone',
      'zone: Asia/Shangai, in: 1, out: 1',
      /zone: there is no time zone "Asia\/Shangai"; did you mean Asia\/Shanghai\?/,
    ],
    [
      'an unknown day',
      'in: 1, out: 1, times: [{ days: [mon, tues], hours: [9-12], in: 2, out: 2 }]',
      /times\[0\]\.days\[1\]: expected one of mon, tue, wed, thu, fri, sat, sun, found "tues"; did you mean tue\?/,
    ],
    [
      'hours that are none',
      'in: 1, out: 1, times: [{ hours: [9-25], in: 2, out: 2 }]',
      /times\[0\]\.hours\[0\]: expected hours such as 9-12, 16:30-24:00 or 22-6, found "9-25"/,
    ],
    [
      'hours that overlap',
      'in: 1, out: 1, times: [{ days: [sun], hours: [22-6], in: 2, out: 2 }, { days: [mon], hours: [5-9], in: 3, out: 3 }]',
      /times\[1\]\.hours: are in part those of `prices\[0\]\.times\[0\]`/,
    ],
    ['no list of models', 'in: 1, out: 1, models: m', /models: this key is already there/],
    [
      'the same model twice',
      'in: 1, out: 1 }, { models: [x, m], in: 1, out: 1',
      /prices\[1\]\.models\[1\]: has a price already, at `prices\[0\]\.models\[0\]`/,
    ],
  ] as const) {
    it(`is refused with ${name}`, () => {
      assert.match(problemOf(keys), expected);
    });
  }

  it('is refused with a rate of the dollar itself', () => {
    assert.match(
      problemOf('in: 1, out: 1', 'currencies: { USD: 1 }\n'),
      /^1:20 currencies\.USD: is what all others/,
    );
  });

  it('is not told of a currency that is there, but faulty', () => {
    assert.match(
      problemOf('currency: CNY, in: 1, out: 1', 'currencies: { CNY: -1 }\n'),
      /^1:20 currencies\.CNY: /,
    );
  });

  it('may have hours that follow each other', () => {
    const hours = (text: string, price: number) => `{ hours: [${text}], in: ${price}, out: ${price} }`;
    assert.deepEqual(warningsOf(`in: 1, out: 1, times: [${hours('9-12', 2)}, ${hours('12-9', 3)}]`), []);
  });

  it('may price a model once for all and once for each provider', () => {
    const twice = (providers: string) => `in: 1, out: 1 }, { models: [m], ${providers}, in: 1, out: 1`;
    assert.deepEqual(warningsOf(twice('providers: [openai, deepseek]')), []);
    assert.match(
      problemOf(
        `${twice('providers: [openai]')} }, { models: [m], providers: [deepseek, openai], in: 1, out: 1`,
      ),
      /prices\[2\]\.models\[0\]: has a price already, at `prices\[1\]\.models\[0\]`/,
    );
  });

  it('may be empty of prices, but not empty', () => {
    assert.deepEqual(problemsOf('prices: []\n'), []);
    assert.deepEqual(problemsOf('# nothing\n'), ['1:1 : the file is empty; expected at least `prices`']);
    assert.match(problemsOf('currencies: {}\n')[0] ?? '', /^1:1 prices: missing; expected a list/);
    assert.match(problemsOf('- 1\n')[0] ?? '', /expected a map of keys/);
    assert.match(problemsOf('prices: [')[0] ?? '', /not valid YAML/);
  });

  it('is read as it stands: ${...} means nothing in it', () => {
    assert.match(problemOf('in: "${HOME}", out: 1'), /in: expected a number, found "\$\{HOME\}"/);
  });

  it('is warned of what can hardly be meant', () => {
    assert.deepEqual(warningsOf('providers: [opanai], in: 1, out: 1'), [
      'prices.yaml:1:37: prices[0].providers[0]: there is no provider "opanai"; did you mean openai?',
    ]);
    assert.deepEqual(warningsOf('in: 0.000002, out: 1'), [
      'prices.yaml:1:29: prices[0].in: is for a million tokens; is this the price of one?',
    ]);
    assert.deepEqual(warningsOf('zone: Asia/Shanghai, in: 1, out: 1'), [
      'prices.yaml:1:31: prices[0].zone: has no effect without `times`',
    ]);
    assert.deepEqual(
      warningsOf(
        'zone: Asia/Shanghai, periods: [{ in: 1, out: 1, times: [{ hours: [9-12], in: 0, out: 0 }] }]',
      ),
      [],
    );
  });

  it('gives prices or problems, whatever is done to it', () => {
    const keys = [
      'in',
      'out',
      'from',
      'until',
      'above',
      'tiers',
      'times',
      'periods',
      'hours',
      'days',
      'up_to',
      'zone',
      'currency',
      'models',
    ];
    const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
      any: fc.oneof(
        { depthSize: 'small' },
        fc.constantFrom(
          1,
          0,
          -1,
          0.5,
          '9-12',
          '22-6',
          'mon',
          '272k',
          '2026-12-01',
          '2027-01-01',
          'CNY',
          'UTC',
          null,
          true,
          '',
        ),
        fc.array(tie('any'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom(...keys), tie('any'), { maxKeys: 5 }),
      ),
    })).any;
    const entry = fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 8 });
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 3 }), (entries) => {
        const text = JSON.stringify({ currencies: { CNY: '1.32/9' }, prices: entries });
        const { table, problems } = readPrices('prices.yaml', text, PROVIDERS);
        const prices = new Prices(table);
        assert.equal(prices.size, problems.length > 0 ? 0 : entries.length);
        for (const { line, column } of problems) {
          assert.equal(line, 1);
          assert.ok(column !== null && column >= 1 && column <= text.length + 1);
        }
        const usage = { input: 1e6, output: 10, cached: 5, cacheWrite: 5, reasoning: 0 };
        const cost = prices.find('openai', 'm')?.cost(usage, Date.UTC(2026, 11, 5));
        assert.ok(cost == null || Number.isSafeInteger(cost));
      }),
      { numRuns: 1500 },
    );
  });
});

const CONFIG =
  'version: 1\nauth: none\nproviders: { openai: { adapter: vllm } }\nmodels: { m: { provider: openai, model: x } }\n';
const priced = (amount: number) => `prices: [{ models: [x], in: ${amount}, out: ${amount} }]\n`;

/** A directory that is gone when the test ends, with these files. */
function directoryWith(t: TestContext, files: Record<string, string>): string {
  const directory = mkdtempSync(join(tmpdir(), 'spillway-prices-'));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  return directory;
}

function load(
  directory: string,
  options: { env?: Record<string, string>; readSecrets?: boolean } = {},
): Loaded {
  return loadConfig(join(directory, 'spillway.yaml'), { env: {}, readSecrets: true, ...options });
}

function loadedPrices(loaded: Loaded): Prices {
  assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'));
  return loaded.config.prices;
}

function costOf(prices: Prices): number | undefined | null {
  const usage = { input: 1, output: 0, cached: 0, cacheWrite: 0, reasoning: 0 };
  return prices.find('openai', 'x')?.cost(usage, 0);
}

function problemsIn(loaded: Loaded): string[] {
  assert.ok(!loaded.ok, 'it loaded');
  return loaded.problems.map(formatProblem);
}

describe('the prices of a configuration', () => {
  it('are in the file that it names, relative to itself', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `${CONFIG}prices: money/mine.yaml\n`,
      'prices.yaml': priced(1),
    });
    mkdirSync(join(directory, 'money'));
    writeFileSync(join(directory, 'money/mine.yaml'), priced(2));
    assert.equal(costOf(loadedPrices(load(directory))), 2000);
  });

  it('are in prices.yaml beside it where it names none, and in none where that is not there', (t) => {
    const directory = directoryWith(t, { 'spillway.yaml': CONFIG });
    assert.equal(loadedPrices(load(directory)).size, 0);
    writeFileSync(join(directory, 'prices.yaml'), priced(1));
    assert.equal(costOf(loadedPrices(load(directory))), 1000);
  });

  it('are none where it says so', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `${CONFIG}prices: ""\n`,
      'prices.yaml': priced(1),
    });
    assert.equal(loadedPrices(load(directory)).size, 0);
  });

  it('are read again when the configuration is', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `${CONFIG}prices: prices.yaml\n`,
      'prices.yaml': priced(1),
    });
    assert.equal(costOf(loadedPrices(load(directory))), 1000);
    writeFileSync(join(directory, 'prices.yaml'), priced(3));
    assert.equal(costOf(loadedPrices(load(directory))), 3000);
    writeFileSync(join(directory, 'prices.yaml'), priced(-3));
    assert.equal(problemsIn(load(directory)).length, 2);
  });

  it('are missed where a file is named that is not there, or none that can be read', (t) => {
    const directory = directoryWith(t, { 'spillway.yaml': `${CONFIG}prices: pirces.yaml\n` });
    const file = join(directory, 'spillway.yaml');
    assert.deepEqual(problemsIn(load(directory)), [
      `${file}:5:9: prices: cannot read the file "pirces.yaml" (ENOENT)`,
    ]);
    writeFileSync(file, CONFIG);
    mkdirSync(join(directory, 'prices.yaml'));
    assert.deepEqual(problemsIn(load(directory)), [
      `${file}:1:1: prices: cannot read prices.yaml beside this file (EISDIR)`,
    ]);
  });

  it('are wrong at their own file, line and column, after all that is wrong with the configuration', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `${CONFIG}aliases: { a: b }\n`,
      'prices.yaml': 'prices:\n  - models: [x]\n    inn: 1\n    out: 2\n',
    });
    assert.deepEqual(problemsIn(load(directory)), [
      `${join(directory, 'spillway.yaml')}:5:15: aliases.a: there is no model "b"; there are: m`,
      `${join(directory, 'prices.yaml')}:2:5: prices[0].in: missing; expected a number, or \`periods\``,
      `${join(directory, 'prices.yaml')}:3:5: prices[0].inn: unknown key; did you mean in?`,
    ]);
  });

  it('are looked at without the secrets of the environment, as far as they are there', (t) => {
    const directory = directoryWith(t, { 'spillway.yaml': `${CONFIG}prices: prices.yaml\n` });
    assert.equal(loadedPrices(load(directory, { readSecrets: false })).size, 0);
    writeFileSync(join(directory, 'prices.yaml'), priced(-1));
    assert.equal(problemsIn(load(directory, { readSecrets: false })).length, 2);
    writeFileSync(join(directory, 'spillway.yaml'), `${CONFIG}prices: "\${FILE}"\n`);
    assert.equal(loadedPrices(load(directory, { readSecrets: false })).size, 0);
  });

  it('never show what stands behind ${...}', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `${CONFIG}prices: "\${FILE}"\n`,
      's3cret.yaml': priced(-1),
    });
    const told = [
      ...problemsIn(load(directory, { env: { FILE: 's3cret.yaml' } })),
      ...problemsIn(load(directory, { env: { FILE: 's3cret-that-is-not-there.yaml' } })),
    ];
    assert.equal(told.length, 3);
    for (const problem of told) {
      assert.ok(!problem.includes('s3cret'), problem);
      assert.ok(problem.includes('${FILE}'), problem);
    }
  });

  it('are asked for where dollars are limited and a target has none', (t) => {
    const directory = directoryWith(t, {
      'spillway.yaml': `version: 1
providers: { openai: { adapter: vllm } }
models:
  m: { provider: openai, model: x }
  n: { strategy: { mode: fallback }, targets: [{ provider: openai, model: x }, { provider: openai, model: y }] }
tenants:
  - id: acme
    quotas: [{ limit: 5, of: usd, per: day }, { limit: 5, of: tokens, per: day }, { limit: 1, of: usd, per: hour, models: [m] }]
    keys: [{ id: ci, key: k-1, quotas: [{ limit: 5, of: usd, per: day }] }]
  - id: narrow
    models: [m]
    quotas: [{ limit: 5, of: usd, per: day }]
  - id: alias
    quotas: [{ limit: 5, of: usd, per: day, models: [also] }]
aliases: { also: n }
`,
    });
    const warnings = () => {
      const loaded = load(directory);
      assert.ok(loaded.ok, loaded.ok ? '' : loaded.problems.map(formatProblem).join('\n'));
      return loaded.warnings.map(({ path, message }) => `${path}: ${message}`);
    };
    const rest =
      '(see `prices`): without a quota of tokens such a target is refused, with one it counts nothing here';
    assert.deepEqual(warnings(), [
      `tenants[0].quotas[0]: no price is known for openai/x, openai/y ${rest}`,
      `tenants[0].quotas[2]: no price is known for openai/x ${rest}`,
      `tenants[0].keys[0].quotas[0]: no price is known for openai/x, openai/y ${rest}`,
      `tenants[1].quotas[0]: no price is known for openai/x ${rest}`,
      `tenants[2].quotas[0]: no price is known for openai/x, openai/y ${rest}`,
    ]);
    // Without secrets the file may be elsewhere, beside them.
    const unread = load(directory, { readSecrets: false });
    assert.deepEqual(unread.ok && unread.warnings, []);
    writeFileSync(join(directory, 'prices.yaml'), priced(1));
    assert.deepEqual(warnings(), [
      `tenants[0].quotas[0]: no price is known for openai/y ${rest}`,
      `tenants[0].keys[0].quotas[0]: no price is known for openai/y ${rest}`,
      `tenants[2].quotas[0]: no price is known for openai/y ${rest}`,
    ]);
  });
});
