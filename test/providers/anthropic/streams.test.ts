import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { JsonObject } from '../../../src/core/json.ts';
import { anthropic } from '../../../src/providers/anthropic/adapter.ts';
import { accumulate, askFor, completionOf, everySplit, fixedFacts, sse, streamed, Told } from '../kit.ts';
import { block, END_USAGE, eventStream, RECORDED, start, stop, toolUse, USER } from './kit.ts';

const prepared = anthropic.prepare(
  askFor({ model: 'any', messages: [USER], stream: true }, { streaming: true }),
);

function tell(events: Parameters<typeof eventStream>[0]) {
  return streamed(prepared, [eventStream(events)]);
}

function choiceOf(chunks: readonly JsonObject[]): JsonObject {
  const [choice] = accumulate(chunks)['choices'] as JsonObject[];
  assert.ok(choice !== undefined);
  return choice;
}

const TEXT = block(0, { type: 'text', text: '', citations: null }, [{ type: 'text_delta', text: 'Hi' }]);
const CALL = block(0, toolUse('toolu_1', 'f'), [{ type: 'input_json_delta', partial_json: '{"a":1}' }]);

describe('A streamed message', () => {
  for (const [name, { events, whole }] of Object.entries(RECORDED)) {
    it(`becomes the chunks of the same answer as the whole one: ${name}`, () => {
      const facts = fixedFacts();
      const told = streamed(prepared, [eventStream(events)], facts);
      assert.ok(told.isWhole);
      const wholeFacts = fixedFacts();
      const completion = completionOf(prepared, whole as unknown as JsonObject, wholeFacts);
      assert.deepEqual(accumulate(told.chunks), completion);
      assert.deepEqual(facts.remembered, wholeFacts.remembered);
    });

    it(`becomes the same chunks wherever it is cut: ${name}`, () => {
      const bytes = eventStream(events);
      const expected = streamed(prepared, [bytes]).chunks;
      for (const pieces of everySplit(bytes)) assert.deepEqual(streamed(prepared, pieces).chunks, expected);
    });
  }

  it('passes each piece on as it comes', () => {
    const told = tell([start(), ...TEXT.slice(0, 2)]);
    assert.deepEqual(
      told.chunks.map(({ choices }) => (choices as JsonObject[])[0]?.['delta']),
      [{ role: 'assistant', content: '' }, { content: 'Hi' }],
    );
    assert.equal(told.chunks[0]?.['model'], 'claude-opus-5-5');
    assert.equal(told.chunks[0]?.['service_tier'], 'default');
    assert.equal(told.dones, 0);
  });

  it('tells what the prompt took at once, and nothing of the output before its end', () => {
    assert.deepEqual(tell([start()]).usages, [
      { input: 1320, output: 0, cached: 1000, cacheWrite: 300, cacheWriteHour: 200, reasoning: 0 },
    ]);
    assert.deepEqual(tell([start(), ...TEXT, ...stop('end_turn')]).usages.at(-1), {
      input: 1320,
      output: 90,
      cached: 1000,
      cacheWrite: 300,
      cacheWriteHour: 200,
      reasoning: 40,
    });
  });

  it('keeps the last number that was told, and passes over null', () => {
    const [delta, end] = stop('end_turn');
    const more = { ...delta, usage: { ...END_USAGE, input_tokens: 25, cache_read_input_tokens: 0 } };
    const told = tell([start(), ...TEXT, more, end]);
    assert.equal(told.usages.at(-1)?.input, 325);
    assert.equal(told.usages.at(-1)?.cached, 0);
  });

  it('makes up no finish: without a reason to stop it is broken, or goes on waiting', () => {
    const [delta, end] = stop('end_turn');
    assert.equal(tell([start(), ...TEXT, end]).breaks.length, 1);
    const silent = { ...delta, delta: { ...delta.delta, stop_reason: null } };
    for (const events of [
      [start(), ...TEXT],
      [start(), ...TEXT, silent],
    ]) {
      const told = tell(events);
      assert.equal(told.dones + told.breaks.length, 0);
      assert.ok(told.chunks.every(({ choices }) => (choices as JsonObject[])[0]?.['finish_reason'] === null));
    }
  });

  it('is whole without its end mark, usage included', () => {
    const told = tell([start(), ...TEXT, ...stop('end_turn').slice(0, 1)]);
    assert.equal((accumulate(told.chunks)['usage'] as JsonObject)['total_tokens'], 1410);
  });

  it('hands an error over whole, wherever it comes', () => {
    const error = {
      type: 'error',
      error: { type: 'overloaded_error', message: 'Overloaded', details: null },
      request_id: 'req_1',
    };
    for (const before of [[], [{ type: 'ping' }], [start(), ...TEXT]]) {
      const told = tell([...before, error]);
      assert.deepEqual(told.errors, [error]);
      assert.equal(told.dones, 0);
    }
    assert.deepEqual(streamed(prepared, [sse([{ type: 'error', data: 'busy' }])]).errors, [
      { error: 'busy' },
    ]);
    const named = { message: 'no' };
    assert.deepEqual(streamed(prepared, [sse([{ type: 'error', data: named }])]).errors, [named]);
    const untyped = { error: { message: 'no' } };
    assert.deepEqual(streamed(prepared, [sse([{ data: untyped }])]).errors, [untyped]);
  });

  it('passes over pings and what means nothing, and counts what it does not know', () => {
    const told = tell([
      { type: 'ping' },
      start(),
      { type: 'what_comes_next', index: 0 },
      { type: 'content_block_start', index: 7, content_block: { type: 'hologram', data: 'x' } },
      { type: 'content_block_delta', index: 7, delta: { type: 'hologram_delta', data: 'y' } },
      { type: 'content_block_stop', index: 7 },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'aura_delta', aura: 'z' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hi' } },
      { type: 'content_block_stop', index: 0 },
      ...stop('end_turn'),
    ]);
    assert.equal(told.foreigns, 3);
    assert.equal(told.invalids, 0);
    assert.equal(told.dones, 1);
  });

  it('counts damaged events', () => {
    const damaged: JsonObject[] = [
      { type: 'message_start' },
      { type: 'content_block_start', index: '0', content_block: { type: 'text', text: '' } },
      { type: 'content_block_start', index: 0 },
      { type: 'content_block_start', index: 0, content_block: { text: '' } },
      { type: 'content_block_start', index: 0, content_block: { type: 'tool_use', id: 'a', name: '' } },
      { type: 'content_block_start', index: 0, content_block: { type: 'redacted_thinking' } },
      { type: 'content_block_delta', index: 0 },
      { type: 'content_block_delta', delta: { type: 'text_delta', text: 'Hi' } },
      { type: 'content_block_stop' },
      { type: 'message_delta' },
      { type: 7 },
      { no: 'type' },
    ];
    for (const event of damaged) assert.equal(tell([start(), event]).invalids, 1, JSON.stringify(event));
    for (const data of ['{', '"text"', '[]', 'null']) {
      assert.equal(streamed(prepared, [sse([{ data }])]).invalids, 1, data);
    }
    const open = { type: 'content_block_start', index: 0, content_block: { type: 'thinking' } };
    for (const delta of [
      { type: 'thinking_delta', thinking: 1 },
      { type: 'signature_delta' },
      { thinking: 'x' },
    ]) {
      assert.equal(tell([start(), open, { type: 'content_block_delta', index: 0, delta }]).invalids, 1);
    }
  });

  it('is broken by a piece or an end of a block that never began, or of another kind', () => {
    const text = { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } };
    const call = { type: 'content_block_start', index: 0, content_block: toolUse('a', 'f') };
    const thought = { type: 'content_block_start', index: 0, content_block: { type: 'thinking' } };
    const delta = (piece: JsonObject) => ({ type: 'content_block_delta', index: 0, delta: piece });
    const json = delta({ type: 'input_json_delta', partial_json: '1' });
    const said = delta({ type: 'text_delta', text: 'Hi' });
    const cases: JsonObject[][] = [
      [json],
      [said],
      [{ type: 'content_block_stop', index: 0 }],
      [text, json],
      [call as unknown as JsonObject, said],
      [thought, json],
      [text, delta({ type: 'thinking_delta', thinking: 'x' })],
      [text, delta({ type: 'signature_delta', signature: 'x' })],
      [thought, delta({ type: 'citations_delta', citation: {} })],
    ];
    for (const events of cases) {
      const told = tell([start(), ...events]);
      assert.equal(told.breaks.length, 1, JSON.stringify(events));
    }
  });

  it("takes a call's input from its beginning where no pieces follow", () => {
    const told = tell([start(), ...block(0, toolUse('toolu_1', 'f', { a: [1] }), []), ...stop('tool_use')]);
    assert.match(JSON.stringify(accumulate(told.chunks)), /"arguments":"{\\"a\\":\[1\]}"/);
    const piece = (partial_json: string) => ({ type: 'input_json_delta' as const, partial_json });
    const blank = tell([
      start(),
      ...block(0, toolUse('toolu_1', 'f', { a: 1 }), [piece('')]),
      ...stop('tool_use'),
    ]);
    assert.match(JSON.stringify(accumulate(blank.chunks)), /"arguments":"{\\"a\\":1}"/);
    const both = tell([
      start(),
      ...block(0, toolUse('toolu_1', 'f', { a: 1 }), [piece('{}')]),
      ...stop('tool_use'),
    ]);
    assert.match(JSON.stringify(accumulate(both.chunks)), /"arguments":"{}"/);
  });

  it('ends a block that begins again', () => {
    const thought = block(0, { type: 'thinking', thinking: 'So', signature: 'sig' }, []);
    const told = tell([start(), ...thought.slice(0, 1), ...TEXT, ...stop('end_turn')]);
    assert.equal(
      ((choiceOf(told.chunks)['message'] as JsonObject)['thinking_blocks'] as JsonObject[]).length,
      1,
    );
  });

  it('tells its usage with the reason to stop, so that nobody waits for the end mark, and never before', () => {
    const format = prepared.answer(fixedFacts()).stream({});
    assert.equal(format.kind, 'translated');
    if (format.kind !== 'translated') return;
    const told = new Told();
    const tellOne = (event: unknown) => format.translator.event(JSON.stringify(event), '', told);
    for (const event of [start(), ...TEXT]) tellOne(event);
    assert.ok(told.chunks.every(({ usage }) => usage === undefined));
    tellOne(stop('end_turn')[0]);
    assert.match(JSON.stringify(told.chunks.at(-1)), /"completion_tokens":90/);
    assert.ok(tell([start(), ...TEXT]).chunks.every(({ usage }) => usage === undefined));
  });

  it('tells what is known of its usage at the end of the body, where the reason came without', () => {
    const [delta] = stop('end_turn');
    const told = tell([
      start(),
      ...TEXT,
      { type: 'message_delta', delta: delta.delta as unknown as JsonObject },
    ]);
    assert.equal((accumulate(told.chunks)['usage'] as JsonObject)['prompt_tokens'], 1320);
  });

  it('passes over events without data', () => {
    assert.equal(streamed(prepared, [sse([{ data: ' ' }])]).invalids, 0);
  });

  it('ends blocks that were not ended, and tells nothing after the finish', () => {
    const thought = block(0, { type: 'thinking', thinking: '', signature: '' }, [
      { type: 'thinking_delta', thinking: 'So' },
      { type: 'signature_delta', signature: 'sig' },
    ]).slice(0, -1);
    const told = tell([start(), ...thought, ...stop('end_turn').slice(0, 1), ...TEXT, ...stop('max_tokens')]);
    const choice = choiceOf(told.chunks);
    assert.equal(told.foreigns, 2);
    assert.equal(choice['finish_reason'], 'stop');
    assert.deepEqual((choice['message'] as JsonObject)['thinking_blocks'], [
      { type: 'thinking', thinking: 'So', signature: 'sig' },
    ]);
  });

  it('tells no signed block for thoughts without a signature', () => {
    const told = tell([
      start(),
      ...block(0, { type: 'thinking', thinking: '', signature: '' }, [
        { type: 'thinking_delta', thinking: 'So' },
      ]),
      ...CALL.map((event) => ('index' in event ? { ...event, index: 1 } : event)),
      ...stop('tool_use'),
    ]);
    const message = choiceOf(told.chunks)['message'] as JsonObject;
    assert.equal(message['reasoning_content'], 'So');
    assert.equal(message['thinking_blocks'], undefined);
  });

  it('gives a call without an id a new one', () => {
    const told = tell([
      start(),
      { type: 'content_block_start', index: 0, content_block: { type: 'tool_use', name: 'f' } },
      ...stop('tool_use'),
    ]);
    assert.match(JSON.stringify(accumulate(told.chunks)), /"id":"call_sw00001"/);
  });

  it('does not fail on an input that is nested too deeply to be printed', () => {
    const deep = `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`;
    const event = `{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"a","name":"f","input":${deep}}}`;
    const end = { data: { type: 'content_block_stop', index: 0 } };
    assert.equal(streamed(prepared, [sse([{ data: event }, end])]).breaks.length, 1);
  });
});
