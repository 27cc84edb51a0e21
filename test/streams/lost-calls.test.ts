import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ChunkReader } from '../../src/providers/openai/chunk.ts';

const call = (index: number) =>
  JSON.stringify({
    choices: [
      {
        index: 0,
        delta: {
          tool_calls: [
            { index, id: `c${index}`, type: 'function', function: { name: 'f', arguments: '{}' } },
          ],
        },
        finish_reason: null,
      },
    ],
  });

describe('a call that comes after a damaged event', () => {
  it('is damaged as well where the one before it has never come', () => {
    const reader = new ChunkReader(1);
    assert.equal(reader.read('{"choices":[{"ind', ''), 'invalid');
    assert.equal(reader.read(call(1), ''), 'invalid');
    assert.ok(reader.callingTool, 'so that the stream is broken');
  });

  it('is one where none is missing, or hosts number as they like', () => {
    const reader = new ChunkReader(1);
    reader.read('{', '');
    assert.equal(reader.read(call(0), ''), 'content');
    assert.equal(reader.read(call(1), ''), 'content');
    assert.equal(new ChunkReader(1).read(call(1), ''), 'content');
  });
});
