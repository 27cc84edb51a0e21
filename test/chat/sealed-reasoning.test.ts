import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  isSealedReasoning,
  openReasoning,
  sealReasoning,
  withoutSealedReasoning,
} from '../../src/chat/sealed-reasoning.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';

const PREFIX = 'spillway-1.';
const encoded = (value: unknown) => PREFIX + Buffer.from(JSON.stringify(value)).toString('base64url');

describe('what an answer must be handed back with', () => {
  it('comes out of its seal as it went in', () => {
    const text = fc.string({ unit: 'grapheme' });
    const blocks = fc.array(fc.dictionary(text, text) as fc.Arbitrary<JsonObject>);
    fc.assert(
      fc.property(
        blocks,
        fc.array(fc.tuple(text, text)),
        fc.option(text),
        (thinkingBlocks, pairs, signature) => {
          const sealed = { thinkingBlocks, callSignatures: new Map(pairs), textSignature: signature };
          const opened = openReasoning(sealReasoning(sealed));
          assert.deepEqual(
            JSON.parse(JSON.stringify(opened?.thinkingBlocks)),
            JSON.parse(JSON.stringify(thinkingBlocks)),
          );
          assert.deepEqual(opened?.callSignatures, sealed.callSignatures);
          assert.equal(opened?.textSignature, signature);
        },
      ),
    );
  });

  it('is sealed though there is nothing, so that it is known for what was made here', () => {
    const seal = sealReasoning({ thinkingBlocks: [], callSignatures: new Map(), textSignature: null });
    assert.ok(isSealedReasoning(seal));
    assert.deepEqual(openReasoning(seal), {
      thinkingBlocks: [],
      callSignatures: new Map(),
      textSignature: null,
    });
    assert.match(seal, /^[\w.-]+$/, 'it stands in JSON, headers and URLs as it is');
  });

  it('is not found in what a provider encrypted', () => {
    for (const foreign of ['', 'gAAAAABo', 'spillway', 5, null, undefined, {}, [PREFIX]] as Json[]) {
      assert.equal(isSealedReasoning(foreign), false);
      assert.equal(openReasoning(foreign), null);
    }
  });

  it('is nothing where the seal is damaged, and only what is well-formed where it was made up', () => {
    const bomb = PREFIX + Buffer.from(`{"blocks":[${'[],'.repeat(600_000)}1]}`).toString('base64url');
    for (const damaged of [PREFIX, `${PREFIX}!!`, encoded([]), encoded(5), bomb]) {
      assert.equal(openReasoning(damaged), null, damaged.slice(0, 30));
    }
    const opened = openReasoning(
      encoded({ blocks: [5, { a: 1 }, null, []], calls: [['a', 'b'], ['c'], 5, ['d', 5]], text: 7 }),
    );
    assert.deepEqual(opened?.thinkingBlocks, [{ a: 1 }]);
    assert.deepEqual([...(opened?.callSignatures ?? [])], [['a', 'b']]);
    assert.equal(opened?.textSignature, null);
    assert.deepEqual(openReasoning(encoded({ blocks: {}, calls: 'x' }))?.thinkingBlocks, []);
  });

  it('is left out for a provider that has seals of its own', () => {
    const ours = { type: 'reasoning', encrypted_content: encoded({}) };
    const theirs = [
      { type: 'reasoning', encrypted_content: 'gAAAAABo' },
      { role: 'user' },
      5,
      null,
    ] as Json[];
    assert.deepEqual(withoutSealedReasoning([ours, ...theirs, ours]), theirs);
    assert.equal(withoutSealedReasoning(theirs), null);
    assert.equal(withoutSealedReasoning('Hi'), null);
    assert.equal(withoutSealedReasoning(undefined), null);
  });
});
