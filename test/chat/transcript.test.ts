import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Transcript } from '../../src/chat/transcript.ts';
import type { Json, JsonObject } from '../../src/core/json.ts';

function chunk(delta: JsonObject, more: JsonObject = {}): JsonObject {
  const { finish_reason = null, index = 0 } = more;
  return {
    id: 'x',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index, delta, finish_reason }],
  };
}

function of(...deltas: JsonObject[]): Transcript {
  const transcript = new Transcript();
  for (const delta of deltas) transcript.note(chunk(delta));
  return transcript;
}

describe('what was told', () => {
  it('is the text of all pieces, however many they are', () => {
    const transcript = new Transcript();
    let text = '';
    for (let at = 0; at < 1000; at++) {
      transcript.note(chunk({ content: `${at} ` }));
      text += `${at} `;
      if (at % 100 === 0) assert.equal(transcript.text, text);
    }
    assert.equal(transcript.text, text);
    assert.equal(transcript.length, text.length);
    assert.equal(transcript.blocked, false);
  });

  it('has the head of its first chunk', () => {
    const transcript = new Transcript();
    transcript.note({ choices: [], usage: {} });
    transcript.note({ ...chunk({ role: 'assistant' }), service_tier: 'default', provider: 'p' });
    transcript.note({ ...chunk({ content: 'a' }), id: 'y' });
    assert.deepEqual(transcript.head, {
      id: 'x',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'm',
      service_tier: 'default',
    });
    assert.equal(transcript.role, true);
  });

  it('can be gone on with after text, thoughts and what brings nothing', () => {
    const transcript = of(
      { role: 'assistant', content: '', refusal: null },
      { reasoning_content: 'hm' },
      { content: 'a', tool_calls: [], refusal: '', annotations: null },
    );
    assert.equal(transcript.blocked, false);
    assert.equal(transcript.reasoning, true);
    assert.equal(transcript.text, 'a');
  });

  const BLOCKING: Record<string, Json> = {
    tool_calls: [{ index: 0, id: 'c', function: { name: 'f', arguments: '' } }],
    function_call: { name: 'f' },
    refusal: 'No',
    audio: { id: 'a' },
    images: [{ image_url: { url: 'data:' } }],
    thinking_blocks: [{ type: 'thinking', thinking: 't', signature: 's' }],
    annotations: [{ type: 'url_citation' }],
    content: [{ type: 'text', text: 'a' }],
    whatever_comes_to_be: 1,
  };
  for (const [name, value] of Object.entries(BLOCKING)) {
    it(`cannot be gone on with after ${name}`, () => {
      assert.equal(of({ content: 'a' }, { [name]: value }).blocked, true);
    });
  }

  it('cannot be gone on with after a finish, nor with several choices', () => {
    const finished = new Transcript();
    finished.note(chunk({}, { finish_reason: 'stop' }));
    assert.equal(finished.blocked, true);
    const several = new Transcript();
    several.note(chunk({ content: 'a' }, { index: 1 }));
    assert.equal(several.blocked, true);
    // Of some hosts, an empty text stands for none.
    const unfinished = new Transcript();
    unfinished.note(chunk({ content: 'a' }, { finish_reason: '' }));
    assert.equal(unfinished.blocked, false);
  });

  it('is not kept if it is longer than any answer', () => {
    const transcript = of({ content: 'x'.repeat(4 * 1024 * 1024) });
    assert.equal(transcript.blocked, false);
    transcript.note(chunk({ content: 'x' }));
    assert.equal(transcript.blocked, true);
    assert.equal(transcript.text, '');
  });

  it('may be anything: nothing of it is believed', () => {
    const transcript = new Transcript();
    for (const choices of [
      null,
      7,
      'x',
      [null],
      [7],
      [{}],
      [{ delta: 'x' }],
      [{ delta: null, index: null }],
    ]) {
      transcript.note({ choices: choices as Json });
    }
    assert.equal(transcript.text, '');
    transcript.note(JSON.parse('{"choices":[{"delta":{"__proto__":{"x":1},"content":"a"}}]}'));
    assert.equal(transcript.blocked, true);
  });

  it('goes on in a copy, and stays as it is', () => {
    const before = of({ role: 'assistant' }, { content: 'a' });
    const after = before.fork();
    after.note(chunk({ content: 'b' }));
    after.note(chunk({ refusal: 'c' }));
    assert.equal(before.text, 'a');
    assert.equal(before.blocked, false);
    assert.equal(after.blocked, true);
    const other = before.fork();
    other.note(chunk({ content: 'b' }));
    assert.equal(other.text, 'ab');
    assert.equal(other.role, true);
    assert.deepEqual(other.head, before.head);
  });
});
