import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Limits, quotaId } from '../../src/quota/limits.ts';
import type { QuotaSettings } from '../../src/quota/settings.ts';

function quota(changes: Partial<QuotaSettings> = {}): QuotaSettings {
  return { limit: 100, of: 'tokens', per: 'hour', models: null, ...changes };
}

const ids = (limits: readonly { id: string }[]) => limits.map(({ id }) => id);

describe('limits', () => {
  it('are those of the tenant and of the key, each with a name of its own', () => {
    const key = { id: 'ci', quotas: [quota({ of: 'usd', per: 'day', limit: 0.25 }), quota()] };
    const { all } = new Limits([quota(), quota({ of: 'concurrent', per: null, limit: 3 })], key);
    assert.deepEqual(all, [
      { id: 'tenant/tokens/hour', of: 'tokens', per: 'hour', scope: 'tenant', models: null, max: 100 },
      { id: 'tenant/concurrent', of: 'concurrent', per: null, scope: 'tenant', models: null, max: 3 },
      { id: 'key.ci/usd/day', of: 'usd', per: 'day', scope: 'key', models: null, max: 250_000_000 },
      { id: 'key.ci/tokens/hour', of: 'tokens', per: 'hour', scope: 'key', models: null, max: 100 },
    ]);
    assert.deepEqual(new Limits([], null).all, []);
  });

  it('are kept in whole units, to the nanodollar', () => {
    const max = (limit: number) => new Limits([quota({ of: 'usd', limit })], null).all[0]?.max;
    assert.equal(max(0.1), 100_000_000);
    assert.equal(max(19.99), 19_990_000_000);
    assert.equal(max(1.001), 1_001_000_000);
    assert.equal(max(1e-8), 10);
    assert.equal(max(1_000_000), 1e15);
    assert.equal(max(0), 0);
  });

  it('hold for a model by the name that was asked for or the one that it stands for', () => {
    const limits = new Limits(
      [quota(), quota({ models: ['premium', 'smart'] }), quota({ models: ['gpt'] })],
      null,
    );
    const [all, premium, gpt] = [
      'tenant/tokens/hour',
      'tenant/tokens/hour/premium,smart',
      'tenant/tokens/hour/gpt',
    ];
    assert.deepEqual(ids(limits.forModel('smart', 'smart').limits), [all, premium]);
    assert.deepEqual(ids(limits.forModel('gpt', 'smart').limits), [all, premium, gpt]);
    assert.deepEqual(ids(limits.forModel('smart', 'gpt').limits), [all, premium, gpt]);
    assert.deepEqual(ids(limits.forModel('fast', 'fast').limits), [all]);
    assert.deepEqual(ids(limits.forModel('', '').limits), [all]);
  });

  it('all hold for every model where none is narrowed, without a new list for each request', () => {
    const limits = new Limits([quota()], { id: 'ci', quotas: [quota()] });
    assert.equal(limits.forModel('a', 'b').limits, limits.all);
    assert.equal(limits.forModel('a', 'b'), limits.forModel('c', 'd'));
  });

  it('ask of a request its tokens and its money, and one of what is counted or held, in their order', () => {
    const limits = new Limits(
      [
        quota(),
        quota({ of: 'requests' }),
        quota({ of: 'usd' }),
        quota({ of: 'concurrent', per: null }),
        quota({ of: 'input_tokens' }),
        quota({ of: 'output_tokens' }),
      ],
      null,
    );
    const demands = limits.forModel('m', 'm').demands({ input: 30, output: 12, cost: 7 });
    assert.deepEqual(
      demands.map(({ amount }) => amount),
      [42, 1, 7, 1, 30, 12],
    );
    assert.deepEqual(
      demands.map(({ limit }) => limit),
      limits.all,
    );
  });

  it('are found out once for the names that some are narrowed to, and once for all that clients make up', () => {
    const limits = new Limits([quota(), quota({ models: ['smart'] })], null);
    assert.equal(limits.forModel('smart', 'a'), limits.forModel('smart', 'b'));
    assert.equal(limits.forModel('a', 'smart'), limits.forModel('b', 'smart'));
    assert.equal(limits.forModel('a', 'b'), limits.forModel('c', 'd'));
  });

  it('together say what has to be known of a request', () => {
    const set = (...of: QuotaSettings['of'][]) => {
      const quotas = of.map((one) => quota({ of: one }));
      const { reserves, boundsMoney, needsPrices } = new Limits(quotas, null).forModel('m', 'm');
      return { reserves, boundsMoney, needsPrices };
    };
    const nothing = { reserves: false, boundsMoney: false, needsPrices: false };
    assert.deepEqual(set(), nothing);
    assert.deepEqual(set('requests', 'concurrent'), nothing);
    for (const kind of ['tokens', 'input_tokens', 'output_tokens'] as const) {
      assert.deepEqual(set(kind), { ...nothing, reserves: true });
      assert.deepEqual(set(kind, 'usd'), { reserves: true, boundsMoney: true, needsPrices: false });
    }
    assert.deepEqual(set('usd', 'requests'), { reserves: true, boundsMoney: true, needsPrices: true });
  });

  it('keep their names whatever they are changed to', () => {
    assert.equal(quotaId(quota({ limit: 1 }), 'tenant'), quotaId(quota({ limit: 2 }), 'tenant'));
  });

  it('have the same name for the same models, in any order, and for no others', () => {
    const models = fc.uniqueArray(
      fc.oneof(fc.string(), fc.constantFrom('a', 'b', 'a,b', 'a%2Cb', ',', '%')),
      {
        minLength: 1,
        maxLength: 4,
      },
    );
    const id = (names: readonly string[]) => quotaId(quota({ models: names }), 'tenant');
    const set = (names: readonly string[]) => JSON.stringify(names.toSorted());
    fc.assert(
      fc.property(models, models, (one, other) => {
        assert.equal(id(one), id(one.toReversed()));
        assert.equal(id(one), id([...one, ...one]));
        assert.equal(id(one) === id(other), set(one) === set(other));
      }),
      {
        numRuns: 500,
        examples: [
          [['a,b'], ['a', 'b']],
          [['a%2Cb'], ['a,b']],
          [['%'], ['%25']],
        ],
      },
    );
  });

  it('have different names for different owners, dimensions and periods', () => {
    const names = new Set(
      ['tenant', 'key.a', 'key.tenant'].flatMap((owner) => [
        ...(['second', 'month'] as const).flatMap((per) =>
          (['requests', 'tokens', 'usd'] as const).flatMap((of) => [
            quotaId(quota({ of, per }), owner),
            quotaId(quota({ of, per, models: ['month'] }), owner),
          ]),
        ),
        quotaId(quota({ of: 'concurrent', per: null }), owner),
        quotaId(quota({ of: 'concurrent', per: null, models: ['month'] }), owner),
      ]),
    );
    assert.equal(names.size, 3 * (2 * 3 * 2 + 2));
  });
});
