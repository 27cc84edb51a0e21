import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { TargetSettings } from '../../src/routing/target.ts';
import { configOf, fileWith, problemsOf, targetsOf, treeOf } from './helpers.ts';

function targets(more: string): TargetSettings[] {
  return targetsOf(treeOf(configOf(fileWith(more)), 'm'));
}

const TREE = `models:
  m:
    strategy: { mode: fallback }
    strict_params: true
    cache: { markers: auto }
    targets:
      - { provider: one, model: a }
      - { provider: two, model: b, strict_params: false, cache: { markers: none } }
      - strategy: { mode: fallback }
        cache: { markers: none }
        targets: [{ provider: one, model: c }, { provider: one, model: d, cache: { markers: auto } }]
`;

describe('strict_params and cache.markers', () => {
  it('are off where nobody says otherwise', () => {
    const [target] = targets('models: { m: { provider: one } }');
    assert.deepEqual([target?.strictParams, target?.cacheMarkers], [false, false]);
  });

  it('are inherited, and the nearest wins', () => {
    assert.deepEqual(
      targets(TREE).map(({ model, strictParams, cacheMarkers }) => [model, strictParams, cacheMarkers]),
      [
        ['a', true, true],
        ['b', false, false],
        ['c', true, false],
        ['d', true, true],
      ],
    );
  });

  it('are taken from defaults, by direct models too', () => {
    const config = configOf(
      fileWith(`direct_models: true
defaults: { strict_params: true, cache: { markers: auto } }
models: { m: { provider: one }, n: { provider: one, strict_params: false, cache: {} } }`),
    );
    const both = (target: TargetSettings | undefined) => [target?.strictParams, target?.cacheMarkers];
    assert.deepEqual(both(targetsOf(treeOf(config, 'm'))[0]), [true, true]);
    assert.deepEqual(both(targetsOf(treeOf(config, 'n'))[0]), [false, true]);
    const direct = config.directModel('two/x');
    assert.ok(direct?.tree.kind === 'target');
    assert.deepEqual(both(direct.tree.target), [true, true]);
  });

  it('are each one of two words', () => {
    assert.deepEqual(
      problemsOf(
        fileWith('models: { m: { provider: one, strict_params: maybe, cache: { markers: some } } }'),
      ),
      [
        '6:46 models.m.strict_params: expected `true` or `false`, found "maybe"',
        '6:71 models.m.cache.markers: expected one of none, auto, found "some"',
      ],
    );
    assert.match(
      problemsOf(fileWith('models: { m: { provider: one, cache: auto } }'))[0] ?? '',
      /models\.m\.cache: expected a map of keys, found "auto"/,
    );
  });
});
