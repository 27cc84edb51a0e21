import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Cancellation } from '../../src/core/cancellation.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { Failure } from '../../src/core/outcome.ts';
import { chatAnswer } from '../../src/providers/openai/chat-answer.ts';
import type { StreamWishes } from '../../src/upstream/stream-roles.ts';
import { tellWhole } from '../../src/upstream/whole-stream.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { readEvents } from '../support/rig.ts';

const LONG = 'word '.repeat(4000);

function completion(content = LONG): JsonObject {
  const message = { role: 'assistant', content };
  const usage = { prompt_tokens: 9, completion_tokens: 12, total_tokens: 21 };
  const head = { id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: 'up' };
  return { ...head, choices: [{ index: 0, message, finish_reason: 'stop' }], usage };
}

function begin(wishes: Partial<StreamWishes> = {}, cancellation = new Cancellation()) {
  const clock = new ManualClock(1_000);
  const overs: (Failure | null)[] = [];
  const value = completion();
  const reading = chatAnswer(1).plain(value, Buffer.from(JSON.stringify(value)), {});
  assert.ok(reading.kind === 'answer');
  const end = tellWhole(reading, {
    wishes: { wantsUsage: true, price: null, present: null, ...wishes },
    clock,
    cancellation,
    deadline: 61_000,
    over: (failure) => overs.push(failure),
  });
  return { end, clock, cancellation, overs };
}

function tell(wishes: Partial<StreamWishes> = {}, room = Infinity, cancelled?: Cancellation) {
  const { end, clock, cancellation, overs } = begin(wishes, cancelled);
  assert.ok(end.kind === 'stream');
  const { stream } = end;
  const written: Buffer[] = [];
  const ends: (Failure | null)[] = [];
  let left = room;
  const sink = {
    write: (bytes: Buffer) => {
      written.push(bytes);
      return --left > 0;
    },
    end: (failure: Failure | null) => ends.push(failure),
  };
  return {
    stream,
    clock,
    cancellation,
    overs,
    ends,
    written,
    flow: () => stream.flow(sink),
    /** The reader has room for so many events. */
    room: (events: number) => {
      left = events;
      stream.resume();
    },
    text: () => Buffer.concat(written).toString(),
  };
}

