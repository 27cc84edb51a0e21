import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { Remembered } from '../../src/chat/extensions.ts';
import { type MemoryBounds, ReasoningMemory } from '../../src/chat/reasoning-memory.ts';
import { ManualClock } from '../support/manual-clock.ts';

const HOUR = 3_600_000;
const WIDE: MemoryBounds = { bytes: 1e6, answers: 1000, age: HOUR };

const thought = (text: string): Remembered => ({
  thinkingBlocks: [{ type: 'thinking', thinking: text, signature: 'sig' }],
  thoughtSignatures: {},
});

function open(bounds: Partial<MemoryBounds> = {}) {
  const clock = new ManualClock();
  const memory = new ReasoningMemory(clock, { ...WIDE, ...bounds });
  return { clock, memory, acme: memory.forTenant('acme'), other: memory.forTenant('other') };
}

describe('what is remembered of an answer', () => {
  it('is recalled by each of its calls, whole', () => {
    const { acme, memory } = open();
    const what: Remembered = {
      thinkingBlocks: [
        { type: 'thinking', thinking: 'hm', signature: 's1', origin: 'bedrock' },
        { type: 'redacted_thinking', data: 'xyz' },
      ],
      thoughtSignatures: { a: 'g1' },
    };
    acme.remember(['a', 'b'], what);
    assert.deepEqual(acme.recall('a'), what);
    assert.deepEqual(acme.recall('b'), what);
    assert.equal(acme.recall('c'), null);
    assert.deepEqual(memory.forTenant('acme').recall('b'), what);
  });

  it('is nothing where there was nothing to hand back, or nothing to find it by', () => {
    const { acme, memory } = open();
    acme.remember(['a'], { thinkingBlocks: [], thoughtSignatures: {} });
    acme.remember([], thought('x'));
    assert.equal(acme.recall('a'), null);
    assert.equal(memory.size, 0);
    acme.remember(['a'], { thinkingBlocks: [], thoughtSignatures: { a: 'g' } });
    assert.equal(memory.size, 1);
  });

  it("is never another tenant's, under whatever name", () => {
    const { acme, other, memory } = open();
    acme.remember(['a', '__proto__', 'constructor'], thought('mine'));
    for (const id of ['a', '__proto__', 'constructor', 'toString']) assert.equal(other.recall(id), null);
    assert.equal(memory.forTenant('__proto__').recall('a'), null);
    other.remember(['a'], thought('theirs'));
    assert.deepEqual(acme.recall('a'), thought('mine'));
    assert.deepEqual(acme.recall('__proto__'), thought('mine'));
    assert.deepEqual(other.recall('a'), thought('theirs'));
  });

  it('of a call whose id comes again is the later one, and the earlier goes with its last call', () => {
    const { acme, memory } = open();
    acme.remember(['a', 'b'], thought('first'));
    acme.remember(['b'], thought('second'));
    assert.deepEqual(acme.recall('a'), thought('first'));
    assert.deepEqual(acme.recall('b'), thought('second'));
    acme.remember(['a'], thought('third'));
    assert.equal(memory.size, 2);
    acme.remember(['a', 'b', 'a'], thought('fourth'));
    assert.equal(memory.size, 1);
    acme.remember(['b'], { thinkingBlocks: [], thoughtSignatures: {} });
    assert.deepEqual([acme.recall('a'), acme.recall('b')], [thought('fourth'), null]);
    acme.remember(['a'], thought('x'.repeat(100_000)));
    assert.deepEqual([memory.size, memory.bytes], [0, 0]);
    acme.remember(['a', 'b', 'a'], thought('fourth'));
    const { bytes } = memory;
    acme.remember(['a', 'b', 'a'], thought('fourth'));
    assert.equal(memory.bytes, bytes);
  });

  it('is forgotten an hour after it was last of use', () => {
    const { acme, clock, memory } = open();
    acme.remember(['a'], thought('a'));
    acme.remember(['b'], thought('b'));
    clock.advance(HOUR - 1);
    assert.deepEqual(acme.recall('a'), thought('a'));
    clock.advance(1);
    assert.equal(acme.recall('b'), null);
    assert.equal(memory.size, 1);
    clock.advance(HOUR - 2);
    assert.deepEqual(acme.recall('a'), thought('a'));
    clock.advance(HOUR);
    assert.equal(acme.recall('a'), null);
    assert.deepEqual([memory.size, memory.bytes], [0, 0]);
    acme.remember(['a'], thought('a'));
    clock.advance(HOUR);
    memory.forTenant('other').remember(['z'], thought('z'));
    assert.equal(memory.size, 1);
  });

  it('is left out if it is more than an eighth of all that is kept', () => {
    const { acme, memory } = open({ bytes: 80_000 });
    acme.remember(['a'], thought('x'.repeat(5_000)));
    assert.equal(memory.size, 0);
    acme.remember(['a'], thought('x'.repeat(4_700)));
    assert.equal(memory.size, 1);
    assert.ok(memory.bytes > 9_400 && memory.bytes <= 10_000);
  });

  it('counts everything that it holds', () => {
    const bytesOf = (ids: string[], what: Remembered) => {
      const { acme, memory } = open();
      acme.remember(ids, what);
      return memory.bytes;
    };
    const least = bytesOf(['a'], thought('hm'));
    const long = 'x'.repeat(1000);
    assert.equal(bytesOf(['a'], thought(`hm${long}`)) - least, 2000);
    assert.equal(bytesOf([`a${long}`], thought('hm')) - least, 2000);
    const signed = (signature: string) =>
      bytesOf(['a'], { thinkingBlocks: [], thoughtSignatures: { a: signature } });
    assert.equal(signed(`s${long}`) - signed('s'), 2000);
    const redacted = (data: string) =>
      bytesOf(['a'], { thinkingBlocks: [{ type: 'redacted_thinking', data }], thoughtSignatures: {} });
    assert.equal(redacted(`s${long}`) - redacted('s'), 2000);
    assert.ok(bytesOf(['a', 'b'], thought('hm')) > least + 50);
  });
});

