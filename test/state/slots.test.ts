import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { slotOf } from '../../src/state/slots.ts';
import { startRedis } from '../support/redis.ts';

describe('the slot of a key', () => {
  it('is what the specification says', () => {
    assert.equal(slotOf('123456789'), 0x31c3);
    assert.equal(slotOf('{user1000}.following'), slotOf('{user1000}.followers'));
    assert.equal(slotOf('foo{}{bar}'), slotOf('foo{}{bar}'));
    assert.equal(slotOf('foo{{bar}}zap'), slotOf('{bar'));
    assert.equal(slotOf('foo{bar}{zap}'), slotOf('bar'));
  });

  it('is what Redis says, whatever the key', async (t) => {
    const { client } = await startRedis(t, { config: { 'cluster-enabled': 'yes' } });
    const tagged = fc
      .array(fc.constantFrom('{', '}', '', 'a', 'tenant', 'é', '🌊', ':'))
      .map((parts) => parts.join(''));
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.string({ unit: 'grapheme' }), tagged), async (key) => {
        assert.equal(slotOf(key), Number(await client.call('CLUSTER', 'KEYSLOT', key)));
      }),
      { numRuns: 500 },
    );
  });
});
