import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ThinkingBlock } from '../../../src/chat/extensions.ts';
import { noteSignedBefore } from '../../../src/chat/signed-before.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { faultIn } from './grammar.ts';
import { ASK, blocksIn, blocksOf, chunk, eventsIn, piece, present } from './kit.ts';

const SIGNED: ThinkingBlock = { type: 'thinking', thinking: 'Hm. Well.', signature: 'sig1' };
const HIDDEN: ThinkingBlock = { type: 'redacted_thinking', data: 'secret' };

function after(blocks: readonly ThinkingBlock[], delta: JsonObject): JsonObject {
  const one = chunk(delta);
  noteSignedBefore(one, blocks);
  return one;
}

test('thinking is signed where it ends', () => {
  const late = {
    thinking_blocks: [SIGNED, HIDDEN, { ...SIGNED, signature: 'sig2' }].map((block, index) => ({
      index,
      ...block,
    })),
  };
  const chunks = [
    chunk({ reasoning_content: 'Hm. ' }),
    chunk({ reasoning_content: 'Well.' }),
    after([SIGNED, HIDDEN], { content: 'Yes' }),
    chunk({ reasoning_content: 'Hm. Well.' }),
    after(
      [{ ...SIGNED, signature: 'sig2', origin: 'bedrock' }],
      piece(0, '{}', { id: 'call_1', name: 'one' }),
    ),
    chunk(late),
    chunk({}, 'tool_calls'),
  ];
  const events = eventsIn(present(chunks));
  assert.equal(faultIn(events), null);
  assert.deepEqual(blocksIn(events), [
    { type: 'thinking', thinking: 'Hm. Well.', signature: 'sig1' },
    { type: 'redacted_thinking', data: 'secret' },
    { type: 'text', text: 'Yes' },
    { type: 'thinking', thinking: 'Hm. Well.', signature: 'spillway:bedrock:sig2' },
    { type: 'tool_use', id: 'call_1', name: 'one', json: '{}' },
  ]);
});

test('a signed thought of which nothing was told is told with its signature', () => {
  const silent: ThinkingBlock = { type: 'thinking', thinking: '', signature: 'sig0' };
  const events = eventsIn(present([after([silent, SIGNED], { content: 'Yes' }), chunk({}, 'stop')]));
  assert.equal(faultIn(events), null);
  assert.deepEqual(blocksIn(events), [
    { type: 'thinking', thinking: '', signature: 'sig0' },
    { type: 'thinking', thinking: 'Hm. Well.', signature: 'sig1' },
    { type: 'text', text: 'Yes' },
  ]);
});

test('a signature that comes with all the others at the end is told if there is still a place for it', () => {
  const list = {
    thinking_blocks: [
      { index: 0, ...SIGNED },
      { index: 1, ...HIDDEN },
    ],
  };
  const thought = { reasoning_content: 'Hm. Well.' };
  const signed = [
    { type: 'thinking', thinking: 'Hm. Well.', signature: 'sig1' },
    { type: 'redacted_thinking', data: 'secret' },
  ];
  const text = { type: 'text', text: 'Yes' };
  assert.deepEqual(blocksOf([thought, list]), signed);
  assert.deepEqual(blocksOf([list, { content: 'Yes' }]), [...signed, text]);
  assert.deepEqual(blocksOf([{ ...thought, ...list, content: 'Yes' }]), [...signed, text]);
  const bare = { thinking_blocks: [{ type: 'thinking', thinking: '', signature: 'sig1' }] };
  assert.deepEqual(blocksOf([thought, bare]), signed.slice(0, 1));
  // Too late, or another's: the thought stays without.
  const unsigned = { type: 'thinking', thinking: 'Hm. Well.', signature: '' };
  assert.deepEqual(blocksOf([thought, { content: 'Yes' }, list]), [unsigned, text]);
  assert.deepEqual(
    blocksOf([{ reasoning_content: 'Hm. Well.' }, { thinking_blocks: [{ ...SIGNED, thinking: 'Else' }] }]),
    [unsigned],
  );
});

test('what was signed at its place is not told again at the end', () => {
  const thought = { type: 'thinking', thinking: 'Hm. Well.', signature: 'sig1' };
  const chunks = [
    chunk({ reasoning_content: 'Hm. Well.' }),
    after([SIGNED], { thinking_blocks: [{ index: 0, ...SIGNED }] }),
    chunk({}, 'stop'),
  ];
  assert.deepEqual(blocksIn(eventsIn(present(chunks))), [thought]);
});

test('thinking that nobody signed has an empty signature, by whatever name it comes', () => {
  const expected = [
    { type: 'thinking', thinking: 'Hm', signature: '' },
    { type: 'text', text: 'Yes' },
  ];
  const yes = { content: 'Yes' };
  assert.deepEqual(blocksOf([{ reasoning_content: 'H' }, { reasoning_content: 'm' }, yes]), expected);
  assert.deepEqual(blocksOf([{ reasoning: 'Hm' }, yes]), expected);
  assert.deepEqual(blocksOf([{ reasoning: 'Hm', reasoning_content: 'Hm' }, yes]), expected);
  const parts = [{ type: 'thinking', thinking: [{ type: 'text', text: 'Hm' }] }];
  assert.deepEqual(blocksOf([{ content: parts }, { content: [{ type: 'text', text: 'Yes' }] }]), expected);
});

test('thinking is not told to whom does not expect it', () => {
  const chunks = [
    chunk({ reasoning_content: 'Hm' }),
    after([SIGNED], { content: 'Yes' }),
    chunk({ thinking_blocks: [{ ...SIGNED }] }),
    chunk({}, 'stop'),
  ];
  const events = eventsIn(present(chunks, ASK));
  assert.deepEqual(blocksIn(events), [{ type: 'text', text: 'Yes' }]);
});