describe('what is over the bounds', () => {
  it('goes in the order of its last use', () => {
    const { acme } = open({ answers: 2 });
    acme.remember(['a'], thought('a'));
    acme.remember(['b'], thought('b'));
    acme.recall('a');
    acme.remember(['c'], thought('c'));
    assert.equal(acme.recall('b'), null);
    assert.deepEqual([acme.recall('a'), acme.recall('c')], [thought('a'), thought('c')]);
  });

  it('goes until so many bytes are left', () => {
    const { acme, memory } = open({ bytes: 10_000 });
    for (let index = 0; index < 20; index++) acme.remember([`${index}`], thought('x'.repeat(300)));
    assert.ok(memory.bytes <= 10_000 && memory.bytes > 8_500, `${memory.bytes}`);
    assert.equal(acme.recall('0'), null);
    assert.notEqual(acme.recall('19'), null);
  });

  it('goes from the tenant that holds most, of what has run out', () => {
    const { acme, other, memory } = open({ bytes: 10_000, answers: 11 });
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) acme.remember([id], thought(id));
    for (const id of ['a', 'b', 'c', 'd', 'e', 'f']) other.remember([id], thought('x'.repeat(350)));
    assert.equal(memory.size, 11);
    assert.deepEqual(acme.recall('a'), thought('a'));
    assert.equal(other.recall('a'), null);
    for (const id of ['g', 'h', 'i', 'j', 'k', 'l']) acme.remember([id], thought(id));
    assert.equal(memory.size, 11);
    for (const id of ['b', 'c', 'd', 'e', 'f']) assert.notEqual(other.recall(id), null);
  });
});

describe('a memory, whatever is remembered in whatever order', () => {
  const step = fc.record({
    tenant: fc.constantFrom('a', 'b', 'c', 'd'),
    ids: fc.array(fc.constantFrom('1', '2', '3', '4', '5', '6'), { maxLength: 3 }),
    size: fc.integer({ min: 0, max: 700 }),
    wait: fc.constantFrom(0, 0, 0, HOUR / 2),
    recalls: fc.boolean(),
  });

  it('stays within its bounds, and tells each tenant what that one said last or nothing', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.constantFrom(7, 40), (steps, answers) => {
        const bounds = { bytes: 12_000, answers, age: HOUR };
        const { clock, memory } = open(bounds);
        const said = new Map<string, { what: Remembered; at: number }>();
        for (const [index, { tenant, ids, size, wait, recalls }] of steps.entries()) {
          clock.advance(wait);
          const { remember, recall } = memory.forTenant(tenant);
          if (recalls) {
            for (const id of ids) {
              const found = recall(id);
              const last = said.get(`${tenant} ${id}`);
              if (found === null) continue;
              assert.ok(last !== undefined && clock.now() - last.at < HOUR);
              assert.equal(found, last.what);
              // All calls of that answer are used with it.
              for (const one of said.values()) if (one.what === found) one.at = clock.now();
            }
            continue;
          }
          const what = thought(`${index}${'x'.repeat(size)}`);
          remember(ids, what);
          for (const id of ids) said.set(`${tenant} ${id}`, { what, at: clock.now() });
          assert.ok(memory.bytes <= bounds.bytes && memory.size <= bounds.answers);
        }
        clock.advance(HOUR);
        memory.forTenant('z').recall('1');
        assert.deepEqual([memory.bytes, memory.size, memory.tenants], [0, 0, 0]);
      }),
      { numRuns: 500 },
    );
  });

  it('keeps all of a tenant that holds less than its fair share', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const { memory } = open({ bytes: 12_000, answers: 20 });
        const modest = memory.forTenant('modest');
        // A fifth of 12,000 bytes and of 20 answers.
        for (let times = 0; times < 20; times++)
          for (const id of ['1', '2', '3']) modest.remember([id], thought(id));
        assert.ok(memory.bytes < 12_000 / 5);
        for (const [index, { tenant, ids, size }] of steps.entries()) {
          memory.forTenant(tenant).remember([...ids, `${index}`], thought('x'.repeat(size % 500)));
        }
        for (const id of ['1', '2', '3']) assert.deepEqual(modest.recall(id), thought(id));
      }),
      { numRuns: 300 },
    );
  });
});
