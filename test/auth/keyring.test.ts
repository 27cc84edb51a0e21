import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { hashOfKey } from '../../src/auth/key-hash.ts';
import { HashedKeyring, type KeyLookup, type Principal } from '../../src/auth/keyring.ts';
import { SeenKeys } from '../../src/auth/seen-keys.ts';
import { Limits } from '../../src/quota/limits.ts';

function tenant(id: string, ...keys: string[]) {
  const settings = keys.map((key) => ({ id: key, sha256: hashOfKey(key), quotas: [] }));
  return { id, tier: null, models: null, keys: settings, quotas: [] };
}

/** Keys that can be given and taken back. */
class Made implements KeyLookup {
  readonly isComplete = true;
  readonly principals = new Map<string, Principal>();
  asked: string[] = [];

  find(sha256: string): Principal | null {
    this.asked.push(sha256);
    return this.principals.get(sha256) ?? null;
  }
}

describe('a keyring', () => {
  it('finds the tenant of a key, time after time', () => {
    const keyring = new HashedKeyring([tenant('acme', 'red', 'green'), tenant('ann', 'blue')]);
    for (let i = 0; i < 3; i++) {
      const found = ['red', 'green', 'blue'].map((key) => keyring.find(`Bearer ${key}`));
      assert.deepEqual(
        found.map((one) => [one?.tenant.id, one?.key]),
        [
          ['acme', 'red'],
          ['acme', 'green'],
          ['ann', 'blue'],
        ],
      );
      assert.equal(keyring.find('Bearer white'), null);
      assert.equal(keyring.find('red'), null);
      assert.equal(keyring.find(undefined), null);
    }
  });

  it('takes the word Bearer in any case and with any spaces, time after time', () => {
    const keyring = new HashedKeyring([tenant('acme', 'red')]);
    for (const header of ['bearer red', 'BEARER   red', 'Bearer red  ', 'Bearer red']) {
      for (let i = 0; i < 2; i++) assert.equal(keyring.find(header)?.key, 'red', header);
    }
    for (const header of ['Bearer  Red', 'Bearerred', 'Basic red', 'Bearer red red']) {
      for (let i = 0; i < 2; i++) assert.equal(keyring.find(header), null, header);
    }
  });

  it('sees at once that a key was taken back, given again, or given to somebody else', () => {
    const made = new Made();
    const keyring = new HashedKeyring([], made);
    const owner = (id: string) => made.principals.set(hashOfKey('red'), principalOf(id));
    const find = () => keyring.find('Bearer red')?.tenant.id;
    assert.equal(find(), undefined);
    owner('acme');
    assert.deepEqual([find(), find()], ['acme', 'acme']);
    owner('ann');
    assert.deepEqual([find(), find()], ['ann', 'ann']);
    made.principals.clear();
    assert.deepEqual([find(), find()], [undefined, undefined]);
    owner('acme');
    assert.deepEqual([find(), find()], ['acme', 'acme']);
  });

  it("keeps nothing of what is nobody's key, or is not any more", () => {
    const made = new Made();
    const seen = new SeenKeys();
    const keyring = new HashedKeyring([tenant('acme', 'red')], made, seen);
    made.principals.set(hashOfKey('blue'), principalOf('ann'));
    for (const key of ['white', 'red', 'blue', 'red']) keyring.find(`Bearer ${key}`);
    assert.equal(seen.size, 2);
    made.principals.clear();
    keyring.find('Bearer blue');
    assert.deepEqual([seen.size, seen.hashOf('Bearer red')], [1, hashOfKey('red')]);
  });

  it('looks further keys up by their hash, whether it has seen them or not', () => {
    const made = new Made();
    made.principals.set(hashOfKey('red'), principalOf('acme'));
    const keyring = new HashedKeyring([], made);
    for (let i = 0; i < 2; i++) keyring.find('Bearer red');
    keyring.find('Bearer blue');
    assert.deepEqual(made.asked, [hashOfKey('red'), hashOfKey('red'), hashOfKey('blue')]);
  });
});

describe('keys that were seen', () => {
  it('are known by their header until they are forgotten', () => {
    const seen = new SeenKeys();
    assert.equal(seen.hashOf('Bearer red'), undefined);
    seen.remember('Bearer red', 'r');
    seen.remember('Bearer blue', 'b');
    assert.deepEqual([seen.hashOf('Bearer red'), seen.hashOf('Bearer blue')], ['r', 'b']);
    seen.forget('Bearer red');
    assert.deepEqual([seen.hashOf('Bearer red'), seen.hashOf('Bearer blue')], [undefined, 'b']);
  });

  it('are no more than twenty thousand: the one that came first goes', () => {
    const seen = new SeenKeys();
    for (let i = 0; i < 20_000; i++) seen.remember(`Bearer ${i}`, `${i}`);
    assert.deepEqual([seen.size, seen.hashOf('Bearer 0')], [20_000, '0']);
    for (let i = 20_000; i < 20_003; i++) seen.remember(`Bearer ${i}`, `${i}`);
    assert.equal(seen.size, 20_000);
    const kept = [2, 3, 20_002].map((i) => seen.hashOf(`Bearer ${i}`));
    assert.deepEqual(kept, [undefined, '3', '20002']);
  });

  it('are not kept where a client put much round them', () => {
    const seen = new SeenKeys();
    seen.remember(`Bearer ${' '.repeat(244)}white`, 'w');
    assert.equal(seen.size, 1);
    seen.remember(`Bearer ${' '.repeat(245)}white`, 'w');
    assert.equal(seen.size, 1);
  });
});

function principalOf(id: string): Principal {
  return { tenant: tenant(id), key: 'k', limits: new Limits([], null) };
}
