import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { MessageEventReader } from '../../../src/providers/anthropic/event-reader.ts';
import type { ChunkKind } from '../../../src/providers/event-reader.ts';
import { block, type Event, RECORDED, start, stop, toolUse } from './kit.ts';

function reader(...events: readonly (Event | JsonObject)[]) {
  const one = new MessageEventReader();
  return { one, kinds: events.map((event) => one.read(JSON.stringify(event), String(event.type))) };
}

describe('A relayed stream of Anthropic’s events', () => {
  it('is followed from its start to its end', () => {
    const recorded = RECORDED['thoughts and parallel calls'];
    assert.ok(recorded !== undefined);
    const one = new MessageEventReader();
    const sizes = { characters: 0, reasoning: 0 };
    const kinds: ChunkKind[] = recorded.events.map((event) => {
      const kind = one.read(JSON.stringify(event), event.type);
      sizes.characters += one.output.characters;
      sizes.reasoning += one.output.reasoning;
      return kind;
    });
    assert.deepEqual(kinds, [
      ...['quiet', 'quiet', 'content', 'content', 'content', 'quiet'],
      ...['content', 'quiet'],
      ...['quiet', 'content', 'quiet'],
      ...['content', 'quiet', 'content', 'content', 'quiet', 'ping'],
      ...['content', 'content', 'quiet'],
      ...['content', 'quiet', 'quiet'],
      ...['content', 'done'],
    ]);
    assert.equal(one.model, 'claude-opus-5-5');
    assert.ok(one.finished && one.finishedAllBegun && !one.callingTool);
    assert.deepEqual(one.usage, {
      input: 1320,
      output: 90,
      cached: 1000,
      cacheWrite: 300,
      cacheWriteHour: 200,
      reasoning: 40,
    });
    const said = 'Two cities, two calls.'.length;
    const written = 'Let me see.weather{"city":"Z??rich"}weather{"city":"Bern","days":3}clock'.length;
    assert.deepEqual(sizes, { characters: said + written, reasoning: said });
  });

  it('reports usage where the answer ends, and knows the prompt before', () => {
    const { one } = reader(start());
    assert.equal(one.reportsUsage, false);
    assert.deepEqual(one.usage, {
      input: 1320,
      output: 0,
      cached: 1000,
      cacheWrite: 300,
      cacheWriteHour: 200,
      reasoning: 0,
    });
    const [delta] = stop('end_turn');
    one.read(JSON.stringify(delta), '');
    assert.equal(one.reportsUsage, true);
    one.read('{"type":"ping"}', '');
    assert.equal(one.reportsUsage, false);
    assert.equal(one.value?.['type'], 'ping');
  });

  it('is not finished before its reason to stop', () => {
    const [delta] = stop('end_turn');
    const silent = { ...delta, delta: { ...delta.delta, stop_reason: null } };
    const { one, kinds } = reader(start(), silent as unknown as JsonObject);
    assert.deepEqual(kinds, ['quiet', 'usage']);
    assert.equal(one.finished, false);
    assert.deepEqual(reader({ type: 'message_delta', delta: {} }).kinds, ['quiet']);
    assert.deepEqual(reader({ type: 'message_delta', usage: { output_tokens: 1 } }).kinds, ['usage']);
    assert.deepEqual(reader({ type: 'message_stop' }).kinds, ['done']);
  });

  it('calls a tool from its beginning until the answer has finished', () => {
    const [begin, end] = block(0, toolUse('a', 'f'), []);
    const { one } = reader(start(), begin as Event, end as Event);
    assert.equal(one.callingTool, true);
    one.read(JSON.stringify(stop('tool_use')[0]), '');
    assert.equal(one.callingTool, false);
    assert.equal(
      reader(start(), ...block(0, { type: 'text', text: '', citations: null }, [])).one.callingTool,
      false,
    );
  });

  it('is damaged by what is no event, and by pieces without a beginning, which must not go unnoticed', () => {
    const one = new MessageEventReader();
    for (const data of ['{', '"x"', '[]', '1']) assert.equal(one.read(data, ''), 'invalid', data);
    assert.equal(one.value, null);
    assert.equal(one.callingTool, false);
    const damaged: JsonObject[] = [
      { type: 'message_start' },
      { type: 'content_block_start', index: 0 },
      { type: 'content_block_start', index: 0, content_block: {} },
      { type: 'content_block_start', index: null, content_block: { type: 'text' } },
      { type: 'content_block_stop' },
      { type: 'content_block_delta', index: 0 },
      { type: 'message_delta' },
    ];
    for (const event of damaged) {
      const { one: fresh, kinds } = reader(event);
      assert.deepEqual(kinds, ['invalid'], JSON.stringify(event));
      assert.equal(fresh.callingTool, false);
    }
    const begun = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } };
    for (const delta of [
      {},
      { type: 'text_delta' },
      { type: 'thinking_delta', thinking: 1 },
      { type: 'signature_delta' },
    ]) {
      assert.deepEqual(reader(begun, { type: 'content_block_delta', index: 0, delta }).kinds, [
        'quiet',
        'invalid',
      ]);
    }
    const piece = { type: 'content_block_delta', index: 3, delta: { type: 'text_delta', text: 'x' } };
    for (const lost of [piece, { type: 'content_block_stop', index: 3 }]) {
      const { one: fresh, kinds } = reader(start(), lost);
      assert.deepEqual(kinds, ['quiet', 'invalid']);
      assert.equal(fresh.callingTool, true);
    }
  });

  it('hands errors over whole', () => {
    const error = { type: 'error', error: { type: 'overloaded_error', message: 'x' }, request_id: 'r' };
    const { one, kinds } = reader(error);
    assert.deepEqual(kinds, ['error']);
    assert.deepEqual(one.error, error);
    assert.deepEqual(reader({ error: { message: 'no' } }).kinds, ['error']);
    const plain = new MessageEventReader();
    assert.equal(plain.read('busy', 'error'), 'error');
    assert.deepEqual(plain.error, { error: 'busy' });
    assert.equal(plain.read('{"message":"x"}', 'error'), 'error');
  });

  it('passes on what is newer than it is, to a client that may be as new', () => {
    const { kinds } = reader(
      { type: 'thread_event', x: 1 },
      { type: 'content_block_start', index: 0, content_block: { type: 'hologram', data: 'x' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'hologram_delta' } },
      { no: 'type' },
    );
    assert.deepEqual(kinds, ['quiet', 'content', 'content', 'invalid']);
    const one = new MessageEventReader();
    assert.equal(one.read(' ', ''), 'ping');
  });
});