describe('a whole answer that is told as a stream', () => {
  it('is told at once to a reader that takes all', () => {
    const told = tell();
    assert.equal(told.overs.length, 0);
    assert.deepEqual(told.stream.passed, { characters: 0, reasoning: 0 });
    told.flow();
    assert.deepEqual([told.overs, told.ends], [[null], [null]]);
    const { content, chunks } = readEvents(told.text());
    assert.equal(content, LONG);
    assert.equal(chunks.at(-1)?.usage?.completion_tokens, 12);
    assert.equal(chunks[0]?.usage, null);
    assert.equal(told.stream.usage?.output, 12);
    assert.equal(told.stream.passed.characters, LONG.length);
    assert.equal(told.clock.pending, 0);
    told.cancellation.cancel('client_gone');
    assert.equal(told.ends.length, 1);
  });

  it('waits for a reader that is slow', () => {
    const told = tell({}, 2);
    told.flow();
    assert.equal(told.written.length, 2);
    assert.deepEqual(told.overs, [null]);
    told.room(1);
    assert.equal(told.written.length, 3);
    assert.equal(told.ends.length, 0);
    told.room(Infinity);
    assert.deepEqual(told.ends, [null]);
    assert.equal(readEvents(told.text()).content, LONG);
    told.room(1);
    assert.equal(told.ends.length, 1);
    assert.equal(told.clock.pending, 0);
  });

  it('does not wait longer than the request may take', () => {
    const told = tell({}, 1);
    told.flow();
    told.clock.advance(59_999);
    assert.equal(told.ends.length, 0);
    told.clock.advance(1);
    assert.equal(told.ends[0]?.kind, 'deadline');
    told.room(9);
    assert.equal(told.written.length, 1);
  });

  it('ends with a client that leaves, and counts what that was given', () => {
    const told = tell({}, 2);
    told.flow();
    told.cancellation.cancel('client_gone');
    assert.equal(told.ends[0]?.kind, 'client_gone');
    assert.deepEqual(told.overs, [null]);
    assert.ok(told.stream.passed.characters > 0 && told.stream.passed.characters < LONG.length);
    assert.equal(told.clock.pending, 0);
  });

  it('is not told to a client that has left before', () => {
    const told = tell();
    told.cancellation.cancel('client_gone');
    assert.equal(told.overs[0]?.kind, 'client_gone');
    told.flow();
    assert.equal(told.ends[0]?.kind, 'client_gone');
    assert.equal(told.overs.length, 1);
    assert.deepEqual([told.written.length, told.stream.passed.characters, told.clock.pending], [0, 0, 0]);
  });

  for (const reason of ['client_gone', 'superseded'] as const) {
    it(`is not begun where nobody waits for it any more: ${reason}`, () => {
      const cancellation = new Cancellation();
      cancellation.cancel(reason);
      const { end, overs, clock } = begin({}, cancellation);
      assert.ok(end.kind === 'failed');
      assert.equal(end.failure.kind, reason);
      // Whoever is given the failure says so of the try.
      assert.deepEqual([overs, clock.pending], [[], 0]);
    });
  }

  it('is over for its try where there will be no reader', () => {
    const told = tell();
    told.stream.letGo();
    told.cancellation.cancel('client_gone');
    assert.deepEqual(
      told.overs.map((failure) => failure?.kind),
      ['client_gone'],
    );
  });

  it('is over for its try where another target was faster', () => {
    const told = tell();
    told.cancellation.cancel('superseded');
    assert.equal(told.overs[0]?.kind, 'superseded');
  });

  it('is told to its end by a process that must end, however slow the reader is', () => {
    const told = tell({}, 1);
    told.flow();
    told.cancellation.cancel('shutdown');
    assert.deepEqual(told.ends, [null]);
    assert.equal(readEvents(told.text()).content, LONG);
    const before = tell({}, 1);
    before.cancellation.cancel('shutdown');
    before.flow();
    assert.deepEqual([before.overs, before.ends], [[null], [null]]);
    assert.equal(readEvents(before.text()).content, LONG);
    const cancelled = new Cancellation();
    cancelled.cancel('shutdown');
    const late = tell({}, 1, cancelled);
    late.flow();
    assert.deepEqual([late.overs, late.ends], [[null], [null]]);
    assert.equal(readEvents(late.text()).content, LONG);
  });

  it('says nothing of usage to a client that did not ask', () => {
    const told = tell({ wantsUsage: false });
    told.flow();
    assert.equal(told.text().includes('usage'), false);
    assert.equal(told.stream.usage?.output, 12);
  });

  it('says what it cost, where that is known', () => {
    const told = tell({ price: ({ output }) => output / 4 });
    told.flow();
    assert.deepEqual(readEvents(told.text()).chunks.at(-1)?.usage, {
      prompt_tokens: 9,
      completion_tokens: 12,
      total_tokens: 21,
      cost: 3,
    } as never);
  });

  it('is put into the words of the client', () => {
    const seen: JsonObject[] = [];
    const present = (chunk: JsonObject) => {
      seen.push(chunk);
      return seen.length === 1 ? null : Buffer.from(`${seen.length};`);
    };
    const told = tell({ present });
    told.flow();
    assert.equal(told.text().slice(0, 4), '2;3;');
    assert.equal(seen[0]?.['usage'], undefined);
  });

  it('is broken without a finish', () => {
    const value = { choices: [{ message: { content: 'Hi' }, finish_reason: null }] };
    const reading = chatAnswer(1).plain(value, Buffer.from('{}'), {});
    assert.ok(reading.kind === 'answer');
    const end = tellWhole(reading, {
      wishes: { wantsUsage: false },
      clock: new ManualClock(),
      cancellation: new Cancellation(),
      deadline: 1,
      over: () => assert.fail('the visit hears of it by the end itself'),
    });
    assert.equal(end.kind === 'failed' && end.failure.kind, 'broken_body');
  });
});
