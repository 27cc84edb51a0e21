import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MOST_REMEMBERED, ModelTable } from '../../src/core/model-table.ts';

/** One entry for each row: the names, the provider it is narrowed to, and what is found. */
function tableOf(
  ...rows: readonly (readonly [name: string, provider: string | null, value: string])[]
): ModelTable<string> {
  return new ModelTable(
    ['*/{}'],
    rows.map(([name, provider, value]) => ({
      names: [name],
      providers: provider === null ? null : [provider],
      value,
    })),
  );
}

describe('a table of models', () => {
  it('has what is said of one provider before what is said of all, however general its name', () => {
    const table = tableOf(['m', null, 'all'], ['*', 'one', 'one'], ['m', 'two', 'two']);
    assert.equal(table.find('one', 'm'), 'one');
    assert.equal(table.find('two', 'm'), 'two');
    assert.equal(table.find('two', 'x/m'), 'two');
    assert.equal(table.find('three', 'x/m'), 'all');
    assert.equal(table.find('two', 'n'), null);
  });

  it('has nothing for names that nobody wrote, at the first question and at the next', () => {
    const table = tableOf(['m', null, 'all']);
    for (const name of ['n', '__proto__', 'constructor', '', '/', 'm'.repeat(300)]) {
      assert.equal(table.find('one', name), null);
      assert.equal(table.find('one', name), null);
      assert.equal(table.find('__proto__', name), null);
    }
  });

  it('stays right when more names have been asked for than are remembered', () => {
    const table = tableOf(['n*', null, 'any'], ['n7', null, 'seventh']);
    for (let i = 0; i < 2.5 * MOST_REMEMBERED; i++) {
      const value = table.find(i % 2 === 0 ? 'one' : 'two', `n${i}`);
      assert.ok(table.remembered <= MOST_REMEMBERED);
      assert.equal(value, i === 7 ? 'seventh' : 'any');
    }
    assert.equal(table.find('one', 'n7'), 'seventh');
    const { remembered } = table;
    assert.equal(remembered, MOST_REMEMBERED / 2 + 1);
    assert.equal(table.find('one', 'n'.repeat(257)), null);
    assert.equal(table.find('one', 'n7'), 'seventh');
    assert.equal(table.remembered, remembered);
  });
});
