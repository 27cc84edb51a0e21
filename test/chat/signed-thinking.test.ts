import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ThinkingBlock } from '../../src/chat/extensions.ts';
import { noteSignedBefore, signedBefore } from '../../src/chat/signed-before.ts';
import { isForeignThinking, presentThinking, readThinking } from '../../src/chat/signed-thinking.ts';
import type { JsonObject } from '../../src/core/json.ts';

const BLOCKS: ThinkingBlock[] = [
  { type: 'thinking', thinking: 'Hm.', signature: 'sig' },
  { type: 'thinking', thinking: '', signature: 'sig', origin: 'bedrock' },
  { type: 'redacted_thinking', data: 'data' },
  { type: 'redacted_thinking', data: 'data', origin: 'bedrock' },
];

test('a thought that was signed comes back from a client as it was, with its origin', () => {
  for (const block of BLOCKS) {
    const presented = presentThinking(block);
    assert.deepEqual(Object.keys(presented).includes('origin'), false);
    assert.deepEqual(readThinking(presented), block);
  }
});

test('only what Claude signed is no foreign thought', () => {
  const foreign = BLOCKS.map((block) => isForeignThinking(presentThinking(block)));
  assert.deepEqual(foreign, [false, true, false, true]);
  assert.equal(isForeignThinking({ type: 'thinking', thinking: 'Hm.', signature: '' }), true);
  assert.equal(isForeignThinking({ type: 'thinking', thinking: 'Hm.' }), true);
  assert.equal(isForeignThinking({ type: 'redacted_thinking', data: '' }), true);
  assert.equal(isForeignThinking({ type: 'text', text: 'Hm.' }), false);
});

test('what is noted on a chunk is not printed', () => {
  const chunk: JsonObject = { choices: [] };
  assert.deepEqual(signedBefore(chunk), []);
  noteSignedBefore(chunk, []);
  assert.deepEqual(signedBefore(chunk), []);
  noteSignedBefore(chunk, BLOCKS);
  assert.deepEqual(signedBefore(chunk), BLOCKS);
  assert.deepEqual(signedBefore({ ...chunk }), BLOCKS);
  assert.equal(JSON.stringify(chunk), '{"choices":[]}');
});
